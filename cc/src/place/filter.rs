//! The filters: each keeps a node from getting an instance for one reason, and says so with numbers.
//! They are asked in one fixed order, and the first that refuses is the node's answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Candidate, Condition, Strategy, Want};

/// A reason not to give an instance to a node, in the order in which they are asked: first what no waiting
/// for the node's answer would change (operations-spec.md C-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// An administrator lets it get no new instances.
    Draining,
    /// Its guests' processors are others than the image's.
    Architecture,
    /// It lacks a tag that is asked for.
    Tags,
    /// It has not answered for long.
    Down,
    /// It missed a refresh, or has not been asked yet: it may be up again in a moment.
    Silent,
    /// It has refused this very instance.
    Tried,
    /// Too little memory is free.
    Memory,
    /// Too little disk is free.
    Disk,
    /// Too few cores are free.
    Cores,
    /// It has an instance of a placement group that wants its instances on nodes of their own.
    Group,
}

/// Why a node could not take an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The first filter that refused it.
    pub filter: Filter,
    /// With numbers, to follow the node's name.
    pub sentence: String,
}

impl Filter {
    /// Every filter, in the order in which they are asked.
    pub const ALL: [Filter; 10] = [
        Filter::Draining,
        Filter::Architecture,
        Filter::Tags,
        Filter::Down,
        Filter::Silent,
        Filter::Tried,
        Filter::Memory,
        Filter::Disk,
        Filter::Cores,
        Filter::Group,
    ];

    /// The name in records and contract.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Draining => "draining",
            Filter::Architecture => "architecture",
            Filter::Tags => "tags",
            Filter::Down => "down",
            Filter::Silent => "silent",
            Filter::Tried => "tried",
            Filter::Memory => "memory",
            Filter::Disk => "disk",
            Filter::Cores => "cores",
            Filter::Group => "group",
        }
    }

    /// The first refusal that this node meets with.
    pub(super) fn first_refusal(node: &Candidate, want: Want<'_>) -> Option<Refusal> {
        let refusal = |filter: Filter| Some(Refusal { filter, sentence: filter.refuses(node, want)? });
        Filter::ALL.into_iter().find_map(refusal)
    }

    /// Why this filter refuses the node, to follow its name; `None` if it does not.
    fn refuses(self, node: &Candidate, want: Want<'_>) -> Option<String> {
        let short = |free: i64, asked: i64, what: &str| {
            (free < asked).then(|| format!("has only {free} {what} free; the instance needs {asked}"))
        };
        let facts = node.facts.as_deref();
        match self {
            Filter::Draining => node.draining.as_ref().map(|why| format!("is draining {why}")),
            Filter::Architecture => {
                let (node, image) = (facts?.architecture.as_deref()?, want.needs.architecture.as_deref()?);
                (!runs(node, image)).then(|| format!("runs {node}, and the image is for {image}"))
            }
            Filter::Tags => {
                let missing: Vec<&str> = want.needs.tags.difference(&facts?.tags).map(String::as_str).collect();
                let tags = if missing.len() == 1 { "tag" } else { "tags" };
                (!missing.is_empty()).then(|| format!("lacks the {tags} {}", missing.join(", ")))
            }
            Filter::Down => match &node.condition {
                Condition::Down(sentence) => Some(sentence.clone()),
                Condition::Up | Condition::Silent(_) => None,
            },
            Filter::Silent => match &node.condition {
                Condition::Silent(sentence) => Some(sentence.clone()),
                Condition::Up | Condition::Down(_) => None,
            },
            Filter::Tried => want.tried.contains(&node.name).then(|| "refused this instance already".to_string()),
            Filter::Memory => short(node.free.memory_mb, want.size.memory_mb, "MB of memory"),
            Filter::Disk => short(node.free.disk_gb, want.size.disk_gb, "GB of disk"),
            Filter::Cores => short(node.free.cores, want.size.cores, "cores"),
            Filter::Group => match (want.group, node.members) {
                (Some(Strategy::Spread), 1..) => Some("has an instance of its spread placement group".to_string()),
                (Some(Strategy::Spread), 0) | (Some(Strategy::Cluster) | None, _) => None,
            },
        }
    }

    /// What so many nodes have in common that this filter refused, without names.
    pub fn of_so_many(self, nodes: usize) -> &'static str {
        let one = nodes == 1;
        match self {
            Filter::Draining if one => "is draining",
            Filter::Draining => "are draining",
            Filter::Architecture if one => "has another architecture than the image",
            Filter::Architecture => "have another architecture than the image",
            Filter::Tags if one => "lacks a tag that is asked for",
            Filter::Tags => "lack a tag that is asked for",
            Filter::Down if one => "is down",
            Filter::Down => "are down",
            Filter::Silent if one => "does not answer now",
            Filter::Silent => "do not answer now",
            Filter::Tried => "refused it",
            Filter::Memory if one => "has too little memory",
            Filter::Memory => "have too little memory",
            Filter::Disk if one => "has too little disk",
            Filter::Disk => "have too little disk",
            Filter::Cores if one => "has too few cores",
            Filter::Cores => "have too few cores",
            Filter::Group if one => "has an instance of its placement group",
            Filter::Group => "have instances of its placement group",
        }
    }
}

/// Whether guests with such processors run an image for those: EC2's names of architectures.
fn runs(node: &str, image: &str) -> bool {
    node == image || (node == "x86_64" && image == "i386")
}

/// What a node that fits has not told and was asked for, to follow its name.
pub(super) fn assumed(node: &Candidate, want: Want<'_>) -> Option<String> {
    let facts = node.facts.as_deref();
    let no_architecture = want.needs.architecture.is_some() && facts.is_none_or(|facts| facts.architecture.is_none());
    let no_tags = !want.needs.tags.is_empty() && facts.is_none();
    match (no_architecture, no_tags) {
        (true, true) => Some("does not tell its architecture and tags, which are assumed to fit".to_string()),
        (true, false) => Some("does not tell its architecture, which is assumed to fit".to_string()),
        (false, true) => Some("does not tell its tags, which are assumed to fit".to_string()),
        (false, false) => None,
    }
}

/// `2 nodes have too little memory, 1 is down`; the most frequent reason first.
pub(super) fn in_words(counts: &BTreeMap<Filter, usize>) -> String {
    let mut counts: Vec<(Filter, usize)> = counts.iter().map(|(filter, nodes)| (*filter, *nodes)).collect();
    counts.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
    let words = counts.into_iter().enumerate().map(|(at, (filter, nodes))| {
        let noun = match (at, nodes) {
            (0, 1) => " node",
            (0, _) => " nodes",
            _ => "",
        };
        format!("{nodes}{noun} {}", filter.of_so_many(nodes))
    });
    words.collect::<Vec<_>>().join(", ")
}
