//! How instances get on: an owner's wish, a launch's outcome, a cluster's report. The rules are in
//! `lifecycle`; here they are applied to rows, each use-case in one transaction, so that a wish and
//! a report that come at the same moment cannot overwrite each other.

use rusqlite::Connection;
use serde::Deserialize;

use super::history::{Deed, Goal, Learnt, begin, close_all, done, follow, is_open, note_off, restarts_since};
use super::instances::{Attributes, Instance, Reason, Resized, all_owned, by_id, owned, save};
use super::quotas::{Excess, Quantity, excess};
use super::reservations::reservation;
use super::{Scope, Store, StoreError};
use crate::deadlines::Resolution;
use crate::ec2::attributes::ShutdownBehavior;
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{self, Absence, Act, AfterOff, Observed, Verdict, Wish};

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
    /// No such instances in the scope.
    NotFound(Vec<String>),
    /// It is in a state in which this is not possible.
    State(String, InstanceState),
    /// Its owner has set that this is not to be.
    Protected(String),
    /// It would be more than the account may have.
    TooMuch(Excess),
}

impl Instance {
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

    /// True if its owner has set that a request is not to be carried out.
    fn is_protected(&self, act: Act) -> bool {
        match act {
            Act::Terminate => self.attributes.disable_api_termination,
            Act::Stop => self.attributes.disable_api_stop,
            Act::Reboot | Act::Start => false,
        }
    }

    /// What its owner's new wish makes of the record.
    fn wish(&mut self, wish: Wish, force: bool, deed: &Deed) {
        let was_over = self.state() == InstanceState::Terminated;
        self.move_to(wish, self.observed, deed.at);
        self.epoch += 1;
        self.request_id.clone_from(&deed.request_id);
        self.force = force;
        match wish {
            Wish::Run => self.reason = None,
            // One that is over keeps the reason of its end.
            Wish::Stop | Wish::Terminate if was_over => {}
            Wish::Stop | Wish::Terminate => {
                self.reason = Some(Reason::new("Client.UserInitiatedShutdown", "User initiated shutdown"));
            }
        }
    }

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

/// The row of an admitted request. What is so already has its end at once.
fn note(tx: &Connection, instance: &Instance, act: Act, force: bool, deed: &Deed) -> Result<(), StoreError> {
    let detail = force.then_some("force");
    let state = instance.state();
    let goal = match (act, state) {
        (Act::Reboot, _) => Goal::Reboot,
        (Act::Start, InstanceState::Running)
        | (Act::Stop, InstanceState::Stopped)
        | (Act::Terminate, InstanceState::Terminated) => {
            return done(tx, instance, deed, detail, &format!("it is {} already", state.name()));
        }
        (Act::Start | Act::Stop | Act::Terminate, _) => Goal::of(instance.wish),
    };
    begin(tx, instance, deed, goal, detail)
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
        scope: Scope,
        ids: Vec<String>,
        force: bool,
        deed: Deed,
    ) -> Result<Result<Vec<Change>, Refused>, StoreError> {
        self.write(move |tx| {
            let mut admitted = Vec::with_capacity(ids.len());
            let found = match all_owned(tx, &scope, ids)? {
                Ok(found) => found,
                Err(refused) => return Ok(Err(refused)),
            };
            for instance in found {
                let verdict = match lifecycle::admit(act, instance.wish, instance.observed) {
                    // Its guest is being asked, and this is more than that.
                    Verdict::Stay if force && !instance.force && instance.state() == InstanceState::Stopping => {
                        Verdict::Go(Wish::Stop)
                    }
                    verdict => verdict,
                };
                match verdict {
                    Verdict::Refuse => {
                        let state = instance.state();
                        done(tx, &instance, &deed, None, &format!("refused: it is {}", state.name()))?;
                        return Ok(Err(Refused::State(instance.id, state)));
                    }
                    Verdict::Go(_) if instance.is_protected(act) => {
                        done(tx, &instance, &deed, None, "refused: it is protected")?;
                        return Ok(Err(Refused::Protected(instance.id)));
                    }
                    Verdict::Go(wish) => admitted.push((instance, Some(wish))),
                    Verdict::Stay => admitted.push((instance, None)),
                }
            }
            let mut changes = Vec::with_capacity(admitted.len());
            for (mut instance, wish) in admitted {
                let before = instance.state();
                if let Some(wish) = wish {
                    instance.wish(wish, force, &deed);
                    save(tx, &instance)?;
                    close_all(tx, &instance.id, &format!("overtaken by {}", deed.action), deed.at)?;
                } else if act == Act::Reboot {
                    instance.epoch += 1;
                    save(tx, &instance)?;
                }
                note(tx, &instance, act, force, &deed)?;
                let after = instance.state();
                changes.push(Change { instance, before, after });
            }
            Ok(Ok(changes))
        })
        .await
    }

