//! Instances: what each one's owner wishes and what its cluster last said of it. The rules are in
//! `lifecycle`; here they are applied to rows, each use-case in one transaction, so that a wish and
//! a report that come at the same moment cannot overwrite each other.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::reservations::Reservation;
use super::tags::tags_of;
use super::{Store, StoreError};
use crate::ec2::Tag;
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{self, Absence, Act, Due, Observed, Verdict, Wish};

/// Why an instance is in its state, in EC2's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Server.InsufficientInstanceCapacity`.
    pub code: String,
    /// A sentence.
    pub text: String,
}

impl Reason {
    /// A reason of that code.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_string(), text: text.into() }
    }
}

/// The record of an instance. Times are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-1A2B3C4D`.
    pub id: String,
    /// What it is part of.
    pub reservation_id: String,
    /// Its place therein, from 0.
    pub launch_index: u32,
    /// Whose.
    pub owner: String,
    /// Where.
    pub cluster: String,
    /// What its owner wishes.
    pub wish: Wish,
    /// What its cluster last said.
    pub observed: Observed,
    /// A stop does not ask the guest.
    pub force: bool,
    /// Grows with each change of the wish.
    pub epoch: i64,
    /// The request that made the present wish.
    pub request_id: String,
    /// Why it is in its state.
    pub reason: Option<Reason>,
    /// Its node, as its cluster names it.
    pub node: Option<String>,
    /// Its address within the cluster.
    pub private_ip: Option<String>,
    /// Its address from outside.
    pub public_ip: Option<String>,
    /// Boots since it was launched.
    pub boot_count: Option<i32>,
    /// How its last reboot went.
    pub last_reboot: Option<String>,
    /// When it was asked for.
    pub launched: i64,
    /// Since when its state is what it is.
    pub since: i64,
    /// When it was terminated.
    pub ended: Option<i64>,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

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
}

/// How an owner's request changed one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record afterwards.
    pub instance: Instance,
    /// Its state before.
    pub before: InstanceState,
    /// Its state afterwards.
    pub after: InstanceState,
}

/// Why an owner's request changed nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such instance of that owner.
    NotFound(String),
    /// It is in a state in which this is not possible.
    State(String, InstanceState),
}

impl Instance {
    /// The state EC2 clients see.
    pub fn state(&self) -> InstanceState {
        lifecycle::state(self.wish, self.observed)
    }

    /// What its cluster must still be told.
    pub fn due(&self) -> Due {
        lifecycle::due(self.wish, self.observed)
    }

    fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        let (wish, observed): (String, String) = (row.get("wish")?, row.get("observed")?);
        let unknown = |word: &str| StoreError::Corrupt(format!("'{word}' is no word of the lifecycle"));
        let code: Option<String> = row.get("reason_code")?;
        let text: Option<String> = row.get("reason_text")?;
        Ok(Self {
            id: row.get("instance_id")?,
            reservation_id: row.get("reservation_id")?,
            launch_index: row.get("launch_index")?,
            owner: row.get("owner")?,
            cluster: row.get("cluster")?,
            wish: Wish::named(&wish).ok_or_else(|| unknown(&wish))?,
            observed: Observed::named(&observed).ok_or_else(|| unknown(&observed))?,
            force: row.get("force")?,
            epoch: row.get("epoch")?,
            request_id: row.get("request_id")?,
            reason: code.zip(text).map(|(code, text)| Reason { code, text }),
            node: row.get("node")?,
            private_ip: row.get("private_ip")?,
            public_ip: row.get("public_ip")?,
            boot_count: row.get("boot_count")?,
            last_reboot: row.get("last_reboot")?,
            launched: row.get("launched")?,
            since: row.get("since")?,
            ended: row.get("ended")?,
            tags: Vec::new(),
        })
    }

    /// Sets wish and observation, and what follows from them.
    fn move_to(&mut self, wish: Wish, observed: Observed, now: i64) {
        let before = self.state();
        (self.wish, self.observed) = (wish, observed);
        let after = self.state();
        if before != after {
            self.since = now;
        }
        self.ended = match after {
            InstanceState::Terminated => self.ended.or(Some(now)),
            InstanceState::Pending | InstanceState::Running | InstanceState::ShuttingDown => None,
            InstanceState::Stopping | InstanceState::Stopped => None,
        };
    }

    fn take(&mut self, report: &Report, now: i64) {
        let seen = lifecycle::observe(self.wish, self.observed, report.observed);
        if seen.by_guest {
            self.epoch += 1;
            self.reason = Some(Reason::new("Client.InstanceInitiatedShutdown", "Instance initiated shutdown"));
        }
        self.move_to(seen.wish, seen.observed, now);
        let unwished = self.ended == Some(now) && self.wish != Wish::Terminate;
        if let (true, Some(reason)) = (unwished, &report.reason) {
            self.reason = Some(Reason::new("Server.InternalError", reason.clone()));
        }
        keep_newer(&mut self.node, &report.node);
        keep_newer(&mut self.private_ip, &report.private_ip);
        keep_newer(&mut self.public_ip, &report.public_ip);
        keep_newer(&mut self.boot_count, &report.boot_count);
        keep_newer(&mut self.last_reboot, &report.last_reboot);
    }
}

