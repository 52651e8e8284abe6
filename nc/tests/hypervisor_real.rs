//! The libvirt hypervisor with real guests under QEMU: through libvirtd (`qemu:///system`, root) and with the driver in
//! this process (`qemu:///embed`).
//!
//! Needs IRONBARK_GUEST, a directory with vmlinuz, initrd.img and root.img as tests/guest builds them. Without it, or
//! without libvirtd, a test says SKIPPED and passes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ironbark_nc::hypervisor::accel::Kind;
use ironbark_nc::hypervisor::domain_xml::tap_name;
use ironbark_nc::hypervisor::libvirt::{Config, Libvirt};
use ironbark_nc::hypervisor::{
    Boot, Change, Disk, DiskFormat, DiskSource, DomainKey, DomainSpec, DomainState, Event, Hypervisor, HypervisorError,
    Nic, OffReason, Started,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

const SYSTEM: &str = "qemu:///system";
const SOCKET: &str = "/run/libvirt/libvirt-sock";

/// For calls, and for what a guest does; generous because the machine may be shared and without KVM.
const LIMIT: Duration = Duration::from_secs(60);
const GUEST: Duration = Duration::from_secs(120);

/// A directory with copies of the guest's files, and one guest's names. Ends its domain when dropped.
struct Lab {
    dir: tempfile::TempDir,
    hypervisor: Arc<Libvirt>,
    keys: Vec<DomainKey>,
    /// Where QEMU's process ids are.
    pids: PathBuf,
}

impl Lab {
    /// `None`, loudly, when this machine cannot. `{dir}` in `uri` is the lab's directory.
    fn new(test: &str, uri: &str) -> Option<Lab> {
        let Ok(guest) = std::env::var("IRONBARK_GUEST") else {
            eprintln!("SKIPPED {test}: IRONBARK_GUEST names no guest's directory");
            return None;
        };
        if uri == SYSTEM && !libvirtd_answers(test) {
            return None;
        }
        let dir = tempfile::Builder::new().prefix("ironbark-hv").tempdir().expect("a directory");
        // QEMU runs as another user and must find its files.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        for file in ["vmlinuz", "initrd.img", "root.img"] {
            if let Err(error) = fs::copy(Path::new(&guest).join(file), dir.path().join(file)) {
                eprintln!("SKIPPED {test}: {guest}/{file}: {error}");
                return None;
            }
        }
        let uri = uri.replace("{dir}", dir.path().to_str().expect("plain names"));
        let embedded = uri.contains("embed");
        let pids = if embedded { dir.path().join("embed/run/qemu") } else { "/run/libvirt/qemu".into() };
        let owner = Uuid::new_v4().to_string();
        let hypervisor = Libvirt::open(Config { uri, kind: Kind::Auto, owner }).expect("a good URI");
        eprintln!("{test}: {}", hypervisor.choice());
        Some(Lab { dir, hypervisor: Arc::new(hypervisor), keys: Vec::new(), pids })
    }

    /// A new instance's specification, with a root disk and a console of its own.
    fn spec(&mut self) -> DomainSpec {
        let uuid = Uuid::new_v4();
        let name = format!("i-{:08X}", uuid.as_fields().0);
        let root = self.dir.path().join(format!("{name}.img"));
        fs::copy(self.dir.path().join("root.img"), &root).expect("room for a disk");
        let key = DomainKey { name: name.clone(), uuid };
        self.keys.push(key.clone());
        DomainSpec {
            key,
            memory_mb: 96,
            vcpus: 1,
            boot: Boot::Kernel {
                kernel: self.dir.path().join("vmlinuz"),
                ramdisk: Some(self.dir.path().join("initrd.img")),
                cmdline: "root=/dev/vda console=ttyS0 panic=5 guest.metadata=off".into(),
            },
            disks: vec![disk(&root, "vda", None)],
            seed: None,
            nic: Nic::User { mac: "d0:0d:00:00:00:01".into() },
            console: self.dir.path().join(format!("{name}.log")),
        }
    }

    fn volume(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::File::create(&path).and_then(|file| file.set_len(8 << 20)).expect("a sparse file");
        path
    }

    fn signal(&self, key: &DomainKey, signal: Signal) {
        let file = self.pids.join(format!("{key}.pid"));
        let pid = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        kill(Pid::from_raw(pid.trim().parse().expect("a number")), signal).expect("QEMU runs");
    }

    async fn state(&self, key: &DomainKey) -> Option<DomainState> {
        let inventory = self.hypervisor.inventory(LIMIT).await.expect("inventory");
        inventory.domains.iter().find(|seen| seen.key == *key).map(|seen| seen.state)
    }
}

