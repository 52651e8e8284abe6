//! Between the wire and the model: a launch read and checked field by field, an instance written as
//! 2.0.1 and as Ironbark have it. Pure. Wire types go no further in than this.

use ironbark_wsdl::marshal::DateTime;
use ironbark_wsdl::{ironbark, nc};

use crate::address::{format_mac, parse_mac};
use crate::ids::InstanceId;
use crate::inventory::{Found, Inventory};
use crate::lifecycle::{State, Why};
use crate::state::{ImageRef, LaunchOrder, Mapping, Net, Record, Resized, Size, UNKNOWN_IP, VolumeState};

/// The longest text that 2.0.1 keeps of ids, names and URLs (wire/nc.md 9.17).
const TEXT_LIMIT: usize = 512;
/// The longest public key; an RSA key of 16,384 bits takes 2,800 characters.
const KEY_LIMIT: usize = 16 * 1024;
/// EC2's 16 KiB of user data in the form of the wire, base64 at worst.
const USER_DATA_LIMIT: usize = 24 * 1024;
/// The most groups that 2.0.1 keeps.
const GROUP_LIMIT: usize = 64;

/// Reads a launch.
///
/// # Errors
/// A sentence naming the field, what is wrong with it, and what would be right.
pub fn read_launch(request: nc::RunInstance, owner: String) -> Result<(InstanceId, LaunchOrder), String> {
    let id: InstanceId = request.instance_id.parse().map_err(|error: crate::ids::BadInstanceId| error.to_string())?;
    if request.key_name.len() > KEY_LIMIT {
        return Err(format!("keyName has {} bytes; at most {KEY_LIMIT} are taken", request.key_name.len()));
    }
    let user_data_len = request.user_data.as_deref().map_or(0, str::len);
    if user_data_len > USER_DATA_LIMIT {
        return Err(format!("userData has {user_data_len} bytes; at most {USER_DATA_LIMIT} are taken"));
    }
    if request.group_names.len() > GROUP_LIMIT {
        return Err(format!("{} groupNames; at most {GROUP_LIMIT} are taken", request.group_names.len()));
    }
    let order = LaunchOrder {
        reservation: needed("reservationId", request.reservation_id)?,
        owner: needed("userId", owner)?,
        image: image("imageId", request.image_id, "imageURL", request.image_url)?,
        kernel: optional_image("kernelId", request.kernel_id, "kernelURL", request.kernel_url)?,
        ramdisk: optional_image("ramdiskId", request.ramdisk_id, "ramdiskURL", request.ramdisk_url)?,
        key: request.key_name,
        user_data: request.user_data,
        launch_index: request.launch_index,
        platform: request.platform,
        groups: request.group_names,
        size: read_size(request.instance_type)?,
        net: read_net(&id, request.net_params)?,
    };
    if order.ramdisk.is_some() && order.kernel.is_none() {
        return Err("ramdiskId is given without a kernelId; a ramdisk needs the kernel that loads it".to_string());
    }
    Ok((id, order))
}

fn needed(field: &str, value: String) -> Result<String, String> {
    if value.is_empty() {
        return Err(format!("{field} is missing"));
    }
    if value.len() > TEXT_LIMIT || value.chars().any(char::is_control) {
        return Err(format!("{field} must be at most {TEXT_LIMIT} bytes without control characters"));
    }
    Ok(value)
}

fn image(id_field: &str, id: String, url_field: &str, url: String) -> Result<ImageRef, String> {
    let id = needed(id_field, id)?;
    let url = needed(url_field, url)?;
    Ok(ImageRef { id, url })
}

/// An empty id means none, as in 2.0.1.
fn optional_image(
    id_field: &str,
    id: Option<String>,
    url_field: &str,
    url: Option<String>,
) -> Result<Option<ImageRef>, String> {
    match id.filter(|id| !id.is_empty()) {
        None => Ok(None),
        Some(id) => image(id_field, id, url_field, url.unwrap_or_default()).map(Some),
    }
}

