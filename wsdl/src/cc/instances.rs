//! Messages about instances: run, describe, terminate, reboot, console.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::{Instance, VirtualMachine};

/// Asks for the instances of a cluster (2.0.1 ignores the ids). `DescribeInstances` of
/// `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeInstances")]
pub struct DescribeInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Which; none = all.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`DescribeInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeInstancesResponse")]
pub struct DescribeInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// What the cluster knows.
    #[yaserde(prefix = "n")]
    pub instances: Vec<Instance>,
}

/// Starts the instances of a reservation. `RunInstances` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "RunInstances")]
pub struct RunInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// `emi-` and eight digits.
    #[yaserde(prefix = "n", rename = "imageId")]
    pub image_id: Option<String>,
    /// `eki-` and eight digits.
    #[yaserde(prefix = "n", rename = "kernelId")]
    pub kernel_id: Option<String>,
    /// `eri-` and eight digits.
    #[yaserde(prefix = "n", rename = "ramdiskId")]
    pub ramdisk_id: Option<String>,
    /// Where the image is.
    #[yaserde(prefix = "n", rename = "imageURL")]
    pub image_url: Option<String>,
    /// Where the kernel is.
    #[yaserde(prefix = "n", rename = "kernelURL")]
    pub kernel_url: Option<String>,
    /// Where the ramdisk is.
    #[yaserde(prefix = "n", rename = "ramdiskURL")]
    pub ramdisk_url: Option<String>,
    /// Size of each; needed in practice.
    #[yaserde(prefix = "n", rename = "instanceType")]
    pub instance_type: Option<VirtualMachine>,
    /// The public key itself, one OpenSSH line.
    #[yaserde(prefix = "n", rename = "keyName")]
    pub key_name: Option<String>,
    /// Instances wished.
    #[yaserde(prefix = "n", rename = "maxCount")]
    pub max_count: i32,
    /// Fewest acceptable.
    #[yaserde(prefix = "n", rename = "minCount")]
    pub min_count: i32,
    /// `r-` and eight digits.
    #[yaserde(prefix = "n", rename = "reservationId")]
    pub reservation_id: String,
    /// At least `max_count` ids.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
    /// Security groups; the first is the instances' network.
    #[yaserde(prefix = "n", rename = "netNames")]
    pub net_names: Vec<String>,
    /// Not used: the MAC follows from the instance id.
    #[yaserde(prefix = "n", rename = "macAddresses")]
    pub mac_addresses: Vec<String>,
    /// Host index of each instance.
    #[yaserde(prefix = "n", rename = "networkIndexList")]
    pub network_index_list: Vec<i32>,
    /// VLAN tag of the network; -1 = none.
    #[yaserde(prefix = "n")]
    pub vlan: i32,
    /// User data, plain text; may be empty.
    #[yaserde(prefix = "n", rename = "userData")]
    pub user_data: String,
    /// Index in the reservation.
    #[yaserde(prefix = "n", rename = "launchIndex")]
    pub launch_index: String,
    /// `linux` or `windows`. Send it always: 2.0.1 loses the instance without it.
    #[yaserde(prefix = "n")]
    pub platform: Option<String>,
}

/// Answer to [`RunInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "RunInstancesResponse")]
pub struct RunInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Those accepted.
    #[yaserde(prefix = "n")]
    pub instances: Vec<Instance>,
}

/// Ends instances for good. `TerminateInstances` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "TerminateInstances")]
pub struct TerminateInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Which.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`TerminateInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "TerminateInstancesResponse")]
pub struct TerminateInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// One for each id asked.
    #[yaserde(prefix = "n", rename = "isTerminated")]
    pub is_terminated: Vec<bool>,
}

/// Restarts guests; `status_message` of the answer reports each id when any failed.
/// `RebootInstances` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "RebootInstances")]
pub struct RebootInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Which.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`RebootInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "RebootInstancesResponse")]
pub struct RebootInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}

/// Asks for the tail of a console. `GetConsoleOutput` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "GetConsoleOutput")]
pub struct GetConsoleOutput {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
}

/// Answer to [`GetConsoleOutput`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "GetConsoleOutputResponse")]
pub struct GetConsoleOutputResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf, owner of what is made; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason (2.0.1 wrote `ERROR`).
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Base64, as the node encoded it.
    #[yaserde(prefix = "n", rename = "consoleOutput")]
    pub console_output: Option<String>,
}
