//! What a cluster serves: what it believes and since when, stop and start, registration.

use yaserde::{YaDeserialize, YaSerialize};

use super::Size;
use crate::marshal::DateTime;

/// What a cluster believes of one node. `clusterNodeType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "clusterNodeType")]
pub struct ClusterNode {
    /// Its name in the cluster.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// Its endpoint.
    #[yaserde(prefix = "n")]
    pub url: String,
    /// Its security profile, `strict`.
    #[yaserde(prefix = "n")]
    pub profile: String,
    /// `up`, `suspect`, `down` or `unknown`.
    #[yaserde(prefix = "n")]
    pub state: String,
    /// Why it is in this state.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
    /// Since when it is.
    #[yaserde(prefix = "n")]
    pub since: DateTime,
    /// When it last answered.
    #[yaserde(prefix = "n", rename = "lastSeen")]
    pub last_seen: Option<DateTime>,
    /// Its identity, UUID text.
    #[yaserde(prefix = "n", rename = "nodeId")]
    pub node_id: Option<String>,
    /// What runs its domains, and why so: the sentence of its DescribeNode.
    #[yaserde(prefix = "n")]
    pub hypervisor: Option<String>,
    /// Memory offered, MB; 0 = not known.
    #[yaserde(prefix = "n", rename = "memoryMax")]
    pub memory_max: i32,
    /// Memory left, MB.
    #[yaserde(prefix = "n", rename = "memoryAvailable")]
    pub memory_available: i32,
    /// Disk offered, GB; 0 = not known.
    #[yaserde(prefix = "n", rename = "diskMax")]
    pub disk_max: i32,
    /// Disk left, GB.
    #[yaserde(prefix = "n", rename = "diskAvailable")]
    pub disk_available: i32,
    /// Cores offered; 0 = not known.
    #[yaserde(prefix = "n", rename = "coresMax")]
    pub cores_max: i32,
    /// Cores left.
    #[yaserde(prefix = "n", rename = "coresAvailable")]
    pub cores_available: i32,
    /// The Ironbark operations it knows.
    #[yaserde(prefix = "n")]
    pub operations: Vec<String>,
    /// What its guests' processors are, if it tells.
    #[yaserde(prefix = "n")]
    pub architecture: Option<String>,
    /// What its administrator says of it.
    #[yaserde(prefix = "n")]
    pub tags: Vec<String>,
    /// Of a node that gets no new instances: since when and why.
    #[yaserde(prefix = "n")]
    pub draining: Option<String>,
}

/// What a cluster believes of one instance. `clusterInstanceType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "clusterInstanceType")]
pub struct ClusterInstance {
    /// `i-` and eight digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Its node.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: String,
    /// As the node said, `NodeInstance::state`.
    #[yaserde(prefix = "n")]
    pub state: String,
    /// Why it is in this state.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
    /// Since when it is.
    #[yaserde(prefix = "n")]
    pub since: DateTime,
    /// When the node last said so.
    #[yaserde(prefix = "n")]
    pub observed: DateTime,
    /// Boots since it was launched.
    #[yaserde(prefix = "n", rename = "bootCount")]
    pub boot_count: Option<i32>,
    /// How the last reboot went.
    #[yaserde(prefix = "n", rename = "lastReboot")]
    pub last_reboot: Option<String>,
    /// As the node said, `NodeInstance::epoch`.
    #[yaserde(prefix = "n")]
    pub epoch: Option<i64>,
    /// As the node said, `NodeInstance::by_guest`.
    #[yaserde(prefix = "n", rename = "byGuest")]
    pub by_guest: Option<bool>,
}

/// What became of one id of a request. `resultType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "resultType")]
pub struct InstanceResult {
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Whether its node accepted.
    #[yaserde(prefix = "n")]
    pub accepted: bool,
    /// Why not.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
}

/// Asks a cluster what it believes of its nodes and instances, and since when. `DescribeCluster` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeCluster")]
pub struct DescribeCluster {
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

/// Answer to [`DescribeCluster`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeClusterResponse")]
pub struct DescribeClusterResponse {
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
    /// Its name, the availability zone.
    #[yaserde(prefix = "n", rename = "clusterName")]
    pub cluster_name: String,
    /// Version of its program.
    #[yaserde(prefix = "n")]
    pub version: String,
    /// `fork` or `semaphore`.
    #[yaserde(prefix = "n")]
    pub isolation: String,
    /// `GREEDY`, `ROUNDROBIN` or `POWERSAVE`.
    #[yaserde(prefix = "n")]
    pub schedule: String,
    /// The Ironbark operations it knows.
    #[yaserde(prefix = "n")]
    pub operations: Vec<String>,
    /// Its nodes.
    #[yaserde(prefix = "n")]
    pub nodes: Vec<ClusterNode>,
    /// Their instances.
    #[yaserde(prefix = "n")]
    pub instances: Vec<ClusterInstance>,
}

/// Powers guests down; disks, MACs and private addresses stay. `StopInstances` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StopInstances")]
pub struct StopInstances {
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
    /// Which.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
    /// Do not ask the guests.
    #[yaserde(prefix = "n")]
    pub force: Option<bool>,
}

/// Answer to [`StopInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StopInstancesResponse")]
pub struct StopInstancesResponse {
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
    /// One for each id asked.
    #[yaserde(prefix = "n")]
    pub results: Vec<InstanceResult>,
}

/// Boots stopped instances again. `StartInstances` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StartInstances")]
pub struct StartInstances {
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
    /// Which.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
    /// What each is to have from now on; none: what it had.
    #[yaserde(prefix = "n")]
    pub size: Option<Size>,
}

/// Answer to [`StartInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StartInstancesResponse")]
pub struct StartInstancesResponse {
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
    /// One for each id asked.
    #[yaserde(prefix = "n")]
    pub results: Vec<InstanceResult>,
}

/// Takes a node into the cluster. `RegisterNode` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "RegisterNode")]
pub struct RegisterNode {
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
    /// Its name in the cluster.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// Its endpoint.
    #[yaserde(prefix = "n")]
    pub url: String,
    /// Its security profile, `strict`.
    #[yaserde(prefix = "n")]
    pub profile: String,
    /// Its certificate, PEM: the only one accepted from it.
    #[yaserde(prefix = "n")]
    pub certificate: String,
}

/// Answer to [`RegisterNode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "RegisterNodeResponse")]
pub struct RegisterNodeResponse {
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

/// Takes a node out of the cluster. `DeregisterNode` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DeregisterNode")]
pub struct DeregisterNode {
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
    /// Its name in the cluster.
    #[yaserde(prefix = "n")]
    pub name: String,
}

/// Answer to [`DeregisterNode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DeregisterNodeResponse")]
pub struct DeregisterNodeResponse {
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

/// Lets a node get no new instances, or get them again; those that it has stay. `ModifyNode` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "ModifyNode")]
pub struct ModifyNode {
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
    /// Its name in the cluster.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// True: no new ones.
    #[yaserde(prefix = "n")]
    pub draining: bool,
    /// Why, for people.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
}

/// Answer to [`ModifyNode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "ModifyNodeResponse")]
pub struct ModifyNodeResponse {
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
