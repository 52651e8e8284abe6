//! What a node writes down: one record an instance, made durable before anything is done about it.
//! Knows files; knows nothing of hypervisors, the wire, or what follows from a record.
//!
//! ```text
//! STATE_DIR/records                    the ledger, 0600: it holds keys and user data
//! STATE_DIR/instances/i-3C5A0732/      disk, kernel, ramdisk, seed, console.log (0711: QEMU must get in)
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ironbark_wsdl::ledger::{Entry, Ledger, LedgerError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::InstanceId;
use crate::images::{Format, Kind};
use crate::lifecycle::State;
use crate::operation::Operation;

/// The form of the records. One of another version is not read and not touched.
const VERSION: u32 = 1;

/// Everything a node knows of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// Its id, and its domain's name.
    pub id: InstanceId,
    /// Its domain's uuid.
    #[serde(with = "uuid_text")]
    pub uuid: Uuid,
    /// What was asked for.
    pub order: LaunchOrder,
    /// When it was accepted.
    pub launched: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Why, where there is more to say.
    pub reason: Option<String>,
    /// When its state got the name it has.
    pub since: Timestamp,
    /// When exactly this state was entered.
    pub entered: Timestamp,
    /// Boots seen since it was launched.
    pub boots: u32,
    /// How the last reboot ended.
    pub last_reboot: Option<String>,
    /// The hypervisor's number of the domain's present run.
    pub run: Option<u32>,
    /// Its address, learnt from the network; `None` while not known.
    pub learnt_ip: Option<std::net::Ipv4Addr>,
    /// Disks beside its own.
    pub volumes: Vec<Volume>,
    /// What staging made, once it has.
    pub staged: Option<Staged>,
    /// The last operation on it; none while none came with an epoch.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Whether its launch failed for what is this node's own, so that another may do better.
    #[serde(default)]
    pub elsewhere: bool,
}

/// A uuid as text.
mod uuid_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    pub fn serialize<S: Serializer>(uuid: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(uuid)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// What a launch asked for, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchOrder {
    /// The launch it was part of.
    pub reservation: String,
    /// The user it belongs to.
    pub owner: String,
    /// The root disk's image.
    pub image: ImageRef,
    /// The kernel, unless the disk boots by itself.
    pub kernel: Option<ImageRef>,
    /// The ramdisk that goes with the kernel.
    pub ramdisk: Option<ImageRef>,
    /// The public key itself, one OpenSSH line; empty if none.
    pub key: String,
    /// Given to the guest as it came.
    pub user_data: Option<String>,
    /// Its number within its reservation, as it came.
    pub launch_index: Option<String>,
    /// `linux` or so, as it came.
    pub platform: Option<String>,
    /// Security groups, as they came.
    pub groups: Vec<String>,
    /// Its size.
    pub size: Size,
    /// Its network identity.
    pub net: Net,
}

/// An image and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// `emi-`, `eki-` or `eri-` and eight digits.
    pub id: String,
    /// Where to fetch it.
    pub url: String,
}

/// The size of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// The instance type's name.
    pub name: String,
    /// MiB.
    pub memory_mb: u64,
    /// Virtual processors.
    pub cores: u32,
    /// GiB, the root disk's budget.
    pub disk_gb: u64,
    /// Wished block devices: echoed, as in 2.0.1.
    pub mappings: Vec<Mapping>,
}

/// Another size for an instance that is there; its disk stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// The instance type's name.
    pub name: String,
    /// MiB.
    pub memory_mb: u64,
    /// Virtual processors.
    pub cores: u32,
}

impl Size {
    /// The same with another name, memory and processors.
    pub fn resized(&self, to: &Resized) -> Size {
        let Resized { name, memory_mb, cores } = to.clone();
        Size { name, memory_mb, cores, ..self.clone() }
    }
}

/// One wished block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Device in the guest.
    pub device: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// Size.
    pub size: Option<i32>,
    /// File system.
    pub format: Option<String>,
}

