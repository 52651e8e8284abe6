//! What clusters say of instances, taken into the records: each whole report in one transaction. What a report may
//! change is `lifecycle`'s to say; what became of requests is written into the history with it.

use rusqlite::Connection;
use serde::Deserialize;

use super::history::{Learnt, follow, is_open, note_off, restarts_since};
use super::instances::{Instance, Reason, by_id, save};
use super::{Store, StoreError};
use crate::ec2::attributes::ShutdownBehavior;
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{self, Absence, AfterOff, Observed, Wish};

/// What a cluster said of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub id: String,
    /// How it is.
    pub observed: Observed,
    /// Why.
    pub reason: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// Its address within the cluster, once known.
    pub private_ip: Option<String>,
    /// Its address from outside, once known.
    pub public_ip: Option<String>,
    /// Boots since it was launched.
    pub boot_count: Option<i32>,
    /// How its last reboot went.
    pub last_reboot: Option<String>,
    /// The epoch of the last operation that its node took.
    pub epoch: Option<i64>,
    /// Of one that is stopped: whether its guest turned itself off, where its node tells.
    pub by_guest: Option<bool>,
}

impl Report {
    /// Whether its guest turned it off. A node that does not tell knows no other way.
    fn is_by_guest(&self) -> bool {
        self.by_guest.unwrap_or(true)
    }
}

/// What the administrator wants done with an instance that went off, and neither its guest nor anybody with a right to
/// asked for it: it crashed, or its machine was switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It is started again where its disk is; three times an hour at most, then it stays off.
    #[default]
    Restart,
    /// It stays off.
    Stop,
}

/// How often an instance that fails is started again within [`RESTARTS_WITHIN`].
const RESTARTS: u32 = 3;
/// Microseconds: an hour.
const RESTARTS_WITHIN: i64 = 3_600_000_000;

/// What came of a cluster's whole report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The ids it reported that are none of ours.
    pub strangers: Vec<String>,
    /// Ours that have ended, and live there.
    pub ended: Vec<String>,
    /// Those whose nodes took operations that are not in the records: the records are an older copy.
    pub behind: Vec<String>,
    /// The requests whose end it showed.
    pub learnt: Vec<Learnt>,
}

impl Instance {
    /// How it was before what a report tells. One that was stopped, is stopped, and has booted in between was started
    /// and turned off between two reports.
    fn last_known(&self, report: &Report) -> Observed {
        let booted = self.boot_count.zip(report.boot_count).is_some_and(|(before, now)| now > before);
        if self.observed == Observed::Stopped && booted { Observed::Running } else { self.observed }
    }

    /// Takes the place after the last operation that its node took, where that is one the records do not know: nodes
    /// pass over what is older. True if that was so.
    fn catch_up(&mut self, report: &Report) -> bool {
        let ahead = report.epoch.filter(|epoch| *epoch > self.epoch);
        self.epoch = ahead.map_or(self.epoch, |epoch| epoch.saturating_add(1));
        ahead.is_some()
    }

    /// What becomes of it if the report shows that it went off by itself: its guest obeys what its owner set, and what
    /// failed under it is the cloud's to mend, a few times.
    fn after_off(
        &self,
        tx: &Connection,
        report: &Report,
        on_failure: OnFailure,
        now: i64,
    ) -> Result<AfterOff, StoreError> {
        Ok(match (report.is_by_guest(), self.attributes.shutdown_behavior, on_failure) {
            (true, ShutdownBehavior::Stop, _) | (false, _, OnFailure::Stop) => AfterOff::Stop,
            (true, ShutdownBehavior::Terminate, _) => AfterOff::Terminate,
            (false, _, OnFailure::Restart) => {
                let often = restarts_since(tx, &self.id, now - RESTARTS_WITHIN)? >= RESTARTS;
                if often { AfterOff::Stop } else { AfterOff::Restart }
            }
        })
    }

