//! What a cluster tells of placement: what was decided for a request, and what would be decided now.

use yaserde::{YaDeserialize, YaSerialize};

use crate::marshal::DateTime;

/// How many nodes one filter refused. `placementCountType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "placementCountType")]
pub struct PlacementCount {
    /// `down`, `silent`, `draining`, `tried`, `architecture`, `tags`, `memory`, `disk`, `cores`, `group`.
    #[yaserde(prefix = "n")]
    pub filter: String,
    /// How many nodes.
    #[yaserde(prefix = "n")]
    pub nodes: i32,
    /// What they have in common, to follow the number: `have too little memory`.
    #[yaserde(prefix = "n")]
    pub words: String,
}

/// Something that spoke for or against a node that could take the instance. `placementWeightType` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "placementWeightType")]
pub struct PlacementWeight {
    /// `failures`, `builds`, `group`, `policy`, `memory`, `cores`, `image`.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// More is better.
    #[yaserde(prefix = "n")]
    pub value: i64,
}

/// What a decision says of one node. `placementNodeType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "placementNodeType")]
pub struct PlacementNode {
    /// Its name in the cluster.
    #[yaserde(prefix = "n")]
    pub name: String,
    /// Its place among those that could take the instance, from 1.
    #[yaserde(prefix = "n")]
    pub rank: Option<i32>,
    /// Else the first filter that refused it.
    #[yaserde(prefix = "n")]
    pub filter: Option<String>,
    /// And why, with numbers, to follow its name.
    #[yaserde(prefix = "n")]
    pub reason: Option<String>,
    /// What decided its place, the weightiest first.
    #[yaserde(prefix = "n")]
    pub weights: Vec<PlacementWeight>,
    /// What it has not told, so that it was taken for granted, to follow its name.
    #[yaserde(prefix = "n")]
    pub assumed: Option<String>,
}

/// One decision about one instance. `placementType` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "placementType")]
pub struct Placement {
    /// Counts the decisions of a request, from 0.
    #[yaserde(prefix = "n")]
    pub number: i32,
    /// When.
    #[yaserde(prefix = "n")]
    pub at: DateTime,
    /// Which instance; none in a plan.
    #[yaserde(prefix = "n", rename = "instanceId")]
    pub instance_id: Option<String>,
    /// `GREEDY`, `ROUNDROBIN`, `POWERSAVE` or `SPREAD`.
    #[yaserde(prefix = "n")]
    pub schedule: String,
    /// The node that was picked.
    #[yaserde(prefix = "n")]
    pub chosen: Option<String>,
    /// `planned`, `nowhere`, `given-up`, `sent`, `taken`, `refused` or `unanswered`.
    #[yaserde(prefix = "n")]
    pub outcome: String,
    /// What the node said, or why it said nothing.
    #[yaserde(prefix = "n")]
    pub said: Option<String>,
    /// How many nodes there were.
    #[yaserde(prefix = "n", rename = "nodeCount")]
    pub node_count: i32,
    /// Those that were refused, counted.
    #[yaserde(prefix = "n")]
    pub counts: Vec<PlacementCount>,
    /// The nodes; of a large cluster, not all.
    #[yaserde(prefix = "n")]
    pub nodes: Vec<PlacementNode>,
}

/// Asks a cluster what it decided about the instances of a request. `DescribePlacements` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribePlacements")]
pub struct DescribePlacements {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The request, UUID text.
    #[yaserde(prefix = "n", rename = "requestId")]
    pub request_id: String,
}

/// Answer to [`DescribePlacements`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "DescribePlacementsResponse")]
pub struct DescribePlacementsResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// True if a node took an instance of it, or may have.
    #[yaserde(prefix = "n")]
    pub taken: bool,
    /// The decisions; none if there were none, or they are too long ago.
    #[yaserde(prefix = "n")]
    pub placements: Vec<Placement>,
}

