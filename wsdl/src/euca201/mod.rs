//! What peers of Eucalyptus 2.0.1 need that ours do not: envelopes laid out as theirs ([`write()`]),
//! text that their parser can read ([`dialect`]), and their own fault texts ([`OldFault`]). The facts
//! are from recorded traffic (`tests/captures`). [`OldPeers`] is how they are configured. Whose messages are believed is decided in `wsse`;
//! this module knows no tier and no key but the one it signs with.

mod config;
pub mod dialect;
mod fault;
mod gatherlog;
mod write;

pub use config::{OldCaller, OldIdentity, OldPeers};
pub use fault::OldFault;
pub use write::{Addressing, write};
