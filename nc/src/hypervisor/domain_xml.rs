//! A domain as libvirt's XML. Pure: no files, no libvirt. All choices of virtual hardware are here, each with its reason.

use std::io;
use std::path::Path;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::accel::Accel;
use super::{Boot, Disk, DiskFormat, DiskSource, DomainSpec, Nic};

/// The namespace of our mark in a domain's `<metadata>`.
pub const NAMESPACE: &str = "urn:ironbark:1";

/// What guests' processors are, on every machine: translated where it has others.
pub const ARCHITECTURE: &str = "x86_64";

/// MiB of QEMU's translation cache. With QEMU's default the second boot within one QEMU process takes 7 to 16 s and
/// 490 MB instead of 2 s and 218 MB (measured with QEMU 7.2; 16 and 64 were worse too).
const TB_CACHE_MB: u32 = 32;

/// What the domain is written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub driver: Driver,
    /// Whose domain it is: the id of this node.
    pub owner: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Qemu(Accel),
    /// libvirt's mock, `test:///default`.
    Test,
}

/// A specification that cannot be written as XML or should not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadSpec {
    pub field: &'static str,
    pub problem: String,
}

/// The stable name of an instance's tap device: 11 bytes, the kernel allows 15.
/// (Names that begin with `vnet` are libvirt's own and would be replaced.)
pub fn tap_name(instance_id: &str) -> String {
    format!("ib{}", instance_id.trim_start_matches('i'))
}

/// The whole domain.
pub fn domain(spec: &DomainSpec, target: &Target) -> Result<String, BadSpec> {
    check(spec)?;
    plain("node id", &target.owner)?;
    let kind = match target.driver {
        Driver::Qemu(Accel::Kvm) => "kvm",
        Driver::Qemu(Accel::Tcg) => "qemu",
        Driver::Test => "test",
    };
    let xml = element("domain", &[("type", kind)], |w| {
        text(w, "name", &[], &spec.key.name)?;
        // Always written: defining a domain again without it fails with "already exists with uuid".
        text(w, "uuid", &[], &spec.key.uuid.hyphenated().to_string())?;
        mark(w, &spec.key.name, &target.owner)?;
        text(w, "memory", &[("unit", "MiB")], &spec.memory_mb.to_string())?;
        text(w, "vcpu", &[], &spec.vcpus.to_string())?;
        os(w, &spec.boot, target.driver)?;
        features(w, target.driver)?;
        empty(w, "clock", &[("offset", "utc")])?;
        text(w, "on_poweroff", &[], "destroy")?;
        // In place, so that the domain, its disks and its console stay the same ones across a reboot.
        text(w, "on_reboot", &[], "restart")?;
        // A crashed guest becomes "off, crashed", which is observed and told; restarting it would hide a loop.
        text(w, "on_crash", &[], "destroy")?;
        devices(w, spec, target.driver)
    })?;
    Ok(xml)
}

/// A disk by itself, for hot plug.
pub fn disk(disk: &Disk) -> Result<String, BadSpec> {
    check_disk(disk)?;
    render(|w| write_disk(w, disk))
}

/// As much of a disk as names it, to unplug it.
pub fn disk_at(target: &str) -> Result<String, BadSpec> {
    check_target(target)?;
    element("disk", &[("type", "file"), ("device", "disk")], |w| {
        empty(w, "target", &[("dev", target), ("bus", "virtio")])
    })
}

// ---- writing

type Out = Writer<Vec<u8>>;

fn render(fill: impl FnOnce(&mut Out) -> io::Result<()>) -> Result<String, BadSpec> {
    let mut writer = Writer::new(Vec::new());
    fill(&mut writer).expect("writing into memory does not fail");
    Ok(String::from_utf8(writer.into_inner()).expect("only text was written"))
}

fn element(
    name: &str,
    attributes: &[(&str, &str)],
    children: impl FnOnce(&mut Out) -> io::Result<()>,
) -> Result<String, BadSpec> {
    render(|w| nest(w, name, attributes, children))
}

