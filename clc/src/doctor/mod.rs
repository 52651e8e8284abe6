//! What does not fit together, in words, and what to do about it. One engine for `euca doctor` (everything) and
//! `euca admin unstick` (one instance): `gather` asks everybody, `examine` compares and is pure, `repair` does what a finding's
//! plan says, by operations that exist anyway.
//!
//! Nothing here touches what is not the cloud's own, or takes away what may be the only copy of somebody's work: where
//! only a person can know, the plan says what the person should look at.

pub mod examine;
mod gather;
mod repair;
pub mod scene;

pub use examine::{about, examine};
pub use gather::gather;
pub use repair::repair;
pub use scene::Scene;

/// One thing that does not fit, or that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing.
    pub kind: Kind,
    /// What it is about: `i-1A2B3C4D`, `cluster1`, `cluster1/n1`, an address.
    pub subject: String,
    /// What is, since when, and what should be.
    pub sentence: String,
    /// What is to be done, by the program or by a person.
    pub plan: String,
    /// The program's part of the plan.
    pub repair: Repair,
}

/// The sorts of findings, causes before consequences: in this order they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Not a fault: how an instance is that was asked for by name.
    State,
    /// A cluster does not answer.
    ClusterSilent,
    /// A cluster is of a version that tells too little.
    NotExamined,
    /// A node does not answer.
    NodeSilent,
    /// A node answers and its hypervisor does not.
    HypervisorSilent,
    /// A node's disk is nearly full.
    DiskLow,
    /// Records on a node that its program cannot read.
    Unreadable,
    /// Two nodes have the same instance.
    Disputed,
    /// An instance has been on its way for longer than it may.
    Late,
    /// The cloud has an instance that its cluster or node does not have.
    Missing,
    /// What has ended is still there.
    NotGone,
    /// A cluster has an instance that the cloud does not know.
    Unknown,
    /// A node's record and its hypervisor do not agree.
    Drift,
    /// An instance's files are gone.
    FilesMissing,
    /// An instance is held by its hypervisor.
    Paused,
    /// A domain with the node's mark and without a record.
    StrangeDomain,
    /// Files without a record.
    StrangeFiles,
    /// An elastic address that is not where it is said to be.
    Address,
    /// For information: an instance that ended by a fault, and why.
    Failed,
}

impl Kind {
    /// The kind as the door and the documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::State => "state",
            Kind::ClusterSilent => "cluster-silent",
            Kind::NotExamined => "not-examined",
            Kind::NodeSilent => "node-silent",
            Kind::HypervisorSilent => "hypervisor-silent",
            Kind::DiskLow => "disk-low",
            Kind::Unreadable => "unreadable",
            Kind::Disputed => "disputed",
            Kind::Late => "late",
            Kind::Missing => "missing",
            Kind::NotGone => "not-gone",
            Kind::Unknown => "unknown",
            Kind::Drift => "drift",
            Kind::FilesMissing => "files-missing",
            Kind::Paused => "paused",
            Kind::StrangeDomain => "strange-domain",
            Kind::StrangeFiles => "strange-files",
            Kind::Address => "address",
            Kind::Failed => "failed",
        }
    }
}

/// What the program can do about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: it is a person's, or there is nothing to do.
    None,
    /// Ask the cluster how everything is, and believe it.
    Ask {
        /// Which.
        cluster: String,
    },
    /// Send what is due to the instance's cluster now.
    Tell {
        /// Which instance.
        id: String,
    },
    /// Have the cluster end an instance.
    End {
        /// Which.
        id: String,
        /// Where.
        cluster: String,
        /// It is done only for who names the instance: it may be somebody's.
        only_named: bool,
    },
    /// Take an elastic address off an instance that has ended.
    TakeOff {
        /// Which.
        public_ip: String,
    },
}

impl Repair {
    /// Whether a request to repair everything does it; `named`: whether the request is about this thing alone.
    pub fn is_done(&self, named: bool) -> bool {
        match self {
            Repair::None => false,
            Repair::Ask { .. } | Repair::Tell { .. } | Repair::TakeOff { .. } => true,
            Repair::End { only_named, .. } => named || !only_named,
        }
    }
}
