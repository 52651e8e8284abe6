//! WS-Security X.509 (OASIS, 2004): who sent a message, and that it is as it was sent. [`Security`]
//! holds what one side of a connection needs for it; a [`Profile`] says which rules apply. Knows no
//! operation, and nothing of HTTP.

pub mod c14n;
mod files;
mod header;
mod keys;
pub mod replay;
mod sign;
mod verify;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::SignedDuration;
use thiserror::Error;

pub use keys::{Certificate, Identity, KeyError};
pub use sign::Signer;
pub(crate) use sign::SigningPart;

use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::fault::Fault;
use keys::Algorithm;
use replay::Replay;

/// How long a message lives after it was created, and the longest that a strict peer may say.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
/// How far a peer's clock may be ahead of ours.
pub const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Messages remembered against replay: five minutes at 3000 a second, some 100 MB when full.
const REMEMBERED: usize = 1_000_000;

/// A set of rules. A further one, for the wire of Eucalyptus 2.0.1, is one more row of `rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Between our tiers: everything that is used is signed, SHA-256, pinned certificates.
    Strict,
    /// EC2 users at the cloud's door: what their tools can sign; the certificate is looked up by
    /// the caller. Only the Body of such a message is to be believed, not its WS-Addressing.
    User,
}

/// What a profile asks for.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// SHA-1 as digest, RSA with SHA-1 as signature.
    sha1: bool,
    /// The certificate must be one of those trusted.
    pinned: bool,
    /// To, Action, MessageID, RelatesTo and Reason are signed where present; requests have the
    /// first three, replies RelatesTo.
    addressing: bool,
    /// A Timestamp must have Expires.
    expires: bool,
    /// A message is refused this long after Created, whatever its Expires says.
    lifetime: SignedDuration,
}

impl Profile {
    fn rules(self) -> Rules {
        match self {
            Profile::Strict => Rules { sha1: false, pinned: true, addressing: true, expires: true, lifetime: LIFETIME },
            // EC2's own rule: without Expires, 15 minutes.
            Profile::User => Rules {
                sha1: true,
                pinned: false,
                addressing: false,
                expires: false,
                lifetime: SignedDuration::from_mins(15),
            },
        }
    }
}

/// What the verifier is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect<'a> {
    /// A request; in the profile `strict` its Action must name the operation in the Body.
    Request,
    /// As `Request`, but it is not remembered and may have come before. For operations that change
    /// nothing (clients with fixed ids make equal messages within one second), and for the first
    /// look at a message in the profile `user`: there any certificate will do, so a stranger could
    /// fill the memory; look the user up first, then verify as `Request` what changes something.
    Reading,
    /// The reply to our request with this MessageID.
    Reply {
        /// The request's wsa:MessageID.
        to: &'a str,
    },
}

/// What is known of a message that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose key signed it.
    pub certificate: Certificate,
}

/// Why a message is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecurityError {
    /// A part of the Security header, or the header, is not there.
    #[error("the message has no {0}; it must be signed by WS-Security X.509")]
    Missing(&'static str),
    /// The Security header is not of the shape that is accepted.
    #[error("the Security header is not acceptable: {0}")]
    Malformed(String),
    /// An algorithm that the profile does not allow.
    #[error("the algorithm '{0}' is not accepted")]
    Algorithm(String),
    /// A reference to something that cannot be signed here.
    #[error("the signature names {0}")]
    Reference(String),
    /// Something that is used is not covered by the signature.
    #[error("{0} is not signed")]
    NotSigned(String),
    /// The signature does not hold: the message was changed, or another key signed it.
    #[error("the signature does not hold: {0}")]
    Broken(String),
    /// The certificate cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The certificate is none of those that this side was told to accept.
    #[error("the certificate with SHA-256 fingerprint {0} is not accepted here")]
    Untrusted(String),
    /// Too old, or from the future.
    #[error("{0}; compare the clocks of the two machines")]
    Clock(String),
    /// Seen before.
    #[error("the message was received before")]
    Replayed,
    /// So many messages within their lifetime that no more can be remembered.
    #[error("too many messages in five minutes to tell new ones from replayed ones; try again later")]
    Busy,
    /// Signed, but not what was expected here.
    #[error("{0}")]
    Unexpected(String),
}

impl From<SecurityError> for Fault {
    fn from(error: SecurityError) -> Self {
        match error {
            SecurityError::Busy => Fault::server(error.to_string()),
            SecurityError::Missing(_)
            | SecurityError::Malformed(_)
            | SecurityError::Algorithm(_)
            | SecurityError::Reference(_)
            | SecurityError::NotSigned(_)
            | SecurityError::Broken(_)
            | SecurityError::Certificate(_)
            | SecurityError::Untrusted(_)
            | SecurityError::Clock(_)
            | SecurityError::Replayed
            | SecurityError::Unexpected(_) => Fault::client(error.to_string()),
        }
    }
}

/// One side of a signed conversation: who we are, whom we accept, by which rules, and what was
/// seen. A server has one for its callers; a client one for each peer, with that peer's certificate.
pub struct Security {
    identity: Arc<Identity>,
    profile: Profile,
    clock: Clock,
    trusted: RwLock<Vec<Certificate>>,
    address: Option<String>,
    replay: Mutex<Replay>,
}

impl Security {
    /// Accepts no certificate until [`Security::trust`] says which; the profile `user` needs none.
    pub fn new(identity: Arc<Identity>, profile: Profile, clock: Clock) -> Self {
        Self {
            identity,
            profile,
            clock,
            trusted: RwLock::new(Vec::new()),
            address: None,
            replay: Mutex::new(Replay::new(REMEMBERED)),
        }
    }

    /// Accepts only requests whose signed wsa:To is this URL: a message captured on its way to one
    /// node cannot be sent to another that trusts the same caller.
    #[must_use]
    pub fn addressed(mut self, url: impl Into<String>) -> Self {
        self.address = Some(url.into());
        self
    }

    /// Replaces the certificates that are accepted.
    pub fn trust(&self, certificates: Vec<Certificate>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Who we are.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What [`crate::envelope::write`] needs to sign a message now.
    pub fn signer(&self) -> Signer<'_> {
        Signer::new(&self.identity, self.clock.now())
    }

    /// Checks that a message was signed as the profile asks, and by whom; a message that passes is
    /// remembered and does not pass again, unless it is a [`Expect::Reading`].
    ///
    /// # Errors
    /// [`SecurityError`] says what is wrong with it.
    pub fn verify(&self, envelope: &Envelope, expect: Expect<'_>) -> Result<Verified, SecurityError> {
        verify::verify(self, envelope, expect)
    }

    fn trusted(&self, der: &[u8]) -> Option<Certificate> {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.iter().find(|certificate| certificate.der() == der).cloned()
    }
}

#[cfg(test)]
mod tests;
