//! The way to one node, and the permits that ration the ways: slow calls, quick calls and the
//! polling have permits of their own, and a node has few of each, so that a node that hangs holds
//! up its own callers and nobody else. Knows no operation and no instance.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ironbark_wsdl::service::BoxFuture;
use ironbark_wsdl::{CallError, Context, Exchange, Reply, Transport};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use crate::cluster::node::Entry;
use crate::ids::NodeName;

/// Slow calls, and quick ones, in flight to one node.
const PER_NODE: usize = 4;
/// Slow calls, quick ones, and refreshes, each, in flight in the whole cluster. 2.0.1 had 4 for
/// all of them together (wire/cc.md 6.3).
const IN_ALL: usize = 32;
const NEVER_CLOSED: &str = "these semaphores are never closed";

/// How long a kind of call may keep its node busy: each kind has permits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Changes an instance, or reads its disk.
    Slow,
    /// Answered from the node's memory, or merely begun by the answer.
    Quick,
    /// Part of a refresh, which has taken a permit for all its calls: see [`Permits::round`].
    Poll,
}

/// Permits of one place, one heap for each pace.
pub struct Permits {
    slow: Semaphore,
    quick: Semaphore,
    rounds: Semaphore,
}

/// The way to one node.
pub struct Link {
    /// Its name.
    pub name: NodeName,
    /// Its endpoint.
    pub url: String,
    /// Begins its next refresh now.
    pub kick: Notify,
    /// Held during a refresh: one in flight per node. Counts those that were begun.
    round: tokio::sync::Mutex<()>,
    rounds_begun: AtomicU64,
    /// How its calls go out.
    pub transport: Arc<dyn Transport>,
    /// What it is rationed by.
    pub permits: Permits,
    watcher: Mutex<Option<AbortHandle>>,
}

impl Permits {
    fn new(count: usize) -> Self {
        Self { slow: Semaphore::new(count), quick: Semaphore::new(count), rounds: Semaphore::new(count) }
    }

    /// A permit of that pace; none is needed within a refresh.
    pub async fn one(&self, pace: Pace) -> Option<SemaphorePermit<'_>> {
        let heap = match pace {
            Pace::Slow => &self.slow,
            Pace::Quick => &self.quick,
            Pace::Poll => return None,
        };
        Some(heap.acquire().await.expect(NEVER_CLOSED))
    }

    /// The permit of one refresh, for all its calls. Waiting for it is not the node's fault and so
    /// is outside the calls' own time.
    pub async fn round(&self) -> SemaphorePermit<'_> {
        self.rounds.acquire().await.expect(NEVER_CLOSED)
    }
}

impl Default for Permits {
    /// Those of the whole cluster.
    fn default() -> Self {
        Self::new(IN_ALL)
    }
}

impl Link {
    /// A way to the node of `entry`. Where no transport could be made, every call says why.
    pub fn new(entry: &Entry, transport: Result<Arc<dyn Transport>, String>) -> Self {
        Self {
            name: entry.name.clone(),
            url: entry.url.clone(),
            kick: Notify::new(),
            round: tokio::sync::Mutex::new(()),
            rounds_begun: AtomicU64::new(0),
            transport: transport.unwrap_or_else(|reason| Arc::new(NoTransport(reason))),
            permits: Permits::new(PER_NODE),
            watcher: Mutex::new(None),
        }
    }

    /// The turn to refresh this node, held until it is dropped; `None` if another refresh began
    /// and ended while we waited: what it learned is as new as what we would learn.
    pub async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let before = self.rounds_begun.load(Ordering::SeqCst);
        let turn = self.round.lock().await;
        // One that was under way when we came does not count: it began before we asked.
        if self.rounds_begun.load(Ordering::SeqCst) > before {
            return None;
        }
        self.rounds_begun.fetch_add(1, Ordering::SeqCst);
        Some(turn)
    }

    /// Remembers the task that refreshes this node.
    pub fn watched_by(&self, watcher: AbortHandle) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(watcher);
    }

    /// Ends the task that refreshes this node.
    pub fn unwatch(&self) {
        if let Some(watcher) = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watcher.abort();
        }
    }

    /// The host part of its URL, which 2.0.1's messages bear as `nodeName`.
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or(rest)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

/// The transport of a node to which none can be made.
struct NoTransport(String);

impl Transport for NoTransport {
    fn send<'a>(&'a self, _ctx: &'a Context, _exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async { Err(CallError::Unreachable { reason: self.0.clone() }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::{Profile, Source};

    #[test]
    fn the_host_of_a_url_is_what_old_messages_bear() {
        for (url, host) in [
            ("http://10.1.0.11:8775/axis2/services/EucalyptusNC", "10.1.0.11"),
            ("http://node7/axis2/services/EucalyptusNC", "node7"),
            ("node7", "node7"),
        ] {
            let name = NodeName::parse("n1").unwrap();
            let entry = Entry {
                name,
                url: url.into(),
                profile: Profile::Strict,
                certificate: String::new(),
                source: Source::Registered,
            };
            assert_eq!(Link::new(&entry, Err("none".into())).host(), host);
        }
    }
}
