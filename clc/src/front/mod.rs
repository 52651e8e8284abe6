//! The two doors of the EC2 API. A request comes in as HTTP; what leaves here is a caller whose
//! signature was verified and an action with its parameters, whichever door it took. Nothing here
//! knows what an action does.

mod action;
mod params;
mod xml;

pub use action::{Access, Action, Actions, Caller, Credential, Reply};
pub use params::{MAX_PARAMETERS, Params};
pub use xml::{Door, Writer, escape_into};
