//! The places of a server: who holds one, whose turn it is, and who must leave. Knows no HTTP and
//! no socket.
//!
//! A connection is either waited for (its client has to send something, or to take its answer) or
//! worked for. A client's turn ends at a time; and when every place is taken, the connection that
//! has been waited for longest makes room, first those whose clients were never answered. So
//! however many slow clients sit there, a new one gets in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// How often a full house is looked over again while everybody in it is being worked for, and how
/// often a connection that is worked for looks whether it is the client's turn again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// An honest client, which speaks as soon as it is connected, has spoken by then: nobody who is
/// waited for for less must leave.
const GRACE: Duration = Duration::from_millis(250);

/// All places of one server.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    places: BTreeMap<u64, Arc<Turn>>,
}

/// Whose turn it is on one connection.
pub(super) struct Turn {
    state: Mutex<State>,
    leave: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// Since when the client is waited for, and until when; `None` while it is our turn.
    waited: Option<(Instant, Instant)>,
    /// One of its requests was answered before.
    answered: bool,
}

/// A place that is held until it is dropped.
pub(super) struct Place {
    id: u64,
    turn: Arc<Turn>,
    places: Arc<Places>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), taken: Mutex::default() })
    }

    /// A place for a new connection, whose client has `wait` for its first request. If none is
    /// free somebody is sent away.
    pub async fn take(self: &Arc<Self>, wait: Duration) -> Place {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            self.make_room();
            tokio::select! {
                permit = self.free.clone().acquire_owned() => break permit.expect("the semaphore is never closed"),
                () = sleep(LOOK_AGAIN) => {}
            }
        };
        let now = Instant::now();
        let state = State { waited: Some((now, now + wait)), answered: false };
        let turn = Arc::new(Turn { state: Mutex::new(state), leave: Notify::new() });
        let mut taken = self.taken();
        let id = taken.next;
        taken.next += 1;
        taken.places.insert(id, turn.clone());
        drop(taken);
        Place { id, turn, places: self.clone(), _permit: permit }
    }

    fn make_room(&self) {
        let taken = self.taken();
        let ranked = taken.places.values().filter_map(|turn| Some((rank(*turn.state())?, turn)));
        match ranked.min_by_key(|(rank, _)| *rank) {
            Some(((_, since), turn)) if Instant::now() >= since + GRACE => turn.leave.notify_one(),
            Some(_) | None => {}
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who leaves first: the smallest. `None` while it is our turn.
fn rank(state: State) -> Option<(bool, Instant)> {
    state.waited.map(|(since, _)| (state.answered, since))
}

impl Turn {
    /// The client has to send or to take something within `wait`.
    pub fn theirs(&self, wait: Duration) {
        let now = Instant::now();
        self.state().waited = Some((now, now + wait));
    }

    /// We work.
    pub fn ours(&self) {
        self.state().waited = None;
    }

    /// An answer was made: the client has to take it and to say something within `wait`.
    pub fn answered(&self, wait: Duration) {
        self.state().answered = true;
        self.theirs(wait);
    }

    /// Resolves when the connection must be closed. Looks at the clock only when a turn that it
    /// knew of is over, so that a request costs no wake-up.
    pub async fn over(&self) {
        loop {
            let waited = self.state().waited;
            let look = match waited {
                Some((_, until)) if until <= Instant::now() => return,
                Some((_, until)) => until,
                None => Instant::now() + LOOK_AGAIN,
            };
            tokio::select! {
                () = self.leave.notified() => {
                    // It may have spoken since it was told.
                    if self.state().waited.is_some() {
                        return;
                    }
                }
                () = sleep_until(look) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().places.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn left(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.turn().over()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_waited_for_makes_room() {
        let places = Places::new(3);
        let served = places.take(LONG).await;
        served.turn().ours();
        served.turn().answered(LONG);
        tokio::time::advance(Duration::from_millis(1)).await;
        let worked_for = places.take(LONG).await;
        worked_for.turn().ours();
        let slow = places.take(LONG).await;
        tokio::time::advance(GRACE).await;
        let newcomer = tokio::spawn({
            let places = places.clone();
            async move { places.take(LONG).await }
        });
        tokio::task::yield_now().await;
        assert!(left(&slow).await, "it was never answered");
        assert!(!left(&served).await && !left(&worked_for).await);
        drop(slow);
        let newcomer = newcomer.await.expect("no panic");
        newcomer.turn().ours();
        tokio::time::advance(GRACE).await;
        let another = tokio::spawn({
            let places = places.clone();
            async move { places.take(LONG).await }
        });
        tokio::task::yield_now().await;
        assert!(left(&served).await, "an idle one goes when nobody else can");
        drop(served);
        another.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_while_all_are_worked_for() {
        let places = Places::new(1);
        let only = places.take(LONG).await;
        only.turn().ours();
        let mut newcomer = tokio::spawn({
            let places = places.clone();
            async move { places.take(LONG).await }
        });
        assert!(tokio::time::timeout(LONG * 3, &mut newcomer).await.is_err());
        assert!(!left(&only).await);
        only.turn().answered(LONG);
        assert!(tokio::time::timeout(LONG, only.turn().over()).await.is_ok(), "its turn came, and somebody waits");
        drop(only);
        newcomer.await.expect("no panic");
        assert!(places.taken().places.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_and_work_does_not() {
        let places = Places::new(1);
        let place = places.take(LONG).await;
        let over = |wait: Duration| tokio::time::timeout(wait, place.turn().over());
        assert!(over(LONG / 2).await.is_err());
        place.turn().ours();
        assert!(over(LONG * 3).await.is_err());
        place.turn().theirs(LONG);
        assert!(over(LONG * 2).await.is_ok());
    }
}
