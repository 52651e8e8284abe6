//! Commands about how instances and accounts are.

use anyhow::Result;
use clap::Args;

use super::{Call, filters, numbered};
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Describe {
    /// Only these instances.
    instances: Vec<String>,
    /// Also those that do not run.
    #[arg(long)]
    include_all_instances: bool,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("InstanceId", self.instances);
        if self.include_all_instances {
            parameters.push(("IncludeAllInstances".to_string(), "true".to_string()));
        }
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("instanceStatusSet").flat_map(status).collect();
        Ok(Call { action: "DescribeInstanceStatus", parameters, text })
    }
}

/// An INSTANCE line, and a line for each check of the instance and of what carries it.
fn status(status: &Element) -> Vec<String> {
    let names = [
        "instanceId",
        "availabilityZone",
        "instanceState/name",
        "instanceState/code",
        "instanceStatus/status",
        "systemStatus/status",
    ];
    let mut lines = vec![columns(std::iter::once("INSTANCE").chain(names.map(|name| status.at(name))))];
    for (set, word) in [("systemStatus/details", "SYSTEMSTATUS"), ("instanceStatus/details", "INSTANCESTATUS")] {
        lines.extend(status.items(set).map(|check| columns([word, check.at("name"), check.at("status")])));
    }
    lines
}

#[derive(Args)]
pub struct Monitoring {
    /// The instances, `i-...`.
    #[arg(required = true)]
    instances: Vec<String>,
}

impl Monitoring {
    pub fn on(self) -> Call {
        Call { action: "MonitorInstances", parameters: numbered("InstanceId", self.instances), text: monitored }
    }

    pub fn off(self) -> Call {
        Call { action: "UnmonitorInstances", parameters: numbered("InstanceId", self.instances), text: monitored }
    }
}

fn monitored(answer: &Element) -> Vec<String> {
    let line = |instance: &Element| columns([instance.at("instanceId"), instance.at("monitoring/state")]);
    answer.items("instancesSet").map(line).collect()
}

#[derive(Args)]
pub struct AccountAttributes {
    /// Only these attributes.
    attributes: Vec<String>,
}

impl AccountAttributes {
    pub fn call(self) -> Call {
        let text = |answer: &Element| answer.items("accountAttributeSet").flat_map(attribute).collect();
        Call { action: "DescribeAccountAttributes", parameters: numbered("AttributeName", self.attributes), text }
    }
}

fn attribute(attribute: &Element) -> Vec<String> {
    let mut lines = vec![columns(["ACCOUNTATTRIBUTE", attribute.at("attributeName")])];
    let values = attribute.items("attributeValueSet");
    lines.extend(values.map(|value| columns(["VALUE", value.at("attributeValue")])));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_line_and_one_for_each_check() {
        let answer = Element::parse(
            "<item><instanceId>i-1</instanceId><availabilityZone>z</availabilityZone><instanceState><code>16</code>\
             <name>running</name></instanceState><systemStatus><status>ok</status><details><item><name>reachability</name>\
             <status>passed</status></item></details></systemStatus><instanceStatus><status>ok</status></instanceStatus></item>",
        );
        let lines = status(&answer.unwrap());
        assert_eq!(lines, ["INSTANCE\ti-1\tz\trunning\t16\tok\tok", "SYSTEMSTATUS\treachability\tpassed"]);
    }
}
