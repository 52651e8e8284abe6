//! What the doctor compares, as plain nouns: the records, and beside them what clusters believe and nodes find. Made by
//! `gather`, judged in `examine`.

use jiff::Timestamp;

use crate::lifecycle::Observed;
use crate::store::{Address, Instance};

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// When.
    pub now: Timestamp,
    /// Every instance that is kept, ended ones too.
    pub records: Vec<Instance>,
    /// Every elastic address that somebody has.
    pub addresses: Vec<Address>,
    /// The clusters, by name.
    pub clusters: Vec<(String, Seen)>,
}

/// What came of asking a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It did not answer, and why.
    Silent(String),
    /// It knows the operations of Eucalyptus 2.0.1 only, which tell too little.
    Old,
    /// It answered.
    Told {
        /// What it believes of instances.
        beliefs: Vec<Belief>,
        /// Its nodes.
        nodes: Vec<Node>,
    },
}

/// What a cluster believes of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// Which.
    pub id: String,
    /// On which node.
    pub node: String,
    /// How it is.
    pub state: Observed,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it found; or why it could not be asked.
    pub inventory: Result<Inventory, String>,
}

/// What a node found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Why its hypervisor could not be asked.
    pub hypervisor_trouble: Option<String>,
    /// Its instances.
    pub instances: Vec<OnNode>,
    /// Domains with its mark and without a record.
    pub strange_domains: Vec<String>,
    /// Directories without a record.
    pub strange_files: Vec<String>,
    /// Records it cannot read.
    pub unreadable: Vec<String>,
    /// MB free where the disks are.
    pub disk_free_mb: i64,
}

/// An instance as its node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnNode {
    /// Which.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// How its node says it is.
    pub state: Observed,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Its domain in the node's word; none when the hypervisor could not be asked.
    pub domain: Option<String>,
    /// Whether its files are there.
    pub files: bool,
}
