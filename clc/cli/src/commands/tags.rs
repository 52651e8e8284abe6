//! Commands about tags, and how a tag is printed below the resource that has it.

use anyhow::{Result, bail};
use clap::Args;

use super::{Call, Deed, filters, numbered};
use crate::connection::Parameters;
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Change {
    /// What has the tags: ids of instances, images, groups, addresses, ...
    #[arg(required = true)]
    resources: Vec<String>,
    /// The tag; may be given several times. When tags are deleted, KEY alone fits any value.
    #[arg(long = "tag", value_name = "KEY[=VALUE]", required = true)]
    tags: Vec<String>,
}

impl Change {
    pub fn create(self) -> Result<Deed> {
        let mut parameters = self.parameters()?;
        // EC2 wants a value, be it an empty one.
        for (at, _) in self.tags.iter().enumerate().filter(|(_, tag)| !tag.contains('=')) {
            parameters.push((format!("Tag.{}.Value", at + 1), String::new()));
        }
        Ok(Deed { action: "CreateTags", parameters, lines: self.lines() })
    }

    pub fn delete(self) -> Result<Deed> {
        Ok(Deed { action: "DeleteTags", parameters: self.parameters()?, lines: self.lines() })
    }

    /// A TAG line for each tag of each resource.
    fn lines(&self) -> Vec<String> {
        let line = |resource: &String, tag: &String| {
            let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
            columns(["TAG", kind(resource), resource, key, value]).trim_end().to_string()
        };
        self.resources.iter().flat_map(|resource| self.tags.iter().map(move |tag| line(resource, tag))).collect()
    }

    /// The resources and the tags, with the values that were given.
    fn parameters(&self) -> Result<Parameters> {
        let mut parameters = numbered("ResourceId", self.resources.iter().cloned());
        for (at, tag) in self.tags.iter().enumerate() {
            let (key, value) = tag.split_once('=').map_or((tag.as_str(), None), |(key, value)| (key, Some(value)));
            if key.is_empty() {
                bail!("--tag '{tag}' has no key: write KEY or KEY=VALUE");
            }
            parameters.push((format!("Tag.{}.Key", at + 1), key.to_string()));
            parameters.extend(value.map(|value| (format!("Tag.{}.Value", at + 1), value.to_string())));
        }
        Ok(parameters)
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let text = |answer: &Element| {
            let line = |tag: &Element| {
                columns(["TAG", tag.at("resourceId"), tag.at("resourceType"), tag.at("key"), tag.at("value")])
            };
            answer.items("tagSet").map(line).collect()
        };
        Ok(Call { action: "DescribeTags", parameters: filters(&self.filters)?, text })
    }
}

/// The parameters that hang tags on what a request makes.
pub fn specification(kind: &str, tags: &[String]) -> Result<Parameters> {
    let mut parameters = Parameters::new();
    if !tags.is_empty() {
        parameters.push(("TagSpecification.1.ResourceType".to_string(), kind.to_string()));
    }
    for (at, tag) in tags.iter().enumerate() {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        if key.is_empty() {
            bail!("--tag '{tag}' has no key: write KEY or KEY=VALUE");
        }
        parameters.push((format!("TagSpecification.1.Tag.{}.Key", at + 1), key.to_string()));
        parameters.push((format!("TagSpecification.1.Tag.{}.Value", at + 1), value.to_string()));
    }
    Ok(parameters)
}

/// What kind of thing an id is of, by what it begins with.
fn kind(id: &str) -> &'static str {
    let kinds = [
        ("i-", "instance"),
        ("emi-", "image"),
        ("eki-", "image"),
        ("eri-", "image"),
        ("key-", "key-pair"),
        ("sg-", "security-group"),
        ("sgr-", "security-group-rule"),
        ("eipalloc-", "elastic-ip"),
    ];
    kinds.into_iter().find(|(prefix, _)| id.starts_with(prefix)).map_or("", |(_, kind)| kind)
}

/// The TAG lines below a resource's own line.
pub fn lines(kind: &str, id: &str, resource: &Element) -> Vec<String> {
    let line = |tag: &Element| columns(["TAG", kind, id, tag.at("key"), tag.at("value")]);
    resource.items("tagSet").map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(tag: &str) -> Change {
        Change { resources: vec!["i-1".to_string()], tags: vec![tag.to_string()] }
    }

    #[test]
    fn a_value_may_be_empty_or_left_out() {
        let sent = |deed: Deed| deed.parameters.into_iter().map(|(name, value)| format!("{name}={value}"));
        let created: Vec<String> = sent(change("k").create().unwrap()).collect();
        assert_eq!(created, ["ResourceId.1=i-1", "Tag.1.Key=k", "Tag.1.Value="]);
        // Without a value the tag goes whatever it says; with an empty one only if it is empty.
        let deleted: Vec<String> = sent(change("k").delete().unwrap()).collect();
        assert_eq!(deleted, ["ResourceId.1=i-1", "Tag.1.Key=k"]);
        let deleted: Vec<String> = sent(change("k=").delete().unwrap()).collect();
        assert_eq!(deleted, ["ResourceId.1=i-1", "Tag.1.Key=k", "Tag.1.Value="]);
        assert!(change("=v").create().is_err());
    }
}
