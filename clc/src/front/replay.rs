//! What must not be taken twice: the signatures of requests that change something, remembered until
//! they expire by themselves. Bounded; when full of young ones it says so and takes no more.

use std::sync::{Mutex, PoisonError};

use ironbark_wsdl::wsse::replay::{Key, Replay, Seen};
use jiff::{SignedDuration, Timestamp};

/// Signatures remembered: at some 100 bytes each 100 MB when full, and 1000 changes a second for
/// the quarter of an hour that a signature holds.
const CAPACITY: usize = 1_000_000;

/// The memory, shared by all requests.
#[derive(Debug)]
pub(super) struct Replays(Mutex<Replay>);

impl Default for Replays {
    fn default() -> Self {
        Self(Mutex::new(Replay::new(CAPACITY)))
    }
}

impl Replays {
    /// Remembers a signature, by its SHA-256, until `until`; tells whether it was there.
    pub(super) fn check(&self, digest: &[u8], until: Timestamp, now: Timestamp) -> Seen {
        let mut key: Key = [0; 32];
        key.copy_from_slice(digest);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).check(key, until, now)
    }
}

/// True for actions that change nothing, by EC2's own naming.
pub(super) fn reads(action: &str) -> bool {
    ["Describe", "Get"].iter().any(|verb| action.starts_with(verb))
}

/// How long after it was signed a [`repeatable`] request may come again: libraries send a request
/// again, under the same signature, when its connection breaks, and scripts ask twice in a second.
pub(super) const PROMPT: SignedDuration = SignedDuration::from_secs(5);

/// True for actions that leave the same behind when they are carried out twice in a row: because
/// the second finds it done, or because it finds the name taken and says so, which is the answer
/// that a client expects. AllocateAddress is among them although it gives another address each time:
/// who wants three asks three times in a second, with nothing to tell these requests apart, and an
/// address too many is seen and given back.
pub(super) fn repeatable(action: &str) -> bool {
    let verbs = [
        "Reboot",
        "Terminate",
        "Stop",
        "Start",
        "Delete",
        "Deregister",
        "Modify",
        "Reset",
        "Monitor",
        "Unmonitor",
        "Authorize",
        "Revoke",
        "Associate",
        "Disassociate",
        "Release",
    ];
    let named = [
        "CreateKeyPair",
        "ImportKeyPair",
        "CreateSecurityGroup",
        "CreatePlacementGroup",
        "CreateTags",
        "RegisterImage",
        "RegisterCluster",
        "RegisterNode",
        "CreateUser",
        "CreateGroup",
        "CreateAccount",
        "AllocateAddress",
    ];
    named.contains(&action) || verbs.iter().any(|verb| action.starts_with(verb))
}
