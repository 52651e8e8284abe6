//! Which zone a launch goes to: from what the clusters said lately, and where that leaves no room, from
//! asking them for a plan. Knows no reservation and writes nothing down; which node it gets is the
//! cluster's to decide.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::ironbark::{PlanInstances, PlanInstancesResponse};
use ironbark_wsdl::{CallError, Context};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::clusters::{Known, Node, Room, tell};
use crate::convert;
use crate::store::{PlacementGroup, ZoneVerdict};
use crate::types::Size;

/// What a cluster said of its room is believed for so long.
const BELIEVED: SignedDuration = SignedDuration::from_secs(30);
/// Longest wait for a plan: a cluster makes one without asking anybody.
const BUDGET: Duration = Duration::from_secs(10);

/// What a zone is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The size of each instance.
    pub size: Size,
    /// So many at least.
    pub least: u32,
    /// The only zone that will do, if there is one.
    pub zone: Option<String>,
    /// Zones that declined it.
    pub declined: Vec<String>,
    /// Its placement group.
    pub group: Option<PlacementGroup>,
    /// Its image's id, and on what that runs; a plan may be made without.
    pub image_id: Option<String>,
    pub architecture: Option<String>,
    /// The tags that its node must have.
    pub tags: Vec<String>,
    /// Nothing is to be launched: what clusters said before is not enough, they are asked.
    pub rehearsed: bool,
}

/// A zone for a launch, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The zone.
    pub zone: Option<String>,
    /// True if it said that it has room; false if it is only not known to have none.
    pub certain: bool,
    /// One for each zone that was looked at.
    pub verdicts: Vec<ZoneVerdict>,
}

/// How much a zone is worth trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It has no room for the least that is asked for; why, as far as its cluster tells.
    Full(String),
    /// It is not known to have room, for this reason.
    Unknown(String),
    /// It has room for so many, but at least for the least.
    Room(u32),
}

impl Wanted {
    /// So many of that size, and nothing more of them.
    pub fn of(size: Size, least: u32) -> Self {
        Self {
            size,
            least,
            zone: None,
            declined: Vec::new(),
            group: None,
            image_id: None,
            architecture: None,
            tags: Vec::new(),
            rehearsed: false,
        }
    }

    /// What its cluster would have to know and does not, to follow the zone's name.
    pub fn unknown_to(&self, known: &Known) -> Option<&'static str> {
        if self.group.is_some() && !known.knows("JoinPlacementGroup") {
            return Some("has a cluster that knows no placement groups");
        }
        let tags = !self.tags.is_empty() && !known.knows("RestrictPlacement");
        tags.then_some("has a cluster that knows no tags of nodes")
    }

    /// True if the room that a cluster tells of may be room for others: it counts memory, disk and cores.
    fn is_special(&self, known: &Known) -> bool {
        let other = |node: &Node| node.architecture.is_some() && node.architecture != self.architecture;
        let architecture = self.architecture.is_some() && known.nodes().iter().any(other);
        self.group.is_some() || !self.tags.is_empty() || architecture
    }
}

/// Whether a cluster must be told on what an image runs, before it places instances of it: not if all its nodes run
/// just that.
pub fn is_to_be_told(known: &Known, architecture: &str) -> bool {
    let other = |node: &Node| node.architecture.as_deref() != Some(architecture);
    known.knows("RestrictPlacement") && known.nodes().iter().any(other)
}

impl Prospect {
    /// For comparing: the greater, the better.
    fn worth(&self) -> (u8, u32) {
        match self {
            Prospect::Full(_) => (0, 0),
            Prospect::Unknown(_) => (1, 0),
            Prospect::Room(count) => (2, *count),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Prospect::Full(why) | Prospect::Unknown(why) => why.clone(),
            Prospect::Room(1) => "has room for 1".to_string(),
            Prospect::Room(count) => format!("has room for {count}"),
        }
    }
}

