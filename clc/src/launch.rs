//! Brings the clusters to what is wished. What is due is read from the records each time, so a
//! restart at any moment changes nothing: launches are sent again, terminations repeated, until
//! the cluster has said that it is so. A cluster knows an instance by its id, so nothing here
//! happens twice.

mod declined;
pub mod tries;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironbark_wsdl::ironbark::{InstanceResult, StartInstances, StopInstances};
use ironbark_wsdl::{CallError, Context, cc};
use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::causes::with_causes;
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::deadlines::Resolution;
use crate::lifecycle::{Due, Observed, Wish};
use crate::placement;
use crate::store::{Instance, Reason, Reservation, Resized, StoreError};

/// How often the records are looked at when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for a cluster's answer: 2.0.1's for queued messages.
const BUDGET: Duration = Duration::from_secs(60);
/// A stop or start that its cluster has refused for so long is taken back.
const REFUSED_FOR_LONG: SignedDuration = SignedDuration::from_mins(2);

/// Looks at the records whenever somebody rings, and every second, until the task is dropped.
pub async fn run(cloud: Arc<Cloud>) {
    let mut work = JoinSet::new();
    loop {
        if let Err(error) = begin(&cloud, &mut work).await {
            tracing::error!(event = "launch.records", error = with_causes(&error));
        }
        while work.try_join_next().is_some() {}
        // The pause only bounds how long a retry is overdue; wishes ring.
        drop(tokio::time::timeout(LOOK_EVERY, cloud.wished.notified()).await);
    }
}

/// Tells the clusters once everything that is due, and waits for their answers: a step for tests.
///
/// # Errors
/// [`StoreError`] if the records cannot be read.
pub async fn pass(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let mut work = JoinSet::new();
    begin(cloud, &mut work).await?;
    work.join_all().await;
    Ok(())
}

/// One message: what is due together, at the same cluster, by the same request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Batch {
    kind: Kind,
    cluster: String,
    request_id: String,
    owner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Launch { reservation_id: String },
    Terminate,
    Stop { force: bool },
    Start { size: Option<Resized> },
}

impl Kind {
    fn of(instance: &Instance) -> Option<Kind> {
        match instance.due() {
            Due::Nothing => None,
            Due::Launch => Some(Kind::Launch { reservation_id: instance.reservation_id.clone() }),
            Due::Terminate => Some(Kind::Terminate),
            Due::Stop => Some(Kind::Stop { force: instance.force }),
            Due::Start => Some(Kind::Start { size: instance.resized.clone() }),
        }
    }

    /// The name of the work in traces.
    fn name(&self) -> &'static str {
        match self {
            Kind::Launch { .. } => "clc.launch",
            Kind::Terminate => "clc.terminate",
            Kind::Stop { .. } => "clc.stop",
            Kind::Start { .. } => "clc.start",
        }
    }
}

async fn begin(cloud: &Arc<Cloud>, work: &mut JoinSet<()>) -> Result<(), StoreError> {
    let due = cloud.store.due().await?;
    cloud.tries.keep(&due);
    let now = Instant::now();
    let mut batches: BTreeMap<Batch, Vec<Instance>> = BTreeMap::new();
    for instance in due {
        let Some(kind) = Kind::of(&instance).filter(|_| cloud.tries.begin(&instance, now)) else { continue };
        let batch = Batch {
            kind,
            cluster: instance.cluster.clone(),
            request_id: instance.request_id.clone(),
            owner: instance.owner.clone(),
        };
        batches.entry(batch).or_default().push(instance);
    }
    for (batch, instances) in batches {
        let cloud = cloud.clone();
        work.spawn(async move {
            let said = carry_out(&cloud, &batch, &instances).await;
            let now = Instant::now();
            for instance in &instances {
                cloud.tries.end(&instance.id, &said, now);
            }
            // What waited for this hand (a termination for its launch) is due at once.
            cloud.wished.notify_one();
        });
    }
    Ok(())
}

