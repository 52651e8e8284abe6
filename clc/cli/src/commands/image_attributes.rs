//! Commands about the attributes of images: one attribute a command, as EC2 has it.

use anyhow::{Result, bail};
use clap::Args;

use super::{Call, Deed, optional};
use crate::connection::Parameters;
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Describe {
    /// The image, `emi-...`.
    image: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Who may run it.
    #[arg(short, long)]
    launch_permission: bool,
    /// Its product codes.
    #[arg(short, long)]
    product_codes: bool,
    /// Its disks.
    #[arg(short = 'B', long)]
    block_device_mapping: bool,
    /// The kernel it is run with.
    #[arg(long)]
    kernel: bool,
    /// The ramdisk it is run with.
    #[arg(long)]
    ramdisk: bool,
    /// What it is.
    #[arg(long)]
    description: bool,
}

impl Which {
    fn attribute(&self) -> Option<&'static str> {
        let asked = [
            (self.launch_permission, "launchPermission"),
            (self.product_codes, "productCodes"),
            (self.block_device_mapping, "blockDeviceMapping"),
            (self.kernel, "kernel"),
            (self.ramdisk, "ramdisk"),
            (self.description, "description"),
        ];
        asked.into_iter().find(|(asked, _)| *asked).map(|(_, name)| name)
    }
}

impl Describe {
    pub fn call(self) -> Call {
        let mut parameters = vec![("ImageId".to_string(), self.image)];
        parameters.extend(optional("Attribute", self.which.attribute().map(str::to_string)));
        Call { action: "DescribeImageAttribute", parameters, text: shown }
    }
}

/// A line for the attribute if it has a value, or one for each permission.
fn shown(answer: &Element) -> Vec<String> {
    let id = answer.at("imageId");
    let mut lines = Vec::new();
    for attribute in answer.children.iter().filter(|child| !matches!(child.name.as_str(), "requestId" | "imageId")) {
        let kind = attribute.name.as_str();
        if let Some(value) = attribute.child("value") {
            lines.push(columns([kind, id, "", &value.text]));
        }
        let entities = attribute.children.iter().filter(|child| child.name == "item").flat_map(|item| &item.children);
        lines.extend(entities.map(|entity| columns([kind, id, &entity.name, &entity.text])));
    }
    lines
}

#[derive(Args)]
pub struct Modify {
    /// The image, `emi-...`.
    image: String,
    /// What it is; an empty text takes the description away.
    #[arg(long, value_name = "TEXT", conflicts_with = "launch_permission")]
    description: Option<String>,
    /// Say who may run it, with -a and -r.
    #[arg(short, long)]
    launch_permission: bool,
    /// An account that may run it, or `all` for everybody; may be given several times.
    #[arg(short, long, value_name = "ENTITY", requires = "launch_permission")]
    add: Vec<String>,
    /// An account that may no more, or `all`; may be given several times.
    #[arg(short, long, value_name = "ENTITY", requires = "launch_permission")]
    remove: Vec<String>,
}

impl Modify {
    pub fn deed(self) -> Result<Deed> {
        let mut parameters = vec![("ImageId".to_string(), self.image.clone())];
        let mut lines = Vec::new();
        match self.description {
            Some(description) => {
                lines.push(columns(["description", &self.image, "", &description]));
                parameters.push(("Description.Value".to_string(), description));
            }
            None if self.add.is_empty() && self.remove.is_empty() => {
                bail!("name what is to change: --description TEXT, or -l with -a ENTITY or -r ENTITY");
            }
            None => {
                for (change, entities) in [("Add", self.add), ("Remove", self.remove)] {
                    lines.extend(entities.iter().map(|entity| {
                        let kind = if entity == "all" { "group" } else { "userId" };
                        columns(["launchPermission", &self.image, &change.to_uppercase(), kind, entity])
                    }));
                    parameters.extend(permissions(change, entities));
                }
            }
        }
        Ok(Deed { action: "ModifyImageAttribute", parameters, lines })
    }
}

/// `LaunchPermission.Add.1.Group=all`, `LaunchPermission.Add.2.UserId=...`.
fn permissions(change: &str, entities: Vec<String>) -> Parameters {
    let parameter = |(at, entity): (usize, String)| {
        let field = if entity == "all" { "Group" } else { "UserId" };
        (format!("LaunchPermission.{change}.{}.{field}", at + 1), entity)
    };
    entities.into_iter().enumerate().map(parameter).collect()
}

#[derive(Args)]
pub struct Reset {
    /// The image, `emi-...`.
    image: String,
    /// Leave the image to its owner alone; there is no other attribute to reset.
    #[arg(short, long, required = true)]
    launch_permission: bool,
}

impl Reset {
    pub fn deed(self) -> Deed {
        let lines = vec![columns(["launchPermission", &self.image, "RESET"])];
        let parameters =
            vec![("ImageId".to_string(), self.image), ("Attribute".to_string(), "launchPermission".to_string())];
        Deed { action: "ResetImageAttribute", parameters, lines }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        modify: Modify,
    }

    fn deed(line: &str) -> Result<Deed> {
        Line::try_parse_from(format!("euca-modify-image-attribute {line}").split(' '))?.modify.deed()
    }

    #[test]
    fn permissions_are_numbered_for_each_direction() {
        let deed = deed("emi-1 -l -a all -a 123456789012 -r 210987654321").unwrap();
        let sent: Vec<String> = deed.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            sent,
            [
                "ImageId=emi-1",
                "LaunchPermission.Add.1.Group=all",
                "LaunchPermission.Add.2.UserId=123456789012",
                "LaunchPermission.Remove.1.UserId=210987654321",
            ]
        );
        assert_eq!(deed.lines[0], "launchPermission\temi-1\tADD\tgroup\tall");
        assert_eq!(deed.lines[2], "launchPermission\temi-1\tREMOVE\tuserId\t210987654321");
    }

    #[test]
    fn a_change_that_changes_nothing_is_refused_before_it_is_sent() {
        for line in ["emi-1", "emi-1 -l", "emi-1 -a all", "emi-1 -l -a all --description x"] {
            assert!(deed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_attribute_without_a_value_prints_nothing() {
        let lines = |inner: &str| shown(&Element::parse(&format!("<a><imageId>emi-1</imageId>{inner}</a>")).unwrap());
        assert_eq!(lines("<kernel><value>eki-1</value></kernel>"), ["kernel\temi-1\t\teki-1"]);
        assert_eq!(lines("<kernel/>"), [""; 0]);
        let all = "<launchPermission><item><group>all</group></item><item><userId>7</userId></item></launchPermission>";
        assert_eq!(lines(all), ["launchPermission\temi-1\tgroup\tall", "launchPermission\temi-1\tuserId\t7"]);
    }
}
