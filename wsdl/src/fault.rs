//! The ways in which a call between tiers can end badly, chosen by what the caller can do.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// SOAP 1.1 fault codes that Ironbark answers with (SOAP 1.1, section 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// The message is at fault: malformed, unsigned, or naming an unknown operation.
    Client,
    /// The receiver is at fault.
    Server,
    /// A header with `mustUnderstand="1"` is not understood here.
    MustUnderstand,
    /// The envelope is not a SOAP 1.1 envelope.
    VersionMismatch,
}

impl FaultCode {
    /// The local part of `faultcode`, to be written with the SOAP prefix.
    pub fn name(self) -> &'static str {
        match self {
            FaultCode::Client => "Client",
            FaultCode::Server => "Server",
            FaultCode::MustUnderstand => "MustUnderstand",
            FaultCode::VersionMismatch => "VersionMismatch",
        }
    }
}

/// What a tier answers to a message it cannot or must not take: malformed, unsigned, unknown.
/// What it understands and refuses is a [`Refusal`] instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {reason}", code.name())]
pub struct Fault {
    /// Who is at fault.
    pub code: FaultCode,
    /// What is wrong and what to do about it, for people.
    pub reason: String,
}

impl Fault {
    /// The message is at fault.
    pub fn client(reason: impl Into<String>) -> Self {
        Self { code: FaultCode::Client, reason: reason.into() }
    }

    /// We are at fault.
    pub fn server(reason: impl Into<String>) -> Self {
        Self { code: FaultCode::Server, reason: reason.into() }
    }
}

/// Understood, but not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The answer is no: becomes the WSDL's own `return=false`, with the reason in `statusMessage` (CC) and in the
    /// `Reason` header block.
    #[error("{0}")]
    Declined(String),
    /// There is no answer, for a trouble of our own that may pass: becomes a fault of the receiver, after which a caller
    /// who wants it done sends it again.
    #[error("{0}")]
    Trouble(String),
}

impl Refusal {
    /// A refusal for the given reason, a sentence for people.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::Declined(reason.into())
    }
}

/// How a call to another tier failed, as far as the caller can know.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum CallError {
    /// The peer understood and refused: nothing was done. `reason` is its own sentence.
    #[error("declined: {reason}")]
    Declined {
        /// The peer's sentence, or a note that it gave none.
        reason: String,
    },
    /// The peer, or our own check of its answer, found a message that cannot be taken.
    #[error("fault {code}: {reason}")]
    Fault {
        /// The fault code's local part.
        code: String,
        /// The fault string.
        reason: String,
    },
    /// The peer was certainly not reached: no connection was made, so nothing was done.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// What the operating system said.
        reason: String,
    },
    /// No answer in time, or the connection broke after the request left: **we do not know**
    /// whether it was done. Observe, then decide; never resend what is not idempotent.
    #[error("no answer within {} ms: {reason}", after.as_millis())]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// Where it got stuck.
        reason: String,
    },
}

impl CallError {
    /// One word for traces and counters.
    pub fn kind(&self) -> &'static str {
        match self {
            CallError::Declined { .. } => "declined",
            CallError::Fault { .. } => "fault",
            CallError::Unreachable { .. } => "unreachable",
            CallError::TimedOut { .. } => "timed-out",
        }
    }

    /// True if the request may have been carried out although no good answer came. A fault counts
    /// too: it need not be signed, so it may not be the peer's own word.
    pub fn unknown(&self) -> bool {
        match self {
            CallError::TimedOut { .. } | CallError::Fault { .. } => true,
            CallError::Declined { .. } | CallError::Unreachable { .. } => false,
        }
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        CallError::Fault { code: fault.code.name().to_string(), reason: fault.reason }
    }
}
