//! What both serve: the steps of a request, for `euca trace`.

use yaserde::{YaDeserialize, YaSerialize};

/// One step of a request in one tier. `spanType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "spanType")]
pub struct Span {
    /// The request, UUID text.
    #[yaserde(prefix = "n", rename = "requestId")]
    pub request_id: String,
    /// The step.
    #[yaserde(prefix = "n")]
    pub id: String,
    /// The step it was part of.
    #[yaserde(prefix = "n")]
    pub parent: Option<String>,
    /// `clc`, `cc:cluster1`, `nc:n1`.
    #[yaserde(prefix = "n")]
    pub tier: String,
    /// What was done, `cc.place`.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// To what.
    #[yaserde(prefix = "n")]
    pub detail: Option<String>,
    /// Microseconds since the epoch.
    #[yaserde(prefix = "n")]
    pub start: i64,
    /// Microseconds.
    #[yaserde(prefix = "n")]
    pub duration: i64,
    /// `ok`, or what went wrong.
    #[yaserde(prefix = "n")]
    pub outcome: String,
}

/// Asks for the steps of a request: a node for its own, a cluster for its own and its nodes'.
/// `DescribeTrace` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeTrace")]
pub struct DescribeTrace {
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
    /// The request, UUID text.
    #[yaserde(prefix = "n", rename = "requestId")]
    pub request_id: String,
}

/// Answer to [`DescribeTrace`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeTraceResponse")]
pub struct DescribeTraceResponse {
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
    /// The steps.
    #[yaserde(prefix = "n")]
    pub spans: Vec<Span>,
}