/// The network identity that came with the launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// Lower-case, colons.
    pub mac: String,
    /// Dotted quad; `0.0.0.0` = to be learnt.
    pub private_ip: String,
    /// Dotted quad; `0.0.0.0` = none, or to be learnt.
    pub public_ip: String,
    /// VLAN tag; -1 = none.
    pub vlan: i32,
    /// Index of the private address; -1 = none.
    pub index: i32,
}

/// A disk that was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The volume.
    pub id: String,
    /// A block device or file of this machine.
    pub source: PathBuf,
    /// As asked for: `/dev/sdb`.
    pub requested: String,
    /// Where it is plugged: `vdb`.
    pub target: String,
    /// Whether it is there.
    pub state: VolumeState,
}

/// How far the plugging of a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    /// Being plugged in, or nobody knows whether it was.
    Attaching,
    /// There.
    Attached,
    /// Being unplugged, or nobody knows whether it was.
    Detaching,
}

/// What staging made in the instance's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// How the root disk is to be read.
    pub disk_format: Format,
    /// Whether the root is in the disk's first partition, for a kernel that comes separately.
    pub partitioned: bool,
}

impl Record {
    /// The record of an instance that was just accepted.
    pub fn new(id: InstanceId, order: LaunchOrder, state: State, now: Timestamp) -> Self {
        let reason = state.reason(std::time::Duration::ZERO);
        Self {
            version: VERSION,
            id,
            uuid: Uuid::new_v4(),
            order,
            launched: now,
            state,
            reason,
            since: now,
            entered: now,
            boots: 0,
            last_reboot: None,
            run: None,
            learnt_ip: None,
            volumes: Vec::new(),
            staged: None,
            operation: None,
            elsewhere: false,
        }
    }

    /// The address to report as private, then the one to report as public; `0.0.0.0` where there is none.
    pub fn addresses(&self) -> (String, String) {
        let or_learnt = |given: &str| match self.learnt_ip {
            Some(ip) if given == UNKNOWN_IP => ip.to_string(),
            Some(_) | None => given.to_string(),
        };
        (or_learnt(&self.order.net.private_ip), or_learnt(&self.order.net.public_ip))
    }
}

/// What the wire says for "no address".
pub const UNKNOWN_IP: &str = "0.0.0.0";

/// The files of one instance.
#[derive(Clone, Debug)]
pub struct InstanceFiles {
    /// Their directory.
    pub dir: PathBuf,
}

impl InstanceFiles {
    /// The root disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// The kernel or the ramdisk, or the root disk.
    pub fn image(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Root => self.disk(),
            Kind::Kernel => self.dir.join("kernel"),
            Kind::Ramdisk => self.dir.join("ramdisk"),
        }
    }

    /// The disk with the guest's settings.
    pub fn seed(&self) -> PathBuf {
        self.dir.join("seed.iso")
    }

    /// What the guest wrote to its serial port.
    pub fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }
}

