//! The rules for plugging disks in and out: which requests are sound, which slot a device name
//! means, what an instance's disks are. Pure but for one look at the file system; the runner does
//! the plugging.

use std::path::{Path, PathBuf};

use crate::hypervisor::{AttachedDisk, Disk, DiskFormat, DiskSource};
use crate::state::{Record, Volume, VolumeState};

/// A disk to be plugged in, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plug {
    /// The volume.
    pub volume_id: String,
    /// A block device or file of this machine.
    pub source: PathBuf,
    /// As asked for.
    pub requested: String,
    /// The slot: `vdb`.
    pub target: String,
}

/// Reads a request to attach.
///
/// # Errors
/// A sentence naming the field and what is right instead.
pub fn read_plug(volume_id: &str, remote_dev: &str, local_dev: &str) -> Result<Plug, String> {
    volume_name(volume_id)?;
    if remote_dev.contains(',') {
        return Err(
            "remoteDev is an iSCSI descriptor (it has commas); this node attaches local block devices and files only: \
                    log in to the target on the node and give the path of its device"
                .to_string(),
        );
    }
    let source = Path::new(remote_dev);
    let plain = |part: std::path::Component<'_>| !matches!(part, std::path::Component::ParentDir);
    if !source.is_absolute() || !source.components().all(plain) {
        return Err(format!("remoteDev '{remote_dev}' must be an absolute path of this node, without '..'"));
    }
    Ok(Plug {
        volume_id: volume_id.to_string(),
        source: source.to_path_buf(),
        requested: local_dev.to_string(),
        target: slot(local_dev)?,
    })
}

fn volume_name(volume_id: &str) -> Result<(), String> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if volume_id.is_empty() || volume_id.len() > 64 || !volume_id.bytes().all(harmless) {
        return Err(format!("volumeId '{}' must be 1 to 64 letters, digits and hyphens", cut(volume_id)));
    }
    Ok(())
}

/// The slot that a device name means: `/dev/sdb`, `sdb`, `/dev/vdb`, `vdb` and `xvdb` are all `vdb`.
///
/// # Errors
/// A sentence naming what is right instead. The first slot is the root disk's and is refused.
pub fn slot(local_dev: &str) -> Result<String, String> {
    let name = local_dev.strip_prefix("/dev/").unwrap_or(local_dev);
    let letter = ["xvd", "sd", "vd", "hd"].iter().find_map(|prefix| name.strip_prefix(prefix));
    match letter.map(str::as_bytes) {
        Some(b"a") => Err(format!("localDev '{local_dev}' is the root disk; choose /dev/sdb to /dev/sdz")),
        Some(&[letter @ b'b'..=b'z']) => Ok(format!("vd{}", char::from(letter))),
        Some(_) | None => {
            Err(format!("localDev '{}' must be /dev/sdb to /dev/sdz, or /dev/vdb to /dev/vdz", cut(local_dev)))
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Whether the disk can be plugged into this instance: nothing of it may be there already.
///
/// # Errors
/// A sentence naming what is in the way.
pub fn may_plug(record: &Record, plug: &Plug) -> Result<(), String> {
    for volume in &record.volumes {
        if volume.id == plug.volume_id {
            return Err(format!("volume {} is attached to {} already, as {}", volume.id, record.id, volume.requested));
        }
        if volume.target == plug.target {
            return Err(format!("localDev '{}' is taken by volume {}; choose another", plug.requested, volume.id));
        }
        if volume.source == plug.source {
            return Err(format!(
                "remoteDev '{}' is attached to {} already, as volume {}",
                plug.source.display(),
                record.id,
                volume.id
            ));
        }
    }
    Ok(())
}

/// Whether the source can be a disk: a block device or a file that is not one of this node's own.
///
/// # Errors
/// A sentence naming what is wrong with it.
pub fn check_source(source: &Path, state_dir: &Path) -> Result<(), String> {
    let real = source.canonicalize().map_err(|error| format!("remoteDev '{}': {error}", source.display()))?;
    // Another instance's disk, a record or the node's key would be read by a guest.
    if real.starts_with(state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_path_buf())) {
        return Err(format!("remoteDev '{}' belongs to this node itself", source.display()));
    }
    let meta = real.metadata().map_err(|error| format!("remoteDev '{}': {error}", source.display()))?;
    if meta.is_file() || is_block(&meta) {
        return Ok(());
    }
    Err(format!("remoteDev '{}' is neither a block device nor a file", source.display()))
}

fn is_block(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_block_device()
}

/// The volume that a request to detach means.
///
/// # Errors
/// A sentence naming what does not agree.
pub fn find<'r>(record: &'r Record, volume_id: &str, remote_dev: &str) -> Result<&'r Volume, String> {
    let volume = record.volumes.iter().find(|volume| volume.id == volume_id);
    let volume = volume.ok_or_else(|| format!("volume {} is not attached to {}", cut(volume_id), record.id))?;
    if !remote_dev.is_empty() && Path::new(remote_dev) != volume.source {
        return Err(format!(
            "volume {volume_id} is attached from '{}', not from '{}'",
            volume.source.display(),
            cut(remote_dev)
        ));
    }
    Ok(volume)
}

/// The volume as the hypervisor is to see it.
pub fn disk(volume: &Volume) -> Disk {
    let block = volume.source.metadata().is_ok_and(|meta| is_block(&meta));
    let source = volume.source.clone();
    Disk {
        source: if block { DiskSource::Block(source) } else { DiskSource::File(source) },
        format: DiskFormat::Raw,
        target: volume.target.clone(),
        serial: Some(volume.id.clone()),
        read_only: false,
    }
}

