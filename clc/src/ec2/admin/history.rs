//! What was done with an instance.

use super::{Listing, Row, given};
use crate::error::Ec2Error;
use crate::front::{Action, Params};

/// Everything that was done with one instance, and that happened to it by itself, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceHistory {
    pub instance_id: String,
}

impl Action for DescribeInstanceHistory {
    const NAME: &'static str = "DescribeInstanceHistory";
    const SOAP: bool = false;
    type Response = Listing<HistoryRow>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_id: params.required("InstanceId")?.to_string() })
    }
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    pub instance_id: String,
    /// `RebootInstances`; of what nobody asked for `InstanceInitiatedShutdown`,
    /// `InstanceFailed`, `InstanceRestarted`, `InstanceLost`, `InstanceFound`.
    pub action: String,
    pub detail: Option<String>,
    /// `account/user`; `instance`, `node NAME` or `cluster NAME` of what nobody asked for.
    pub by: String,
    pub request_id: Option<String>,
    /// RFC 3339.
    pub began: String,
    /// RFC 3339; absent while it is under way.
    pub ended: Option<String>,
    /// Until its end was seen, in milliseconds.
    pub duration_ms: Option<i64>,
    /// What came of it, in words.
    pub result: Option<String>,
}

impl Row for HistoryRow {
    const SET: &'static str = "historySet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        given(vec![
            ("instanceId", Some(self.instance_id.clone())),
            ("action", Some(self.action.clone())),
            ("detail", self.detail.clone()),
            ("by", Some(self.by.clone())),
            ("requestId", self.request_id.clone()),
            ("began", Some(self.began.clone())),
            ("ended", self.ended.clone()),
            ("duration", self.duration_ms.map(|ms| ms.to_string())),
            ("result", self.result.clone()),
        ])
    }
}
