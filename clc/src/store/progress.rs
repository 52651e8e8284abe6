//! How instances get on: an owner's wish, a launch's outcome, what has waited for too long. The rules are in
//! `lifecycle`; here they are applied to rows, each use-case in one transaction, so that a wish and
//! a report (`reports`) that come at the same moment cannot overwrite each other.

use rusqlite::Connection;

use super::history::{Deed, Goal, begin, close_all, done, follow};
use super::instances::{Attributes, Instance, Reason, Resized, all_owned, by_id, owned, save};
use super::quotas::{Excess, Quantity, excess};
use super::reservations::reservation;
use super::{Scope, Store, StoreError};
use crate::deadlines::Resolution;
use crate::ec2::instances::InstanceState;
use crate::lifecycle::{self, Act, Observed, Verdict, Wish};

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
    pub(super) fn move_to(&mut self, wish: Wish, observed: Observed, now: i64) {
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
}
