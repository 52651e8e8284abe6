//! The way of one launch from node to node: sent to the next whenever one certainly did not take it, or took it and could
//! not build it and has nothing left of it. Three nodes at most, each decision written down with what the node said before
//! the next is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ironbark_wsdl::Context;
use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::instance::{Instance, Launch, Spec, State};
use crate::cluster::placements::Outcome;
use crate::ids::{InstanceId, NodeName};
use crate::sending::{self, Sent};
use crate::{budget, nodes};

/// How many nodes are tried for one instance (operations-spec.md C-4: max_attempts).
const MAX_ATTEMPTS: usize = 3;

/// How one launch ended.
pub enum Fate {
    /// The node took it, or may have.
    Kept,
    /// No node took it; a sentence for people.
    Refused(String),
}

/// Sends one instance to its node, and to another one if that certainly did not take it. Nothing is left of one that
/// nobody takes.
pub async fn send(cluster: &Cluster, ctx: &Context, id: &InstanceId, spec: &Spec, first: NodeName) -> Fate {
    Search::new(id, spec, Leaves::Nothing).send(cluster, ctx, first).await
}

/// Takes an instance to another node that its node could not build and has nothing left of. Without another node it
/// has failed.
pub async fn elsewhere(cluster: &Cluster, ctx: &Context, id: &InstanceId) {
    let moves = |instance: &&Instance| instance.launch == Launch::Elsewhere;
    let Some(instance) = cluster.read(|beliefs| beliefs.instances.get(id).filter(moves).cloned()) else { return };
    let mut search = Search { tried: instance.tried.clone(), ..Search::new(id, &instance.spec, Leaves::Failed) };
    let reason = instance.reason.as_deref().unwrap_or("it gave no reason");
    let words = format!("could not build it: {reason}");
    let fate = match search.another(cluster, ctx, &instance.node, &words).await {
        Ok(next) => search.send(cluster, ctx, next).await,
        Err(why) => Fate::Refused(why),
    };
    let outcome = match fate {
        Fate::Kept => "another node has it".to_string(),
        Fate::Refused(why) => why,
    };
    tracing::info!(event = "cc.launch.elsewhere", req = %ctx.request, instance = %id, from = %instance.node, words, outcome);
}

/// What is left of a launch that no node takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Nothing: whoever asked hears it in the answer.
    Nothing,
    /// A failed instance: it was answered for before.
    Failed,
}

/// The way of one instance from node to node.
struct Search<'s> {
    id: &'s InstanceId,
    spec: &'s Spec,
    leaves: Leaves,
    tried: BTreeSet<NodeName>,
    said: Said,
}

impl<'s> Search<'s> {
    fn new(id: &'s InstanceId, spec: &'s Spec, leaves: Leaves) -> Self {
        Self { id, spec, leaves, tried: BTreeSet::new(), said: Said::default() }
    }

    /// Sends the launch, to the next node whenever one certainly did not take it.
    async fn send(mut self, cluster: &Cluster, ctx: &Context, first: NodeName) -> Fate {
        let mut node = first;
        loop {
            let allowance = budget::share(ctx.remaining(), MAX_ATTEMPTS - self.tried.len());
            let error = match sending::send(cluster, ctx, self.id, self.spec, &node, allowance).await {
                Sent::Kept => return Fate::Kept,
                Sent::NotTaken(error) => error,
            };
            match self.another(cluster, ctx, &node, &nodes::words(&error)).await {
                Ok(next) => node = next,
                Err(why) => return Fate::Refused(why),
            }
        }
    }

    /// Places the instance anew, away from `node`, which said these words, and from those before it; why not, if there is
    /// no other.
    async fn another(
        &mut self,
        cluster: &Cluster,
        ctx: &Context,
        node: &NodeName,
        words: &str,
    ) -> Result<NodeName, String> {
        self.said.push(words);
        self.tried.insert(node.clone());
        let schedule = cluster.settings.schedule;
        let time_left = ctx.remaining() >= budget::CALL_MIN;
        let span = ctx.start("cc.place", format!("{} again", self.id));
        let placed = cluster.change(|beliefs, now| {
            let before = beliefs.instances.get(self.id).cloned();
            if let Some(node) = beliefs.node_mut(node) {
                node.launch_failed(now);
            }
            beliefs.placements.ended(self.id, Outcome::Refused(words.to_string()));
            let next = match hindrance(before.as_ref(), &self.tried, time_left) {
                Some(why) => Err(why),
                None => {
                    let decision = beliefs.place(self.id, self.spec, schedule, &self.tried, now);
                    let outcome = if decision.chosen.is_some() { Outcome::Sent } else { Outcome::Nowhere };
                    let (id, size) = (Some(self.id.clone()), self.spec.size);
                    beliefs.placements.add(ctx.request.as_str(), id, size, decision.clone(), outcome, now);
                    decision.chosen.clone().ok_or_else(|| decision.summary_of_others())
                }
            };
            let next = next.map_err(|why| format!("{}; {why}", self.said));
            match &next {
                Ok(_) => beliefs.edit(self.id, |instance| instance.tried = self.tried.clone()),
                Err(why) => self.give_up(beliefs, before, why, now),
            }
            next
        });
        let next = match placed.await {
            Ok(next) => next,
            Err(error) => {
                if self.leaves == Leaves::Nothing {
                    // Nothing of it was sent. Err: the disk still refuses, and what is believed counts now.
                    drop(cluster.change(|beliefs, _| beliefs.forget(self.id)).await);
                }
                Err(error.to_string())
            }
        };
        span.finish(next.as_ref().map_or_else(Clone::clone, ToString::to_string));
        next
    }

    /// Nobody takes it.
    fn give_up(&self, beliefs: &mut Beliefs, before: Option<Instance>, why: &str, now: Timestamp) {
        beliefs.forget(self.id);
        if let (Leaves::Failed, Some(mut instance)) = (self.leaves, before) {
            instance.launch = Launch::Settled;
            instance.enter(State::Failed, Some(why.to_string()), now);
            instance.absent = Some(now);
            beliefs.adopt(instance);
        }
    }
}

/// Why no other node is even looked for.
fn hindrance(instance: Option<&Instance>, tried: &BTreeSet<NodeName>, time_left: bool) -> Option<String> {
    if instance.is_none_or(|instance| instance.unwanted) {
        Some("it was terminated meanwhile".to_string())
    } else if tried.len() >= MAX_ATTEMPTS {
        Some(format!("{} nodes were tried, more are not", tried.len()))
    } else if !time_left {
        Some("there is no time left to try another node".to_string())
    } else {
        None
    }
}

/// What the nodes that were tried said of one instance, counted: whose it is may not see the nodes.
#[derive(Default)]
struct Said(BTreeMap<String, usize>);

impl Said {
    fn push(&mut self, words: &str) {
        *self.0.entry(words.to_string()).or_default() += 1;
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
