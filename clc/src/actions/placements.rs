//! Why instances were placed where they were: the choice of the zone from our own records, the choice of
//! the node gathered from the clusters that made it. And the same of what would be done now.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::{CallError, Context, ironbark};
use tokio::task::JoinSet;

use super::run::{find_image, find_size, no_zone, of_group, placement_group};
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::ec2::admin::{Decision, DescribePlacementPlan, DescribePlacements, Placements, ZoneLine};
use crate::ec2::images::ImageType;
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::placement::{self, Prospect, Wanted};
use crate::store::{ZoneChoice, ZoneVerdict};

/// Longest wait for a cluster's part; what has come by then is shown.
const BUDGET: Duration = Duration::from_secs(15);

/// What was decided about a request's instances: for the account that made it, and for administrators of
/// the cloud, who alone see the nodes.
///
/// # Errors
/// `NoSuchEntity` if nothing is known of it, or it is another's.
pub async fn describe_placements(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribePlacements,
) -> Result<Placements, Ec2Error> {
    let id = request.request_id.to_string();
    let choices = cloud.store.zone_choices(id.clone()).await?;
    let unknown = || {
        let text = format!(
            "There is no launch of yours of the request {id}, or it is longer ago than the seven days for which its reasons are kept"
        );
        Ec2Error::new(Code::NoSuchEntity, text)
    };
    let owner = choices.first().map(|choice| choice.owner.as_str());
    if owner.is_none() || (!caller.is_administrator() && owner != Some(caller.account.as_str())) {
        return Err(unknown());
    }
    let mut parts = JoinSet::new();
    for (cluster, known) in cloud.clusters.all_known() {
        let asked = |choice: &ZoneChoice| choice.verdicts.iter().any(|verdict| verdict.zone == cluster.name);
        if known.knows("DescribePlacements") && choices.iter().any(asked) {
            parts.spawn(part(cloud.clone(), ctx.clone(), cluster.name, id.clone()));
        }
    }
    let mut answer = Placements { zones: lines(&choices), decisions: Vec::new() };
    for (zone, part) in parts.join_all().await {
        match part {
            Ok(part) => answer.decisions.extend(decisions(&zone, &part.placements, &caller)),
            Err(_) => answer.zones.push(silent(zone)),
        }
    }
    answer
        .decisions
        .sort_by(|one, other| (&one.at, &one.zone, one.number).cmp(&(&other.at, &other.zone, other.number)));
    Ok(answer)
}

/// What RunInstances would decide now.
///
/// # Errors
/// EC2's for a type, zone, image or placement group that there is not.
pub async fn describe_placement_plan(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribePlacementPlan,
) -> Result<Placements, Ec2Error> {
    if let Some(zone) = request.availability_zone.as_ref().filter(|zone| cloud.clusters.known(zone).is_none()) {
        return Err(no_zone(zone));
    }
    let wanted = wanted(&cloud, &caller, request).await?;
    let mut able = Vec::new();
    let mut prospects = Vec::new();
    for (cluster, known) in cloud.clusters.all_known() {
        if wanted.zone.as_ref().is_some_and(|zone| *zone != cluster.name) {
            continue;
        }
        let unplanned = (!known.knows("PlanInstances")).then_some("has a cluster that makes no plans");
        match (unplanned, wanted.unknown_to(&known)) {
            (Some(why), _) => prospects.push((cluster.name, Prospect::Unknown(why.to_string()))),
            (None, Some(why)) => prospects.push((cluster.name, Prospect::Full(why.to_string()))),
            (None, None) => able.push(cluster.name),
        }
    }
    let plans = placement::plans(&cloud, &ctx, able, &wanted, false).await;
    prospects.extend(plans.iter().map(|(zone, plan)| (zone.clone(), placement::planned(plan, wanted.least))));
    let choice = placement::decide(prospects);
    let mut decisions = Vec::new();
    for (zone, plan) in &plans {
        let plan = plan.iter().flat_map(|plan| &plan.placements).cloned().collect::<Vec<_>>();
        decisions.extend(self::decisions(zone, &plan, &caller));
    }
    Ok(Placements { zones: choice.verdicts.into_iter().map(|verdict| line(1, verdict, None)).collect(), decisions })
}

/// What a plan is asked for, every part of it found as RunInstances finds it.
async fn wanted(cloud: &Cloud, caller: &Caller, request: DescribePlacementPlan) -> Result<Wanted, Ec2Error> {
    let size = find_size(&request.instance_type)?;
    let image = match &request.image_id {
        Some(id) => Some(find_image(&cloud.store.images().await?, caller, id, ImageType::Machine)?),
        None => None,
    };
    let group = placement_group(cloud, caller, request.placement_group.as_ref()).await?;
    Ok(Wanted {
        zone: of_group(cloud, request.availability_zone, group.as_ref()).await?,
        group,
        image_id: image.as_ref().map(|image| image.id.clone()),
        architecture: image.map(|image| image.architecture),
        tags: cloud.node_tags(size.name),
        ..Wanted::of(size, request.count)
    })
}

async fn part(
    cloud: Arc<Cloud>,
    ctx: Context,
    zone: String,
    id: String,
) -> (String, Result<ironbark::DescribePlacementsResponse, CallError>) {
    let message = ironbark::DescribePlacements { request_id: id.clone(), ..Default::default() };
    let answer = tell(&cloud.clusters, &ctx.within(BUDGET), &zone, message, &id).await;
    (zone, answer)
}

fn decisions(zone: &str, placements: &[ironbark::Placement], caller: &Caller) -> Vec<Decision> {
    let nodes_shown = caller.is_administrator();
    placements.iter().map(|placement| convert::decision(zone, placement, nodes_shown)).collect()
}

fn lines(choices: &[ZoneChoice]) -> Vec<ZoneLine> {
    let of = |choice: &ZoneChoice| {
        let (attempt, declined) = (choice.attempt, choice.declined.clone());
        choice.verdicts.iter().cloned().map(move |verdict| line(attempt, verdict, declined.clone())).collect::<Vec<_>>()
    };
    choices.iter().flat_map(of).collect()
}

fn line(attempt: u32, verdict: ZoneVerdict, declined: Option<String>) -> ZoneLine {
    let ZoneVerdict { zone, chosen, sentence } = verdict;
    ZoneLine { attempt, zone, chosen, reason: sentence, declined: declined.filter(|_| chosen) }
}

fn silent(zone: String) -> ZoneLine {
    let reason = "does not answer now: what it decided is missing here".to_string();
    ZoneLine { attempt: 0, zone, chosen: false, reason, declined: None }
}
