//! Commands about instances.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use uuid::Uuid;

use super::{Call, filters, numbered, optional, tags};
use crate::connection::Cloud;
use crate::output::{Form, columns, print};
use crate::tree::Element;

#[derive(Args)]
pub struct Run {
    /// The image, `emi-...`.
    image: String,
    /// How many: `N`, or `MIN-MAX` to take what there is room for.
    #[arg(short = 'n', long = "instance-count", value_name = "MIN[-MAX]", default_value = "1")]
    count: String,
    /// Name of the key pair whose public key the guest gets.
    #[arg(short, long)]
    key: Option<String>,
    /// Instance type, such as m1.small.
    #[arg(short = 't', long)]
    instance_type: Option<String>,
    /// Security group; may be given several times.
    #[arg(short, long)]
    group: Vec<String>,
    /// User data.
    #[arg(short = 'd', long, value_name = "DATA", conflicts_with = "user_data_file")]
    user_data: Option<String>,
    /// File with user data.
    #[arg(short = 'f', long, value_name = "FILE")]
    user_data_file: Option<PathBuf>,
    /// Availability zone.
    #[arg(short = 'z', long)]
    availability_zone: Option<String>,
    /// Placement group, by name or id.
    #[arg(long, value_name = "GROUP")]
    placement_group: Option<String>,
    /// Kernel, instead of the image's own.
    #[arg(long)]
    kernel: Option<String>,
    /// Ramdisk, instead of the image's own.
    #[arg(long)]
    ramdisk: Option<String>,
    /// `stop` or `terminate`: what becomes of an instance that powers itself off.
    #[arg(long, value_name = "BEHAVIOUR")]
    instance_initiated_shutdown_behavior: Option<String>,
    /// Let nobody terminate the instances before this is taken back.
    #[arg(long)]
    disable_api_termination: bool,
    /// Wish the instances to be monitored.
    #[arg(short, long)]
    monitor: bool,
    /// A tag for each instance; may be given several times.
    #[arg(long = "tag", value_name = "KEY[=VALUE]")]
    tags: Vec<String>,
    /// A text of your own that makes repeating this command safe; without it, each command launches anew.
    #[arg(long, value_name = "TOKEN")]
    client_token: Option<String>,
}

impl Run {
    pub fn call(self) -> Result<Call> {
        let (least, most) = match self.count.split_once('-') {
            Some((least, most)) => (least.to_string(), most.to_string()),
            None => (self.count.clone(), self.count),
        };
        for number in [&least, &most] {
            if number.parse::<u32>().is_err() {
                bail!("-n {number}: write a number, or two as MIN-MAX");
            }
        }
        let user_data = user_data(self.user_data, self.user_data_file)?;
        let (group_ids, group_names): (Vec<_>, Vec<_>) =
            self.group.into_iter().partition(|group| group.starts_with("sg-"));
        let mut parameters =
            vec![("ImageId".to_string(), self.image), ("MinCount".to_string(), least), ("MaxCount".to_string(), most)];
        parameters.extend(optional("KeyName", self.key));
        parameters.extend(optional("InstanceType", self.instance_type));
        parameters.extend(numbered("SecurityGroup", group_names));
        parameters.extend(numbered("SecurityGroupId", group_ids));
        parameters.extend(optional("UserData", user_data));
        parameters.extend(optional("Placement.AvailabilityZone", self.availability_zone));
        parameters.extend(optional("Placement.GroupName", self.placement_group));
        parameters.extend(optional("KernelId", self.kernel));
        parameters.extend(optional("RamdiskId", self.ramdisk));
        parameters.extend(optional("InstanceInitiatedShutdownBehavior", self.instance_initiated_shutdown_behavior));
        let yes = |name: &str, given: bool| given.then(|| (name.to_string(), "true".to_string()));
        parameters.extend(yes("DisableApiTermination", self.disable_api_termination));
        parameters.extend(yes("Monitoring.Enabled", self.monitor));
        parameters.extend(tags::specification("instance", &self.tags)?);
        // Two such commands within one second would be one request, sent twice.
        let token = self.client_token.unwrap_or_else(|| Uuid::new_v4().to_string());
        parameters.push(("ClientToken".to_string(), token));
        Ok(Call { action: "RunInstances", parameters, text: reservation })
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only these instances.
    instances: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("InstanceId", self.instances);
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("reservationSet").flat_map(reservation).collect();
        Ok(Call { action: "DescribeInstances", parameters, text })
    }
}

#[derive(Args)]
pub struct Ids {
    /// The instances, `i-...`.
    #[arg(required = true)]
    instances: Vec<String>,
}

impl Ids {
    pub fn reboot(self) -> Call {
        // euca2ools prints nothing here.
        Call { action: "RebootInstances", parameters: numbered("InstanceId", self.instances), text: |_| Vec::new() }
    }

    pub fn terminate(self) -> Call {
        Call { action: "TerminateInstances", parameters: numbered("InstanceId", self.instances), text: changes }
    }

