//! The cloud's instances: each record beside what its cluster and nodes say of it, and what it waits for.

use jiff::{SignedDuration, Timestamp};

use super::{GRACE, Sight, Sights, is_over, person};
use crate::convert::timestamp;
use crate::deadlines::{self, Resolution};
use crate::doctor::scene::{OnNode, Scene, Seen};
use crate::doctor::{Finding, Kind, Repair};
use crate::lifecycle::{Due, Observed, Wish};
use crate::store::Instance;

/// Failures are told for so long.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// A record beside what its cluster and nodes say.
pub(super) fn record(scene: &Scene, record: &Instance, sights: &Sights, findings: &mut Vec<Finding>) {
    let alive: Vec<&Sight> = sights.of_id(&record.id).iter().filter(|sight| !is_over(sight.what.state)).collect();
    if record.ended.is_some() {
        findings.extend(ended(scene, record, &alive));
        findings.extend(failed(scene, record));
        return;
    }
    if alive.len() > 1 {
        let nodes: Vec<&str> = alive.iter().map(|sight| sight.node).collect();
        findings.push(person(
            Kind::Disputed,
            &record.id,
            format!("{} is on nodes {}; one instance has one place", record.id, nodes.join(" and ")),
            "look at both; terminating it ends both. To keep one, end the other on its machine with virsh",
        ));
    }
    findings.extend(missing(scene, record, sights));
    findings.extend(late(scene, record, sights));
}

/// An ended instance of which something lives.
fn ended(scene: &Scene, record: &Instance, alive: &[&Sight]) -> Option<Finding> {
    let sight = alive.first()?;
    let since = timestamp(record.ended?);
    // One that we only concluded to be lost comes back by the next report.
    if record.observed == Observed::Gone && record.wish != Wish::Terminate || scene.now.duration_since(since) < GRACE {
        return None;
    }
    Some(Finding {
        kind: Kind::NotGone,
        subject: record.id.clone(),
        sentence: format!(
            "{} is terminated since {since:.0}, and is {} on node {}",
            record.id,
            sight.what.state.name(),
            sight.node
        ),
        plan: format!("have cluster {} end it", sight.cluster),
        repair: Repair::End { id: record.id.clone(), cluster: sight.cluster.to_string(), only_named: false },
    })
}

/// An instance that ended by no wish of its owner's: told for a while, since somebody will ask.
fn failed(scene: &Scene, record: &Instance) -> Option<Finding> {
    let since = timestamp(record.ended?);
    let reason = record.reason.as_ref().filter(|reason| reason.code.starts_with("Server."))?;
    if scene.now.duration_since(since) > TOLD_FOR {
        return None;
    }
    Some(person(
        Kind::Failed,
        &record.id,
        format!("{} of account {} ended at {since:.0}: {}", record.id, record.owner, reason.text),
        "nothing of it is left to repair; see to the cause, then launch anew",
    ))
}

/// A living record that its cluster, or its node, does not know.
fn missing(scene: &Scene, record: &Instance, sights: &Sights) -> Option<Finding> {
    let Seen::Told { nodes, .. } =
        scene.clusters.iter().find(|(name, _)| *name == record.cluster).map(|(_, seen)| seen)?
    else {
        return None;
    };
    let young = scene.now.duration_since(timestamp(record.since)) < GRACE;
    if young || record.observed == Observed::Unseen || !sights.of_id(&record.id).is_empty() {
        return None;
    }
    let belief = sights.belief(&record.id, &record.cluster);
    let node = match belief {
        None => None,
        Some(belief) => {
            let there = nodes.iter().find(|node| node.name == belief.node);
            let Some(there) = there.filter(|_| !is_over(belief.state)) else {
                return (!is_over(belief.state)).then(|| homeless(record, &belief.node));
            };
            // Of a node that cannot be asked nothing is known to be missing.
            if there.inventory.is_err() {
                return None;
            }
            Some(belief.node.as_str())
        }
    };
    let who = node.map_or_else(|| format!("cluster {}", record.cluster), |node| format!("node {node}"));
    let state = record.state().name();
    Some(Finding {
        kind: Kind::Missing,
        subject: record.id.clone(),
        sentence: format!("{} is {state} by the records, and {who}, which should have it, does not", record.id),
        plan: "ask again; after a minute of silence about it, it counts as terminated, with this as its reason"
            .to_string(),
        repair: Repair::Ask { cluster: record.cluster.clone() },
    })
}