fn read_size(wire: nc::VirtualMachine) -> Result<Size, String> {
    let at_least_one = |field: &str, value: Option<i32>| match value {
        Some(value) if value >= 1 => Ok(value.unsigned_abs()),
        Some(value) => Err(format!("instanceType/{field} is {value}; it must be at least 1")),
        None => Err(format!("instanceType/{field} is missing")),
    };
    Ok(Size {
        memory_mb: u64::from(at_least_one("memory", wire.memory)?),
        cores: at_least_one("cores", wire.cores)?,
        disk_gb: u64::from(at_least_one("disk", wire.disk)?),
        name: wire.name.unwrap_or_default(),
        mappings: wire
            .device_mapping
            .into_iter()
            .map(|mapping| Mapping {
                device: mapping.device_name,
                role: mapping.virtual_name,
                size: mapping.size,
                format: mapping.format,
            })
            .collect(),
    })
}

/// What a stopped instance is to have from now on.
///
/// # Errors
/// The field that is wrong.
pub fn resized(wire: ironbark::Size) -> Result<Resized, String> {
    let at_least_one = |field: &str, value: i32| match value {
        1.. => Ok(value.unsigned_abs()),
        _ => Err(format!("size/{field} is {value}; it must be at least 1")),
    };
    Ok(Resized {
        memory_mb: u64::from(at_least_one("memory", wire.memory)?),
        cores: at_least_one("cores", wire.cores)?,
        name: wire.name,
    })
}

/// The MAC is taken as it comes, in lower case; an empty one is made of the instance's digits as 2.0.1's CC does it.
fn read_net(id: &InstanceId, wire: nc::NetConfig) -> Result<Net, String> {
    let mac = if wire.private_mac_address.is_empty() { made_mac(id) } else { wire.private_mac_address };
    let mac = parse_mac(&mac).ok_or_else(|| {
        format!("netParams/privateMacAddress '{}' must be six pairs of hexadecimal digits with colons, and no group address", cut(&mac))
    })?;
    Ok(Net {
        mac: format_mac(mac),
        private_ip: read_ip("privateIp", &wire.private_ip)?,
        public_ip: read_ip("publicIp", &wire.public_ip)?,
        vlan: wire.vlan,
        index: wire.network_index,
    })
}

fn made_mac(id: &InstanceId) -> String {
    let digits = &id.as_str()[2..];
    format!("d0:0d:{}:{}:{}:{}", &digits[0..2], &digits[2..4], &digits[4..6], &digits[6..8])
}

fn read_ip(field: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(UNKNOWN_IP.to_string());
    }
    let ip: Result<std::net::Ipv4Addr, _> = text.parse();
    ip.map(|ip| ip.to_string())
        .map_err(|_| format!("netParams/{field} '{}' must be a dotted quad; 0.0.0.0 for none", cut(text)))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The states as 2.0.1's cluster knows them (wire/nc.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldState {
    /// Not running yet.
    Pending,
    /// There.
    Extant,
    /// Gone, or going.
    Teardown,
}

impl OldState {
    /// What 2.0.1's cluster makes of a state.
    pub fn of(state: &State) -> Self {
        match state {
            State::Pending(_) | State::Starting(_) => Self::Pending,
            State::Running | State::Rebooting(_) | State::Stopping(_) | State::Stopped(_) => Self::Extant,
            State::ShuttingDown(..) | State::Terminated | State::Failed(_) => Self::Teardown,
        }
    }

    /// `stateName`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Extant => "Extant",
            Self::Teardown => "Teardown",
        }
    }

    /// The number in ncTerminateInstanceResponse.
    pub fn code(self) -> &'static str {
        match self {
            Self::Pending => "12",
            Self::Extant => "13",
            Self::Teardown => "14",
        }
    }
}