    pub fn start(self) -> Call {
        Call { action: "StartInstances", parameters: numbered("InstanceId", self.instances), text: changes }
    }
}

#[derive(Args)]
pub struct Stop {
    /// The instances, `i-...`.
    #[arg(required = true)]
    instances: Vec<String>,
    /// Cut the power at once instead of asking the guest.
    #[arg(short, long)]
    force: bool,
}

impl Stop {
    pub fn call(self) -> Call {
        let mut parameters = numbered("InstanceId", self.instances);
        parameters.extend(self.force.then(|| ("Force".to_string(), "true".to_string())));
        Call { action: "StopInstances", parameters, text: changes }
    }
}

#[derive(Args)]
pub struct Console {
    /// The instance, `i-...`.
    instance: String,
    /// Print control characters as they are instead of as `^X`.
    #[arg(short, long)]
    raw_console_output: bool,
}

impl Console {
    pub async fn run(self, cloud: &Cloud, form: Form) -> Result<()> {
        let answer = cloud.ask("GetConsoleOutput", vec![("InstanceId".to_string(), self.instance)]).await?;
        let bytes = STANDARD.decode(answer.at("output").trim()).context("the console output is not base64")?;
        let text = String::from_utf8_lossy(&bytes);
        let shown = if self.raw_console_output { text.into_owned() } else { escaped(&text) };
        print(form, &answer, |answer| {
            vec![answer.at("instanceId").to_string(), answer.at("timestamp").to_string(), shown]
        });
        Ok(())
    }
}

/// User data as EC2 wants it, in base64, from a text or a file.
pub(super) fn user_data(text: Option<String>, file: Option<PathBuf>) -> Result<Option<String>> {
    let bytes = match (text, file) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(path)) => std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?,
        (None, None) => return Ok(None),
    };
    Ok(Some(STANDARD.encode(bytes)))
}

/// Control characters as `^X`, so that a guest cannot drive the user's terminal.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            '\r' => {}
            '\u{0}'..='\u{1f}' => shown.extend(['^', char::from(character as u8 + 64)]),
            '\u{7f}'..='\u{9f}' => shown.push('?'),
            _ => shown.push(character),
        }
    }
    shown
}

/// A RESERVATION line and its INSTANCE lines (columns of euca2ools 3.4).
fn reservation(answer: &Element) -> Vec<String> {
    let groups = answer.items("groupSet").map(|group| {
        let name = group.at("groupName");
        if name.is_empty() { group.at("groupId") } else { name }
    });
    let groups = groups.collect::<Vec<_>>().join(", ");
    let mut lines = vec![columns(["RESERVATION", answer.at("reservationId"), answer.at("ownerId"), &groups])];
    for item in answer.items("instancesSet") {
        lines.push(instance(item));
        lines.extend(tags::lines("instance", item.at("instanceId"), item));
    }
    lines
}

fn instance(instance: &Element) -> String {
    let products = instance.items("productCodes").map(|item| item.at("productCode")).collect::<Vec<_>>().join(",");
    let monitoring = format!("monitoring-{}", instance.at("monitoring/state"));
    columns([
        "INSTANCE",
        instance.at("instanceId"),
        instance.at("imageId"),
        instance.at("dnsName"),
        instance.at("privateDnsName"),
        instance.at("instanceState/name"),
        instance.at("keyName"),
        instance.at("amiLaunchIndex"),
        &products,
        instance.at("instanceType"),
        instance.at("launchTime"),
        instance.at("placement/availabilityZone"),
        instance.at("kernelId"),
        instance.at("ramdiskId"),
        instance.at("platform"),
        &monitoring,
        instance.at("ipAddress"),
        instance.at("privateIpAddress"),
        instance.at("vpcId"),
        instance.at("subnetId"),
        instance.at("rootDeviceType"),
        instance.at("instanceLifecycle"),
        instance.at("spotInstanceRequestId"),
        "",
        instance.at("placement/groupName"),
        instance.at("virtualizationType"),
        instance.at("hypervisor"),
        instance.at("clientToken"),
    ])
    .trim_end()
    .to_string()
}

/// INSTANCE lines with the state before and after.
fn changes(answer: &Element) -> Vec<String> {
    let line = |item: &Element| {
        columns(["INSTANCE", item.at("instanceId"), item.at("previousState/name"), item.at("currentState/name")])
    };
    answer.items("instancesSet").map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_drive_the_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\r\nc\u{9b}"), "a^[[2Jb\nc?");
    }

    #[test]
    fn an_instance_line_has_euca2ools_columns() {
        let xml = "<item><instanceId>i-1</instanceId><imageId>emi-2</imageId><instanceState><code>16</code><name>running</name></instanceState>\
                   <keyName>k</keyName><instanceType>m1.small</instanceType><monitoring><state>disabled</state></monitoring></item>";
        let line = instance(&Element::parse(xml).unwrap());
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!((cells[1], cells[2], cells[5], cells[6], cells[9]), ("i-1", "emi-2", "running", "k", "m1.small"));
        assert_eq!(cells[15], "monitoring-disabled");
    }
}
