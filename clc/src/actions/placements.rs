//! Why instances were placed where they were: the choice of the zone from our own records, the choice of
//! the node gathered from the clusters that made it. And the same of what would be done now.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::{CallError, Context, ironbark};
use tokio::task::JoinSet;

use super::run::{find_size, no_zone};
use crate::cloud::Cloud;
use crate::clusters::tell;
use crate::convert;
use crate::ec2::admin::{Decision, DescribePlacementPlan, DescribePlacements, Placements, ZoneLine};
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
/// `InvalidParameterValue` for a type or zone that there is not.
pub async fn describe_placement_plan(
    cloud: Arc<Cloud>,
    ctx: Context,
    caller: Caller,
    request: DescribePlacementPlan,
) -> Result<Placements, Ec2Error> {
    let size = find_size(&request.instance_type)?;
    let asked = |name: &String| request.availability_zone.as_ref().is_none_or(|zone| zone == name);
    let known = cloud.clusters.all_known().into_iter().map(|(cluster, known)| (cluster.name, known));
    let (able, unable): (Vec<_>, Vec<_>) =
        known.filter(|(name, _)| asked(name)).partition(|(_, known)| known.knows("PlanInstances"));
    if let Some(zone) = request.availability_zone.as_ref().filter(|_| able.is_empty() && unable.is_empty()) {
        return Err(no_zone(zone));
    }
    let able = able.into_iter().map(|(name, _)| name).collect();
    let (zone, declined) = (request.availability_zone, Vec::new());
    let wanted = Wanted { size, least: request.count, zone, declined, group: None };
    let plans = placement::plans(&cloud, &ctx, able, &wanted, false).await;
    let mut prospects: Vec<(String, Prospect)> =
        plans.iter().map(|(zone, plan)| (zone.clone(), placement::planned(plan, request.count))).collect();
    let cannot = |(name, _)| (name, Prospect::Unknown("has a cluster that makes no plans".to_string()));
    prospects.extend(unable.into_iter().map(cannot));
    let choice = placement::decide(prospects);
    let mut decisions = Vec::new();
    for (zone, plan) in &plans {
        let plan = plan.iter().flat_map(|plan| &plan.placements).cloned().collect::<Vec<_>>();
        decisions.extend(self::decisions(zone, &plan, &caller));
    }
    Ok(Placements { zones: choice.verdicts.into_iter().map(|verdict| line(1, verdict, None)).collect(), decisions })
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