/// An instance in 2.0.1's words.
pub fn instance(record: &Record) -> nc::Instance {
    let order = &record.order;
    let (private_ip, public_ip) = record.addresses();
    let attached = record.volumes.iter().filter(|volume| volume.state == VolumeState::Attached);
    nc::Instance {
        reservation_id: order.reservation.clone(),
        instance_id: record.id.to_string(),
        image_id: order.image.id.clone(),
        kernel_id: Some(order.kernel.as_ref().map(|image| image.id.clone()).unwrap_or_default()),
        ramdisk_id: Some(order.ramdisk.as_ref().map(|image| image.id.clone()).unwrap_or_default()),
        user_id: order.owner.clone(),
        key_name: order.key.clone(),
        instance_type: size(&order.size),
        net_params: Some(nc::NetConfig {
            private_mac_address: order.net.mac.to_ascii_uppercase(),
            private_ip,
            public_ip,
            vlan: order.net.vlan,
            network_index: order.net.index,
        }),
        state_name: OldState::of(&record.state).name().to_string(),
        bundle_task_state_name: Some("none".to_string()),
        launch_time: Some(DateTime::from(record.launched)),
        user_data: order.user_data.clone(),
        launch_index: order.launch_index.clone(),
        platform: order.platform.clone(),
        group_names: order.groups.clone(),
        volumes: attached
            .map(|volume| nc::Volume {
                volume_id: Some(volume.id.clone()),
                remote_dev: Some(volume.source.display().to_string()),
                local_dev: Some(format!("unknown,requested:{}", volume.requested)),
                state: Some("attached".to_string()),
            })
            .collect(),
        service_tag: None,
    }
}

fn size(size: &Size) -> nc::VirtualMachine {
    nc::VirtualMachine {
        name: Some(size.name.clone()),
        memory: Some(number(size.memory_mb)),
        cores: Some(number(u64::from(size.cores))),
        disk: Some(number(size.disk_gb)),
        device_mapping: size
            .mappings
            .iter()
            .map(|mapping| nc::DeviceMapping {
                device_name: mapping.device.clone(),
                virtual_name: mapping.role.clone(),
                size: mapping.size,
                format: mapping.format.clone(),
            })
            .collect(),
    }
}

