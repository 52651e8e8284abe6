//! One node's answer to a refresh, merged into the beliefs: a pure function that touches only
//! what this node has to say. It never acts; what deserves a log line comes back as notices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::beliefs::Beliefs;
use super::instance::{Coarse, Instance, Launch, Spec, State, Volume};
use super::node::Identity;
use crate::ids::{InstanceId, NodeName};
use crate::place::Room;

/// How long after a launch without an answer its node's silence about the instance proves nothing:
/// the request may still be on its way. Longer than any call to a node may take.
pub const LAUNCH_DOUBT: SignedDuration = SignedDuration::from_secs(60);

/// A node's answer to a refresh.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its number, from [`Beliefs::begin_report`].
    pub number: u64,
    /// Every instance that the node listed.
    pub sightings: Vec<Sighting>,
    /// What it offers in all.
    pub offered: Room,
    /// What it says is free; asked after the list, so that it counts all that is listed.
    pub free: Room,
    /// Who it says it is; `None` when it did not tell this time.
    pub identity: Option<Identity>,
}

/// One instance as a node lists it.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its id.
    pub id: InstanceId,
    /// What it was launched as.
    pub spec: Spec,
    /// Its state on the 2.0.1 wire.
    pub coarse: Coarse,
    /// When it was launched.
    pub launched: Option<Timestamp>,
    /// Its private address; 0.0.0.0 when the node does not know.
    pub private_ip: Ipv4Addr,
    /// Its public address; 0.0.0.0 when the node does not know.
    pub public_ip: Ipv4Addr,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// State of its bundling.
    pub bundle: Option<String>,
    /// What only DescribeNode tells.
    pub detail: Option<Detail>,
}

/// What DescribeNode tells of an instance.
#[derive(Clone, Debug)]
pub struct Detail {
    /// Its state.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Boots since it was launched.
    pub boots: i32,
    /// How the last reboot went.
    pub last_reboot: Option<String>,
    /// The epoch of the last operation that its node took.
    pub epoch: Option<i64>,
    /// Of one that is stopped: whether its guest turned itself off.
    pub by_guest: Option<bool>,
    /// Its launch failed, or is being undone, and another node may do better.
    pub elsewhere: bool,
}

/// Something that a merge found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An instance changed its state.
    Changed {
        /// The instance.
        id: InstanceId,
        /// Before.
        from: State,
        /// Now.
        to: State,
    },
    /// A node has an instance that we did not know.
    Adopted {
        /// The instance.
        id: InstanceId,
        /// The node.
        node: NodeName,
    },
    /// Two nodes say they have it: somebody must look.
    Disputed {
        /// The instance.
        id: InstanceId,
        /// The node that we believe has it.
        on: NodeName,
        /// The other one.
        and: NodeName,
    },
    /// A node that had it does not list it any more.
    Vanished {
        /// The instance.
        id: InstanceId,
        /// The node.
        node: NodeName,
    },
    /// It is another node's now.
    Moved {
        /// The instance.
        id: InstanceId,
        /// The node that has it now.
        to: NodeName,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Changed { id, from, to } => write!(f, "{id} is {} (was {})", to.name(), from.name()),
            Notice::Adopted { id, node } => write!(f, "{id} found on node {node}, which this cluster did not know of"),
            Notice::Disputed { id, on, and } => {
                write!(
                    f,
                    "{id} is reported by node {on} and by node {and}: nothing is done about it; look at both and terminate it there"
                )
            }
            Notice::Vanished { id, node } => {
                write!(f, "{id} is gone: node {node} answers and does not list it any more")
            }
            Notice::Moved { id, to } => write!(f, "{id} is on node {to} now"),
        }
    }
}

/// Merges one node's answer.
pub fn merge(beliefs: &mut Beliefs, name: &NodeName, report: Report, now: Timestamp) -> Vec<Notice> {
    let Some(node) = beliefs.node_mut(name) else {
        return Vec::new(); // deregistered while it was being asked
    };
    node.answered(now);
    node.offered = Some(report.offered);
    node.free = Some(report.free);
    if let Some(identity) = report.identity {
        node.identity = identity;
    }
    let listed: BTreeMap<InstanceId, Sighting> =
        report.sightings.into_iter().map(|seen| (seen.id.clone(), seen)).collect();
    let mut notices = Vec::new();
    missing(beliefs, name, report.number, &listed.keys().cloned().collect(), now, &mut notices);
    for seen in listed.into_values() {
        sighted(beliefs, name, seen, now, &mut notices);
    }
    notices
}

/// A node lists an instance.
fn sighted(beliefs: &mut Beliefs, name: &NodeName, seen: Sighting, now: Timestamp, notices: &mut Vec<Notice>) {
    let id = seen.id.clone();
    let alive_there = seen.coarse != Coarse::Teardown;
    let Some(believed) = beliefs.instances.get(&id) else {
        let mut instance = Instance::placed(id.clone(), seen.spec.clone(), name.clone(), now);
        update(&mut instance, seen, now);
        beliefs.adopt(instance);
        notices.push(Notice::Adopted { id, node: name.clone() });
        return;
    };
    let before = believed.state;
    if believed.node == *name && believed.launch == Launch::Elsewhere {
        return; // what is left of an attempt that this node has given up
    }
    if believed.node == *name && believed.can_move() && seen.fails_here() {
        beliefs.edit(&id, |instance| fails_here(instance, seen, now));
        return;
    }
    if believed.node != *name {
        let ours_is_gone = !believed.alive() || believed.absent.is_some();
        if !alive_there {
            return; // what is left of an attempt that this node refused or lost
        }
        if !ours_is_gone {
            if !believed.also_on.contains(name) {
                notices.push(Notice::Disputed { id: id.clone(), on: believed.node.clone(), and: name.clone() });
            }
            beliefs.edit(&id, |instance| instance.also_on.extend([name.clone()]));
            return;
        }
        notices.push(Notice::Moved { id: id.clone(), to: name.clone() });
    } else if !alive_there && let Some(other) = believed.also_on.first().cloned() {
        // Of two copies this one has ended: the instance lives on, on the other node.
        notices.push(Notice::Moved { id: id.clone(), to: other.clone() });
        beliefs.edit(&id, |instance| {
            instance.also_on.remove(&other);
            instance.node = other;
        });
        return;
    }
    beliefs.edit(&id, |instance| {
        instance.also_on.remove(name);
        instance.node = name.clone();
        update(instance, seen, now);
    });
    if let Some(to) = beliefs.instances.get(&id).map(|instance| instance.state).filter(|state| *state != before) {
        notices.push(Notice::Changed { id, from: before, to });
        if let (State::Pending, State::Failed, Some(node)) = (before, to, beliefs.node_mut(name)) {
            node.launch_failed(now);
        }
    }
}

