//! Commands about placement groups.

use anyhow::Result;
use clap::Args;

use super::{Call, accepted, filters, numbered};
use crate::output::columns;
use crate::tree::Element;

#[derive(Args)]
pub struct Create {
    /// Its name.
    name: String,
    /// `cluster`: near each other; `spread`: never two on one node.
    #[arg(short, long, default_value = "cluster")]
    strategy: String,
}

#[derive(Args)]
pub struct Delete {
    /// Its name.
    name: String,
}

#[derive(Args)]
pub struct Describe {
    /// Only these groups.
    names: Vec<String>,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Create {
    pub fn call(self) -> Call {
        let parameters = vec![("GroupName".to_string(), self.name), ("Strategy".to_string(), self.strategy)];
        let text = |answer: &Element| answer.child("placementGroup").map(group).into_iter().collect();
        Call { action: "CreatePlacementGroup", parameters, text }
    }
}

impl Delete {
    pub fn call(self) -> Call {
        let parameters = vec![("GroupName".to_string(), self.name)];
        Call { action: "DeletePlacementGroup", parameters, text: accepted }
    }
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("GroupName", self.names);
        parameters.extend(filters(&self.filters)?);
        let text = |answer: &Element| answer.items("placementGroupSet").map(group).collect();
        Ok(Call { action: "DescribePlacementGroups", parameters, text })
    }
}

fn group(group: &Element) -> String {
    columns(["PLACEMENTGROUP", group.at("groupName"), group.at("strategy"), group.at("state")])
}
