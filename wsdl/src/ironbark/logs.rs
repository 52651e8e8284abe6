//! What both serve: the log lines of a request, for `euca logs`.

use yaserde::{YaDeserialize, YaSerialize};

use crate::log::Line;

/// One line of one tier's log. `lineType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "lineType")]
pub struct LogLine {
    /// Microseconds since the epoch.
    #[yaserde(prefix = "n")]
    pub time: i64,
    /// `clc`, `cc:cluster1`, `nc:n1`.
    #[yaserde(prefix = "n")]
    pub tier: String,
    /// `INFO`, `WARN`, ...
    #[yaserde(prefix = "n")]
    pub level: String,
    /// The event's stable name, `request.end`.
    #[yaserde(prefix = "n")]
    pub event: String,
    /// The other fields and the message.
    #[yaserde(prefix = "n")]
    pub text: String,
}

impl LogLine {
    /// A line of our own log, as the tier of that name gives it out.
    pub fn of(line: Line, tier: &str) -> Self {
        let Line { at, level, event, text, .. } = line;
        Self { time: at, tier: tier.to_string(), level: level.to_string(), event, text }
    }
}

/// Asks for the log lines of a request: a node for its own, a cluster for its own and its nodes'.
/// `DescribeLogs` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeLogs")]
pub struct DescribeLogs {
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

/// Answer to [`DescribeLogs`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribeLogsResponse")]
pub struct DescribeLogsResponse {
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
    /// The lines, each tier's in its order.
    #[yaserde(prefix = "n")]
    pub lines: Vec<LogLine>,
}
