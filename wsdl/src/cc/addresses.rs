//! Messages about elastic addresses.

use yaserde::{YaDeserialize, YaSerialize};

/// Gives an elastic address to an instance. `AssignAddress` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "AssignAddress")]
pub struct AssignAddress {
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
    /// The elastic address.
    #[yaserde(prefix = "n")]
    pub source: String,
    /// The instance's private address.
    #[yaserde(prefix = "n")]
    pub dest: String,
}

/// Answer to [`AssignAddress`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "AssignAddressResponse")]
pub struct AssignAddressResponse {
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

/// Takes an elastic address away. `UnassignAddress` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "UnassignAddress")]
pub struct UnassignAddress {
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
    /// The elastic address.
    #[yaserde(prefix = "n")]
    pub source: String,
    /// The instance's private address.
    #[yaserde(prefix = "n")]
    pub dest: String,
}

/// Answer to [`UnassignAddress`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "UnassignAddressResponse")]
pub struct UnassignAddressResponse {
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

/// Asks for the elastic addresses of a cluster. `DescribePublicAddresses` of `eucalyptus_cc.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribePublicAddresses")]
pub struct DescribePublicAddresses {
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

/// Answer to [`DescribePublicAddresses`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "http://eucalyptus.ucsb.edu/" }, rename = "DescribePublicAddressesResponse")]
pub struct DescribePublicAddressesResponse {
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
    /// All elastic addresses.
    #[yaserde(prefix = "n", rename = "sourceAddresses")]
    pub source_addresses: Vec<String>,
    /// The private address each is assigned to, empty when free; parallel to `source_addresses`.
    #[yaserde(prefix = "n", rename = "destAddresses")]
    pub dest_addresses: Vec<String>,
}
