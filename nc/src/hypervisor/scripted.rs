//! A hypervisor in memory whose guests and faults do as a test says. Used by the tests of every tier; it is a real
//! implementation of the trait's contract (idempotence, errors, events, deadlines), not a recorder of calls.
//!
//! Guests boot at once, and write `guest: boot N` and `guest: ready` to their console file.

use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::{
    Answer, AttachedDisk, Change, Disk, DiskSource, DomainKey, DomainSeen, DomainSpec, DomainState, EVENT_BACKLOG,
    Event, HostInfo, Hypervisor, HypervisorError, Inventory, OffReason, Started,
};

/// What befalls one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers `Refused`; nothing is done.
    Refuse(String),
    /// Answers `Unavailable`; nothing is done.
    Unavailable(String),
    /// Nothing is done and no answer comes: `TimedOut` after the caller's time.
    Hang,
    /// It is done, and no answer comes: `TimedOut` after the caller's time.
    LoseAnswer,
    /// It is done when [`Hold::release`] is called; if the caller is gone then, the answer comes as an event.
    Hold(Hold),
}

/// Holds a call up until it is released.
#[derive(Debug, Clone, Default)]
pub struct Hold(Arc<Notify>);

impl Hold {
    /// Lets the held call go on, also when it has not arrived yet.
    pub fn release(&self) {
        self.0.notify_one();
    }
}

/// The hypervisor. Clones share one world, as two processes share one libvirtd.
#[derive(Clone)]
pub struct Scripted {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Event>,
    forgetful: bool,
}

struct World {
    machines: BTreeMap<String, Machine>,
    faults: VecDeque<(&'static str, Fault)>,
    unavailable: Option<String>,
    calls: Vec<(&'static str, Option<String>)>,
    next_run: u32,
    host: HostInfo,
}

struct Machine {
    spec: DomainSpec,
    state: DomainState,
    run: Option<u32>,
    boots: u32,
    obeys: bool,
    disks: Vec<Disk>,
}

type Effect<T> = Box<dyn FnOnce(&Scripted, &mut World) -> Result<T, HypervisorError> + Send>;

impl Default for Scripted {
    fn default() -> Scripted {
        Scripted::new(HostInfo {
            cores: 8,
            memory_mb: 16 * 1024,
            architecture: "x86_64".into(),
            hypervisor: "scripted".into(),
        })
    }
}

// What a test says and asks.
impl Scripted {
    pub fn new(host: HostInfo) -> Scripted {
        let world = World {
            machines: BTreeMap::new(),
            faults: VecDeque::new(),
            unavailable: None,
            calls: Vec::new(),
            next_run: 1,
            host,
        };
        Scripted { world: Arc::new(Mutex::new(world)), events: broadcast::channel(EVENT_BACKLOG).0, forgetful: false }
    }

    /// One that writes down neither calls nor consoles: for measuring, so that the cost is the node's own.
    pub fn forgetful(host: HostInfo) -> Scripted {
        Scripted { forgetful: true, ..Scripted::new(host) }
    }

    /// The next call of the method named `call` meets `fault`; several queue up.
    pub fn fail_next(&self, call: &'static str, fault: Fault) {
        self.lock().faults.push_back((call, fault));
    }

    /// The next call of the method named `call` waits for the release of what is returned.
    pub fn hold_next(&self, call: &'static str) -> Hold {
        let hold = Hold::default();
        self.fail_next(call, Fault::Hold(hold.clone()));
        hold
    }

    /// From now on nothing can be asked, or (`None`) everything again, with the events of a new connection.
    pub fn set_unavailable(&self, reason: Option<&str>) {
        let mut world = self.lock();
        world.unavailable = reason.map(str::to_owned);
        match reason {
            Some(reason) => self.tell(Event::Disconnected { reason: reason.to_owned() }),
            None => {
                self.tell(Event::Connected);
                self.tell(Event::Inventory(world.inventory()));
            }
        }
    }

    /// What was to go wrong goes well.
    pub fn forget_faults(&self) {
        self.lock().faults.clear();
    }

    /// All domains as they are, asked of nobody.
    pub fn domains(&self) -> Vec<DomainSeen> {
        self.lock().inventory().domains
    }

    /// Whether the guest of that name obeys the power button; it does by default.
    pub fn set_obedient(&self, name: &str, obeys: bool) {
        self.with(name, |_, machine| machine.obeys = obeys);
    }

    /// The guest reboots by itself.
    pub fn guest_reboots(&self, name: &str) {
        self.with(name, |this, machine| this.reboot(machine));
    }

    /// The guest powers itself off, or dies.
    pub fn guest_stops(&self, name: &str, reason: OffReason) {
        self.with(name, |this, machine| this.stop(machine, reason));
    }

    /// The hypervisor lists the domain so from now on, whatever it is.
    pub fn lists_as(&self, name: &str, state: DomainState) {
        self.with(name, |_, machine| machine.state = state);
    }

    /// Somebody removes the domain altogether.
    pub fn remove(&self, name: &str) {
        self.lock().machines.remove(name);
    }

    /// How often the guest has booted since it was first started; 0 when there is none of that name.
    pub fn boots(&self, name: &str) -> u32 {
        self.lock().machines.get(name).map_or(0, |machine| machine.boots)
    }

    /// What the domain of that name was last started with.
    pub fn spec(&self, name: &str) -> Option<DomainSpec> {
        self.lock().machines.get(name).map(|machine| machine.spec.clone())
    }

    /// All calls so far, in order: the method's name and the domain's.
    pub fn calls(&self) -> Vec<(&'static str, Option<String>)> {
        self.lock().calls.clone()
    }

    /// How often the method was called.
    pub fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|(name, _)| *name == call).count()
    }

