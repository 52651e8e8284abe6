//! How the runner's effects are carried out: calls to the hypervisor, files, images. Each ends, in
//! bounded time, as an [`Outcome`]; nothing here decides what follows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::Context;
use tracing::Instrument;

use crate::hypervisor::{AttachedDisk, HypervisorError};
use crate::lifecycle::{Action, Call, Ended};
use crate::shop::Shop;
use crate::stage::{self, Unmade};
use crate::state::{Record, Staged, Volume};
use crate::volumes;

pub use crate::stage::with_causes as causes;

/// What came of something the runner started.
pub enum Outcome {
    /// An action of the lifecycle ended.
    Done {
        /// Which.
        action: Action,
        /// How.
        ended: Ended,
    },
    /// A disk was plugged in or out, or not.
    Plugged {
        /// The volume.
        volume_id: String,
        /// Whether it was to come or to go.
        attach: bool,
        /// What the hypervisor said.
        plugged: Result<(), HypervisorError>,
    },
    /// The hypervisor was asked for the disks.
    Disks(Result<Vec<AttachedDisk>, HypervisorError>),
}

/// Carries out one action.
pub async fn perform(shop: Arc<Shop>, record: Record, action: Action, ctx: Context) -> Outcome {
    let name = span_name(action);
    let log = tracing::info_span!("work", req = %ctx.request, instance = %record.id, name);
    let span = ctx.start(name, record.id.as_str());
    let ended = act(&shop, &record, action).instrument(log.clone()).await;
    let outcome = outcome_text(&ended);
    log.in_scope(|| tracing::info!(event = "nc.effect", outcome));
    span.finish(outcome);
    Outcome::Done { action, ended }
}

async fn act(shop: &Arc<Shop>, record: &Record, action: Action) -> Ended {
    let key = stage::key(record);
    let (hypervisor, within) = (&shop.hypervisor, shop.times.call);
    match action {
        Action::PrepareNetwork => Ended::Network(prepare_network(shop.bridge.as_deref())),
        Action::StartDomain => Ended::Start(start_domain(shop, record).await),
        Action::AskReboot => Ended::AskReboot(call(hypervisor.request_reboot(&key, within).await)),
        Action::Reset => Ended::Reset(call(hypervisor.reset(&key, within).await)),
        Action::AskShutdown => Ended::AskShutdown(call(hypervisor.request_shutdown(&key, within).await)),
        Action::Destroy => Ended::Destroy(call(hypervisor.destroy(&key, within).await)),
        Action::RemoveDomain => Ended::Remove(remove_domain(shop, record).await),
        Action::ReleaseFiles => Ended::Release(release_files(shop, record).await),
    }
}

fn span_name(action: Action) -> &'static str {
    match action {
        Action::PrepareNetwork => "nc.network",
        Action::StartDomain => "nc.domain.start",
        Action::AskReboot => "nc.domain.request_reboot",
        Action::Reset => "nc.domain.reset",
        Action::AskShutdown => "nc.domain.request_shutdown",
        Action::Destroy => "nc.domain.destroy",
        Action::RemoveDomain => "nc.domain.remove",
        Action::ReleaseFiles => "nc.files.release",
    }
}

fn outcome_text(ended: &Ended) -> String {
    match ended {
        Ended::Stage(result) | Ended::Network(result) | Ended::Release(result) => match result {
            Ok(()) => "ok".to_string(),
            Err(reason) => reason.clone(),
        },
        Ended::Start(call)
        | Ended::AskReboot(call)
        | Ended::Reset(call)
        | Ended::AskShutdown(call)
        | Ended::Destroy(call)
        | Ended::Remove(call) => match call {
            Call::Done => "ok".to_string(),
            Call::Absent => "no such domain".to_string(),
            Call::Refused(reason) | Call::Unknown(reason) | Call::NotBegun(reason) => reason.clone(),
        },
    }
}

/// What can be concluded from an answer of the hypervisor.
fn call<T>(answer: Result<T, HypervisorError>) -> Call {
    match answer {
        Ok(_) => Call::Done,
        Err(HypervisorError::Absent { .. }) => Call::Absent,
        Err(error @ HypervisorError::Refused { .. }) => Call::Refused(error.to_string()),
        Err(error @ HypervisorError::TimedOut { .. }) => Call::Unknown(error.to_string()),
        Err(error @ HypervisorError::Unavailable { .. }) => Call::NotBegun(error.to_string()),
    }
}

