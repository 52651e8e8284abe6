//! A node: its instances, what it offers, and what is admitted to it. Starting one reads the
//! records and touches nothing until the hypervisor has answered. Knows no wire.

use std::path::PathBuf;
use std::sync::Arc;

use ironbark_wsdl::{Context, Recorder, Refusal};
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::capacity::{self, Amount, by_factor};
use crate::config::Overcommit;
use crate::effects;
use crate::error::Error;
use crate::hypervisor::Hypervisor;
use crate::ids::InstanceId;
use crate::images::ImageStore;
use crate::lifecycle::{self, Request};
use crate::observe::{self, Health};
use crate::operation::Accepted;
use crate::runner::{self, First, Handle};
use crate::shop::{Shop, Times};
use crate::state::{LaunchOrder, Record, Resized, Store};

/// Memory kept for the machine itself, MiB: the figure of Eucalyptus 2.0.1 (wire/nc.md 9.3).
const MACHINE_MEMORY_MB: u64 = 256;
/// Bytes in the unit of disks.
const GIB: u64 = 1 << 30;

/// What a node is made of.
pub struct Parts {
    /// Its name.
    pub name: String,
    /// Its identity, over all restarts.
    pub id: Uuid,
    /// Where it keeps everything.
    pub state_dir: PathBuf,
    /// Its images.
    pub images: ImageStore,
    /// The bridge of SYSTEM mode; without it guests get a user-mode network.
    pub bridge: Option<String>,
    /// What it offers, where that is not found out.
    pub limits: GivenLimits,
    /// What its administrator says of it.
    pub tags: Vec<String>,
    /// The command of ncPowerDown; empty = refused.
    pub power_down: Vec<String>,
    /// How long things may take.
    pub times: Times,
    /// Where spans go.
    pub recorder: Arc<Recorder>,
}

/// Limits that the administrator set.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenLimits {
    /// MiB.
    pub memory_mb: Option<u64>,
    /// Virtual processors.
    pub cores: Option<u64>,
    /// GiB.
    pub disk_gb: Option<u64>,
    /// What is made of what is found.
    pub overcommit: Overcommit,
}

/// A node at work.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its identity, over all restarts.
    pub id: Uuid,
    /// Another one with each start of the program.
    pub boot_id: Uuid,
    /// Where it keeps everything.
    pub state_dir: PathBuf,
    /// What its administrator says of it, for placement.
    pub tags: Vec<String>,
    /// The command of ncPowerDown; empty = refused.
    pub power_down: Vec<String>,
    shop: Arc<Shop>,
    health: watch::Receiver<Health>,
    limits: GivenLimits,
    /// GiB that the file system had for instances when the node started, their own files included.
    disk_found_gb: u64,
    /// Held while room is checked and taken, so that two launches never take the same.
    admission: Mutex<()>,
    tasks: Vec<AbortHandle>,
}

impl Node {
    /// Starts a node: every record gets its runner, which does nothing irreversible before the hypervisor has been asked.
    ///
    /// # Errors
    /// When the records cannot be read or the directories not made.
    pub fn start(parts: Parts, hypervisor: Arc<dyn Hypervisor>) -> Result<Arc<Self>, Error> {
        let (store, records) = Store::open(&parts.state_dir)?;
        for dir in store.strangers(|name| records.iter().any(|record| record.id.as_str() == name)) {
            tracing::warn!(event = "nc.files.stranger", dir = %dir.display(), "no record knows these files: they are left alone");
        }
        let disk_found_gb = disk_found(&store, &records)?;
        let shop = Shop::new(store, parts.images, hypervisor, parts.bridge, parts.times, parts.recorder);
        let shop = Arc::new(shop);
        let (publish, health) = watch::channel(Health::unknown());
        for record in records {
            tracing::info!(event = "nc.instance.found", instance = %record.id, state = record.state.name());
            let ctx = Context::background(shop.times.imaging, shop.recorder.clone());
            let handle = runner::spawn(shop.clone(), record.clone(), ctx, First::Recover);
            shop.instances().insert(record.id, handle);
        }
        let tasks = vec![
            tokio::spawn(observe::observe(shop.clone(), publish)).abort_handle(),
            tokio::spawn(observe::learn_addresses(shop.clone())).abort_handle(),
            tokio::spawn(observe::bound_consoles(shop.clone())).abort_handle(),
        ];
        Ok(Arc::new(Self {
            name: parts.name,
            id: parts.id,
            boot_id: Uuid::new_v4(),
            state_dir: parts.state_dir,
            tags: parts.tags,
            power_down: parts.power_down,
            shop,
            health,
            limits: parts.limits,
            disk_found_gb,
            admission: Mutex::new(()),
            tasks,
        }))
    }

