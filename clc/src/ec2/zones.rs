//! Availability zones (our clusters) and regions (our cloud).

use super::filters::{Filtered, Filters, Values};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What is shown of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The cluster's name.
    pub zone_name: String,
    pub state: ZoneState,
    /// The cloud's region, from the configuration.
    pub region_name: String,
    /// What there is to say about its state, for people.
    pub messages: Vec<String>,
    /// What fits into it, a row per instance type: shown on `verbose`.
    pub capacity: Vec<Capacity>,
}

/// Whether a zone can take instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneState {
    Available,
    /// Its cluster controller does not answer.
    Unavailable,
}

impl ZoneState {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            ZoneState::Available => "available",
            ZoneState::Unavailable => "unavailable",
        }
    }
}

/// How many instances of one type a zone can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub instance_type: String,
    /// More that fit now.
    pub free: u32,
    /// That fit into the empty zone.
    pub max: u32,
    pub cores: u32,
    pub memory_mb: u32,
    pub disk_gb: u32,
}

impl Filtered for Zone {
    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "zone-name" | "zone-id" => |zone| vec![zone.zone_name.clone()],
            "state" => |zone| vec![zone.state.name().to_string()],
            "region-name" | "group-name" => |zone| vec![zone.region_name.clone()],
            "message" => |zone| zone.messages.clone(),
            // No zone is within another, or has another name.
            "parent-zone-id" | "parent-zone-name" | "group-long-name" => |_| Vec::new(),
            "zone-type" => |_| vec!["availability-zone".to_string()],
            "opt-in-status" => |_| vec!["opt-in-not-required".to_string()],
            _ => return None,
        };
        Some(values)
    }
}

/// Which zones there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeAvailabilityZones {
    /// Only these, each of which must exist; all if empty.
    pub zone_names: Vec<String>,
    /// 2.0.1's `ZoneName.1=verbose`, which every euca2ools sends: administrators also get what
    /// fits into each zone, others plain zones.
    pub verbose: bool,
    pub filters: Filters,
}

impl Action for DescribeAvailabilityZones {
    const NAME: &'static str = "DescribeAvailabilityZones";
    type Response = DescribeAvailabilityZonesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let mut zone_names = params.list("ZoneName");
        zone_names.extend(params.list("ZoneId"));
        let verbose = zone_names.iter().any(|name| name == "verbose");
        zone_names.retain(|name| name != "verbose");
        Ok(Self { zone_names, verbose, filters: Filters::parse::<Zone>(params)? })
    }
}

impl DescribeAvailabilityZones {
    /// The answer out of all zones; `admin`: the caller is an administrator.
    ///
    /// # Errors
    /// `InvalidParameterValue` if a zone that was named is not there.
    pub fn answer(&self, admin: bool, mut all: Vec<Zone>) -> Result<DescribeAvailabilityZonesResponse, Ec2Error> {
        for name in &self.zone_names {
            if !all.iter().any(|zone| zone.zone_name == *name) {
                let shown: String = name.chars().take(60).collect();
                return Err(Ec2Error::new(
                    Code::InvalidParameterValue,
                    format!("Invalid availability zone: [{shown}]"),
                ));
            }
        }
        all.retain(|zone| {
            (self.zone_names.is_empty() || self.zone_names.contains(&zone.zone_name)) && self.filters.pass(zone)
        });
        Ok(DescribeAvailabilityZonesResponse { zones: all, verbose: self.verbose && admin })
    }
}

/// The zones that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeAvailabilityZonesResponse {
    pub zones: Vec<Zone>,
    /// With rows of what fits into each.
    pub verbose: bool,
}

impl Reply for DescribeAvailabilityZonesResponse {
    fn write(&self, w: &mut Writer) {
        w.element("availabilityZoneInfo", |w| {
            for zone in &self.zones {
                w.element("item", |w| zone.write(w));
                if self.verbose {
                    zone.write_capacity(w);
                }
            }
        });
    }
}

impl Zone {
    fn write(&self, w: &mut Writer) {
        w.text("zoneName", &self.zone_name);
        w.text("zoneState", self.state.name());
        w.text("regionName", &self.region_name);
        w.set("messageSet", &self.messages, |w, message| w.text("message", message));
        w.query_only(|w| {
            w.text("zoneId", &self.zone_name);
            w.text("groupName", &self.region_name);
            w.text("networkBorderGroup", &self.region_name);
            w.text("optInStatus", "opt-in-not-required");
            w.text("zoneType", "availability-zone");
        });
    }