    /// Sends an event as it is.
    pub fn tell(&self, event: Event) {
        // No receiver is no error.
        let _ = self.events.send(event);
    }
}

// How calls go.
impl Scripted {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, name: &str, act: impl FnOnce(&Scripted, &mut Machine)) {
        if let Some(machine) = self.lock().machines.get_mut(name) {
            act(self, machine);
        }
    }

    /// One call: takes its fault if there is one for it, and performs `effect` as that says.
    fn call<T: Send + 'static>(
        &self,
        call: &'static str,
        key: Option<&DomainKey>,
        within: Duration,
        effect: impl FnOnce(&Scripted, &mut World) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Answer<'static, T> {
        let this = self.clone();
        let key = key.cloned();
        let effect: Effect<T> = Box::new(effect);
        Box::pin(async move {
            let fault = {
                let mut world = this.lock();
                if !this.forgetful {
                    world.calls.push((call, key.as_ref().map(|key| key.name.clone())));
                }
                let at = world.faults.iter().position(|(name, _)| *name == call);
                at.and_then(|at| world.faults.remove(at)).map(|(_, fault)| fault)
            };
            let silence = |after| HypervisorError::TimedOut { call, after };
            match fault {
                None => this.perform(effect),
                Some(Fault::Refuse(reason)) => Err(HypervisorError::Refused { reason }),
                Some(Fault::Unavailable(reason)) => Err(HypervisorError::Unavailable { reason }),
                Some(Fault::Hang) => {
                    tokio::time::sleep(within).await;
                    Err(silence(within))
                }
                Some(Fault::LoseAnswer) => {
                    // The answer is what is lost.
                    let _ = this.perform(effect);
                    tokio::time::sleep(within).await;
                    Err(silence(within))
                }
                Some(Fault::Hold(hold)) => {
                    if tokio::time::timeout(within, hold.0.notified()).await.is_ok() {
                        return this.perform(effect);
                    }
                    tokio::spawn(this.late(call, key, hold, within, effect));
                    Err(silence(within))
                }
            }
        })
    }

    fn perform<T>(&self, effect: Effect<T>) -> Result<T, HypervisorError> {
        let mut world = self.lock();
        match &world.unavailable {
            Some(reason) => Err(HypervisorError::Unavailable { reason: reason.clone() }),
            None => effect(self, &mut world),
        }
    }

    fn late<T: Send + 'static>(
        self,
        call: &'static str,
        domain: Option<DomainKey>,
        hold: Hold,
        waited: Duration,
        effect: Effect<T>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let timed_out = Instant::now();
        async move {
            hold.0.notified().await;
            let outcome = self.perform(effect).map(drop);
            self.tell(Event::LateReply { domain, call, outcome, after: waited + timed_out.elapsed() });
        }
    }

    fn on_domain(
        &self,
        call: &'static str,
        key: &DomainKey,
        within: Duration,
        effect: impl FnOnce(&Scripted, &mut Machine) -> Result<(), HypervisorError> + Send + 'static,
    ) -> Answer<'static, ()> {
        let wanted = key.clone();
        self.call(call, Some(key), within, move |this, world| effect(this, world.find(&wanted)?))
    }

    fn change(&self, machine: &Machine, change: Change) {
        self.tell(Event::Domain { key: machine.spec.key.clone(), change, at: SystemTime::now() });
    }

    fn boot(&self, machine: &mut Machine) {
        machine.boots += 1;
        machine.state = DomainState::Running;
        if self.forgetful {
            return;
        }
        // A test that gives no directory for the console does not want one.
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(&machine.spec.console) {
            let _ = writeln!(file, "guest: boot {}\nguest: ready", machine.boots);
        }
    }

    fn reboot(&self, machine: &mut Machine) {
        self.boot(machine);
        self.change(machine, Change::Rebooted);
    }

    fn stop(&self, machine: &mut Machine, reason: OffReason) {
        machine.state = DomainState::Off(reason);
        machine.run = None;
        self.change(machine, Change::Stopped(reason));
    }

    fn start_in(&self, world: &mut World, spec: DomainSpec) -> Result<Started, HypervisorError> {
        let before = match world.machines.get(&spec.key.name) {
            Some(found) if found.spec.key != spec.key => {
                return Err(refused(&format!("a domain named {} with uuid {} exists", spec.key, found.spec.key.uuid)));
            }
            Some(found) if found.is_on() => return Ok(Started::AlreadyRunning),
            Some(found) => (found.boots, found.obeys),
            None => (0, true),
        };
        let name = spec.key.name.clone();
        let mut machine = Machine::new(spec, world.next_run, before);
        world.next_run += 1;
        self.boot(&mut machine);
        self.change(&machine, Change::Started);
        world.machines.insert(name, machine);
        Ok(Started::Now)
    }
}

