//! The SOAP door: SOAP 1.1 envelopes signed by WS-Security with a user's certificate.

use std::sync::Arc;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Envelope, Limits};
use ironbark_wsdl::wsse::{Expect, Identity, Profile, Security, SecurityError};

use super::action::Call;
use super::directory::Directory;
use super::flatten::flatten;
use super::query::Accepted;
use super::replay::reads;
use super::reply::Rejected;
use super::xml::Door;
use crate::ec2::{CONTRACT, Version};
use crate::error::{Code, Ec2Error};

/// The oldest version whose shapes we write exactly; the newest is [`CONTRACT`].
const OLDEST: &str = "2009-10-31";

/// The largest envelope of an EC2 user, in bytes: 16 KiB of user data and a signature have 30 KB.
const MAX_ENVELOPE: usize = 1 << 20;

/// How messages are verified.
pub(super) struct Guard {
    identity: Arc<Identity>,
    clock: Clock,
    /// Takes no message twice; sees only those of known users that change something.
    remembering: Security,
}

impl Guard {
    /// `identity` is the cloud's own; replies to users are not signed, so it signs nothing here.
    pub(super) fn new(identity: Arc<Identity>, clock: Clock) -> Self {
        let remembering = Security::new(identity.clone(), Profile::User, clock.clone());
        Self { identity, clock, remembering }
    }

    /// A verifier without a past: whatever certificate a stranger makes is good enough to be
    /// verified, so strangers' messages must not fill the memory.
    fn forgetful(&self) -> Security {
        Security::new(self.identity.clone(), Profile::User, self.clock.clone())
    }
}

/// Reads and authenticates a request.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn accept(directory: &impl Directory, guard: &Guard, body: &[u8]) -> Result<Accepted, Rejected> {
    let envelope = read(body)?;
    let verified = guard.forgetful().verify(&envelope, Expect::Request).map_err(refused)?;
    let fingerprint = verified.certificate.fingerprint();
    let caller = directory.certificate(&fingerprint).await?;
    let caller = caller.ok_or_else(|| {
        Ec2Error::new(
            Code::AuthFailure,
            "The cloud was not able to validate the provided access credentials: the certificate is not known here",
        )
    })?;
    // Requests that read may come twice: clients whose ids do not vary make equal ones in a second.
    if !reads(&envelope.body_name.local) {
        guard.remembering.verify(&envelope, Expect::Request).map_err(refused)?;
    }
    let version = version(&envelope)?;
    let call = Call::new(Door::Soap, &envelope.body_name.local, flatten(&envelope.body)?)?;
    Ok(Accepted { caller, call, version })
}

fn read(body: &[u8]) -> Result<Envelope, Rejected> {
    // Strangers' messages are read before it is known who they are: little may grow out of them.
    let limits = Limits { bytes: MAX_ENVELOPE, canonical: 4 * MAX_ENVELOPE, ..Limits::default() };
    Ok(envelope::read(body, &limits)?)
}

/// The version of the Body's child, whose namespace the answer has too.
fn version(envelope: &Envelope) -> Result<Version, Ec2Error> {
    let spoken = |version: &Version| match version {
        Version::Dated(date) => (OLDEST..=CONTRACT).contains(&date.as_str()),
        Version::Eucalyptus => false,
    };
    Version::of_namespace(&envelope.body_name.namespace).filter(spoken).ok_or_else(|| {
        let shown: String = envelope.body_name.namespace.chars().take(100).collect();
        let text =
            format!("The namespace '{shown}' is not spoken here; the contract at ?wsdl is of version {CONTRACT}");
        Ec2Error::new(Code::InvalidNamespace, text)
    })
}

/// What the client is told of a signature that is not accepted.
fn refused(error: SecurityError) -> Ec2Error {
    let code = match &error {
        SecurityError::Clock(_) => Code::RequestExpired,
        SecurityError::Busy => Code::RequestLimitExceeded,
        SecurityError::Missing(_)
        | SecurityError::Malformed(_)
        | SecurityError::Algorithm(_)
        | SecurityError::Reference(_)
        | SecurityError::NotSigned(_)
        | SecurityError::Broken(_)
        | SecurityError::Certificate(_)
        | SecurityError::Untrusted(_)
        | SecurityError::Replayed
        | SecurityError::Unexpected(_)
        | SecurityError::Old { .. } => Code::AuthFailure,
    };
    Ec2Error::new(code, error.to_string())
}
