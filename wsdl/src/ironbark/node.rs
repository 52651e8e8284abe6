//! What a node serves: who it is, how its instances are, stop and start.

use yaserde::{YaDeserialize, YaSerialize};

use crate::marshal::DateTime;

/// What a node knows of one instance, in Ironbark's states. `nodeInstanceType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "nodeInstanceType")]
pub struct NodeInstance {
    /// `i-` and eight digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// `pending`, `running`, `rebooting`, `stopping`, `stopped`, `shutting-down`, `terminated` or
    /// `failed`.
    #[yaserde(prefix = "n")]
    pub state: String,
    /// Why it is in this state.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
    /// Since when it is.
    #[yaserde(prefix = "n")]
    pub since: DateTime,
    /// Boots of this domain since it was launched.
    #[yaserde(prefix = "n", rename = "bootCount")]
    pub boot_count: i32,
    /// How the last reboot went: `guest obeyed after 2.1 s`, `reset after 60 s: guest did not
    /// obey`.
    #[yaserde(prefix = "n", rename = "lastReboot")]
    pub last_reboot: Option<String>,
    /// Dotted quad, once known.
    #[yaserde(prefix = "n", rename = "privateIp")]
    pub private_ip: Option<String>,
    /// The epoch of the last operation that it took; none while none came with one.
    #[yaserde(prefix = "n")]
    pub epoch: Option<i64>,
    /// Of one that is stopped: whether its guest turned itself off.
    #[yaserde(prefix = "n", rename = "byGuest")]
    pub by_guest: Option<bool>,
    /// Of one whose launch failed, or is being undone: whether another node may do better.
    #[yaserde(prefix = "n")]
    pub elsewhere: Option<bool>,
}

/// What of a node matters to placement, beside its room. `nodeFactsType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "nodeFactsType")]
pub struct NodeFacts {
    /// What its guests' processors are, `x86_64`; not known until its hypervisor has answered.
    #[yaserde(prefix = "n")]
    pub architecture: Option<String>,
    /// What its administrator says of it, `ssd`.
    #[yaserde(prefix = "n")]
    pub tags: Vec<String>,
    /// The images in its cache, by their ids: those used last, 256 at most.
    #[yaserde(prefix = "n")]
    pub images: Vec<String>,
}

/// Asks a node who it is, what it can and how its instances are. `DescribeNode` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeNode")]
pub struct DescribeNode {
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

/// Answer to [`DescribeNode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeNodeResponse")]
pub struct DescribeNodeResponse {
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
    /// Its identity, UUID text; it outlives restarts.
    #[yaserde(prefix = "n", rename = "nodeId")]
    pub node_id: String,
    /// Its name.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: String,
    /// Version of its program.
    #[yaserde(prefix = "n")]
    pub version: String,
    /// Changes with each start of its program.
    #[yaserde(prefix = "n", rename = "bootId")]
    pub boot_id: String,
    /// What it drives and why, `qemu 7.2 via qemu:///system, tcg because /dev/kvm is missing`.
    #[yaserde(prefix = "n")]
    pub hypervisor: String,
    /// The Ironbark operations it knows.
    #[yaserde(prefix = "n")]
    pub operations: Vec<String>,
    /// Its instances.
    #[yaserde(prefix = "n")]
    pub instances: Vec<NodeInstance>,
    /// What matters to placement; absent of a node that does not tell.
    #[yaserde(prefix = "n")]
    pub facts: Option<NodeFacts>,
}

/// Powers a guest down; disk, MAC and private address stay. `StopInstance` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StopInstance")]
pub struct StopInstance {
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
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Do not ask the guest.
    #[yaserde(prefix = "n")]
    pub force: Option<bool>,
}

/// Answer to [`StopInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StopInstanceResponse")]
pub struct StopInstanceResponse {
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

/// Boots a stopped instance again. `StartInstance` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StartInstance")]
pub struct StartInstance {
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
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// What it is to have from now on; none: what it had.
    #[yaserde(prefix = "n")]
    pub size: Option<Size>,
}

/// Memory and cores of an instance, by the name of its type; its disk stays as it is. `sizeType` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "sizeType")]
pub struct Size {
    /// `m1.small`.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// MB.
    #[yaserde(prefix = "n")]
    pub memory: i32,
    /// Virtual CPUs.
    #[yaserde(prefix = "n")]
    pub cores: i32,
}

/// Answer to [`StartInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "StartInstanceResponse")]
pub struct StartInstanceResponse {
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
