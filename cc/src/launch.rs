//! Launching instances: have all of them placed (`placing`), have each sent to its node, or to another one that takes it
//! (`search`), and undo everything when fewer than the minimum were taken. A launch whose fate is not known is never sent
//! to a second node: it is sent to the first again, when the order comes again and by `refresh` when the node does not
//! list it, and the first one's reports decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironbark_wsdl::{Context, nc};

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::ids::{InstanceId, NodeName};
use crate::placing::{self, Order};
use crate::search::{self, Fate};
use crate::{budget, fan, nodes, sending};

/// Runs an order: the ids that the cluster answers for from now on, in the order's order. Ids
/// that were launched before are among them; one that its node never acknowledged (this controller
/// may have died between writing it down and sending it) is sent to that node again.
///
/// # Errors
/// [`ClusterError::NoRoom`] and [`ClusterError::BelowMinimum`] when it comes to fewer than the
/// minimum; [`ClusterError::IdTaken`] for an id with another history. Then nothing new is left.
pub async fn run(cluster: &Arc<Cluster>, ctx: &Context, order: Order) -> Result<Vec<InstanceId>, ClusterError> {
    let placed = placing::place(cluster, ctx, &order).await?;
    let order = Arc::new(order);
    fan::each(placed.doubtful.clone(), |(id, node)| {
        let (cluster, ctx, order) = (cluster.clone(), ctx.clone(), order.clone());
        async move {
            if let Some((_, spec)) = order.wished.iter().find(|(wished, _)| *wished == id) {
                sending::send_again(&cluster, &ctx, &id, spec, &node).await;
            }
        }
    })
    .await;
    let new = placed.placed();
    let fates = fan::each(new.clone(), |(id, node)| {
        let (cluster, ctx, order) = (cluster.clone(), ctx.clone(), order.clone());
        async move { launch(&cluster, &ctx, &order, &id, node).await }
    });
    let mut kept: BTreeSet<InstanceId> = placed.known.iter().cloned().collect();
    let mut refused = placed.refused();
    for ((id, _), fate) in new.iter().zip(fates.await) {
        match fate {
            Fate::Kept => drop(kept.insert(id.clone())),
            Fate::Refused(why) => refused.push(format!("{id}: {why}")),
        }
    }
    if kept.len() < order.least {
        let why = refused.join("; ");
        let accepted = kept.len();
        let new: Vec<InstanceId> = new.into_iter().map(|(id, _)| id).filter(|id| kept.contains(id)).collect();
        undo(cluster, ctx, new, &why).await?;
        return Err(ClusterError::BelowMinimum { accepted, least: order.least, why });
    }
    Ok(order.wished.iter().map(|(id, _)| id.clone()).filter(|id| kept.contains(id)).collect())
}

/// Sends one instance to its node, and to another one if that certainly did not take it.
async fn launch(cluster: &Cluster, ctx: &Context, order: &Order, id: &InstanceId, first: NodeName) -> Fate {
    match order.wished.iter().find(|(wished, _)| wished == id) {
        Some((_, spec)) => search::send(cluster, ctx, id, spec, first).await,
        None => Fate::Refused("it is not of this order".to_string()),
    }
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
                tracing::warn!(event = "cc.launch.not-undone", instance = %id, node = %node, %error, "not undone yet; the next refresh tries again");
            }
            cluster.kick(&node);
        }
    });
    told.await;
    Ok(())
}
