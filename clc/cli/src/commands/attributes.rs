//! Commands about the attributes of instances: one attribute a command, as EC2 has it.

use anyhow::{Result, bail};
use clap::Args;

use super::{Call, accepted, optional};
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Describe {
    /// The instance, `i-...`.
    instance: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Its disks.
    #[arg(short, long)]
    block_device_mapping: bool,
    /// Whether it cannot be terminated.
    #[arg(long)]
    disable_api_termination: bool,
    /// Whether it cannot be stopped.
    #[arg(long)]
    disable_api_stop: bool,
    /// Its security groups.
    #[arg(short, long)]
    group_id: bool,
    /// What becomes of it when it powers itself off.
    #[arg(long)]
    instance_initiated_shutdown_behavior: bool,
    /// Its type.
    #[arg(short = 't', long)]
    instance_type: bool,
    /// Its kernel.
    #[arg(long)]
    kernel: bool,
    /// Its ramdisk.
    #[arg(long)]
    ramdisk: bool,
    /// Its root device's name.
    #[arg(long)]
    root_device_name: bool,
    /// Its user data, in base64.
    #[arg(long)]
    user_data: bool,
}

impl Which {
    fn attribute(&self) -> Option<&'static str> {
        let asked = [
            (self.block_device_mapping, "blockDeviceMapping"),
            (self.disable_api_termination, "disableApiTermination"),
            (self.disable_api_stop, "disableApiStop"),
            (self.group_id, "groupSet"),
            (self.instance_initiated_shutdown_behavior, "instanceInitiatedShutdownBehavior"),
            (self.instance_type, "instanceType"),
            (self.kernel, "kernel"),
            (self.ramdisk, "ramdisk"),
            (self.root_device_name, "rootDeviceName"),
            (self.user_data, "userData"),
        ];
        asked.into_iter().find(|(asked, _)| *asked).map(|(_, name)| name)
    }
}

impl Describe {
    pub fn call(self) -> Call {
        let mut parameters = vec![("InstanceId".to_string(), self.instance)];
        parameters.extend(optional("Attribute", self.which.attribute().map(str::to_string)));
        Call { action: "DescribeInstanceAttribute", parameters, text: shown }
    }
}

/// A line for the attribute, or one for each item of it.
fn shown(answer: &Element) -> Vec<String> {
    let id = answer.at("instanceId");
    let attributes = answer.children.iter().filter(|child| !matches!(child.name.as_str(), "requestId" | "instanceId"));
    let lines = attributes.flat_map(|attribute| {
        let items: Vec<&Element> = attribute.children.iter().filter(|child| child.name == "item").collect();
        let of_item = |item: &&Element| {
            let texts = item.children.iter().map(|child| child.text.as_str());
            columns([attribute.name.as_str(), id].into_iter().chain(texts))
        };
        if items.is_empty() {
            vec![columns([attribute.name.as_str(), id, attribute.at("value")])]
        } else {
            items.iter().map(of_item).collect()
        }
    });
    lines.collect()
}

#[derive(Args)]
pub struct Modify {
    /// The instance, `i-...`.
    instance: String,
    /// Whether it cannot be terminated.
    #[arg(long, value_name = "BOOL")]
    disable_api_termination: Option<bool>,
    /// Whether it cannot be stopped.
    #[arg(long, value_name = "BOOL")]
    disable_api_stop: Option<bool>,
    /// `stop` or `terminate`: what becomes of it when it powers itself off.
    #[arg(long, value_name = "BEHAVIOUR")]
    instance_initiated_shutdown_behavior: Option<String>,
    /// Its type; it must be stopped.
    #[arg(short = 't', long, value_name = "TYPE")]
    instance_type: Option<String>,
}

impl Modify {
    pub fn call(self) -> Result<Call> {
        let text = |given: Option<bool>| given.map(|given| given.to_string());
        let given: Vec<(String, String)> = [
            optional("DisableApiTermination.Value", text(self.disable_api_termination)),
            optional("DisableApiStop.Value", text(self.disable_api_stop)),
            optional("InstanceInitiatedShutdownBehavior.Value", self.instance_initiated_shutdown_behavior),
            optional("InstanceType.Value", self.instance_type),
        ]
        .into_iter()
        .flatten()
        .collect();
        if given.len() != 1 {
            bail!("name one attribute and its new value, such as --disable-api-termination true");
        }
        let mut parameters = vec![("InstanceId".to_string(), self.instance)];
        parameters.extend(given);
        Ok(Call { action: "ModifyInstanceAttribute", parameters, text: accepted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_a_line_and_a_set_a_line_for_each() {
        let one = Element::parse(
            "<a><requestId>r</requestId><instanceId>i-1</instanceId><instanceType><value>m1.small</value></instanceType></a>",
        );
        assert_eq!(shown(&one.unwrap()), ["instanceType\ti-1\tm1.small"]);
        let set = Element::parse(
            "<a><instanceId>i-1</instanceId><groupSet><item><groupId>sg-1</groupId></item><item><groupId>sg-2</groupId></item></groupSet></a>",
        );
        assert_eq!(shown(&set.unwrap()), ["groupSet\ti-1\tsg-1", "groupSet\ti-1\tsg-2"]);
    }
}
