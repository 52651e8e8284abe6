//! The message that asks for room.

use yaserde::{YaDeserialize, YaSerialize};

use super::types::{Resource, VirtualMachine};

/// Asks how many instances of each size fit. `DescribeResources` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeResources")]
pub struct DescribeResources {
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
    /// The sizes.
    #[yaserde(prefix = "n", rename = "instanceTypes")]
    pub instance_types: Vec<VirtualMachine>,
}

/// Answer to [`DescribeResources`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribeResourcesResponse")]
pub struct DescribeResourcesResponse {
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
    /// Room for each size.
    #[yaserde(prefix = "n")]
    pub resources: Vec<Resource>,
    /// URLs of the configured nodes.
    #[yaserde(prefix = "n", rename = "serviceTags")]
    pub service_tags: Vec<String>,
}
