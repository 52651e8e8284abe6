//! Which instances are members of which placement group. The cloud says so before it launches them; what
//! it means for a node is `place`'s to say. Plain data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::place::Strategy;

/// How long a membership is kept of an instance that is not known: its launch may be on its way.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// One instance's membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The instance.
    pub instance: InstanceId,
    /// The group's id, one in the whole cloud.
    pub group: String,
    /// What the group wants.
    pub strategy: Strategy,
    /// Since when it is known.
    pub since: Timestamp,
}

/// All memberships.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    members: BTreeMap<InstanceId, Membership>,
    /// Those that changed, or went, since they were last written down.
    unsaved: BTreeSet<InstanceId>,
}

impl Groups {
    /// Memberships from before a restart.
    pub fn remembered(memberships: impl IntoIterator<Item = Membership>) -> Self {
        let members = memberships.into_iter().map(|member| (member.instance.clone(), member)).collect();
        Self { members, unsaved: BTreeSet::new() }
    }

    /// Makes instances members of a group.
    pub fn join(&mut self, group: &str, strategy: Strategy, instances: &[InstanceId], now: Timestamp) {
        for instance in instances {
            let same = |member: &Membership| member.group == group && member.strategy == strategy;
            if !self.members.get(instance).is_some_and(same) {
                let (instance, group) = (instance.clone(), group.to_string());
                self.unsaved.insert(instance.clone());
                self.members.insert(instance.clone(), Membership { instance, group, strategy, since: now });
            }
        }
    }

    /// The membership of an instance.
    pub fn of(&self, instance: &InstanceId) -> Option<&Membership> {
        self.members.get(instance)
    }

    /// Forgets what is old, of instances that are not `there`.
    pub fn sweep(&mut self, there: impl Fn(&InstanceId) -> bool, now: Timestamp) {
        let old = |member: &&Membership| now.duration_since(member.since) > KEPT && !there(&member.instance);
        let old: Vec<InstanceId> = self.members.values().filter(old).map(|member| member.instance.clone()).collect();
        for instance in old {
            self.members.remove(&instance);
            self.unsaved.insert(instance);
        }
    }

    /// What must be written down now: each changed membership, `None` for one that went.
    pub fn take_unsaved(&mut self) -> Vec<(InstanceId, Option<Membership>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().map(|id| (id.clone(), self.members.get(&id).cloned())).collect()
    }
}
