//! SOAP 1.1 envelopes: the one bounded pass over hostile bytes ([`read`]) and the writer of ours
//! ([`write`]). What a handler gets is canonical text made by the same pass that made the octets
//! whose signature is checked. Knows no operation and does not judge signatures; `wsse` does.

pub(crate) mod events;
pub(crate) mod names;
mod scan;
pub(crate) mod scope;
pub(crate) mod tree;
mod write;

use std::fmt;

pub use write::{Outgoing, write};

use crate::epochs::Epochs;
use crate::euca201::OldFault;
use crate::fault::{Fault, FaultCode};
use events::Events;
use scope::Binding;
use tree::Element;

/// How much of a stranger's message is read before it is refused. The default is for answers,
/// [`Limits::request`] for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the message in bytes. The longest honest one, 5000 instances, has 6 MB.
    pub bytes: usize,
    /// Elements within elements.
    pub depth: usize,
    /// Attributes of one element, namespace declarations too.
    pub attributes: usize,
    /// Namespace declarations in force at one point.
    pub namespaces: usize,
    /// Elements in the whole Header.
    pub header_elements: usize,
    /// Parts that a signature could name: blocks of the Header, tokens, time stamps.
    pub parts: usize,
    /// Canonical text made from one message, in bytes. It can be longer than the message, since a
    /// declaration made once far out is repeated wherever it is used.
    pub canonical: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 64,
            attributes: 64,
            namespaces: 128,
            header_elements: 512,
            parts: 64,
            canonical: 64 << 20,
        }
    }
}

impl Limits {
    /// For a server: requests are short (five thousand instance ids have 150 KB), and whoever
    /// sends one is not known before it has been read; so little work is done for it.
    pub fn request() -> Self {
        Self { bytes: 2 << 20, canonical: 8 << 20, ..Self::default() }
    }
}

/// A name and its namespace; the empty namespace is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QName {
    pub namespace: String,
    pub local: String,
}

/// A message that is well formed, within limits, and one SOAP 1.1 envelope. **Nothing in it is
/// true yet**: `wsse::Security::verify` says whether, and by whom, it was signed.
pub struct Envelope {
    /// The Body's only child in canonical form, a document of its own, without elements that were
    /// sent as `xsi:nil`: what yaserde reads.
    pub body: String,
    /// The name of the Body's child: what is dispatched on.
    pub body_name: QName,
    /// wsa:To, without surrounding blanks, which the 2.0.1 client sends.
    pub to: Option<String>,
    /// wsa:Action.
    pub action: Option<String>,
    /// wsa:MessageID.
    pub message_id: Option<String>,
    /// wsa:RelatesTo.
    pub relates_to: Option<String>,
    /// Our own header block `Reason`: why an operation was refused.
    pub reason: Option<String>,
    /// Our own header block `Epochs`: which operation of each instance this is.
    pub epochs: Epochs,
    /// The blocks of the Header.
    pub(crate) header: Vec<Element>,
    /// What a signature can name, and SignedInfo.
    pub(crate) parts: Vec<Part>,
}

impl fmt::Debug for Envelope {
    /// Names only: bodies carry user data, and headers signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("body_name", &self.body_name)
            .field("action", &self.action)
            .field("message_id", &self.message_id)
            .field("relates_to", &self.relates_to)
            .finish_non_exhaustive()
    }
}

/// What a part is, by its place in the envelope and not by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Envelope/Body`.
    Body,
    /// `Envelope/Header/*`, but Security.
    Block,
    /// `Envelope/Header/Security/Timestamp`.
    Timestamp,
    /// `Envelope/Header/Security/BinarySecurityToken`.
    Token,
    /// `Envelope/Header/Security/Signature/SignedInfo`.
    SignedInfo,
}

/// An element with its octets for signing.
pub(crate) struct Part {
    pub kind: Kind,
    pub name: QName,
    /// Its `wsu:Id`.
    pub id: Option<String>,
    /// Exclusive canonical form, without an InclusiveNamespaces list.
    pub canonical: String,
    /// As it came, and what was declared around it: for the few senders that use such a list.
    pub source: String,
    pub context: Vec<Binding>,
}

/// Why a message was not read, and which fault a 2.0.1 server would answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What is wrong and where.
    pub fault: Fault,
    /// What an old client is told.
    pub old: OldFault,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        let old = match fault.code {
            FaultCode::Client => OldFault::NoEnvelope,
            FaultCode::VersionMismatch => OldFault::SoapVersion,
            FaultCode::MustUnderstand => OldFault::HeaderNotUnderstood,
            FaultCode::Server => OldFault::Server,
        };
        Self { fault, old }
    }
}

/// Reads one message within `limits`.
///
/// # Errors
/// A `Client` fault naming what is wrong and where; `VersionMismatch` for an envelope that is not
/// SOAP 1.1; `MustUnderstand` for a header block that must be understood and is not.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Envelope, Fault> {
    read_from_any(bytes, limits).map_err(|unread| unread.fault)
}

/// [`read`], where old clients may be among the senders.
///
/// # Errors
/// As [`read`], with what an old client is told.
pub fn read_from_any(bytes: &[u8], limits: &Limits) -> Result<Envelope, Unread> {
    let malformed = |error: events::Malformed| Fault::client(error.to_string());
    let events = Events::document(bytes, limits).map_err(malformed)?;
    scan::scan(events, limits)
}

#[cfg(test)]
mod tests;
