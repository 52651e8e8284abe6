//! Why instances were placed where they were, and where others would be placed now.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{
    DescribePlacements, DescribePlacementsResponse, JoinPlacementGroup, JoinPlacementGroupResponse, PlanInstances,
    PlanInstancesResponse, RestrictPlacement, RestrictPlacementResponse,
};
use ironbark_wsdl::{Context, Refusal};

use super::{MOST_IDS, within_limit};
use crate::cluster::Cluster;
use crate::convert;
use crate::error::ClusterError;
use crate::ids::InstanceId;
use crate::place::{Needs, Room, Strategy};
use crate::placing::{self, Imagined};

/// Most tags that a node has (nc.toml).
const MOST_TAGS: usize = 32;

/// The decisions about a request, as they were written down.
pub async fn describe_placements(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: DescribePlacements,
) -> Result<DescribePlacementsResponse, Refusal> {
    Ok(cluster.read(|beliefs| DescribePlacementsResponse {
        taken: beliefs.placements.of(&request.request_id).any(|placement| placement.outcome.may_be_taken()),
        placements: beliefs.placements.of(&request.request_id).map(convert::placement).collect(),
        ..Default::default()
    }))
}

/// The decisions that RunInstances would make now; claims nothing and asks no node.
pub async fn plan_instances(
    cluster: Arc<Cluster>,
    ctx: Context,
    request: PlanInstances,
) -> Result<PlanInstancesResponse, Refusal> {
    let size = Room { memory_mb: request.memory.into(), disk_gb: request.disk.into(), cores: request.cores.into() };
    for (field, amount) in [("memory", size.memory_mb), ("disk", size.disk_gb), ("cores", size.cores)] {
        if amount < 1 {
            return Err(ClusterError::bad(field, format!("{amount} is no amount; it must be 1 or more")).into());
        }
    }
    let count = usize::try_from(request.count).ok().filter(|count| (1..=MOST_IDS).contains(count));
    let count = count
        .ok_or_else(|| ClusterError::bad("count", format!("{} is not between 1 and {MOST_IDS}", request.count)))?;
    let group = match &request.group_id {
        Some(id) => Some((id.clone(), strategy(request.strategy.as_deref().unwrap_or_default())?)),
        None => None,
    };
    let needs = needs(request.architecture, request.tags)?;
    let image = request.image_id.unwrap_or_default();
    let plan = placing::plan(&cluster, &ctx, &Imagined { size, count, group, needs, image }, request.keep).await?;
    Ok(PlanInstancesResponse {
        possible: convert::narrow_count(plan.possible),
        short: plan.short,
        silent: plan.silent,
        placements: plan.placements.iter().map(convert::placement).collect(),
        ..Default::default()
    })
}

/// Takes instances, launched or still to be launched, into a placement group.
pub async fn join_placement_group(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: JoinPlacementGroup,
) -> Result<JoinPlacementGroupResponse, Refusal> {
    within_limit(&request.instance_ids)?;
    let strategy = strategy(&request.strategy)?;
    let ids = ids(&request.instance_ids)?;
    let join = cluster.change(|beliefs, now| beliefs.terms.join(&request.group_id, strategy, &ids, now));
    join.await.map_err(ClusterError::from)?;
    Ok(JoinPlacementGroupResponse::default())
}

/// Says what the nodes of instances that are still to be launched must be.
pub async fn restrict_placement(
    cluster: Arc<Cluster>,
    _ctx: Context,
    request: RestrictPlacement,
) -> Result<RestrictPlacementResponse, Refusal> {
    within_limit(&request.instance_ids)?;
    let needs = needs(request.architecture, request.tags)?;
    let ids = ids(&request.instance_ids)?;
    let restrict = cluster.change(|beliefs, now| beliefs.terms.restrict(&needs, &ids, now));
    restrict.await.map_err(ClusterError::from)?;
    Ok(RestrictPlacementResponse::default())
}

fn ids(texts: &[String]) -> Result<Vec<InstanceId>, ClusterError> {
    Ok(texts.iter().map(|id| InstanceId::parse(id)).collect::<Result<_, _>>()?)
}

/// What a request says of nodes. It is kept, so it is bounded.
fn needs(architecture: Option<String>, tags: Vec<String>) -> Result<Needs, ClusterError> {
    if tags.len() > MOST_TAGS {
        return Err(ClusterError::bad("tags", format!("{} tags; a node has at most {MOST_TAGS}", tags.len())));
    }
    for (field, text) in
        architecture.iter().map(|text| ("architecture", text)).chain(tags.iter().map(|text| ("tags", text)))
    {
        if !(1..=64).contains(&text.len()) {
            return Err(ClusterError::bad(field, format!("a word of {} bytes; it must have 1 to 64", text.len())));
        }
    }
    Ok(Needs { architecture, tags: tags.into_iter().collect() })
}

fn strategy(name: &str) -> Result<Strategy, ClusterError> {
    let shown: String = name.chars().take(60).collect();
    Strategy::from_name(name)
        .ok_or_else(|| ClusterError::bad("strategy", format!("'{shown}' is none; it must be cluster or spread")))
}
