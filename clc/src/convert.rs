//! Between the three vocabularies: the clusters' wire, the records, and EC2. Pure.

use ironbark_wsdl::cc;
use ironbark_wsdl::ironbark::{self, ClusterInstance, ClusterNode, DescribeClusterResponse};
use ironbark_wsdl::marshal::carry_bytes;
use ironbark_wsdl::nc::VirtualMachine;
use ironbark_wsdl::{Epochs, Span};
use jiff::Timestamp;

use crate::clusters::{Description, Node, Room};
use crate::doctor::scene;
use crate::ec2::addresses as ec2_addresses;
use crate::ec2::admin::{Decision, NodeLine, ReasonCount};
use crate::ec2::images as ec2_images;
use crate::ec2::instances as ec2;
use crate::ec2::keys as ec2_keys;
use crate::ec2::placement_groups as ec2_placement;
use crate::ids;
use crate::lifecycle::{Due, Observed};
use crate::placement::Wanted;
use crate::store::{Address, Image, Instance, KeyPair, PlacementGroup, Reason, Report, Reservation, Resized};
use crate::types::{SIZES, Size};

/// The platform that 2.0.1's clusters demand to be told.
const PLATFORM: &str = "linux";

/// A moment of the records as a time; the epoch for one that no calendar has.
pub fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The launch of those instances of a reservation that no cluster has taken yet.
pub fn run_instances(reservation: &Reservation, instances: &[Instance]) -> cc::RunInstances {
    let waiting: Vec<&Instance> = instances.iter().filter(|instance| instance.due() == Due::Launch).collect();
    let kept =
        instances.iter().filter(|instance| matches!(instance.observed, Observed::Pending | Observed::Running)).count();
    let count = int(waiting.len());
    // Those taken already count towards the minimum, and the rest cannot be more than is asked for.
    let minimum = int(reservation.min_count).saturating_sub(int(kept)).clamp(1, count.max(1));
    let (kernel_id, kernel_url) = reservation.kernel.clone().unzip();
    let (ramdisk_id, ramdisk_url) = reservation.ramdisk.clone().unzip();
    cc::RunInstances {
        image_id: Some(reservation.image_id.clone()),
        kernel_id,
        ramdisk_id,
        image_url: Some(reservation.image_url.clone()),
        kernel_url,
        ramdisk_url,
        instance_type: Some(VirtualMachine {
            name: Some(reservation.type_name.clone()),
            memory: Some(int(reservation.memory_mb)),
            cores: Some(int(reservation.cores)),
            disk: Some(int(reservation.disk_gb)),
            ..VirtualMachine::default()
        }),
        key_name: Some(reservation.public_key.clone()),
        max_count: count,
        min_count: minimum,
        reservation_id: reservation.id.clone(),
        instance_ids: waiting.iter().map(|instance| instance.id.clone()).collect(),
        net_names: reservation.groups.iter().map(|group| group.name.clone()).collect(),
        mac_addresses: waiting.iter().map(|instance| ids::mac(&instance.id)).collect(),
        vlan: -1,
        user_data: carry_bytes(&reservation.user_data),
        launch_index: waiting.first().map_or(0, |instance| instance.launch_index).to_string(),
        platform: Some(PLATFORM.to_string()),
        ..cc::RunInstances::default()
    }
}

/// What instances are to have from their start on.
pub fn size(resized: &Resized) -> ironbark::Size {
    ironbark::Size { name: resized.type_name.clone(), memory: int(resized.memory_mb), cores: int(resized.cores) }
}

/// The question for room, for every size.
pub fn describe_resources() -> cc::DescribeResources {
    let machine = |size: Size| VirtualMachine {
        name: Some(size.name.to_string()),
        memory: Some(int(size.memory_mb)),
        cores: Some(int(size.cores)),
        disk: Some(int(size.disk_gb)),
        ..VirtualMachine::default()
    };
    cc::DescribeResources {
        instance_types: SIZES.into_iter().map(machine).collect(),
        ..cc::DescribeResources::default()
    }
}

