//! Placing an order: all its instances in one step over the beliefs, or none; and the same as a plan,
//! over a copy of them. While nothing fits and some nodes do not answer, these are asked anew for a
//! while before the order is refused. Which node is best is `place`; sending is `launch`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::Context;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::instance::{Instance, Launch, Spec};
use crate::cluster::placements::{Outcome, Placement};
use crate::error::ClusterError;
use crate::ids::{InstanceId, NodeName};
use crate::place::{Decision, Filter, Needs, Room, Schedule, Strategy};
use crate::{budget, refresh};

/// How long an order without room waits for nodes that do not answer (operations-spec.md C-8: scheduling).
const PATIENCE: Duration = Duration::from_secs(30);
/// How often these are asked meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A checked run request.
#[derive(Clone, Debug)]
pub struct Order {
    /// The instances wished, each with what it is launched as.
    pub wished: Vec<(InstanceId, Spec)>,
    /// Fewest acceptable.
    pub least: usize,
}

/// What placing an order came to.
#[derive(Default)]
pub struct Placed {
    /// Believed from before.
    pub known: Vec<InstanceId>,
    /// Of these, the ones whose launch no node has acknowledged, and where it was sent.
    pub doubtful: Vec<(InstanceId, NodeName)>,
    /// Of the others, what was decided.
    decisions: Vec<(InstanceId, Room, Decision)>,
    /// True of a plan: its ids are made up.
    imagined: bool,
}

/// What would become of an order now.
pub struct Plan {
    /// How many of its instances fit.
    pub possible: usize,
    /// The first decision that found no node, as counts of reasons.
    pub short: Option<String>,
    /// True if a node that does not answer now might have helped.
    pub silent: bool,
    /// The decisions.
    pub placements: Vec<Placement>,
}

impl Placed {
    /// Placed now, and where.
    pub fn placed(&self) -> Vec<(InstanceId, NodeName)> {
        let place = |(id, _, decision): &(InstanceId, Room, Decision)| Some((id.clone(), decision.chosen.clone()?));
        self.decisions.iter().filter_map(place).collect()
    }

    /// Not placed, with the reasons counted.
    pub fn refused(&self) -> Vec<String> {
        let refused = self.decisions.iter().filter(|(_, _, decision)| decision.chosen.is_none());
        refused.map(|(id, _, decision)| format!("{id}: {}", decision.summary())).collect()
    }

    /// How many the cluster would answer for.
    fn possible(&self) -> usize {
        self.known.len() + self.decisions.iter().filter(|(_, _, decision)| decision.chosen.is_some()).count()
    }

    /// The first decision that found no node.
    fn short(&self) -> Option<&Decision> {
        self.decisions.iter().map(|(_, _, decision)| decision).find(|decision| decision.chosen.is_none())
    }

    /// True if a node that does not answer now might have room.
    fn silent(&self) -> bool {
        self.short().is_some_and(|decision| decision.counts().contains_key(&Filter::Silent))
    }

    /// All decisions, for the trace.
    fn record(&self) -> String {
        let decisions = self.decisions.iter().map(|(id, _, decision)| format!("{id}: {decision}"));
        decisions.collect::<Vec<_>>().join("; ")
    }

    /// Writes the decisions down, under the request.
    fn write(&self, beliefs: &mut Beliefs, request: &str, outcome: impl Fn(&Decision) -> Outcome, now: Timestamp) {
        for (id, size, decision) in &self.decisions {
            let outcome = outcome(decision);
            let instance = Some(id.clone()).filter(|_| !self.imagined);
            beliefs.placements.add(request, instance, *size, decision.clone(), outcome, now);
        }
    }
}

/// Places an order and claims its room, or claims nothing when it comes to fewer than the minimum.
///
/// # Errors
/// [`ClusterError::NoRoom`]; [`ClusterError::IdTaken`] for an id with another history.
pub async fn place(cluster: &Arc<Cluster>, ctx: &Context, order: &Order) -> Result<Placed, ClusterError> {
    let until = Instant::now() + PATIENCE.min(ctx.remaining().saturating_sub(budget::CALL_MAX));
    loop {
        let last = Instant::now() >= until;
        if let Some(placed) = attempt(cluster, ctx, order, last).await? {
            return Ok(placed);
        }
        let next = until.min(Instant::now() + ASK_EVERY);
        // Err: some have not answered yet; the last attempt tells what is known by then.
        drop(timeout_at(until, refresh::silent(cluster)).await);
        sleep_until(next).await;
    }
}

/// Places an order once; `None` if it is worth waiting for nodes that do not answer, and this is not
/// the `last` attempt.
async fn attempt(
    cluster: &Arc<Cluster>,
    ctx: &Context,
    order: &Order,
    last: bool,
) -> Result<Option<Placed>, ClusterError> {
    let schedule = cluster.settings.schedule;
    let span = ctx.start("cc.place", format!("{} instances, {}", order.wished.len(), schedule.name()));
    let mut tried = Err(ClusterError::bad("instanceIds", "nothing was placed"));
    let change = |beliefs: &mut Beliefs, now| {
        tried = place_all(beliefs, order, schedule, now)
            .map(|placed| settle(beliefs, ctx.request.as_str(), order.least, placed, last, now));
    };
    let written = cluster.change(change).await;
    span.finish(match &tried {
        Ok(Attempt::Enough(placed) | Attempt::TooFew(placed) | Attempt::Waiting(placed)) => placed.record(),
        Err(error) => error.to_string(),
    });
    match (tried?, written) {
        (Attempt::Enough(placed), Ok(())) => Ok(Some(placed)),
        (Attempt::Enough(placed), Err(error)) => {
            // Nothing was sent, and nothing must stay claimed.
            forget(cluster, placed.placed().into_iter().map(|(id, _)| id).collect()).await;
            Err(error.into())
        }
        (Attempt::Waiting(_), _) => Ok(None),
        (Attempt::TooFew(placed), _) => {
            let why = placed.short().map(Decision::summary).unwrap_or_default();
            Err(ClusterError::NoRoom { possible: placed.possible(), least: order.least, why })
        }
    }
}

