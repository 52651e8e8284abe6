//! Which node gets an instance: pure functions over one snapshot of the nodes. Every node that is
//! passed over is answered for with a sentence that has the numbers. Knows no clock, no lock and no
//! message.
//!
//! The three policies bear the names of Eucalyptus 2.0.1 (wire/cc.md 9.2). A node fits when it is
//! up and its free memory, disk and cores are each at least what is asked.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;

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

/// How a node is picked among those that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Schedule {
    /// The first one in the order of the configuration.
    Greedy,
    /// The next one after the node that was picked last.
    RoundRobin,
    /// The first one that runs something already, else the first: so that idle nodes stay idle.
    PowerSave,
}

/// A node as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: NodeName,
    /// Why it may take nothing now (`suspect since ...`); `None` for a node that is up.
    pub barred: Option<String>,
    /// What is free on it, claims of launches under way already taken off.
    pub free: Room,
    /// True if it has at least one instance.
    pub in_use: bool,
}

/// What became of one node in one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The node.
    pub node: NodeName,
    /// Why it was passed over, with numbers; `None` if it fits.
    pub refused: Option<String>,
}

/// The record of one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Schedule {
    /// The name of 2.0.1's configuration, which is also ours.
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Greedy => "GREEDY",
            Schedule::RoundRobin => "ROUNDROBIN",
            Schedule::PowerSave => "POWERSAVE",
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB memory, {} GB disk, {} cores", self.memory_mb, self.disk_gb, self.cores)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(node) => write!(f, "{} picked {node}", self.schedule.name())?,
            None if self.verdicts.is_empty() => write!(f, "no node is registered with this cluster")?,
            None => write!(f, "no node fits")?,
        }
        let mut separator = ": ";
        for verdict in &self.verdicts {
            if let Some(reason) = &verdict.refused {
                write!(f, "{separator}{} {reason}", verdict.node)?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

/// Picks a node for an instance of size `want`. `next` is where ROUNDROBIN begins; nodes in
/// `tried` have refused this instance already.
pub fn place(schedule: Schedule, next: usize, nodes: &[Candidate], want: Room, tried: &BTreeSet<NodeName>) -> Decision {
    let verdicts: Vec<Verdict> =
        nodes.iter().map(|node| Verdict { node: node.name.clone(), refused: refusal(node, want, tried) }).collect();
    let fits = |index: &usize| verdicts[*index].refused.is_none();
    let count = nodes.len();
    let chosen = match schedule {
        Schedule::Greedy => (0..count).find(fits),
        Schedule::RoundRobin => (0..count).map(|step| (next + step) % count).find(fits),
        Schedule::PowerSave => {
            (0..count).find(|index| nodes[*index].in_use && fits(index)).or_else(|| (0..count).find(fits))
        }
    };
    Decision {
        schedule,
        chosen: chosen.map(|index| nodes[index].name.clone()),
        verdicts,
        next: chosen.map_or(next, |index| (index + 1) % count),
    }
}

/// Why this node cannot take the instance.
fn refusal(node: &Candidate, want: Room, tried: &BTreeSet<NodeName>) -> Option<String> {
    if let Some(reason) = &node.barred {
        return Some(format!("is {reason}"));
    }
    if tried.contains(&node.name) {
        return Some("refused this instance already".to_string());
    }
    let short: Vec<String> = [
        ("MB of memory", node.free.memory_mb, want.memory_mb),
        ("GB of disk", node.free.disk_gb, want.disk_gb),
        ("cores", node.free.cores, want.cores),
    ]
    .into_iter()
    .filter(|(_, free, asked)| free < asked)
    .map(|(what, free, asked)| format!("{free} of {asked} {what}"))
    .collect();
    (!short.is_empty()).then(|| format!("has free only {}", short.join(" and ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(memory_mb: i64, disk_gb: i64, cores: i64) -> Room {
        Room { memory_mb, disk_gb, cores }
    }

    fn node(name: &str, memory_mb: i64) -> Candidate {
        Candidate { name: NodeName::parse(name).unwrap(), barred: None, free: room(memory_mb, 100, 8), in_use: false }
    }

    fn pick(schedule: Schedule, next: usize, nodes: &[Candidate], want: Room) -> (Option<String>, usize) {
        let decision = place(schedule, next, nodes, want, &BTreeSet::new());
        (decision.chosen.map(String::from), decision.next)
    }

    #[test]
    fn greedy_takes_the_first_that_fits() {
        let nodes = [node("n1", 64), node("n2", 512), node("n3", 512)];
        assert_eq!(pick(Schedule::Greedy, 2, &nodes, room(128, 1, 1)).0.as_deref(), Some("n2"));
    }

    #[test]
    fn round_robin_goes_on_after_the_last_one_and_passes_over_those_that_are_barred() {
        let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 512)];
        assert_eq!(pick(Schedule::RoundRobin, 1, &nodes, room(128, 1, 1)), (Some("n2".to_string()), 2));
        nodes[2].barred = Some("down since noon".to_string());
        assert_eq!(pick(Schedule::RoundRobin, 2, &nodes, room(128, 1, 1)), (Some("n1".to_string()), 1));
        assert_eq!(pick(Schedule::RoundRobin, 7, &nodes, room(9999, 1, 1)), (None, 7));
    }

    #[test]
    fn power_save_prefers_a_node_in_use() {
        let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 512)];
        assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n1"));
        nodes[2].in_use = true;
        assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n3"));
        nodes[2].free.cores = 0;
        assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n1"));
    }

    #[test]
    fn each_refusal_names_the_node_and_the_numbers() {
        let mut nodes = [node("n1", 64), node("n2", 512), node("n3", 512)];
        nodes[1].barred = Some("suspect: it did not answer within 5 s".to_string());
        let tried = BTreeSet::from([nodes[2].name.clone()]);
        let text = place(Schedule::Greedy, 0, &nodes, room(128, 200, 1), &tried).to_string();
        assert_eq!(
            text,
            "no node fits: n1 has free only 64 of 128 MB of memory and 100 of 200 GB of disk; \
             n2 is suspect: it did not answer within 5 s; n3 refused this instance already"
        );
        assert_eq!(
            place(Schedule::Greedy, 0, &[], room(1, 1, 1), &tried).to_string(),
            "no node is registered with this cluster"
        );
    }

    #[test]
    fn how_many_fit_is_the_least_of_the_three() {
        assert_eq!(room(1024, 100, 8).times(room(128, 10, 1)), 8);
        assert_eq!(room(1024, 35, 8).times(room(128, 10, 1)), 3);
        assert_eq!(room(1024, 100, 0).times(room(128, 10, 1)), 0);
        assert_eq!(room(1024, 100, 8).times(room(128, 0, 1)), 0);
    }

    fn nodes() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec((0i64..2000, 0i64..100, 0i64..16, prop::bool::weighted(0.2), any::<bool>()), 1..12)
            .prop_map(|all| {
                all.into_iter()
                    .enumerate()
                    .map(|(index, (memory_mb, disk_gb, cores, barred, in_use))| Candidate {
                        name: NodeName::parse(&format!("n{index}")).unwrap(),
                        barred: barred.then(|| "down".to_string()),
                        free: room(memory_mb, disk_gb, cores),
                        in_use,
                    })
                    .collect()
            })
    }

    fn schedule() -> impl Strategy<Value = Schedule> {
        prop_oneof![Just(Schedule::Greedy), Just(Schedule::RoundRobin), Just(Schedule::PowerSave)]
    }

    proptest! {
        #[test]
        fn nothing_is_ever_overcommitted(mut nodes in nodes(), schedule in schedule(), wants in prop::collection::vec((1i64..600, 1i64..40, 1i64..5), 1..60)) {
            let mut next = 0;
            for (memory_mb, disk_gb, cores) in wants {
                let want = room(memory_mb, disk_gb, cores);
                let decision = place(schedule, next, &nodes, want, &BTreeSet::new());
                next = decision.next;
                match decision.chosen {
                    Some(name) => {
                        let node = nodes.iter_mut().find(|node| node.name == name).unwrap();
                        prop_assert!(node.barred.is_none() && node.free.fits(want));
                        node.free = node.free.less(want);
                    }
                    // Refused means that it fits nowhere, and that each node's reason is told.
                    None => {
                        prop_assert!(nodes.iter().all(|node| node.barred.is_some() || !node.free.fits(want)));
                        prop_assert!(decision.verdicts.iter().all(|verdict| verdict.refused.is_some()));
                    }
                }
            }
        }

        #[test]
        fn round_robin_visits_every_node_that_fits_before_one_comes_twice(nodes in nodes(), start in 0usize..20) {
            let want = room(100, 1, 1);
            let fitting = nodes.iter().filter(|node| node.barred.is_none() && node.free.fits(want)).count();
            let mut next = start;
            let mut seen = BTreeSet::new();
            for _ in 0..fitting {
                let decision = place(Schedule::RoundRobin, next, &nodes, want, &BTreeSet::new());
                next = decision.next;
                seen.insert(decision.chosen.unwrap());
            }
            prop_assert_eq!(seen.len(), fitting);
        }
    }
}
