//! One connection to libvirt that is kept open: opened on a thread of its own (opening has no time limit in libvirt),
//! opened again when it breaks, with growing pauses. Must not know what it is used for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use virt::connect::Connect;

use super::HypervisorError;
use super::events::{Heard, Subscription, start_loop};

/// Pauses between attempts to open: the first, doubled each time up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// A daemon that answers none of this many messages, this many seconds apart, is gone: after 16 s all its calls fail
/// instead of waiting for ever. Callers have shorter limits of their own; this is what sets the threads free.
const KEEPALIVE_SECONDS: i32 = 4;
const KEEPALIVE_COUNT: u32 = 3;

/// Calls that hang on one connection before another is opened beside it. libvirtd takes 5 calls of one client at a time
/// (`max_client_requests`), so five hung guests would otherwise stop all others' calls.
const WORN_AT: usize = 3;

/// Told of each connection that has come up.
pub type OnUp = dyn Fn(&Arc<Session>) + Send;

/// What a link's owner wants done. All run on the link's thread or, `heard`, on the event loop's; none may block long.
pub struct Hooks {
    /// When a connection has come up, before anyone uses it.
    pub prepare: Box<dyn Fn(&Connect) + Send + Sync>,
    /// A domain's event. `None`: this link does not listen.
    pub heard: Option<Arc<dyn Fn(Heard) + Send + Sync>>,
    pub up: Box<OnUp>,
    pub down: Box<dyn Fn(&str) + Send>,
}

/// An open connection. Its last holder closes it, which may block: so only threads of ours hold it, never a future.
pub struct Session {
    connect: Connect,
    subscription: Option<Subscription>,
}

impl Session {
    pub fn connect(&self) -> &Connect {
        &self.connect
    }

    /// Whether the connection is open as far as this side knows; asks nobody.
    pub fn is_alive(&self) -> bool {
        self.connect.is_alive().unwrap_or(false)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.subscription.take();
        if let Err(error) = self.connect.close() {
            tracing::debug!(event = "nc.libvirt.close", %error, "closing a connection to libvirt");
        }
    }
}

/// How the link stands, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    /// The first attempt has not ended.
    Connecting,
    Up,
    Down(String),
}

/// The link; dropping it closes the connection once the last call on it has ended.
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    uri: String,
    status: watch::Sender<Status>,
    /// With its number, which grows with each opening, and the calls that hang on it.
    current: Mutex<Option<Current>>,
    signals: Sender<Signal>,
    numbers: AtomicU64,
}

struct Current {
    number: u64,
    session: Arc<Session>,
    hung: usize,
}

enum Signal {
    /// The connection of that number is gone.
    Lost(u64, &'static str),
    /// A call on the current connection failed as if it were gone.
    Suspect,
    /// Too many calls hang on the current connection.
    Worn,
    Stop,
}

impl Link {
    /// Starts a thread `name` that opens `uri`. Never blocks.
    pub fn open(name: &str, uri: &str, hooks: Hooks) -> Result<Link, HypervisorError> {
        let (signals, receiver) = channel();
        let shared = Arc::new(Shared {
            uri: uri.to_owned(),
            status: watch::channel(Status::Connecting).0,
            current: Mutex::new(None),
            signals,
            numbers: AtomicU64::new(0),
        });
        let keeper = shared.clone();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || keeper.keep(&receiver, &hooks))
            .map_err(|e| HypervisorError::Unavailable { reason: format!("cannot start a thread: {e}") })?;
        Ok(Link { shared })
    }

    /// Waits, at most `within`, until the first attempt to connect has ended; the time that is left.
    pub async fn ready(&self, within: Duration) -> Result<Duration, HypervisorError> {
        let begun = Instant::now();
        let mut status = self.shared.status.subscribe();
        let known = status.wait_for(|status| *status != Status::Connecting);
        let reason = match tokio::time::timeout(within, known).await {
            Ok(Ok(status)) => match &*status {
                Status::Up => return Ok(within.saturating_sub(begun.elapsed())),
                Status::Down(reason) => reason.clone(),
                Status::Connecting => unreachable_reason(&self.shared.uri),
            },
            Ok(Err(_)) | Err(_) => unreachable_reason(&self.shared.uri),
        };
        Err(HypervisorError::Unavailable { reason })
    }

    /// The connection to use now. For threads that may block, see [`Session`].
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }
}

fn unreachable_reason(uri: &str) -> String {
    format!("still connecting to {uri}: libvirt has not answered yet")
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.signal(Signal::Stop);
    }
}

