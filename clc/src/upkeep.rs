//! What is written after the answer: the list of answered requests, in batches, off the way of the
//! requests themselves; what is resolved, and what is forgotten, when its time is over.

pub(crate) mod request_log;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::causes::with_causes;
use crate::cloud::Cloud;
use crate::clusters::Known;
use crate::convert;
use crate::deadlines::{self, Deadline, Resolution};
use crate::store::{Instance, Reason, StoreError};

/// Requests are collected for so long before they are written together.
const COLLECT: Duration = Duration::from_millis(200);
/// How long answered requests are kept.
const KEEP_REQUESTS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long ended instances are kept: an hour to be shown, and 24 more so that a client token still
/// finds its reservation (EC2's rule).
const KEEP_ENDED: SignedDuration = SignedDuration::from_hours(25);
/// How long the history of an instance is kept after the last that it tells: a week longer than the
/// instance's own record.
const KEEP_HISTORY: SignedDuration = SignedDuration::from_hours(25 + 7 * 24);
/// How long it is kept why a launch went to its zone (operations-spec.md C-3).
const KEEP_ZONE_CHOICES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often it is looked for what is to be forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Most requests that are shown together under one global id.
const MOST_OF_GLOBAL: u32 = 50;
/// How often it is looked for what is overdue.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

impl Cloud {
    /// The account that made a request that was answered; `None` if nobody knows it any more.
    ///
    /// # Errors
    /// [`StoreError`] if the records cannot be read.
    pub async fn requester(&self, id: &str) -> Result<Option<String>, StoreError> {
        match self.answered.requester(id) {
            Some(account) => Ok(Some(account)),
            None => self.store.requester(id.to_string()).await,
        }
    }

    /// The answered requests that are part of what an administrator gave that id, as `X-Request-Id`: of very
    /// many, the latest.
    ///
    /// # Errors
    /// [`StoreError`] if the records cannot be read.
    pub async fn requests_of(&self, global: &str) -> Result<BTreeSet<String>, StoreError> {
        let mut ids: BTreeSet<String> = self.answered.requests_of(global).into_iter().collect();
        ids.extend(self.store.requests_of(global.to_string(), MOST_OF_GLOBAL).await?);
        Ok(ids)
    }

    /// Writes down the answered requests that wait.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written; they wait on.
    pub async fn write_answered(&self) -> Result<(), StoreError> {
        let batch = self.answered.waiting();
        let ids = batch.iter().map(|request| request.id.clone()).collect();
        let keep_from = (self.clock.now() - KEEP_REQUESTS).as_microsecond();
        self.store.log_requests(batch, keep_from).await?;
        // Only now: until they are written, they are found here.
        self.answered.written(&ids);
        Ok(())
    }
}

/// Writes and forgets, until the task is dropped.
pub async fn run(cloud: Arc<Cloud>) {
    tokio::join!(write_requests(&cloud), tidy(&cloud), resolve(&cloud));
}

async fn write_requests(cloud: &Cloud) {
    loop {
        cloud.answered.rung().await;
        tokio::time::sleep(COLLECT).await;
        if let Err(error) = cloud.write_answered().await {
            tracing::error!(event = "upkeep.requests", error = with_causes(&error));
        }
    }
}

async fn tidy(cloud: &Cloud) {
    loop {
        let ended_before = (cloud.clock.now() - KEEP_ENDED).as_microsecond();
        match cloud.store.forget_ended(ended_before).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(event = "upkeep.forgotten", instances = forgotten),
            Err(error) => tracing::error!(event = "upkeep.forget", error = with_causes(&error)),
        }
        let last_before = (cloud.clock.now() - KEEP_HISTORY).as_microsecond();
        if let Err(error) = cloud.store.forget_history(last_before).await {
            tracing::error!(event = "upkeep.forget", error = with_causes(&error));
        }
        let made_before = (cloud.clock.now() - KEEP_ZONE_CHOICES).as_microsecond();
        if let Err(error) = cloud.store.forget_zone_choices(made_before).await {
            tracing::error!(event = "upkeep.forget", error = with_causes(&error));
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

async fn resolve(cloud: &Cloud) {
    loop {
        if let Err(error) = resolve_overdue(cloud).await {
            tracing::error!(event = "upkeep.overdue", error = with_causes(&error));
        }
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}

/// Resolves the instances whose deadlines are over, by the table in [`deadlines`].
///
/// # Errors
/// [`StoreError`] if the records cannot be read or written.
pub async fn resolve_overdue(cloud: &Cloud) -> Result<(), StoreError> {
    let now = cloud.clock.now();
    for instance in cloud.store.passing().await? {
        let known = cloud.clusters.known(&instance.cluster);
        let Some((resolution, reason)) = overdue(&instance, known.as_ref(), cloud.tries.said(&instance.id), now) else {
            continue;
        };
        let text = reason.text.clone();
        let at = (instance.epoch, instance.observed);
        if cloud.store.resolve(instance.id.clone(), at, resolution, reason, cloud.now()).await? {
            tracing::warn!(event = "upkeep.overdue", instance = instance.id, ?resolution, reason = text);
            cloud.wished.notify_one();
        }
    }
    Ok(())
}

/// What becomes of an instance whose deadline is over, and its reason; none while there is time, and where only its node
/// can know more. `known`: what its cluster last said; `said`: what came of the last message about it.
fn overdue(
    instance: &Instance,
    known: Option<&Known>,
    said: Option<String>,
    now: Timestamp,
) -> Option<(Resolution, Reason)> {
    let Deadline { after, then } = deadlines::deadline(instance.wish, instance.observed, instance.has_booted())?;
    if now.duration_since(convert::timestamp(instance.since)) < after {
        return None;
    }
    let cluster = &instance.cluster;
    let failure = known.and_then(|known| known.failure.clone());
    let minutes = after.as_mins();
    match then {
        Resolution::Wait => None,
        Resolution::GiveUp | Resolution::TakeBack(_) => {
            let state = instance.state().name();
            let last = failure.or(said).unwrap_or_else(|| "its node has not told why".to_string());
            let text = format!("given up: it was {state} for {minutes} minutes; cluster {cluster}: {last}");
            Some((then, Reason::new("Server.InternalError", text)))
        }
        Resolution::Conclude => {
            let answered = known.and_then(|known| known.answered);
            let silent = answered.is_none_or(|answered| now.duration_since(answered) >= after);
            let failure = failure.filter(|_| silent)?;
            let delay = format!("cluster {cluster} does not answer ({failure}), and ends it as soon as it does");
            Some((
                then,
                match &instance.reason {
                    Some(why) => Reason::new(&why.code, format!("{}; {delay}", why.text)),
                    None => Reason::new("Client.UserInitiatedShutdown", delay),
                },
            ))
        }
    }
}
