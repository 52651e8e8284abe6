//! What must not be taken twice: the signatures of requests that change something, remembered until
//! they expire by themselves. Bounded; when full of young ones it says so and takes no more.

use std::sync::{Mutex, PoisonError};

use ironbark_wsdl::wsse::replay::{Key, Replay, Seen};
use jiff::Timestamp;

use crate::error::{Code, Ec2Error};

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
    /// Remembers a signature, by its SHA-256, until `until`.
    ///
    /// # Errors
    /// `AuthFailure` if it is known; `RequestLimitExceeded` if there is no room.
    pub(super) fn check(&self, digest: &[u8], until: Timestamp, now: Timestamp) -> Result<(), Ec2Error> {
        let mut key: Key = [0; 32];
        key.copy_from_slice(digest);
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).check(key, until, now);
        match seen {
            Seen::New => Ok(()),
            Seen::Before => {
                let text = "This very request was received before and is not taken twice; sign it anew to repeat it";
                Err(Ec2Error::new(Code::AuthFailure, text))
            }
            Seen::Full => Err(Ec2Error::new(
                Code::RequestLimitExceeded,
                "Too many changes were asked for lately; try again in a minute",
            )),
        }
    }
}

/// True for actions that change nothing, by EC2's own naming.
pub(super) fn reads(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Get")
}
