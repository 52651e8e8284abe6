//! Sending one launch to its node, and writing down what the node said of it. A launch that its node may have stays
//! with that node, doubtful until the node's reports decide. Which node, and what then, is `launch`'s and `refresh`'s.

use std::time::Duration;

use ironbark_wsdl::{CallError, Context, nc};

use crate::cluster::Cluster;
use crate::cluster::instance::Spec;
use crate::cluster::placements::Outcome;
use crate::ids::{InstanceId, NodeName};
use crate::{budget, convert, nodes};

/// What became of a launch that was sent.
pub enum Sent {
    /// The node took it, or may have.
    Kept,
    /// The node certainly did not take it.
    NotTaken(CallError),
}

/// Sends a launch to its node, which has `allowance` to answer.
pub async fn send(
    cluster: &Cluster,
    ctx: &Context,
    id: &InstanceId,
    spec: &Spec,
    node: &NodeName,
    allowance: Duration,
) -> Sent {
    match nodes::tell(cluster, &ctx.about(id.as_str()), node, convert::run_instance(id, spec), allowance).await {
        Ok(answer) => accepted(cluster, id, node, &answer).await,
        Err(error) if certainly_not_taken(&error) => return Sent::NotTaken(error),
        Err(error) => doubtful(cluster, id, node, &error).await,
    }
    Sent::Kept
}

/// Sends a launch once more to the node that may have it already: a node takes the same launch
/// once, however often it comes. A refusal changes nothing, since it says nothing about the first
/// sending; without an answer it may be on its way a second time, and the doubt begins anew.
pub async fn send_again(cluster: &Cluster, ctx: &Context, id: &InstanceId, spec: &Spec, node: &NodeName) {
    if let Sent::NotTaken(error) = send(cluster, ctx, id, spec, node, budget::share(ctx.remaining(), 1)).await {
        let said = nodes::sentence(node, &error);
        tracing::info!(event = "cc.launch.not-taken", req = %ctx.request, instance = %id, "{said}");
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

async fn accepted(cluster: &Cluster, id: &InstanceId, node: &NodeName, answer: &nc::RunInstanceResponse) {
    let launched = answer.instance.as_ref().and_then(|instance| instance.launch_time).map(|time| time.timestamp());
    let change = cluster.change(|beliefs, now| {
        beliefs.accepted(id, launched, now);
        beliefs.placements.ended(id, Outcome::Taken);
    });
    if let Err(error) = change.await {
        // On disk it is a launch under way, which the node's reports settle after a restart.
        tracing::error!(event = "cc.record.unsaved", instance = %id, node = %node, %error, "accepted, but that cannot be recorded");
    }
    cluster.kick(node);
}

async fn doubtful(cluster: &Cluster, id: &InstanceId, node: &NodeName, error: &CallError) {
    let said = nodes::sentence(node, error);
    tracing::warn!(instance = %id, node = %node, event = "cc.launch.doubtful", "{said}; its reports will tell");
    let change = cluster.change(|beliefs, now| {
        beliefs.doubtful(id, said, now);
        beliefs.placements.ended(id, Outcome::Unanswered(nodes::words(error)));
    });
    if let Err(error) = change.await {
        tracing::error!(event = "cc.record.unsaved", instance = %id, node = %node, %error, "doubtful, but that cannot be recorded");
    }
    cluster.kick(node);
}
