//! What each operation does to libvirt: blocking functions on an open connection. Which thread they run on, how long
//! anyone waits and what is told to the caller is libvirt.rs's business.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorDomain, ErrorNumber};
use virt_sys as sys;

use super::domain_read::{disks_of, mark_of};
use super::domain_xml::{self, BadSpec, Driver, Target};
use super::{
    AttachedDisk, Disk, DomainKey, DomainSeen, DomainSpec, DomainState, HostInfo, Inventory, OffReason, Started,
    events, is_instance_name,
};

/// Why a call failed, before it is known what that means to its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Absent,
    /// The connection broke: a call that changes something may or may not have been carried out.
    Broken(String),
    /// Not carried out, because the domain is busy with another call (or QEMU hangs and holds its lock).
    Busy(String),
    Refused(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let text = error.message().to_owned();
        match (error.code(), error.domain()) {
            (ErrorNumber::NoDomain, _) => Failure::Absent,
            // "cannot acquire state change lock": libvirt waits 30 s for a domain's lock and then gives up.
            (ErrorNumber::OperationTimeout, _) => Failure::Busy(text),
            // Whatever the client side of the RPC reports is about the connection, whichever code it bears.
            (_, ErrorDomain::Rpc | ErrorDomain::Remote) => Failure::Broken(text),
            (
                ErrorNumber::NoConnect
                | ErrorNumber::InvalidConn
                | ErrorNumber::Rpc
                | ErrorNumber::NoServer
                | ErrorNumber::NoClient,
                _,
            ) => Failure::Broken(text),
            _ => Failure::Refused(text),
        }
    }
}

impl From<BadSpec> for Failure {
    fn from(error: BadSpec) -> Failure {
        Failure::Refused(error.to_string())
    }
}

/// This node at one hypervisor: what the calls need beside the connection.
pub struct Node {
    pub target: Target,
    /// Whether a domain carries our mark; a domain's mark does not change while its uuid lives.
    ours: Mutex<HashMap<Uuid, bool>>,
}

impl Node {
    pub fn new(target: Target) -> Node {
        Node { target, ours: Mutex::default() }
    }

