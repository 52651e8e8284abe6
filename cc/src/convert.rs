//! Between the wire's structs and ours, both ways. Pure; decides nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ironbark_wsdl::marshal::DateTime;
use ironbark_wsdl::{CallError, cc, ironbark, nc, trace};
use jiff::Timestamp;

use crate::budget::seconds;
use crate::cluster::beliefs::Beliefs;
use crate::cluster::instance::{Coarse, Device, Instance, Spec, State, Urls, Volume};
use crate::cluster::merge::{Detail, Sighting};
use crate::cluster::node::{Identity, Node};
use crate::cluster::placements::Placement;
use crate::ids::{BadName, InstanceId};
use crate::place::{Facts, Filter, Judgement, Room, Verdict};

/// An instance as a node lists it.
///
/// # Errors
/// [`BadName`] when its id is none of ours.
pub fn sighting(instance: &nc::Instance, detail: Option<&ironbark::NodeInstance>) -> Result<Sighting, BadName> {
    let id = InstanceId::parse(&instance.instance_id)?;
    let net = instance.net_params.clone().unwrap_or_default();
    let spec = Spec {
        reservation_id: instance.reservation_id.clone(),
        owner: instance.user_id.clone(),
        image_id: instance.image_id.clone(),
        kernel_id: instance.kernel_id.clone(),
        ramdisk_id: instance.ramdisk_id.clone(),
        type_name: instance.instance_type.name.clone().unwrap_or_default(),
        size: size(&instance.instance_type),
        devices: instance.instance_type.device_mapping.iter().map(device).collect(),
        key: instance.key_name.clone(),
        mac: if net.private_mac_address.is_empty() { id.mac() } else { net.private_mac_address },
        vlan: net.vlan,
        network_index: net.network_index,
        user_data: instance.user_data.clone().unwrap_or_default(),
        launch_index: instance.launch_index.clone().unwrap_or_default(),
        platform: instance.platform.clone(),
        groups: instance.group_names.clone(),
        urls: None,
        request_id: None,
    };
    let told = detail.and_then(|detail| detail.private_ip.as_deref()).map_or(Ipv4Addr::UNSPECIFIED, address);
    let private_ip = if told.is_unspecified() { address(&net.private_ip) } else { told };
    Ok(Sighting {
        id,
        spec,
        // A state name that we do not know is taken for "there": nothing is ended because of it.
        coarse: Coarse::from_name(&instance.state_name).unwrap_or(Coarse::Extant),
        launched: instance.launch_time.map(DateTime::timestamp),
        private_ip,
        public_ip: address(&net.public_ip),
        volumes: instance.volumes.iter().map(volume).collect(),
        bundle: instance.bundle_task_state_name.clone(),
        detail: detail.and_then(self::detail),
    })
}

/// What DescribeNode tells; `None` for a state that we do not know, so that the coarse one counts.
fn detail(instance: &ironbark::NodeInstance) -> Option<Detail> {
    Some(Detail {
        state: State::from_name(&instance.state)?,
        reason: instance.reason.clone(),
        since: instance.since.timestamp(),
        boots: instance.boot_count,
        last_reboot: instance.last_reboot.clone(),
        epoch: instance.epoch,
        by_guest: instance.by_guest,
        elsewhere: instance.elsewhere == Some(true),
    })
}

/// What a node offers in all, and what it says is free.
pub fn rooms(answer: &nc::DescribeResourceResponse) -> (Room, Room) {
    let room = |memory: i32, disk: i32, cores: i32| Room {
        memory_mb: memory.into(),
        disk_gb: disk.into(),
        cores: cores.into(),
    };
    (
        room(answer.memory_size_max, answer.disk_size_max, answer.number_of_cores_max),
        room(answer.memory_size_available, answer.disk_size_available, answer.number_of_cores_available),
    )
}

/// [`rooms`] of a node of Eucalyptus 2.0.1: it answers its disk in MB, and takes the GB of each
/// instance and 512 from it as if they were MB (wire/nc.md 5.1). So what is free is counted here.
pub fn old_rooms(answer: &nc::DescribeResourceResponse, instances: &[nc::Instance]) -> (Room, Room) {
    const MB_PER_GB: i64 = 1024;
    let (mut offered, mut free) = rooms(answer);
    let there = |instance: &&nc::Instance| Coarse::from_name(&instance.state_name) != Some(Coarse::Teardown);
    let here = instances.iter().filter(there);
    let used: i64 = here.map(|instance| i64::from(instance.instance_type.disk.unwrap_or_default())).sum();
    offered.disk_gb /= MB_PER_GB;
    free.disk_gb = (offered.disk_gb - used).max(0);
    (offered, free)
}