    /// Sets what an owner may set of instances: of all of them, or of none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn set_attributes(
        &self,
        scope: Scope,
        ids: Vec<String>,
        (deed, detail): (Deed, Option<String>),
        set: impl Fn(&mut Attributes) + Send + 'static,
    ) -> Result<Result<Vec<Instance>, Refused>, StoreError> {
        self.write(move |tx| {
            let mut found = match all_owned(tx, &scope, ids)? {
                Ok(found) => found,
                Err(refused) => return Ok(Err(refused)),
            };
            for instance in &mut found {
                set(&mut instance.attributes);
                save(tx, instance)?;
                done(tx, instance, &deed, detail.as_deref(), "done")?;
            }
            Ok(Ok(found))
        })
        .await
    }

    /// Gives a stopped instance another type, with which it comes back when it is started.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn resize(
        &self,
        scope: Scope,
        id: String,
        to: Resized,
        deed: Deed,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.write(move |tx| {
            let Some(mut instance) = owned(tx, &scope, &id)? else { return Ok(Err(Refused::NotFound(vec![id]))) };
            let state = instance.state();
            if state != InstanceState::Stopped {
                return Ok(Err(Refused::State(id, state)));
            }
            let found = reservation(tx, &instance.reservation_id)?;
            let of = found.ok_or_else(|| StoreError::Corrupt(format!("{id} has no reservation")))?;
            let (memory_mb, cores) = match &instance.resized {
                Some(now) => (now.memory_mb, now.cores),
                None => (of.memory_mb, of.cores),
            };
            let more = [
                (Quantity::Cores, to.cores.saturating_sub(cores)),
                (Quantity::MemoryMb, to.memory_mb.saturating_sub(memory_mb)),
            ];
            let more: Vec<(Quantity, u32)> = more.into_iter().filter(|(_, more)| *more > 0).collect();
            if let Some(excess) = excess(tx, &instance.owner, &more)? {
                return Ok(Err(Refused::TooMuch(excess)));
            }
            let detail = format!("instanceType = {}", to.type_name);
            instance.resized = Some(to);
            save(tx, &instance)?;
            done(tx, &instance, &deed, Some(&detail), "done: it comes back so when it is started")?;
            Ok(Ok(()))
        })
        .await
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
                    let before = instance.clone();
                    instance.move_to(instance.wish, Observed::Terminated, now);
                    instance.reason = Some(reason);
                    save(tx, &instance)?;
                    follow(tx, &before, &instance, None, now)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Resolves what has waited for too long. Compare-and-set: false, and nothing changed, if the wish is not of that
    /// `epoch` any more or the cluster has said something new.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn resolve(
        &self,
        id: String,
        (epoch, observed): (i64, Observed),
        resolution: Resolution,
        reason: Reason,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let unchanged = |instance: &Instance| (instance.epoch, instance.observed) == (epoch, observed);
            let Some(mut instance) = by_id(tx, &id)?.filter(unchanged) else { return Ok(false) };
            let (wish, observed) = match resolution {
                Resolution::Wait => return Ok(false),
                Resolution::GiveUp => (Wish::Terminate, observed),
                Resolution::TakeBack(wish) => (wish, observed),
                Resolution::Conclude => (instance.wish, Observed::Gone),
            };
            let before = instance.clone();
            instance.move_to(wish, observed, now);
            if wish != before.wish {
                instance.epoch += 1;
                close_all(tx, &id, &format!("given up: {}", reason.text), now)?;
            }
            instance.reason = Some(reason);
            save(tx, &instance)?;
            if wish == before.wish {
                follow(tx, &before, &instance, None, now)?;
            }
            Ok(true)
        })
        .await
    }

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