    /// What its cluster's report makes of the record. True if it went off although it was wished to run.
    fn take(&mut self, report: &Report, after_off: AfterOff, now: i64) -> bool {
        let was_over = self.state() == InstanceState::Terminated;
        let seen = lifecycle::observe(self.wish, self.last_known(report), report.observed, after_off);
        self.move_to(seen.wish, seen.observed, now);
        let is_over = self.state() == InstanceState::Terminated;
        if seen.went_off {
            self.epoch += 1;
            self.reason = match after_off {
                // Why its owner's stop was taken back, say.
                AfterOff::Restart => self.reason.take(),
                AfterOff::Stop | AfterOff::Terminate if report.is_by_guest() => {
                    Some(Reason::new("Client.InstanceInitiatedShutdown", "Instance initiated shutdown"))
                }
                AfterOff::Stop | AfterOff::Terminate => {
                    Some(Reason::new("Server.InternalError", report.reason.as_deref().unwrap_or("it went off")))
                }
            };
        }
        if self.wish != Wish::Terminate {
            match (was_over, is_over) {
                (false, true) => {
                    let text = report.reason.as_deref().unwrap_or("its node took it down and gave no reason");
                    self.reason = Some(Reason::new("Server.InternalError", text));
                }
                // It was held for lost and is there again.
                (true, false) => self.reason = None,
                (true, true) | (false, false) => {}
            }
        }
        keep_newer(&mut self.node, &report.node);
        keep_newer(&mut self.private_ip, &report.private_ip);
        keep_newer(&mut self.public_ip, &report.public_ip);
        keep_newer(&mut self.boot_count, &report.boot_count);
        keep_newer(&mut self.last_reboot, &report.last_reboot);
        seen.went_off
    }
}

/// What a cluster does not say (any more) stays as it was last known.
fn keep_newer<T: Clone>(known: &mut Option<T>, reported: &Option<T>) {
    if reported.is_some() {
        known.clone_from(reported);
    }
}

impl Store {
    /// Takes a cluster's whole report: what it said of each instance, and what is known of those it
    /// should have listed and did not.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn report(
        &self,
        cluster: String,
        reports: Vec<Report>,
        absent: Vec<(String, Absence)>,
        on_failure: OnFailure,
        now: i64,
    ) -> Result<Reported, StoreError> {
        self.write(move |tx| {
            let Reported { mut strangers, mut ended, mut behind, mut learnt } = Reported::default();
            for report in &reports {
                let Some(mut instance) = by_id(tx, &report.id)?.filter(|instance| instance.cluster == cluster) else {
                    strangers.push(report.id.clone());
                    continue;
                };
                let before = instance.clone();
                if instance.catch_up(report) {
                    behind.push(report.id.clone());
                }
                let after_off = instance.after_off(tx, report, on_failure, now)?;
                let went_off = instance.take(report, after_off, now);
                let changed = instance != before;
                if changed {
                    save(tx, &instance)?;
                }
                if went_off {
                    note_off(tx, &instance, after_off, (report.is_by_guest(), report.reason.as_deref()), now)?;
                }
                if changed || is_open(tx, &instance.id)? {
                    learnt.extend(follow(tx, &before, &instance, report.reason.as_deref(), now)?);
                }
                if instance.state() == InstanceState::Terminated && report.observed.lives() {
                    ended.push(report.id.clone());
                }
            }
            for (id, absence) in absent {
                let gone = |instance: &Instance| lifecycle::is_gone(instance.wish, instance.observed, absence);
                if let Some(mut instance) = by_id(tx, &id)?.filter(gone) {
                    let before = instance.clone();
                    instance.move_to(instance.wish, Observed::Gone, now);
                    if instance.wish != Wish::Terminate {
                        let place = instance
                            .node
                            .clone()
                            .map_or_else(|| format!("cluster {cluster}"), |node| format!("node {node}"));
                        instance.reason =
                            Some(Reason::new("Server.InternalError", format!("{place} no longer has it")));
                    }
                    save(tx, &instance)?;
                    learnt.extend(follow(tx, &before, &instance, None, now)?);
                }
            }
            Ok(Reported { strangers, ended, behind, learnt })
        })
        .await
    }
}
