//! The two doors of the EC2 API. A request comes in as HTTP; what leaves here is a caller whose
//! signature was verified and an action with its parameters, whichever door it took. Nothing here
//! knows what an action does.
//!
//! Read in this order: [`server`] (the way of a request), `query` and `soap` (the doors), [`action`]
//! (what an action is), `signature` (pure), `flatten` (SOAP as parameters), `xml` (answers).

mod action;
mod directory;
mod flatten;
mod form;
mod params;
mod query;
mod replay;
mod reply;
mod server;
mod signature;
mod soap;
mod wsdl;
mod xml;

pub use action::{Access, Action, Actions, Caller, Credential, Reply, Service};
pub use directory::{AccessKey, Answered, Directory};
pub use params::{MAX_PARAMETERS, Params};
pub use server::Front;
pub use wsdl::EC2_WSDL;
pub use xml::{Door, Writer, escape_into};

#[cfg(test)]
mod tests;
