//! Launching instances: place all of them, send each to its node, try another node when one
//! certainly did not take it, and undo everything when fewer than the minimum were taken. A launch
//! whose fate is not known is never sent to a second node: it is sent to the first again, when the
//! order comes again and by `refresh` when the node does not list it, and the first one's reports decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironbark_wsdl::{CallError, Context, nc};
use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::instance::{Instance, Launch, Spec};
use crate::error::ClusterError;
use crate::ids::{InstanceId, NodeName};
use crate::place::Schedule;
use crate::{budget, convert, fan, nodes};

/// How many nodes are tried for one instance (operations-spec.md C-4: max_attempts).
const MAX_ATTEMPTS: usize = 3;

/// A checked run request.
#[derive(Clone, Debug)]
pub struct Order {
    /// The instances wished, each with what it is launched as.
    pub wished: Vec<(InstanceId, Spec)>,
    /// Fewest acceptable.
    pub least: usize,
}

/// How one launch ended.
enum Fate {
    /// The node took it, or may have.
    Kept,
    /// No node took it; a sentence for people.
    Refused(String),
}

/// Runs an order: the ids that the cluster answers for from now on, in the order's order. Ids
/// that were launched before are among them; one that its node never acknowledged (this controller
/// may have died between writing it down and sending it) is sent to that node again.
///
/// # Errors
/// [`ClusterError::NoRoom`] and [`ClusterError::BelowMinimum`] when it comes to fewer than the
/// minimum; [`ClusterError::IdTaken`] for an id with another history. Then nothing new is left.
pub async fn run(cluster: &Arc<Cluster>, ctx: &Context, order: Order) -> Result<Vec<InstanceId>, ClusterError> {
    let order = Arc::new(order);
    let schedule = cluster.settings.schedule;
    let span = ctx.start("cc.place", format!("{} instances, {}", order.wished.len(), schedule.name()));
    let mut placed = Err(ClusterError::bad("instanceIds", "nothing was placed"));
    let recorded = cluster.change(|beliefs, now| placed = place_all(beliefs, &order, schedule, now)).await;
    span.finish(placed.as_ref().map_or_else(ToString::to_string, |placed| placed.record.join("; ")));
    let placed = placed?;
    if let Err(error) = recorded {
        // Nothing was sent, and nothing must stay claimed.
        forget(cluster, placed.new.into_iter().map(|(id, _)| id).collect()).await;
        return Err(error.into());
    }

    fan::each(placed.doubtful.clone(), |(id, node)| {
        let (cluster, ctx, order) = (cluster.clone(), ctx.clone(), order.clone());
        async move {
            if let Some((_, spec)) = order.wished.iter().find(|(wished, _)| *wished == id) {
                send_again(&cluster, &ctx, &id, spec, &node).await;
            }
        }
    })
    .await;
    let fates = fan::each(placed.new.clone(), |(id, node)| {
        let (cluster, ctx, order) = (cluster.clone(), ctx.clone(), order.clone());
        async move { launch(&cluster, &ctx, &order, &id, node).await }
    });
    let mut kept: BTreeSet<InstanceId> = placed.known.iter().cloned().collect();
    let mut refused = placed.refused;
    for ((id, _), fate) in placed.new.iter().zip(fates.await) {
        match fate {
            Fate::Kept => drop(kept.insert(id.clone())),
            Fate::Refused(why) => refused.push(format!("{id}: {why}")),
        }
    }
    if kept.len() < order.least {
        let why = refused.join("; ");
        let accepted = kept.len();
        let new: Vec<InstanceId> = placed.new.iter().map(|(id, _)| id.clone()).filter(|id| kept.contains(id)).collect();
        undo(cluster, ctx, new, &why).await?;
        return Err(ClusterError::BelowMinimum { accepted, least: order.least, why });
    }
    Ok(order.wished.iter().map(|(id, _)| id.clone()).filter(|id| kept.contains(id)).collect())
}

/// What placing an order came to.
#[derive(Default)]
struct Placed {
    /// Believed from before.
    known: Vec<InstanceId>,
    /// Of these, the ones whose launch no node has acknowledged, and where it was sent.
    doubtful: Vec<(InstanceId, NodeName)>,
    /// Placed now, and where.
    new: Vec<(InstanceId, NodeName)>,
    /// Not placed, with the decision.
    refused: Vec<String>,
    /// All decisions, for the trace.
    record: Vec<String>,
}

