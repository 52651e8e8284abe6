//! Clusters and nodes: whether they answer, and what a node has that does not fit with its own records.

use super::{is_over, person};
use crate::doctor::scene::{Inventory, Node, OnNode, Scene, Seen};
use crate::doctor::{Finding, Kind, Repair};
use crate::lifecycle::Observed;

/// Below so many MB free, a node's disks may not grow any more: guests then meet I/O errors.
const DISK_LOW_MB: i64 = 1024;

/// A cluster and its nodes.
pub(super) fn cluster(scene: &Scene, cluster: &str, seen: &Seen, findings: &mut Vec<Finding>) {
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
