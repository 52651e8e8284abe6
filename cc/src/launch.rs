//! Launching instances: have all of them placed (`placing`), have each sent to its node (`sending`), try another
//! node when one certainly did not take it, and undo everything when fewer than the minimum were taken. A launch
//! whose fate is not known is never sent to a second node: it is sent to the first again, when the order comes again
//! and by `refresh` when the node does not list it, and the first one's reports decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ironbark_wsdl::{CallError, Context, nc};

use crate::cluster::Cluster;
use crate::cluster::instance::Spec;
use crate::cluster::placements::Outcome;
use crate::error::ClusterError;
use crate::ids::{InstanceId, NodeName};
use crate::placing::{self, Order};
use crate::sending::{self, Sent};
use crate::{budget, fan, nodes};

/// How many nodes are tried for one instance (operations-spec.md C-4: max_attempts).
const MAX_ATTEMPTS: usize = 3;

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
    let Some((_, spec)) = order.wished.iter().find(|(wished, _)| wished == id) else {
        return Fate::Refused("it is not of this order".to_string());
    };
    let mut node = first;
    let mut tried = BTreeSet::new();
    let mut said = Said::default();
    loop {
        let allowance = budget::share(ctx.remaining(), MAX_ATTEMPTS - tried.len());
        let error = match sending::send(cluster, ctx, id, spec, &node, allowance).await {
            Sent::Kept => return Fate::Kept,
            Sent::NotTaken(error) => error,
        };
        said.push(&error);
        tried.insert(node.clone());
        match another(cluster, ctx, id, spec, &tried, &error).await {
            Ok(next) => node = next,
            Err(why) => return Fate::Refused(format!("{said}; {why}")),
        }
    }
}

/// What the nodes that were tried said of one instance, counted: whose it is may not see the nodes.
#[derive(Default)]
struct Said(BTreeMap<String, usize>);

impl Said {
    fn push(&mut self, error: &CallError) {
        *self.0.entry(nodes::words(error)).or_default() += 1;
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(words, count): (&String, &usize)| match count {
            1 => format!("1 node {words}"),
            _ => format!("{count} nodes {words}"),
        };
        f.write_str(&self.0.iter().map(one).collect::<Vec<_>>().join("; "))
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
    said: &CallError,
) -> Result<NodeName, String> {
    let schedule = cluster.settings.schedule;
    let time_left = ctx.remaining() >= budget::CALL_MIN;
    let span = ctx.start("cc.place", format!("{id} again"));
    let placed = cluster.change(|beliefs, now| {
        let terminated = beliefs.instances.get(id).is_none_or(|instance| instance.unwanted);
        let node = beliefs.instances.get(id).map(|instance| instance.node.clone());
        if let Some(node) = node.and_then(|node| beliefs.node_mut(&node)) {
            node.launch_failed(now);
        }
        beliefs.placements.ended(id, Outcome::Refused(nodes::words(said)));
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
        let outcome = if decision.chosen.is_some() { Outcome::Sent } else { Outcome::Nowhere };
        beliefs.placements.add(ctx.request.as_str(), Some(id.clone()), spec.size, decision.clone(), outcome, now);
        decision.chosen.clone().ok_or_else(|| decision.summary_of_others())
    });
    let next = match placed.await {
        Ok(next) => next,
        Err(error) => {
            placing::forget(cluster, vec![id.clone()]).await;
            Err(error.to_string())
        }
    };
    span.finish(next.as_ref().map_or_else(Clone::clone, ToString::to_string));
    next
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
