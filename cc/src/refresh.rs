//! Keeping the beliefs fresh: a task for each node asks it, pauses, and asks again, so that a node
//! that hangs delays only its own refresh. A node that does not answer is marked and not
//! forgotten. Two things are done on what is seen: an instance that is not wanted any more is
//! terminated wherever it turns up, and a launch without an answer that its node does not list is
//! sent there again.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ironbark_wsdl::{CallError, Context, RequestId, ironbark, nc};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::instance::{Launch, Spec};
use crate::cluster::merge::{Notice, Report, merge};
use crate::cluster::node::{Health, Identity, Profile};
use crate::cluster::overdue;
use crate::ids::InstanceId;
use crate::link::Link;
use crate::nodes;
use crate::{budget, convert, fan, network, search, sending};

/// How long the first answers of all nodes are waited for at start.
const FIRST_ROUND: Duration = Duration::from_secs(6);
/// The pause before a refresh that was asked for, so that what the node just began shows in it.
const AFTER_KICK: Duration = Duration::from_millis(100);
/// From one refresh to the next that was asked for: a node that is asked a thousand things a second is
/// not also asked for everything ten times a second.
const SPACING: Duration = Duration::from_millis(500);

/// Asks every node once, waiting a few seconds for their answers, then keeps asking until the
/// cluster is dropped.
pub async fn start(cluster: &Arc<Cluster>) {
    let first = reachable(cluster);
    if tokio::time::timeout(FIRST_ROUND, first).await.is_err() {
        tracing::warn!(event = "cc.start.incomplete", "not every node answered in time; serving with what is known");
    }
    for link in cluster.links() {
        watch(cluster, link);
    }
    let weak = Arc::downgrade(cluster);
    let pause = cluster.settings.poll;
    tokio::spawn(async move {
        let mut complaint = None;
        while let Some(cluster) = weak.upgrade() {
            housekeep(&cluster, &mut complaint).await;
            drop(cluster);
            tokio::time::sleep(pause).await;
        }
    });
}

/// Keeps asking one node.
pub fn watch(cluster: &Arc<Cluster>, link: Arc<Link>) {
    let weak: Weak<Cluster> = Arc::downgrade(cluster);
    let pause = cluster.settings.poll;
    let task = tokio::spawn({
        let link = link.clone();
        async move {
            let mut soonest = Instant::now();
            loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = link.kick.notified() => {
                        tokio::time::sleep_until(soonest.max(Instant::now() + AFTER_KICK)).await;
                    }
                }
                let Some(cluster) = weak.upgrade() else { return };
                soonest = Instant::now() + SPACING;
                refresh(&cluster, &link).await;
            }
        }
    });
    link.watched_by(task.abort_handle());
}

/// Asks all nodes that are not down, at once, and waits for all their answers: for when an
/// instance is asked for that nobody is known to have.
pub async fn reachable(cluster: &Arc<Cluster>) {
    refresh_all(cluster, |health| health != Health::Down).await;
}

/// Asks the nodes that missed a refresh, or have not been asked yet, and waits for all their answers: for
/// when no other has room.
pub async fn silent(cluster: &Arc<Cluster>) {
    refresh_all(cluster, |health| matches!(health, Health::Unknown | Health::Suspect)).await;
}

async fn refresh_all(cluster: &Arc<Cluster>, of: impl Fn(Health) -> bool) {
    let links: Vec<Arc<Link>> = cluster
        .links()
        .into_iter()
        .filter(|link| cluster.read(|beliefs| beliefs.node(&link.name).is_some_and(|node| of(node.health))))
        .collect();
    fan::each(links, |link| {
        let cluster = cluster.clone();
        async move { refresh(&cluster, &link).await }
    })
    .await;
}