/// Places all instances of an order in one step, or none when they come to fewer than the minimum.
fn place_all(beliefs: &mut Beliefs, order: &Order, schedule: Schedule, now: Timestamp) -> Result<Placed, ClusterError> {
    let mut placed = Placed::default();
    for (id, spec) in &order.wished {
        if let Some(instance) = beliefs.instances.get(id) {
            same_launch(instance, spec)?;
            placed.known.push(id.clone());
            match instance.launch {
                Launch::Doubtful { .. } => placed.doubtful.push((id.clone(), instance.node.clone())),
                Launch::Calling | Launch::Settled => {}
            }
        }
    }
    for (id, spec) in order.wished.iter().filter(|(id, _)| !placed.known.contains(id)) {
        let decision = beliefs.place(id, spec, schedule, &BTreeSet::new(), now);
        placed.record.push(format!("{id}: {decision}"));
        match decision.chosen {
            Some(node) => placed.new.push((id.clone(), node)),
            None => placed.refused.push(format!("{id}: {decision}")),
        }
    }
    let possible = placed.known.len() + placed.new.len();
    if possible < order.least {
        for (id, _) in &placed.new {
            beliefs.forget(id);
        }
        return Err(ClusterError::NoRoom { possible, least: order.least, why: placed.refused.join("; ") });
    }
    Ok(placed)
}

/// An id that is believed already must be the same launch, come again.
fn same_launch(instance: &Instance, spec: &Spec) -> Result<(), ClusterError> {
    let taken = |why: String| Err(ClusterError::IdTaken { id: instance.id.clone(), why });
    if instance.unwanted {
        return taken(instance.reason.clone().unwrap_or_else(|| "its launch was undone".to_string()));
    }
    if (&instance.spec.owner, &instance.spec.reservation_id) != (&spec.owner, &spec.reservation_id) {
        return taken(format!(
            "it is an instance of reservation {} of {}",
            instance.spec.reservation_id, instance.spec.owner
        ));
    }
    Ok(())
}

/// Sends one instance to its node, and to another one if that certainly did not take it.
async fn launch(cluster: &Cluster, ctx: &Context, order: &Order, id: &InstanceId, first: NodeName) -> Fate {
    let Some((_, spec)) = order.wished.iter().find(|(wished, _)| wished == id) else {
        return Fate::Refused("it is not of this order".to_string());
    };
    let mut node = first;
    let mut tried = BTreeSet::new();
    let mut said = Vec::new();
    loop {
        let request = convert::run_instance(id, spec);
        let allowance = budget::share(ctx.remaining(), MAX_ATTEMPTS - tried.len());
        let error = match nodes::tell(cluster, ctx, &node, request, allowance).await {
            Ok(answer) => {
                accepted(cluster, id, &node, &answer).await;
                return Fate::Kept;
            }
            Err(error) => error,
        };
        said.push(nodes::sentence(&node, &error));
        if !certainly_not_taken(&error) {
            doubtful(cluster, id, &node, said.join("; ")).await;
            return Fate::Kept;
        }
        tried.insert(node.clone());
        match another(cluster, ctx, id, spec, &tried).await {
            Ok(next) => node = next,
            Err(why) => {
                said.push(why);
                return Fate::Refused(said.join("; "));
            }
        }
    }
}

/// Sends a launch once more to the node that may have it already: a node takes the same launch
/// once, however often it comes. Nothing but an acceptance changes what is believed, since a
/// refusal now says nothing about the first sending.
pub async fn send_again(cluster: &Cluster, ctx: &Context, id: &InstanceId, spec: &Spec, node: &NodeName) {
    let request = convert::run_instance(id, spec);
    match nodes::tell(cluster, ctx, node, request, budget::share(ctx.remaining(), 1)).await {
        Ok(answer) => accepted(cluster, id, node, &answer).await,
        // It may be on its way a second time: the doubt begins anew.
        Err(error) if !certainly_not_taken(&error) => doubtful(cluster, id, node, nodes::sentence(node, &error)).await,
        Err(error) => tracing::info!(instance = %id, "again: {}", nodes::sentence(node, &error)),
    }
}

