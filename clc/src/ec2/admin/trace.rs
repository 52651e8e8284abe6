//! The trace of a request.

use super::{Listing, Row, given};
use crate::error::Ec2Error;
use crate::front::{Action, Params};

/// The timed trace of one request over the three tiers, for whoever made it and for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTrace {
    pub request_id: ironbark_wsdl::RequestId,
}

impl Action for DescribeTrace {
    const NAME: &'static str = "DescribeTrace";
    const SOAP: bool = false;
    type Response = Listing<ironbark_wsdl::Span>;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let text = params.required("RequestId")?;
        let request_id = text
            .parse()
            .map_err(|_| params.invalid("RequestId", text, "It must be a UUID such as the requestId of an answer."))?;
        Ok(Self { request_id })
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
