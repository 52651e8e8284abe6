//! The records of placement: for each instance of a request, which node was picked, what every other
//! node lacked, and what became of it. Kept for a week, and no more than memory allows: the oldest go
//! first. Plain data; knows no message and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::place::{Decision, Filter, Judgement, Room};

/// How long a record is kept (operations-spec.md C-3).
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most verdicts kept in one record: those of the best nodes, then those of the first that refused. The
/// counts are always of all nodes.
const MOST_OF_ONE: usize = 64;
/// Most verdicts kept of one request; beyond them a record has the picked node's only.
const MOST_OF_REQUEST: usize = 1000;
/// Most verdicts kept in all: some ten megabytes.
const MOST: usize = 50_000;

/// One decision about one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The request.
    pub request: String,
    /// Counts the decisions of the request, from 0: an instance that a node refused is placed again.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Which instance; `None` for a plan.
    pub instance: Option<InstanceId>,
    /// What it takes from a node.
    pub size: Room,
    /// How many nodes there were, and how many each filter refused.
    pub counts: Counts,
    /// The decision; its verdicts may be fewer than there were nodes.
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
}

/// The nodes of a decision in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All that there were.
    pub nodes: usize,
    /// Those that each filter refused.
    pub refused: BTreeMap<Filter, usize>,
}

/// What became of a placement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was to be started.
    Planned,
    /// No node could take it.
    Nowhere,
    /// It was given up before anything was sent: too few of its request could be placed.
    GivenUp,
    /// Its launch was sent to the node, or is about to be.
    Sent,
    /// The node took it.
    Taken,
    /// The node refused it, or could not be reached: what it said.
    Refused(String),
    /// The node did not say whether it took it: why not.
    Unanswered(String),
}

/// All records.
#[derive(Debug, Default)]
pub struct Placements {
    /// By request and number.
    all: BTreeMap<(String, u32), Placement>,
    /// The requests by the time of their first record.
    by_age: BTreeSet<(Timestamp, String)>,
    /// The latest record of an instance that was sent to a node.
    latest: BTreeMap<InstanceId, (String, u32)>,
    /// How many verdicts they have together.
    verdicts: usize,
    /// Those that changed, or went, since they were last written down.
    unsaved: BTreeSet<(String, u32)>,
}

impl Outcome {
    /// The name in the contract.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Planned => "planned",
            Outcome::Nowhere => "nowhere",
            Outcome::GivenUp => "given-up",
            Outcome::Sent => "sent",
            Outcome::Taken => "taken",
            Outcome::Refused(_) => "refused",
            Outcome::Unanswered(_) => "unanswered",
        }
    }

    /// What the node said, or why it said nothing.
    pub fn said(&self) -> Option<&str> {
        match self {
            Outcome::Refused(said) | Outcome::Unanswered(said) => Some(said),
            Outcome::Planned | Outcome::Nowhere | Outcome::GivenUp | Outcome::Sent | Outcome::Taken => None,
        }
    }

    /// False only if certainly no node has, or had, an instance because of it.
    pub fn may_be_taken(&self) -> bool {
        match self {
            Outcome::Sent | Outcome::Taken | Outcome::Unanswered(_) => true,
            Outcome::Planned | Outcome::Nowhere | Outcome::GivenUp | Outcome::Refused(_) => false,
        }
    }
}

impl Placement {
    /// The name of its record on disk.
    pub fn key(request: &str, number: u32) -> String {
        format!("{request}/{number:04}")
    }

    /// Leaves out the verdicts beyond `most`: the picked node's never.
    fn shorten(&mut self, most: usize) {
        let weight = |judgement: &Judgement| match judgement {
            Judgement::Fits { rank, .. } => *rank,
            Judgement::Refused(_) => usize::MAX,
        };
        if self.decision.verdicts.len() > most {
            // Stable: among those that refused, the order of the configuration.
            self.decision.verdicts.sort_by_key(|verdict| weight(&verdict.judgement));
            self.decision.verdicts.truncate(most);
        }
    }
}

impl Placements {
    /// Records from before a restart.
    pub fn remembered(placements: impl IntoIterator<Item = Placement>) -> Self {
        let mut all = Self::default();
        placements.into_iter().for_each(|placement| all.insert(placement));
        all
    }

    /// Writes a decision down.
    pub fn add(
        &mut self,
        request: &str,
        instance: Option<InstanceId>,
        size: Room,
        decision: Decision,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let number = self.of(request).last().map_or(0, |last| last.number.saturating_add(1));
        let counts = Counts { nodes: decision.verdicts.len(), refused: decision.counts() };
        let mut placement =
            Placement { request: request.to_string(), number, at: now, instance, size, counts, decision, outcome };
        let of_request: usize = self.of(request).map(|placement| placement.decision.verdicts.len()).sum();
        placement.shorten(MOST_OF_ONE.min(MOST_OF_REQUEST.saturating_sub(of_request)).max(1));
        self.unsaved.insert((request.to_string(), number));
        self.insert(placement);
        while self.verdicts > MOST && self.by_age.len() > 1 {
            self.forget_oldest();
        }
    }

    /// What became of the latest placement of an instance.
    pub fn ended(&mut self, instance: &InstanceId, outcome: Outcome) {
        let Some(key) = self.latest.get(instance) else { return };
        if let Some(placement) = self.all.get_mut(key).filter(|placement| placement.outcome != outcome) {
            placement.outcome = outcome;
            self.unsaved.insert(key.clone());
        }
    }

