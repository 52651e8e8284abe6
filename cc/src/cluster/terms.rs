//! What the cloud says of instances before it launches them and 2.0.1's RunInstances has no field for: their
//! placement group, and what their node must be. What it means for a node is `place`'s to say. Plain data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::place::{Needs, Strategy};

/// How long the terms are kept of an instance that is not known: its launch may be on its way.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The terms on which one instance is placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The instance.
    pub instance: InstanceId,
    /// Its placement group.
    #[serde(flatten)]
    pub group: Option<Membership>,
    /// What its node must be.
    #[serde(default)]
    pub needs: Needs,
    /// Since when anything is known.
    pub since: Timestamp,
}

/// One instance's membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The group's id, one in the whole cloud.
    pub group: String,
    /// What the group wants.
    pub strategy: Strategy,
}

/// The terms of all instances that have any.
#[derive(Clone, Debug, Default)]
pub struct AllTerms {
    all: BTreeMap<InstanceId, Terms>,
    /// Those that changed, or went, since they were last written down.
    unsaved: BTreeSet<InstanceId>,
}

impl AllTerms {
    /// Terms from before a restart.
    pub fn remembered(terms: impl IntoIterator<Item = Terms>) -> Self {
        let all = terms.into_iter().map(|terms| (terms.instance.clone(), terms)).collect();
        Self { all, unsaved: BTreeSet::new() }
    }

    /// Makes instances members of a group.
    pub fn join(&mut self, group: &str, strategy: Strategy, instances: &[InstanceId], now: Timestamp) {
        let group = Membership { group: group.to_string(), strategy };
        self.edit(instances, now, |terms| terms.group = Some(group.clone()));
    }

    /// Says what the nodes of instances must be.
    pub fn restrict(&mut self, needs: &Needs, instances: &[InstanceId], now: Timestamp) {
        self.edit(instances, now, |terms| terms.needs = needs.clone());
    }

    fn edit(&mut self, instances: &[InstanceId], now: Timestamp, change: impl Fn(&mut Terms)) {
        for id in instances {
            let before = self.all.get(id).cloned();
            let none = || Terms { instance: id.clone(), group: None, needs: Needs::default(), since: now };
            let mut terms = before.clone().unwrap_or_else(none);
            change(&mut terms);
            if before.as_ref() != Some(&terms) {
                self.all.insert(id.clone(), terms);
                self.unsaved.insert(id.clone());
            }
        }
    }

    /// The terms of an instance.
    pub fn of(&self, instance: &InstanceId) -> Option<&Terms> {
        self.all.get(instance)
    }

    /// The placement group of an instance.
    pub fn group_of(&self, instance: &InstanceId) -> Option<&Membership> {
        self.of(instance)?.group.as_ref()
    }

    /// Forgets what is old, of instances that are not `there`.
    pub fn sweep(&mut self, there: impl Fn(&InstanceId) -> bool, now: Timestamp) {
        let old = |terms: &&Terms| now.duration_since(terms.since) > KEPT && !there(&terms.instance);
        let old: Vec<InstanceId> = self.all.values().filter(old).map(|terms| terms.instance.clone()).collect();
        for instance in old {
            self.all.remove(&instance);
            self.unsaved.insert(instance);
        }
    }

    /// What must be written down now: each changed record, `None` for one that went.
    pub fn take_unsaved(&mut self) -> Vec<(InstanceId, Option<Terms>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().map(|id| (id.clone(), self.all.get(&id).cloned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_round_and_those_of_groups_alone_are_still_read() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let id = InstanceId::parse("i-0000000A").unwrap();
        let mut terms = AllTerms::default();
        let needs = Needs { architecture: Some("arm64".into()), tags: BTreeSet::from(["ssd".into()]) };
        terms.restrict(&needs, std::slice::from_ref(&id), now);
        assert_eq!(terms.group_of(&id), None);
        terms.join("pg-1", Strategy::Spread, std::slice::from_ref(&id), now);
        let written = serde_json::to_string(terms.of(&id).unwrap()).unwrap();
        assert_eq!(&serde_json::from_str::<Terms>(&written).unwrap(), terms.of(&id).unwrap());
        drop(terms.take_unsaved());
        terms.restrict(&needs, std::slice::from_ref(&id), now);
        assert!(terms.take_unsaved().is_empty(), "said again, it changes nothing");
        let old = r#"{"instance":"i-0000000A","group":"pg-1","strategy":"spread","since":"2026-11-20T12:00:00Z"}"#;
        let read: Terms = serde_json::from_str(old).unwrap();
        assert_eq!((read.group, read.needs), (terms.group_of(&id).cloned(), Needs::default()));
    }
}