/// A number as the wire's 32 bits carry it: what is larger is told as the largest.
pub fn number(value: u64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// An instance in Ironbark's words.
pub fn node_instance(record: &Record) -> ironbark::NodeInstance {
    let (private_ip, _) = record.addresses();
    ironbark::NodeInstance {
        instance_id: record.id.to_string(),
        state: record.state.name().to_string(),
        reason: record.reason.clone(),
        since: DateTime::from(record.since),
        boot_count: number(u64::from(record.boots)),
        last_reboot: record.last_reboot.clone(),
        private_ip: (private_ip != UNKNOWN_IP).then_some(private_ip),
        epoch: record.operation.as_ref().map(|operation| operation.epoch),
        by_guest: match &record.state {
            State::Stopped(why) => Some(*why == Why::GuestShutDown),
            _ => None,
        },
        elsewhere: record.state.is_failing().then_some(record.elsewhere),
    }
}

/// What is there, in Ironbark's words.
pub fn inventory(node_name: &str, inventory: &Inventory) -> ironbark::Inventory {
    let instance = |found: &Found| ironbark::InventoryInstance {
        instance_id: found.record.id.to_string(),
        owner_id: found.record.order.owner.clone(),
        state: found.record.state.name().to_string(),
        reason: found.record.reason.clone(),
        since: DateTime::from(found.record.since),
        domain: found.domain.map(|domain| domain.name().to_string()),
        files: found.files,
    };
    let megabytes = |bytes: u64| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
    ironbark::Inventory {
        node_name: node_name.to_string(),
        trouble: None,
        hypervisor_trouble: inventory.hypervisor_trouble.clone(),
        instances: inventory.instances.iter().map(instance).collect(),
        strange_domains: inventory.strange_domains.clone(),
        strange_files: inventory.strange_files.clone(),
        unreadable: inventory.unreadable.clone(),
        disk_free: megabytes(inventory.disk_free),
        cache_size: megabytes(inventory.cache_size),
    }
}

/// A span in Ironbark's words.
pub fn span(span: ironbark_wsdl::Span) -> ironbark::Span {
    ironbark::Span {
        request_id: span.request_id,
        id: span.id,
        parent: span.parent,
        tier: span.tier,
        name: span.name,
        detail: span.detail,
        start: span.start,
        duration: span.duration,
        outcome: span.outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{End, Removal, Why};

    /// The launch of wire/nc.md 8.1.
    fn a_launch() -> nc::RunInstance {
        nc::RunInstance {
            user_id: Some("alice".to_string()),
            image_id: "emi-39F4105F".to_string(),
            kernel_id: Some("eki-B482178C".to_string()),
            ramdisk_id: Some(String::new()),
            image_url: "http://10.0.0.2/root".to_string(),
            kernel_url: Some("http://10.0.0.2/vmlinuz".to_string()),
            reservation_id: "r-4B2F0811".to_string(),
            instance_id: "i-3C5A0732".to_string(),
            instance_type: nc::VirtualMachine {
                name: Some("m1.small".to_string()),
                memory: Some(128),
                cores: Some(1),
                disk: Some(10),
                device_mapping: Vec::new(),
            },
            key_name: "ssh-rsa AAAA alice".to_string(),
            net_params: nc::NetConfig {
                private_mac_address: "D0:0D:3C:5A:07:32".to_string(),
                private_ip: "0.0.0.0".to_string(),
                public_ip: String::new(),
                vlan: -1,
                network_index: -1,
            },
            user_data: Some("#!/bin/sh".to_string()),
            group_names: vec!["default".to_string()],
            ..nc::RunInstance::default()
        }
    }

    #[test]
    fn a_launch_goes_in_and_comes_out() {
        let request = a_launch();
        let (id, order) = read_launch(request.clone(), "alice".to_string()).unwrap();
        assert_eq!(order.net.mac, "d0:0d:3c:5a:07:32");
        assert!(order.ramdisk.is_none());
        let (state, _) = crate::lifecycle::begin();
        let wire = instance(&Record::new(id, order, state, jiff::Timestamp::now()));
        assert_eq!(wire.instance_type, request.instance_type);
        assert_eq!(wire.net_params.unwrap().private_mac_address, request.net_params.private_mac_address);
        assert_eq!((wire.state_name.as_str(), wire.user_data), ("Pending", request.user_data));
    }

    #[test]
    fn a_launch_without_a_mac_gets_the_instances_own() {
        let mut request = a_launch();
        request.net_params.private_mac_address.clear();
        let (_, order) = read_launch(request, "alice".to_string()).unwrap();
        assert_eq!(order.net.mac, "d0:0d:3c:5a:07:32");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |field: &str, change: fn(&mut nc::RunInstance)| {
            let mut request = a_launch();
            change(&mut request);
            let reason = read_launch(request, "alice".to_string()).unwrap_err();
            assert!(reason.contains(field), "{field}: {reason}");
        };
        check("instanceId", |request| request.instance_id = "../etc".to_string());
        check("reservationId", |request| request.reservation_id.clear());
        check("imageURL", |request| request.image_url.clear());
        check("kernelURL", |request| request.kernel_url = None);
        check("ramdiskId", |request| {
            (request.kernel_id, request.ramdisk_id, request.ramdisk_url) =
                (None, Some("eri-1".into()), Some("http://x/".into()))
        });
        check("instanceType/memory", |request| request.instance_type.memory = Some(0));
        check("instanceType/cores", |request| request.instance_type.cores = None);
        check("instanceType/disk", |request| request.instance_type.disk = Some(-1));
        check("privateMacAddress", |request| request.net_params.private_mac_address = "zz".to_string());
        check("publicIp", |request| request.net_params.public_ip = "1.2.3".to_string());
        check("keyName", |request| request.key_name = "x".repeat(KEY_LIMIT + 1));
        check("userData", |request| request.user_data = Some("x".repeat(USER_DATA_LIMIT + 1)));
        assert!(read_launch(a_launch(), String::new()).unwrap_err().contains("userId"));
    }

    #[test]
    fn every_state_has_one_of_the_three_old_names() {
        for (state, name, code) in [
            (State::Running, "Extant", "13"),
            (State::Stopped(Why::Obeyed), "Extant", "13"),
            (State::ShuttingDown(Removal::Domain, End::Terminated), "Teardown", "14"),
            (State::Failed("x".to_string()), "Teardown", "14"),
            (crate::lifecycle::begin().0, "Pending", "12"),
        ] {
            let old = OldState::of(&state);
            assert_eq!((old.name(), old.code()), (name, code), "{state:?}");
        }
    }
}
