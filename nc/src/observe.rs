//! Seeing what is: the hypervisor's inventory, taken every few seconds, after each event and on
//! demand, is handed to the runners; so are addresses, as they become known. It decides nothing, and what
//! could not be asked is told to nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ironbark_wsdl::blocking;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::address::{self, Lease};
use crate::console;
use crate::hypervisor::{Change, DomainKey, DomainSeen, Event, HostInfo, Inventory};
use crate::runner::Message;
use crate::shop::Shop;
use crate::stage;

/// How the hypervisor is, as far as we know.
#[derive(Clone, Debug)]
pub struct Health {
    /// What it said about the machine, once it has.
    pub host: Option<HostInfo>,
    /// Why it cannot be asked at present; `None` when the last inventory was answered.
    pub trouble: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
}

impl Health {
    /// Before anything was asked.
    pub fn unknown() -> Self {
        Self { host: None, trouble: Some("it has not answered yet".to_string()), since: Timestamp::now() }
    }
}

/// Observes for ever.
pub async fn observe(shop: Arc<Shop>, health: watch::Sender<Health>) {
    let mut events = shop.hypervisor.events();
    let mut tick = tokio::time::interval(shop.times.observe);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut observer = Observer { shop, health, strangers: BTreeSet::new() };
    let (mut soonest, mut wanted) = (Instant::now(), false);
    loop {
        tokio::select! {
            _ = tick.tick() => wanted = true,
            () = observer.shop.bell.notified() => wanted = true,
            () = tokio::time::sleep_until(soonest), if wanted => {
                (soonest, wanted) = (Instant::now() + observer.shop.times.spacing, false);
                observer.hear_all(&mut events);
                observer.look().await;
            }
            event = events.recv() => {
                match event {
                    Ok(event) => observer.hear(event),
                    // Some were lost: the inventory that follows says what matters.
                    Err(RecvError::Lagged(lost)) => tracing::warn!(event = "nc.hypervisor.events-lost", lost),
                    Err(RecvError::Closed) => return,
                }
                wanted = true;
            }
        }
    }
}

struct Observer {
    shop: Arc<Shop>,
    health: watch::Sender<Health>,
    /// Domains of this node without a record, told once.
    strangers: BTreeSet<DomainKey>,
}

impl Observer {
    /// Hears what has queued up, which is older than the inventory that follows.
    fn hear_all(&self, events: &mut broadcast::Receiver<Event>) {
        loop {
            match events.try_recv() {
                Ok(event) => self.hear(event),
                Err(broadcast::error::TryRecvError::Lagged(lost)) => {
                    tracing::warn!(event = "nc.hypervisor.events-lost", lost)
                }
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => return,
            }
        }
    }

    fn hear(&self, event: Event) {
        match event {
            Event::Domain { key, change, at: _ } => self.happened(&key, change),
            Event::Connected => tracing::info!(event = "nc.hypervisor.connected"),
            Event::Disconnected { reason } => self.trouble(&reason),
            // It may be older than what we asked for ourselves, which follows at once.
            Event::Inventory(_) => {}
            Event::LateReply { domain, call, outcome, after } => tracing::warn!(
                event = "nc.hypervisor.late",
                instance = domain.map(|key| key.name),
                call,
                ?outcome,
                after_s = after.as_secs()
            ),
        }
    }

    fn happened(&self, key: &DomainKey, change: Change) {
        tracing::debug!(event = "nc.domain", instance = %key, ?change);
        let handle = key.name.parse().ok().and_then(|id| self.shop.instance(&id));
        if let Some(handle) = handle.filter(|handle| handle.record().uuid == key.uuid) {
            handle.tell(Message::Happened(change));
        }
    }

