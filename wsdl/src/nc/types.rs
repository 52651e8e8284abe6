//! The types that node messages share. The cluster's contract has four of them word for word and
//! uses these.

use yaserde::{YaDeserialize, YaSerialize};

use crate::marshal::DateTime;

/// Size of an instance. `virtualMachineType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "virtualMachineType")]
pub struct VirtualMachine {
    /// Name of the type, `m1.small`. Send it always: 2.0.1 dies without it.
    #[yaserde(prefix = "n")]
    pub name: Option<String>,
    /// Memory, MB.
    #[yaserde(prefix = "n")]
    pub memory: Option<i32>,
    /// Virtual CPUs.
    #[yaserde(prefix = "n")]
    pub cores: Option<i32>,
    /// Disk, GB: the budget for root, swap and ephemeral together.
    #[yaserde(prefix = "n")]
    pub disk: Option<i32>,
    /// Wished block devices; 2.0.1 keeps at most 64.
    #[yaserde(prefix = "n", rename = "deviceMapping")]
    pub device_mapping: Vec<DeviceMapping>,
}

/// One wished block device of a size. `deviceMappingType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "deviceMappingType")]
pub struct DeviceMapping {
    /// Device in the guest, `sda2`.
    #[yaserde(prefix = "n", rename = "deviceName")]
    pub device_name: Option<String>,
    /// Role, `ephemeral0`.
    #[yaserde(prefix = "n", rename = "virtualName")]
    pub virtual_name: Option<String>,
    /// Size; the unit is that of the format.
    #[yaserde(prefix = "n")]
    pub size: Option<i32>,
    /// File system, `ext3`, `swap`, `none`.
    #[yaserde(prefix = "n")]
    pub format: Option<String>,
}

/// Network identity of an instance. `netConfigType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "netConfigType")]
pub struct NetConfig {
    /// MAC: `d0:0d:` and the eight digits of the instance id.
    #[yaserde(prefix = "n", rename = "privateMacAddress")]
    pub private_mac_address: String,
    /// Dotted quad; `0.0.0.0` = not known.
    #[yaserde(prefix = "n", rename = "privateIp")]
    pub private_ip: String,
    /// Dotted quad; `0.0.0.0` = none.
    #[yaserde(prefix = "n", rename = "publicIp")]
    pub public_ip: String,
    /// VLAN tag; -1 = none.
    #[yaserde(prefix = "n")]
    pub vlan: i32,
    /// Index of the private address in its network; -1 = none.
    #[yaserde(prefix = "n", rename = "networkIndex")]
    pub network_index: i32,
}

/// A volume attached to an instance. `volumeType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "volumeType")]
pub struct Volume {
    /// `vol-` and eight digits.
    #[yaserde(prefix = "n", rename = "volumeId")]
    pub volume_id: Option<String>,
    /// Where the node finds it.
    #[yaserde(prefix = "n", rename = "remoteDev")]
    pub remote_dev: Option<String>,
    /// Device in the guest; the KVM node of 2.0.1 says `unknown,requested:/dev/sdb`.
    #[yaserde(prefix = "n", rename = "localDev")]
    pub local_dev: Option<String>,
    /// `attached` is the only value 2.0.1 stores.
    #[yaserde(prefix = "n")]
    pub state: Option<String>,
}

/// What a node knows of one instance. `instanceType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "instanceType")]
pub struct Instance {
    /// `r-` and eight digits.
    #[yaserde(prefix = "n", rename = "reservationId")]
    pub reservation_id: String,
    /// `i-` and eight digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// `emi-` and eight digits.
    #[yaserde(prefix = "n", rename = "imageId")]
    pub image_id: String,
    /// `eki-` and eight digits; empty = none.
    #[yaserde(prefix = "n", rename = "kernelId")]
    pub kernel_id: Option<String>,
    /// `eri-` and eight digits; empty = none.
    #[yaserde(prefix = "n", rename = "ramdiskId")]
    pub ramdisk_id: Option<String>,
    /// The owner.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: String,
    /// The public key itself, one OpenSSH line; may be empty.
    #[yaserde(prefix = "n", rename = "keyName")]
    pub key_name: String,
    /// Its size.
    #[yaserde(prefix = "n", rename = "instanceType")]
    pub instance_type: VirtualMachine,
    /// Its network identity, addresses perhaps learnt later.
    #[yaserde(prefix = "n", rename = "netParams")]
    pub net_params: Option<NetConfig>,
    /// `Pending`, `Extant` or `Teardown`.
    #[yaserde(prefix = "n", rename = "stateName")]
    pub state_name: String,
    /// `none`, `bundling`, `succeeded`, `failed` or `cancelled`. Send it always: 2.0.1 dies without
    /// it.
    #[yaserde(prefix = "n", rename = "bundleTaskStateName")]
    pub bundle_task_state_name: Option<String>,
    /// When the run request was accepted.
    #[yaserde(prefix = "n", rename = "launchTime")]
    pub launch_time: Option<DateTime>,
    /// As in the run request.
    #[yaserde(prefix = "n", rename = "userData")]
    pub user_data: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n", rename = "launchIndex")]
    pub launch_index: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n")]
    pub platform: Option<String>,
    /// As in the run request.
    #[yaserde(prefix = "n", rename = "groupNames")]
    pub group_names: Vec<String>,
    /// Attached volumes.
    #[yaserde(prefix = "n")]
    pub volumes: Vec<Volume>,
    /// Never set by a node.
    #[yaserde(prefix = "n", rename = "serviceTag")]
    pub service_tag: Option<String>,
}

/// State of the bundling of one instance. `bundleTaskType` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "bundleTaskType")]
pub struct BundleTask {
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// As `bundleTaskStateName`.
    #[yaserde(prefix = "n")]
    pub state: Option<String>,
    /// Never set by 2.0.1.
    #[yaserde(prefix = "n")]
    pub manifest: Option<String>,
}