/// What one attempt to place an order came to.
enum Attempt {
    /// The minimum, or more.
    Enough(Placed),
    /// Fewer; nothing is claimed.
    TooFew(Placed),
    /// Fewer, but nodes that do not answer now may have room; nothing is claimed or written down.
    Waiting(Placed),
}

/// Keeps what was claimed if it is enough, and writes down what was decided.
fn settle(beliefs: &mut Beliefs, request: &str, least: usize, placed: Placed, last: bool, now: Timestamp) -> Attempt {
    let enough = placed.possible() >= least;
    if !enough {
        placed.placed().iter().for_each(|(id, _)| beliefs.forget(id));
        if placed.silent() && !last {
            return Attempt::Waiting(placed);
        }
    }
    let outcome = |decision: &Decision| match decision.chosen {
        Some(_) if enough => Outcome::Sent,
        Some(_) => Outcome::GivenUp,
        None => Outcome::Nowhere,
    };
    placed.write(beliefs, request, outcome, now);
    if enough { Attempt::Enough(placed) } else { Attempt::TooFew(placed) }
}

/// Places all instances of an order, whether they are enough or not.
fn place_all(beliefs: &mut Beliefs, order: &Order, schedule: Schedule, now: Timestamp) -> Result<Placed, ClusterError> {
    let mut placed = Placed::default();
    for (id, spec) in &order.wished {
        if let Some(instance) = beliefs.instances.get(id) {
            same_launch(instance, spec)?;
            placed.known.push(id.clone());
            match instance.launch {
                Launch::Doubtful { .. } => placed.doubtful.push((id.clone(), instance.node.clone())),
                Launch::Calling | Launch::Settled | Launch::Elsewhere => {}
            }
        }
    }
    for (id, spec) in order.wished.iter().filter(|(id, _)| !placed.known.contains(id)) {
        let decision = beliefs.place(id, spec, schedule, &BTreeSet::new(), now);
        placed.decisions.push((id.clone(), spec.size, decision));
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

/// What a plan is asked for.
#[derive(Clone, Debug)]
pub struct Imagined {
    /// The size of each instance.
    pub size: Room,
    /// How many.
    pub count: usize,
    /// Their placement group, by its id, and what that wants.
    pub group: Option<(String, Strategy)>,
    /// What their node must be.
    pub needs: Needs,
    /// Their image's id; empty if they have none yet.
    pub image: String,
}

/// What would become of instances now. Nothing is claimed; with `keep`, the decisions are written down
/// under the request.
///
/// # Errors
/// [`ClusterError::State`] if they cannot be written down.
pub async fn plan(cluster: &Cluster, ctx: &Context, asked: &Imagined, keep: bool) -> Result<Plan, ClusterError> {
    let now = cluster.clock.now();
    let mut imagined = cluster.read(Beliefs::imagined);
    let placed = imagine(&mut imagined, asked, cluster.settings.schedule, now)?;
    let outcome = |decision: &Decision| if decision.chosen.is_some() { Outcome::Planned } else { Outcome::Nowhere };
    let request = ctx.request.as_str();
    placed.write(&mut imagined, request, outcome, now);
    if keep {
        cluster.change(|beliefs, now| placed.write(beliefs, request, outcome, now)).await?;
    }
    Ok(Plan {
        possible: placed.possible(),
        short: placed.short().map(Decision::summary),
        silent: placed.silent(),
        placements: imagined.placements.of(request).cloned().collect(),
    })
}

/// Places instances with made-up ids.
fn imagine(
    beliefs: &mut Beliefs,
    asked: &Imagined,
    schedule: Schedule,
    now: Timestamp,
) -> Result<Placed, ClusterError> {
    let made_up = (0..=u32::MAX).filter_map(|number| InstanceId::parse(&format!("i-{number:08x}")).ok());
    let unknown = |id: &InstanceId| !beliefs.instances.contains_key(id) && beliefs.terms.of(id).is_none();
    let ids: Vec<InstanceId> = made_up.filter(unknown).take(asked.count).collect();
    if let Some((group, strategy)) = &asked.group {
        beliefs.terms.join(group, *strategy, &ids, now);
    }
    beliefs.terms.restrict(&asked.needs, &ids, now);
    let spec = Spec { size: asked.size, image_id: asked.image.clone(), ..Spec::default() };
    let wished = ids.into_iter().map(|id| (id, spec.clone())).collect();
    let placed = place_all(beliefs, &Order { wished, least: asked.count }, schedule, now)?;
    Ok(Placed { imagined: true, ..placed })
}

/// Drops placements of which nothing was sent, after a write that failed.
async fn forget(cluster: &Cluster, ids: Vec<InstanceId>) {
    // Err: the disk still refuses. In memory they are forgotten, and that is what counts now.
    drop(cluster.change(|beliefs, _| ids.iter().for_each(|id| beliefs.forget(id))).await);
}

#[cfg(test)]
#[path = "placing_tests.rs"]
mod tests;