/// What the hypervisor's list says about volumes of whose plugging nobody knows: the list as it is now.
pub fn resolve(volumes: &[Volume], seen: &[AttachedDisk]) -> Vec<Volume> {
    let there = |volume: &Volume| seen.iter().any(|disk| disk.target == volume.target);
    let resolved = |volume: &Volume| match volume.state {
        VolumeState::Attached => true,
        VolumeState::Attaching | VolumeState::Detaching => there(volume),
    };
    let kept = volumes.iter().filter(|volume| resolved(volume));
    kept.map(|volume| Volume { state: VolumeState::Attached, ..volume.clone() }).collect()
}

/// What is left when the domain is off: a disk that was on its way in never came, and one on its way out is gone.
pub fn settle(volumes: &[Volume]) -> Vec<Volume> {
    volumes.iter().filter(|volume| volume.state == VolumeState::Attached).cloned().collect()
}

/// Whether the plugging of a volume is under way or of unknown outcome.
pub fn unsettled(record: &Record) -> bool {
    record.volumes.iter().any(|volume| volume.state != VolumeState::Attached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::State;
    use crate::state::tests::an_order;

    fn volume(id: &str, target: &str, state: VolumeState) -> Volume {
        Volume {
            id: id.to_string(),
            source: PathBuf::from(format!("/vols/{id}")),
            requested: format!("/dev/{target}"),
            target: target.to_string(),
            state,
        }
    }

    #[test]
    fn device_names_mean_slots() {
        for name in ["/dev/sdb", "sdb", "/dev/vdb", "vdb", "xvdb", "hdb"] {
            assert_eq!(slot(name).as_deref(), Ok("vdb"), "{name}");
        }
        for name in ["", "sda", "/dev/sda", "sdb1", "sdB", "/dev/", "sd", "../sdb", "sdbb"] {
            assert!(slot(name).unwrap_err().contains("localDev"), "{name}");
        }
    }

    #[test]
    fn requests_are_read_with_exact_errors() {
        assert!(read_plug("vol-1", "/dev/loop0", "sdb").is_ok());
        for (id, remote, local, field) in [
            ("", "/d", "sdb", "volumeId"),
            ("v'/>", "/d", "sdb", "volumeId"),
            ("vol-1", "10.0.0.1,iqn.x,pw", "sdb", "iSCSI"),
            ("vol-1", "d", "sdb", "absolute"),
            ("vol-1", "/vols/../etc/shadow", "sdb", "'..'"),
            ("vol-1", "/d", "sdq1", "localDev"),
        ] {
            let error = read_plug(id, remote, local).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn a_secret_of_a_descriptor_is_not_repeated() {
        assert!(!read_plug("vol-1", "10.0.0.1,iqn.x,secret", "sdb").unwrap_err().contains("secret"));
    }

    #[test]
    fn nothing_is_plugged_twice() {
        let mut record = Record::new("i-00000001".parse().unwrap(), an_order(), State::Running, jiff::Timestamp::now());
        record.volumes.push(volume("vol-1", "vdb", VolumeState::Attached));
        for (id, remote, local) in [("vol-1", "/x", "sdc"), ("vol-2", "/x", "sdb"), ("vol-2", "/vols/vol-1", "sdc")] {
            assert!(may_plug(&record, &read_plug(id, remote, local).unwrap()).is_err(), "{id} {remote} {local}");
        }
        assert!(may_plug(&record, &read_plug("vol-2", "/x", "sdc").unwrap()).is_ok());
        assert!(find(&record, "vol-2", "").unwrap_err().contains("not attached"));
        assert!(find(&record, "vol-1", "/other").is_err());
        assert!(find(&record, "vol-1", "/vols/vol-1").is_ok());
    }

    #[test]
    fn what_nobody_knows_is_decided_by_what_is_seen() {
        let volumes = [
            volume("vol-1", "vdb", VolumeState::Attached),
            volume("vol-2", "vdc", VolumeState::Attaching),
            volume("vol-3", "vdd", VolumeState::Detaching),
        ];
        let seen = |target: &str| AttachedDisk { target: target.to_string(), source: None, serial: None };
        let ids = |volumes: Vec<Volume>| volumes.into_iter().map(|volume| volume.id).collect::<Vec<_>>();
        assert_eq!(ids(resolve(&volumes, &[seen("vda"), seen("vdc")])), ["vol-1", "vol-2"]);
        assert_eq!(ids(resolve(&volumes, &[seen("vdd")])), ["vol-1", "vol-3"]);
        assert_eq!(ids(settle(&volumes)), ["vol-1"]);
    }

    #[test]
    fn the_nodes_own_files_are_no_volumes() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("key.pem"), "").unwrap();
        std::fs::write(dir.path().join("vol"), "").unwrap();
        std::os::unix::fs::symlink(own.join("key.pem"), dir.path().join("link")).unwrap();
        assert!(check_source(&dir.path().join("vol"), &own).is_ok());
        for bad in ["own/key.pem", "link", "own", "absent"] {
            assert!(check_source(&dir.path().join(bad), &own).is_err(), "{bad}");
        }
        assert!(check_source(dir.path(), &own).unwrap_err().contains("neither"));
    }
}
