//! The hypervisor through libvirt, at any URI: which thread each call runs on, how long its caller waits, and what
//! libvirt's answers, errors and events mean in the trait's words. What a call does is in calls.rs.
//!
//! ```text
//!   futures --> Pool "virt-call"  (a lane per domain)  --> Link "virt-calls" --\
//!           --> Pool "virt-look"  (inventory, host, disks) --> Link "virt-looks" --> libvirt
//!   receivers <-- broadcast <-- thread "virt-events" (callbacks) <-------------/
//! ```
//! Two connections to a daemon, because libvirtd serves only five calls of one client at a time: looking must not queue
//! behind a hung guest. One to a driver in this process, which has no such limit.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;
use virt::connect::Connect;

use super::accel::{self, Choice, Kind};
use super::calls::{self, Failure, Node};
use super::domain_xml::{Driver, Target};
use super::events::Heard;
use super::link::{Hooks, Link};
use super::worker::{Overdue, Pool};
use super::{
    Answer, AttachedDisk, Change, Disk, DomainKey, DomainSpec, EVENT_BACKLOG, Event, HostInfo, Hypervisor,
    HypervisorError, Inventory, Started, is_instance_name,
};

/// Calls to different domains at the same time. Starting a guest takes a third of a second of two processors; more at
/// once only slow each other down. Calls that hang do not count.
const CALLS_AT_ONCE: usize = 4;
const LOOKS_AT_ONCE: usize = 2;

/// How long a libvirt that has just started may take to reach its QEMUs again before calls are let through anyway.
const RECONNECTION: Duration = Duration::from_secs(5);

/// libvirt tells of one reboot two or three times (QEMU resets its parts one after the other), some 30 ms apart; the
/// rest is for a loaded machine. No guest reboots twice within this time.
const REBOOT_ECHO: Duration = Duration::from_millis(700);

/// Between looks whether a guest has let go of a disk, in case the event was lost.
const DETACH_LOOK: Duration = Duration::from_secs(1);

/// How to reach libvirt and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `qemu:///system`, `qemu:///embed?root=/absolute/directory` (one process per root), `test:///default`, ...
    pub uri: String,
    pub kind: Kind,
    /// This node's id: marks its domains. Must stay the same over restarts.
    pub owner: String,
}

/// A [`Hypervisor`] on libvirt. Dropping it closes the connections; guests run on.
pub struct Libvirt {
    uri: String,
    choice: Choice,
    node: Arc<Node>,
    calls: Pool,
    looks: Arc<Pool>,
    call_link: Arc<Link>,
    look_link: Arc<Link>,
    events: broadcast::Sender<Event>,
}

/// Whether a call that broke off may have changed something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Changes,
    Looks,
}

impl Libvirt {
    /// Starts connecting and answers at once; calls wait for the connection within their own limits.
    /// `Refused` when the URI or its directory is bad.
    pub fn open(config: Config) -> Result<Libvirt, HypervisorError> {
        let choice = accel::choose(config.kind, &accel::look());
        let driver = driver_of(&config.uri, &choice)?;
        if let Some(root) = embedded_root(&config.uri)? {
            prepare_root(&root).map_err(|e| HypervisorError::Refused { reason: format!("{}: {e}", root.display()) })?;
        }
        let node = Arc::new(Node::new(Target { driver, owner: config.owner }));
        let events = broadcast::channel(EVENT_BACKLOG).0;
        let looks = Arc::new(Pool::new("virt-look", LOOKS_AT_ONCE));
        let look_link = Arc::new(Link::open("virt-looks", &config.uri, looking(&node, &looks, &events))?);
        let call_link = if in_this_process(&config.uri) {
            look_link.clone()
        } else {
            Arc::new(Link::open("virt-calls", &config.uri, calling())?)
        };
        let calls = Pool::new("virt-call", CALLS_AT_ONCE);
        Ok(Libvirt { uri: config.uri, choice, node, calls, looks, call_link, look_link, events })
    }

