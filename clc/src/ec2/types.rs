//! Instance types. Two incompatible APIs share the name DescribeInstanceTypes: EC2's, and
//! Eucalyptus's of 2013. One answer holds both, and each client reads its own half.

use super::filters::{Filtered, Filters, Values};
use super::page::Page;
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What is shown of one instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// `m1.small`
    pub name: String,
    pub cores: u32,
    pub memory_mb: u32,
    pub disk_gb: u32,
    /// How many fit into each zone.
    pub availability: Vec<Availability>,
}

/// How many instances of a type fit into one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    pub zone_name: String,
    /// Into the empty zone.
    pub max: u32,
    /// More, now.
    pub available: u32,
}

impl Filtered for InstanceType {
    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "instance-type" => |it| vec![it.name.clone()],
            "vcpu-info.default-vcpus" => |it| vec![it.cores.to_string()],
            "memory-info.size-in-mib" => |it| vec![it.memory_mb.to_string()],
            "current-generation" => |_| vec!["true".to_string()],
            "processor-info.supported-architecture" => |_| vec!["x86_64".to_string()],
            "vcpu-info.default-cores" => |it| vec![it.cores.to_string()],
            "vcpu-info.default-threads-per-core" => |_| vec!["1".to_string()],
            "instance-storage-info.total-size-in-gb" => |it| vec![it.disk_gb.to_string()],
            "hypervisor" => |_| vec!["kvm".to_string()],
            "bare-metal"
            | "free-tier-eligible"
            | "burstable-performance-supported"
            | "hibernation-supported"
            | "auto-recovery-supported"
            | "dedicated-hosts-supported" => |_| vec!["false".to_string()],
            "ebs-info.ebs-optimized-support" | "ebs-info.encryption-support" | "ebs-info.nvme-support" => {
                |_| vec!["unsupported".to_string()]
            }
            "instance-storage-supported" => |_| vec!["true".to_string()],
            "supported-virtualization-type" => |_| vec!["hvm".to_string()],
            "supported-root-device-type" => |_| vec!["instance-store".to_string()],
            "supported-usage-class" => |_| vec!["on-demand".to_string()],
            _ => return None,
        };
        Some(values)
    }
}

/// Which instance types there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstanceTypes {
    /// Only these, each of which must exist; all if empty.
    pub names: Vec<String>,
    /// euca2ools' `Availability=true`: also how many fit into each zone.
    pub availability: bool,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeInstanceTypes {
    const NAME: &'static str = "DescribeInstanceTypes";
    const SOAP: bool = false;
    type Response = DescribeInstanceTypesResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let names = params.list("InstanceType");
        let page = Page::within(params, 5..=100)?;
        page.refuse_with("InstanceType", names.is_empty())?;
        Ok(Self {
            names,
            availability: params.boolean("Availability")?.unwrap_or(false),
            filters: Filters::parse::<InstanceType>(params)?,
            page,
        })
    }
}

impl DescribeInstanceTypes {
    /// The answer out of all types.
    ///
    /// # Errors
    /// `InvalidInstanceType` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<InstanceType>) -> Result<DescribeInstanceTypesResponse, Ec2Error> {
        for name in &self.names {
            if !all.iter().any(|it| it.name == *name) {
                let shown: String = name.chars().take(60).collect();
                let text = format!("The following supplied instance types do not exist: [{shown}]");
                return Err(Ec2Error::new(Code::InvalidInstanceType, text));
            }
        }
        all.retain(|it| (self.names.is_empty() || self.names.contains(&it.name)) && self.filters.pass(it));
        let (types, next_token) = self.page.cut(all, |it| it.name.clone());
        Ok(DescribeInstanceTypesResponse { types, availability: self.availability, next_token })
    }
}

/// The instance types that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceTypesResponse {
    pub types: Vec<InstanceType>,
    /// With how many fit into each zone.
    pub availability: bool,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeInstanceTypesResponse {
    fn write(&self, w: &mut Writer) {
        w.set("instanceTypeSet", &self.types, |w, it| it.write_ec2(w));
        w.optional("nextToken", self.next_token.as_deref());
        // libcloud compares this namespace to the letter; euca2ools ignores namespaces.
        w.element_in("instanceTypeDetails", "http://msgs.eucalyptus.com/3.3.0", |w| {
            for it in &self.types {
                w.element("item", |w| it.write_eucalyptus(self.availability, w));
            }
        });
    }
}

impl InstanceType {
    fn write_ec2(&self, w: &mut Writer) {
        w.text("instanceType", &self.name);
        w.boolean("currentGeneration", true);
        w.boolean("freeTierEligible", false);
        w.texts("supportedUsageClasses", ["on-demand"]);
        w.texts("supportedRootDeviceTypes", ["instance-store"]);
        w.texts("supportedVirtualizationTypes", ["hvm"]);
        w.boolean("bareMetal", false);
        w.text("hypervisor", "kvm");
        w.element("processorInfo", |w| w.texts("supportedArchitectures", ["x86_64"]));
        w.element("vCpuInfo", |w| {
            w.number("defaultVCpus", i64::from(self.cores));
            w.number("defaultCores", i64::from(self.cores));
            w.number("defaultThreadsPerCore", 1);
        });
        w.element("memoryInfo", |w| w.number("sizeInMiB", i64::from(self.memory_mb)));
        w.boolean("instanceStorageSupported", true);
        w.element("instanceStorageInfo", |w| w.number("totalSizeInGB", i64::from(self.disk_gb)));
        w.element("ebsInfo", |w| {
            for ability in ["ebsOptimizedSupport", "encryptionSupport", "nvmeSupport"] {
                w.text(ability, "unsupported");
            }
        });
        w.boolean("hibernationSupported", false);
        // terraform asks on if this is true.
        w.boolean("burstablePerformanceSupported", false);
        w.boolean("dedicatedHostsSupported", false);
        w.boolean("autoRecoverySupported", false);
        w.texts("supportedBootModes", ["legacy-bios"]);
    }

    fn write_eucalyptus(&self, availability: bool, w: &mut Writer) {
        w.text("name", &self.name);
        w.number("cpu", i64::from(self.cores));
        w.number("disk", i64::from(self.disk_gb));
        w.number("memory", i64::from(self.memory_mb));
        if availability {
            w.set("availability", &self.availability, |w, zone| {
                w.text("zoneName", &zone.zone_name);
                w.number("max", i64::from(zone.max));
                w.number("available", i64::from(zone.available));
            });
        }
    }
}
