//! Which node gets an instance: pure functions over one snapshot of the nodes. Filters say which nodes
//! cannot take it, weights which of the others is best; every node is answered for, with the numbers.
//! Knows no clock, no lock and no message.

mod filter;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;

pub use filter::{Filter, Refusal};
pub use weights::{BUILDS, Weights};

/// An amount of the three things that an instance takes from a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Memory, in MB.
    pub memory_mb: i64,
    /// Disk, in GB.
    pub disk_gb: i64,
    /// Virtual processors.
    pub cores: i64,
}

/// How nodes are ordered among those that fit. The first three are of Eucalyptus 2.0.1 (wire/cc.md 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Schedule {
    /// The first one in the order of the configuration.
    Greedy,
    /// The next one after the node that was picked last.
    RoundRobin,
    /// The first one that runs something already, else the first: so that idle nodes stay idle.
    PowerSave,
    /// The one with the most memory left, then the most cores.
    Spread,
}

/// What a placement group wants of its members: EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Near each other: nodes that have members come first.
    Cluster,
    /// Never two on one node.
    Spread,
}

/// What of a node matters to placement beside its room, as it tells itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What its guests' processors are, `x86_64`.
    pub architecture: Option<String>,
    /// What its administrator says of it, `ssd`.
    pub tags: BTreeSet<String>,
    /// The images in its cache; of very many, those used last.
    pub images: BTreeSet<String>,
}

/// What a node must be to get an instance, beside having room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// What the image runs on, `x86_64`.
    pub architecture: Option<String>,
    /// What its administrator must have said of it.
    pub tags: BTreeSet<String>,
}

/// Whether a node can be asked for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answered the last time.
    Up,
    /// It missed a refresh, or has not been asked yet; a sentence to follow its name.
    Silent(String),
    /// It has not answered for long; a sentence to follow its name.
    Down(String),
}

/// A node as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: NodeName,
    /// Whether it can be asked.
    pub condition: Condition,
    /// If it is to get nothing new: since when and why, to follow "is draining".
    pub draining: Option<String>,
    /// What it tells of itself; nothing on the 2.0.1 wire.
    pub facts: Option<Arc<Facts>>,
    /// What is free on it, claims of launches under way already taken off.
    pub free: Room,
    /// True if it has at least one instance.
    pub in_use: bool,
    /// Instances that it is making.
    pub builds: usize,
    /// Launches that failed on it lately.
    pub failures: usize,
    /// Instances on it of the placement group of what is to be placed.
    pub members: usize,
}

/// What is to be placed.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// What it takes from its node.
    pub size: Room,
    /// The nodes that have refused it.
    pub tried: &'a BTreeSet<NodeName>,
    /// What its placement group wants, if it is in one.
    pub group: Option<Strategy>,
    /// What its node must be.
    pub needs: &'a Needs,
    /// Its image's id; empty if it has none yet.
    pub image: &'a str,
}

/// What became of one node in one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The node.
    pub node: NodeName,
    /// Whether it could take the instance.
    pub judgement: Judgement,
}

/// Whether a node could take an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It could.
    Fits {
        /// Its place among those that could, from 1; the first is chosen, the next ones are its alternates.
        rank: usize,
        /// What decided its place.
        weights: Weights,
        /// What it has not told, so that it was taken for granted: to follow its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assumed: Option<String>,
    },
    /// It could not.
    Refused(Refusal),
}

/// The record of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The policy that decided.
    pub schedule: Schedule,
    /// The node that was picked.
    pub chosen: Option<NodeName>,
    /// One verdict for each node, in the order of the configuration.
    pub verdicts: Vec<Verdict>,
    /// Where ROUNDROBIN begins the next time: the index after the picked node's.
    pub next: usize,
}

impl Room {
    /// Whether `want` fits into this.
    pub fn fits(self, want: Room) -> bool {
        self.memory_mb >= want.memory_mb && self.disk_gb >= want.disk_gb && self.cores >= want.cores
    }

    /// This less `taken`, never below zero.
    #[must_use]
    pub fn less(self, taken: Room) -> Room {
        Room {
            memory_mb: self.memory_mb.saturating_sub(taken.memory_mb).max(0),
            disk_gb: self.disk_gb.saturating_sub(taken.disk_gb).max(0),
            cores: self.cores.saturating_sub(taken.cores).max(0),
        }
    }

    /// How many instances of size `want` fit in here together: the least of the three quotients
    /// (wire/cc.md 8.5). Every part of `want` must be positive; otherwise none fits.
    pub fn times(self, want: Room) -> i64 {
        if want.memory_mb <= 0 || want.disk_gb <= 0 || want.cores <= 0 {
            return 0;
        }
        let least = (self.memory_mb / want.memory_mb).min(self.disk_gb / want.disk_gb).min(self.cores / want.cores);
        least.max(0)
    }
}

