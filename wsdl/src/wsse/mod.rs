//! WS-Security X.509 (OASIS, 2004): who sent a message, and that it is as it was sent. [`Security`]
//! holds what one side of a connection needs for it; a [`Profile`] says which rules apply. Whose
//! certificate a message bears decides its profile, so nobody can choose weaker rules than those it
//! was registered for. Knows no operation, and nothing of HTTP.

pub mod c14n;
mod euca201;
mod files;
mod header;
mod keys;
pub mod replay;
mod rsa_sha1;
mod sign;
mod verify;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::SignedDuration;
use thiserror::Error;

pub use keys::{Certificate, Identity, KeyError};
pub use sign::Signer;
pub(crate) use sign::SigningPart;

use crate::clock::Clock;
use crate::envelope::{Envelope, names};
use crate::euca201::OldFault;
use crate::fault::Fault;
use euca201::OneBody;
use keys::Algorithm;
use replay::Replay;

/// How long a message lives after it was created, and the longest that a strict peer may say.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
/// How far a peer's clock may be ahead of ours.
pub const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Messages remembered against replay: five minutes at 3000 a second, some 100 MB when full.
const REMEMBERED: usize = 1_000_000;

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Between our tiers: everything that is used is signed, SHA-256, pinned certificates.
    Strict,
    /// EC2 users at the cloud's door: what their tools can sign; the certificate is looked up by
    /// the caller. Only the Body of such a message is to be believed, not its WS-Addressing.
    User,
    /// Between tiers, one of which is a Eucalyptus 2.0.1: RSA with SHA-1 over the WS-Addressing
    /// headers, pinned certificates, the Body not covered, nothing against replay.
    Euca201,
}

/// A name that is no profile's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no profile between tiers; there are strict and euca-2.0.1")]
pub struct UnknownProfile(String);

impl Profile {
    /// The name in configurations and contracts.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Strict => "strict",
            Profile::User => "user",
            Profile::Euca201 => "euca-2.0.1",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    /// Reads the name of a profile between tiers.
    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let known = [Profile::Strict, Profile::Euca201].into_iter().find(|profile| profile.name() == name);
        known.ok_or_else(|| UnknownProfile(name.to_string()))
    }
}

/// What the profiles `strict` and `user` ask for; `euca-2.0.1` has rules of another kind.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// SHA-1 as digest, RSA with SHA-1 as signature.
    sha1: bool,
    /// The certificate must be one of those trusted.
    pinned: bool,
    /// To, Action, MessageID, RelatesTo, Reason and Epochs are signed where present; requests have the
    /// first three, replies RelatesTo.
    addressing: bool,
    /// A Timestamp must have Expires.
    expires: bool,
    /// A message is refused this long after Created, whatever its Expires says.
    lifetime: SignedDuration,
}

const STRICT: Rules = Rules { sha1: false, pinned: true, addressing: true, expires: true, lifetime: LIFETIME };

/// EC2's own rule: without Expires, 15 minutes.
const USER: Rules =
    Rules { sha1: true, pinned: false, addressing: false, expires: false, lifetime: SignedDuration::from_mins(15) };

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
    /// Refused by the rules of the profile `euca-2.0.1`.
    #[error("{problem}")]
    Old {
        /// What an old client is told.
        fault: OldFault,
        /// What is wrong.
        problem: String,
    },
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
            | SecurityError::Unexpected(_)
            | SecurityError::Old { .. } => Fault::client(error.to_string()),
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
    old: Option<OldCallers>,
    address: Option<String>,
    replay: Mutex<Replay>,
    bodies: Mutex<OneBody>,
}

/// Who calls by the rules of 2.0.1, beside those of a server's own profile.
struct OldCallers {
    identity: Arc<Identity>,
    certificates: Vec<Certificate>,
}

impl Security {
    /// Accepts no certificate until [`Security::trust`] says which; the profile `user` needs none.
    pub fn new(identity: Arc<Identity>, profile: Profile, clock: Clock) -> Self {
        Self {
            identity,
            profile,
            clock,
            trusted: RwLock::new(Vec::new()),
            old: None,
            address: None,
            replay: Mutex::new(Replay::new(REMEMBERED)),
            bodies: Mutex::default(),
        }
    }

