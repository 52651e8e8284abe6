//! What the front must ask of the cloud's records: whose an access key or a certificate is.

use std::future::Future;
use std::time::Duration;

use ironbark_wsdl::{Context, RequestId};

use super::action::Caller;
use crate::error::Ec2Error;

/// An access key with its secret. Not `Debug`: what is debugged is logged.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The secret, as text.
    pub secret: String,
    /// Whose it is.
    pub caller: Caller,
}

/// Finds users by what they sign with. `None`: not known, not active, or withdrawn. An error:
/// cannot tell now.
pub trait Directory: Send + Sync + 'static {
    /// The access key of that id.
    fn access_key(&self, id: &str) -> impl Future<Output = Result<Option<AccessKey>, Ec2Error>> + Send;

    /// Whose the certificate is, by the SHA-256 of its DER in lower-case hex: exactly this
    /// certificate must have been given to a user; who issued it does not matter.
    fn certificate(&self, fingerprint: &str) -> impl Future<Output = Result<Option<Caller>, Ec2Error>> + Send;

    /// Told of each request of a known user when its answer is ready. Must not wait for anything: the client
    /// does.
    fn answered(&self, _ctx: &Context, _answered: Answered<'_>) {}
}

/// A request whose answer is ready.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Who asked.
    pub caller: &'a Caller,
    /// What for.
    pub action: &'a str,
    /// The id that the caller, an administrator, gave to what the request is part of.
    pub global: Option<&'a RequestId>,
    /// `ok`, or an error code.
    pub outcome: &'a str,
    /// How long it took.
    pub took: Duration,
}
