//! By what instances are filtered: EC2's names, and the values that an instance has under each.

use super::filters::{Filtered, Values};
use super::instances::{Instance, Reservation};
use super::{Tag, monitoring};

/// An instance with its reservation, as filters see it.
#[derive(Debug)]
pub struct Placed<'a> {
    pub(super) reservation: &'a Reservation,
    pub(super) instance: &'a Instance,
}

fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

fn maybe(value: &Option<String>) -> Vec<String> {
    value.iter().cloned().collect()
}

/// EC2's filters by what no instance here has: networks of the users' own, volumes, Windows, hosts.
const NOTHING: &[&str] = &[
    "affinity",
    "block-device-mapping.attach-time",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.status",
    "block-device-mapping.volume-id",
    "boot-mode",
    "capacity-reservation-id",
    "host-id",
    "iam-instance-profile.arn",
    "iam-instance-profile.id",
    "instance-lifecycle",
    "ipv6-address",
    "network-interface.addresses.association.public-ip",
    "network-interface.addresses.primary",
    "network-interface.addresses.private-ip-address",
    "network-interface.association.public-ip",
    "network-interface.attachment.attachment-id",
    "network-interface.attachment.instance-id",
    "network-interface.attachment.status",
    "network-interface.availability-zone",
    "network-interface.description",
    "network-interface.group-id",
    "network-interface.group-name",
    "network-interface.mac-address",
    "network-interface.network-interface-id",
    "network-interface.owner-id",
    "network-interface.private-dns-name",
    "network-interface.requester-id",
    "network-interface.source-dest-check",
    "network-interface.status",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "outpost-arn",
    "placement-partition-number",
    "platform",
    "product-code",
    "product-code.type",
    "requester-id",
    "source-dest-check",
    "spot-instance-request-id",
    "subnet-id",
    "tpm-support",
    "usage-operation-update-time",
    "vpc-id",
];

impl Filtered for Placed<'_> {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "instance-id" => |it| one(&it.instance.instance_id),
            "instance-state-name" => |it| one(it.instance.state.name()),
            "instance-state-code" => |it| one(it.instance.state.code()),
            "instance-type" => |it| one(&it.instance.instance_type),
            "image-id" => |it| one(&it.instance.image_id),
            "kernel-id" => |it| maybe(&it.instance.kernel_id),
            "ramdisk-id" => |it| maybe(&it.instance.ramdisk_id),
            "key-name" => |it| maybe(&it.instance.key_name),
            "reservation-id" => |it| one(&it.reservation.reservation_id),
            "owner-id" => |it| one(&it.reservation.owner_id),
            "availability-zone" | "availability-zone-id" => |it| one(&it.instance.availability_zone),
            "placement-group-name" => |it| maybe(&it.instance.placement_group),
            "private-ip-address" => |it| maybe(&it.instance.private_ip_address),
            "ip-address" => |it| maybe(&it.instance.ip_address),
            "dns-name" => |it| one(&it.instance.dns_name),
            "private-dns-name" => |it| one(&it.instance.private_dns_name),
            "client-token" => |it| maybe(&it.instance.client_token),
            "group-name" | "instance.group-name" => {
                |it| it.reservation.groups.iter().map(|group| group.name.clone()).collect()
            }
            "group-id" | "instance.group-id" => {
                |it| it.reservation.groups.iter().map(|group| group.id.clone()).collect()
            }
            "architecture" => |it| one(&it.instance.architecture),
            "launch-time" => |it| one(format!("{:.3}", it.instance.launch_time)),
            "launch-index" => |it| one(it.instance.launch_index),
            "monitoring-state" => |it| one(monitoring::state(it.instance.monitored)),
            "root-device-type" => |it| one(it.instance.root_device_type.name()),
            "root-device-name" => |it| maybe(&it.instance.root_device_name),
            "hypervisor" => |_| one("kvm"),
            "virtualization-type" => |_| one("hvm"),
            "tenancy" => |_| one("default"),
            "state-reason-code" => |it| it.instance.state_reason.iter().map(|reason| reason.code.clone()).collect(),
            "state-reason-message" => {
                |it| it.instance.state_reason.iter().map(|reason| reason.message.clone()).collect()
            }
            "reason" => |it| one(&it.instance.reason),
            "platform-details" => |_| one("Linux/UNIX"),
            "usage-operation" => |_| one("RunInstances"),
            "current-instance-boot-mode" => |_| one("legacy-bios"),
            "ebs-optimized" | "ena-support" | "enclave-options.enabled" | "hibernation-options.configured" => {
                |_| one("false")
            }
            "metadata-options.http-endpoint" | "metadata-options.instance-metadata-tags" => |_| one("disabled"),
            "metadata-options.http-tokens" => |_| one("optional"),
            "metadata-options.state" => |_| one("applied"),
            "maintenance-options.auto-recovery" => |_| one("disabled"),
            "capacity-reservation-specification.capacity-reservation-preference" => |_| one("open"),
            _ if NOTHING.contains(&name) => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.instance.tags
    }
}