impl Sighting {
    /// Whether its launch fails on the node that lists it, and may do better on another.
    fn fails_here(&self) -> bool {
        self.detail
            .as_ref()
            .is_some_and(|detail| detail.elsewhere && matches!(detail.state, State::ShuttingDown | State::Failed))
    }
}

/// Its node could not build it. To the cloud it is pending: as soon as nothing is left of it there, another node is tried.
fn fails_here(instance: &mut Instance, seen: Sighting, now: Timestamp) {
    let Some(detail) = seen.detail else { return };
    instance.reason = detail.reason;
    instance.observed = Some(now);
    instance.claimed = false;
    instance.launch = if detail.state == State::Failed { Launch::Elsewhere } else { Launch::Settled };
}

/// Takes over what its node says of an instance.
fn update(instance: &mut Instance, seen: Sighting, now: Timestamp) {
    match seen.detail {
        Some(detail) => {
            instance.enter(detail.state, detail.reason, detail.since);
            instance.since = detail.since;
            instance.boots = Some(detail.boots);
            instance.last_reboot = detail.last_reboot;
            instance.epoch = detail.epoch;
            instance.by_guest = detail.by_guest;
        }
        None => {
            let state = seen.coarse.refine(Some(instance.state));
            let reason = if state == instance.state { instance.reason.clone() } else { None };
            instance.enter(state, reason, now);
        }
    }
    if instance.launch != Launch::Settled {
        instance.launch = Launch::Settled;
    }
    // The address that we know stays unless the node knows one (wire/cc.md 8.3).
    for (ours, theirs) in [(&mut instance.private_ip, seen.private_ip), (&mut instance.public_ip, seen.public_ip)] {
        if !theirs.is_unspecified() {
            *ours = theirs;
        }
    }
    if instance.public_ip.is_unspecified() {
        instance.public_ip = instance.private_ip; // SYSTEM mode: one address is both
    }
    // Nodes do not tell where the images are. Once it has run, nobody needs to know.
    let urls = instance.spec.urls.take().filter(|_| instance.state == State::Pending);
    instance.spec = Spec { request_id: instance.spec.request_id.take(), urls, ..seen.spec };
    instance.launched = seen.launched.unwrap_or(instance.launched);
    instance.volumes = seen.volumes;
    instance.bundle = seen.bundle;
    instance.claimed = false;
    instance.absent = None;
    instance.observed = Some(now);
}

/// The instances that we believed on this node and that it did not list.
fn missing(
    beliefs: &mut Beliefs,
    name: &NodeName,
    number: u64,
    listed: &BTreeSet<InstanceId>,
    now: Timestamp,
    notices: &mut Vec<Notice>,
) {
    let unlisted = beliefs.on(name).filter(|instance| !listed.contains(&instance.id));
    let unlisted: Vec<InstanceId> = unlisted.map(|instance| instance.id.clone()).collect();
    for id in unlisted {
        beliefs.edit(&id, |instance| {
            if instance.node == *name {
                absent(instance, number, now, notices);
            } else {
                instance.also_on.remove(name);
            }
        });
    }
}

/// Its node does not list it. What that proves depends on how its launch stands.
fn absent(instance: &mut Instance, number: u64, now: Timestamp, notices: &mut Vec<Notice>) {
    let reason = match instance.launch {
        Launch::Calling | Launch::Elsewhere => return,
        Launch::Settled if instance.accepted_at > number => return,
        Launch::Doubtful { since } if now.duration_since(since) < LAUNCH_DOUBT => return,
        Launch::Doubtful { .. } => format!("node {} never answered the launch and does not have it", instance.node),
        Launch::Settled => format!("node {} no longer has it", instance.node),
    };
    instance.claimed = false;
    if let Some(other) = instance.also_on.pop_first() {
        instance.node = other.clone();
        notices.push(Notice::Moved { id: instance.id.clone(), to: other });
        return;
    }
    if instance.absent.is_none() {
        instance.absent = Some(now);
        if instance.alive() {
            notices.push(Notice::Vanished { id: instance.id.clone(), node: instance.node.clone() });
        }
    }
    let state = match (instance.state, instance.launch) {
        (State::Failed, _) | (_, Launch::Doubtful { .. }) => State::Failed,
        (State::Pending, _) => State::Failed,
        (
            State::Running
            | State::Rebooting
            | State::Stopping
            | State::Stopped
            | State::ShuttingDown
            | State::Terminated,
            Launch::Calling | Launch::Settled | Launch::Elsewhere,
        ) => State::Terminated,
    };
    // A reason from when the node still had it says more than that it is gone.
    let told = instance.reason.take().filter(|_| instance.state == state);
    instance.enter(state, told.or(Some(reason)), now);
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
