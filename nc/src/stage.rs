//! From a launch order to the files and the domain that it means: images, seed disk, kernel
//! command line, domain specification. Knows no states; the runner decides when.

use std::io::Read;
use std::path::Path;

use ironbark_wsdl::Context;
use ironbark_wsdl::marshal::bytes_carried;

use crate::hypervisor::domain_xml::tap_name;
use crate::hypervisor::{Boot, Disk, DiskFormat, DiskSource, DomainKey, DomainSpec, Nic};
use crate::images::{Format, ImageError, ImageStore, Kind, Order, Progress, StagedImage};
use crate::seed::Seed;
use crate::state::{ImageRef, InstanceFiles, Record, Staged, VolumeState};
use crate::volumes;

/// The most a kernel or a ramdisk may be. Debian's largest are some 100 MiB.
const KERNEL_LIMIT: u64 = 512 << 20;
const GIB: u64 = 1 << 30;

/// Why an instance's files were not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmade {
    /// One line that says which image or file, what is wrong and, where there is one, the way out.
    pub reason: String,
    /// Whether another node may do better: it is not the image that is wrong.
    pub elsewhere: bool,
}

impl Unmade {
    /// This node's own trouble.
    pub fn here(reason: String) -> Self {
        Self { reason, elsewhere: true }
    }
}

impl From<ImageError> for Unmade {
    fn from(error: ImageError) -> Self {
        let elsewhere = match &error {
            ImageError::BadUrl { .. } | ImageError::TooLarge { .. } => false,
            ImageError::Digest { .. } | ImageError::Refused { .. } => false,
            // What one node cannot read or may not fetch, another may have.
            ImageError::NotAllowed { .. } | ImageError::Source { .. } | ImageError::Stalled { .. } => true,
            ImageError::Disk { .. } | ImageError::Tool { .. } => true,
        };
        Self { reason: with_causes(&error), elsewhere }
    }
}

/// Makes everything an instance needs on disk. May be called again after it was cut short: what is there is replaced.
///
/// # Errors
/// What is missing, and whose trouble that is.
pub async fn stage(
    ctx: &Context,
    images: &ImageStore,
    record: &Record,
    files: &InstanceFiles,
) -> Result<Staged, Unmade> {
    let order = &record.order;
    let disk = image(ctx, images, record, files, Kind::Root, &order.image).await?;
    if let Some(kernel) = &order.kernel {
        image(ctx, images, record, files, Kind::Kernel, kernel).await?;
    }
    if let Some(ramdisk) = &order.ramdisk {
        image(ctx, images, record, files, Kind::Ramdisk, ramdisk).await?;
    }
    seed(ctx, record, files).await.map_err(Unmade::here)?;
    let partitioned = is_partitioned(&disk.path, disk.format).map_err(Unmade::here)?;
    Ok(Staged { disk_format: disk.format, partitioned })
}

async fn image(
    ctx: &Context,
    images: &ImageStore,
    record: &Record,
    files: &InstanceFiles,
    kind: Kind,
    wanted: &ImageRef,
) -> Result<StagedImage, Unmade> {
    let size = record.order.size.disk_gb.saturating_mul(GIB);
    let target = files.image(kind);
    let (limit, grow_to) = match kind {
        Kind::Root => (size, Some(size)),
        Kind::Kernel | Kind::Ramdisk => (KERNEL_LIMIT, None),
    };
    let order = Order { image_id: &wanted.id, url: &wanted.url, kind, target: &target, limit, grow_to };
    let span = ctx.start("nc.image", format!("{} {}", record.id, wanted.id));
    let told = std::sync::atomic::AtomicU64::new(0);
    let progress = |progress: Progress| log_progress(record, wanted, progress, &told);
    match images.stage(&order, progress).await {
        Ok(staged) => {
            span.finish("ok");
            Ok(staged)
        }
        Err(error) => {
            let unmade = Unmade::from(error);
            span.finish(&unmade.reason);
            Err(unmade)
        }
    }
}

/// Tells of every further 64 MiB.
fn log_progress(record: &Record, wanted: &ImageRef, progress: Progress, told: &std::sync::atomic::AtomicU64) {
    let step = progress.received >> 26;
    if told.swap(step, std::sync::atomic::Ordering::Relaxed) < step {
        tracing::info!(
            event = "nc.image.progress", instance = %record.id, image = wanted.id,
            received_mb = progress.received >> 20, total_mb = progress.total.map(|total| total >> 20)
        );
    }
}

async fn seed(ctx: &Context, record: &Record, files: &InstanceFiles) -> Result<(), String> {
    let order = &record.order;
    let key = order.key.trim();
    // The wire carries bytes that are no text in a form of its own.
    let user_data = bytes_carried(order.user_data.as_deref().unwrap_or_default());
    let seed = Seed {
        instance_id: record.id.as_str(),
        hostname: &record.id.as_str().to_ascii_lowercase(),
        public_key: (!key.is_empty()).then_some(key),
        user_data: &user_data,
    };
    let span = ctx.start("nc.seed", record.id.as_str());
    let written = seed.write(&files.seed()).await.map_err(|error| with_causes(&error));
    span.finish(written.as_ref().err().map_or("ok", String::as_str));
    written
}

