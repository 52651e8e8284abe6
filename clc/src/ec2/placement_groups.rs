//! Placement groups: instances that want to be near each other, or on nodes of their own.

use super::filters::{Filtered, Filters, Values};
use super::{Done, ResourceType, Tag};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// What a group wants of its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Near each other: in one zone, and on the same nodes as far as there is room.
    Cluster,
    /// Never two on one node.
    Spread,
}

impl Strategy {
    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Cluster => "cluster",
            Strategy::Spread => "spread",
        }
    }

    /// The strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Strategy::Cluster, Strategy::Spread].into_iter().find(|strategy| strategy.name() == name)
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementGroup {
    /// `pg-` and 17 digits.
    pub group_id: String,
    pub group_name: String,
    pub strategy: Strategy,
    pub tags: Vec<Tag>,
}

impl PlacementGroup {
    fn write(&self, w: &mut Writer) {
        w.text("groupName", &self.group_name);
        w.text("strategy", self.strategy.name());
        w.text("state", "available");
        w.query_only(|w| {
            w.text("groupId", &self.group_id);
            if self.strategy == Strategy::Spread {
                w.text("spreadLevel", "host");
            }
            Tag::write_set(&self.tags, w);
        });
    }
}

impl Filtered for PlacementGroup {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "group-name" => |group| vec![group.group_name.clone()],
            "state" => |_| vec!["available".to_string()],
            "strategy" => |group| vec![group.strategy.name().to_string()],
            "spread-level" => |group| {
                let level = (group.strategy == Strategy::Spread).then(|| "host".to_string());
                level.into_iter().collect()
            },
            "group-arn" => |_| Vec::new(),
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// Makes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePlacementGroup {
    pub group_name: String,
    pub strategy: Strategy,
    pub tags: Vec<Tag>,
}

impl Action for CreatePlacementGroup {
    const NAME: &'static str = "CreatePlacementGroup";
    type Response = CreatePlacementGroupResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let name = params.required("GroupName")?;
        if name.len() > 255 || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(params.invalid("GroupName", name, "It must have at most 255 printable ASCII characters."));
        }
        let strategy = match params.optional("Strategy") {
            None => Strategy::Cluster,
            Some("partition") => {
                let text = "This cloud has no partitions: the Strategy of a placement group is cluster or spread";
                return Err(Ec2Error::new(Code::UnsupportedOperation, text));
            }
            Some(given) => Strategy::named(given)
                .ok_or_else(|| params.invalid("Strategy", given, "It must be cluster or spread."))?,
        };
        match params.optional("SpreadLevel") {
            None | Some("host") => {}
            Some(other) => return Err(params.invalid("SpreadLevel", other, "It must be host: there are no racks.")),
        }
        if let Some(count) = params.optional("PartitionCount") {
            return Err(params.invalid("PartitionCount", count, "This cloud has no partitions; leave it out."));
        }
        let tags = Tag::specified(params, ResourceType::PlacementGroup)?;
        Ok(Self { group_name: name.to_string(), strategy, tags })
    }
}

/// The group that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePlacementGroupResponse(pub PlacementGroup);

impl Reply for CreatePlacementGroupResponse {
    fn write(&self, w: &mut Writer) {
        w.boolean("return", true);
        w.query_only(|w| w.element("placementGroup", |w| self.0.write(w)));
    }
}

/// Deletes a group without instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletePlacementGroup {
    pub group_name: String,
}

impl Action for DeletePlacementGroup {
    const NAME: &'static str = "DeletePlacementGroup";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { group_name: params.required("GroupName")?.to_string() })
    }
}

/// Which groups the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribePlacementGroups {
    /// Only these, each of which must exist; all if both are empty.
    pub group_names: Vec<String>,
    pub group_ids: Vec<String>,
    pub filters: Filters,
}

impl Action for DescribePlacementGroups {
    const NAME: &'static str = "DescribePlacementGroups";
    type Response = DescribePlacementGroupsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self {
            group_names: params.list("GroupName"),
            group_ids: params.list("GroupId"),
            filters: Filters::parse::<PlacementGroup>(params)?,
        })
    }
}

impl DescribePlacementGroups {
    /// The answer out of all groups of the caller.
    ///
    /// # Errors
    /// `InvalidPlacementGroup.Unknown` if one that was named is not there.
    pub fn answer(&self, mut all: Vec<PlacementGroup>) -> Result<DescribePlacementGroupsResponse, Ec2Error> {
        let named = |group: &PlacementGroup| {
            self.group_names.contains(&group.group_name) || self.group_ids.contains(&group.group_id)
        };
        let missing = self.group_names.iter().find(|name| !all.iter().any(|group| group.group_name == **name));
        let missing =
            missing.or_else(|| self.group_ids.iter().find(|id| !all.iter().any(|group| group.group_id == **id)));
        if let Some(missing) = missing {
            return Err(Ec2Error::no_placement_group(missing));
        }
        let everything = self.group_names.is_empty() && self.group_ids.is_empty();
        all.retain(|group| (everything || named(group)) && self.filters.pass(group));
        Ok(DescribePlacementGroupsResponse(all))
    }
}

/// The groups that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribePlacementGroupsResponse(pub Vec<PlacementGroup>);

impl Reply for DescribePlacementGroupsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("placementGroupSet", &self.0, |w, group| group.write(w));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(pairs: &[(&str, &str)]) -> Option<Code> {
        CreatePlacementGroup::parse(&Params::try_from(pairs).unwrap()).err().map(|error| error.code)
    }

    #[test]
    fn what_there_is_not_is_refused() {
        let name = ("GroupName", "web");
        for given in [&[name][..], &[name, ("Strategy", "spread"), ("SpreadLevel", "host")]] {
            assert_eq!(code(given), None);
        }
        assert_eq!(code(&[name, ("Strategy", "partition")]), Some(Code::UnsupportedOperation));
        assert_eq!(code(&[name, ("Strategy", "apart")]), Some(Code::InvalidParameterValue));
        assert_eq!(code(&[name, ("SpreadLevel", "rack")]), Some(Code::InvalidParameterValue));
        assert_eq!(code(&[name, ("PartitionCount", "2")]), Some(Code::InvalidParameterValue));
        assert_eq!(code(&[]), Some(Code::MissingParameter));
    }
}
