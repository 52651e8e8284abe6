//! What EC2 has and this cloud has not: networks of one's own, volumes, reservations of capacity.
//! Clients ask for it with every plan, and the true answer is an empty set; a thing that is asked
//! for by its id is not there, and a filter that EC2 does not have is a slip, here as anywhere.

use super::filters::{Filtered, Filters, Values};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// A kind of thing that there is none of.
pub trait Absent: 'static {
    /// The element of the answer, `vpcSet`.
    const SET: &'static str;
    /// The parameters that name single things, and what is said when one does.
    const IDS: &'static [(&'static str, Code)];
    /// What clients may filter by.
    const FILTERS: &'static [&'static str];
}

/// One thing of the kind; there is none.
struct Thing<K>(std::marker::PhantomData<K>);

impl<K: Absent> Filtered for Thing<K> {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        K::FILTERS.contains(&name).then_some(|_| Vec::new())
    }
}

/// Reads a request for things of a kind that there is none of.
fn check<K: Absent>(params: &Params) -> Result<(), Ec2Error> {
    Filters::parse::<Thing<K>>(params)?;
    params.integer("MaxResults", 1..=1000)?;
    if params.optional("NextToken").is_some() {
        return Err(Ec2Error::new(Code::InvalidNextToken, "The NextToken is none of ours; begin again without it"));
    }
    for (parameter, code) in K::IDS {
        if let Some(id) = params.list(parameter).first() {
            let shown: String = id.chars().take(60).collect();
            return Err(Ec2Error::new(*code, format!("'{shown}' does not exist")));
        }
    }
    Ok(())
}

/// There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoneOf(pub &'static str);

impl Reply for NoneOf {
    fn write(&self, w: &mut Writer) {
        w.texts(self.0, Vec::<String>::new());
    }
}

macro_rules! absent {
    ($($(#[$doc:meta])* $action:ident($set:literal, soap: $soap:literal, ids: [$($id:literal => $code:ident),*]) by [$($filter:literal),* $(,)?];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $action;

        impl Absent for $action {
            const SET: &'static str = $set;
            const IDS: &'static [(&'static str, Code)] = &[$(($id, Code::$code)),*];
            const FILTERS: &'static [&'static str] = &[$($filter),*];
        }

        impl Action for $action {
            const NAME: &'static str = stringify!($action);
            const SOAP: bool = $soap;
            type Response = NoneOf;

            fn parse(params: &Params) -> Result<Self, Ec2Error> {
                check::<Self>(params)?;
                Ok(Self)
            }
        }
    )*};
}

