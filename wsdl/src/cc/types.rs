//! The types that cluster messages share; the four that node messages have too are theirs.

use yaserde::{YaDeserialize, YaSerialize};

use crate::marshal::DateTime;
pub use crate::nc::{DeviceMapping, NetConfig, VirtualMachine, Volume};

/// What a cluster knows of one instance. `ccInstanceType` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ccInstanceType")]
pub struct Instance {
    /// `emi-` and eight digits.
    #[yaserde(prefix = "n", rename = "imageId")]
    pub image_id: Option<String>,
    /// `eki-` and eight digits; empty = none.
    #[yaserde(prefix = "n", rename = "kernelId")]
    pub kernel_id: Option<String>,
    /// `eri-` and eight digits; empty = none.
    #[yaserde(prefix = "n", rename = "ramdiskId")]
    pub ramdisk_id: Option<String>,
    /// `i-` and eight digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// Its size.
    #[yaserde(prefix = "n", rename = "instanceType")]
    pub instance_type: Option<VirtualMachine>,
    /// The public key itself, one OpenSSH line.
    #[yaserde(prefix = "n", rename = "keyName")]
    pub key_name: Option<String>,
    /// The node's launch time; the cluster's until the node has reported.
    #[yaserde(prefix = "n", rename = "launchTime")]
    pub launch_time: Option<DateTime>,
    /// `Pending`, `Extant` or `Teardown`, as the node said.
    #[yaserde(prefix = "n", rename = "stateName")]
    pub state_name: Option<String>,
    /// Its network identity.
    #[yaserde(prefix = "n", rename = "netParams")]
    pub net_params: Option<NetConfig>,
    /// User of the run request.
    #[yaserde(prefix = "n", rename = "ownerId")]
    pub owner_id: Option<String>,
    /// `r-` and eight digits.
    #[yaserde(prefix = "n", rename = "reservationId")]
    pub reservation_id: Option<String>,
    /// URL of its node.
    #[yaserde(prefix = "n", rename = "serviceTag")]
    pub service_tag: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n", rename = "userData")]
    pub user_data: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n", rename = "launchIndex")]
    pub launch_index: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n")]
    pub platform: Option<String>,
    /// State of its bundling.
    #[yaserde(prefix = "n", rename = "bundleTaskStateName")]
    pub bundle_task_state_name: Option<String>,
    /// Security groups.
    #[yaserde(prefix = "n", rename = "groupNames")]
    pub group_names: Vec<String>,
    /// Attached volumes.
    #[yaserde(prefix = "n")]
    pub volumes: Vec<Volume>,
}

/// Room for one size of instance. `ccResourceType` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ccResourceType")]
pub struct Resource {
    /// The size.
    #[yaserde(prefix = "n", rename = "instanceType")]
    pub instance_type: Option<VirtualMachine>,
    /// How many an empty cluster holds.
    #[yaserde(prefix = "n", rename = "maxInstances")]
    pub max_instances: Option<i32>,
    /// How many more fit now.
    #[yaserde(prefix = "n", rename = "availableInstances")]
    pub available_instances: Option<i32>,
}

/// An active network. `networkType` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "networkType")]
pub struct Network {
    /// VLAN tag.
    #[yaserde(prefix = "n")]
    pub vlan: i32,
    /// Security group.
    #[yaserde(prefix = "n", rename = "netName")]
    pub net_name: String,
    /// Its owner.
    #[yaserde(prefix = "n", rename = "userName")]
    pub user_name: String,
    /// Host indexes in use, the reserved ones included.
    #[yaserde(prefix = "n", rename = "activeAddrs")]
    pub active_addrs: Vec<i32>,
}

/// One rule of a security group. `networkRule` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "networkRule")]
pub struct NetworkRule {
    /// `firewall-open` or `firewall-close`.
    #[yaserde(prefix = "n", rename = "type")]
    pub kind: String,
    /// Source groups.
    #[yaserde(prefix = "n", rename = "sourceNames")]
    pub source_names: Vec<String>,
    /// Owner of each source group, parallel to `source_names`.
    #[yaserde(prefix = "n", rename = "userNames")]
    pub user_names: Vec<String>,
    /// Source networks, CIDR.
    #[yaserde(prefix = "n", rename = "sourceNets")]
    pub source_nets: Vec<String>,
    /// Owner of the destination group; absent = `user_id`.
    #[yaserde(prefix = "n", rename = "destUserName")]
    pub dest_user_name: Option<String>,
    /// Destination group.
    #[yaserde(prefix = "n", rename = "destName")]
    pub dest_name: String,
    /// `tcp`, `udp` or `icmp`.
    #[yaserde(prefix = "n")]
    pub protocol: String,
    /// Lowest port; not used for icmp.
    #[yaserde(prefix = "n", rename = "portRangeMin")]
    pub port_range_min: i32,
    /// Highest port; not used for icmp.
    #[yaserde(prefix = "n", rename = "portRangeMax")]
    pub port_range_max: i32,
}

/// State of the bundling of one instance. `bundleTaskType` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "bundleTaskType")]
pub struct BundleTask {
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// As `bundleTaskStateName`.
    #[yaserde(prefix = "n")]
    pub state: Option<String>,
}