impl Strategy {
    /// The name in EC2 and contract.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Cluster => "cluster",
            Strategy::Spread => "spread",
        }
    }

    /// Reads a name; `None` for one that we do not know.
    pub fn from_name(name: &str) -> Option<Self> {
        [Strategy::Cluster, Strategy::Spread].into_iter().find(|strategy| strategy.name() == name)
    }
}

impl Schedule {
    /// The name in configuration and contract; the first three are 2.0.1's.
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Greedy => "GREEDY",
            Schedule::RoundRobin => "ROUNDROBIN",
            Schedule::PowerSave => "POWERSAVE",
            Schedule::Spread => "SPREAD",
        }
    }

    /// What it thinks of the node at `index` of `count`, when ROUNDROBIN begins at `next`: the more, the better.
    fn preference(self, node: &Candidate, index: usize, count: usize, next: usize) -> i64 {
        let place = match self {
            Schedule::Greedy => index,
            Schedule::RoundRobin => (index + count - next % count) % count,
            Schedule::PowerSave => index + if node.in_use { 0 } else { count },
            Schedule::Spread => 0,
        };
        -i64::try_from(place).unwrap_or(i64::MAX)
    }
}

impl Decision {
    /// How many nodes each filter refused.
    pub fn counts(&self) -> BTreeMap<Filter, usize> {
        let mut counts = BTreeMap::new();
        for verdict in &self.verdicts {
            if let Judgement::Refused(refusal) = &verdict.judgement {
                *counts.entry(refusal.filter).or_default() += 1;
            }
        }
        counts
    }

    /// The refusals by reason, for whoever may not see the nodes: `2 nodes have too little memory, 1 is down`.
    pub fn summary(&self) -> String {
        let counts = self.counts();
        if counts.is_empty() {
            "no node is registered with this cluster".to_string()
        } else {
            filter::in_words(&counts)
        }
    }

    /// The same of the nodes that have not been tried, where those that have been are told of already.
    pub fn summary_of_others(&self) -> String {
        let mut counts = self.counts();
        counts.remove(&Filter::Tried);
        let others = filter::in_words(&counts);
        if others.is_empty() { "no other node fits".to_string() } else { format!("no other node fits: {others}") }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB memory, {} GB disk, {} cores", self.memory_mb, self.disk_gb, self.cores)
    }
}

/// For logs and traces: node by node.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(node) => write!(f, "{} picked {node}", self.schedule.name())?,
            None if self.verdicts.is_empty() => write!(f, "no node is registered with this cluster")?,
            None => write!(f, "no node fits")?,
        }
        let mut separator = ": ";
        for verdict in &self.verdicts {
            if let Judgement::Refused(refusal) = &verdict.judgement {
                write!(f, "{separator}{} {}", verdict.node, refusal.sentence)?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

/// Picks a node for an instance. `next` is where ROUNDROBIN begins.
pub fn place(schedule: Schedule, next: usize, nodes: &[Candidate], want: Want<'_>) -> Decision {
    let refusals: Vec<Option<Refusal>> = nodes.iter().map(|node| Filter::first_refusal(node, want)).collect();
    let weigh = |index: usize| {
        let preference = schedule.preference(&nodes[index], index, nodes.len(), next);
        (index, Weights::of(&nodes[index], want, preference))
    };
    let mut fitting: Vec<(usize, Weights)> =
        (0..nodes.len()).filter(|index| refusals[*index].is_none()).map(weigh).collect();
    // Stable: among equals, the order of the configuration.
    fitting.sort_by_key(|(_, weights)| std::cmp::Reverse(*weights));
    let chosen = fitting.first().map(|(index, _)| *index);
    let mut ranked: BTreeMap<usize, (usize, Weights)> =
        fitting.into_iter().zip(1..).map(|((index, weights), rank)| (index, (rank, weights))).collect();
    let judgement = |(index, refusal): (usize, Option<Refusal>)| match (refusal, ranked.remove(&index)) {
        (Some(refusal), _) => Verdict { node: nodes[index].name.clone(), judgement: Judgement::Refused(refusal) },
        (None, ranked) => {
            let (rank, weights) = ranked.expect("every node that no filter refused was weighed");
            let assumed = filter::assumed(&nodes[index], want);
            Verdict { node: nodes[index].name.clone(), judgement: Judgement::Fits { rank, weights, assumed } }
        }
    };
    Decision {
        schedule,
        chosen: chosen.map(|index| nodes[index].name.clone()),
        verdicts: refusals.into_iter().enumerate().map(judgement).collect(),
        next: chosen.map_or(next, |index| (index + 1) % nodes.len()),
    }
}

#[cfg(test)]
mod tests;
