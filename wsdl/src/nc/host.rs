//! Messages about the node itself: its resources, its network, its power.

use yaserde::{YaDeserialize, YaSerialize};

/// Asks what a node offers and what is left of it. `ncDescribeResource` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeResource")]
pub struct DescribeResource {
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
    /// Never sent, ignored.
    #[yaserde(prefix = "n", rename = "resourceType")]
    pub resource_type: Option<String>,
}

/// Answer to [`DescribeResource`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncDescribeResourceResponse")]
pub struct DescribeResourceResponse {
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
    /// Always `OK`.
    #[yaserde(prefix = "n", rename = "nodeStatus")]
    pub node_status: String,
    /// Memory offered, MB.
    #[yaserde(prefix = "n", rename = "memorySizeMax")]
    pub memory_size_max: i32,
    /// Memory left, MB.
    #[yaserde(prefix = "n", rename = "memorySizeAvailable")]
    pub memory_size_available: i32,
    /// Disk offered, GB (2.0.1 answers MB here and counts GB against it).
    #[yaserde(prefix = "n", rename = "diskSizeMax")]
    pub disk_size_max: i32,
    /// Disk left, GB.
    #[yaserde(prefix = "n", rename = "diskSizeAvailable")]
    pub disk_size_available: i32,
    /// Cores offered.
    #[yaserde(prefix = "n", rename = "numberOfCoresMax")]
    pub number_of_cores_max: i32,
    /// Cores left.
    #[yaserde(prefix = "n", rename = "numberOfCoresAvailable")]
    pub number_of_cores_available: i32,
    /// Always `none`.
    #[yaserde(prefix = "n", rename = "publicSubnets")]
    pub public_subnets: String,
}

/// Readies the network of a VLAN on the node. `ncStartNetwork` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncStartNetwork")]
pub struct StartNetwork {
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
    /// Not used.
    #[yaserde(prefix = "n", rename = "remoteHosts")]
    pub remote_hosts: Vec<String>,
    /// Not used; 2.0.1 sends 0.
    #[yaserde(prefix = "n", rename = "remoteHostPort")]
    pub remote_host_port: Option<i32>,
    /// VLAN tag.
    #[yaserde(prefix = "n")]
    pub vlan: Option<i32>,
}

/// Answer to [`StartNetwork`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncStartNetworkResponse")]
pub struct StartNetworkResponse {
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
    /// `SUCCESS` or `FAIL`.
    #[yaserde(prefix = "n", rename = "networkStatus")]
    pub network_status: Option<String>,
}

/// Puts the node to sleep. `ncPowerDown` of `eucalyptus_nc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncPowerDown")]
pub struct PowerDown {
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
}

/// Answer to [`PowerDown`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ncPowerDownResponse")]
pub struct PowerDownResponse {
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
}