impl Machine {
    fn new(spec: DomainSpec, run: u32, (boots, obeys): (u32, bool)) -> Machine {
        let disks = spec.disks.clone();
        Machine { spec, state: DomainState::Off(OffReason::Other), run: Some(run), boots, obeys, disks }
    }

    fn is_on(&self) -> bool {
        match self.state {
            DomainState::Running | DomainState::Paused | DomainState::ShuttingDown | DomainState::Unknown => true,
            DomainState::Off(_) => false,
        }
    }

    fn must_be_on(&self) -> Result<(), HypervisorError> {
        if self.is_on() { Ok(()) } else { Err(refused("domain is not running")) }
    }
}

impl World {
    fn find(&mut self, key: &DomainKey) -> Result<&mut Machine, HypervisorError> {
        match self.machines.get_mut(&key.name) {
            Some(machine) if machine.spec.key.uuid == key.uuid => Ok(machine),
            Some(_) | None => Err(HypervisorError::Absent { name: key.name.clone() }),
        }
    }

    fn inventory(&self) -> Inventory {
        let seen =
            |machine: &Machine| DomainSeen { key: machine.spec.key.clone(), state: machine.state, run: machine.run };
        Inventory { asked: SystemTime::now(), domains: self.machines.values().map(seen).collect() }
    }
}