/// The question where the least that is wanted would be placed.
pub fn plan_instances(wanted: &Wanted) -> ironbark::PlanInstances {
    let (size, group) = (wanted.size, wanted.group.as_ref());
    ironbark::PlanInstances {
        group_id: group.map(|group| group.id.clone()),
        strategy: group.map(|group| group.strategy.name().to_string()),
        memory: int(size.memory_mb),
        disk: int(size.disk_gb),
        cores: int(size.cores),
        count: int(wanted.least),
        architecture: wanted.architecture.clone(),
        tags: wanted.tags.clone(),
        image_id: wanted.image_id.clone(),
        ..ironbark::PlanInstances::default()
    }
}

/// Says what the nodes of instances must be.
pub fn restrict_placement(
    architecture: &str,
    tags: Vec<String>,
    instance_ids: Vec<String>,
) -> ironbark::RestrictPlacement {
    let architecture = Some(architecture.to_string());
    ironbark::RestrictPlacement { architecture, tags, instance_ids, ..ironbark::RestrictPlacement::default() }
}

/// Says which instances are in a placement group.
pub fn join_placement_group(group: &PlacementGroup, instance_ids: Vec<String>) -> ironbark::JoinPlacementGroup {
    ironbark::JoinPlacementGroup {
        group_id: group.id.clone(),
        strategy: group.strategy.name().to_string(),
        instance_ids,
        ..ironbark::JoinPlacementGroup::default()
    }
}

/// A placement group as EC2 shows it.
pub fn placement_group(group: PlacementGroup) -> ec2_placement::PlacementGroup {
    let PlacementGroup { id, name, strategy, tags, owner: _, created: _ } = group;
    ec2_placement::PlacementGroup { group_id: id, group_name: name, strategy, tags }
}

/// What a cluster decided about one instance; nodes are for administrators.
pub fn decision(zone: &str, placement: &ironbark::Placement, nodes_shown: bool) -> Decision {
    let reason = |count: &ironbark::PlacementCount| ReasonCount {
        filter: count.filter.clone(),
        nodes: count.nodes,
        words: count.words.clone(),
    };
    let node = |node: &ironbark::PlacementNode| NodeLine {
        name: node.name.clone(),
        rank: node.rank,
        filter: node.filter.clone(),
        reason: node.reason.clone(),
        weights: node.weights.iter().map(|weight| (weight.name.clone(), weight.value)).collect(),
        assumed: node.assumed.clone(),
    };
    Decision {
        zone: zone.to_string(),
        number: placement.number,
        at: placement.at.timestamp().to_string(),
        instance_id: placement.instance_id.clone(),
        schedule: placement.schedule.clone(),
        outcome: placement.outcome.clone(),
        said: placement.said.clone(),
        node_count: placement.node_count,
        reasons: placement.counts.iter().map(reason).collect(),
        nodes: nodes_shown.then(|| placement.nodes.iter().map(node).collect()),
    }
}

/// The room that a cluster tells of; what it does not tell counts as none.
pub fn room(resource: &cc::Resource) -> Option<(String, Room)> {
    let count = |given: Option<i32>| u32::try_from(given.unwrap_or(0)).unwrap_or(0);
    let name = resource.instance_type.as_ref()?.name.clone()?;
    Some((name, Room { max: count(resource.max_instances), available: count(resource.available_instances) }))
}

/// What a cluster believes of an instance, for the doctor; `None` for a state that we do not know.
pub fn belief(instance: &ClusterInstance) -> Option<scene::Belief> {
    Some(scene::Belief {
        id: instance.instance_id.clone(),
        node: instance.node_name.clone(),
        state: Observed::named(&instance.state)?,
        reason: instance.reason.clone(),
        since: instance.since.timestamp(),
    })
}