fn nest(
    w: &mut Out,
    name: &str,
    attributes: &[(&str, &str)],
    children: impl FnOnce(&mut Out) -> io::Result<()>,
) -> io::Result<()> {
    w.create_element(name).with_attributes(attributes.iter().copied()).write_inner_content(children)?;
    Ok(())
}

fn text(w: &mut Out, name: &str, attributes: &[(&str, &str)], content: &str) -> io::Result<()> {
    w.create_element(name).with_attributes(attributes.iter().copied()).write_text_content(BytesText::new(content))?;
    Ok(())
}

fn empty(w: &mut Out, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    w.create_element(name).with_attributes(attributes.iter().copied()).write_empty()?;
    Ok(())
}

fn mark(w: &mut Out, instance: &str, owner: &str) -> io::Result<()> {
    let attributes = [("xmlns:ironbark", NAMESPACE), ("id", instance), ("owner", owner)];
    nest(w, "metadata", &[], |w| empty(w, "ironbark:instance", &attributes))
}

fn os(w: &mut Out, boot: &Boot, driver: Driver) -> io::Result<()> {
    // i440FX ("pc"): its PCI bus takes hot-plugged disks until it is full; q35 has one spare port by default.
    let machine: &[(&str, &str)] = match driver {
        Driver::Qemu(_) => &[("arch", ARCHITECTURE), ("machine", "pc")],
        Driver::Test => &[],
    };
    nest(w, "os", &[], |w| {
        text(w, "type", machine, "hvm")?;
        match boot {
            Boot::Kernel { kernel, ramdisk, cmdline } => {
                text(w, "kernel", &[], path_text(kernel))?;
                if let Some(ramdisk) = ramdisk {
                    text(w, "initrd", &[], path_text(ramdisk))?;
                }
                text(w, "cmdline", &[], cmdline)
            }
            Boot::Disk => empty(w, "boot", &[("dev", "hd")]),
        }
    })
}

fn features(w: &mut Out, driver: Driver) -> io::Result<()> {
    let size = TB_CACHE_MB.to_string();
    match driver {
        Driver::Qemu(accel) => {
            nest(w, "features", &[], |w| {
                // The power button: without ACPI no guest can be asked to reboot or to shut down.
                empty(w, "acpi", &[])?;
                empty(w, "apic", &[])?;
                match accel {
                    Accel::Tcg => nest(w, "tcg", &[], |w| text(w, "tb-cache", &[("unit", "MiB")], &size)),
                    Accel::Kvm => Ok(()),
                }
            })?;
            match accel {
                // The host's processor as libvirt knows it; `host-passthrough` aborts QEMU on some nested hosts.
                Accel::Kvm => empty(w, "cpu", &[("mode", "host-model")]),
                Accel::Tcg => Ok(()),
            }
        }
        Driver::Test => Ok(()),
    }
}

fn devices(w: &mut Out, spec: &DomainSpec, driver: Driver) -> io::Result<()> {
    nest(w, "devices", &[], |w| {
        for disk in &spec.disks {
            write_disk(w, disk)?;
        }
        if let Some(seed) = &spec.seed {
            write_seed(w, seed)?;
        }
        write_nic(w, &spec.nic)?;
        write_console(w, &spec.console, driver)?;
        match driver {
            Driver::Qemu(_) => {
                empty(w, "controller", &[("type", "usb"), ("model", "none")])?;
                // No balloon: the node promises the memory it says, and libvirt need not ask the guest for it.
                empty(w, "memballoon", &[("model", "none")])?;
                // Entropy at the first boot, so that host keys need not wait for it.
                nest(w, "rng", &[("model", "virtio")], |w| text(w, "backend", &[("model", "random")], "/dev/urandom"))
            }
            Driver::Test => Ok(()),
        }
    })
}

