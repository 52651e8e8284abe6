//! What the front must ask of the cloud's records: whose an access key or a certificate is.

use std::future::Future;
use std::time::Duration;

use ironbark_wsdl::Context;

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

    /// Told of each request of a known user when its answer is ready: `outcome` is `ok` or an error
    /// code. Must not wait for anything: the client does.
    fn answered(&self, _ctx: &Context, _caller: &Caller, _action: &str, _outcome: &str, _took: Duration) {}
}