    /// Whether a domain is known to be another's.
    pub fn is_foreign(&self, uuid: Uuid) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).get(&uuid) == Some(&false)
    }

    /// Whether `domain` carries this node's mark.
    fn owns(&self, domain: &Domain, key: &DomainKey) -> Result<bool, Failure> {
        if let Some(known) = self.ours.lock().unwrap_or_else(PoisonError::into_inner).get(&key.uuid) {
            return Ok(*known);
        }
        let kind = sys::VIR_DOMAIN_METADATA_ELEMENT as i32;
        let ours = match domain.get_metadata(kind, Some(domain_xml::NAMESPACE), sys::VIR_DOMAIN_AFFECT_CURRENT) {
            Ok(xml) => mark_of(&xml).is_some_and(|mark| mark.owner == self.target.owner && mark.instance == key.name),
            Err(error) if error.code() == ErrorNumber::NoDomainMetadata => false,
            Err(error) => return Err(error.into()),
        };
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(key.uuid, ours);
        Ok(ours)
    }

    /// The domain with that uuid, that name and our mark.
    fn find(&self, connect: &Connect, key: &DomainKey) -> Result<Domain, Failure> {
        let domain = Domain::lookup_by_uuid(connect, key.uuid)?;
        if domain.get_name()? == key.name && self.owns(&domain, key)? { Ok(domain) } else { Err(Failure::Absent) }
    }

    pub fn inventory(&self, connect: &Connect) -> Result<Inventory, Failure> {
        let asked = SystemTime::now();
        let mut domains = Vec::new();
        for domain in connect.list_all_domains(0)? {
            match self.see(&domain) {
                Ok(seen) => domains.extend(seen),
                // Gone since the list was made.
                Err(Failure::Absent) => {}
                Err(other) => return Err(other),
            }
        }
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.retain(|uuid, mine| !*mine || domains.iter().any(|seen: &DomainSeen| seen.key.uuid == *uuid));
        Ok(Inventory { asked, domains })
    }

    fn see(&self, domain: &Domain) -> Result<Option<DomainSeen>, Failure> {
        let key = DomainKey { name: domain.get_name()?, uuid: domain.get_uuid()? };
        if !is_instance_name(&key.name) || !self.owns(domain, &key)? {
            return Ok(None);
        }
        let state = match domain.get_state().map_err(Failure::from) {
            Ok((state, reason)) => domain_state(state, reason),
            Err(Failure::Refused(_) | Failure::Busy(_)) => DomainState::Unknown,
            Err(failure) => return Err(failure),
        };
        Ok(Some(DomainSeen { key, state, run: domain.get_id() }))
    }

    pub fn start(&self, connect: &Connect, spec: &DomainSpec) -> Result<Started, Failure> {
        let xml = domain_xml::domain(spec, &self.target)?;
        let known = match Domain::lookup_by_name(connect, &spec.key.name).map_err(Failure::from) {
            Ok(domain) => Some(domain),
            Err(Failure::Absent) => None,
            Err(failure) => return Err(failure),
        };
        if let Some(domain) = &known {
            let uuid = domain.get_uuid()?;
            if uuid != spec.key.uuid || !self.owns(domain, &spec.key)? {
                let name = &spec.key.name;
                return Err(Failure::Refused(format!("a domain {name} that is not this instance exists, uuid {uuid}")));
            }
            if domain.is_active()? {
                return Ok(Started::AlreadyRunning);
            }
        }
        let domain = Domain::define_xml(connect, &xml)?;
        match domain.create() {
            Ok(_) => Ok(Started::Now),
            Err(error) => match Failure::from(error) {
                Failure::Refused(_) if domain.is_active().unwrap_or(false) => Ok(Started::AlreadyRunning),
                failure @ (Failure::Refused(_) | Failure::Absent) => {
                    if known.is_none() {
                        // As before the call. The first error is the one to tell.
                        let _ = domain.undefine();
                    }
                    Err(failure)
                }
                failure @ (Failure::Broken(_) | Failure::Busy(_)) => Err(failure),
            },
        }
    }

    /// libvirt presses the power button and resets the machine once the guest has powered off.
    pub fn request_reboot(&self, connect: &Connect, key: &DomainKey) -> Result<(), Failure> {
        let flag = match self.target.driver {
            // Never the agent: we give the guest no channel for one.
            Driver::Qemu(_) => sys::VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
            Driver::Test => sys::VIR_DOMAIN_REBOOT_DEFAULT,
        };
        Ok(self.find(connect, key)?.reboot(flag)?)
    }

    pub fn reset(&self, connect: &Connect, key: &DomainKey) -> Result<(), Failure> {
        self.find(connect, key)?.reset()?;
        Ok(())
    }

    pub fn request_shutdown(&self, connect: &Connect, key: &DomainKey) -> Result<(), Failure> {
        let domain = self.find(connect, key)?;
        match self.target.driver {
            Driver::Qemu(_) => domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)?,
            Driver::Test => domain.shutdown()?,
        };
        Ok(())
    }

    pub fn destroy(&self, connect: &Connect, key: &DomainKey) -> Result<(), Failure> {
        let domain = self.find(connect, key)?;
        match domain.destroy() {
            Ok(()) => Ok(()),
            Err(error) => match Failure::from(error) {
                // It was off, or went off by itself at this moment. (Asked afterwards, because the error's code for
                // "not running" also means other things.)
                Failure::Refused(_) | Failure::Absent if !self.find(connect, key)?.is_active()? => Ok(()),
                failure => Err(failure),
            },
        }
    }

    pub fn undefine(&self, connect: &Connect, key: &DomainKey) -> Result<(), Failure> {
        let domain = self.find(connect, key)?;
        // libvirt would undefine a running domain and leave it running, unlisted after its end.
        if domain.is_active()? {
            return Err(Failure::Refused("the domain is running".to_owned()));
        }
        match self.target.driver {
            // A saved memory image of someone's `virsh managedsave` would hold the definition fast.
            Driver::Qemu(_) => domain.undefine_flags(sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)?,
            Driver::Test => domain.undefine()?,
        }
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.uuid);
        Ok(())
    }

    /// libvirt answers when the device is in (it waits for QEMU's answer, not for the guest's).
    pub fn attach_disk(&self, connect: &Connect, key: &DomainKey, disk: &Disk) -> Result<(), Failure> {
        let xml = domain_xml::disk(disk)?;
        let domain = self.find(connect, key)?;
        let mut flags = sys::VIR_DOMAIN_AFFECT_CONFIG;
        if domain.is_active()? {
            flags |= sys::VIR_DOMAIN_AFFECT_LIVE;
        }
        domain.attach_device_flags(&xml, flags)?;
        Ok(())
    }

    /// Asks the guest to let go. libvirt waits 5 s for it and then answers success all the same: see [`Node::holds`].
    pub fn request_detach(&self, connect: &Connect, key: &DomainKey, target: &str) -> Result<(), Failure> {
        let xml = domain_xml::disk_at(target)?;
        let domain = self.find(connect, key)?;
        let mut flags = 0;
        // An earlier detach that the guest did not obey has taken it out of the definition already.
        if has_disk(&domain, sys::VIR_DOMAIN_XML_INACTIVE, target)? {
            flags |= sys::VIR_DOMAIN_AFFECT_CONFIG;
        }
        if domain.is_active()? && has_disk(&domain, 0, target)? {
            flags |= sys::VIR_DOMAIN_AFFECT_LIVE;
        }
        if flags == 0 {
            return Err(Failure::Refused(format!("there is no disk at {target}")));
        }
        domain.detach_device_flags(&xml, flags)?;
        Ok(())
    }

    /// Whether the domain, as it is now, has a disk at `target`.
    pub fn holds(&self, connect: &Connect, key: &DomainKey, target: &str) -> Result<bool, Failure> {
        has_disk(&self.find(connect, key)?, 0, target)
    }

    pub fn disks(&self, connect: &Connect, key: &DomainKey) -> Result<Vec<AttachedDisk>, Failure> {
        read_disks(&self.find(connect, key)?, 0)
    }
}

