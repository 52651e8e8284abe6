//! Commands about the attributes of instances: one attribute a command, as EC2 has it.

use std::path::PathBuf;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::instances::{escaped, user_data};
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
    /// Its user data.
    #[arg(long)]
    user_data: bool,
    /// Its product codes.
    #[arg(short, long)]
    product_code: bool,
    /// Whether its disks have a network of their own.
    #[arg(long)]
    ebs_optimized: bool,
    /// Whether it may only send and receive in its own name.
    #[arg(long)]
    source_dest_check: bool,
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
            (self.product_code, "productCodes"),
            (self.ebs_optimized, "ebsOptimized"),
            (self.source_dest_check, "sourceDestCheck"),
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

/// A line for the attribute; groups are told in one, and user data follows as it is.
fn shown(answer: &Element) -> Vec<String> {
    let id = answer.at("instanceId");
    let mut lines = Vec::new();
    for attribute in answer.children.iter().filter(|child| !matches!(child.name.as_str(), "requestId" | "instanceId")) {
        let name = attribute.name.as_str();
        match name {
            "groupSet" => {
                let groups: Vec<&str> = answer.items(name).map(|group| group.at("groupId")).collect();
                lines.push(columns([name, id, &groups.join(", ")]));
            }
            "userData" => {
                let data = STANDARD.decode(attribute.at("value").trim()).unwrap_or_default();
                lines.push(columns([name, id]));
                lines.extend((!data.is_empty()).then(|| escaped(&String::from_utf8_lossy(&data))));
            }
            "blockDeviceMapping" => lines.extend(attribute.children.iter().map(|disk| {
                columns(["BLOCKDEVICE", disk.at("deviceName"), disk.at("ebs/volumeId"), disk.at("ebs/attachTime")])
            })),
            _ => lines.push(columns([name, id, attribute.at("value")])),
        }
    }
    lines
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
    /// Its kernel.
    #[arg(long)]
    kernel: Option<String>,
    /// Its ramdisk.
    #[arg(long)]
    ramdisk: Option<String>,
    /// Its user data.
    #[arg(short = 'd', long, value_name = "DATA", conflicts_with = "user_data_file")]
    user_data: Option<String>,
    /// File with its user data.
    #[arg(short = 'f', long, value_name = "FILE")]
    user_data_file: Option<PathBuf>,
}

impl Modify {
    pub fn call(self) -> Result<Call> {
        let text = |given: Option<bool>| given.map(|given| given.to_string());
        let given: Vec<(String, String)> = [
            optional("DisableApiTermination.Value", text(self.disable_api_termination)),
            optional("DisableApiStop.Value", text(self.disable_api_stop)),
            optional("InstanceInitiatedShutdownBehavior.Value", self.instance_initiated_shutdown_behavior),
            optional("InstanceType.Value", self.instance_type),
            optional("Kernel.Value", self.kernel),
            optional("Ramdisk.Value", self.ramdisk),
            optional("UserData.Value", user_data(self.user_data, self.user_data_file)?),
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

#[derive(Args)]
pub struct Reset {
    /// The instance, `i-...`.
    instance: String,
    #[command(flatten)]
    which: Resettable,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Resettable {
    /// Its kernel: that of its image.
    #[arg(long)]
    kernel: bool,
    /// Its ramdisk: that of its image.
    #[arg(long)]
    ramdisk: bool,
    /// Whether it may only send and receive in its own name.
    #[arg(long)]
    source_dest_check: bool,
}

impl Reset {
    pub fn call(self) -> Call {
        let asked = [
            (self.which.kernel, "kernel"),
            (self.which.ramdisk, "ramdisk"),
            (self.which.source_dest_check, "sourceDestCheck"),
        ];
        let attribute = asked.into_iter().find(|(asked, _)| *asked).map(|(_, name)| name.to_string());
        let mut parameters = vec![("InstanceId".to_string(), self.instance)];
        parameters.extend(optional("Attribute", attribute));
        // euca2ools prints nothing here.
        Call { action: "ResetInstanceAttribute", parameters, text: |_| Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_a_line_and_user_data_follows_its_own() {
        let lines =
            |inner: &str| shown(&Element::parse(&format!("<a><instanceId>i-1</instanceId>{inner}</a>")).unwrap());
        assert_eq!(lines("<instanceType><value>m1.small</value></instanceType>"), ["instanceType\ti-1\tm1.small"]);
        let groups = "<groupSet><item><groupId>sg-1</groupId></item><item><groupId>sg-2</groupId></item></groupSet>";
        assert_eq!(lines(groups), ["groupSet\ti-1\tsg-1, sg-2"]);
        assert_eq!(lines("<userData><value>aGkb</value></userData>"), ["userData\ti-1", "hi^["]);
        assert_eq!(lines("<userData/>"), ["userData\ti-1"]);
    }
}
