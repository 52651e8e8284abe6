//! Compares what the cloud has written down with what its clusters and nodes say, and tells what does not fit. Pure: the
//! scene goes in, the findings come out. Differences younger than [`GRACE`] are work under way and not told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::scene::{Belief, Inventory, Node, OnNode, Scene, Seen};
use super::{Finding, Kind, Repair};
use crate::convert::timestamp;
use crate::deadlines::{self, Resolution};
use crate::lifecycle::{Due, Observed, Wish};
use crate::store::{Address, Instance};

/// What is younger may be a message on its way.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// Failures are told for so long.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Below so many MB free, a node's disks may not grow any more: guests then meet I/O errors.
const DISK_LOW_MB: i64 = 1024;

/// Everything that does not fit, causes first.
pub fn examine(scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sights = Sights::of(scene);
    for (cluster, seen) in &scene.clusters {
        clusters(scene, cluster, seen, &mut findings);
    }
    for record in &scene.records {
        records(scene, record, &sights, &mut findings);
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
    let mut findings: Vec<Finding> = record.map(|record| state(scene, record, &sights)).into_iter().collect();
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

/// A cluster and its nodes.
fn clusters(scene: &Scene, cluster: &str, seen: &Seen, findings: &mut Vec<Finding>) {
    match seen {
        Seen::Silent(why) => {
            let living = scene.records.iter().filter(|record| record.cluster == cluster && record.ended.is_none());
            findings.push(person(
                Kind::ClusterSilent,
                cluster,
                format!(
                    "cluster {cluster} does not answer: {why}. Its {} instances run on as they were; nothing can be \
                     asked of them",
                    living.count()
                ),
                "start its controller, or see that its address and certificate are those that were registered \
                 (euca admin describe-clusters); what was asked for meanwhile is then sent",
            ));
        }
        Seen::Old => findings.push(person(
            Kind::NotExamined,
            cluster,
            format!("cluster {cluster} cannot tell what is really there on its nodes"),
            "nothing is to be done for a cluster of Eucalyptus 2.0.1; one of an older Ironbark can be renewed",
        )),
        Seen::Told { nodes, .. } => nodes.iter().for_each(|node| machine(cluster, node, findings)),
    }
}

/// A node: whether it answers, and what it found that no record explains.
fn machine(cluster: &str, node: &Node, findings: &mut Vec<Finding>) {
    let subject = format!("{cluster}/{}", node.name);
    let inventory = match &node.inventory {
        Ok(inventory) => inventory,
        Err(why) => {
            return findings.push(person(
                Kind::NodeSilent,
                subject,
                format!("{why}. Its instances may run on; nothing can be asked of them"),
                "start its node controller; what was under way is then continued. If the machine is lost for good, \
                 terminate its instances, and deregister it when they are shown as terminated",
            ));
        }
    };
    if let Some(why) = &inventory.hypervisor_trouble {
        findings.push(person(
            Kind::HypervisorSilent,
            &subject,
            format!(
                "the hypervisor of node {} cannot be asked: {why}. States of its instances are the last known",
                node.name
            ),
            "look at libvirtd on that machine (systemctl status libvirtd); the node controller goes on by itself",
        ));
    }
    if inventory.disk_free_mb < DISK_LOW_MB {
        findings.push(person(
            Kind::DiskLow,
            &subject,
            format!("node {} has {} MB of disk left where its instances are", node.name, inventory.disk_free_mb),
            "make room there; a guest whose disk cannot grow is paused by the hypervisor",
        ));
    }
    own_strangers(&subject, node, inventory, findings);
    for what in &inventory.instances {
        drift(cluster, what, node, findings);
    }
}

/// What a node has without being able to say whose it is.
fn own_strangers(subject: &str, node: &Node, inventory: &Inventory, findings: &mut Vec<Finding>) {
    if !inventory.unreadable.is_empty() {
        let sentence = format!("node {} cannot read its records of {}", node.name, inventory.unreadable.join(", "));
        let plan = "start the version of ironbark-nc there that wrote them; nothing of these instances is touched";
        findings.push(person(Kind::Unreadable, subject, sentence, plan));
    }
    for domain in &inventory.strange_domains {
        let sentence = format!("domain {domain} on node {} bears the node's mark and has no record there", node.name);
        let plan = format!("nobody's to end but yours: virsh dumpxml {domain}, and virsh destroy if nobody needs it");
        findings.push(person(Kind::StrangeDomain, subject, sentence, plan));
    }
    for dir in &inventory.strange_files {
        let sentence = format!("{dir} in the directory instances of node {} has no record there", node.name);
        let plan = "look whether it holds anybody's disk; move it away if so, and remove it if not";
        findings.push(person(Kind::StrangeFiles, subject, sentence, plan));
    }
}

/// A node's record beside its own domain and files. The node sees the same every few seconds and settles it: only what
/// lasts is told.
fn drift(cluster: &str, what: &OnNode, node: &Node, findings: &mut Vec<Finding>) {
    let OnNode { id, state, .. } = what;
    let there = format!("on node {}", node.name);
    if !what.files && !is_over(*state) && *state != Observed::Pending && *state != Observed::ShuttingDown {
        let sentence = format!("{id} is {} {there}, and the directory of its disk is not there any more", state.name());
        let plan = "its disk is lost unless you have a copy to put back in its place; terminate it otherwise";
        findings.push(person(Kind::FilesMissing, id, sentence, plan));
    }
    let Some(domain) = what.domain.as_deref() else { return };
    if domain == "paused" && *state == Observed::Running {
        let sentence = format!("{id} runs {there} and is held by its hypervisor: {}", reason(&what.reason));
        let plan = format!("look at the machine's disk space and at virsh domblkerror {id}, then virsh resume {id}");
        findings.push(person(Kind::Paused, id, sentence, plan));
    }
    let expected = match state {
        Observed::Running => domain != "absent" && domain != "off",
        Observed::Stopped => domain == "off" || domain == "absent" || domain == "unclear",
        Observed::Terminated | Observed::Failed => domain == "absent" || domain == "unclear",
        Observed::Unseen | Observed::Gone | Observed::Pending | Observed::Rebooting => true,
        Observed::Stopping | Observed::ShuttingDown => true,
    };
    if !expected {
        findings.push(Finding {
            kind: Kind::Drift,
            subject: id.clone(),
            sentence: format!("{id} is {} {there} by its record, and its domain there is {domain}", state.name()),
            plan: "the node believes its hypervisor within seconds; ask it again".to_string(),
            repair: Repair::Ask { cluster: cluster.to_string() },
        });
    }
}

fn reason(reason: &Option<String>) -> &str {
    reason.as_deref().unwrap_or("no reason was given")
}

/// A record beside what its cluster and nodes say.
fn records(scene: &Scene, record: &Instance, sights: &Sights, findings: &mut Vec<Finding>) {
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

/// How an instance is and what it waits for.
fn state(scene: &Scene, record: &Instance, sights: &Sights) -> Finding {
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

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