/// Asks one node and merges its answer, or notes that it gave none. Returns when the node was
/// asked after this was called, by whomever: a thousand callers cost two rounds and not a thousand.
pub async fn refresh(cluster: &Cluster, link: &Link) {
    let Some(_turn) = link.turn().await else { return };
    let _permit = cluster.permits.round().await;
    let number = match cluster.change(|beliefs, _| beliefs.begin_report()).await {
        Ok(number) => number,
        Err(error) => return tracing::error!(event = "cc.record.unsaved", node = %link.name, %error),
    };
    let ctx = cluster.background(budget::REFRESH * 3);
    let answer = ask(cluster, &ctx, link, number).await;
    let answered = answer.is_ok();
    let merged = match answer {
        Ok(report) => cluster.change(|beliefs, now| merge(beliefs, &link.name, report, now)).await,
        Err(error) => missed(cluster, link, &error).await.map(|()| Vec::new()),
    };
    match merged {
        Ok(notices) => notices.iter().for_each(|notice| log(link, notice)),
        Err(error) => tracing::error!(event = "cc.record.unsaved", node = %link.name, %error),
    }
    end_unwanted(cluster, &ctx, link).await;
    if answered {
        send_doubtful(cluster, &ctx, link).await;
    }
    send_elsewhere(cluster, &ctx, link).await;
}

/// The three questions of a refresh. The list comes first: what it has is counted in the numbers
/// that come last, so that a claim can go when its instance is listed.
async fn ask(cluster: &Cluster, ctx: &Context, link: &Link, number: u64) -> Result<Report, CallError> {
    let listed = nodes::tell(cluster, ctx, &link.name, nc::DescribeInstances::default(), budget::REFRESH).await?;
    let described = describe(cluster, ctx, link).await;
    let room = nodes::tell(cluster, ctx, &link.name, nc::DescribeResource::default(), budget::REFRESH).await?;
    let (identity, details) = match described {
        Some((identity, details)) => (Some(identity), details),
        None => (None, BTreeMap::new()),
    };
    let sightings = listed.instances.iter().filter_map(|instance| {
        let seen = convert::sighting(instance, details.get(&instance.instance_id));
        // An id that is none cannot be one of ours; the node's own log has it.
        seen.inspect_err(|error| tracing::debug!(event = "cc.instance.stranger", node = %link.name, %error)).ok()
    });
    let sightings = sightings.collect();
    let old =
        cluster.read(|beliefs| beliefs.node(&link.name).is_some_and(|node| node.entry.profile == Profile::Euca201));
    let (offered, free) = if old { convert::old_rooms(&room, &listed.instances) } else { convert::rooms(&room) };
    Ok(Report { number, sightings, offered, free, identity })
}

/// What the node tells of itself and its instances beyond the 2.0.1 wire; `None` where it knows
/// only that, or did not answer this time.
async fn describe(
    cluster: &Cluster,
    ctx: &Context,
    link: &Link,
) -> Option<(Identity, BTreeMap<String, ironbark::NodeInstance>)> {
    let now = cluster.clock.now();
    let known = cluster.read(|beliefs| {
        beliefs.node(&link.name).filter(|node| node.may_know_more(now)).map(|node| node.identity.clone())
    })?;
    match nodes::tell(cluster, ctx, &link.name, ironbark::DescribeNode::default(), budget::REFRESH).await {
        Ok(node) => {
            let details =
                node.instances.iter().map(|instance| (instance.instance_id.clone(), instance.clone())).collect();
            Some((convert::identity(node), details))
        }
        Err(CallError::Fault { reason, .. }) => {
            tracing::info!(event = "cc.node.old", node = %link.name, reason, "it tells what the 2.0.1 wire has");
            Some((Identity { old_wire: Some(now), facts: None, ..known }, BTreeMap::new()))
        }
        Err(error) => {
            tracing::debug!(event = "cc.node.undescribed", node = %link.name, %error);
            None
        }
    }
}

/// Notes that a node gave no answer.
async fn missed(cluster: &Cluster, link: &Link, error: &CallError) -> Result<(), crate::journal::JournalError> {
    let reason = convert::miss(error);
    let poll = cluster.settings.poll;
    let change = cluster.change(|beliefs, now| {
        let node = beliefs.node_mut(&link.name)?;
        let before = node.health;
        node.missed(reason, poll, now);
        (node.health != before).then(|| node.condition())
    });
    if let Some(condition) = change.await? {
        tracing::warn!(node = %link.name, condition, event = "cc.node.health");
    }
    Ok(())
}

fn log(link: &Link, notice: &Notice) {
    match notice {
        Notice::Disputed { .. } => tracing::error!(node = %link.name, event = "cc.instance.disputed", "{notice}"),
        Notice::Vanished { .. } => tracing::warn!(node = %link.name, event = "cc.instance.gone", "{notice}"),
        Notice::Changed { .. } | Notice::Adopted { .. } | Notice::Moved { .. } => {
            tracing::info!(node = %link.name, event = "cc.instance.seen", "{notice}");
        }
    }
}

