//! How a request to the cluster can fail, chosen by what its caller can do about it. The texts are
//! the sentences that cross the wire in `statusMessage`.

use std::error::Error as _;

use ironbark_wsdl::Refusal;
use thiserror::Error;

use crate::ids::{BadName, InstanceId, NodeName};
use crate::journal::JournalError;

/// Why the cluster did not do what it was asked.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// A field of the request cannot be taken.
    #[error("{field}: {problem}")]
    BadRequest {
        /// The field's name on the wire.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// An id or name is none.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// An id was used before for something else.
    #[error("{id} is taken: {why}; use a new id")]
    IdTaken {
        /// The instance.
        id: InstanceId,
        /// By what.
        why: String,
    },
    /// Fewer instances than the minimum can be placed; nothing was started.
    #[error("{}", no_room(*possible, *least, why))]
    NoRoom {
        /// How many could be.
        possible: usize,
        /// The request's minCount.
        least: usize,
        /// What the nodes lack, counted.
        why: String,
    },
    /// Fewer instances than the minimum were accepted by the nodes; those were terminated.
    #[error("{}", below_minimum(*accepted, *least, why))]
    BelowMinimum {
        /// How many were.
        accepted: usize,
        /// The request's minCount.
        least: usize,
        /// What the nodes said.
        why: String,
    },
    /// One instance could not be acted upon, or no node has it; each sentence names the instance.
    #[error("{0}")]
    Instance(String),
    /// A node cannot be registered or deregistered as asked.
    #[error("node {name}: {problem}")]
    Node {
        /// Its name.
        name: NodeName,
        /// Why, and what to do.
        problem: String,
    },
    /// Our own state cannot be written, so nothing may be promised.
    #[error("the cluster controller cannot record its state, so nothing was changed")]
    State(#[from] JournalError),
}

impl ClusterError {
    /// A request whose `field` has `problem`.
    pub fn bad(field: &'static str, problem: impl Into<String>) -> Self {
        Self::BadRequest { field, problem: problem.into() }
    }
}

/// The counts alone where nothing fits: they say it all.
fn no_room(possible: usize, least: usize, why: &str) -> String {
    if possible == 0 {
        return why.to_string();
    }
    format!("only {possible} of at least {least} instances can be placed; for the next one, {why}")
}

fn below_minimum(accepted: usize, least: usize, why: &str) -> String {
    match accepted {
        0 => format!("no node took it: {why}"),
        1 => format!("only 1 of at least {least} instances was taken, and is ended again: {why}"),
        _ => format!("only {accepted} of at least {least} instances were taken, and are ended again: {why}"),
    }
}

/// Every error is the answer, but for the trouble that is our own: a launch that cannot be written down now is no launch
/// that there is no room for.
impl From<ClusterError> for Refusal {
    fn from(error: ClusterError) -> Self {
        let mut text = error.to_string();
        // A transparent error repeats its source; the others add to it.
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        match error {
            ClusterError::State(_) => Refusal::Trouble(text),
            ClusterError::BadRequest { .. }
            | ClusterError::BadName(_)
            | ClusterError::IdTaken { .. }
            | ClusterError::NoRoom { .. }
            | ClusterError::BelowMinimum { .. }
            | ClusterError::Instance(_)
            | ClusterError::Node { .. } => Refusal::Declined(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_the_whole_chain_once() {
        let journal =
            JournalError::Io { doing: "write", path: "instances/i-1.json".into(), why: "No space left".into() };
        let refusal = Refusal::from(ClusterError::from(journal));
        let told = "the cluster controller cannot record its state, so nothing was changed: cannot write instances/i-1.json: No space left";
        assert_eq!(refusal, Refusal::Trouble(told.into()));
        let refusal = Refusal::from(ClusterError::from(BadName::Node("a b".into())));
        assert_eq!(refusal.to_string().matches("'a b'").count(), 1);
    }
}