    /// What guests run on, and why.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// One call on a thread, from the wait for its turn to what its end means to the caller.
    async fn ask<T: Send + 'static>(
        &self,
        way: Way<'_>,
        call: &'static str,
        domain: Option<&DomainKey>,
        within: Duration,
        job: impl FnOnce(&Node, &Connect) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, HypervisorError> {
        // Also for a change: who acts on a domain waits for its events next.
        let left = self.look_link.ready(within).await?;
        let left = way.link.ready(left).await?;
        let (handle, node, events) = (way.link.handle(), self.node.clone(), self.events.clone());
        let (domain, effect) = (domain.cloned(), way.effect);
        let name = domain.as_ref().map_or_else(String::new, |key| key.name.clone());
        let work = {
            let (handle, name) = (handle.clone(), name.clone());
            move || {
                let begun = Instant::now();
                let session = handle.session()?;
                if !session.is_alive() {
                    // Known before anything was sent, so that this is not "unknown" to the caller.
                    handle.suspect();
                    return Err(HypervisorError::Unavailable {
                        reason: "the connection to libvirt is lost".to_owned(),
                    });
                }
                job(&node, session.connect()).map_err(|failure| {
                    if let Failure::Broken(_) = failure {
                        handle.suspect();
                    }
                    explain(failure, effect, call, &name, begun.elapsed())
                })
            }
        };
        let late = move |outcome: Result<T, HypervisorError>, after| match effect {
            // No receiver is no error.
            Effect::Changes => drop(events.send(Event::LateReply { domain, call, outcome: outcome.map(drop), after })),
            Effect::Looks => {}
        };
        match way.pool.run(&way.lane, left, work, late).await {
            Ok(outcome) => outcome,
            Err(Overdue::NotBegun) => {
                let reason = format!("{call}: earlier calls have kept it waiting for {left:.1?}, and it was not begun");
                Err(HypervisorError::Unavailable { reason })
            }
            Err(Overdue::Unfinished) => {
                handle.hung();
                Err(HypervisorError::TimedOut { call, after: within })
            }
        }
    }

    /// A call that changes `domain`, after those before it on the same domain.
    fn change<T: Send + 'static>(
        &self,
        call: &'static str,
        domain: &DomainKey,
        within: Duration,
        job: impl FnOnce(&Node, &Connect, &DomainKey) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<'_, T> {
        self.change_in(domain.name.clone(), call, domain, within, job)
    }

    fn change_in<T: Send + 'static>(
        &self,
        lane: String,
        call: &'static str,
        domain: &DomainKey,
        within: Duration,
        job: impl FnOnce(&Node, &Connect, &DomainKey) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<'_, T> {
        let domain = domain.clone();
        let way = Way { pool: &self.calls, link: &self.call_link, lane, effect: Effect::Changes };
        Box::pin(async move {
            let key = domain.clone();
            self.ask(way, call, Some(&domain), within, move |node, connect| job(node, connect, &key)).await
        })
    }

    /// A call that changes nothing.
    async fn look<T: Send + 'static>(
        &self,
        call: &'static str,
        domain: Option<&DomainKey>,
        within: Duration,
        job: impl FnOnce(&Node, &Connect) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, HypervisorError> {
        let lane = domain.map_or(call, |key| key.name.as_str()).to_owned();
        let way = Way { pool: &self.looks, link: &self.look_link, lane, effect: Effect::Looks };
        self.ask(way, call, domain, within, job).await
    }

    /// Waits until the guest has let go of the disk at `target`.
    async fn wait_for_detach(
        &self,
        events: &mut broadcast::Receiver<Event>,
        domain: &DomainKey,
        target: &str,
        within: Duration,
    ) -> Result<(), HypervisorError> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(HypervisorError::TimedOut { call: "detach_disk", after: within });
            }
            let (key, at) = (domain.clone(), target.to_owned());
            let held =
                self.look("detach_disk", Some(domain), left, move |node, connect| node.holds(connect, &key, &at));
            if !held.await? {
                return Ok(());
            }
            let refused = tokio::time::timeout(left.min(DETACH_LOOK), next_of_device(events, domain)).await;
            if refused == Ok(Released::Refused) {
                let reason = format!("the guest does not let go of {target}");
                return Err(HypervisorError::Refused { reason });
            }
        }
    }
}

/// Where a call runs.
struct Way<'a> {
    pool: &'a Pool,
    link: &'a Link,
    lane: String,
    effect: Effect,
}