/// An instance of a node that its cluster has no longer.
fn homeless(record: &Instance, node: &str) -> Finding {
    person(
        Kind::Missing,
        &record.id,
        format!("{} is on node {node}, which is not registered with cluster {} any more", record.id, record.cluster),
        "register the node again (euca admin register-node); if its machine is lost, terminate the instance",
    )
}

/// An instance that has been on its way for too long, by the cloud's table or its node's.
fn late(scene: &Scene, record: &Instance, sights: &Sights) -> Option<Finding> {
    let by_record = deadlines::deadline(record.wish, record.observed, record.has_booted())
        .map(|deadline| (deadline.after, timestamp(record.since)));
    let on_node = sights.of_id(&record.id).first();
    let by_node = on_node.and_then(|sight| Some((deadlines::on_node(sight.what.state)?, sight.what.since)));
    let overdue = |limit: &(SignedDuration, Timestamp)| scene.now.duration_since(limit.1) > limit.0;
    let (limit, since) = by_record.filter(overdue).or_else(|| by_node.filter(overdue))?;
    let told = on_node.and_then(|sight| sight.what.reason.clone());
    let told = told.or_else(|| sights.belief(&record.id, &record.cluster).and_then(|belief| belief.reason.clone()));
    let (plan, repair) = wanted(record);
    Some(Finding {
        kind: Kind::Late,
        subject: record.id.clone(),
        sentence: format!(
            "{} is {} since {since:.0}, which should take {} at most{}",
            record.id,
            record.state().name(),
            minutes(limit),
            told.map_or_else(String::new, |told| format!("; its node says: {told}"))
        ),
        plan,
        repair,
    })
}

/// What brings an instance on, in words and as the program's part.
fn wanted(record: &Instance) -> (String, Repair) {
    let what = match record.due() {
        Due::Nothing => {
            let plan = format!("ask cluster {} how it is, and believe it", record.cluster);
            return (plan, Repair::Ask { cluster: record.cluster.clone() });
        }
        Due::Launch => "its launch",
        Due::Terminate => "its termination",
        Due::Stop => "its stop",
        Due::Start => "its start",
    };
    let plan = format!("send {what} to cluster {} again now, instead of at the next of its tries", record.cluster);
    (plan, Repair::Tell { id: record.id.clone() })
}

/// How an instance is and what it waits for.
pub(super) fn state(scene: &Scene, record: &Instance, sights: &Sights) -> Finding {
    let since = timestamp(record.since);
    let mut sentence = format!(
        "{} of account {} is {} since {since:.0} (wished: {}; last observed: {})",
        record.id,
        record.owner,
        record.state().name(),
        record.wish.name(),
        record.observed.name()
    );
    if let Some(reason) = &record.reason {
        sentence.push_str(&format!(", because: {}", reason.text));
    }
    for sight in sights.of_id(&record.id) {
        let OnNode { state, reason, since, domain, .. } = sight.what;
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let domain = domain.as_deref().unwrap_or("not known");
        sentence.push_str(&format!(
            "; node {}: {} since {since:.0}{reason}, domain {domain}",
            sight.node,
            state.name()
        ));
    }
    if sights.of_id(&record.id).is_empty()
        && let Some(belief) = sights.belief(&record.id, &record.cluster)
    {
        let reason = belief.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let state = belief.state.name();
        sentence.push_str(&format!("; cluster {}, of node {}: {state}{reason}", record.cluster, belief.node));
    }
    let plan = match deadlines::deadline(record.wish, record.observed, record.has_booted()) {
        None => "it is at rest: it waits for nothing".to_string(),
        Some(deadline) => {
            let at = since.saturating_add(deadline.after).unwrap_or(scene.now);
            let then = match deadline.then {
                Resolution::GiveUp => "it is given up and terminated, with the reason",
                Resolution::TakeBack(Wish::Run) => "it counts as running again, with the reason",
                Resolution::TakeBack(Wish::Stop | Wish::Terminate) => "it counts as stopped again, with the reason",
                Resolution::Conclude => "it counts as terminated if its cluster still does not answer",
                Resolution::Wait => "it is late, and told here",
            };
            format!("it waits: {}. At {at:.0} {then}", wanted(record).0)
        }
    };
    person(Kind::State, &record.id, sentence, plan)
}

fn minutes(limit: SignedDuration) -> String {
    format!("{} minutes", limit.as_mins())
}
