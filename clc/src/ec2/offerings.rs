//! Where instance types can be had, and the processor credits that none of them has.

use super::filters::{Filtered, Filters, Values};
use super::{Page, ids};
use crate::ec2::absent::NoneOf;
use crate::error::Ec2Error;
use crate::front::{Action, Params, Reply, Writer};

/// What kind of place an offering is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocationType {
    /// The cloud.
    #[default]
    Region,
    /// A zone, by name.
    AvailabilityZone,
    /// A zone, by id, which is its name here.
    AvailabilityZoneId,
}

impl LocationType {
    const ALL: [LocationType; 3] =
        [LocationType::Region, LocationType::AvailabilityZone, LocationType::AvailabilityZoneId];

    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            LocationType::Region => "region",
            LocationType::AvailabilityZone => "availability-zone",
            LocationType::AvailabilityZoneId => "availability-zone-id",
        }
    }
}

/// One instance type at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offering {
    pub instance_type: String,
    pub location: String,
}

impl Filtered for Offering {
    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "instance-type" => |it| vec![it.instance_type.clone()],
            "location" => |it| vec![it.location.clone()],
            _ => return None,
        };
        Some(values)
    }
}

/// Which instance types are offered where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstanceTypeOfferings {
    pub location_type: LocationType,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeInstanceTypeOfferings {
    const NAME: &'static str = "DescribeInstanceTypeOfferings";
    const SOAP: bool = false;
    type Response = DescribeInstanceTypeOfferingsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let location_type = match params.optional("LocationType") {
            None => LocationType::default(),
            Some(name) => {
                let found = LocationType::ALL.into_iter().find(|location_type| location_type.name() == name);
                let problem = "It must be region, availability-zone or availability-zone-id.";
                found.ok_or_else(|| params.invalid("LocationType", name, problem))?
            }
        };
        Ok(Self { location_type, filters: Filters::parse::<Offering>(params)?, page: Page::parse(params)? })
    }
}

impl DescribeInstanceTypeOfferings {
    /// The answer out of all offerings for places of the kind asked for.
    pub fn answer(&self, mut all: Vec<Offering>) -> DescribeInstanceTypeOfferingsResponse {
        all.retain(|offering| self.filters.pass(offering));
        let (offerings, next_token) = self.page.cut(all, |it| format!("{}/{}", it.instance_type, it.location));
        DescribeInstanceTypeOfferingsResponse { location_type: self.location_type, offerings, next_token }
    }
}

/// The offerings that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceTypeOfferingsResponse {
    pub location_type: LocationType,
    pub offerings: Vec<Offering>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeInstanceTypeOfferingsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("instanceTypeOfferingSet", &self.offerings, |w, offering| {
            w.text("instanceType", &offering.instance_type);
            w.text("locationType", self.location_type.name());
            w.text("location", &offering.location);
        });
        w.optional("nextToken", self.next_token.as_deref());
    }
}

/// The processor credits of instances. No type here is burstable, so there are none to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceCreditSpecifications {
    /// Instances that must be burstable, which none is.
    pub instance_ids: Vec<String>,
}

/// An instance with credits; there is none.
struct Credited;

impl Filtered for Credited {
    fn field(name: &str) -> Option<Values<Self>> {
        (name == "instance-id").then_some(|_| Vec::new())
    }
}

impl Action for DescribeInstanceCreditSpecifications {
    const NAME: &'static str = "DescribeInstanceCreditSpecifications";
    const SOAP: bool = false;
    type Response = NoneOf;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Filters::parse::<Credited>(params)?;
        Page::parse(params)?;
        Ok(Self { instance_ids: ids::instance_ids(params)? })
    }
}