/// Who a node says it is.
pub fn identity(node: ironbark::DescribeNodeResponse) -> Identity {
    Identity {
        node_id: Some(node.node_id),
        version: Some(node.version),
        boot_id: Some(node.boot_id),
        hypervisor: Some(node.hypervisor),
        operations: node.operations,
        facts: node.facts.map(|facts| Arc::new(self::facts(facts))),
        old_wire: None,
    }
}

fn facts(facts: ironbark::NodeFacts) -> Facts {
    Facts {
        architecture: facts.architecture,
        tags: facts.tags.into_iter().collect(),
        images: facts.images.into_iter().collect(),
    }
}

/// Why a node gave no answer to a refresh, to follow the node's name or "suspect since ...:".
pub fn miss(error: &CallError) -> String {
    match error {
        CallError::Declined { reason } => format!("it declined to describe itself: {reason}"),
        CallError::Fault { code, reason } => format!("it is not understood ({code}): {reason}"),
        CallError::Unreachable { reason } => format!("it cannot be reached: {reason}"),
        CallError::TimedOut { after, reason } => format!("it did not answer within {} s: {reason}", seconds(*after)),
    }
}

/// The size of a type; absent parts are 0, which no placement accepts.
pub fn size(machine: &nc::VirtualMachine) -> Room {
    Room {
        memory_mb: machine.memory.unwrap_or(0).into(),
        disk_gb: machine.disk.unwrap_or(0).into(),
        cores: machine.cores.unwrap_or(0).into(),
    }
}

/// What one instance of a run request is launched as.
pub fn spec(request: &cc::RunInstances, owner: &str, id: &InstanceId, index: usize) -> Spec {
    let machine = request.instance_type.clone().unwrap_or_default();
    Spec {
        reservation_id: request.reservation_id.clone(),
        owner: owner.to_string(),
        image_id: request.image_id.clone().unwrap_or_default(),
        kernel_id: present(request.kernel_id.as_ref()),
        ramdisk_id: present(request.ramdisk_id.as_ref()),
        type_name: machine.name.clone().unwrap_or_default(),
        size: size(&machine),
        devices: machine.device_mapping.iter().map(device).collect(),
        key: request.key_name.clone().unwrap_or_default(),
        // macAddresses of the request is not looked at, as in 2.0.1.
        mac: id.mac(),
        vlan: request.vlan,
        network_index: request.network_index_list.get(index).copied().unwrap_or(-1),
        user_data: request.user_data.clone(),
        launch_index: request.launch_index.clone(),
        platform: present(request.platform.as_ref()),
        groups: request.net_names.clone(),
        urls: Some(urls(request)),
        request_id: None,
    }
}

fn urls(request: &cc::RunInstances) -> Urls {
    Urls {
        image: request.image_url.clone().unwrap_or_default(),
        kernel: present(request.kernel_url.as_ref()),
        ramdisk: present(request.ramdisk_url.as_ref()),
    }
}

/// The launch of one instance, for its node. SYSTEM mode: the addresses are not known yet.
pub fn run_instance(id: &InstanceId, spec: &Spec) -> nc::RunInstance {
    let urls = spec.urls.clone().unwrap_or_default();
    let unknown = Ipv4Addr::UNSPECIFIED.to_string();
    nc::RunInstance {
        image_id: spec.image_id.clone(),
        kernel_id: spec.kernel_id.clone(),
        ramdisk_id: spec.ramdisk_id.clone(),
        image_url: urls.image,
        kernel_url: urls.kernel,
        ramdisk_url: urls.ramdisk,
        reservation_id: spec.reservation_id.clone(),
        instance_id: id.to_string(),
        instance_type: machine(spec),
        key_name: spec.key.clone(),
        net_params: nc::NetConfig {
            private_mac_address: spec.mac.clone(),
            private_ip: unknown.clone(),
            public_ip: unknown,
            vlan: spec.vlan,
            network_index: spec.network_index,
        },
        user_data: Some(spec.user_data.clone()),
        launch_index: Some(spec.launch_index.clone()),
        platform: spec.platform.clone(),
        group_names: spec.groups.clone(),
        ..Default::default()
    }
}