/// What a failure means to the caller of a call.
fn explain(failure: Failure, effect: Effect, call: &'static str, name: &str, after: Duration) -> HypervisorError {
    match (failure, effect) {
        (Failure::Absent, _) => HypervisorError::Absent { name: name.to_owned() },
        (Failure::Refused(reason), _) => HypervisorError::Refused { reason },
        (Failure::Busy(reason), _) | (Failure::Broken(reason), Effect::Looks) => {
            HypervisorError::Unavailable { reason }
        }
        // The question may have arrived before the connection broke.
        (Failure::Broken(_), Effect::Changes) => HypervisorError::TimedOut { call, after },
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Released {
    /// Something happened that makes another look worth while.
    Perhaps,
    Refused,
}

/// Waits for the next event about a device of `domain`.
async fn next_of_device(events: &mut broadcast::Receiver<Event>, domain: &DomainKey) -> Released {
    loop {
        match events.recv().await {
            Ok(Event::Domain { key, change, .. }) if key == *domain => match change {
                Change::DeviceRemovalFailed { .. } => return Released::Refused,
                Change::DeviceRemoved { .. } | Change::Stopped(_) => return Released::Perhaps,
                _ => {}
            },
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Released::Perhaps,
            // Cannot be: the sender lives in `self`. The caller's limit ends the wait.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// What the looking connection does: it listens, and takes an inventory each time it comes up.
fn looking(node: &Arc<Node>, looks: &Arc<Pool>, events: &broadcast::Sender<Event>) -> Hooks {
    let listener = Listener { node: node.clone(), events: events.clone(), reboots: Mutex::default() };
    let (up_node, up_looks, up_events) = (node.clone(), looks.clone(), events.clone());
    let down_events = events.clone();
    Hooks {
        prepare: Box::new(|connect| calls::wait_for_domains(connect, RECONNECTION)),
        heard: Some(Arc::new(move |heard| listener.hear(heard))),
        up: Box::new(move |session| {
            // No receiver is no error, here and below.
            let _ = up_events.send(Event::Connected);
            let (node, session, events) = (up_node.clone(), session.clone(), up_events.clone());
            up_looks.post("inventory", move || match node.inventory(session.connect()) {
                Ok(inventory) => drop(events.send(Event::Inventory(inventory))),
                Err(failure) => {
                    tracing::warn!(event = "nc.libvirt.inventory", ?failure, "no inventory after connecting")
                }
            });
        }),
        down: Box::new(move |reason| drop(down_events.send(Event::Disconnected { reason: reason.to_owned() }))),
    }
}

fn calling() -> Hooks {
    Hooks {
        prepare: Box::new(|connect| calls::wait_for_domains(connect, RECONNECTION)),
        heard: None,
        up: Box::new(|_| {}),
        down: Box::new(|_| {}),
    }
}

/// Turns what the callbacks hear into events. Runs on the event loop's thread.
struct Listener {
    node: Arc<Node>,
    events: broadcast::Sender<Event>,
    reboots: Mutex<HashMap<Uuid, Instant>>,
}

impl Listener {
    fn hear(&self, heard: Heard) {
        match heard {
            Heard::Domain(key, change) => {
                let ours = is_instance_name(&key.name) && !self.node.is_foreign(key.uuid);
                if ours && !(change == Change::Rebooted && self.is_echo(key.uuid)) {
                    let _ = self.events.send(Event::Domain { key, change, at: SystemTime::now() });
                }
            }
            Heard::Closed(_) => {}
        }
    }

    /// Whether a reboot of the same domain was told just before.
    fn is_echo(&self, uuid: Uuid) -> bool {
        let now = Instant::now();
        let mut reboots = self.reboots.lock().unwrap_or_else(PoisonError::into_inner);
        reboots.retain(|_, told| now.duration_since(*told) < REBOOT_ECHO);
        reboots.insert(uuid, now).is_some()
    }
}

fn driver_of(uri: &str, choice: &Choice) -> Result<Driver, HypervisorError> {
    let scheme = uri.split(':').next().unwrap_or_default();
    match scheme.split('+').next() {
        Some("qemu") => Ok(Driver::Qemu(choice.accel)),
        Some("test") => Ok(Driver::Test),
        Some(_) | None => {
            let reason =
                format!("hypervisor uri {uri:?}: only qemu and test URIs are supported, such as qemu:///system");
            Err(HypervisorError::Refused { reason })
        }
    }
}

/// Whether the driver of `uri` runs in this process. Opening the embedded driver on two threads at a time fails with
/// "qemu state driver is not active".
fn in_this_process(uri: &str) -> bool {
    uri.starts_with("test:") || uri.starts_with("qemu:///embed")
}

/// The directory of an embedded driver's URI.
fn embedded_root(uri: &str) -> Result<Option<PathBuf>, HypervisorError> {
    let Some(query) = uri.strip_prefix("qemu:///embed") else { return Ok(None) };
    let root = query.trim_start_matches('?').split('&').find_map(|pair| pair.strip_prefix("root="));
    match root {
        Some(root) if root.starts_with('/') && !root.contains('%') => Ok(Some(PathBuf::from(root))),
        Some(_) | None => {
            let reason = format!("{uri}: write qemu:///embed?root=/an/absolute/directory, without % in it");
            Err(HypervisorError::Refused { reason })
        }
    }
}

/// Writes the embedded driver's qemu.conf unless there is one. Without virtlogd, which nobody runs for it, each guest
/// with a console would fail to start; QEMU then writes the console's file itself.
fn prepare_root(root: &Path) -> std::io::Result<()> {
    let etc = root.join("etc");
    let conf = etc.join("qemu.conf");
    if conf.exists() {
        return Ok(());
    }
    fs::create_dir_all(&etc)?;
    fs::write(conf, "# Written by ironbark-nc when there was none.\nstdio_handler = \"file\"\n")
}

impl Hypervisor for Libvirt {
    fn host_info(&self, within: Duration) -> Answer<'_, HostInfo> {
        let (uri, why) = (self.uri.clone(), self.choice.to_string());
        Box::pin(self.look("host_info", None, within, move |_, connect| calls::host_info(connect, &uri, &why)))
    }

    fn inventory(&self, within: Duration) -> Answer<'_, Inventory> {
        Box::pin(self.look("inventory", None, within, |node, connect| node.inventory(connect)))
    }

    fn start(&self, spec: DomainSpec, within: Duration) -> Answer<'_, Started> {
        let key = spec.key.clone();
        self.change("start", &key, within, move |node, connect, _| node.start(connect, &spec))
    }

    fn request_reboot(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.change("request_reboot", domain, within, Node::request_reboot)
    }

    fn reset(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.change("reset", domain, within, Node::reset)
    }

    fn request_shutdown(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.change("request_shutdown", domain, within, Node::request_shutdown)
    }

    /// In a lane of its own: libvirt kills QEMU first and only then waits for the domain's other calls.
    fn destroy(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.change_in(format!("destroy {domain}"), "destroy", domain, within, Node::destroy)
    }

    fn undefine(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.change("undefine", domain, within, Node::undefine)
    }

    fn attach_disk(&self, domain: &DomainKey, disk: Disk, within: Duration) -> Answer<'_, ()> {
        self.change("attach_disk", domain, within, move |node, connect, key| node.attach_disk(connect, key, &disk))
    }

    fn detach_disk(&self, domain: &DomainKey, target: &str, within: Duration) -> Answer<'_, ()> {
        let (domain, target) = (domain.clone(), target.to_owned());
        Box::pin(async move {
            let begun = Instant::now();
            let mut events = self.events.subscribe();
            let at = target.clone();
            self.change("detach_disk", &domain, within, move |node, connect, key| {
                node.request_detach(connect, key, &at)
            })
            .await?;
            let left = within.saturating_sub(begun.elapsed());
            self.wait_for_detach(&mut events, &domain, &target, left).await
        })
    }

    fn disks(&self, domain: &DomainKey, within: Duration) -> Answer<'_, Vec<AttachedDisk>> {
        let domain = domain.clone();
        Box::pin(async move {
            let key = domain.clone();
            self.look("disks", Some(&domain), within, move |node, connect| node.disks(connect, &key)).await
        })
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_root_is_absolute() {
        assert_eq!(embedded_root("qemu:///system"), Ok(None));
        assert_eq!(embedded_root("qemu:///embed?root=/a/b"), Ok(Some("/a/b".into())));
        for bad in ["qemu:///embed", "qemu:///embed?root=a", "qemu:///embed?root=/a%20b"] {
            assert!(matches!(embedded_root(bad), Err(HypervisorError::Refused { .. })), "{bad}");
        }
    }

    #[test]
    fn the_driver_is_in_the_uri() {
        let choice = Choice { accel: accel::Accel::Tcg, why: String::new() };
        for uri in ["qemu:///system", "qemu+unix:///system?socket=/s", "qemu:///embed?root=/r"] {
            assert_eq!(driver_of(uri, &choice), Ok(Driver::Qemu(accel::Accel::Tcg)), "{uri}");
        }
        assert_eq!(driver_of("test:///default", &choice), Ok(Driver::Test));
        for uri in ["", "xen:///", "qemux:///system"] {
            assert!(matches!(driver_of(uri, &choice), Err(HypervisorError::Refused { .. })), "{uri}");
        }
    }

    #[test]
    fn a_broken_connection_is_no_answer() {
        let said = |failure, effect| explain(failure, effect, "reset", "i-1", Duration::ZERO);
        let broken = || Failure::Broken("gone".into());
        assert!(matches!(said(broken(), Effect::Looks), HypervisorError::Unavailable { .. }));
        assert!(matches!(said(broken(), Effect::Changes), HypervisorError::TimedOut { .. }));
        assert!(matches!(said(Failure::Busy("b".into()), Effect::Changes), HypervisorError::Unavailable { .. }));
        assert!(matches!(said(Failure::Absent, Effect::Changes), HypervisorError::Absent { .. }));
    }
}