    /// The records of a request, in their order.
    pub fn of(&self, request: &str) -> impl DoubleEndedIterator<Item = &Placement> {
        let request = request.to_string();
        self.all.range((request.clone(), 0)..=(request, u32::MAX)).map(|(_, placement)| placement)
    }

    /// Forgets what is old.
    pub fn sweep(&mut self, now: Timestamp) {
        while self.by_age.first().is_some_and(|(at, _)| now.duration_since(*at) > KEPT) {
            self.forget_oldest();
        }
    }

    /// What must be written down now: each changed record by its key on disk, `None` for one that went.
    pub fn take_unsaved(&mut self) -> Vec<(String, Option<Placement>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().map(|key| (Placement::key(&key.0, key.1), self.all.get(&key).cloned())).collect()
    }

    fn insert(&mut self, placement: Placement) {
        let key = (placement.request.clone(), placement.number);
        if self.of(&placement.request).next().is_none() {
            self.by_age.insert((placement.at, placement.request.clone()));
        }
        if let Some(instance) = &placement.instance {
            self.latest.insert(instance.clone(), key.clone());
        }
        self.verdicts += placement.decision.verdicts.len();
        self.all.insert(key, placement);
    }

    fn forget_oldest(&mut self) {
        let Some((_, request)) = self.by_age.pop_first() else { return };
        let keys: Vec<(String, u32)> = self.of(&request).map(|placement| (request.clone(), placement.number)).collect();
        for key in keys {
            let Some(placement) = self.all.remove(&key) else { continue };
            self.verdicts -= placement.decision.verdicts.len();
            if let Some(instance) = placement.instance.filter(|instance| self.latest.get(instance) == Some(&key)) {
                self.latest.remove(&instance);
            }
            self.unsaved.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeName;
    use crate::place::{Candidate, Condition, Needs, Schedule, Want, place};

    const NOON: &str = "2026-11-20T12:00:00Z";

    fn decision(nodes: usize) -> Decision {
        let node = |number: usize| Candidate {
            name: NodeName::parse(&format!("n{number}")).unwrap(),
            condition: if number.is_multiple_of(2) { Condition::Up } else { Condition::Down("is down".into()) },
            draining: None,
            facts: None,
            free: Room { memory_mb: 512, disk_gb: 9, cores: 9 },
            in_use: false,
            builds: 0,
            failures: 0,
            members: 0,
        };
        let nodes: Vec<Candidate> = (0..nodes).map(node).collect();
        let size = Room { memory_mb: 1, disk_gb: 1, cores: 1 };
        let (tried, needs) = (BTreeSet::new(), Needs::default());
        place(Schedule::Greedy, 0, &nodes, Want { size, tried: &tried, group: None, needs: &needs, image: "" })
    }

    fn id(number: u32) -> InstanceId {
        InstanceId::parse(&format!("i-{number:08x}")).unwrap()
    }

    #[test]
    fn decisions_are_numbered_and_each_instance_has_the_end_of_its_latest() {
        let mut placements = Placements::default();
        let now: Timestamp = NOON.parse().unwrap();
        for instance in [1, 2, 1] {
            placements.add("q", Some(id(instance)), Room::default(), decision(2), Outcome::Sent, now);
        }
        placements.ended(&id(1), Outcome::Taken);
        let told: Vec<(u32, &str)> =
            placements.of("q").map(|placement| (placement.number, placement.outcome.name())).collect();
        assert_eq!(told, [(0, "sent"), (1, "sent"), (2, "taken")]);
        let saved = placements.take_unsaved();
        assert_eq!(saved.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["q/0000", "q/0001", "q/0002"]);
        assert!(placements.take_unsaved().is_empty());
        let again = Placements::remembered(saved.into_iter().filter_map(|(_, placement)| placement));
        assert!(again.of("q").eq(placements.of("q")));
    }

    #[test]
    fn a_week_later_nothing_is_left() {
        let mut placements = Placements::default();
        let now: Timestamp = NOON.parse().unwrap();
        placements.add("q", Some(id(1)), Room::default(), decision(2), Outcome::Sent, now);
        placements.sweep(now + KEPT);
        assert_eq!(placements.of("q").count(), 1);
        drop(placements.take_unsaved());
        placements.sweep(now + KEPT + SignedDuration::from_secs(1));
        assert_eq!(placements.of("q").count(), 0);
        assert_eq!(placements.take_unsaved(), [("q/0000".to_string(), None)]);
        assert!(placements.latest.is_empty() && placements.verdicts == 0);
    }

    #[test]
    fn large_clusters_and_requests_are_told_shortly_and_counted_wholly() {
        let mut placements = Placements::default();
        let now: Timestamp = NOON.parse().unwrap();
        for instance in 0..40 {
            placements.add("q", Some(id(instance)), Room::default(), decision(1000), Outcome::Sent, now);
        }
        let first = placements.of("q").next().unwrap();
        assert_eq!((first.counts.nodes, first.counts.refused[&Filter::Down]), (1000, 500));
        assert_eq!(first.decision.verdicts.len(), MOST_OF_ONE);
        for placement in placements.of("q") {
            let chosen = placement.decision.chosen.as_ref();
            assert!(placement.decision.verdicts.iter().any(|verdict| Some(&verdict.node) == chosen));
        }
        assert!(placements.verdicts <= MOST_OF_REQUEST + 40, "{}", placements.verdicts);
        for request in 0..100 {
            for instance in 0..20 {
                let request = format!("r{request}");
                placements.add(&request, Some(id(instance)), Room::default(), decision(64), Outcome::Sent, now);
            }
        }
        assert!(placements.verdicts <= MOST);
        assert_eq!(placements.of("q").count(), 0, "the oldest went first");
    }
}