/// What a node found, for the doctor; instances in states that we do not know are left out.
pub fn inventory(found: ironbark::Inventory) -> scene::Node {
    let instance = |instance: ironbark::InventoryInstance| {
        Some(scene::OnNode {
            state: Observed::named(&instance.state)?,
            id: instance.instance_id,
            owner: instance.owner_id,
            reason: instance.reason,
            since: instance.since.timestamp(),
            domain: instance.domain,
            files: instance.files,
        })
    };
    let inventory = match found.trouble {
        Some(trouble) => Err(trouble),
        None => Ok(scene::Inventory {
            hypervisor_trouble: found.hypervisor_trouble,
            instances: found.instances.into_iter().filter_map(instance).collect(),
            strange_domains: found.strange_domains,
            strange_files: found.strange_files,
            unreadable: found.unreadable,
            disk_free_mb: found.disk_free,
        }),
    };
    scene::Node { name: found.node_name, inventory }
}

/// What a cluster tells of itself.
pub fn description(response: &DescribeClusterResponse) -> Description {
    let on = |node: &ClusterNode| {
        let over = |state: &str| matches!(Observed::named(state), Some(Observed::Terminated | Observed::Failed));
        let on_it = |instance: &&ClusterInstance| instance.node_name == node.name && !over(&instance.state);
        let of_node = response.instances.iter().filter(on_it);
        of_node.map(|instance| instance.instance_id.clone()).collect()
    };
    let node = |node: &ClusterNode| Node {
        name: node.name.clone(),
        url: node.url.clone(),
        state: node.state.clone(),
        reason: node.reason.clone(),
        last_seen: node.last_seen.map(|seen| seen.timestamp()),
        cores: (node.cores_available, node.cores_max),
        memory_mb: (node.memory_available, node.memory_max),
        disk_gb: (node.disk_available, node.disk_max),
        hypervisor: node.hypervisor.clone(),
        operations: node.operations.clone(),
        architecture: node.architecture.clone(),
        tags: node.tags.clone(),
        draining: node.draining.clone(),
        instance_ids: on(node),
    };
    Description {
        version: response.version.clone(),
        operations: response.operations.clone(),
        nodes: response.nodes.iter().map(node).collect(),
    }
}

/// Which operation of each instance is the one that its record stands at.
pub fn epochs(instances: &[Instance]) -> Epochs {
    instances.iter().map(|instance| (instance.id.clone(), instance.epoch)).collect()
}

/// What a cluster says of one instance: by its description, which knows all the states, or by the
/// three of 2.0.1. `None` for an instance without an id or in a state that no contract has.
pub fn report(instance: &cc::Instance, described: Option<&ClusterInstance>) -> Option<Report> {
    let observed = match described {
        Some(described) => Observed::named(&described.state),
        None => observed_2_0_1(instance.state_name.as_deref()?),
    };
    let address =
        |given: &str| Some(given).filter(|given| !given.is_empty() && *given != "0.0.0.0").map(str::to_string);
    let net = instance.net_params.as_ref();
    Some(Report {
        id: instance.instance_id.clone()?,
        observed: observed?,
        reason: described.and_then(|described| described.reason.clone()),
        node: described.map(|described| described.node_name.clone()).or_else(|| instance.service_tag.clone()),
        private_ip: net.and_then(|net| address(&net.private_ip)),
        public_ip: net.and_then(|net| address(&net.public_ip)),
        boot_count: described.and_then(|described| described.boot_count),
        last_reboot: described.and_then(|described| described.last_reboot.clone()),
        epoch: described.and_then(|described| described.epoch),
        by_guest: described.and_then(|described| described.by_guest),
    })
}

/// 2.0.1's three states. Its `Teardown` is a domain that is gone, and is not listed for long.
fn observed_2_0_1(state: &str) -> Option<Observed> {
    match state {
        "Pending" => Some(Observed::Pending),
        "Extant" => Some(Observed::Running),
        "Teardown" => Some(Observed::Terminated),
        _ => None,
    }
}

/// A reservation as EC2 clients see it.
pub fn reservation(reservation: &Reservation, instances: &[Instance]) -> ec2::Reservation {
    ec2::Reservation {
        reservation_id: reservation.id.clone(),
        owner_id: reservation.owner.clone(),
        groups: reservation.groups.clone(),
        instances: instances.iter().map(|instance| view(reservation, instance)).collect(),
    }
}