    async fn look(&mut self) {
        let asked = Instant::now();
        match self.shop.hypervisor.inventory(self.shop.times.inventory).await {
            Ok(inventory) => {
                self.well().await;
                self.distribute(inventory, asked);
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    fn distribute(&mut self, inventory: Inventory, asked: Instant) {
        let mut seen: HashMap<DomainKey, DomainSeen> =
            inventory.domains.into_iter().map(|domain| (domain.key.clone(), domain)).collect();
        for handle in self.shop.handles() {
            let domain = seen.remove(&stage::key(&handle.record()));
            handle.tell(Message::Seen { domain, asked });
        }
        for key in seen.into_keys() {
            if self.strangers.insert(key.clone()) {
                tracing::warn!(
                    event = "nc.domain.stranger", instance = %key, uuid = %key.uuid,
                    "it bears this node's mark and has no record here: it is left alone; remove it with virsh if nobody needs it"
                );
            }
        }
    }

    /// The hypervisor answers. When it did not before, it is asked what machine this is.
    async fn well(&self) {
        let known = self.health.borrow().clone();
        if known.trouble.is_none() && known.host.is_some() {
            return;
        }
        match self.shop.hypervisor.host_info(self.shop.times.inventory).await {
            Ok(host) => {
                tracing::info!(
                    event = "nc.hypervisor.up",
                    hypervisor = host.hypervisor,
                    cores = host.cores,
                    memory_mb = host.memory_mb
                );
                self.health.send_replace(Health { host: Some(host), trouble: None, since: Timestamp::now() });
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    fn trouble(&self, reason: &str) {
        self.health.send_if_modified(|health| {
            let new = health.trouble.as_deref() != Some(reason);
            if new {
                tracing::error!(event = "nc.hypervisor.down", reason, "states are unknown and stay as they are");
                health.since = if health.trouble.is_none() { Timestamp::now() } else { health.since };
                health.trouble = Some(reason.to_string());
            }
            new
        });
    }
}

/// Learns addresses for ever, if a bridge is there to learn from: leases from DHCP as they pass, and every few seconds those
/// that the kernel has talked to.
pub async fn learn_addresses(shop: Arc<Shop>) {
    let Some(bridge) = shop.bridge.clone() else { return };
    let mut listener = None;
    let mut tick = tokio::time::interval(shop.times.observe);
    loop {
        tick.tick().await;
        // The bridge may be made, or made anew, after we began.
        listener = Some(match listener.take() {
            Some(Ok(thread)) if !std::thread::JoinHandle::is_finished(&thread) => Ok(thread),
            before => listen(&shop, &bridge, before.as_ref().is_some_and(Result::is_err)),
        });
        if let Ok(table) = tokio::fs::read_to_string("/proc/net/arp").await {
            for lease in address::read_arp(&table) {
                learnt(&shop, lease, false);
            }
        }
    }
}

/// Begins to listen for leases. What is in the way is told once.
fn listen(shop: &Arc<Shop>, bridge: &str, told: bool) -> std::io::Result<std::thread::JoinHandle<()>> {
    let listening = Arc::downgrade(shop);
    let tell = move |lease| match listening.upgrade() {
        Some(shop) => {
            learnt(&shop, lease, true);
            true
        }
        None => false,
    };
    let listener = address::listen(bridge, tell);
    match &listener {
        Ok(_) => tracing::info!(event = "nc.address.listening", bridge),
        Err(_) if told => {}
        Err(error) => tracing::error!(
            event = "nc.address.deaf", bridge, %error,
            "guests' addresses are learnt from the ARP table only, which knows those that this machine talked to; \
             run the node controller with CAP_NET_RAW, and see that the bridge is there"
        ),
    }
    listener
}

/// Keeps what guests write within bounds, for ever.
pub async fn bound_consoles(shop: Arc<Shop>) {
    let mut tick = tokio::time::interval(shop.times.observe);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for handle in shop.handles() {
            let id = handle.record().id.clone();
            let path = shop.store.files(&id).console();
            match blocking::spawn(move || console::bound(&path)).await {
                Ok(Ok(false)) | Err(_) => {}
                Ok(Ok(true)) => tracing::info!(event = "nc.console.cut", instance = %id),
                Ok(Err(error)) => tracing::warn!(event = "nc.console.unbounded", instance = %id, %error),
            }
        }
    }
}

/// Tells the instance that has this hardware address.
fn learnt(shop: &Shop, lease: Lease, fresh: bool) {
    let mac = address::format_mac(lease.mac);
    for handle in shop.handles() {
        if handle.record().order.net.mac == mac {
            handle.tell(Message::Learnt { ip: lease.ip, fresh });
        }
    }
}
