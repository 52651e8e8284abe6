//! Instance status: whether an instance and what carries it are well, as far as the tiers below
//! say. Nothing is measured inside the guest.

use super::filters::{Filtered, Filters, Values};
use super::instances::InstanceState;
use super::{Page, ids};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// What can be seen is well.
    Ok,
    /// It is booting.
    Initializing,
    /// What carries it is not well.
    Impaired,
    /// Nothing was heard of it lately.
    InsufficientData,
    /// It does not run.
    NotApplicable,
}

impl Check {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Check::Ok => "ok",
            Check::Initializing => "initializing",
            Check::Impaired => "impaired",
            Check::InsufficientData => "insufficient-data",
            Check::NotApplicable => "not-applicable",
        }
    }

    /// EC2's word for its one detail, `reachability`; none if it does not run.
    fn reachability(self) -> Option<&'static str> {
        match self {
            Check::Ok => Some("passed"),
            Check::Initializing => Some("initializing"),
            Check::Impaired => Some("failed"),
            Check::InsufficientData => Some("insufficient-data"),
            Check::NotApplicable => None,
        }
    }

    fn write(self, element: &str, w: &mut Writer) {
        w.element(element, |w| {
            w.text("status", self.name());
            if let Some(reachability) = self.reachability() {
                w.set("details", [reachability], |w, status| {
                    w.text("name", "reachability");
                    w.text("status", status);
                });
            }
        });
    }
}

/// The status of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStatus {
    pub instance_id: String,
    pub availability_zone: String,
    pub state: InstanceState,
    /// Of its zone and node.
    pub system: Check,
    /// Of itself.
    pub instance: Check,
}

fn detail(check: Check) -> Vec<String> {
    check.reachability().into_iter().map(str::to_string).collect()
}

impl Filtered for InstanceStatus {
    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "availability-zone" | "availability-zone-id" => |it| vec![it.availability_zone.clone()],
            "instance-state-name" => |it| vec![it.state.name().to_string()],
            "instance-state-code" => |it| vec![it.state.code().to_string()],
            "instance-status.status" => |it| vec![it.instance.name().to_string()],
            "instance-status.reachability" => |it| detail(it.instance),
            "system-status.status" => |it| vec![it.system.name().to_string()],
            "system-status.reachability" => |it| detail(it.system),
            // Nothing is ever planned for an instance.
            "event.code" | "event.description" | "event.instance-event-id" => |_| Vec::new(),
            "event.not-after" | "event.not-before" | "event.not-before-deadline" => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }
}

/// How instances are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstanceStatus {
    /// Only these, each of which must exist; all if empty.
    pub instance_ids: Vec<String>,
    /// Also those that do not run.
    pub include_all: bool,
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeInstanceStatus {
    const NAME: &'static str = "DescribeInstanceStatus";
    const SOAP: bool = false;
    type Response = DescribeInstanceStatusResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let instance_ids = ids::instance_ids(params)?;
        let page = Page::parse(params)?;
        if !instance_ids.is_empty() && page.max_results.is_some() {
            let text = "The parameter InstanceId cannot be used with the parameter MaxResults";
            return Err(Ec2Error::new(Code::InvalidParameterCombination, text));
        }
        Ok(Self {
            instance_ids,
            include_all: params.boolean("IncludeAllInstances")?.unwrap_or(false),
            filters: Filters::parse::<InstanceStatus>(params)?,
            page,
        })
    }
}

impl DescribeInstanceStatus {
    /// The answer out of the status of everything the caller has. (That every id in `instance_ids`
    /// exists is for the action to check.)
    pub fn answer(&self, mut all: Vec<InstanceStatus>) -> DescribeInstanceStatusResponse {
        all.retain(|it| {
            (self.include_all || it.state == InstanceState::Running)
                && (self.instance_ids.is_empty() || self.instance_ids.contains(&it.instance_id))
                && self.filters.pass(it)
        });
        let (statuses, next_token) = self.page.cut(all, |it| it.instance_id.clone());
        DescribeInstanceStatusResponse { statuses, next_token }
    }
}

/// The statuses that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeInstanceStatusResponse {
    pub statuses: Vec<InstanceStatus>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeInstanceStatusResponse {
    fn write(&self, w: &mut Writer) {
        w.set("instanceStatusSet", &self.statuses, |w, it| {
            w.text("instanceId", &it.instance_id);
            w.text("availabilityZone", &it.availability_zone);
            w.texts("eventsSet", Vec::<String>::new());
            it.state.write("instanceState", w);
            it.system.write("systemStatus", w);
            it.instance.write("instanceStatus", w);
        });
        w.optional("nextToken", self.next_token.as_deref());
    }
}