/// Looks for a zone. A cluster whose last word was that it is full is asked anew, if no other has room: so
/// that nothing is refused because of what has changed since. What it answers is kept there under the request.
pub async fn choose(cloud: &Arc<Cloud>, ctx: &Context, wanted: &Wanted) -> Choice {
    let now = cloud.clock.now();
    let fits = |name: &String| {
        wanted.zone.as_ref().is_none_or(|zone| zone == name) && !wanted.declined.iter().any(|zone| zone == name)
    };
    let known = cloud.clusters.all_known().into_iter().map(|(cluster, known)| (cluster.name, known));
    let known: Vec<(String, Known)> = known.filter(|(name, _)| fits(name)).collect();
    let look = |(name, known): &(String, Known)| (name.clone(), prospect(known, wanted, now));
    let mut prospects: Vec<(String, Prospect)> = known.iter().map(look).collect();
    for (name, answer) in plans(cloud, ctx, unsure(&known, &prospects, wanted), wanted, true).await {
        if let Some(place) = prospects.iter_mut().find(|(zone, _)| *zone == name) {
            place.1 = planned(&answer, wanted.least);
        }
    }
    decide(prospects)
}

/// Those that are to be asked for more than a number, and can be: where the number says too little, and those whose
/// last word was that they are full, if no other is known to have room.
fn unsure(known: &[(String, Known)], prospects: &[(String, Prospect)], wanted: &Wanted) -> Vec<String> {
    let told = || known.iter().map(|(_, known)| known).zip(prospects);
    let says_little = |known: &Known| wanted.rehearsed || wanted.is_special(known);
    let room = told().any(|(known, (_, prospect))| matches!(prospect, Prospect::Room(_)) && !says_little(known));
    let full = |prospect: &Prospect| !room && matches!(prospect, Prospect::Full(_));
    let able = |known: &Known| known.knows("PlanInstances") && wanted.unknown_to(known).is_none();
    let unsure = told().filter(|(known, (_, prospect))| able(known) && (says_little(known) || full(prospect)));
    unsure.map(|(_, (name, _))| name.clone()).collect()
}

/// Asks clusters where they would place the least that is wanted.
pub async fn plans(
    cloud: &Arc<Cloud>,
    ctx: &Context,
    zones: Vec<String>,
    wanted: &Wanted,
    keep: bool,
) -> Vec<(String, Result<PlanInstancesResponse, CallError>)> {
    let mut asked = JoinSet::new();
    for zone in zones {
        let (cloud, ctx) = (cloud.clone(), ctx.within(BUDGET));
        let (request, name) = (PlanInstances { keep, ..convert::plan_instances(wanted) }, wanted.size.name);
        asked.spawn(async move {
            let answer = tell(&cloud.clusters, &ctx, &zone, request, name).await;
            (zone, answer)
        });
    }
    let mut plans = asked.join_all().await;
    plans.sort_by(|(one, _), (other, _)| one.cmp(other));
    plans
}

/// Where the whole story of a launch is.
pub fn hint(request_id: &str) -> String {
    format!("`euca schedule explain req-{request_id}` tells more")
}

/// The best of several zones; the first by name among equals.
pub fn decide(mut prospects: Vec<(String, Prospect)>) -> Choice {
    prospects.sort_by(|(one, _), (other, _)| one.cmp(other));
    // max_by_key keeps the last of equals.
    let best = prospects.iter().rev().max_by_key(|(_, prospect)| prospect.worth());
    let best = best.filter(|(_, prospect)| !matches!(prospect, Prospect::Full(_)));
    let zone = best.map(|(name, _)| name.clone());
    let certain = best.is_some_and(|(_, prospect)| matches!(prospect, Prospect::Room(_)));
    let verdict = |(name, prospect): (String, Prospect)| ZoneVerdict {
        chosen: Some(&name) == zone.as_ref(),
        sentence: prospect.sentence(),
        zone: name,
    };
    let verdicts = prospects.into_iter().map(verdict).collect();
    Choice { zone, certain, verdicts }
}