/// Why what is on the node's disk could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The records.
    #[error(transparent)]
    Records(#[from] LedgerError),
    /// A file or directory.
    #[error("{path}: cannot {what}; check the space and the rights there")]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The records and files of all instances of a node.
#[derive(Clone, Debug)]
pub struct Store {
    ledger: Ledger,
    /// Names of the records that another version wrote.
    unreadable: Arc<BTreeSet<String>>,
    instances: PathBuf,
}

impl Store {
    /// Opens, and makes if absent, the store under a node's state directory, and reads all records. One
    /// that cannot be read is left as it is and told loudly: its instance is not managed until a person has
    /// looked, and nothing of it is touched.
    ///
    /// # Errors
    /// When a directory cannot be made or the records not be read.
    pub fn open(state_dir: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let instances = state_dir.join("instances");
        let made = fs::DirBuilder::new().recursive(true).mode(0o711).create(&instances);
        made.map_err(|source| StoreError::File { path: instances.clone(), what: "make this directory", source })?;
        let (ledger, found) = Ledger::open(&state_dir.join("records"))?;
        let (mut records, mut unreadable) = (Vec::new(), BTreeSet::new());
        for (name, text) in found {
            match read_record(&name, &text) {
                Ok(record) => records.push(record),
                Err(problem) => {
                    tracing::error!(
                        event = "nc.record.unreadable",
                        instance = name,
                        problem,
                        "this instance is not managed; start the version of this program that wrote its record"
                    );
                    unreadable.insert(name);
                }
            }
        }
        records.sort_by(|a, b| (a.launched, &a.id).cmp(&(b.launched, &b.id)));
        Ok((Self { ledger, unreadable: Arc::new(unreadable), instances }, records))
    }

    /// Makes a record durable in the place of the one `before`: after any crash either of them is there, whole.
    ///
    /// # Errors
    /// When it could not be written; then the one before stands.
    pub async fn save(&self, record: &Record, before: Option<&Record>) -> Result<(), StoreError> {
        let entry = |record: Option<&Record>, id: &InstanceId| vec![Entry::of(id.as_str(), record)];
        let saved = self.ledger.write(entry(Some(record), &record.id)).wait().await;
        if saved.is_err() {
            // The ledger keeps what it could not write, for later, and another's write may have taken it along by now:
            // it is taken back by what is handed in after it, now if the disk lets us and else with the next write.
            let _ = self.ledger.write(entry(before, &record.id)).wait().await;
        }
        Ok(saved?)
    }

    /// Deletes a record, durably. One that is not there is deleted already.
    ///
    /// # Errors
    /// When it is still there.
    pub async fn forget(&self, id: &InstanceId) -> Result<(), StoreError> {
        Ok(self.ledger.write(vec![Entry::of::<Record>(id.as_str(), None)]).wait().await?)
    }

    /// Whether there is a record of that id which cannot be read.
    pub fn has_unreadable(&self, id: &InstanceId) -> bool {
        self.unreadable.contains(id.as_str())
    }

    /// The files of an instance; they need not be there.
    pub fn files(&self, id: &InstanceId) -> InstanceFiles {
        InstanceFiles { dir: self.instances.join(id.as_str()) }
    }

    /// Makes an instance's directory, if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_files(&self, id: &InstanceId) -> Result<InstanceFiles, StoreError> {
        let files = self.files(id);
        let made = fs::DirBuilder::new().recursive(true).mode(0o711).create(&files.dir);
        made.map_err(|source| StoreError::File { path: files.dir.clone(), what: "make this directory", source })?;
        Ok(files)
    }

    /// Removes an instance's directory with all that is in it. One that is not there is removed already.
    ///
    /// # Errors
    /// When something is still there.
    pub fn release_files(&self, id: &InstanceId) -> Result<(), StoreError> {
        let dir = self.files(id).dir;
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::File { path: dir, what: "remove this directory", source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Directories of instances of which nobody knows by name: nothing here makes such, so they are a person's to judge.
    pub fn strangers(&self, is_known: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.instances) else { return Vec::new() };
        let strange = |entry: &fs::DirEntry| !entry.file_name().to_str().is_some_and(&is_known);
        entries.flatten().filter(strange).map(|entry| entry.path()).collect()
    }

    /// The records that another version wrote, by name.
    pub fn unreadable(&self) -> Vec<String> {
        self.unreadable.iter().cloned().collect()
    }

    /// Bytes that the file system has free for instances.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = nix::sys::statvfs::statvfs(&self.instances).map_err(|source| StoreError::File {
            path: self.instances.clone(),
            what: "ask for its free space",
            source: source.into(),
        })?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// The directory of all instances' files.
    pub fn instances_dir(&self) -> &Path {
        &self.instances
    }
}

