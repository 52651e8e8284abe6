//! Messages about the networks of security groups and their rules.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::{Network, NetworkRule};

/// Makes the network of a security group. `StartNetwork` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "StartNetwork")]
pub struct StartNetwork {
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
    /// VLAN tag.
    #[yaserde(prefix = "n")]
    pub vlan: Option<i32>,
    /// Security group.
    #[yaserde(prefix = "n", rename = "netName")]
    pub net_name: Option<String>,
    /// Name server for its guests.
    #[yaserde(prefix = "n")]
    pub nameserver: Option<String>,
    /// Hosts of all clusters.
    #[yaserde(prefix = "n", rename = "clusterControllers")]
    pub cluster_controllers: Vec<String>,
}

/// Answer to [`StartNetwork`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "StartNetworkResponse")]
pub struct StartNetworkResponse {
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

/// Takes the network of a security group down. `StopNetwork` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "StopNetwork")]
pub struct StopNetwork {
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
    /// VLAN tag.
    #[yaserde(prefix = "n")]
    pub vlan: Option<i32>,
    /// Security group.
    #[yaserde(prefix = "n", rename = "netName")]
    pub net_name: Option<String>,
}

/// Answer to [`StopNetwork`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "StopNetworkResponse")]
pub struct StopNetworkResponse {
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

/// Replaces the rules of security groups. `ConfigureNetwork` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ConfigureNetwork")]
pub struct ConfigureNetwork {
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
    /// All rules of each group named, group by group.
    #[yaserde(prefix = "n")]
    pub rules: Vec<NetworkRule>,
}

/// Answer to [`ConfigureNetwork`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "ConfigureNetworkResponse")]
pub struct ConfigureNetworkResponse {
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

/// Asks for the active networks; tells the cluster its name server and its peers.
/// `DescribeNetworks` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeNetworks")]
pub struct DescribeNetworks {
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
    /// Name server for guests.
    #[yaserde(prefix = "n")]
    pub nameserver: Option<String>,
    /// Hosts of all clusters.
    #[yaserde(prefix = "n", rename = "clusterControllers")]
    pub cluster_controllers: Vec<String>,
}

/// Answer to [`DescribeNetworks`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeNetworksResponse")]
pub struct DescribeNetworksResponse {
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
    /// 1 = groups and elastic addresses are managed, 0 = not.
    #[yaserde(prefix = "n")]
    pub mode: Option<i32>,
    /// Addresses in a network.
    #[yaserde(prefix = "n", rename = "addrsPerNet")]
    pub addrs_per_net: Option<i32>,
    /// Active networks.
    #[yaserde(prefix = "n", rename = "activeNetworks")]
    pub active_networks: Vec<Network>,
}