/// What a call takes with it to its thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub fn session(&self) -> Result<Arc<Session>, HypervisorError> {
        let session = self.shared.current().as_ref().map(|current| current.session.clone());
        session.ok_or_else(|| {
            let reason = match &*self.shared.status.borrow() {
                Status::Down(reason) => reason.clone(),
                Status::Up | Status::Connecting => unreachable_reason(&self.shared.uri),
            };
            HypervisorError::Unavailable { reason }
        })
    }

    /// A call failed in a way that a broken connection explains: have it looked at.
    pub fn suspect(&self) {
        self.shared.signal(Signal::Suspect);
    }

    /// A call did not end in its caller's time.
    pub fn hung(&self) {
        if let Some(current) = self.shared.current().as_mut() {
            current.hung += 1;
            if current.hung == WORN_AT {
                self.shared.signal(Signal::Worn);
            }
        }
    }
}

impl Shared {
    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        // The thread may have ended; then there is nobody to tell.
        let _ = self.signals.send(signal);
    }

    /// The life of the link's thread.
    fn keep(self: Arc<Self>, signals: &Receiver<Signal>, hooks: &Hooks) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect(hooks) {
                Ok(current) => {
                    (hooks.prepare)(&current.session.connect);
                    pause = FIRST_PAUSE;
                    tracing::info!(event = "nc.libvirt.connected", uri = self.uri, "connected to libvirt");
                    let session = current.session.clone();
                    *self.current() = Some(current);
                    self.status.send_replace(Status::Up);
                    (hooks.up)(&session);
                    drop(session);
                    let Some(reason) = self.watch(signals, hooks) else { return self.end("closed") };
                    tracing::warn!(event = "nc.libvirt.lost", uri = self.uri, reason, "lost the connection to libvirt");
                    self.end(&reason);
                    (hooks.down)(&reason);
                }
                Err(reason) => {
                    tracing::warn!(event = "nc.libvirt.away", uri = self.uri, reason, "cannot connect to libvirt");
                    self.end(&reason);
                }
            }
            if stopped(signals, pause) {
                return self.end("closed");
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn end(&self, reason: &str) {
        let last = self.current().take();
        self.status.send_replace(Status::Down(reason.to_owned()));
        drop(last);
    }

    /// Waits until the current connection is lost, for the reason; `None` when the link is dropped.
    fn watch(self: &Arc<Self>, signals: &Receiver<Signal>, hooks: &Hooks) -> Option<String> {
        loop {
            match signals.recv() {
                Ok(Signal::Lost(number, how)) if self.is_current(number) => return Some(how.to_owned()),
                Ok(Signal::Lost(..)) => {}
                Ok(Signal::Suspect) => {
                    let session = self.current().as_ref().map(|current| current.session.clone());
                    if !session.is_some_and(|session| session.is_alive()) {
                        return Some("a call failed and the connection is not alive".to_owned());
                    }
                }
                // A link that listens would hear everything twice, on the old connection and on the new one.
                Ok(Signal::Worn) if hooks.heard.is_none() => self.renew(hooks),
                Ok(Signal::Worn) => {}
                Ok(Signal::Stop) | Err(_) => return None,
            }
        }
    }

    /// Opens a connection beside the current one and puts it in its place; the last call that hangs closes the old one.
    fn renew(self: &Arc<Self>, hooks: &Hooks) {
        match self.connect(hooks) {
            Ok(fresh) => {
                tracing::warn!(
                    event = "nc.libvirt.hangs",
                    uri = self.uri,
                    "calls hang; opened another connection to libvirt for the others"
                );
                let worn = self.current().replace(fresh);
                drop(worn);
            }
            Err(reason) => tracing::warn!(
                event = "nc.libvirt.hangs",
                uri = self.uri,
                reason,
                "calls hang, and no other connection opens"
            ),
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.current().as_ref().is_some_and(|current| current.number == number)
    }

    /// Opens a connection. Blocks as long as libvirt likes.
    fn connect(self: &Arc<Self>, hooks: &Hooks) -> Result<Current, String> {
        start_loop().map_err(|e| e.message().to_owned())?;
        let connect = Connect::open(Some(&self.uri)).map_err(|e| e.message().to_owned())?;
        // Drivers within this process have no daemon to keep alive, and say so.
        let _ = connect.set_keep_alive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let weak = Arc::downgrade(self);
        let heard = hooks.heard.clone();
        let sink = Box::new(move |what: Heard| match (what, &heard) {
            (Heard::Closed(how), _) => {
                if let Some(shared) = weak.upgrade() {
                    shared.signal(Signal::Lost(number, how));
                }
            }
            (event @ Heard::Domain(..), Some(heard)) => heard(event),
            (Heard::Domain(..), None) => {}
        });
        let listen = hooks.heard.is_some();
        let subscription = Some(Subscription::new(&connect, listen, sink));
        let session = Arc::new(Session { connect, subscription });
        Ok(Current { number, session, hung: 0 })
    }
}

/// Waits for `pause`; whether the link was dropped meanwhile.
fn stopped(signals: &Receiver<Signal>, pause: Duration) -> bool {
    let end = Instant::now() + pause;
    loop {
        match signals.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(Signal::Lost(..) | Signal::Suspect | Signal::Worn) => {}
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}
