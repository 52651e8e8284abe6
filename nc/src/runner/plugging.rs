//! The runner's part about disks: written down before they are plugged, and asked for when nobody
//! knows whether they were.

use ironbark_wsdl::{Context, Refusal};
use tokio::sync::oneshot;

use super::{Runner, VolumeAsk};
use crate::effects::{self, Outcome};
use crate::hypervisor::{AttachedDisk, HypervisorError};
use crate::lifecycle::{Sighting, State};
use crate::state::{Record, Volume, VolumeState};
use crate::volumes;

/// What a request about a disk leads to.
enum Plan {
    /// It only needs writing down: the domain is off and gets its disks when it is started.
    Note,
    /// The hypervisor has to act for this volume.
    Plug(Volume),
    /// The same, the other way.
    Unplug(Volume),
}

impl Runner {
    pub(super) async fn volume_asked(
        &mut self,
        ask: VolumeAsk,
        ctx: &Context,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) {
        let refuse = |reason: String| Refusal::new(format!("{}: {reason}", self.id));
        let mut next = self.record.clone();
        let plan = match self.plan(&mut next, &ask) {
            Ok(plan) => plan,
            Err(reason) => {
                let _ = answer.send(Err(refuse(reason)));
                return;
            }
        };
        if let Err(error) = self.save(&next).await {
            let text = format!("not done, since its record could not be saved: {}", effects::causes(&error));
            let _ = answer.send(Err(refuse(text)));
            return;
        }
        self.enter(next);
        let (shop, record, ctx) = (self.shop.clone(), self.record.clone(), ctx.clone());
        match plan {
            Plan::Note => {
                let _ = answer.send(Ok(()));
            }
            Plan::Plug(volume) => {
                self.plugging = Some(answer);
                self.tasks.spawn(effects::plug(shop, record, volume, ctx));
            }
            Plan::Unplug(volume) => {
                self.plugging = Some(answer);
                self.tasks.spawn(effects::unplug(shop, record, volume, ctx));
            }
        }
    }

    /// Decides about a request and writes the decision into `next`.
    fn plan(&self, next: &mut Record, ask: &VolumeAsk) -> Result<Plan, String> {
        let running = match &self.record.state {
            State::Running => true,
            State::Stopped(_) => false,
            State::Pending(_)
            | State::Rebooting(_)
            | State::Stopping(_)
            | State::Starting(_)
            | State::ShuttingDown(..)
            | State::Terminated
            | State::Failed(_) => {
                return Err(format!(
                    "it is {}; disks are attached and detached while it is running or stopped",
                    self.record.state.name()
                ));
            }
        };
        if self.plugging.is_some() || volumes::unsettled(&self.record) {
            return Err("another of its volumes is being attached or detached; try again in a moment".to_string());
        }
        match ask {
            VolumeAsk::Attach(plug) => {
                volumes::may_plug(&self.record, plug)?;
                let volume = Volume {
                    id: plug.volume_id.clone(),
                    source: plug.source.clone(),
                    requested: plug.requested.clone(),
                    target: plug.target.clone(),
                    state: if running { VolumeState::Attaching } else { VolumeState::Attached },
                };
                next.volumes.push(volume.clone());
                Ok(if running { Plan::Plug(volume) } else { Plan::Note })
            }
            VolumeAsk::Detach { volume_id, source } => {
                let volume = volumes::find(&self.record, volume_id, source)?.clone();
                if running {
                    mark(next, &volume.id, Some(VolumeState::Detaching));
                    Ok(Plan::Unplug(volume))
                } else {
                    mark(next, &volume.id, None);
                    Ok(Plan::Note)
                }
            }
        }
    }

    /// The hypervisor has answered, or not, about a volume.
    pub(super) async fn plugged(&mut self, volume_id: &str, attach: bool, result: Result<(), HypervisorError>) {
        let mut next = self.record.clone();
        let listed = next.volumes.iter().any(|volume| volume.id == volume_id);
        let settled = |there: bool| there.then_some(VolumeState::Attached);
        match &result {
            Ok(()) => mark(&mut next, volume_id, settled(attach)),
            Err(
                HypervisorError::Absent { .. } | HypervisorError::Unavailable { .. } | HypervisorError::Refused { .. },
            ) => mark(&mut next, volume_id, settled(!attach)),
            // It may have been done: the list of disks will tell, after the next sighting.
            Err(HypervisorError::TimedOut { .. }) => self.shop.bell.notify_one(),
        }
        self.save_surely(&next).await;
        self.enter(next);
        let word = match result {
            Ok(()) if attach && !listed => {
                Err("the instance went off while it was attached; attach it again".to_string())
            }
            Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        tracing::info!(event = "nc.volume", instance = %self.id, volume = volume_id, attach, outcome = ?word);
        if let Some(answer) = self.plugging.take() {
            let _ = answer.send(word.map_err(|why| Refusal::new(format!("{}: volume {volume_id}: {why}", self.id))));
        }
    }

    /// Asks for the disks of a running domain when the fate of one is unknown.
    pub(super) fn resolve_volumes(&mut self, sighting: Sighting) {
        if sighting == Sighting::Running
            && self.plugging.is_none()
            && !self.resolving
            && volumes::unsettled(&self.record)
        {
            self.resolving = true;
            let (shop, record) = (self.shop.clone(), self.record.clone());
            self.tasks.spawn(async move { Outcome::Disks(effects::disks(shop, record).await) });
        }
    }

    pub(super) async fn disks_seen(&mut self, disks: Result<Vec<AttachedDisk>, HypervisorError>) {
        self.resolving = false;
        // Not known, or known of a moment before another plugging began.
        let (Ok(disks), None) = (disks, &self.plugging) else { return };
        let mut next = self.record.clone();
        next.volumes = volumes::resolve(&next.volumes, &disks);
        self.save_surely(&next).await;
        tracing::info!(event = "nc.volume.resolved", instance = %self.id, volumes = next.volumes.len());
        self.enter(next);
    }
}

/// Sets a volume's state in a record; `None` takes it out.
fn mark(record: &mut Record, volume_id: &str, state: Option<VolumeState>) {
    match state {
        None => record.volumes.retain(|volume| volume.id != volume_id),
        Some(state) => {
            for volume in &mut record.volumes {
                if volume.id == volume_id {
                    volume.state = state;
                }
            }
        }
    }
}