/// In SYSTEM mode all there is to make ready is the bridge, and that is the administrator's.
pub fn prepare_network(bridge: Option<&str>) -> Result<(), String> {
    match bridge {
        Some(bridge) if !Path::new("/sys/class/net").join(bridge).exists() => Err(format!(
            "there is no bridge '{bridge}' on this node; make it, or correct [hypervisor] bridge in nc.toml"
        )),
        Some(_) | None => Ok(()),
    }
}

async fn start_domain(shop: &Arc<Shop>, record: &Record) -> Call {
    let files = shop.store.files(&record.id);
    match stage::domain(record, &files, shop.bridge.as_deref()) {
        Ok(spec) => call(shop.hypervisor.start(spec, shop.times.start).await),
        Err(reason) => Call::Refused(reason),
    }
}

/// Pulls the plug and forgets the definition. The second call waits, in the hypervisor's queue, for whatever else is under way
/// on the domain, such as a start whose answer was lost: when it has succeeded, nothing brings the domain back.
async fn remove_domain(shop: &Arc<Shop>, record: &Record) -> Call {
    let key = stage::key(record);
    match call(shop.hypervisor.destroy(&key, shop.times.call).await) {
        Call::Done | Call::Absent => call(shop.hypervisor.undefine(&key, shop.times.call).await),
        failed @ (Call::Refused(_) | Call::Unknown(_) | Call::NotBegun(_)) => failed,
    }
}

async fn release_files(shop: &Arc<Shop>, record: &Record) -> Result<(), String> {
    let (shop, id) = (shop.clone(), record.id.clone());
    blocking(move || shop.store.release_files(&id)).await.map_err(|error| causes(&error))
}

/// Makes an instance's files, as soon as the node's disk is not too busy with others'.
pub async fn stage(shop: Arc<Shop>, record: Record, ctx: Context) -> Result<Staged, Unmade> {
    let log = tracing::info_span!("work", req = %ctx.request, instance = %record.id, name = "nc.stage");
    let span = ctx.start("nc.stage", record.id.as_str());
    let staged = async {
        let _turn = shop.staging.acquire().await.map_err(|error| Unmade::here(error.to_string()))?;
        let files = shop.store.make_files(&record.id).map_err(|error| Unmade::here(causes(&error)))?;
        stage::stage(span.ctx(), &shop.images, &record, &files).await
    };
    let staged = staged.instrument(log).await;
    span.finish(staged.as_ref().err().map_or("ok", |unmade| &unmade.reason));
    staged
}

/// The time for plugging a disk: less than the caller waits, so that he hears how it ended.
fn plugging_time(shop: &Shop, ctx: &Context) -> Duration {
    shop.times.call.min(ctx.remaining().saturating_sub(Duration::from_millis(500)))
}

/// Plugs a volume in.
pub async fn plug(shop: Arc<Shop>, record: Record, volume: Volume, ctx: Context) -> Outcome {
    let span = ctx.start("nc.domain.attach_disk", &volume.id);
    let plugged =
        shop.hypervisor.attach_disk(&stage::key(&record), volumes::disk(&volume), plugging_time(&shop, &ctx)).await;
    span.finish(plugged.as_ref().map_or_else(ToString::to_string, |()| "ok".to_string()));
    Outcome::Plugged { volume_id: volume.id, attach: true, plugged }
}

/// Takes a volume out.
pub async fn unplug(shop: Arc<Shop>, record: Record, volume: Volume, ctx: Context) -> Outcome {
    let span = ctx.start("nc.domain.detach_disk", &volume.id);
    let plugged = shop.hypervisor.detach_disk(&stage::key(&record), &volume.target, plugging_time(&shop, &ctx)).await;
    span.finish(plugged.as_ref().map_or_else(ToString::to_string, |()| "ok".to_string()));
    Outcome::Plugged { volume_id: volume.id, attach: false, plugged }
}

/// The domain's disks, as the hypervisor has them.
pub async fn disks(shop: Arc<Shop>, record: Record) -> Result<Vec<AttachedDisk>, HypervisorError> {
    shop.hypervisor.disks(&stage::key(&record), shop.times.call).await
}

/// Does what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match ironbark_wsdl::blocking::spawn(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