fn refused(reason: &str) -> HypervisorError {
    HypervisorError::Refused { reason: reason.to_owned() }
}

impl Hypervisor for Scripted {
    fn host_info(&self, within: Duration) -> Answer<'_, HostInfo> {
        self.call("host_info", None, within, |_, world| Ok(world.host.clone()))
    }

    fn inventory(&self, within: Duration) -> Answer<'_, Inventory> {
        self.call("inventory", None, within, |_, world| Ok(world.inventory()))
    }

    fn start(&self, spec: DomainSpec, within: Duration) -> Answer<'_, Started> {
        let key = spec.key.clone();
        self.call("start", Some(&key), within, |this, world| this.start_in(world, spec))
    }

    fn request_reboot(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.on_domain("request_reboot", domain, within, |this, machine| {
            machine.must_be_on()?;
            if machine.obeys {
                this.change(machine, Change::ShuttingDown);
                this.reboot(machine);
            }
            Ok(())
        })
    }

    fn reset(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.on_domain("reset", domain, within, |this, machine| {
            machine.must_be_on()?;
            this.reboot(machine);
            Ok(())
        })
    }

    fn request_shutdown(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.on_domain("request_shutdown", domain, within, |this, machine| {
            machine.must_be_on()?;
            if machine.obeys {
                this.change(machine, Change::ShuttingDown);
                this.stop(machine, OffReason::Shutdown);
            }
            Ok(())
        })
    }

    fn destroy(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        self.on_domain("destroy", domain, within, |this, machine| {
            if machine.is_on() {
                this.stop(machine, OffReason::Destroyed);
            }
            Ok(())
        })
    }

    fn undefine(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()> {
        let wanted = domain.clone();
        self.call("undefine", Some(domain), within, move |this, world| {
            let machine = world.find(&wanted)?;
            if machine.is_on() {
                return Err(refused("domain is running"));
            }
            this.change(machine, Change::Redefined);
            world.machines.remove(&wanted.name);
            Ok(())
        })
    }

    fn attach_disk(&self, domain: &DomainKey, disk: Disk, within: Duration) -> Answer<'_, ()> {
        self.on_domain("attach_disk", domain, within, move |this, machine| {
            if machine.disks.iter().any(|d| d.target == disk.target) {
                return Err(refused(&format!("target {} already exists", disk.target)));
            }
            this.change(machine, Change::DeviceAdded { alias: alias(&disk.target) });
            machine.disks.push(disk);
            Ok(())
        })
    }

    fn detach_disk(&self, domain: &DomainKey, target: &str, within: Duration) -> Answer<'_, ()> {
        let target = target.to_owned();
        self.on_domain("detach_disk", domain, within, move |this, machine| {
            let before = machine.disks.len();
            machine.disks.retain(|disk| disk.target != target);
            if machine.disks.len() == before {
                return Err(refused(&format!("no disk at {target}")));
            }
            this.change(machine, Change::DeviceRemoved { alias: alias(&target) });
            Ok(())
        })
    }

    fn disks(&self, domain: &DomainKey, within: Duration) -> Answer<'_, Vec<AttachedDisk>> {
        let wanted = domain.clone();
        self.call("disks", Some(domain), within, move |_, world| {
            let attached = |disk: &Disk| AttachedDisk {
                target: disk.target.clone(),
                source: Some(match &disk.source {
                    DiskSource::File(path) | DiskSource::Block(path) => path.clone(),
                }),
                serial: disk.serial.clone(),
            };
            Ok(world.find(&wanted)?.disks.iter().map(attached).collect())
        })
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// As libvirt names them.
fn alias(target: &str) -> String {
    format!("virtio-{target}")
}

#[cfg(test)]
mod tests {
    use super::super::{Boot, DiskFormat, Nic};
    use super::*;
    use uuid::Uuid;

    const LIMIT: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(20);