/// True if this failure proves that the node did not take the launch. A fault does not: it may be
/// our own finding about an answer that we could not read.
fn certainly_not_taken(error: &CallError) -> bool {
    match error {
        CallError::Declined { .. } | CallError::Unreachable { .. } => true,
        CallError::Fault { .. } | CallError::TimedOut { .. } => false,
    }
}

/// Places an instance anew, away from those that refused it; why not, if there is no other. Then
/// nothing is believed of it any more.
async fn another(
    cluster: &Cluster,
    ctx: &Context,
    id: &InstanceId,
    spec: &Spec,
    tried: &BTreeSet<NodeName>,
) -> Result<NodeName, String> {
    let schedule = cluster.settings.schedule;
    let time_left = ctx.remaining() >= budget::CALL_MIN;
    let span = ctx.start("cc.place", format!("{id} again"));
    let placed = cluster.change(|beliefs, now| {
        let terminated = beliefs.instances.get(id).is_none_or(|instance| instance.unwanted);
        if terminated || tried.len() >= MAX_ATTEMPTS || !time_left {
            beliefs.forget(id);
            return Err(if terminated {
                "it was terminated meanwhile".to_string()
            } else if time_left {
                format!("{} nodes were tried, more are not", tried.len())
            } else {
                "there is no time left to try another node".to_string()
            });
        }
        let decision = beliefs.place(id, spec, schedule, tried, now);
        decision.chosen.clone().ok_or_else(|| decision.to_string())
    });
    let next = match placed.await {
        Ok(next) => next,
        Err(error) => {
            forget(cluster, vec![id.clone()]).await;
            Err(error.to_string())
        }
    };
    span.finish(next.as_ref().map_or_else(Clone::clone, ToString::to_string));
    next
}

async fn accepted(cluster: &Cluster, id: &InstanceId, node: &NodeName, answer: &nc::RunInstanceResponse) {
    let launched = answer.instance.as_ref().and_then(|instance| instance.launch_time).map(|time| time.timestamp());
    if let Err(error) = cluster.change(|beliefs, now| beliefs.accepted(id, launched, now)).await {
        // On disk it is a launch under way, which the node's reports settle after a restart.
        tracing::error!(instance = %id, node = %node, %error, "accepted, but that cannot be recorded");
    }
    cluster.kick(node);
}

async fn doubtful(cluster: &Cluster, id: &InstanceId, node: &NodeName, said: String) {
    tracing::warn!(instance = %id, node = %node, event = "cc.launch.doubtful", "{said}; its reports will tell");
    if let Err(error) = cluster.change(|beliefs, now| beliefs.doubtful(id, said, now)).await {
        tracing::error!(instance = %id, node = %node, %error, "doubtful, but that cannot be recorded");
    }
    cluster.kick(node);
}

/// Drops placements of which nothing was sent, after a write that failed.
async fn forget(cluster: &Cluster, ids: Vec<InstanceId>) {
    // Err: the disk still refuses. In memory they are forgotten, and that is what counts now.
    drop(cluster.change(|beliefs, _| ids.iter().for_each(|id| beliefs.forget(id))).await);
}

/// Undoes launches: they are marked first, so that even one that shows up much later is
/// terminated; then their nodes are told at once.
async fn undo(cluster: &Arc<Cluster>, ctx: &Context, ids: Vec<InstanceId>, why: &str) -> Result<(), ClusterError> {
    let reason = format!("undone: fewer than the minimum could be started ({why})");
    cluster.change(|beliefs, _| ids.iter().for_each(|id| beliefs.unwanted(id, reason.clone()))).await?;
    let told = fan::each(ids, |id| {
        let (cluster, ctx) = (cluster.clone(), ctx.detached(budget::CALL_MAX));
        async move {
            let Some(node) = cluster.read(|beliefs| beliefs.instances.get(&id).map(|instance| instance.node.clone()))
            else {
                return;
            };
            let request = nc::TerminateInstance { instance_id: id.to_string(), ..Default::default() };
            if let Err(error) = nodes::tell(&cluster, &ctx, &node, request, budget::CALL_MAX).await {
                tracing::warn!(instance = %id, node = %node, %error, "not undone yet; the next refresh tries again");
            }
            cluster.kick(&node);
        }
    });
    told.await;
    Ok(())
}
