//! Commands about where instances run: zones, regions, types.

use anyhow::Result;
use clap::Args;

use super::{Call, filters, numbered, optional};
use crate::output::{columns, table};
use crate::tree::Element;

#[derive(Args)]
pub struct Zones {
    /// Only these zones; `verbose` shows what there is room for.
    zones: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Zones {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("ZoneName", self.zones);
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("availabilityZoneInfo").map(zone).collect();
        Ok(Call { action: "DescribeAvailabilityZones", parameters, text })
    }
}

fn zone(zone: &Element) -> String {
    let cells = ["AVAILABILITYZONE", zone.at("zoneName"), zone.at("zoneState"), zone.at("regionName")];
    columns(cells).trim_end().to_string()
}

#[derive(Args)]
pub struct Regions {
    /// Only these regions.
    regions: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Regions {
    pub fn call(self) -> Result<Call> {
        let text = |answer: &Element| {
            let region = |region: &Element| columns(["REGION", region.at("regionName"), region.at("regionEndpoint")]);
            answer.items("regionInfo").map(region).collect()
        };
        let mut parameters = numbered("RegionName", self.regions);
        parameters.extend(filters(&self.filters)?);
        Ok(Call { action: "DescribeRegions", parameters, text })
    }
}

#[derive(Args)]
pub struct Types {
    /// Only these types.
    types: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Types {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("InstanceType", self.types);
        // As euca2ools has it: also say how many there is room for.
        parameters.push(("Availability".to_string(), "true".to_string()));
        parameters.extend(filters(&self.filters)?);
        Ok(Call { action: "DescribeInstanceTypes", parameters, text: types })
    }
}

#[derive(Args)]
pub struct Offerings {
    /// Places of which kind: `region`, `availability-zone` or `availability-zone-id`.
    #[arg(long, value_name = "KIND")]
    location_type: Option<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Offerings {
    pub fn call(self) -> Result<Call> {
        let mut parameters = Vec::from_iter(optional("LocationType", self.location_type));
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| {
            let line = |offering: &Element| {
                let names = ["instanceType", "locationType", "location"];
                columns(std::iter::once("INSTANCETYPEOFFERING").chain(names.map(|name| offering.at(name))))
            };
            answer.items("instanceTypeOfferingSet").map(line).collect()
        };
        Ok(Call { action: "DescribeInstanceTypeOfferings", parameters, text })
    }
}

fn types(answer: &Element) -> Vec<String> {
    let row = |item: &Element| {
        let sum = |field: &str| {
            item.items("availability").map(|zone| zone.at(field).parse::<u64>().unwrap_or(0)).sum::<u64>()
        };
        let mut row = ["INSTANCETYPE", item.at("name"), item.at("cpu"), item.at("memory"), item.at("disk")]
            .map(str::to_string)
            .to_vec();
        row.push(format!("{} / {}", sum("available"), sum("max")));
        row
    };
    let rows: Vec<Vec<String>> = answer.items("instanceTypeDetails").map(row).collect();
    table(&["INSTANCETYPE", "Name", "CPUs", "Memory (MiB)", "Disk (GiB)", "Free / Max"], &rows)
}