fn write_disk(w: &mut Out, disk: &Disk) -> io::Result<()> {
    let (kind, attribute, path) = match &disk.source {
        DiskSource::File(path) => ("file", "file", path),
        DiskSource::Block(path) => ("block", "dev", path),
    };
    nest(w, "disk", &[("type", kind), ("device", "disk")], |w| {
        // The format is always said: guessing it from a guest's own bytes is how a raw image becomes a qcow2 with a
        // backing file of the guest's choice. `unmap` gives blocks that the guest discards back to the host.
        empty(w, "driver", &[("name", "qemu"), ("type", format_name(disk.format)), ("discard", "unmap")])?;
        empty(w, "source", &[(attribute, path_text(path))])?;
        empty(w, "target", &[("dev", &disk.target), ("bus", "virtio")])?;
        if let Some(serial) = &disk.serial {
            text(w, "serial", &[], serial)?;
        }
        if disk.read_only {
            empty(w, "readonly", &[])?;
        }
        Ok(())
    })
}

/// On a bus of its own, so that the virtio names vdb, vdc ... are left to volumes. A read-only disk, not a CD-ROM drive:
/// cloud kernels have no IDE, and cloud-init looks at the file system's label on any block device.
fn write_seed(w: &mut Out, seed: &Path) -> io::Result<()> {
    empty(w, "controller", &[("type", "scsi"), ("model", "virtio-scsi")])?;
    nest(w, "disk", &[("type", "file"), ("device", "disk")], |w| {
        empty(w, "driver", &[("name", "qemu"), ("type", "raw")])?;
        empty(w, "source", &[("file", path_text(seed))])?;
        empty(w, "target", &[("dev", "sda"), ("bus", "scsi")])?;
        empty(w, "readonly", &[])
    })
}

fn write_nic(w: &mut Out, nic: &Nic) -> io::Result<()> {
    match nic {
        Nic::Bridge { bridge, mac, tap } => nest(w, "interface", &[("type", "bridge")], |w| {
            empty(w, "source", &[("bridge", bridge)])?;
            empty(w, "mac", &[("address", mac)])?;
            empty(w, "target", &[("dev", tap)])?;
            empty(w, "model", &[("type", "virtio")])
        }),
        Nic::User { mac } => nest(w, "interface", &[("type", "user")], |w| {
            empty(w, "mac", &[("address", mac)])?;
            empty(w, "model", &[("type", "virtio")])
        }),
    }
}

/// A pty whose output is also logged to a file. `append`, because QEMU is told to truncate otherwise and a stop and
/// start would lose the first boot's lines. Who writes the file: virtlogd under qemu:///system; QEMU itself under
/// qemu:///embed, where no virtlogd runs (`stdio_handler = "file"` in the root's qemu.conf); nobody under test://.
fn write_console(w: &mut Out, console: &Path, driver: Driver) -> io::Result<()> {
    match driver {
        Driver::Qemu(_) => nest(w, "serial", &[("type", "pty")], |w| {
            empty(w, "log", &[("file", path_text(console)), ("append", "on")])?;
            empty(w, "target", &[("port", "0")])
        }),
        Driver::Test => nest(w, "serial", &[("type", "pty")], |w| empty(w, "target", &[("port", "0")])),
    }
}

fn format_name(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("`check` has refused paths that are not text")
}

// ---- refusing

fn check(spec: &DomainSpec) -> Result<(), BadSpec> {
    plain("instance id", &spec.key.name)?;
    if spec.memory_mb == 0 || spec.vcpus == 0 {
        return Err(bad("memory and cores", "must not be 0"));
    }
    absolute("console file", &spec.console)?;
    match &spec.boot {
        Boot::Kernel { kernel, ramdisk, cmdline } => {
            absolute("kernel", kernel)?;
            ramdisk.iter().try_for_each(|path| absolute("ramdisk", path))?;
            plain("kernel command line", cmdline)?;
        }
        Boot::Disk => {}
    }
    if spec.disks.is_empty() {
        return Err(bad("disks", "there must be a root disk"));
    }
    spec.disks.iter().try_for_each(check_disk)?;
    spec.seed.iter().try_for_each(|path| absolute("seed image", path))?;
    match &spec.nic {
        Nic::Bridge { bridge, mac, tap } => {
            plain("bridge", bridge)?;
            plain("MAC address", mac)?;
            plain("tap device", tap)?;
            // IFNAMSIZ is 16 with the final NUL.
            if tap.is_empty() || tap.len() > 15 {
                return Err(bad("tap device", "a device name has 1 to 15 bytes"));
            }
            Ok(())
        }
        Nic::User { mac } => plain("MAC address", mac),
    }
}

