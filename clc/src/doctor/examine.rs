//! Compares what the cloud has written down with what its clusters and nodes say, and tells what does not fit. Pure: the
//! scene goes in, the findings come out. Differences younger than [`GRACE`] are work under way and not told. `machines`
//! looks at clusters and nodes, `instances` at the records; here is what both need, and what has no record at all.

mod instances;
mod machines;

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::scene::{Belief, OnNode, Scene, Seen};
use super::{Finding, Kind, Repair};
use crate::lifecycle::Observed;
use crate::store::Address;

/// What is younger may be a message on its way.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Everything that does not fit, causes first.
pub fn examine(scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sights = Sights::of(scene);
    for (cluster, seen) in &scene.clusters {
        machines::cluster(scene, cluster, seen, &mut findings);
    }
    for record in &scene.records {
        instances::record(scene, record, &sights, &mut findings);
    }
    strangers(scene, &sights, &mut findings);
    for address in &scene.addresses {
        findings.extend(stray(scene, address));
    }
    findings.sort_by(|one, other| (one.kind, &one.subject).cmp(&(other.kind, &other.subject)));
    findings
}

/// How one instance is, what it waits for, and what does not fit about it or about where it should be. None if neither
/// the cloud nor a cluster knows it.
pub fn about(scene: &Scene, id: &str) -> Option<Vec<Finding>> {
    let sights = Sights::of(scene);
    let record = scene.records.iter().find(|record| record.id == id);
    let place = record.map(|record| (record.cluster.as_str(), record.node.as_deref())).or_else(|| {
        let seen = sights.of_id(id).first()?;
        Some((seen.cluster, Some(seen.node)))
    });
    let (cluster, node) = place?;
    let at_node = node.map(|node| format!("{cluster}/{node}"));
    let concerns = |finding: &Finding| {
        finding.subject == id || finding.subject == cluster || at_node.as_ref() == Some(&finding.subject)
    };
    let mut findings: Vec<Finding> =
        record.map(|record| instances::state(scene, record, &sights)).into_iter().collect();
    findings.extend(examine(scene).into_iter().filter(concerns));
    Some(findings)
}

/// One instance seen on one node.
struct Sight<'a> {
    cluster: &'a str,
    node: &'a str,
    what: &'a OnNode,
}

/// What is seen of each instance, by id.
#[derive(Default)]
struct Sights<'a> {
    on_nodes: BTreeMap<&'a str, Vec<Sight<'a>>>,
    believed: BTreeMap<&'a str, Vec<(&'a str, &'a Belief)>>,
}

impl<'a> Sights<'a> {
    fn of(scene: &'a Scene) -> Self {
        let mut sights = Self::default();
        for (cluster, seen) in &scene.clusters {
            let Seen::Told { beliefs, nodes } = seen else { continue };
            for belief in beliefs {
                sights.believed.entry(&belief.id).or_default().push((cluster, belief));
            }
            for node in nodes {
                for what in node.inventory.iter().flat_map(|inventory| &inventory.instances) {
                    let sight = Sight { cluster, node: &node.name, what };
                    sights.on_nodes.entry(&what.id).or_default().push(sight);
                }
            }
        }
        sights
    }

    fn of_id(&self, id: &str) -> &[Sight<'a>] {
        self.on_nodes.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    fn belief(&self, id: &str, cluster: &str) -> Option<&'a Belief> {
        self.believed.get(id)?.iter().find(|(of, _)| *of == cluster).map(|(_, belief)| *belief)
    }
}

fn is_over(state: Observed) -> bool {
    matches!(state, Observed::Terminated | Observed::Failed | Observed::Gone)
}

fn person(kind: Kind, subject: impl Into<String>, sentence: String, plan: impl Into<String>) -> Finding {
    Finding { kind, subject: subject.into(), sentence, plan: plan.into(), repair: Repair::None }
}

/// What clusters have and the records do not.
fn strangers(scene: &Scene, sights: &Sights, findings: &mut Vec<Finding>) {
    let known: std::collections::BTreeSet<&str> = scene.records.iter().map(|record| record.id.as_str()).collect();
    for (id, seen) in sights.on_nodes.iter().filter(|(id, _)| !known.contains(*id)) {
        let Some(sight) = seen.iter().find(|sight| !is_over(sight.what.state)) else { continue };
        findings.push(Finding {
            kind: Kind::Unknown,
            subject: (*id).to_string(),
            sentence: format!(
                "{id} of account {} is {} on node {} since {:.0}, and the cloud has no record of it",
                sight.what.owner,
                sight.what.state.name(),
                sight.node,
                sight.what.since
            ),
            plan: format!(
                "if cloud.db was put back from an older copy, this is somebody's: put the newer one back. If nobody \
                 misses it, `euca admin unstick {id} --yes` ends it, disk and all"
            ),
            repair: Repair::End { id: (*id).to_string(), cluster: sight.cluster.to_string(), only_named: true },
        });
    }
}

/// An elastic address that is not where it is said to be.
fn stray(scene: &Scene, address: &Address) -> Option<Finding> {
    let association = address.association.as_ref()?;
    let (ip, id) = (&address.public_ip, &association.instance_id);
    if association.ended {
        return Some(Finding {
            kind: Kind::Address,
            subject: ip.clone(),
            sentence: format!("address {ip} is still on {id} for cluster {}, and {id} has ended", association.cluster),
            plan: "tell the cluster to take it off".to_string(),
            repair: Repair::TakeOff { public_ip: ip.clone() },
        });
    }
    let now = scene.records.iter().find(|record| record.id == *id)?.private_ip.as_ref()?;
    (*now != association.private_ip).then(|| {
        person(
            Kind::Address,
            ip,
            format!("address {ip} leads to {}, where {id} was; it is at {now} now", association.private_ip),
            "its owner disassociates it and associates it again",
        )
    })
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