fn read_record(name: &str, text: &str) -> Result<Record, String> {
    let record: Record = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if record.version != VERSION {
        return Err(format!("version {} is not known here; this program writes version {VERSION}", record.version));
    }
    if record.id.as_str() != name {
        return Err(format!("it holds the record of {}", record.id));
    }
    Ok(record)
}

/// Replaces a file's content atomically and durably: a new file beside it is written and synced, takes its name, and
/// the directory is synced so that the name survives too.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&part, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::lifecycle;

    /// An order with every field filled.
    pub(crate) fn an_order() -> LaunchOrder {
        let image = |id: &str| ImageRef { id: id.to_string(), url: format!("file:///images/{id}") };
        LaunchOrder {
            reservation: "r-4B2F0811".to_string(),
            owner: "alice".to_string(),
            image: image("emi-39F4105F"),
            kernel: Some(image("eki-B482178C")),
            ramdisk: Some(image("eri-10C3142E")),
            key: "ssh-rsa AAAA alice".to_string(),
            user_data: Some("#!/bin/sh\n".to_string()),
            launch_index: Some("0".to_string()),
            platform: Some("linux".to_string()),
            groups: vec!["default".to_string()],
            size: Size { name: "m1.small".to_string(), memory_mb: 128, cores: 1, disk_gb: 1, mappings: Vec::new() },
            net: Net {
                mac: "d0:0d:3c:5a:07:32".to_string(),
                private_ip: UNKNOWN_IP.to_string(),
                public_ip: UNKNOWN_IP.to_string(),
                vlan: -1,
                index: -1,
            },
        }
    }

    fn a_record() -> Record {
        let (state, _) = lifecycle::begin();
        Record::new("i-3C5A0732".parse().unwrap(), an_order(), state, Timestamp::now())
    }

    #[tokio::test]
    async fn a_record_comes_back_as_it_was_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let mut record = a_record();
        store.save(&record, None).await.unwrap();
        record.state = State::Failed("no such image".to_string());
        store.save(&record, None).await.unwrap();
        assert_eq!(Store::open(dir.path()).unwrap().1, [record.clone()]);
        let mode = fs::metadata(dir.path().join("records")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.forget(&record.id).await.unwrap();
        store.forget(&record.id).await.unwrap();
        assert_eq!(Store::open(dir.path()).unwrap().1, []);
    }

    #[tokio::test]
    async fn what_another_version_wrote_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let (record, newer) = (a_record(), Record { version: VERSION + 1, ..a_record() });
        let newer = Record { id: "i-00000001".parse().unwrap(), ..newer };
        store.save(&record, None).await.unwrap();
        store.save(&newer, None).await.unwrap();
        for _ in 0..2 {
            let (store, records) = Store::open(dir.path()).unwrap();
            assert_eq!(records, std::slice::from_ref(&record));
            assert!(store.has_unreadable(&newer.id) && !store.has_unreadable(&record.id));
        }
    }

    #[test]
    fn files_go_whole_and_a_second_time_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let record = a_record();
        let files = store.make_files(&record.id).unwrap();
        fs::write(files.disk(), "x").unwrap();
        assert_eq!(store.strangers(|_| false), std::slice::from_ref(&files.dir));
        assert!(store.strangers(|name| name == record.id.as_str()).is_empty());
        store.release_files(&record.id).unwrap();
        store.release_files(&record.id).unwrap();
        assert!(!files.dir.exists());
    }

    #[test]
    fn a_learnt_address_fills_what_was_not_given() {
        let mut record = a_record();
        assert_eq!(record.addresses(), ("0.0.0.0".to_string(), "0.0.0.0".to_string()));
        record.learnt_ip = Some([10, 1, 2, 3].into());
        assert_eq!(record.addresses(), ("10.1.2.3".to_string(), "10.1.2.3".to_string()));
        record.order.net.public_ip = "198.51.100.7".to_string();
        assert_eq!(record.addresses().1, "198.51.100.7");
    }
}