/// What a plan says of a zone.
pub fn planned(answer: &Result<PlanInstancesResponse, CallError>, least: u32) -> Prospect {
    let plan = match answer {
        Ok(plan) => plan,
        Err(_) => return Prospect::Unknown("does not answer now".to_string()),
    };
    let possible = u32::try_from(plan.possible).unwrap_or(0);
    if possible >= least {
        return Prospect::Room(possible);
    }
    let short = plan.short.as_deref().unwrap_or("its cluster gave no reason");
    let why = match possible {
        0 => short.to_string(),
        _ => format!("has room for {possible} of {least}; for the next one, {short}"),
    };
    // Its cluster waits for those nodes before it refuses.
    if plan.silent { Prospect::Unknown(why) } else { Prospect::Full(why) }
}

fn prospect(known: &Known, wanted: &Wanted, now: Timestamp) -> Prospect {
    if let Some(why) = wanted.unknown_to(known).filter(|_| known.answered.is_some()) {
        return Prospect::Full(why.to_string());
    }
    let lately = known.answered.is_some_and(|answered| now.duration_since(answered) <= BELIEVED);
    if !lately {
        return Prospect::Unknown("has not answered lately".to_string());
    }
    let Room { available, .. } = known.room.get(wanted.size.name).copied().unwrap_or_default();
    if available < wanted.least {
        let room = if available == 0 { "no room".to_string() } else { format!("room for {available}") };
        Prospect::Full(format!("had {room} when its cluster was last asked"))
    } else {
        Prospect::Room(available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::size;

    #[test]
    fn a_zone_is_full_only_if_it_said_so_lately() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let least = |least| Wanted::of(size("m1.small").unwrap(), least);
        let mut known = Known::default();
        assert!(matches!(prospect(&known, &least(1), now), Prospect::Unknown(_)));
        known.answered = Some(now);
        assert!(matches!(prospect(&known, &least(1), now), Prospect::Full(_)));
        known.room.insert("m1.small".into(), Room { max: 4, available: 2 });
        assert_eq!(prospect(&known, &least(2), now), Prospect::Room(2));
        assert!(matches!(prospect(&known, &least(3), now), Prospect::Full(_)));
        assert!(matches!(prospect(&known, &least(3), now + SignedDuration::from_mins(1)), Prospect::Unknown(_)));
    }

    #[test]
    fn the_zone_with_most_room_is_chosen_and_one_without_never() {
        let zones = |zones: &[(&str, Prospect)]| {
            decide(zones.iter().map(|(name, prospect)| (name.to_string(), prospect.clone())).collect())
        };
        let (full, unknown) = (Prospect::Full("1 node is down".into()), Prospect::Unknown("silent".into()));
        let choice = zones(&[("b", Prospect::Room(3)), ("a", Prospect::Room(3)), ("c", full.clone())]);
        assert_eq!((choice.zone.as_deref(), choice.certain), (Some("a"), true));
        let sentences: Vec<&str> = choice.verdicts.iter().map(|verdict| verdict.sentence.as_str()).collect();
        assert_eq!(sentences, ["has room for 3", "has room for 3", "1 node is down"]);
        let choice = zones(&[("a", full.clone()), ("b", unknown)]);
        assert_eq!((choice.zone.as_deref(), choice.certain), (Some("b"), false));
        assert_eq!(zones(&[("a", full)]).zone, None);
    }

    #[test]
    fn a_plan_that_is_too_small_tells_why_and_is_doubted_while_nodes_are_silent() {
        let plan = |possible, silent| {
            let short = Some("1 node has too little memory".to_string());
            planned(&Ok(PlanInstancesResponse { possible, silent, short, ..Default::default() }), 2)
        };
        assert_eq!(plan(2, false), Prospect::Room(2));
        assert_eq!(plan(0, false), Prospect::Full("1 node has too little memory".into()));
        assert_eq!(
            plan(1, false),
            Prospect::Full("has room for 1 of 2; for the next one, 1 node has too little memory".into())
        );
        assert!(matches!(plan(0, true), Prospect::Unknown(_)));
        let lost = Err(CallError::Unreachable { reason: "10.0.0.1 refused".into() });
        assert_eq!(planned(&lost, 1), Prospect::Unknown("does not answer now".into()), "hosts are the site's");
    }
}