impl Drop for Lab {
    /// Ends all domains that are left, also those of a test that failed, and those whose QEMU hangs.
    fn drop(&mut self) {
        for key in &self.keys {
            if let Ok(pid) = fs::read_to_string(self.pids.join(format!("{key}.pid"))) {
                let _ = kill(Pid::from_raw(pid.trim().parse().expect("a number")), Signal::SIGKILL);
            }
        }
        let (hypervisor, keys) = (self.hypervisor.clone(), self.keys.clone());
        let clean = async move {
            for key in &keys {
                let _ = hypervisor.destroy(key, LIMIT).await;
                let _ = hypervisor.undefine(key, LIMIT).await;
            }
        };
        // On a thread of its own: the test's runtime cannot be waited for from within.
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::scope(|scope| drop(scope.spawn(|| runtime().block_on(clean)).join()));
    }
}

fn libvirtd_answers(test: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED {test}: only root may use {SYSTEM} without polkit");
        return false;
    }
    match std::os::unix::net::UnixStream::connect(SOCKET) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("SKIPPED {test}: no libvirtd at {SOCKET}: {error}");
            false
        }
    }
}

/// The embedded driver takes one root per process. nextest gives each test a process, `cargo test` does not.
fn embedded_is_free(test: &str) -> bool {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let free = !TAKEN.swap(true, Ordering::SeqCst);
    if !free {
        eprintln!("SKIPPED {test}: another test of this process has the embedded driver; use cargo nextest");
    }
    free
}

fn disk(path: &Path, target: &str, serial: Option<&str>) -> Disk {
    Disk {
        source: DiskSource::File(path.to_owned()),
        format: DiskFormat::Raw,
        target: target.into(),
        serial: serial.map(str::to_owned),
        read_only: false,
    }
}

/// Waits until `text` is in the file `times` times.
async fn console_says(path: &Path, text: &str, times: usize) {
    let end = Instant::now() + GUEST;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        let said = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if said.matches(text).count() >= times {
            return;
        }
        assert!(Instant::now() < end, "{text:?} not {times} times on the console:\n{said}");
        look.tick().await;
    }
}

/// Waits for a change of `key` that `wanted` accepts, and returns those before it and it.
async fn wait_for(
    events: &mut broadcast::Receiver<Event>,
    key: &DomainKey,
    wanted: impl Fn(&Change) -> bool,
) -> Vec<Change> {
    let mut seen = Vec::new();
    let wait = async {
        loop {
            if let Event::Domain { key: of, change, .. } = events.recv().await.expect("the channel stands")
                && of == *key
            {
                let last = wanted(&change);
                seen.push(change);
                if last {
                    return;
                }
            }
        }
    };
    let waited = tokio::time::timeout(GUEST, wait).await;
    assert!(waited.is_ok(), "only {seen:?}");
    seen
}