/// An error and its causes in one line: what the operator reads in `reason`.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The domain that a record means.
///
/// # Errors
/// When the instance's files were never made.
pub fn domain(record: &Record, files: &InstanceFiles, bridge: Option<&str>) -> Result<DomainSpec, String> {
    let staged = record.staged.as_ref().ok_or("its files were never made")?;
    let root = files.disk();
    let boot = match &record.order.kernel {
        None => Boot::Disk,
        Some(_) => Boot::Kernel {
            kernel: files.image(Kind::Kernel),
            ramdisk: record.order.ramdisk.as_ref().map(|_| files.image(Kind::Ramdisk)),
            cmdline: format!("root={} console=ttyS0", if staged.partitioned { "/dev/vda1" } else { "/dev/vda" }),
        },
    };
    let format = match staged.disk_format {
        Format::Raw => DiskFormat::Raw,
        Format::Qcow2 => DiskFormat::Qcow2,
    };
    let mut disks = vec![Disk {
        source: DiskSource::File(root),
        format,
        target: "vda".to_string(),
        serial: None,
        read_only: false,
    }];
    let attached = record.volumes.iter().filter(|volume| volume.state == VolumeState::Attached);
    disks.extend(attached.map(volumes::disk));
    let mac = record.order.net.mac.clone();
    Ok(DomainSpec {
        key: key(record),
        memory_mb: record.order.size.memory_mb,
        vcpus: record.order.size.cores,
        boot,
        disks,
        seed: Some(files.seed()),
        nic: match bridge {
            Some(bridge) => Nic::Bridge { bridge: bridge.to_string(), mac, tap: tap_name(record.id.as_str()) },
            None => Nic::User { mac },
        },
        console: files.console(),
    })
}

/// The identity of a record's domain.
pub fn key(record: &Record) -> DomainKey {
    DomainKey { name: record.id.to_string(), uuid: record.uuid }
}

/// Whether a kernel finds its root in the disk's first partition. Eucalyptus' images are file systems without a partition
/// table, and a qcow2 is taken for one, since only a raw disk can be looked into here. Looked at before the guest could
/// write to it, and written down.
fn is_partitioned(disk: &Path, format: Format) -> Result<bool, String> {
    let mut head = [0u8; 512];
    let read = std::fs::File::open(disk).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(|error| format!("{}: cannot be read: {error}", disk.display()))?;
    match format {
        Format::Raw => Ok(has_partitions(&head)),
        Format::Qcow2 => Ok(false),
    }
}

/// Whether a disk's first sector is an MBR whose first partition is of some type (offset 446 + 4), not just a boot sector.
fn has_partitions(sector: &[u8; 512]) -> bool {
    sector[510..] == [0x55, 0xaa] && sector[446] & 0x7f == 0 && sector[450] != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::State;
    use crate::state::tests::an_order;
    use crate::state::{Volume, VolumeState};

    fn a_record(dir: &Path) -> (Record, InstanceFiles) {
        let mut record = Record::new("i-3C5A0732".parse().unwrap(), an_order(), State::Running, jiff::Timestamp::now());
        record.staged = Some(Staged { disk_format: Format::Raw, partitioned: false });
        let files = InstanceFiles { dir: dir.to_path_buf() };
        (record, files)
    }

    #[test]
    fn a_kernel_gets_the_disk_as_root_and_volumes_come_along() {
        let dir = tempfile::tempdir().unwrap();
        let (mut record, files) = a_record(dir.path());
        for (id, target, state) in [("vol-1", "vdb", VolumeState::Attached), ("vol-2", "vdc", VolumeState::Attaching)] {
            let (id, target) = (id.to_string(), target.to_string());
            record.volumes.push(Volume { id, source: "/v".into(), requested: target.clone(), target, state });
        }
        let spec = domain(&record, &files, Some("ibr0")).unwrap();
        assert!(
            matches!(&spec.boot, Boot::Kernel { cmdline, .. } if cmdline == "root=/dev/vda console=ttyS0"),
            "{:?}",
            spec.boot
        );
        assert_eq!(spec.disks.iter().map(|disk| disk.target.as_str()).collect::<Vec<_>>(), ["vda", "vdb"]);
        assert_eq!(
            spec.nic,
            Nic::Bridge { bridge: "ibr0".into(), mac: "d0:0d:3c:5a:07:32".into(), tap: "ib-3C5A0732".into() }
        );
    }

    #[test]
    fn without_kernel_or_bridge_the_disk_boots_and_the_network_is_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let (mut record, files) = a_record(dir.path());
        record.order.kernel = None;
        let spec = domain(&record, &files, None).unwrap();
        assert_eq!(spec.boot, Boot::Disk);
        assert!(matches!(spec.nic, Nic::User { .. }));
    }

    #[test]
    fn a_partitioned_disk_has_its_root_in_the_first_partition() {
        let mut sector = [0u8; 512];
        assert!(!has_partitions(&sector));
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert!(!has_partitions(&sector), "a boot sector alone is no table");
        sector[450] = 0x83;
        assert!(has_partitions(&sector));
    }
}
