//! Why instances were placed where they were, and where others would be placed now.

use std::sync::Arc;

use ironbark_wsdl::ironbark::{
    DescribePlacements, DescribePlacementsResponse, JoinPlacementGroup, JoinPlacementGroupResponse, PlanInstances,
    PlanInstancesResponse,
};
use ironbark_wsdl::{Context, Refusal};

use super::{MOST_IDS, within_limit};
use crate::cluster::Cluster;
use crate::convert;
use crate::error::ClusterError;
use crate::ids::InstanceId;
use crate::place::{Room, Strategy};
use crate::placing::{self, Imagined};

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
    let plan = placing::plan(&cluster, &ctx, &Imagined { size, count, group }, request.keep).await?;
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
    let ids = request.instance_ids.iter().map(|id| InstanceId::parse(id));
    let ids: Vec<InstanceId> = ids.collect::<Result<_, _>>().map_err(ClusterError::from)?;
    let join = cluster.change(|beliefs, now| beliefs.groups.join(&request.group_id, strategy, &ids, now));
    join.await.map_err(ClusterError::from)?;
    Ok(JoinPlacementGroupResponse::default())
}

fn strategy(name: &str) -> Result<Strategy, ClusterError> {
    let shown: String = name.chars().take(60).collect();
    Strategy::from_name(name)
        .ok_or_else(|| ClusterError::bad("strategy", format!("'{shown}' is none; it must be cluster or spread")))
}
