//! What does not fit together in the cloud, and its repair.

use crate::doctor;
use crate::ec2::ids;
use crate::error::Ec2Error;
use crate::front::{Access, Action, Params, Reply, Writer};

/// Looks for what does not fit together: everywhere, or about one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeFindings {
    pub instance_id: Option<String>,
}

impl Action for DescribeFindings {
    const NAME: &'static str = "DescribeFindings";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Diagnosis;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_id: instance_id(params)? })
    }
}

/// Looks again, and does what the findings' plans say as far as it is a program's to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairFindings {
    pub instance_id: Option<String>,
}

impl Action for RepairFindings {
    const NAME: &'static str = "RepairFindings";
    const ACCESS: Access = Access::Administrator;
    const SOAP: bool = false;
    type Response = Diagnosis;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { instance_id: instance_id(params)? })
    }
}

fn instance_id(params: &Params) -> Result<Option<String>, Ec2Error> {
    // An empty one is malformed, and not a request about everything.
    params.given("InstanceId").map(ids::instance_id).transpose()
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How much was looked at.
    pub clusters: usize,
    pub nodes: usize,
    pub instances: usize,
    pub findings: Vec<Found>,
}

/// One finding, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub finding: doctor::Finding,
    /// Whether [`RepairFindings`], asked as this was, does something about it.
    pub repairable: bool,
    /// What came of the repair, if there was one.
    pub outcome: Option<String>,
}

impl Reply for Diagnosis {
    fn write(&self, w: &mut Writer) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        w.number("clusters", count(self.clusters));
        w.number("nodes", count(self.nodes));
        w.number("instances", count(self.instances));
        w.set("findingSet", &self.findings, |w, Found { finding, repairable, outcome }| {
            w.text("kind", finding.kind.name());
            w.text("subject", &finding.subject);
            w.text("sentence", &finding.sentence);
            w.text("plan", &finding.plan);
            w.boolean("repairable", *repairable);
            w.optional("outcome", outcome.as_deref());
        });
    }
}
