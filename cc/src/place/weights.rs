//! The weights: what speaks for a node that could take an instance. They are compared one after the
//! other, so that each means something by itself: the first that differs decides.

use serde::{Deserialize, Serialize};

use super::{Candidate, Strategy, Want};

/// A node that makes so many instances at once comes after those that make fewer (operations-spec.md
/// C-2, max concurrent builds). It is not refused: with one node, or many instances, waiting for nothing
/// would be no better.
pub const BUILDS: usize = 10;

/// What speaks for a node, the weightiest first; more is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weights {
    /// Launches that failed on it lately, negative.
    pub failures: i64,
    /// Instances that it is making beyond [`BUILDS`] less one, negative.
    pub builds: i64,
    /// Instances on it of the same placement group, if that wants them near each other.
    pub group: i64,
    /// Its place in the policy's order, negative.
    pub policy: i64,
    /// MB of memory that the instance would leave.
    pub memory_mb: i64,
    /// Cores that the instance would leave.
    pub cores: i64,
    /// 1 if its image is in the node's cache. Last, for before the others it would heap all instances of an image on
    /// one node.
    #[serde(default)]
    pub image: i64,
}

impl Weights {
    /// The weights of a node for what is wanted, when the policy has that preference for it.
    pub(super) fn of(node: &Candidate, want: Want<'_>, policy: i64) -> Self {
        let minus = |count: usize| -i64::try_from(count).unwrap_or(i64::MAX);
        let left = node.free.less(want.size);
        Self {
            failures: minus(node.failures),
            builds: minus(node.builds.saturating_sub(BUILDS - 1)),
            group: match want.group {
                Some(Strategy::Cluster) => -minus(node.members),
                Some(Strategy::Spread) | None => 0,
            },
            policy,
            memory_mb: left.memory_mb,
            cores: left.cores,
            image: node.facts.as_ref().is_some_and(|facts| facts.images.contains(want.image)).into(),
        }
    }

    /// Each by its name in the contract, the weightiest first.
    pub fn named(self) -> [(&'static str, i64); 7] {
        [
            ("failures", self.failures),
            ("builds", self.builds),
            ("group", self.group),
            ("policy", self.policy),
            ("memory", self.memory_mb),
            ("cores", self.cores),
            ("image", self.image),
        ]
    }
}