async fn whole_life(mut lab: Lab) {
    let h = lab.hypervisor.clone();
    let mut events = h.events();
    let spec = lab.spec();
    let (key, console) = (spec.key.clone(), spec.console.clone());
    eprintln!("{}", h.host_info(LIMIT).await.expect("host").hypervisor);

    let begun = Instant::now();
    assert_eq!(h.start(spec.clone(), LIMIT).await, Ok(Started::Now));
    eprintln!("start: {:?}", begun.elapsed());
    wait_for(&mut events, &key, |c| *c == Change::Started).await;
    assert_eq!(h.start(spec.clone(), LIMIT).await, Ok(Started::AlreadyRunning));
    assert_eq!(lab.state(&key).await, Some(DomainState::Running));
    console_says(&console, "guest: ready", 1).await;
    eprintln!("ready: {:?}", begun.elapsed());

    // The guest obeys the power button, and reboots in place.
    let run = h.inventory(LIMIT).await.expect("inventory").domains[0].run;
    let asked = Instant::now();
    h.request_reboot(&key, LIMIT).await.expect("reboot");
    let seen = wait_for(&mut events, &key, |c| *c == Change::Rebooted).await;
    eprintln!("guest obeyed after {:?}: {seen:?}", asked.elapsed());
    console_says(&console, "guest: ready", 2).await;
    eprintln!("ready again: {:?}", asked.elapsed());
    assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains[0].run, run);

    let volume = lab.volume("volume");
    let begun = Instant::now();
    h.attach_disk(&key, disk(&volume, "vdb", Some("vol-00000001")), LIMIT).await.expect("attach");
    eprintln!("attach: {:?}", begun.elapsed());
    let again = h.attach_disk(&key, disk(&volume, "vdb", None), LIMIT).await;
    assert!(matches!(again, Err(HypervisorError::Refused { .. })), "{again:?}");
    let disks = h.disks(&key, LIMIT).await.expect("disks");
    assert_eq!(disks.iter().map(|d| d.target.as_str()).collect::<Vec<_>>(), ["vda", "vdb"]);
    assert_eq!((disks[1].source.as_ref(), disks[1].serial.as_deref()), (Some(&volume), Some("vol-00000001")));
    let begun = Instant::now();
    h.detach_disk(&key, "vdb", LIMIT).await.expect("detach");
    eprintln!("detach: {:?}", begun.elapsed());
    assert_eq!(h.disks(&key, LIMIT).await.expect("disks").len(), 1);
    let none = h.detach_disk(&key, "vdb", LIMIT).await;
    assert!(matches!(none, Err(HypervisorError::Refused { .. })), "{none:?}");

    // One reboot was told once: all events of the disks are behind it, and no second `Rebooted` was among them.
    let seen = wait_for(&mut events, &key, |c| matches!(c, Change::DeviceRemoved { .. })).await;
    assert!(!seen.contains(&Change::Rebooted), "{seen:?}");

    h.reset(&key, LIMIT).await.expect("reset");
    wait_for(&mut events, &key, |c| *c == Change::Rebooted).await;
    console_says(&console, "guest: ready", 3).await;

    h.request_shutdown(&key, LIMIT).await.expect("shutdown");
    let seen = wait_for(&mut events, &key, |c| matches!(c, Change::Stopped(_))).await;
    eprintln!("shutdown: {seen:?}");
    assert_eq!(lab.state(&key).await, Some(DomainState::Off(OffReason::Shutdown)));

    // The same definition and disk again, and the plug pulled.
    assert_eq!(h.start(spec, LIMIT).await, Ok(Started::Now));
    console_says(&console, "guest: ready", 4).await;
    let begun = Instant::now();
    h.destroy(&key, LIMIT).await.expect("destroy");
    eprintln!("destroy: {:?}", begun.elapsed());
    assert_eq!(lab.state(&key).await, Some(DomainState::Off(OffReason::Destroyed)));
    h.undefine(&key, LIMIT).await.expect("undefine");
    assert_eq!(lab.state(&key).await, None);
    assert_eq!(h.reset(&key, LIMIT).await, Err(HypervisorError::Absent { name: key.name.clone() }));
}

#[tokio::test]
async fn a_guest_lives_under_libvirtd() {
    if let Some(lab) = Lab::new("a_guest_lives_under_libvirtd", SYSTEM) {
        whole_life(lab).await;
    }
}

#[tokio::test]
async fn a_guest_lives_under_the_embedded_driver() {
    const TEST: &str = "a_guest_lives_under_the_embedded_driver";
    if !embedded_is_free(TEST) {
        return;
    }
    if let Some(lab) = Lab::new(TEST, "qemu:///embed?root={dir}/embed") {
        whole_life(lab).await;
    }
}

#[tokio::test]
async fn a_hung_qemu_blocks_its_own_calls_only() {
    let Some(mut lab) = Lab::new("a_hung_qemu_blocks_its_own_calls_only", SYSTEM) else { return };
    let h = lab.hypervisor.clone();
    let mut events = h.events();
    let (hung, sound) = (lab.spec(), lab.spec());
    let (hung_key, sound_key) = (hung.key.clone(), sound.key.clone());
    h.start(hung, LIMIT).await.expect("start");
    h.start(sound, LIMIT).await.expect("start");

    lab.signal(&hung_key, Signal::SIGSTOP);
    let short = Duration::from_secs(1);
    let answer = h.reset(&hung_key, short).await;
    assert_eq!(answer, Err(HypervisorError::TimedOut { call: "reset", after: short }));
    let queued = h.reset(&hung_key, short).await;
    assert!(matches!(queued, Err(HypervisorError::Unavailable { .. })), "{queued:?}");

    let begun = Instant::now();
    assert_eq!(lab.state(&hung_key).await, Some(DomainState::Running));
    eprintln!("inventory beside a hung QEMU: {:?}", begun.elapsed());
    h.reset(&sound_key, LIMIT).await.expect("another domain is not held up");
    eprintln!("and another's reset: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    // The way out does not wait behind the call that hangs, and ends it.
    let begun = Instant::now();
    h.destroy(&hung_key, LIMIT).await.expect("destroy");
    eprintln!("destroy of a hung QEMU: {:?}", begun.elapsed());
    let late = async {
        loop {
            if let Ok(Event::LateReply { domain, call, outcome, .. }) = events.recv().await {
                return (domain, call, outcome);
            }
        }
    };
    let (domain, call, outcome) = tokio::time::timeout(LIMIT, late).await.expect("the late reply");
    eprintln!("late reply of {call}: {outcome:?}");
    assert_eq!((domain, call), (Some(hung_key), "reset"));
}

#[tokio::test]
async fn more_hung_qemus_than_libvirtd_takes_calls() {
    let Some(mut lab) = Lab::new("more_hung_qemus_than_libvirtd_takes_calls", SYSTEM) else { return };
    let h = lab.hypervisor.clone();
    let short = Duration::from_millis(500);
    // libvirtd serves five calls of one connection at a time.
    for n in 0..7 {
        let spec = lab.spec();
        let key = spec.key.clone();
        h.start(spec, LIMIT).await.unwrap_or_else(|e| panic!("start {n} beside hung ones: {e}"));
        lab.signal(&key, Signal::SIGSTOP);
        let answer = h.reset(&key, short).await;
        assert_eq!(answer, Err(HypervisorError::TimedOut { call: "reset", after: short }));
    }
    let sound = lab.spec();
    let key = sound.key.clone();
    h.start(sound, LIMIT).await.expect("start");
    h.reset(&key, LIMIT).await.expect("reset");
    assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains.len(), 8);
}

