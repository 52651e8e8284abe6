//! What is remembered of each cluster between polls: since when something has been missing, and what was accepted.
//! Plain bookkeeping: it asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clusters::Known;
use crate::lifecycle::Absence;
use crate::store::Instance;

/// Missing from every list for so long, an instance is lost, unless its node is just not heard.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// The same of a cluster that does not tell about its nodes: 2.0.1's own patience.
const LOST_AFTER_2_0_1: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered of each cluster from poll to poll. Lost in a restart, which only makes us
/// more patient.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<BTreeMap<String, Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// When the cluster accepted each termination.
    terminated: BTreeMap<String, Timestamp>,
    /// Since when each instance has been missing.
    missing: BTreeMap<String, Timestamp>,
    /// Instances it reported that are none of ours, so that each is logged once.
    strangers: BTreeSet<String>,
}

impl Watch {
    /// A cluster has accepted terminations.
    pub(crate) fn terminate_accepted(&self, cluster: &str, ids: &[String], now: Timestamp) {
        self.of(cluster, |memory| {
            for id in ids {
                memory.terminated.entry(id.clone()).or_insert(now);
            }
        });
    }

    /// Those of the instances that the cluster reported, and that are none of ours, which it reports for the first time.
    pub(super) fn new_strangers(&self, cluster: &str, ids: &[String]) -> Vec<String> {
        self.of(cluster, |memory| ids.iter().filter(|id| memory.strangers.insert((*id).clone())).cloned().collect())
    }

    /// What is known of the living instances that the cluster, asked at `asked`, should have named and did not.
    pub(super) fn absent(
        &self,
        cluster: &str,
        asked: Timestamp,
        known: &Known,
        named: &BTreeSet<&str>,
        living: &[Instance],
    ) -> Vec<(String, Absence)> {
        self.of(cluster, |memory| memory.absent(asked, known, named, living))
    }

    fn of<T>(&self, cluster: &str, work: impl FnOnce(&mut Memory) -> T) -> T {
        let mut clusters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(clusters.entry(cluster.to_string()).or_default())
    }
}

impl Memory {
    fn absent(
        &mut self,
        asked: Timestamp,
        known: &Known,
        named: &BTreeSet<&str>,
        living: &[Instance],
    ) -> Vec<(String, Absence)> {
        let patience = if known.description.is_some() { LOST_AFTER } else { LOST_AFTER_2_0_1 };
        let mut missing = BTreeMap::new();
        let mut absent = Vec::new();
        for instance in living.iter().filter(|instance| !named.contains(instance.id.as_str())) {
            let since = self.missing.get(&instance.id).copied().unwrap_or(asked);
            missing.insert(instance.id.clone(), since);
            let node = instance.node.as_deref().and_then(|name| known.node(name));
            let absence = Absence {
                terminate_accepted: self.terminated.get(&instance.id).is_some_and(|accepted| *accepted < asked),
                for_long: asked.duration_since(since) >= patience,
                // A cluster that tells nothing of its nodes is believed after its longer time.
                node_answered: known.description.is_none()
                    || node.and_then(|node| node.last_seen).is_some_and(|seen| seen > since),
            };
            absent.push((instance.id.clone(), absence));
        }
        self.missing = missing;
        self.terminated.retain(|id, _| living.iter().any(|instance| instance.id == *id));
        absent
    }
}