fn view(of: &Reservation, instance: &Instance) -> ec2::Instance {
    let reason = instance.reason.as_ref();
    let gone = instance.state() == ec2::InstanceState::Terminated;
    // Addresses go to others when an instance is gone.
    let private_ip = instance.private_ip.clone().filter(|_| !gone);
    let public_ip = instance.public_ip.clone().filter(|_| !gone);
    ec2::Instance {
        instance_id: instance.id.clone(),
        image_id: of.image_id.clone(),
        state: instance.state(),
        private_dns_name: private_ip.clone().unwrap_or_default(),
        // 2.0.1's rule: without a public address, the private one.
        dns_name: public_ip.clone().or_else(|| private_ip.clone()).unwrap_or_default(),
        reason: reason.map(|reason| transition(reason, instance.since)).unwrap_or_default(),
        state_reason: reason.map(|reason| ec2::StateReason {
            code: reason.code.clone(),
            message: format!("{}: {}", reason.code, reason.text),
        }),
        key_name: of.key_name.clone(),
        launch_index: instance.launch_index,
        instance_type: instance.resized.as_ref().map_or(&of.type_name, |resized| &resized.type_name).clone(),
        cores: instance.resized.as_ref().map_or(of.cores, |resized| resized.cores),
        launch_time: timestamp(instance.launched),
        availability_zone: instance.cluster.clone(),
        placement_group: of.placement_group.as_ref().map(|group| group.name.clone()),
        kernel_id: of.kernel.as_ref().map(|(id, _)| id.clone()),
        ramdisk_id: of.ramdisk.as_ref().map(|(id, _)| id.clone()),
        ip_address: public_ip.or_else(|| private_ip.clone()),
        private_ip_address: private_ip,
        architecture: of.architecture.clone(),
        root_device_type: ec2::RootDevice::InstanceStore,
        root_device_name: of.root_device_name.clone(),
        client_token: of.client_token.clone(),
        monitored: instance.attributes.monitored,
        tags: instance.tags.clone(),
    }
}

/// Why the state last changed, as EC2 says it: `User initiated (2026-11-20 12:00:00 GMT)`.
fn transition(reason: &Reason, since: i64) -> String {
    match reason.code.as_str() {
        "Client.UserInitiatedShutdown" => {
            format!("User initiated ({} GMT)", timestamp(since).strftime("%Y-%m-%d %H:%M:%S"))
        }
        code => format!("{code}: {}", reason.text),
    }
}

/// An image as EC2 clients see it.
pub fn image(image: Image) -> ec2_images::Image {
    ec2_images::Image {
        image_id: image.id,
        image_location: image.location,
        state: ec2_images::ImageState::Available,
        owner_id: image.owner,
        is_public: image.public,
        launch_permissions: image.launch_permissions,
        architecture: image.architecture,
        image_type: image.kind,
        kernel_id: image.kernel_id,
        ramdisk_id: image.ramdisk_id,
        name: image.name,
        description: image.description,
        root_device_name: image.root_device_name,
        created: timestamp(image.created),
        tags: image.tags,
    }
}

/// An elastic address as EC2 clients see it: it is on no instance that has ended.
pub fn address(address: Address) -> ec2_addresses::Address {
    let association = address.association.filter(|association| !association.ended);
    ec2_addresses::Address {
        public_ip: address.public_ip,
        allocation_id: address.allocation_id,
        domain: address.domain,
        association: association.map(|association| ec2_addresses::Association {
            association_id: association.id,
            instance_id: association.instance_id,
            private_ip: association.private_ip,
        }),
        tags: address.tags,
    }
}

/// A key pair as EC2 clients see it.
pub fn key_pair(key: KeyPair) -> ec2_keys::KeyPair {
    ec2_keys::KeyPair {
        key_name: key.name,
        key_fingerprint: key.fingerprint,
        key_pair_id: key.id,
        key_type: key.key_type,
        created: timestamp(key.created),
        tags: key.tags,
    }
}

/// A step of a request as another tier tells it.
pub fn span(span: ironbark::Span) -> Span {
    Span {
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

/// A count for the wire, whose integers are signed.
fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}