    /// Accepts only requests whose signed wsa:To is this URL: a message captured on its way to one
    /// node cannot be sent to another that trusts the same caller. Old callers are not held to it.
    #[must_use]
    pub fn addressed(mut self, url: impl Into<String>) -> Self {
        self.address = Some(url.into());
        self
    }

    /// Accepts these callers too, by the rules of the profile `euca-2.0.1`, and answers them as
    /// `identity`. A certificate that is trusted otherwise, now or later, is never held to these
    /// weaker rules.
    ///
    /// # Errors
    /// [`KeyError::Content`] if a key is not RSA, the only kind that 2.0.1 knows, or a certificate is
    /// trusted by stricter rules already.
    pub fn with_old_callers(
        mut self,
        identity: Arc<Identity>,
        certificates: Vec<Certificate>,
    ) -> Result<Self, KeyError> {
        keys::for_old_peers(identity.certificate())?;
        for certificate in &certificates {
            keys::for_old_peers(certificate)?;
            if self.trusted(certificate.der()).is_some() {
                let problem = format!("trusted by the profile {} already; a caller has one profile", self.profile);
                return Err(KeyError::content(certificate.fingerprint(), problem));
            }
        }
        self.old = Some(OldCallers { identity, certificates });
        Ok(self)
    }

    /// Replaces the certificates that are accepted by the rules of this side's own profile.
    pub fn trust(&self, certificates: Vec<Certificate>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Who we are.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Who we are to peers of 2.0.1.
    pub fn old_identity(&self) -> &Arc<Identity> {
        self.old.as_ref().map_or(&self.identity, |old| &old.identity)
    }

    /// What [`crate::envelope::write`] needs to sign a message now.
    pub fn signer(&self) -> Signer<'_> {
        Signer::new(&self.identity, self.clock.now())
    }

    /// Whether any peer is held to the rules of 2.0.1.
    pub fn has_old_peers(&self) -> bool {
        self.profile == Profile::Euca201 || self.old.is_some()
    }

    /// Which rules a message is held to: those for which its certificate is registered. A message of
    /// nobody we know is told in the words of 2.0.1 only where there are old callers and it has none
    /// of the Timestamps that only ours send; it is refused either way.
    pub fn profile_of(&self, envelope: &Envelope) -> Profile {
        let Some(old) = &self.old else { return self.profile };
        let security = envelope.header.iter().find(|block| block.is(names::WSSE, "Security"));
        let tokens = security.into_iter().flat_map(|security| &security.children);
        let mut tokens = tokens.filter(|child| child.is(names::WSSE, "BinarySecurityToken"));
        let certificate = match (tokens.next(), tokens.next()) {
            (Some(token), None) => header::base64(token).ok(),
            (None | Some(_), _) => None,
        };
        if let Some(der) = certificate {
            if self.trusted(&der).is_some() {
                return self.profile;
            }
            if old.certificates.iter().any(|certificate| certificate.der() == der) {
                return Profile::Euca201;
            }
        }
        let stamped = security.is_some_and(|security| security.children.iter().any(|c| c.is(names::WSU, "Timestamp")));
        if stamped { self.profile } else { Profile::Euca201 }
    }

    /// Checks that a message was signed as its profile asks, and by whom. In the profiles `strict` and
    /// `user`, one that passes is remembered and does not pass again, unless it is a
    /// [`Expect::Reading`].
    ///
    /// # Errors
    /// [`SecurityError`] says what is wrong with it.
    pub fn verify(&self, envelope: &Envelope, expect: Expect<'_>) -> Result<Verified, SecurityError> {
        match self.profile_of(envelope) {
            Profile::Strict => verify::verify(self, &STRICT, envelope, expect),
            Profile::User => verify::verify(self, &USER, envelope, expect),
            Profile::Euca201 => euca201::verify(self, envelope, expect),
        }
    }

    fn trusted(&self, der: &[u8]) -> Option<Certificate> {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.iter().find(|certificate| certificate.der() == der).cloned()
    }

    /// The certificate, if it is registered for the profile `euca-2.0.1` and for no stricter one.
    fn accepted_as_old(&self, der: &[u8]) -> Option<Certificate> {
        let trusted = self.trusted(der);
        if self.profile == Profile::Euca201 {
            return trusted;
        }
        let old = self.old.as_ref().filter(|_| trusted.is_none())?;
        old.certificates.iter().find(|certificate| certificate.der() == der).cloned()
    }
}

#[cfg(test)]
mod tests;