/// What a cluster does not say (any more) stays as it was last known.
fn keep_newer<T: Clone>(known: &mut Option<T>, reported: &Option<T>) {
    if reported.is_some() {
        known.clone_from(reported);
    }
}

impl Store {
    /// Carries out an owner's request on several instances: all of them, or none. `force` is for
    /// [`Act::Stop`]: do not ask the guest.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn act(
        &self,
        act: Act,
        owner: String,
        ids: Vec<String>,
        force: bool,
        request_id: String,
        now: i64,
    ) -> Result<Result<Vec<Change>, Refused>, StoreError> {
        self.write(move |tx| {
            let mut found = Vec::with_capacity(ids.len());
            for id in &ids {
                match owned(tx, &owner, id)? {
                    Some(instance) => found.push(instance),
                    None => return Ok(Err(Refused::NotFound(id.clone()))),
                }
            }
            let mut verdicts = Vec::with_capacity(found.len());
            for instance in &found {
                match lifecycle::admit(act, instance.wish, instance.observed) {
                    Verdict::Refuse => return Ok(Err(Refused::State(instance.id.clone(), instance.state()))),
                    allowed @ (Verdict::Go(_) | Verdict::Stay) => verdicts.push(allowed),
                }
            }
            let mut changes = Vec::with_capacity(found.len());
            for (mut instance, verdict) in found.into_iter().zip(verdicts) {
                let before = instance.state();
                if let Verdict::Go(wish) = verdict {
                    instance.move_to(wish, instance.observed, now);
                    instance.epoch += 1;
                    instance.request_id.clone_from(&request_id);
                    instance.force = force;
                    instance.reason = (wish != Wish::Run)
                        .then(|| Reason::new("Client.UserInitiatedShutdown", "User initiated shutdown"))
                        .filter(|_| before != InstanceState::Terminated)
                        .or(instance.reason.filter(|_| wish != Wish::Run));
                    save(tx, &instance)?;
                }
                let after = instance.state();
                changes.push(Change { instance, before, after });
            }
            Ok(Ok(changes))
        })
        .await
    }

    /// An owner's instance of that id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn instance(&self, owner: String, id: String) -> Result<Option<Instance>, StoreError> {
        self.read(move |tx| owned(tx, &owner, &id)).await
    }

    /// The instances whose clusters must still be told something, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn due(&self) -> Result<Vec<Instance>, StoreError> {
        self.read(|tx| {
            let condition =
                format!("WHERE (wish, observed) IN (VALUES {}) ORDER BY launched, launch_index", due_pairs());
            instances_of(tx, &condition, [])
        })
        .await
    }

    /// The instances of a cluster that have not ended.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn living(&self, cluster: String) -> Result<Vec<Instance>, StoreError> {
        self.read(move |tx| instances_of(tx, "WHERE cluster = ?1 AND ended IS NULL", [cluster])).await
    }

    /// What became of launches: those the cluster took are pending, those it declined are over.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn launched(
        &self,
        taken: Vec<String>,
        declined: Vec<(String, Reason)>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            for id in &taken {
                if let Some(mut instance) = by_id(tx, id)?.filter(|instance| instance.observed == Observed::Unseen) {
                    instance.move_to(instance.wish, Observed::Pending, now);
                    save(tx, &instance)?;
                }
            }
            for (id, reason) in declined {
                if let Some(mut instance) = by_id(tx, &id)?.filter(|instance| instance.observed == Observed::Unseen) {
                    instance.move_to(instance.wish, Observed::Terminated, now);
                    instance.reason = Some(reason);
                    save(tx, &instance)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Gives a launch up that nobody has answered: it is wished gone, should it exist after all.
    /// Compare-and-set: false, and nothing changed, if the wish is not of that `epoch` any more or
    /// the cluster has spoken.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn give_up(&self, id: String, epoch: i64, reason: Reason, now: i64) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let unchanged = |instance: &Instance| instance.epoch == epoch && instance.observed == Observed::Unseen;
            let Some(mut instance) = by_id(tx, &id)?.filter(unchanged) else { return Ok(false) };
            instance.move_to(Wish::Terminate, instance.observed, now);
            instance.epoch += 1;
            instance.reason = Some(reason);
            save(tx, &instance)?;
            Ok(true)
        })
        .await
    }

    /// Takes a wish back that the cluster keeps refusing. Compare-and-set: false, and nothing
    /// changed, if the wish is not of that `epoch` any more or nothing is due any more.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn take_back(
        &self,
        id: String,
        epoch: i64,
        wish: Wish,
        reason: Reason,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let unchanged = |instance: &Instance| instance.epoch == epoch && instance.due() != Due::Nothing;
            let Some(mut instance) = by_id(tx, &id)?.filter(unchanged) else { return Ok(false) };
            instance.move_to(wish, instance.observed, now);
            instance.epoch += 1;
            instance.reason = Some(reason);
            save(tx, &instance)?;
            Ok(true)
        })
        .await
    }

    /// Takes a cluster's whole report: what it said of each instance, and what is known of those it
    /// should have listed and did not. Gives the ids it reported that are none of ours.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn report(
        &self,
        cluster: String,
        reports: Vec<Report>,
        absent: Vec<(String, Absence)>,
        now: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.write(move |tx| {
            let mut unknown = Vec::new();
            for report in &reports {
                let Some(mut instance) = by_id(tx, &report.id)?.filter(|instance| instance.cluster == cluster) else {
                    unknown.push(report.id.clone());
                    continue;
                };
                let before = instance.clone();
                instance.take(report, now);
                if instance != before {
                    save(tx, &instance)?;
                }
            }
            for (id, absence) in absent {
                let gone = |instance: &Instance| lifecycle::is_gone(instance.wish, instance.observed, absence);
                if let Some(mut instance) = by_id(tx, &id)?.filter(gone) {
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
                }
            }
            Ok(unknown)
        })
        .await
    }
}