/// Sends one message, and says what came of it.
async fn carry_out(cloud: &Arc<Cloud>, batch: &Batch, instances: &[Instance]) -> String {
    let epochs = convert::epochs(instances);
    let ctx = cloud.context(&batch.request_id, &batch.owner, BUDGET).with_epochs(epochs);
    let ids: Vec<String> = instances.iter().map(|instance| instance.id.clone()).collect();
    let detail = ids.join(" ");
    let span = ctx.start(batch.kind.name(), &detail);
    let work = async {
        match &batch.kind {
            Kind::Launch { reservation_id } => launch(cloud, span.ctx(), &batch.cluster, reservation_id, &ids).await,
            Kind::Terminate => terminate(cloud, span.ctx(), &batch.cluster, ids).await,
            Kind::Stop { force } => stop(cloud, span.ctx(), &batch.cluster, instances, *force).await,
            Kind::Start { size } => start(cloud, span.ctx(), &batch.cluster, instances, size.as_ref()).await,
        }
    };
    let result = span.ctx().during(work).await;
    let op = batch.kind.name();
    match result {
        Ok(outcome) => {
            tracing::info!(event = "launch.told", req = %ctx.request, op, cluster = batch.cluster, instances = detail, outcome);
            span.finish(&outcome);
            outcome
        }
        Err(error) => {
            let text = with_causes(&error);
            tracing::warn!(event = "launch.untold", req = %ctx.request, op, cluster = batch.cluster, instances = detail, error = text);
            span.finish(&text);
            text
        }
    }
}