/// Asks a cluster where it would place instances now. Nothing is claimed. `PlanInstances` of
/// `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "PlanInstances")]
pub struct PlanInstances {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// Memory of each, MB.
    #[yaserde(prefix = "n")]
    pub memory: i32,
    /// Disk of each, GB.
    #[yaserde(prefix = "n")]
    pub disk: i32,
    /// Cores of each.
    #[yaserde(prefix = "n")]
    pub cores: i32,
    /// How many.
    #[yaserde(prefix = "n")]
    pub count: i32,
    /// Keep the decisions under the request's id, for DescribePlacements.
    #[yaserde(prefix = "n")]
    pub keep: bool,
    /// The placement group that they are to be in.
    #[yaserde(prefix = "n", rename = "groupId")]
    pub group_id: Option<String>,
    /// What that wants: `cluster` or `spread`.
    #[yaserde(prefix = "n")]
    pub strategy: Option<String>,
    /// What their image runs on, `x86_64`.
    #[yaserde(prefix = "n")]
    pub architecture: Option<String>,
    /// Tags that their node must have.
    #[yaserde(prefix = "n")]
    pub tags: Vec<String>,
    /// Their image.
    #[yaserde(prefix = "n", rename = "imageId")]
    pub image_id: Option<String>,
}

/// Answer to [`PlanInstances`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "PlanInstancesResponse")]
pub struct PlanInstancesResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// How many of them fit.
    #[yaserde(prefix = "n")]
    pub possible: i32,
    /// Why no more, if not all do: the nodes' reasons, counted.
    #[yaserde(prefix = "n")]
    pub short: Option<String>,
    /// True if a node that does not answer now might have room for more.
    #[yaserde(prefix = "n")]
    pub silent: bool,
    /// The decisions.
    #[yaserde(prefix = "n")]
    pub placements: Vec<Placement>,
}

/// Says that instances, launched or still to be launched, are in a placement group; said again, it changes
/// nothing. `JoinPlacementGroup` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "JoinPlacementGroup")]
pub struct JoinPlacementGroup {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// The group's id, one in the whole cloud.
    #[yaserde(prefix = "n", rename = "groupId")]
    pub group_id: String,
    /// `cluster` or `spread`.
    #[yaserde(prefix = "n")]
    pub strategy: String,
    /// Which instances.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`JoinPlacementGroup`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "JoinPlacementGroupResponse")]
pub struct JoinPlacementGroupResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}

/// Says what nodes must be to get instances that are still to be launched; said again, it changes nothing.
/// `RestrictPlacement` of `ironbark.wsdl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "RestrictPlacement")]
pub struct RestrictPlacement {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
    /// What their image runs on, `x86_64`.
    #[yaserde(prefix = "n")]
    pub architecture: Option<String>,
    /// Tags that their node must have.
    #[yaserde(prefix = "n")]
    pub tags: Vec<String>,
    /// Which instances.
    #[yaserde(prefix = "n", rename = "instanceIds")]
    pub instance_ids: Vec<String>,
}

/// Answer to [`RestrictPlacement`].
#[derive(Clone, Debug, Default, PartialEq, Eq, YaSerialize, YaDeserialize)]
#[yaserde(prefix = "n", namespaces = { "n" = "urn:ironbark:1" }, rename = "RestrictPlacementResponse")]
pub struct RestrictPlacementResponse {
    /// Request id; echoed.
    #[yaserde(prefix = "n", rename = "correlationId")]
    pub correlation_id: Option<String>,
    /// User on whose behalf; echoed.
    #[yaserde(prefix = "n", rename = "userId")]
    pub user_id: Option<String>,
    /// Responses that refuse: the reason.
    #[yaserde(prefix = "n", rename = "statusMessage")]
    pub status_message: Option<String>,
    /// Responses only: `true` = done, `false` = refused.
    #[yaserde(prefix = "n", rename = "return")]
    pub accepted: Option<bool>,
}