/// An instance for the cloud.
pub fn instance(instance: &Instance, beliefs: &Beliefs) -> cc::Instance {
    let spec = &instance.spec;
    cc::Instance {
        image_id: Some(spec.image_id.clone()),
        kernel_id: spec.kernel_id.clone(),
        ramdisk_id: spec.ramdisk_id.clone(),
        instance_id: Some(instance.id.to_string()),
        instance_type: Some(machine(spec)),
        key_name: Some(spec.key.clone()),
        launch_time: Some(instance.launched.into()),
        state_name: Some(instance.state.coarse().name().to_string()),
        net_params: Some(nc::NetConfig {
            private_mac_address: spec.mac.clone(),
            private_ip: instance.private_ip.to_string(),
            public_ip: instance.public_ip.to_string(),
            vlan: spec.vlan,
            network_index: spec.network_index,
        }),
        owner_id: Some(spec.owner.clone()),
        reservation_id: Some(spec.reservation_id.clone()),
        service_tag: beliefs.node(&instance.node).map(|node| node.entry.url.clone()),
        user_data: Some(spec.user_data.clone()),
        launch_index: Some(spec.launch_index.clone()),
        platform: spec.platform.clone(),
        bundle_task_state_name: instance.bundle.clone(),
        group_names: spec.groups.clone(),
        volumes: instance.volumes.iter().map(wire_volume).collect(),
    }
}

/// A node for DescribeCluster.
pub fn cluster_node(node: &Node, beliefs: &Beliefs) -> ironbark::ClusterNode {
    let offered = node.offered.unwrap_or_default();
    let free = beliefs.free(node);
    let facts = node.identity.facts.as_deref();
    ironbark::ClusterNode {
        name: node.entry.name.to_string(),
        url: node.entry.url.clone(),
        profile: node.entry.profile.name().to_string(),
        state: node.health.name().to_string(),
        reason: node.reason.clone(),
        since: node.since.into(),
        last_seen: node.last_seen.map(DateTime::from),
        node_id: node.identity.node_id.clone(),
        hypervisor: node.identity.hypervisor.clone(),
        memory_max: narrow(offered.memory_mb),
        memory_available: narrow(free.memory_mb),
        disk_max: narrow(offered.disk_gb),
        disk_available: narrow(free.disk_gb),
        cores_max: narrow(offered.cores),
        cores_available: narrow(free.cores),
        operations: node.identity.operations.clone(),
        architecture: facts.and_then(|facts| facts.architecture.clone()),
        tags: facts.map(|facts| facts.tags.iter().cloned().collect()).unwrap_or_default(),
        draining: node.drain.as_ref().map(ToString::to_string),
    }
}

/// An instance for DescribeCluster. A dispute between nodes is told first.
pub fn cluster_instance(instance: &Instance) -> ironbark::ClusterInstance {
    let reason = if instance.also_on.is_empty() {
        instance.reason.clone()
    } else {
        let others: Vec<&str> = instance.also_on.iter().map(|node| node.as_str()).collect();
        Some(format!("also reported by node {}: look at both, and terminate one", others.join(", ")))
    };
    ironbark::ClusterInstance {
        instance_id: instance.id.to_string(),
        node_name: instance.node.to_string(),
        state: instance.state.name().to_string(),
        reason,
        since: instance.since.into(),
        observed: instance.observed.unwrap_or(Timestamp::UNIX_EPOCH).into(),
        boot_count: instance.boots,
        last_reboot: instance.last_reboot.clone(),
        epoch: instance.epoch,
        by_guest: instance.by_guest,
    }
}