#[tokio::test]
async fn a_whole_disk_boots_on_a_bridge_with_a_seed() {
    let Some(mut lab) = Lab::new("a_whole_disk_boots_on_a_bridge_with_a_seed", SYSTEM) else { return };
    let bridge = format!("ibhv{}", std::process::id() % 100_000);
    if !ip(&["link", "add", &bridge, "type", "bridge"]) {
        eprintln!("SKIPPED a_whole_disk_boots_on_a_bridge_with_a_seed: no bridge can be made");
        return;
    }
    let mut spec = lab.spec();
    let key = spec.key.clone();
    let root = lab.dir.path().join("disk.qcow2");
    let guest = std::env::var("IRONBARK_GUEST").expect("Lab::new has seen it");
    fs::copy(Path::new(&guest).join("disk.qcow2"), &root).expect("the guest's whole disk");
    spec.boot = Boot::Disk;
    spec.disks = vec![Disk { format: DiskFormat::Qcow2, ..disk(&root, "vda", None) }];
    spec.seed = Some(lab.volume("seed.iso"));
    let tap = tap_name(&key.name);
    spec.nic = Nic::Bridge { bridge: bridge.clone(), mac: "d0:0d:00:00:00:02".into(), tap: tap.clone() };
    let console = spec.console.clone();
    let h = lab.hypervisor.clone();
    let started = h.start(spec, LIMIT).await;
    let master = fs::read_link(format!("/sys/class/net/{tap}/master"));
    if started.is_ok() {
        // The kernel's own line: the guest waits long for an address that nobody gives.
        console_says(&console, "guest: initrd", 1).await;
    }
    drop(lab);
    assert!(ip(&["link", "del", &bridge]));
    assert_eq!(started, Ok(Started::Now));
    assert!(master.expect("the tap is in a bridge").ends_with(&bridge));
}

fn ip(arguments: &[&str]) -> bool {
    std::process::Command::new("ip").args(arguments).status().is_ok_and(|status| status.success())
}

/// What a restarted node does: another process, the same root, the same owner.
#[tokio::test]
async fn a_guest_of_the_embedded_driver_outlives_its_process() {
    const TEST: &str = "a_guest_of_the_embedded_driver_outlives_its_process";
    if let Ok(dir) = std::env::var(CHILD) {
        return first_life(Path::new(&dir)).await;
    }
    if !embedded_is_free(TEST) {
        return;
    }
    let Some(mut lab) = Lab::new(TEST, "test:///default") else { return };
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, lab.dir.path())
        .status();
    assert!(status.expect("the child").success());
    let key = DomainKey { name: "i-0000CAFE".into(), uuid: Uuid::from_u128(0xcafe) };
    lab.pids = lab.dir.path().join("embed/run/qemu");
    lab.keys.push(key.clone());
    lab.hypervisor = Arc::new(embedded(lab.dir.path()));
    let h = lab.hypervisor.clone();
    let begun = Instant::now();
    assert_eq!(lab.state(&key).await, Some(DomainState::Running));
    eprintln!("found again after {:?}", begun.elapsed());
    // An operation right after the connection, which libvirt by itself does not always answer rightly.
    h.reset(&key, LIMIT).await.expect("reset");
    h.destroy(&key, LIMIT).await.expect("destroy");
    assert_eq!(lab.state(&key).await, Some(DomainState::Off(OffReason::Destroyed)));
    h.undefine(&key, LIMIT).await.expect("undefine");
}