/// Terminates what turned up on this node and is not wanted any more. Its next report shows
/// whether that helped; if not, it is told again.
async fn end_unwanted(cluster: &Cluster, ctx: &Context, link: &Link) {
    let unwanted: Vec<(InstanceId, Spec)> = cluster.read(|beliefs| {
        let here = beliefs.on(&link.name).filter(|instance| instance.node == link.name && instance.alive());
        let unwanted = here.filter(|instance| instance.unwanted && instance.launch == Launch::Settled);
        unwanted.map(|instance| (instance.id.clone(), instance.spec.clone())).collect()
    });
    for (id, spec) in unwanted {
        let request = nc::TerminateInstance { instance_id: id.to_string(), ..Default::default() };
        let of = Context { user: ctx.user.clone(), ..of_launch(ctx, &spec) };
        let (req, cause, node) = (&of.request, &ctx.request, &link.name);
        match nodes::tell(cluster, &of, &link.name, request, budget::CALL_MIN).await {
            Ok(_) => tracing::info!(event = "cc.launch.undone", %req, %cause, instance = %id, %node),
            Err(error) => tracing::warn!(event = "cc.launch.not-undone", %req, %cause, instance = %id, %node, %error),
        }
    }
}

/// A refresh's context for what it does for a launch: under the request that asked for it, where that
/// is known, and in its owner's name, which the node writes down.
fn of_launch(ctx: &Context, spec: &Spec) -> Context {
    let ctx = Context { user: spec.owner.clone(), ..ctx.detached(budget::CALL_MIN) };
    match &spec.request_id {
        Some(id) => Context { request: RequestId::from_peer(Some(id)), span: id.clone(), ..ctx },
        None => ctx,
    }
}

/// Sends the launches again that this node may never have got: it has just answered and does not list them.
async fn send_doubtful(cluster: &Cluster, ctx: &Context, link: &Link) {
    let now = cluster.clock.now();
    let doubtful: Vec<(InstanceId, Spec)> = cluster.read(|beliefs| {
        let here = beliefs.on(&link.name).filter(|instance| instance.node == link.name);
        here.filter(|i| i.sent_again(now) && i.spec.urls.is_some()).map(|i| (i.id.clone(), i.spec.clone())).collect()
    });
    for (id, spec) in doubtful {
        let of = of_launch(ctx, &spec);
        tracing::info!(event = "cc.launch.again", req = %of.request, cause = %ctx.request, instance = %id, node = %link.name);
        sending::send_again(cluster, &of, &id, &spec, &link.name).await;
    }
}

/// Takes the launches to other nodes that this one could not build.
async fn send_elsewhere(cluster: &Cluster, ctx: &Context, link: &Link) {
    let moves = cluster.read(|beliefs| {
        let here = beliefs.on(&link.name).filter(|i| i.node == link.name && i.launch == Launch::Elsewhere);
        here.map(|instance| (instance.id.clone(), instance.spec.clone())).collect::<Vec<_>>()
    });
    for (id, spec) in moves {
        search::elsewhere(cluster, &of_launch(ctx, &spec).detached(budget::CALL_MAX), &id).await;
    }
}

/// Forgets what is long gone, gives up what has waited for too long, and learns addresses. The same complaint is not repeated.
async fn housekeep(cluster: &Cluster, complaint: &mut Option<String>) {
    if let Err(error) = cluster.change(|beliefs, now| beliefs.sweep(now)).await {
        tracing::error!(event = "cc.record.unsaved", %error);
    }
    match cluster.change(overdue::resolve).await {
        Ok(resolved) => resolved.iter().for_each(|(id, reason)| {
            tracing::warn!(instance = %id, event = "cc.instance.overdue", "{reason}");
        }),
        Err(error) => tracing::error!(event = "cc.record.unsaved", %error, "state cannot be recorded"),
    }
    let new = network::learn(cluster).await.err();
    if let Some(new) = new.as_ref().filter(|new| complaint.as_ref() != Some(*new)) {
        tracing::warn!(event = "cc.address.unknown", "{new}");
    }
    *complaint = new;
}