fn check_disk(disk: &Disk) -> Result<(), BadSpec> {
    match &disk.source {
        DiskSource::File(path) | DiskSource::Block(path) => absolute("disk", path)?,
    }
    check_target(&disk.target)?;
    // What libvirt itself allows in a serial.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    match &disk.serial {
        Some(serial) if serial.is_empty() || !serial.chars().all(allowed) => {
            Err(bad("disk serial", "only letters, digits, '_', '-', '.' and blanks are allowed"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_target(target: &str) -> Result<(), BadSpec> {
    match target.as_bytes() {
        [b'v', b'd', b'a'..=b'z'] => Ok(()),
        _ => Err(bad("disk target", "must be vda, vdb, ... vdz")),
    }
}

fn absolute(field: &'static str, path: &Path) -> Result<(), BadSpec> {
    if !path.is_absolute() {
        return Err(bad(field, "the path must be absolute"));
    }
    match path.to_str() {
        Some(text) => plain(field, text),
        None => Err(bad(field, "the path must be UTF-8")),
    }
}

/// Control characters cannot be written in XML 1.0 (and NUL would cut a C string).
fn plain(field: &'static str, text: &str) -> Result<(), BadSpec> {
    match text.chars().find(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        Some(c) => Err(bad(field, &format!("the character U+{:04X} is not allowed", u32::from(c)))),
        None => Ok(()),
    }
}

fn bad(field: &'static str, problem: &str) -> BadSpec {
    BadSpec { field, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::domain_read::disks_of;
    use super::super::{AttachedDisk, DomainKey};
    use super::*;
    use uuid::Uuid;

    fn spec() -> DomainSpec {
        DomainSpec {
            key: DomainKey { name: "i-1A2B3C4D".into(), uuid: Uuid::from_u128(7) },
            memory_mb: 96,
            vcpus: 1,
            boot: Boot::Kernel {
                kernel: "/c/vmlinuz".into(),
                ramdisk: Some("/c/initrd".into()),
                cmdline: "root=/dev/vda console=ttyS0 panic=5".into(),
            },
            disks: vec![root()],
            seed: None,
            nic: Nic::User { mac: "d0:0d:1a:2b:3c:4d".into() },
            console: "/i/console.log".into(),
        }
    }

    fn root() -> Disk {
        Disk {
            source: DiskSource::File("/i/disk".into()),
            format: DiskFormat::Raw,
            target: "vda".into(),
            serial: None,
            read_only: false,
        }
    }

    fn target(driver: Driver) -> Target {
        Target { driver, owner: "node-1".into() }
    }

    #[test]
    fn a_tcg_domain_in_full() {
        let expected = concat!(
            r#"<domain type="qemu"><name>i-1A2B3C4D</name><uuid>00000000-0000-0000-0000-000000000007</uuid>"#,
            r#"<metadata><ironbark:instance xmlns:ironbark="urn:ironbark:1" id="i-1A2B3C4D" owner="node-1"/></metadata>"#,
            r#"<memory unit="MiB">96</memory><vcpu>1</vcpu>"#,
            r#"<os><type arch="x86_64" machine="pc">hvm</type><kernel>/c/vmlinuz</kernel><initrd>/c/initrd</initrd>"#,
            r#"<cmdline>root=/dev/vda console=ttyS0 panic=5</cmdline></os>"#,
            r#"<features><acpi/><apic/><tcg><tb-cache unit="MiB">32</tb-cache></tcg></features>"#,
            r#"<clock offset="utc"/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>"#,
            r#"<on_crash>destroy</on_crash><devices>"#,
            r#"<disk type="file" device="disk"><driver name="qemu" type="raw" discard="unmap"/>"#,
            r#"<source file="/i/disk"/><target dev="vda" bus="virtio"/></disk>"#,
            r#"<interface type="user"><mac address="d0:0d:1a:2b:3c:4d"/><model type="virtio"/></interface>"#,
            r#"<serial type="pty"><log file="/i/console.log" append="on"/><target port="0"/></serial>"#,
            r#"<controller type="usb" model="none"/><memballoon model="none"/>"#,
            r#"<rng model="virtio"><backend model="random">/dev/urandom</backend></rng></devices></domain>"#,
        );
        assert_eq!(domain(&spec(), &target(Driver::Qemu(Accel::Tcg))), Ok(expected.to_owned()));
    }

    #[test]
    fn kvm_has_a_processor_and_no_translation_cache() {
        let xml = domain(&spec(), &target(Driver::Qemu(Accel::Kvm))).expect("a good specification");
        assert!(xml.contains(r#"<domain type="kvm">"#) && xml.contains(r#"<cpu mode="host-model"/>"#), "{xml}");
        assert!(!xml.contains("tcg"), "{xml}");
    }

    #[test]
    fn a_whole_disk_with_seed_and_bridge() {
        let mut spec = spec();
        spec.boot = Boot::Disk;
        spec.disks[0].format = DiskFormat::Qcow2;
        spec.seed = Some("/i/seed.iso".into());
        let tap = tap_name(&spec.key.name);
        spec.nic = Nic::Bridge { bridge: "ibr0".into(), mac: "d0:0d:1a:2b:3c:4d".into(), tap };
        let xml = domain(&spec, &target(Driver::Qemu(Accel::Tcg))).expect("a good specification");
        for part in [
            r#"<boot dev="hd"/>"#,
            r#"type="qcow2""#,
            r#"<source bridge="ibr0"/>"#,
            r#"<target dev="ib-1A2B3C4D"/>"#,
            r#"<source file="/i/seed.iso"/><target dev="sda" bus="scsi"/><readonly/>"#,
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
        assert!(!xml.contains("<kernel>"), "{xml}");
    }

    #[test]
    fn text_is_escaped_and_read_back() {
        let mut spec = spec();
        spec.disks[0].source = DiskSource::File("/i/<a>&\"b\"'c'".into());
        spec.disks[0].serial = Some("vol-1".into());
        let xml = domain(&spec, &Target { driver: Driver::Test, owner: "<n>".into() }).expect("a good specification");
        assert!(xml.contains(r#"owner="&lt;n&gt;""#), "{xml}");
        let disk =
            AttachedDisk { target: "vda".into(), source: Some("/i/<a>&\"b\"'c'".into()), serial: Some("vol-1".into()) };
        assert_eq!(disks_of(&xml), Ok(vec![disk]));
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_field() {
        let refuse = |change: fn(&mut DomainSpec), field: &str| {
            let mut spec = spec();
            change(&mut spec);
            let refused = domain(&spec, &target(Driver::Test)).expect_err(field);
            assert_eq!(refused.field, field);
        };
        refuse(|s| s.memory_mb = 0, "memory and cores");
        refuse(|s| s.disks.clear(), "disks");
        refuse(|s| s.disks[0].target = "sda".into(), "disk target");
        refuse(|s| s.disks[0].serial = Some("a/b".into()), "disk serial");
        refuse(|s| s.disks[0].source = DiskSource::Block("dev/sdb".into()), "disk");
        refuse(|s| s.console = "/a\0b".into(), "console file");
        refuse(
            |s| s.boot = Boot::Kernel { kernel: "/k".into(), ramdisk: None, cmdline: "a\nb".into() },
            "kernel command line",
        );
        let long = |s: &mut DomainSpec| {
            s.nic = Nic::Bridge { bridge: "b".into(), mac: "m".into(), tap: "sixteen-letters-".into() }
        };
        refuse(long, "tap device");
    }
}
