//! The contract between Ironbark's tiers: what they say to each other, how it is written down,
//! signed and carried. It knows the WSDLs and nothing of any tier.
//!
//! Read in this order: [`service`] (request, router, transport, call), [`context`], then the two
//! contracts [`nc`] and [`cc`] and what the old wire lacks, [`ironbark`].

pub mod blocking;
pub mod cc;
pub mod child;
pub mod clock;
pub mod command;
pub mod context;
pub mod endpoint;
pub mod envelope;
pub mod epochs;
pub mod euca201;
pub mod fault;
pub mod http;
pub mod ironbark;
pub mod ledger;
pub mod log;
pub mod marshal;
pub mod nc;
pub mod peer;
pub mod service;
pub mod trace;
pub mod wsse;

pub use context::{Context, OpenSpan, RequestId};
pub use epochs::Epochs;
pub use fault::{CallError, Fault, FaultCode, Refusal};
pub use service::{Exchange, Message, Reply, Request, Response, Router, Service, Transport, call};
pub use trace::{Moment, Recorder, Span};
