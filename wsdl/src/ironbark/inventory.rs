//! What both serve: what is really there on a node, for `euca doctor`: its records beside the domains, files
//! and images that it finds.

use yaserde::{YaDeserialize, YaSerialize};

use crate::marshal::DateTime;

/// One instance of a node: its record, and what of it is there. `inventoryInstanceType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "inventoryInstanceType")]
pub struct InventoryInstance {
    /// `i-` and eight digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Whose.
    #[yaserde(prefix = "n", rename = "ownerId")]
    pub owner_id: String,
    /// As `NodeInstance::state`.
    #[yaserde(prefix = "n")]
    pub state: String,
    /// Why it is in this state.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
    /// Since when it is.
    #[yaserde(prefix = "n")]
    pub since: DateTime,
    /// Its domain, as the hypervisor has it: `running`, `paused`, `going-down`, `off`, `absent` or `unclear`;
    /// none when the hypervisor could not be asked.
    #[yaserde(prefix = "n")]
    pub domain: Option<String>,
    /// Whether the directory of its files is there.
    #[yaserde(prefix = "n")]
    pub files: bool,
}

/// What is there on one node. `inventoryType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "inventoryType")]
pub struct Inventory {
    /// Its name; its cluster's name for it in a cluster's answer.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: String,
    /// Why it could not be asked: said by its cluster, and then nothing else is known.
    #[yaserde(prefix = "n")]
    pub trouble: Option<String>,
    /// Why its hypervisor could not be asked: then nothing is known of domains.
    #[yaserde(prefix = "n", rename = "hypervisorTrouble")]
    pub hypervisor_trouble: Option<String>,
    /// Its instances.
    #[yaserde(prefix = "n")]
    pub instances: Vec<InventoryInstance>,
    /// Domains that bear the node's mark and have no record.
    #[yaserde(prefix = "n", rename = "strangeDomains")]
    pub strange_domains: Vec<String>,
    /// Entries of the directory of instances that have no record.
    #[yaserde(prefix = "n", rename = "strangeFiles")]
    pub strange_files: Vec<String>,
    /// Instances whose records this version of the program cannot read.
    #[yaserde(prefix = "n")]
    pub unreadable: Vec<String>,
    /// What is free in the file system of the instances, MB.
    #[yaserde(prefix = "n", rename = "diskFree")]
    pub disk_free: i64,
    /// What the cached images take there, MB.
    #[yaserde(prefix = "n", rename = "cacheSize")]
    pub cache_size: i64,
}

/// Asks what is really there: a node about itself, a cluster about all its nodes. `DescribeInventory` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeInventory")]
pub struct DescribeInventory {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}

/// Answer to [`DescribeInventory`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeInventoryResponse")]
pub struct DescribeInventoryResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The node's own, or one for each node of the cluster.
    #[yaserde(prefix = "n")]
    pub inventories: Vec<Inventory>,
}