    fn spec() -> DomainSpec {
        let root = Disk {
            source: DiskSource::File("/i/disk".into()),
            format: DiskFormat::Raw,
            target: "vda".into(),
            serial: None,
            read_only: false,
        };
        DomainSpec {
            key: DomainKey { name: "i-00000001".into(), uuid: Uuid::from_u128(1) },
            memory_mb: 96,
            vcpus: 1,
            boot: Boot::Disk,
            disks: vec![root],
            seed: None,
            nic: Nic::User { mac: "d0:0d:00:00:00:01".into() },
            console: "/nonexistent/console".into(),
        }
    }

    async fn running() -> (Scripted, DomainKey) {
        let hypervisor = Scripted::default();
        assert_eq!(hypervisor.start(spec(), LIMIT).await, Ok(Started::Now));
        (hypervisor, spec().key)
    }

    #[tokio::test]
    async fn a_life() {
        let (h, key) = running().await;
        assert_eq!(h.start(spec(), LIMIT).await, Ok(Started::AlreadyRunning));
        h.request_reboot(&key, LIMIT).await.expect("obeys");
        assert_eq!(h.boots(&key.name), 2);
        let refused = h.undefine(&key, LIMIT).await;
        assert!(matches!(refused, Err(HypervisorError::Refused { .. })), "{refused:?}");
        h.destroy(&key, LIMIT).await.expect("destroy");
        h.destroy(&key, LIMIT).await.expect("again");
        h.undefine(&key, LIMIT).await.expect("undefine");
        assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains, []);
        let absent = h.destroy(&key, LIMIT).await;
        assert_eq!(absent, Err(HypervisorError::Absent { name: key.name }));
    }

    #[tokio::test]
    async fn a_namesake_with_another_uuid_is_left_alone() {
        let (h, key) = running().await;
        let other = DomainKey { uuid: Uuid::from_u128(2), ..key };
        assert!(matches!(h.destroy(&other, LIMIT).await, Err(HypervisorError::Absent { .. })));
        let refused = h.start(DomainSpec { key: other, ..spec() }, LIMIT).await;
        assert!(matches!(refused, Err(HypervisorError::Refused { .. })), "{refused:?}");
        assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains.len(), 1);
    }

    #[tokio::test]
    async fn faults_do_what_they_say() {
        let (h, key) = running().await;
        h.fail_next("reset", Fault::Hang);
        h.fail_next("reset", Fault::LoseAnswer);
        let silence = Err(HypervisorError::TimedOut { call: "reset", after: SHORT });
        assert_eq!(h.reset(&key, SHORT).await, silence);
        assert_eq!(h.boots(&key.name), 1);
        assert_eq!(h.reset(&key, SHORT).await, silence);
        assert_eq!(h.boots(&key.name), 2);
        assert_eq!(h.count("reset"), 2);
    }

    #[tokio::test]
    async fn a_held_call_ends_late() {
        let (h, key) = running().await;
        let mut events = h.events();
        let hold = h.hold_next("reset");
        assert!(matches!(h.reset(&key, SHORT).await, Err(HypervisorError::TimedOut { .. })));
        hold.release();
        assert!(matches!(events.recv().await, Ok(Event::Domain { change: Change::Rebooted, .. })));
        let late = events.recv().await;
        assert!(matches!(late, Ok(Event::LateReply { call: "reset", outcome: Ok(()), .. })), "{late:?}");
    }

    #[tokio::test]
    async fn unavailable_says_nothing_about_domains() {
        let (h, key) = running().await;
        let mut events = h.events();
        h.set_unavailable(Some("away"));
        assert!(matches!(h.inventory(LIMIT).await, Err(HypervisorError::Unavailable { .. })));
        assert!(matches!(h.destroy(&key, LIMIT).await, Err(HypervisorError::Unavailable { .. })));
        h.set_unavailable(None);
        assert!(matches!(events.recv().await, Ok(Event::Disconnected { .. })));
        assert!(matches!(events.recv().await, Ok(Event::Connected)));
        assert!(matches!(events.recv().await, Ok(Event::Inventory(i)) if i.domains.len() == 1));
    }
}