/// A span for DescribeTrace.
pub fn span(span: trace::Span) -> ironbark::Span {
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

/// A decision for DescribePlacements and PlanInstances.
pub fn placement(placement: &Placement) -> ironbark::Placement {
    let decision = &placement.decision;
    let count = |(filter, nodes): (&Filter, &usize)| ironbark::PlacementCount {
        filter: filter.name().to_string(),
        nodes: narrow_count(*nodes),
        words: filter.of_so_many(*nodes).to_string(),
    };
    ironbark::Placement {
        number: i32::try_from(placement.number).unwrap_or(i32::MAX),
        at: placement.at.into(),
        instance_id: placement.instance.as_ref().map(ToString::to_string),
        schedule: decision.schedule.name().to_string(),
        chosen: decision.chosen.as_ref().map(ToString::to_string),
        outcome: placement.outcome.name().to_string(),
        said: placement.outcome.said().map(str::to_string),
        node_count: narrow_count(placement.counts.nodes),
        counts: placement.counts.refused.iter().map(count).collect(),
        nodes: decision.verdicts.iter().map(placement_node).collect(),
    }
}

fn placement_node(verdict: &Verdict) -> ironbark::PlacementNode {
    let name = verdict.node.to_string();
    let weight = |(name, value): (&str, i64)| ironbark::PlacementWeight { name: name.to_string(), value };
    match &verdict.judgement {
        Judgement::Fits { rank, weights, assumed } => ironbark::PlacementNode {
            name,
            rank: Some(narrow_count(*rank)),
            weights: weights.named().into_iter().map(weight).collect(),
            assumed: assumed.clone(),
            ..Default::default()
        },
        Judgement::Refused(refusal) => ironbark::PlacementNode {
            name,
            filter: Some(refusal.filter.name().to_string()),
            reason: Some(refusal.sentence.clone()),
            ..Default::default()
        },
    }
}

/// A count in the wire's 32 bits.
pub fn narrow_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A number of the model in the wire's 32 bits.
pub fn narrow(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

fn machine(spec: &Spec) -> nc::VirtualMachine {
    nc::VirtualMachine {
        name: Some(spec.type_name.clone()),
        memory: Some(narrow(spec.size.memory_mb)),
        cores: Some(narrow(spec.size.cores)),
        disk: Some(narrow(spec.size.disk_gb)),
        device_mapping: spec.devices.iter().map(wire_device).collect(),
    }
}

fn device(device: &nc::DeviceMapping) -> Device {
    Device {
        name: device.device_name.clone(),
        role: device.virtual_name.clone(),
        size: device.size,
        format: device.format.clone(),
    }
}

fn wire_device(device: &Device) -> nc::DeviceMapping {
    nc::DeviceMapping {
        device_name: device.name.clone(),
        virtual_name: device.role.clone(),
        size: device.size,
        format: device.format.clone(),
    }
}

fn volume(volume: &nc::Volume) -> Volume {
    Volume {
        id: volume.volume_id.clone(),
        remote: volume.remote_dev.clone(),
        local: volume.local_dev.clone(),
        state: volume.state.clone(),
    }
}

fn wire_volume(volume: &Volume) -> nc::Volume {
    nc::Volume {
        volume_id: volume.id.clone(),
        remote_dev: volume.remote.clone(),
        local_dev: volume.local.clone(),
        state: volume.state.clone(),
    }
}

/// A dotted quad; what is none is "not known".
pub fn address(text: &str) -> Ipv4Addr {
    text.trim().parse().unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// Empty means none on this wire.
fn present(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of tests/captures/nc-05: three instances of 2 GB on 70400 MB.
    #[test]
    fn an_old_nodes_disk_is_counted_in_gb() {
        let answer = nc::DescribeResourceResponse {
            memory_size_max: 16384,
            memory_size_available: 15616,
            disk_size_max: 70400,
            disk_size_available: 68858,
            number_of_cores_max: 32,
            number_of_cores_available: 29,
            ..Default::default()
        };
        let of = |state: &str| nc::Instance {
            state_name: state.to_string(),
            instance_type: nc::VirtualMachine { disk: Some(2), ..Default::default() },
            ..Default::default()
        };
        let listed = [of("Extant"), of("Pending"), of("Extant"), of("Teardown")];
        let (offered, free) = old_rooms(&answer, &listed);
        assert_eq!((offered.disk_gb, free.disk_gb), (68, 62));
        assert_eq!((offered.memory_mb, free.memory_mb, offered.cores, free.cores), (16384, 15616, 32, 29));
        assert_eq!(old_rooms(&answer, &vec![of("Extant"); 40]).1.disk_gb, 0);
    }
}
