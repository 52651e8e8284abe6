//! What the cluster believes of one instance, and since when. Plain data; the states' views for
//! the two contracts are computed here, and nothing that can be computed is stored. Knows no
//! message and no node call.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, NodeName};
use crate::place::Room;

/// For how long after its placement a launch without an answer is sent again.
const SENT_AGAIN_FOR: SignedDuration = SignedDuration::from_secs(60);

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What it was launched as.
    pub spec: Spec,
    /// The node that has it, or to which its launch was sent.
    pub node: NodeName,
    /// Its state, as its node last said.
    pub state: State,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When its node last said so; `None` until the node has listed it.
    pub observed: Option<Timestamp>,
    /// When it was launched: ours until the node has reported, then the node's.
    pub launched: Timestamp,
    /// Its private address; 0.0.0.0 until learned.
    pub private_ip: Ipv4Addr,
    /// Its public address; 0.0.0.0 for none.
    pub public_ip: Ipv4Addr,
    /// How sure we are that its node took it.
    pub launch: Launch,
    /// True while its size is taken off what its node says is free: from placement until the
    /// node's report lists it.
    pub claimed: bool,
    /// True if its launch was undone, or it was to be terminated when its node could not be told: wherever it is found
    /// alive, it is terminated.
    pub unwanted: bool,
    /// Other nodes that report it too. Never acted upon; people must look.
    pub also_on: BTreeSet<NodeName>,
    /// Since when no node lists it.
    pub absent: Option<Timestamp>,
    /// Volumes, as the node reports them.
    pub volumes: Vec<Volume>,
    /// State of its bundling.
    pub bundle: Option<String>,
    /// Boots since it was launched, where the node tells.
    pub boots: Option<i32>,
    /// How its last reboot went, where the node tells.
    pub last_reboot: Option<String>,
    /// The epoch of the last operation that its node took, where the node tells.
    #[serde(default)]
    pub epoch: Option<i64>,
    /// Of one that is stopped: whether its guest turned itself off, where the node tells.
    #[serde(default)]
    pub by_guest: Option<bool>,
    /// The nodes that its launch was tried on in vain.
    #[serde(default)]
    pub tried: BTreeSet<NodeName>,
    /// The cluster's report counter when its node accepted it: a report begun before then cannot
    /// have listed it. Not kept over a restart, which begins with new reports.
    #[serde(skip)]
    pub accepted_at: u64,
}

/// What an instance was launched as; never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `r-` and eight digits.
    pub reservation_id: String,
    /// User of the run request.
    pub owner: String,
    /// `emi-...`.
    pub image_id: String,
    /// `eki-...`, if any.
    pub kernel_id: Option<String>,
    /// `eri-...`, if any.
    pub ramdisk_id: Option<String>,
    /// Name of its type, `m1.small`.
    pub type_name: String,
    /// What it takes from its node.
    pub size: Room,
    /// Wished block devices.
    pub devices: Vec<Device>,
    /// The public key itself; may be empty.
    pub key: String,
    /// Its MAC address.
    pub mac: String,
    /// VLAN tag; -1 = none.
    pub vlan: i32,
    /// Index of its address in its network; -1 = none.
    pub network_index: i32,
    /// User data; may be empty.
    pub user_data: String,
    /// Index in the reservation.
    pub launch_index: String,
    /// `linux`, `windows`; old clouds leave it out.
    pub platform: Option<String>,
    /// Security groups.
    pub groups: Vec<String>,
    /// Where its images are, until it has run: nodes do not tell.
    #[serde(default)]
    pub urls: Option<Urls>,
    /// The run request, to which belongs what is still done for the launch later on.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// Where a launch's images are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urls {
    /// Of the image.
    pub image: String,
    /// Of the kernel.
    pub kernel: Option<String>,
    /// Of the ramdisk.
    pub ramdisk: Option<String>,
}

/// A wished block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Device in the guest.
    pub name: Option<String>,
    /// Its role, `ephemeral0`.
    pub role: Option<String>,
    /// Its size, in the unit of its format.
    pub size: Option<i32>,
    /// File system.
    pub format: Option<String>,
}

/// A volume, as the node reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// `vol-` and eight digits.
    pub id: Option<String>,
    /// Where the node finds it.
    pub remote: Option<String>,
    /// Device in the guest.
    pub local: Option<String>,
    /// `attached` and the like.
    pub state: Option<String>,
}

/// States of an instance in a cluster: those of the nodes (`DescribeNode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Being made.
    Pending,
    /// Its domain runs.
    Running,
    /// Asked to reboot.
    Rebooting,
    /// Asked to stop.
    Stopping,
    /// Powered off, disk kept.
    Stopped,
    /// Being ended.
    ShuttingDown,
    /// Gone for good.
    Terminated,
    /// Never came to life, or died.
    Failed,
}

/// How sure we are that the node took the launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Launch {
    /// The call to the node is under way.
    Calling,
    /// The call ended without an answer to rely on; the node's reports decide.
    Doubtful {
        /// Since when.
        since: Timestamp,
    },
    /// The node accepted it, or listed it.
    Settled,
    /// Its node could not build it, and has nothing left of it: another is to be tried.
    Elsewhere,
}

