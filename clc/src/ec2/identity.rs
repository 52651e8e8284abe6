//! STS' GetCallerIdentity: who the credentials are. Tools ask it before anything else.

use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Service, Writer};

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetCallerIdentity;

impl Action for GetCallerIdentity {
    const NAME: &'static str = "GetCallerIdentity";
    const ACCESS: Access = Access::Anyone;
    const SOAP: bool = false;
    type Response = CallerIdentity;

    fn parse(_: &Params) -> Result<Self, Ec2Error> {
        Ok(Self)
    }
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// `arn:aws:iam::111122223333:user/alice`
    pub arn: String,
    /// `AIDA...`
    pub user_id: String,
    /// 12 digits.
    pub account: String,
}

impl Reply for CallerIdentity {
    fn write(&self, w: &mut Writer) {
        w.text("Arn", &self.arn);
        w.text("UserId", &self.user_id);
        w.text("Account", &self.account);
    }

    fn service(&self) -> Service {
        Service::Sts
    }
}
