//! Why instances were placed where they were, and where they would be placed now.

use crate::ec2::ids;
use crate::ec2::run::MAX_COUNT;
use crate::error::Ec2Error;
use crate::front::{Action, Params, Reply, Writer};

/// What was decided about the instances of a request: for whoever made it, as counts of reasons; for
/// administrators of the cloud, node by node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribePlacements {
    pub request_id: ironbark_wsdl::RequestId,
}

impl Action for DescribePlacements {
    const NAME: &'static str = "DescribePlacements";
    const SOAP: bool = false;
    type Response = Placements;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let text = params.required("RequestId")?;
        let request_id = text
            .parse()
            .map_err(|_| params.invalid("RequestId", text, "It must be a UUID such as the requestId of an answer."))?;
        Ok(Self { request_id })
    }
}

/// What RunInstances would decide now. Nothing is started or claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribePlacementPlan {
    pub instance_type: String,
    pub count: u32,
    pub availability_zone: Option<String>,
    /// The image of which they would be: its architecture, and where it is cached.
    pub image_id: Option<String>,
    /// The placement group that they would be in, by name or id.
    pub placement_group: Option<String>,
}

impl Action for DescribePlacementPlan {
    const NAME: &'static str = "DescribePlacementPlan";
    const SOAP: bool = false;
    type Response = Placements;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let count = params.integer("Count", 1..=MAX_COUNT)?.unwrap_or(1);
        Ok(Self {
            instance_type: params.text("InstanceType").unwrap_or_else(|| "m1.small".to_string()),
            count: u32::try_from(count).expect("checked to be from 1 to 1000"),
            availability_zone: params.text("AvailabilityZone"),
            image_id: ids::optional_image_id(params, "ImageId")?,
            placement_group: params.text("GroupName"),
        })
    }
}

/// The choice of zones, and what their clusters decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placements {
    pub zones: Vec<ZoneLine>,
    pub decisions: Vec<Decision>,
}

/// One zone in one choice of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneLine {
    /// Counts the choices: there is another when the zone declined.
    pub attempt: u32,
    pub zone: String,
    pub chosen: bool,
    pub reason: String,
    /// What its cluster said when it declined.
    pub declined: Option<String>,
}

/// What a cluster decided about one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub zone: String,
    /// Counts the decisions about the request in this zone, from 0.
    pub number: i32,
    /// RFC 3339.
    pub at: String,
    /// Absent in a plan.
    pub instance_id: Option<String>,
    pub schedule: String,
    /// `planned`, `nowhere`, `given-up`, `sent`, `taken`, `refused`, `unanswered`.
    pub outcome: String,
    /// What the node said.
    pub said: Option<String>,
    pub node_count: i32,
    pub reasons: Vec<ReasonCount>,
    /// For administrators of the cloud.
    pub nodes: Option<Vec<NodeLine>>,
}

/// How many nodes lacked the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    pub filter: String,
    pub nodes: i32,
    /// `have too little memory`.
    pub words: String,
}

/// One node in one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLine {
    pub name: String,
    /// Among those that could take it, from 1: the first was picked.
    pub rank: Option<i32>,
    pub filter: Option<String>,
    pub reason: Option<String>,
    pub weights: Vec<(String, i64)>,
    /// What it has not told, so that it was taken for granted.
    pub assumed: Option<String>,
}

impl Reply for Placements {
    fn write(&self, w: &mut Writer) {
        w.set("zoneSet", &self.zones, |w, line| {
            w.number("attempt", line.attempt.into());
            w.text("zone", &line.zone);
            w.boolean("chosen", line.chosen);
            w.text("reason", &line.reason);
            w.optional("declined", line.declined.as_deref());
        });
        w.set("placementSet", &self.decisions, Decision::write);
    }
}

impl Decision {
    fn write(w: &mut Writer, decision: &Self) {
        w.text("zone", &decision.zone);
        w.number("number", decision.number.into());
        w.text("at", &decision.at);
        w.optional("instanceId", decision.instance_id.as_deref());
        w.text("schedule", &decision.schedule);
        w.text("outcome", &decision.outcome);
        w.optional("said", decision.said.as_deref());
        w.number("nodeCount", decision.node_count.into());
        w.set("reasonSet", &decision.reasons, |w, count| {
            w.text("filter", &count.filter);
            w.number("nodes", count.nodes.into());
            w.text("words", &count.words);
        });
        if let Some(nodes) = &decision.nodes {
            w.set("nodeSet", nodes, |w, node| {
                w.text("name", &node.name);
                w.optional("rank", node.rank.map(|rank| rank.to_string()).as_deref());
                w.optional("filter", node.filter.as_deref());
                w.optional("reason", node.reason.as_deref());
                w.set("weightSet", &node.weights, |w, (name, value)| {
                    w.text("name", name);
                    w.number("value", *value);
                });
                w.optional("assumed", node.assumed.as_deref());
            });
        }
    }
}
