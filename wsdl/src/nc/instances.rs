//! Messages about instances: run, describe, terminate, reboot, console.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::{Instance, NetConfig, VirtualMachine};

/// Asks for the instances of a node; unknown ids are left out of the answer. `ncDescribeInstances`
/// of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeInstances")]
pub struct DescribeInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// Which; none = all.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`DescribeInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeInstancesResponse")]
pub struct DescribeInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// What the node knows.
    #[yaserde(prefix = "n")]
    pub instances: Vec<Instance>,
}

/// Starts an instance; the answer comes before its image is fetched. `ncRunInstance` of
/// `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncRunInstance")]
pub struct RunInstance {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// `emi-` and eight digits.
    #[yaserde(prefix = "n", rename = "imageId")]
    pub image_id: String,
    /// `eki-` and eight digits; absent or empty = none.
    #[yaserde(prefix = "n", rename = "kernelId")]
    pub kernel_id: Option<String>,
    /// `eri-` and eight digits; absent or empty = none.
    #[yaserde(prefix = "n", rename = "ramdiskId")]
    pub ramdisk_id: Option<String>,
    /// Where the image is.
    #[yaserde(prefix = "n", rename = "imageURL")]
    pub image_url: String,
    /// Where the kernel is.
    #[yaserde(prefix = "n", rename = "kernelURL")]
    pub kernel_url: Option<String>,
    /// Where the ramdisk is.
    #[yaserde(prefix = "n", rename = "ramdiskURL")]
    pub ramdisk_url: Option<String>,
    /// `r-` and eight digits.
    #[yaserde(prefix = "n", rename = "reservationId")]
    pub reservation_id: String,
    /// `i-` and eight upper-case hexadecimal digits.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Its size.
    #[yaserde(prefix = "n", rename = "instanceType")]
    pub instance_type: VirtualMachine,
    /// The public key itself, one OpenSSH line; may be empty.
    #[yaserde(prefix = "n", rename = "keyName")]
    pub key_name: String,
    /// MAC and addresses as the cluster chose them.
    #[yaserde(prefix = "n", rename = "netParams")]
    pub net_params: NetConfig,
    /// User data, plain text.
    #[yaserde(prefix = "n", rename = "userData")]
    pub user_data: Option<String>,
    /// Index in its reservation.
    #[yaserde(prefix = "n", rename = "launchIndex")]
    pub launch_index: Option<String>,
    /// `linux` or `windows`.
    #[yaserde(prefix = "n")]
    pub platform: Option<String>,
    /// Security groups.
    #[yaserde(prefix = "n", rename = "groupNames")]
    pub group_names: Vec<String>,
}

/// Answer to [`RunInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncRunInstanceResponse")]
pub struct RunInstanceResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// The new instance, `Pending`; absent when refused.
    #[yaserde(prefix = "n")]
    pub instance: Option<Instance>,
}

/// Ends an instance for good. `ncTerminateInstance` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncTerminateInstance")]
pub struct TerminateInstance {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
}

/// Answer to [`TerminateInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncTerminateInstanceResponse")]
pub struct TerminateInstanceResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// Echoed.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
    /// Code of the state after: 12 Pending, 13 Extant, 14 Teardown.
    #[yaserde(prefix = "n", rename = "shutdownState")]
    pub shutdown_state: Option<String>,
    /// Code of the state before; 2.0.1 repeats `shutdownState`.
    #[yaserde(prefix = "n", rename = "previousState")]
    pub previous_state: Option<String>,
}

/// Restarts the guest; disk, MAC and addresses stay. `ncRebootInstance` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncRebootInstance")]
pub struct RebootInstance {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
}

/// Answer to [`RebootInstance`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncRebootInstanceResponse")]
pub struct RebootInstanceResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// `false` on success: 2.0.1 carries a C result here. Decide on `return`.
    #[yaserde(prefix = "n")]
    pub status: bool,
}

/// Asks for the tail of the console. `ncGetConsoleOutput` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncGetConsoleOutput")]
pub struct GetConsoleOutput {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// The instance.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: String,
}

/// Answer to [`GetConsoleOutput`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncGetConsoleOutputResponse")]
pub struct GetConsoleOutputResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Requests only: host part of the URL that was dialled.
    #[yaserde(prefix = "n", rename = "nodeName")]
    pub node_name: Option<String>,
    /// PowerDown and StartNetwork responses only: 0 = ok, 2 = failure.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<i32>,
    /// Base64, no line breaks.
    #[yaserde(prefix = "n", rename = "consoleOutput")]
    pub console_output: String,
}
