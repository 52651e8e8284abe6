//! The trace of a request, and its log lines.

use ironbark_wsdl::RequestId;
use ironbark_wsdl::ironbark::LogLine;

use super::{Listing, Row, given};
use crate::error::Ec2Error;
use crate::front::{Action, Params};

/// The timed trace of one request over the three tiers, for whoever made it and for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTrace {
    pub request_id: RequestId,
}

impl Action for DescribeTrace {
    const NAME: &'static str = "DescribeTrace";
    const SOAP: bool = false;
    type Response = Listing<ironbark_wsdl::Span>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { request_id: request_id(params)? })
    }
}

/// The lines of one request in the logs of the three tiers, for whoever made it and for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeLogs {
    pub request_id: RequestId,
}

impl Action for DescribeLogs {
    const NAME: &'static str = "DescribeLogs";
    const SOAP: bool = false;
    type Response = Listing<LogLine>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { request_id: request_id(params)? })
    }
}

fn request_id(params: &Params) -> Result<RequestId, Ec2Error> {
    let text = params.required("RequestId")?;
    text.parse().map_err(|_| params.invalid("RequestId", text, "It must be a UUID such as the requestId of an answer."))
}

impl Row for LogLine {
    const SET: &'static str = "lineSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("time", self.time.to_string()),
            ("tier", self.tier.clone()),
            ("level", self.level.clone()),
            ("event", self.event.clone()),
            ("text", self.text.clone()),
        ]
    }
}

impl Row for ironbark_wsdl::Span {
    const SET: &'static str = "spanSet";

    fn fields(&self) -> Vec<(&'static str, String)> {
        given(vec![
            ("requestId", Some(self.request_id.clone())),
            ("id", Some(self.id.clone())),
            ("parent", self.parent.clone()),
            ("tier", Some(self.tier.clone())),
            ("name", Some(self.name.clone())),
            ("detail", self.detail.clone()),
            ("start", Some(self.start.to_string())),
            ("duration", Some(self.duration.to_string())),
            ("outcome", Some(self.outcome.clone())),
        ])
    }
}
