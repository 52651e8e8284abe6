//! Zones (the clusters), the region (the cloud), and instance types with the room for them.

use std::sync::Arc;

use ironbark_wsdl::Context;

use super::instances::{canonical, shown};
use crate::cloud::Cloud;
use crate::clusters::Known;
use crate::ec2::absent::NoneOf;
use crate::ec2::offerings::{
    DescribeInstanceCreditSpecifications, DescribeInstanceTypeOfferings, DescribeInstanceTypeOfferingsResponse,
    LocationType, Offering,
};
use crate::ec2::types::{Availability, DescribeInstanceTypes, DescribeInstanceTypesResponse, InstanceType};
use crate::ec2::zones::{
    Capacity, DescribeAvailabilityZones, DescribeAvailabilityZonesResponse, DescribeRegions, DescribeRegionsResponse,
    Region, Zone, ZoneState,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::types::SIZES;

/// The zones. A cluster that does not answer is shown, as unavailable, with the reason.
///
/// # Errors
/// `InvalidParameterValue` if a zone that was named is not there.
pub async fn describe_availability_zones(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeAvailabilityZones,
) -> Result<DescribeAvailabilityZonesResponse, Ec2Error> {
    let zone = |(cluster, known): (crate::store::Cluster, Known)| Zone {
        zone_name: cluster.name,
        state: if available(&known) { ZoneState::Available } else { ZoneState::Unavailable },
        region_name: cloud.settings.region.clone(),
        messages: message(&known, caller.is_administrator()).into_iter().collect(),
        capacity: capacity(&known),
    };
    request.answer(caller.is_administrator(), cloud.clusters.all_known().into_iter().map(zone).collect())
}

/// Which instance types are offered where: every type in the cloud, and in each of its zones.
///
/// # Errors
/// None: what is asked for was checked when the request was read.
pub async fn describe_instance_type_offerings(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeInstanceTypeOfferings,
) -> Result<DescribeInstanceTypeOfferingsResponse, Ec2Error> {
    let locations = match request.location_type {
        LocationType::Region => vec![cloud.settings.region.clone()],
        LocationType::AvailabilityZone | LocationType::AvailabilityZoneId => cloud.clusters.names(),
    };
    let at = |location: &String| {
        let location = location.clone();
        SIZES.map(move |size| Offering { instance_type: size.name.to_string(), location: location.clone() })
    };
    Ok(request.answer(locations.iter().flat_map(at).collect()))
}

/// The processor credits of burstable instances: there are none.
///
/// # Errors
/// `InvalidInstanceID.NotFound`; `UnsupportedOperation` for one that is there.
pub async fn describe_instance_credit_specifications(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeInstanceCreditSpecifications,
) -> Result<NoneOf, Ec2Error> {
    shown(&cloud, &caller, &canonical(request.instance_ids.clone()), false).await?;
    match request.instance_ids.first() {
        None => Ok(NoneOf("instanceCreditSpecificationSet")),
        Some(id) => {
            let text = format!("The instance '{id}' is of no burstable type, so it has no processor credits");
            Err(Ec2Error::new(Code::UnsupportedOperation, text))
        }
    }
}

fn available(known: &Known) -> bool {
    known.answered.is_some() && known.failure.is_none()
}

/// Users are told that a zone is away; what exactly failed names hosts, and is for administrators.
fn message(known: &Known, admin: bool) -> Option<String> {
    match (&known.failure, known.answered) {
        (Some(failure), _) if admin => Some(format!("the cluster has not answered: {failure}")),
        (Some(_), _) => Some("the cluster has not answered".to_string()),
        (None, None) => Some("the cluster has not been asked yet".to_string()),
        (None, Some(_)) => None,
    }
}

fn capacity(known: &Known) -> Vec<Capacity> {
    let row = |size: crate::types::Size| {
        let room = known.room.get(size.name).copied().unwrap_or_default();
        Capacity {
            instance_type: size.name.to_string(),
            free: room.available,
            max: room.max,
            cores: size.cores,
            memory_mb: size.memory_mb,
            disk_gb: size.disk_gb,
        }
    };
    SIZES.into_iter().map(row).collect()
}

/// The cloud's one region.
///
/// # Errors
/// `InvalidParameterValue` if another one was named.
pub async fn describe_regions(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeRegions,
) -> Result<DescribeRegionsResponse, Ec2Error> {
    request.answer(vec![Region { region_name: cloud.settings.region.clone(), endpoint: cloud.settings.url.clone() }])
}

/// The instance types, with the room for each in each zone.
///
/// # Errors
/// `InvalidInstanceType` if one that was named is not there.
pub async fn describe_instance_types(
    cloud: Arc<Cloud>,
    _: Context,
    _: Caller,
    request: DescribeInstanceTypes,
) -> Result<DescribeInstanceTypesResponse, Ec2Error> {
    let known = cloud.clusters.all_known();
    let availability = |name: &str| {
        let of = |(cluster, known): &(crate::store::Cluster, Known)| {
            let room = known.room.get(name).copied().unwrap_or_default();
            Availability { zone_name: cluster.name.clone(), max: room.max, available: room.available }
        };
        known.iter().map(of).collect()
    };
    let types = SIZES.into_iter().map(|size| InstanceType {
        name: size.name.to_string(),
        cores: size.cores,
        memory_mb: size.memory_mb,
        disk_gb: size.disk_gb,
        availability: availability(size.name),
    });
    request.answer(types.collect())
}