/// The pairs of wish and observation for which something is due, as SQL values: the rule itself
/// stays in `lifecycle`.
fn due_pairs() -> String {
    let mut pairs = Vec::new();
    for wish in Wish::ALL {
        for observed in Observed::ALL {
            if lifecycle::due(wish, observed) != Due::Nothing {
                pairs.push(format!("('{}', '{}')", wish.name(), observed.name()));
            }
        }
    }
    pairs.join(", ")
}

pub(super) fn instances_of(tx: &Connection, condition: &str, params: impl Params) -> Result<Vec<Instance>, StoreError> {
    let mut select = tx.prepare_cached(&format!("SELECT * FROM instances {condition}"))?;
    let mut rows = select.query(params)?;
    let mut instances = Vec::new();
    while let Some(row) = rows.next()? {
        let mut instance = Instance::of(row)?;
        instance.tags = tags_of(tx, &instance.id)?;
        instances.push(instance);
    }
    Ok(instances)
}

fn by_id(tx: &Connection, id: &str) -> Result<Option<Instance>, StoreError> {
    let mut select = tx.prepare_cached("SELECT * FROM instances WHERE instance_id = ?1")?;
    select.query_row([id], |row| Ok(Instance::of(row))).optional()?.transpose()
}

fn owned(tx: &Connection, owner: &str, id: &str) -> Result<Option<Instance>, StoreError> {
    Ok(by_id(tx, id)?.filter(|instance| instance.owner == owner))
}

pub(super) fn insert_instance(
    tx: &Connection,
    of: &Reservation,
    id: &str,
    launch_index: u32,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO instances (instance_id, reservation_id, launch_index, owner, cluster, wish, observed, request_id,
             launched, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?
    .execute(params![
        id,
        of.id,
        launch_index,
        of.owner,
        of.cluster,
        Wish::Run.name(),
        Observed::Unseen.name(),
        of.request_id,
        of.created,
    ])?;
    Ok(())
}

fn save(tx: &Connection, instance: &Instance) -> Result<(), StoreError> {
    let reason = instance.reason.as_ref();
    tx.prepare_cached(
        "UPDATE instances SET wish = ?2, observed = ?3, force = ?4, epoch = ?5, request_id = ?6, reason_code = ?7,
             reason_text = ?8, node = ?9, private_ip = ?10, public_ip = ?11, boot_count = ?12, last_reboot = ?13,
             since = ?14, ended = ?15
         WHERE instance_id = ?1",
    )?
    .execute(params![
        instance.id,
        instance.wish.name(),
        instance.observed.name(),
        instance.force,
        instance.epoch,
        instance.request_id,
        reason.map(|reason| &reason.code),
        reason.map(|reason| &reason.text),
        instance.node,
        instance.private_ip,
        instance.public_ip,
        instance.boot_count,
        instance.last_reboot,
        instance.since,
        instance.ended,
    ])?;
    Ok(())
}