    /// 2.0.1's rows, to the blank: tools print them as they come.
    fn write_capacity(&self, w: &mut Writer) {
        self.write_row(w, "|- vm types", "free / max   cpu   ram  disk");
        for row in &self.capacity {
            let name = format!("|- {}", row.instance_type);
            let text =
                format!("{:04} / {:04}  {:2}   {:4}  {:4}", row.free, row.max, row.cores, row.memory_mb, row.disk_gb);
            self.write_row(w, &name, &text);
        }
    }

    fn write_row(&self, w: &mut Writer, name: &str, text: &str) {
        w.element("item", |w| {
            w.text("zoneName", name);
            w.text("zoneState", text);
            w.text("regionName", &self.region_name);
            w.texts("messageSet", Vec::<String>::new());
        });
    }
}

/// What is shown of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub region_name: String,
    /// Where its API is: the configured URL (2.0.1's form; EC2 gives a bare host).
    pub endpoint: String,
}

impl Filtered for Region {
    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "region-name" => |region| vec![region.region_name.clone()],
            "endpoint" => |region| vec![region.endpoint.clone()],
            "opt-in-status" => |_| vec!["opt-in-not-required".to_string()],
            _ => return None,
        };
        Some(values)
    }
}

/// Which regions there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeRegions {
    /// Only these, each of which must exist; all if empty.
    pub region_names: Vec<String>,
    pub filters: Filters,
}

impl Action for DescribeRegions {
    const NAME: &'static str = "DescribeRegions";
    type Response = DescribeRegionsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let mut region_names = params.list("RegionName");
        // 2.0.1's own name of the parameter.
        region_names.extend(params.list("Region"));
        Ok(Self { region_names, filters: Filters::parse::<Region>(params)? })
    }
}

impl DescribeRegions {
    /// The answer out of all regions.
    ///
    /// # Errors
    /// `InvalidParameterValue` if a region that was named is not there.
    pub fn answer(&self, mut all: Vec<Region>) -> Result<DescribeRegionsResponse, Ec2Error> {
        for name in &self.region_names {
            if !all.iter().any(|region| region.region_name == *name) {
                let shown: String = name.chars().take(60).collect();
                return Err(Ec2Error::new(Code::InvalidParameterValue, format!("Invalid region: [{shown}]")));
            }
        }
        all.retain(|region| {
            (self.region_names.is_empty() || self.region_names.contains(&region.region_name))
                && self.filters.pass(region)
        });
        Ok(DescribeRegionsResponse { regions: all })
    }
}

/// The regions that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeRegionsResponse {
    pub regions: Vec<Region>,
}

impl Reply for DescribeRegionsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("regionInfo", &self.regions, |w, region| {
            w.text("regionName", &region.region_name);
            w.text("regionEndpoint", &region.endpoint);
            w.query_only(|w| w.text("optInStatus", "opt-in-not-required"));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::Door;

    fn zone() -> Zone {
        let small =
            Capacity { instance_type: "m1.small".into(), free: 3, max: 4, cores: 1, memory_mb: 256, disk_gb: 5 };
        Zone {
            zone_name: "cluster1".into(),
            state: ZoneState::Available,
            region_name: "ironbark".into(),
            messages: Vec::new(),
            capacity: vec![small],
        }
    }

    fn ask(admin: bool) -> String {
        let request =
            DescribeAvailabilityZones::parse(&Params::try_from(&[("ZoneName.1", "verbose")][..]).unwrap()).unwrap();
        let mut w = Writer::new(Door::Query, "2010-08-31".parse().unwrap());
        request.answer(admin, vec![zone()]).unwrap().write(&mut w);
        w.into_string()
    }

    #[test]
    fn verbose_shows_administrators_what_fits() {
        assert!(
            ask(true).contains("<zoneName>|- m1.small</zoneName><zoneState>0003 / 0004   1    256     5</zoneState>")
        );
        assert!(!ask(false).contains("m1.small") && ask(false).contains("cluster1"));
    }

    #[test]
    fn a_zone_that_is_not_there_is_an_error() {
        let request = DescribeAvailabilityZones { zone_names: vec!["other".into()], ..Default::default() };
        assert_eq!(request.answer(true, vec![zone()]).unwrap_err().code, Code::InvalidParameterValue);
    }
}