fn read_disks(domain: &Domain, flags: sys::virDomainXMLFlags) -> Result<Vec<AttachedDisk>, Failure> {
    disks_of(&domain.get_xml_desc(flags)?).map_err(|e| Failure::Refused(format!("libvirt's XML: {e}")))
}

fn has_disk(domain: &Domain, flags: sys::virDomainXMLFlags, target: &str) -> Result<bool, Failure> {
    Ok(read_disks(domain, flags)?.iter().any(|disk| disk.target == target))
}

/// `uri` and `why` go into the description as they are.
pub fn host_info(connect: &Connect, uri: &str, why: &str) -> Result<HostInfo, Failure> {
    let node = connect.get_node_info()?;
    let hypervisor = format!(
        "{} {} (libvirt {}) via {uri}, {why}",
        connect.get_type()?,
        version(connect.get_hyp_version()?),
        version(connect.get_lib_version()?),
    );
    let architecture = domain_xml::ARCHITECTURE.to_owned();
    Ok(HostInfo { cores: node.cpus, memory_mb: node.memory / 1024, architecture, hypervisor })
}

/// libvirt counts major * 1,000,000 + minor * 1,000 + release.
fn version(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}

/// Waits until a libvirt that has just started has reached the QEMU of each of its domains again, or `within`: an
/// operation in that moment was seen to fail though it was carried out.
pub fn wait_for_domains(connect: &Connect, within: Duration) {
    let end = Instant::now() + within;
    let domains = connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE).unwrap_or_default();
    for domain in domains {
        while !events::control_ready(&domain) && Instant::now() < end {
            // libvirt tells of no event at the end of a reconnection.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// libvirt's state and reason (virDomainState and its reasons).
fn domain_state(state: sys::virDomainState, reason: i32) -> DomainState {
    match state {
        sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED => DomainState::Running,
        sys::VIR_DOMAIN_PAUSED | sys::VIR_DOMAIN_PMSUSPENDED => DomainState::Paused,
        sys::VIR_DOMAIN_SHUTDOWN => DomainState::ShuttingDown,
        sys::VIR_DOMAIN_SHUTOFF => DomainState::Off(off_reason(reason)),
        sys::VIR_DOMAIN_CRASHED => DomainState::Off(OffReason::Crashed),
        _ => DomainState::Unknown,
    }
}

fn off_reason(reason: i32) -> OffReason {
    match reason as sys::virDomainShutoffReason {
        sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN => OffReason::Shutdown,
        sys::VIR_DOMAIN_SHUTOFF_DESTROYED => OffReason::Destroyed,
        sys::VIR_DOMAIN_SHUTOFF_CRASHED => OffReason::Crashed,
        sys::VIR_DOMAIN_SHUTOFF_FAILED => OffReason::Failed,
        sys::VIR_DOMAIN_SHUTOFF_SAVED => OffReason::Saved,
        _ => OffReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_mean_what_libvirt_documents() {
        // https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState
        let table = [
            (0, 0, DomainState::Unknown),
            (1, 1, DomainState::Running),
            (2, 0, DomainState::Running),
            (3, 5, DomainState::Paused),
            (4, 1, DomainState::ShuttingDown),
            (5, 0, DomainState::Off(OffReason::Other)),
            (5, 1, DomainState::Off(OffReason::Shutdown)),
            (5, 2, DomainState::Off(OffReason::Destroyed)),
            (5, 3, DomainState::Off(OffReason::Crashed)),
            (5, 6, DomainState::Off(OffReason::Failed)),
            (6, 1, DomainState::Off(OffReason::Crashed)),
            (7, 0, DomainState::Paused),
            (42, 0, DomainState::Unknown),
        ];
        for (state, reason, expected) in table {
            assert_eq!(domain_state(state, reason), expected, "state {state} reason {reason}");
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version(7_002_022), "7.2.22");
        assert_eq!(version(9_000_000), "9.0.0");
    }
}
