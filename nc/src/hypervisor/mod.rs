//! What the node asks of a hypervisor: the trait, its types and its errors, and nothing of libvirt.
//!
//! Two implementations: [`libvirt::Libvirt`] (any libvirt URI) and [`scripted::Scripted`] (in memory, with
//! faults on demand, for the tests of every tier). Must not know: instances, users, the wire.
//!
//! Three rules hold for both:
//! * every call ends within the time its caller gives it (`within`), whatever the hypervisor does;
//! * what could not be asked is never an answer: see [`HypervisorError`];
//! * events are hints that something may have changed. The truth is [`Hypervisor::inventory`].

pub mod accel;
mod calls;
pub mod domain_read;
pub mod domain_xml;
pub mod events;
pub mod libvirt;
mod link;
pub mod scripted;
pub mod worker;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;
use uuid::Uuid;

/// A boxed future, so that the trait can be used as `dyn Hypervisor`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, HypervisorError>> + Send + 'a>>;

/// A hypervisor on this machine, seen by one node. All calls concern *this node's* domains only: a domain that
/// does not carry this node's marker is not listed and not touched.
///
/// `within` is the time the caller waits, queueing included. At its end the caller gets
/// [`HypervisorError::TimedOut`] if the call had begun (its outcome is then unknown, and is told later as
/// [`Event::LateReply`]), or [`HypervisorError::Unavailable`] if it had not (nothing happened, nothing will).
pub trait Hypervisor: Send + Sync + 'static {
    /// Cores, memory and the hypervisor's own description of itself.
    fn host_info(&self, within: Duration) -> Answer<'_, HostInfo>;

    /// All domains of this node, running or not. Never waits for a single guest: a hung QEMU does not delay it.
    fn inventory(&self, within: Duration) -> Answer<'_, Inventory>;

    /// Defines the domain (explicit uuid, so defining it again replaces the definition) and starts it.
    /// A domain of that name and uuid that runs already is success. `Refused` when the name belongs to a domain
    /// with another uuid or another owner.
    fn start(&self, spec: DomainSpec, within: Duration) -> Answer<'_, Started>;

    /// Asks the guest to reboot, as a press of the power button that is followed by a machine reset (ACPI; libvirt
    /// performs the reset when the guest has powered off). Success means *asked*. A guest without an ACPI handler
    /// does nothing at all: wait for [`Change::Rebooted`] and then use [`Hypervisor::reset`].
    fn request_reboot(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()>;

    /// Resets the machine as its reset button does; the guest is not asked and unwritten data is lost.
    fn reset(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()>;

    /// Presses the power button (ACPI). Success means *asked*; see [`Change::Stopped`] for the end.
    fn request_shutdown(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()>;

    /// Pulls the plug. A domain that is off already is success. This call alone does not wait for earlier calls on
    /// the same domain, because it is the way out when one of them hangs. Takes one to two seconds, and 12 to 16 s when QEMU
    /// itself hangs (libvirt waits 10 s before it kills): give it 30 s.
    fn destroy(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()>;

    /// Forgets the definition of a domain that is off, `Refused` when it runs. Disks are not touched.
    fn undefine(&self, domain: &DomainKey, within: Duration) -> Answer<'_, ()>;

    /// Plugs a disk in, into the running guest (if it runs) and into its definition, and waits until the hypervisor
    /// says that the device is there. `Refused` when `disk.target` is taken.
    fn attach_disk(&self, domain: &DomainKey, disk: Disk, within: Duration) -> Answer<'_, ()>;

    /// Unplugs the disk at `target` ("vdb") and waits until the guest has let go of it, which a guest that is still
    /// booting does not do for a while: `TimedOut` then, and [`Change::DeviceRemoved`] may still come.
    /// `Refused` when there is no such disk or the guest refuses.
    fn detach_disk(&self, domain: &DomainKey, target: &str, within: Duration) -> Answer<'_, ()>;

    /// The disks the domain has now: what to ask after an attach or detach whose outcome is unknown.
    fn disks(&self, domain: &DomainKey, within: Duration) -> Answer<'_, Vec<AttachedDisk>>;

    /// A receiver of what happens from now on. A receiver that lags is told so by the channel and must take an
    /// inventory, as it must after [`Event::Connected`].
    fn events(&self) -> broadcast::Receiver<Event>;
}

/// How many events a slow receiver may be behind before it is told to take an inventory instead.
pub const EVENT_BACKLOG: usize = 1024;

/// A domain's identity: both must match before anything is done to it, so that a foreign domain which happens to
/// bear an instance's name is safe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainKey {
    /// The instance id, `i-` and eight upper-case hexadecimal digits.
    pub name: String,
    pub uuid: Uuid,
}

impl fmt::Display for DomainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// What it takes to start a domain. All paths absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec {
    pub key: DomainKey,
    /// MiB.
    pub memory_mb: u64,
    pub vcpus: u32,
    pub boot: Boot,
    /// In order; the first is the root disk, by convention `vda`.
    pub disks: Vec<Disk>,
    /// A read-only ISO 9660 image with the guest's settings (cloud-init's NoCloud layout), as a CD-ROM.
    pub seed: Option<PathBuf>,
    pub nic: Nic,
    /// Everything the guest writes to its first serial port is appended to this file, over all its boots.
    pub console: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// The hypervisor loads the kernel itself (EKI and ERI of EC2).
    Kernel { kernel: PathBuf, ramdisk: Option<PathBuf>, cmdline: String },
    /// The firmware boots from the first disk.
    Disk,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub source: DiskSource,
    pub format: DiskFormat,
    /// The slot on the virtio bus: `vda`, `vdb`, ... A guest may name it otherwise; it knows `serial`.
    pub target: String,
    /// Shown in the guest as /sys/block/*/serial; at most 20 characters are seen there.
    pub serial: Option<String>,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    File(PathBuf),
    /// A block device of the host.
    Block(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    Raw,
    Qcow2,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nic {
    /// A tap device of that name, made by the hypervisor and plugged into the bridge.
    Bridge { bridge: String, mac: String, tap: String },
    /// User-mode network: needs no rights; the guest reaches out, nothing reaches in.
    User { mac: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    Now,
    /// It ran before the call; nothing was changed.
    AlreadyRunning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    pub cores: u32,
    /// MiB of the machine, not of what is free.
    pub memory_mb: u64,
    /// What its guests' processors are, in EC2's words: `x86_64`.
    pub architecture: String,
    /// For people: `QEMU 7.2.22 via qemu:///system, qemu (TCG) because ...`.
    pub hypervisor: String,
}

/// All domains of this node at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// When the asking began: what is not in the list was already absent or appeared later.
    pub asked: SystemTime,
    pub domains: Vec<DomainSeen>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSeen {
    pub key: DomainKey,
    pub state: DomainState,
    /// The hypervisor's number of this run: another one after each start, the same one across reboots and resets,
    /// none while it is off.
    pub run: Option<u32>,
}

/// The state of a domain as far as the hypervisor knows it, which is not whether the guest is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainState {
    Running,
    /// Its processors do not run; why is in the hypervisor's log (I/O error, an administrator).
    Paused,
    /// The guest is powering off; also seen for a moment in a reboot that was asked for by ACPI.
    ShuttingDown,
    Off(OffReason),
    /// The hypervisor lists it and cannot say more. Changes nothing.
    Unknown,
}

/// Why a domain is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffReason {
    /// The guest powered itself off.
    Shutdown,
    /// The plug was pulled.
    Destroyed,
    Crashed,
    /// It could not be started.
    Failed,
    /// Its memory was saved to disk by someone else.
    Saved,
    /// Never started since it was defined, migrated away, or the hypervisor does not say.
    Other,
}

/// A disk found in a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedDisk {
    pub target: String,
    /// Absent for an empty CD-ROM drive.
    pub source: Option<PathBuf>,
    pub serial: Option<String>,
}

/// What happened. Events may be lost, doubled or late.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Domain {
        key: DomainKey,
        change: Change,
        at: SystemTime,
    },
    /// A connection stands, for the first time or again.
    Connected,
    /// No calls succeed until `Connected`; says nothing about the domains.
    Disconnected {
        reason: String,
    },
    /// Everything, taken right after each `Connected`.
    Inventory(Inventory),
    /// A call whose caller had stopped waiting has ended.
    LateReply {
        domain: Option<DomainKey>,
        /// The name of the method.
        call: &'static str,
        outcome: Result<(), HypervisorError>,
        /// From the beginning of the call.
        after: Duration,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Started,
    Paused,
    Resumed,
    /// The guest has finished powering off, or was asked to; `Stopped` or `Rebooted` follows.
    ShuttingDown,
    Stopped(OffReason),
    /// The machine was reset: the guest rebooted, or [`Hypervisor::reset`] was called. One reset is
    /// told once, though libvirt tells it several times.
    Rebooted,
    /// The guest's kernel panicked (needs a guest that can tell).
    Crashed,
    DeviceAdded {
        alias: String,
    },
    DeviceRemoved {
        alias: String,
    },
    DeviceRemovalFailed {
        alias: String,
    },
    /// A disk gave an I/O error to the guest.
    IoError {
        alias: String,
    },
    /// The hypervisor lost its control channel to the guest's process: it may run, and cannot be controlled.
    ControlLost,
    /// The definition changed or went away.
    Redefined,
}

/// Why a call gave no answer, by what the caller can conclude.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HypervisorError {
    /// The hypervisor answered and the domain is not there: proven, not guessed.
    #[error("domain {name} does not exist")]
    Absent { name: String },
    /// It could not be asked. Nothing was changed and nothing was learnt.
    #[error("the hypervisor cannot be asked: {reason}")]
    Unavailable { reason: String },
    /// Asked, and no answer in time: it may have been done, or be done later.
    #[error("{call} has not ended after {after:?}; its outcome is unknown")]
    TimedOut { call: &'static str, after: Duration },
    /// Asked, and refused; the text is the hypervisor's.
    #[error("the hypervisor refused: {reason}")]
    Refused { reason: String },
}

/// Whether `name` can be an instance's: `i-` and eight upper-case hexadecimal digits. Domains of other names are not
/// even looked at.
pub fn is_instance_name(name: &str) -> bool {
    let digits = name.strip_prefix("i-").unwrap_or_default().as_bytes();
    digits.len() == 8 && digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F'))
}