absent! {
    /// Networks of one's own.
    DescribeVpcs("vpcSet", soap: true, ids: ["VpcId" => InvalidVpcIdNotFound]) by [
        "cidr", "cidr-block", "dhcp-options-id", "is-default", "isDefault", "owner-id", "state", "vpc-id",
        "cidr-block-association.cidr-block", "cidr-block-association.association-id",
        "cidr-block-association.state", "ipv6-cidr-block-association.ipv6-cidr-block",
    ];
    /// Parts of those.
    DescribeSubnets("subnetSet", soap: true, ids: ["SubnetId" => InvalidSubnetIdNotFound]) by [
        "availability-zone", "availability-zone-id", "available-ip-address-count", "cidr", "cidr-block", "cidrBlock",
        "default-for-az", "defaultForAz", "map-public-ip-on-launch", "owner-id", "state", "subnet-arn", "subnet-id",
        "vpc-id",
    ];
    /// Network cards in those.
    DescribeNetworkInterfaces("networkInterfaceSet", soap: false, ids: ["NetworkInterfaceId" => InvalidNetworkInterfaceIdNotFound]) by [
        "addresses.private-ip-address", "addresses.primary", "association.public-ip", "attachment.attachment-id",
        "attachment.delete-on-termination", "attachment.device-index", "attachment.instance-id",
        "attachment.instance-owner-id", "attachment.status", "availability-zone", "description", "group-id",
        "group-name", "interface-type", "mac-address", "network-interface-id", "owner-id", "private-dns-name",
        "private-ip-address", "requester-id", "requester-managed", "source-dest-check", "status", "subnet-id",
        "vpc-id",
    ];
    /// Disks that outlive instances.
    DescribeVolumes("volumeSet", soap: true, ids: ["VolumeId" => InvalidVolumeNotFound]) by [
        "attachment.attach-time", "attachment.delete-on-termination", "attachment.device", "attachment.instance-id",
        "attachment.status", "availability-zone", "create-time", "encrypted", "multi-attach-enabled", "size",
        "snapshot-id", "status", "volume-id", "volume-type",
    ];
    /// Copies of those.
    DescribeSnapshots("snapshotSet", soap: true, ids: ["SnapshotId" => InvalidSnapshotNotFound]) by [
        "description", "encrypted", "owner-alias", "owner-id", "progress", "snapshot-id", "start-time", "status",
        "storage-tier", "volume-id", "volume-size",
    ];
    /// Instances for the price of the moment.
    DescribeSpotInstanceRequests("spotInstanceRequestSet", soap: true, ids: ["SpotInstanceRequestId" => InvalidSpotInstanceRequestIdNotFound]) by [
        "availability-zone-group", "create-time", "fault-code", "fault-message", "instance-id", "launch-group",
        "launch.group-id", "launch.group-name", "launch.image-id", "launch.instance-type", "launch.kernel-id",
        "launch.key-name", "launch.monitoring-enabled", "launch.ramdisk-id", "launched-availability-zone",
        "product-description", "spot-instance-request-id", "spot-price", "state", "status-code", "status-message",
        "type", "valid-from", "valid-until",
    ];
    /// Instances paid for in advance.
    DescribeReservedInstances("reservedInstancesSet", soap: true, ids: ["ReservedInstancesId" => InvalidReservationIdNotFound]) by [
        "availability-zone", "duration", "end", "fixed-price", "instance-type", "product-description",
        "reserved-instances-id", "scope", "start", "state", "usage-price",
    ];
    /// Offers of those.
    DescribeReservedInstancesOfferings("reservedInstancesOfferingsSet", soap: true, ids: ["ReservedInstancesOfferingId" => InvalidReservedInstancesOfferingId]) by [
        "availability-zone", "duration", "fixed-price", "instance-type", "marketplace", "product-description",
        "reserved-instances-offering-id", "scope", "usage-price",
    ];
    /// Windows instances on their way to become images.
    DescribeBundleTasks("bundleInstanceTasksSet", soap: true, ids: ["BundleId" => InvalidBundleIdNotFound]) by [
        "bundle-id", "error-code", "error-message", "instance-id", "progress", "s3-bucket", "s3-prefix",
        "start-time", "state", "update-time",
    ];
    /// Roles that instances have.
    DescribeIamInstanceProfileAssociations("iamInstanceProfileAssociationSet", soap: false, ids: ["AssociationId" => InvalidAssociationIdNotFound]) by [
        "instance-id", "state",
    ];
    /// Requests kept for later.
    DescribeLaunchTemplates("launchTemplates", soap: false, ids: ["LaunchTemplateId" => InvalidLaunchTemplateIdNotFound, "LaunchTemplateName" => InvalidLaunchTemplateNameNotFound]) by [
        "create-time", "launch-template-name",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(pairs: &[(&str, &str)]) -> Option<Code> {
        DescribeVolumes::parse(&Params::try_from(pairs).unwrap()).err().map(|error| error.code)
    }

    #[test]
    fn what_is_named_is_not_there_and_slips_are_told() {
        assert_eq!(code(&[("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", "i-1")]), None);
        assert_eq!(code(&[("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "x")]), None);
        assert_eq!(code(&[("VolumeId.1", "vol-1A2B3C4D")]), Some(Code::InvalidVolumeNotFound));
        assert_eq!(code(&[("Filter.1.Name", "colour")]), Some(Code::InvalidParameterValue));
        assert_eq!(code(&[("NextToken", "x")]), Some(Code::InvalidNextToken));
    }
}
