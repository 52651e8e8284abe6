//! The fullest and the emptiest answer of each EC2 action, for tests: what the contract and real
//! clients are held against.

use jiff::Timestamp;

use super::Done;
use super::absent::*;
use super::addresses::*;
use super::attributes::*;
use super::console::*;
use super::image_attributes::*;
use super::images::*;
use super::instances::*;
use super::keys::*;
use super::monitoring::*;
use super::placement_groups::*;
use super::run::{RunInstances, RunInstancesResponse};
use super::security_groups::*;
use super::security_rules::*;
use super::tags::*;
use super::types::*;
use super::zones::*;
use crate::front::Action;

/// An action with sample answers.
pub trait Sampled: Action {
    /// Everything that can be there is.
    fn fullest() -> Self::Response;
    /// Nothing is there that need not be.
    fn emptiest() -> Self::Response;
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn text(text: &str) -> Option<String> {
    Some(text.to_string())
}

/// Text that breaks writers which do not escape.
const NASTY: &str = "a<b>&\"c\"]]>\r\n\u{1}é";

fn instance(full: bool) -> Instance {
    let only = |value: &str| text(value).filter(|_| full);
    Instance {
        instance_id: "i-1A2B3C4D".into(),
        image_id: "emi-11111111".into(),
        state: InstanceState::Running,
        private_dns_name: only("10.0.0.5").unwrap_or_default(),
        dns_name: only("10.0.0.5").unwrap_or_default(),
        reason: only(NASTY).unwrap_or_default(),
        state_reason: full.then(|| StateReason { code: "Server.InternalError".into(), message: NASTY.into() }),
        key_name: only("k1"),
        launch_index: 0,
        instance_type: "m1.small".into(),
        cores: 1,
        launch_time: noon(),
        availability_zone: "cluster1".into(),
        placement_group: only("web"),
        kernel_id: only("eki-22222222"),
        ramdisk_id: only("eri-33333333"),
        private_ip_address: only("10.0.0.5"),
        ip_address: only("10.0.0.5"),
        architecture: "x86_64".into(),
        root_device_type: RootDevice::InstanceStore,
        root_device_name: only("/dev/sda1"),
        client_token: only("token-1"),
        monitored: full,
        tags: if full { vec![Tag { key: "Name".into(), value: NASTY.into() }] } else { Vec::new() },
    }
}

/// A reservation with two instances, or with one bare one.
pub fn reservation(full: bool) -> Reservation {
    Reservation {
        reservation_id: "r-4F5E6D7C".into(),
        owner_id: "admin".into(),
        groups: if full { vec![Group { id: "sg-00000001".into(), name: "default".into() }] } else { Vec::new() },
        instances: if full { vec![instance(true), instance(true)] } else { vec![instance(false)] },
    }
}

impl Sampled for RunInstances {
    fn fullest() -> RunInstancesResponse {
        RunInstancesResponse(reservation(true))
    }
    fn emptiest() -> RunInstancesResponse {
        RunInstancesResponse(reservation(false))
    }
}

impl Sampled for DescribeInstances {
    fn fullest() -> DescribeInstancesResponse {
        DescribeInstancesResponse { reservations: vec![reservation(true), reservation(false)], next_token: text("t") }
    }
    fn emptiest() -> DescribeInstancesResponse {
        DescribeInstancesResponse { reservations: Vec::new(), next_token: None }
    }
}

fn change() -> StateChanges {
    let (current, previous) = (InstanceState::ShuttingDown, InstanceState::Running);
    StateChanges(vec![StateChange { instance_id: "i-1A2B3C4D".into(), current, previous }])
}

macro_rules! sampled {
    ($($action:ty => $full:expr, $empty:expr;)*) => {$(
        impl Sampled for $action {
            fn fullest() -> Self::Response { $full }
            fn emptiest() -> Self::Response { $empty }
        }
    )*};
}

sampled! {
    RebootInstances => Done, Done;
    TerminateInstances => change(), StateChanges(Vec::new());
    StopInstances => change(), StateChanges(Vec::new());
    StartInstances => change(), StateChanges(Vec::new());
    ModifyInstanceAttribute => Done, Done;
    ResetInstanceAttribute => Done, Done;
    DescribeInstanceAttribute => attribute(Attribute::UserData, AttributeValue::Bytes(b"hi".to_vec())),
        attribute(Attribute::Kernel, AttributeValue::Text(None));
    MonitorInstances => monitorings(true), monitorings(true);
    UnmonitorInstances => monitorings(false), monitorings(false);
    GetPasswordData => password("cGFzcw=="), password("");
    DescribeVpcs => none::<DescribeVpcs>(), none::<DescribeVpcs>();
    DescribeSubnets => none::<DescribeSubnets>(), none::<DescribeSubnets>();
    DescribeVolumes => none::<DescribeVolumes>(), none::<DescribeVolumes>();
    DescribeSnapshots => none::<DescribeSnapshots>(), none::<DescribeSnapshots>();
    DescribeSpotInstanceRequests => none::<DescribeSpotInstanceRequests>(), none::<DescribeSpotInstanceRequests>();
    DescribeReservedInstances => none::<DescribeReservedInstances>(), none::<DescribeReservedInstances>();
    DescribeReservedInstancesOfferings =>
        none::<DescribeReservedInstancesOfferings>(), none::<DescribeReservedInstancesOfferings>();
    CreatePlacementGroup => CreatePlacementGroupResponse(placement_group()), CreatePlacementGroupResponse(placement_group());
    DeletePlacementGroup => Done, Done;
    DescribePlacementGroups => DescribePlacementGroupsResponse(vec![placement_group()]),
        DescribePlacementGroupsResponse(Vec::new());
    DescribeBundleTasks => none::<DescribeBundleTasks>(), none::<DescribeBundleTasks>();
    DeregisterImage => Done, Done;
    ModifyImageAttribute => Done, Done;
    ResetImageAttribute => Done, Done;
    DescribeImageAttribute => image_attribute(true), image_attribute(false);
    DeleteKeyPair => Done, Done;
    GetConsoleOutput => console(b"hello\r\n\x1b[1m\xff"), console(b"");
    RegisterImage => registered(), registered();
    DescribeImages => images(vec![image(true), image(false)]), images(Vec::new());
    CreateKeyPair => created(), created();
    ImportKeyPair => imported(), imported();
    DescribeKeyPairs => keys(vec![key()]), keys(Vec::new());
    AllocateAddress => allocated(), allocated();
    ReleaseAddress => Done, Done;
    DescribeAddresses => addresses(vec![address(true), address(false)]), addresses(Vec::new());
    AssociateAddress => associated(), associated();
    DisassociateAddress => Done, Done;
    CreateSecurityGroup => created_group(), created_group();
    DeleteSecurityGroup => deleted_group(), deleted_group();
    DescribeSecurityGroups => groups(vec![security_group()]), groups(Vec::new());
    AuthorizeSecurityGroupIngress => authorized(), authorized();
    AuthorizeSecurityGroupEgress => authorized(), authorized();
    RevokeSecurityGroupIngress => RevokeResponse { rules: vec![rule(false)] }, RevokeResponse { rules: Vec::new() };
    RevokeSecurityGroupEgress => RevokeResponse { rules: vec![rule(true)] }, RevokeResponse { rules: Vec::new() };
    DescribeSecurityGroupRules => rules(vec![rule(true), rule(false)]), rules(Vec::new());
    CreateTags => Done, Done;
    DeleteTags => Done, Done;
    DescribeTags => tags(vec![tagged()]), tags(Vec::new());
    DescribeAvailabilityZones => zones(vec![zone()]), zones(Vec::new());
    DescribeRegions => regions(true), regions(false);
    DescribeInstanceTypes => types(true), types(false);
}

fn attribute(attribute: Attribute, value: AttributeValue) -> DescribeInstanceAttributeResponse {
    DescribeInstanceAttributeResponse { instance_id: "i-1A2B3C4D".into(), attribute, value }
}

fn image_attribute(full: bool) -> DescribeImageAttributeResponse {
    let permissions = vec![Permission::All, Permission::Account("123456789012".into())];
    let (attribute, value) = match full {
        true => (ImageAttribute::LaunchPermission, ImageAttributeValue::Permissions(permissions)),
        false => (ImageAttribute::Description, ImageAttributeValue::Text(None)),
    };
    DescribeImageAttributeResponse { image_id: "emi-11111111".into(), attribute, value }
}

fn monitorings(on: bool) -> Monitorings {
    Monitorings(vec![("i-1A2B3C4D".into(), on)])
}

fn password(data: &str) -> GetPasswordDataResponse {
    GetPasswordDataResponse { instance_id: "i-1A2B3C4D".into(), timestamp: noon(), password_data: data.into() }
}

fn none<K: Absent>() -> NoneOf {
    NoneOf(K::SET)
}

fn console(output: &[u8]) -> GetConsoleOutputResponse {
    GetConsoleOutputResponse { instance_id: "i-1A2B3C4D".into(), timestamp: noon(), output: output.to_vec() }
}

fn registered() -> RegisterImageResponse {
    RegisterImageResponse { image_id: "emi-11111111".into() }
}

fn images(images: Vec<Image>) -> DescribeImagesResponse {
    DescribeImagesResponse { images, next_token: None }
}

fn image(full: bool) -> Image {
    let only = |value: &str| text(value).filter(|_| full);
    Image {
        image_id: "emi-11111111".into(),
        image_location: "http://images/debian.qcow2?a=1&b=2".into(),
        state: ImageState::Available,
        owner_id: "admin".into(),
        is_public: true,
        launch_permissions: Vec::new(),
        architecture: "x86_64".into(),
        image_type: ImageType::Machine,
        kernel_id: only("eki-22222222"),
        ramdisk_id: only("eri-33333333"),
        name: "debian".into(),
        description: only(NASTY),
        root_device_name: only("/dev/sda1"),
        created: noon(),
        tags: if full { vec![Tag { key: "Name".into(), value: "x".into() }] } else { Vec::new() },
    }
}

fn key() -> KeyPair {
    KeyPair {
        key_name: NASTY.into(),
        key_fingerprint: "00:11".into(),
        key_pair_id: "key-0123456789abcdef0".into(),
        key_type: KeyType::Rsa,
        created: noon(),
        tags: vec![Tag { key: "Name".into(), value: NASTY.into() }],
    }
}

fn keys(key_pairs: Vec<KeyPair>) -> DescribeKeyPairsResponse {
    DescribeKeyPairsResponse { key_pairs }
}

fn created() -> CreateKeyPairResponse {
    CreateKeyPairResponse { key_pair: key(), key_material: "-----BEGIN RSA PRIVATE KEY-----\nFAKE\n".into() }
}

fn imported() -> ImportKeyPairResponse {
    ImportKeyPairResponse { key_pair: key() }
}

fn allocated() -> AllocateAddressResponse {
    AllocateAddressResponse {
        public_ip: "192.0.2.10".into(),
        allocation_id: "eipalloc-00000001".into(),
        domain: Domain::Standard,
    }
}

fn associated() -> AssociateAddressResponse {
    AssociateAddressResponse { association_id: "eipassoc-00000001".into() }
}

fn addresses(addresses: Vec<Address>) -> DescribeAddressesResponse {
    DescribeAddressesResponse { addresses }
}

fn address(full: bool) -> Address {
    let association = Association {
        association_id: "eipassoc-00000001".into(),
        instance_id: "i-1A2B3C4D".into(),
        private_ip: "10.0.0.5".into(),
    };
    Address {
        public_ip: "192.0.2.10".into(),
        allocation_id: "eipalloc-00000001".into(),
        domain: Domain::Vpc,
        association: Some(association).filter(|_| full),
        tags: if full { vec![Tag { key: "Name".into(), value: NASTY.into() }] } else { Vec::new() },
    }
}

fn placement_group() -> PlacementGroup {
    PlacementGroup {
        group_id: "pg-00000001".into(),
        group_name: "web".into(),
        strategy: Strategy::Spread,
        tags: vec![Tag { key: "Name".into(), value: NASTY.into() }],
    }
}

fn created_group() -> CreateSecurityGroupResponse {
    CreateSecurityGroupResponse { group_id: "sg-00000001".into(), tags: Vec::new() }
}

fn deleted_group() -> DeleteSecurityGroupResponse {
    DeleteSecurityGroupResponse { group_id: "sg-00000001".into() }
}

fn groups(groups: Vec<SecurityGroup>) -> DescribeSecurityGroupsResponse {
    DescribeSecurityGroupsResponse { groups, next_token: text("t") }
}

fn security_group() -> SecurityGroup {
    SecurityGroup {
        group_id: "sg-00000001".into(),
        owner_id: "000000000001".into(),
        name: "default".into(),
        description: NASTY.into(),
        rules: vec![rule(true), rule(false), from_everywhere()],
        tags: vec![Tag { key: "Name".into(), value: NASTY.into() }],
    }
}

/// A rule about a group, of a protocol without ports.
fn rule(egress: bool) -> Rule {
    Rule {
        rule_id: "sgr-00000001".into(),
        group_id: "sg-00000001".into(),
        owner_id: "000000000001".into(),
        egress,
        traffic: Traffic { protocol: "-1".into(), ports: None },
        peer: Peer::Group { id: "sg-00000001".into(), name: "default".into(), owner: "000000000001".into() },
        description: text(NASTY),
        tags: vec![Tag { key: "Name".into(), value: NASTY.into() }],
    }
}

fn from_everywhere() -> Rule {
    Rule {
        traffic: Traffic { protocol: "tcp".into(), ports: Some((22, 22)) },
        peer: Peer::Cidr("0.0.0.0/0".into()),
        ..rule(false)
    }
}

fn authorized() -> AuthorizeResponse {
    AuthorizeResponse { rules: vec![from_everywhere()] }
}

fn rules(rules: Vec<Rule>) -> DescribeSecurityGroupRulesResponse {
    DescribeSecurityGroupRulesResponse { rules, next_token: text("t") }
}

fn tagged() -> TaggedResource {
    let resource = Resource { kind: ResourceType::Image, id: "emi-11111111".into() };
    TaggedResource { resource, tag: [Tag { key: "Name".into(), value: NASTY.into() }] }
}

fn tags(tags: Vec<TaggedResource>) -> DescribeTagsResponse {
    DescribeTagsResponse { tags, next_token: text("t") }
}

fn zone() -> Zone {
    let small = Capacity { instance_type: "m1.small".into(), free: 3, max: 4, cores: 1, memory_mb: 256, disk_gb: 5 };
    Zone {
        zone_name: "cluster1".into(),
        state: ZoneState::Available,
        region_name: "ironbark".into(),
        messages: vec![NASTY.into()],
        capacity: vec![small],
    }
}

fn zones(zones: Vec<Zone>) -> DescribeAvailabilityZonesResponse {
    DescribeAvailabilityZonesResponse { zones, verbose: true }
}

fn regions(full: bool) -> DescribeRegionsResponse {
    let here = Region { region_name: "ironbark".into(), endpoint: "http://127.0.0.1:8773/services/Eucalyptus".into() };
    DescribeRegionsResponse { regions: if full { vec![here] } else { Vec::new() } }
}

fn types(full: bool) -> DescribeInstanceTypesResponse {
    let availability = vec![Availability { zone_name: "cluster1".into(), max: 4, available: 3 }];
    let small = InstanceType { name: "m1.small".into(), cores: 1, memory_mb: 256, disk_gb: 5, availability };
    let types = if full { vec![small] } else { Vec::new() };
    DescribeInstanceTypesResponse { types, availability: full, next_token: None }
}
