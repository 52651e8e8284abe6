//! What calling a peer of Eucalyptus 2.0.1 needs beside its envelopes: nothing is sent that it cannot
//! read, and an old node is not called twice at a time.

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::euca201::{self, Addressing, dialect};
use crate::fault::CallError;
use crate::service::{Exchange, Service};
use crate::wsse::{Identity, Profile};

/// A signed request for an old peer.
///
/// # Errors
/// [`CallError::Declined`], for nothing is sent then: an operation that 2.0.1 does not have, or a text
/// that it cannot read.
pub(super) fn write(url: &str, exchange: &Exchange, action: &str, identity: &Identity) -> Result<String, CallError> {
    match exchange.service {
        Service::Nc | Service::Cc => {}
        Service::Ironbark => {
            let reason =
                format!("{url} has the profile euca-2.0.1, and Eucalyptus 2.0.1 has no {}", exchange.operation);
            return Err(CallError::Declined { reason });
        }
    }
    let body = dialect::request(exchange.service, &exchange.body)
        .map_err(|error| CallError::Declined { reason: error.to_string() })?;
    let addressing = Addressing::Request { to: url, action, message_id: &exchange.message_id };
    Ok(euca201::write(addressing, &body, identity)?)
}

/// Who calls next. 2.0.1's node takes one connection at a time (MaxClients 1); a second call would
/// wait in the backlog of its socket, where one cannot know whether it was read. Here one can.
pub(super) struct Turns(Option<Mutex<()>>);

impl Turns {
    /// No turns: whoever comes goes.
    pub fn free() -> Self {
        Self(None)
    }

    /// Turns if the peer is an old one.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Euca201 => Self(Some(Mutex::new(()))),
            Profile::Strict | Profile::User => Self::free(),
        }
    }

    /// Waits for the turn, and tells what of `budget` is left. An old cluster serves eight at a time
    /// and needs no turns.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if the turn does not come in time: nothing was sent.
    pub async fn take(
        &self,
        service: Service,
        budget: Duration,
    ) -> Result<(Option<MutexGuard<'_, ()>>, Duration), CallError> {
        let Some(turn) = self.0.as_ref().filter(|_| service == Service::Nc) else { return Ok((None, budget)) };
        let began = Instant::now();
        match tokio::time::timeout(budget, turn.lock()).await {
            Ok(turn) => Ok((Some(turn), budget.saturating_sub(began.elapsed()))),
            Err(_) => Err(CallError::Unreachable {
                reason: format!("another call kept the node busy for {} ms; nothing was sent", budget.as_millis()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_old_node_is_called_once_at_a_time() {
        let turns = Turns::of(Profile::Euca201);
        let second = Duration::from_secs(1);
        let first = turns.take(Service::Nc, second).await.expect("the first turn");
        let late = turns.take(Service::Nc, Duration::from_millis(5)).await;
        assert!(matches!(late, Err(CallError::Unreachable { .. })));
        assert!(turns.take(Service::Cc, second).await.is_ok(), "an old cluster serves several");
        drop(first);
        assert!(turns.take(Service::Nc, second).await.is_ok());
        assert!(Turns::of(Profile::Strict).take(Service::Nc, second).await.expect("free").0.is_none());
    }
}