/// The three states of the 2.0.1 wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coarse {
    /// Being made.
    Pending,
    /// There.
    Extant,
    /// Gone, or going.
    Teardown,
}

impl State {
    /// The name in the Ironbark contract.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Rebooting => "rebooting",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::ShuttingDown => "shutting-down",
            State::Terminated => "terminated",
            State::Failed => "failed",
        }
    }

    /// Reads a name of the Ironbark contract; `None` for one that we do not know.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            State::Pending,
            State::Running,
            State::Rebooting,
            State::Stopping,
            State::Stopped,
            State::ShuttingDown,
            State::Terminated,
            State::Failed,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }

    /// The state as the 2.0.1 wire has it.
    pub fn coarse(self) -> Coarse {
        match self {
            State::Pending => Coarse::Pending,
            State::Running | State::Rebooting | State::Stopping | State::Stopped => Coarse::Extant,
            State::ShuttingDown | State::Terminated | State::Failed => Coarse::Teardown,
        }
    }
}

impl Coarse {
    /// The `stateName` of the 2.0.1 wire.
    pub fn name(self) -> &'static str {
        match self {
            Coarse::Pending => "Pending",
            Coarse::Extant => "Extant",
            Coarse::Teardown => "Teardown",
        }
    }

    /// Reads a `stateName`; `None` for one that we do not know.
    pub fn from_name(name: &str) -> Option<Self> {
        [Coarse::Pending, Coarse::Extant, Coarse::Teardown].into_iter().find(|state| state.name() == name)
    }

    /// The state that a coarse name stands for, when `before` was believed: as long as the coarse
    /// name says nothing new, the finer belief stays.
    pub fn refine(self, before: Option<State>) -> State {
        match (before.filter(|state| state.coarse() == self), self) {
            (Some(state), _) => state,
            (None, Coarse::Pending) => State::Pending,
            (None, Coarse::Extant) => State::Running,
            (None, Coarse::Teardown) => State::Terminated,
        }
    }
}

impl Instance {
    /// The nodes that have it: one, or several in dispute.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        std::iter::once(&self.node).chain(&self.also_on)
    }

    /// A new belief: placed on `node`, its launch about to be sent.
    pub fn placed(id: InstanceId, spec: Spec, node: NodeName, now: Timestamp) -> Self {
        Self {
            id,
            spec,
            node,
            state: State::Pending,
            reason: None,
            since: now,
            observed: None,
            launched: now,
            private_ip: Ipv4Addr::UNSPECIFIED,
            public_ip: Ipv4Addr::UNSPECIFIED,
            launch: Launch::Calling,
            claimed: true,
            unwanted: false,
            also_on: BTreeSet::new(),
            absent: None,
            volumes: Vec::new(),
            bundle: None,
            boots: None,
            last_reboot: None,
            epoch: None,
            by_guest: None,
            tried: BTreeSet::new(),
            accepted_at: 0,
        }
    }

    /// True if its launch should be sent to its node again when that does not list it: the node may never have got it, and
    /// takes the same launch once, however often it comes.
    pub fn sent_again(&self, now: Timestamp) -> bool {
        let doubtful = matches!(self.launch, Launch::Doubtful { .. });
        doubtful && self.alive() && !self.unwanted && now.duration_since(self.launched) < SENT_AGAIN_FOR
    }

    /// True if its launch can be tried on another node: it has not run, and it is known where its images are.
    pub fn can_move(&self) -> bool {
        self.state == State::Pending && !self.unwanted && self.also_on.is_empty() && self.spec.urls.is_some()
    }

    /// True until it is gone or going.
    pub fn alive(&self) -> bool {
        self.state.coarse() != Coarse::Teardown
    }

    /// True until it is gone: what is being ended may be on its node for a while.
    pub fn there(&self) -> bool {
        self.alive() || self.state == State::ShuttingDown
    }

    /// Moves it to another state, and remembers since when; does nothing if it is there already.
    pub fn enter(&mut self, state: State, reason: Option<String>, since: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = since;
        }
        self.reason = reason;
    }

    /// Equal but for the time of the last observation, which is not worth a write to disk.
    pub fn same_but_for_time(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.observed = self.observed;
        *self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_and_has_its_old_name() {
        for (name, old) in [
            ("pending", "Pending"),
            ("running", "Extant"),
            ("rebooting", "Extant"),
            ("stopping", "Extant"),
            ("stopped", "Extant"),
            ("shutting-down", "Teardown"),
            ("terminated", "Teardown"),
            ("failed", "Teardown"),
        ] {
            let state = State::from_name(name).unwrap();
            assert_eq!((state.name(), state.coarse().name()), (name, old));
        }
        assert_eq!(State::from_name("paused"), None);
    }

    #[test]
    fn a_coarse_name_never_wipes_out_what_it_cannot_express() {
        assert_eq!(Coarse::Extant.refine(Some(State::Stopped)), State::Stopped);
        assert_eq!(Coarse::Extant.refine(Some(State::Pending)), State::Running);
        assert_eq!(Coarse::Teardown.refine(Some(State::Failed)), State::Failed);
        assert_eq!(Coarse::Teardown.refine(Some(State::Running)), State::Terminated);
        assert_eq!(Coarse::Pending.refine(None), State::Pending);
    }
}