const CHILD: &str = "IRONBARK_TEST_FIRST_LIFE";

fn embedded(dir: &Path) -> Libvirt {
    let uri = format!("qemu:///embed?root={}/embed", dir.display());
    Libvirt::open(Config { uri, kind: Kind::Auto, owner: "node-1".into() }).expect("a good URI")
}

/// In the child: starts a guest and ends with it running.
async fn first_life(dir: &Path) {
    let spec = DomainSpec {
        key: DomainKey { name: "i-0000CAFE".into(), uuid: Uuid::from_u128(0xcafe) },
        memory_mb: 96,
        vcpus: 1,
        boot: Boot::Kernel { kernel: dir.join("vmlinuz"), ramdisk: None, cmdline: "console=ttyS0".into() },
        disks: vec![disk(&dir.join("root.img"), "vda", None)],
        seed: None,
        nic: Nic::User { mac: "d0:0d:00:00:00:01".into() },
        console: dir.join("console.log"),
    };
    assert_eq!(embedded(dir).start(spec, LIMIT).await, Ok(Started::Now));
}

/// What a proxy before libvirtd does with its connections.
#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Pass,
    /// Cuts those that stand; later ones pass.
    Cut,
    /// Holds those that stand open and carries nothing, as a daemon that hangs; later ones pass.
    Mute,
}

/// A hypervisor through a proxy, and the proxy's switch.
struct Proxied {
    hypervisor: Libvirt,
    switch: watch::Sender<Wire>,
    _dir: tempfile::TempDir,
}

impl Proxied {
    async fn new(test: &str) -> Option<Proxied> {
        if !libvirtd_answers(test) {
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (switch, wire) = watch::channel(Wire::Pass);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, wire.clone()));
            }
        });
        let uri = format!("qemu+unix:///system?socket={}", path.display());
        let config = Config { uri, kind: Kind::Auto, owner: "nobody".into() };
        let hypervisor = Libvirt::open(config).expect("a good URI");
        hypervisor.inventory(LIMIT).await.expect("through the proxy");
        Some(Proxied { hypervisor, switch, _dir: dir })
    }

    /// Waits for what follows a loss: the word of it, a connection, an inventory.
    async fn comes_back(&self, events: &mut broadcast::Receiver<Event>) {
        let mut seen = Vec::new();
        let back = async {
            loop {
                match events.recv().await.expect("the channel stands") {
                    Event::Disconnected { .. } => seen.push("disconnected"),
                    // The word of the first connection may come after the loss was arranged.
                    Event::Connected if seen.is_empty() => {}
                    Event::Connected => seen.push("connected"),
                    Event::Inventory(_) => return,
                    Event::Domain { .. } | Event::LateReply { .. } => {}
                }
            }
        };
        tokio::time::timeout(LIMIT, back).await.expect("an inventory");
        assert_eq!(seen, ["disconnected", "connected"]);
        self.hypervisor.inventory(LIMIT).await.expect("again");
    }
}

async fn carry(mut client: UnixStream, mut wire: watch::Receiver<Wire>) {
    wire.mark_unchanged();
    let mut server = UnixStream::connect(SOCKET).await.expect("libvirtd listens");
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = wire.changed() => {}
    }
    let last = *wire.borrow_and_update();
    if last == Wire::Mute {
        // Until the test ends, with both ends open.
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_lost_connection_comes_back_with_an_inventory() {
    let Some(proxied) = Proxied::new("a_lost_connection_comes_back_with_an_inventory").await else { return };
    let mut events = proxied.hypervisor.events();
    proxied.switch.send(Wire::Cut).expect("the proxy listens");
    proxied.comes_back(&mut events).await;
}

#[tokio::test]
async fn a_daemon_that_falls_silent_is_left_for_a_new_connection() {
    let Some(proxied) = Proxied::new("a_daemon_that_falls_silent_is_left_for_a_new_connection").await else { return };
    let mut events = proxied.hypervisor.events();
    proxied.switch.send(Wire::Mute).expect("the proxy listens");
    let short = Duration::from_secs(1);
    let begun = Instant::now();
    for _ in 0..2 {
        // The first that is sent is not answered; those after it wait for their turn in vain.
        let answer = proxied.hypervisor.inventory(short).await;
        let silence = matches!(answer, Err(HypervisorError::TimedOut { .. } | HypervisorError::Unavailable { .. }));
        assert!(silence, "{answer:?}");
    }
    proxied.comes_back(&mut events).await;
    eprintln!("silence noticed and mended after {:?}", begun.elapsed());
}