/// Why a cluster was not told, or its answer not recorded. Both are tried again.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("the cluster")]
    Call(#[from] CallError),
    #[error("the records")]
    Record(#[from] StoreError),
}

async fn launch(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    cluster: &str,
    reservation_id: &str,
    ids: &[String],
) -> Result<String, Untold> {
    let Some((reservation, instances)) = cloud.store.reservation(reservation_id.to_string()).await? else {
        return Ok("the reservation is gone".to_string());
    };
    // Read again: a termination may have come since, and these are the ones in our hand.
    let mut waiting = instances.clone();
    waiting.retain(|instance| instance.due() != Due::Launch || ids.contains(&instance.id));
    let asked: Vec<Instance> = waiting.iter().filter(|instance| instance.due() == Due::Launch).cloned().collect();
    if asked.is_empty() {
        return Ok("nothing left to launch".to_string());
    }
    let answer = match order(cloud, ctx, cluster, &reservation, &waiting).await {
        Ok(answer) => answer,
        Err(CallError::Declined { reason }) => {
            let all = instances.len() == asked.len();
            return declined::declined(cloud, ctx, cluster, &reservation, &asked, all, reason).await;
        }
        Err(error) => return Err(error.into()),
    };
    let accepted = |instance: &&Instance| {
        answer.instances.iter().any(|accepted| accepted.instance_id.as_deref() == Some(instance.id.as_str()))
    };
    let (taken, left): (Vec<&Instance>, Vec<&Instance>) = asked.iter().partition(accepted);
    let outcome = format!("cluster {cluster} took {} of {}", taken.len(), asked.len());
    let text = format!("{outcome} that this request asked for; {}", placement::hint(&reservation.request_id));
    let reason = Reason::new("Server.InsufficientInstanceCapacity", text);
    let taken = taken.into_iter().map(|instance| instance.id.clone()).collect();
    let declined = left.into_iter().map(|instance| (instance.id.clone(), reason.clone())).collect();
    cloud.store.launched(taken, declined, cloud.now()).await?;
    Ok(outcome)
}

/// Says which placement group the instances are in, if they are in one, and what their nodes must be, then orders them.
async fn order(
    cloud: &Cloud,
    ctx: &Context,
    cluster: &str,
    reservation: &Reservation,
    waiting: &[Instance],
) -> Result<cc::RunInstancesResponse, CallError> {
    if let Some(group) = &reservation.placement_group {
        let ids = waiting.iter().map(|instance| instance.id.clone()).collect();
        tell(&cloud.clusters, ctx, cluster, convert::join_placement_group(group, ids), &group.id).await?;
    }
    let (architecture, tags) = (&reservation.architecture, cloud.node_tags(&reservation.type_name));
    let known = cloud.clusters.known(cluster).unwrap_or_default();
    if !tags.is_empty() || placement::is_to_be_told(&known, architecture) {
        let ids = waiting.iter().map(|instance| instance.id.clone()).collect();
        let restrict = convert::restrict_placement(architecture, tags, ids);
        tell(&cloud.clusters, ctx, cluster, restrict, &reservation.id).await?;
    }
    tell(&cloud.clusters, ctx, cluster, convert::run_instances(reservation, waiting), &reservation.id).await
}

async fn terminate(cloud: &Cloud, ctx: &Context, cluster: &str, ids: Vec<String>) -> Result<String, Untold> {
    let request = cc::TerminateInstances { instance_ids: ids.clone(), ..cc::TerminateInstances::default() };
    // The answer's own list (`isTerminated`) is worthless on the 2.0.1 wire: gone is what the
    // cluster, asked later, no longer names.
    tell(&cloud.clusters, ctx, cluster, request, &ids.join(" ")).await?;
    cloud.watch.terminate_accepted(cluster, &ids, cloud.clock.now());
    Ok("accepted".to_string())
}

async fn stop(
    cloud: &Cloud,
    ctx: &Context,
    cluster: &str,
    instances: &[Instance],
    force: bool,
) -> Result<String, Untold> {
    let ids: Vec<String> = instances.iter().map(|instance| instance.id.clone()).collect();
    let detail = ids.join(" ");
    let request = StopInstances { instance_ids: ids, force: Some(force), ..StopInstances::default() };
    let results = match tell(&cloud.clusters, ctx, cluster, request, &detail).await {
        Ok(answer) => answer.results,
        Err(CallError::Declined { reason }) => all_refused(instances, &reason),
        Err(error) => return Err(error.into()),
    };
    settle(cloud, instances, &results, Wish::Run).await
}

async fn start(
    cloud: &Cloud,
    ctx: &Context,
    cluster: &str,
    instances: &[Instance],
    size: Option<&Resized>,
) -> Result<String, Untold> {
    let ids: Vec<String> = instances.iter().map(|instance| instance.id.clone()).collect();
    let detail = ids.join(" ");
    let size = size.map(convert::size);
    let request = StartInstances { instance_ids: ids, size, ..StartInstances::default() };
    let results = match tell(&cloud.clusters, ctx, cluster, request, &detail).await {
        Ok(answer) => answer.results,
        Err(CallError::Declined { reason }) => all_refused(instances, &reason),
        Err(error) => return Err(error.into()),
    };
    settle(cloud, instances, &results, Wish::Stop).await
}

fn all_refused(instances: &[Instance], reason: &str) -> Vec<InstanceResult> {
    let refused = |instance: &Instance| InstanceResult {
        instance_id: instance.id.clone(),
        accepted: false,
        reason: Some(reason.to_string()),
    };
    instances.iter().map(refused).collect()
}

/// Says what became of each instance. One that is refused again and again for long goes back to
/// the wish it had, with the reason: no state is for ever.
async fn settle(
    cloud: &Cloud,
    instances: &[Instance],
    results: &[InstanceResult],
    back: Wish,
) -> Result<String, Untold> {
    let now = cloud.clock.now();
    let mut refusals = Vec::new();
    for result in results.iter().filter(|result| !result.accepted) {
        let text = result.reason.as_deref().unwrap_or("the cluster gave no reason");
        refusals.push(format!("{}: {text}", result.instance_id));
        let Some(instance) = instances.iter().find(|instance| instance.id == result.instance_id) else { continue };
        // What is being stopped already does not run again for it.
        let under_way = instance.observed == Observed::Stopping;
        if !under_way && now.duration_since(convert::timestamp(instance.since)) >= REFUSED_FOR_LONG {
            let reason = Reason::new("Server.InternalError", text);
            let known = (instance.epoch, instance.observed);
            cloud.store.resolve(instance.id.clone(), known, Resolution::TakeBack(back), reason, cloud.now()).await?;
        }
    }
    Ok(if refusals.is_empty() { "accepted".to_string() } else { refusals.join("; ") })
}