    /// Ends all work where it stands, as the end of the process would; instances run on. For tests, and before exit.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
        for handle in self.shop.handles() {
            handle.abort();
        }
    }

    /// Admits an instance: its record is durable when this returns, the rest happens afterwards. The same launch
    /// asked for again is answered with the record as it is.
    ///
    /// # Errors
    /// The reason: no room (with the numbers), another instance of that id, or a hypervisor that cannot be asked.
    pub async fn launch(&self, ctx: &Context, id: InstanceId, order: LaunchOrder) -> Result<Arc<Record>, Refusal> {
        let _admission = self.admission.lock().await;
        if let Some(known) = self.shop.instance(&id) {
            let record = known.record();
            if record.order.reservation == order.reservation && record.order.owner == order.owner {
                return Ok(record);
            }
            let text = format!(
                "{id} is known here already, of reservation {}: a new instance needs a new id",
                record.order.reservation
            );
            return Err(Refusal::new(text));
        }
        self.check_way_is_free(&id, &order)?;
        self.check_room(&id, Amount::of(&order.size))?;
        let (state, effects) = lifecycle::begin();
        let record = Record::new(id.clone(), order, state, Timestamp::now());
        let saved = self.shop.store.save(&record, None).await;
        saved.map_err(|error| Refusal::new(format!("{id}: not accepted: {}", effects::causes(&error))))?;
        tracing::info!(
            event = "nc.instance.accepted", instance = %id, owner = record.order.owner, image = record.order.image.id,
            memory_mb = record.order.size.memory_mb, cores = record.order.size.cores, disk_gb = record.order.size.disk_gb
        );
        let ctx = ctx.detached(self.shop.times.imaging * 2);
        let handle = runner::spawn(self.shop.clone(), record, ctx, First::Launch(effects));
        let record = handle.record();
        self.shop.instances().insert(id, handle);
        Ok(record)
    }

    /// Nothing of an earlier life may be in the way, and no two instances may have one hardware address.
    fn check_way_is_free(&self, id: &InstanceId, order: &LaunchOrder) -> Result<(), Refusal> {
        if self.shop.store.has_unreadable(id) || self.shop.store.files(id).dir.exists() {
            return Err(Refusal::new(format!(
                "{id}: files of an earlier instance of this id are on the node; see its log"
            )));
        }
        let same_mac = |handle: &Handle| {
            let record = handle.record();
            (record.order.net.mac == order.net.mac && !record.state.is_final()).then(|| record.id.clone())
        };
        match self.shop.handles().iter().find_map(same_mac) {
            Some(other) => {
                Err(Refusal::new(format!("{id}: netParams/privateMacAddress {} is that of {other}", order.net.mac)))
            }
            None => Ok(()),
        }
    }

    fn check_room(&self, id: &InstanceId, wanted: Amount) -> Result<(), Refusal> {
        if let Some(trouble) = self.trouble() {
            return Err(Refusal::new(format!("{id}: the hypervisor of this node cannot be asked: {trouble}")));
        }
        let (limits, used) = self.room()?;
        capacity::check(limits, used, wanted).map_err(|reason| Refusal::new(format!("{id}: {reason}")))
    }

    /// Why nothing is admitted at present: the hypervisor has never answered, or has been silent for too long. A moment's
    /// silence only delays what is begun.
    pub fn trouble(&self) -> Option<String> {
        let health = self.health.borrow();
        let silent = Timestamp::now().duration_since(health.since).unsigned_abs() >= self.shop.times.patience;
        health.trouble.clone().filter(|_| silent || health.host.is_none())
    }

    /// What the node offers, and what of it is in use.
    ///
    /// # Errors
    /// As long as the hypervisor has never said what machine this is.
    pub fn room(&self) -> Result<(Amount, Amount), Refusal> {
        let health = self.health.borrow().clone();
        let (memory_mb, cores) = match (self.limits.memory_mb, self.limits.cores, health.host) {
            (Some(memory_mb), Some(cores), _) => (memory_mb, cores),
            (memory_mb, cores, Some(host)) => {
                let factor = self.limits.overcommit;
                let memory = by_factor(host.memory_mb.saturating_sub(MACHINE_MEMORY_MB), factor.memory);
                let found = by_factor(u64::from(host.cores), factor.cores);
                (memory_mb.unwrap_or(memory), cores.unwrap_or(found))
            }
            (_, _, None) => {
                let trouble = health.trouble.unwrap_or_default();
                return Err(Refusal::new(format!(
                    "the hypervisor of this node has not said yet what machine this is: {trouble}"
                )));
            }
        };
        let limits = Amount { memory_mb, cores, disk_gb: self.limits.disk_gb.unwrap_or(self.disk_found_gb) };
        let records = self.records();
        Ok((limits, capacity::used(records.iter().map(AsRef::as_ref))))
    }

    /// All instances, in the order in which they were launched.
    pub fn records(&self) -> Vec<Arc<Record>> {
        self.shop.handles().iter().map(Handle::record).collect()
    }

    /// One instance.
    ///
    /// # Errors
    /// When the id is none, or no such instance is here.
    pub fn instance(&self, id: &str) -> Result<Handle, Refusal> {
        let id: InstanceId = id.parse().map_err(|error: crate::ids::BadInstanceId| Refusal::new(error.to_string()))?;
        self.shop.instance(&id).ok_or_else(|| Refusal::new(format!("{id}: no such instance on this node")))
    }

    /// Asks something of an instance that exists; starting one is [`Node::start_instance`].
    ///
    /// # Errors
    /// The reason why not.
    pub async fn ask(&self, ctx: &Context, id: &str, request: Request) -> Result<Accepted, Refusal> {
        self.instance(id)?.ask(ctx, request).await
    }

    /// Switches an instance on, which takes room again; a stopped one first gets another size if
    /// one is given.
    ///
    /// # Errors
    /// The reason why not.
    pub async fn start_instance(&self, ctx: &Context, id: &str, resized: Option<Resized>) -> Result<Accepted, Refusal> {
        let handle = self.instance(id)?;
        let _admission = self.admission.lock().await;
        let record = handle.record();
        if !record.state.holds_memory() && !record.state.is_final() {
            let size = &record.order.size;
            let size = resized.as_ref().map_or_else(|| size.clone(), |resized| size.resized(resized));
            // Its disk is in use already.
            self.check_room(&record.id, Amount { disk_gb: 0, ..Amount::of(&size) })?;
        }
        if let Some(resized) = resized {
            handle.resize(ctx, resized).await?;
        }
        handle.ask(ctx, Request::Start).await
    }

    /// How the hypervisor is.
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// How the hypervisor is, and how it will be.
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The records and files.
    pub fn store(&self) -> &Store {
        &self.shop.store
    }

    /// What its runners share.
    pub(crate) fn shop(&self) -> &Arc<Shop> {
        &self.shop
    }

    /// The bridge of SYSTEM mode.
    pub fn bridge(&self) -> Option<&str> {
        self.shop.bridge.as_deref()
    }

    /// Where spans are.
    pub fn recorder(&self) -> &Recorder {
        &self.shop.recorder
    }
}

/// GiB that the file system has for instances: what is free, and what those that are here were promised.
fn disk_found(store: &Store, records: &[Record]) -> Result<u64, Error> {
    Ok(store.free_bytes()? / GIB + capacity::used(records).disk_gb)
}
