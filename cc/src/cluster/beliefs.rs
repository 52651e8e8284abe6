//! All that the cluster believes of its nodes and instances: one plain struct, changed only by
//! the functions here and in `merge`. No clock, no lock, no await: the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::instance::{Instance, Launch, Spec, State};
use super::node::{Drain, Entry, Health, Node};
use super::placements::Placements;
use super::terms::AllTerms;
use crate::ids::{InstanceId, NodeName};
use crate::place::{self, Candidate, Condition, Decision, Needs, Room, Schedule, Want};

/// How long an instance that no node lists any more stays visible, as 2.0.1's INSTANCE_TIMEOUT.
pub const GONE_KEPT: SignedDuration = SignedDuration::from_secs(300);

/// Nodes and instances, and since when we believe what.
#[derive(Debug, Default)]
pub struct Beliefs {
    /// The nodes, in the order in which GREEDY looks at them: as configured, then as registered.
    pub nodes: Vec<Node>,
    /// The instances; changed only by the functions here.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// What the cloud said of them beforehand.
    pub terms: AllTerms,
    /// Why instances were placed where they were, or nowhere.
    pub placements: Placements,
    /// Which of them are on each node, alone or in dispute: a report about one node must not cost the more, the more
    /// nodes there are.
    on: BTreeMap<NodeName, BTreeSet<InstanceId>>,
    /// Where ROUNDROBIN begins the next time.
    next: usize,
    /// Counts the reports that were begun.
    reports: u64,
    /// Instances that changed, or went, since they were last written down.
    unsaved: BTreeSet<InstanceId>,
    /// Nodes that began or ceased to drain since that was last written down.
    unsaved_drains: BTreeSet<NodeName>,
}

/// Which node answers for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// One node has it.
    On(NodeName),
    /// Several nodes say they have it.
    Disputed(Vec<NodeName>),
    /// We do not know of it.
    Unknown,
}

impl Beliefs {
    /// Beliefs from before a restart: a launch that was under way then is doubtful now.
    pub fn remembered(instances: impl IntoIterator<Item = Instance>, now: Timestamp) -> Self {
        let mut beliefs = Self::default();
        for mut instance in instances {
            if instance.launch == Launch::Calling {
                instance.launch = Launch::Doubtful { since: now };
            }
            beliefs.insert(instance);
        }
        beliefs
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.entry.name == *name)
    }

    /// The same, to change it.
    pub fn node_mut(&mut self, name: &NodeName) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.entry.name == *name)
    }

    /// Takes a node in, at the end of the order.
    pub fn add_node(&mut self, entry: Entry, now: Timestamp) {
        self.nodes.push(Node::new(entry, now));
    }

    /// Lets a node get no new instances, or get them again; false if there is no such node.
    pub fn drain(&mut self, name: &NodeName, drain: Option<Drain>) -> bool {
        let Some(node) = self.node_mut(name) else { return false };
        node.drain = drain;
        self.unsaved_drains.insert(name.clone());
        true
    }

    /// Lets a node go, and what is left of its dead instances.
    pub fn remove_node(&mut self, name: &NodeName) {
        self.unsaved_drains.insert(name.clone());
        self.nodes.retain(|node| node.entry.name != *name);
        let dead: Vec<InstanceId> =
            self.on(name).filter(|i| i.node == *name && !i.alive()).map(|i| i.id.clone()).collect();
        for id in dead {
            self.forget(&id);
        }
    }

    /// Which node answers for an instance.
    pub fn whereabouts(&self, id: &InstanceId) -> Whereabouts {
        match self.instances.get(id) {
            None => Whereabouts::Unknown,
            Some(instance) if instance.also_on.is_empty() => Whereabouts::On(instance.node.clone()),
            Some(instance) => Whereabouts::Disputed(instance.nodes().cloned().collect()),
        }
    }

    /// What is free on a node for new instances: what it last said, less the claims of launches
    /// that its report cannot have counted yet. Nothing unless it is up, and while it is draining.
    pub fn free(&self, node: &Node) -> Room {
        free_after(node, self.on(&node.entry.name).filter(|instance| instance.node == node.entry.name))
    }

    /// The instances that a node is believed to have, alone or in dispute.
    pub fn on(&self, node: &NodeName) -> impl Iterator<Item = &Instance> {
        self.on.get(node).into_iter().flatten().filter_map(|id| self.instances.get(id))
    }

    /// The same nodes and instances, to try out what would be decided: nothing of it is written down.
    pub fn imagined(&self) -> Self {
        let (nodes, instances) = (self.nodes.clone(), self.instances.clone());
        let (on, terms) = (self.on.clone(), self.terms.clone());
        Self { nodes, instances, on, terms, next: self.next, ..Self::default() }
    }

    /// The nodes as placement sees them now, when something of that placement group is to be placed.
    pub fn candidates(&self, group: Option<&str>, now: Timestamp) -> Vec<Candidate> {
        let is_member = |instance: &&&Instance| {
            let of = self.terms.group_of(&instance.id).map(|member| member.group.as_str());
            instance.there() && group.is_some() && of == group
        };
        let mut on: BTreeMap<&NodeName, Vec<&Instance>> = BTreeMap::new();
        for instance in self.instances.values() {
            on.entry(&instance.node).or_default().push(instance);
        }
        let candidate = |node: &Node| {
            let here = on.get(&node.entry.name).map(Vec::as_slice).unwrap_or_default();
            Candidate {
                name: node.entry.name.clone(),
                condition: match node.health {
                    Health::Up => Condition::Up,
                    Health::Unknown | Health::Suspect => Condition::Silent(format!("is {}", node.condition())),
                    Health::Down => Condition::Down(format!("is {}", node.condition())),
                },
                draining: node.drain.as_ref().map(ToString::to_string),
                facts: node.identity.facts.clone(),
                free: free_after(node, here.iter().copied()),
                in_use: here.iter().any(|instance| instance.alive()),
                builds: here.iter().filter(|instance| instance.state == State::Pending).count(),
                failures: node.failures_lately(now),
                members: here.iter().filter(is_member).count(),
            }
        };
        self.nodes.iter().map(candidate).collect()
    }

    /// Places an instance and claims its room, so that the next decision sees it taken. An
    /// earlier placement of the same instance is given up first. Nothing is believed of the
    /// instance if no node fits.
    pub fn place(
        &mut self,
        id: &InstanceId,
        spec: &Spec,
        schedule: Schedule,
        tried: &BTreeSet<NodeName>,
        now: Timestamp,
    ) -> Decision {
        self.forget(id);
        let none = Needs::default();
        let needs = self.terms.of(id).map_or(&none, |terms| &terms.needs);
        let member = self.terms.group_of(id);
        let group = member.map(|member| member.strategy);
        let want = Want { size: spec.size, tried, group, needs, image: &spec.image_id };
        let candidates = self.candidates(member.map(|member| member.group.as_str()), now);
        let decision = place::place(schedule, self.next, &candidates, want);
        self.next = decision.next;
        if let Some(node) = &decision.chosen {
            self.adopt(Instance::placed(id.clone(), spec.clone(), node.clone(), now));
        }
        decision
    }

    /// The node accepted the launch.
    pub fn accepted(&mut self, id: &InstanceId, launched: Option<Timestamp>, now: Timestamp) {
        let after_this_report = self.reports + 1;
        self.edit(id, |instance| {
            instance.launch = Launch::Settled;
            instance.observed = Some(now);
            instance.accepted_at = after_this_report;
            instance.launched = launched.unwrap_or(instance.launched);
        });
    }

    /// Nobody knows whether the node took the launch. Its reports decide; a report that listed the
    /// instance meanwhile has decided already.
    pub fn doubtful(&mut self, id: &InstanceId, reason: String, now: Timestamp) {
        self.edit(id, |instance| match instance.launch {
            Launch::Calling | Launch::Doubtful { .. } => {
                instance.launch = Launch::Doubtful { since: now };
                instance.reason = Some(reason);
            }
            Launch::Settled | Launch::Elsewhere => {}
        });
    }

    /// The launch is undone: wherever the instance is found alive, it is to be terminated.
    pub fn unwanted(&mut self, id: &InstanceId, reason: String) {
        self.edit(id, |instance| {
            instance.unwanted = true;
            instance.reason = Some(reason);
        });
    }

    /// Begins a report: its number, by which it is told whether it can have listed an instance.
    pub fn begin_report(&mut self) -> u64 {
        self.reports += 1;
        self.reports
    }

    /// Gives addresses to instances that have none yet, by MAC (any letter case).
    pub fn learn_addresses(&mut self, of: &BTreeMap<String, Ipv4Addr>) {
        let learned: Vec<(InstanceId, Ipv4Addr)> = self
            .instances
            .values()
            .filter(|instance| instance.alive() && instance.private_ip.is_unspecified())
            .filter_map(|instance| Some((instance.id.clone(), *of.get(&instance.spec.mac.to_ascii_lowercase())?)))
            .collect();
        for (id, address) in learned {
            self.edit(&id, |instance| {
                instance.private_ip = address;
                if instance.public_ip.is_unspecified() {
                    instance.public_ip = address;
                }
            });
        }
    }

    /// True if an instance still waits for its address.
    pub fn addresses_wanted(&self) -> bool {
        self.instances.values().any(|instance| instance.alive() && instance.private_ip.is_unspecified())
    }

    /// Shows `public` as the address of the instance that has `private`; the SYSTEM mode's whole
    /// AssignAddress and UnassignAddress (wire/cc.md 11, "cache only").
    pub fn show_public_address(&mut self, of: impl Fn(&Instance) -> bool, public: Ipv4Addr) {
        let ids: Vec<InstanceId> =
            self.instances.values().filter(|instance| of(instance)).map(|i| i.id.clone()).collect();
        for id in ids {
            self.edit(&id, |instance| instance.public_ip = public);
        }
    }

    /// Forgets instances that no node has listed for [`GONE_KEPT`].
    pub fn sweep(&mut self, now: Timestamp) {
        let old = |instance: &&Instance| instance.absent.is_some_and(|since| now.duration_since(since) > GONE_KEPT);
        let gone: Vec<InstanceId> =
            self.instances.values().filter(|i| !i.alive()).filter(old).map(|instance| instance.id.clone()).collect();
        for id in gone {
            self.forget(&id);
        }
        self.placements.sweep(now);
        let Self { instances, terms, .. } = self;
        terms.sweep(|id| instances.contains_key(id), now);
    }

    /// Forgets one instance.
    pub fn forget(&mut self, id: &InstanceId) {
        if let Some(instance) = self.instances.remove(id) {
            self.leave(&instance);
            self.unsaved.insert(id.clone());
        }
    }

    /// Changes one instance; a change of more than the time of observation will be written down.
    pub fn edit(&mut self, id: &InstanceId, change: impl FnOnce(&mut Instance)) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let before = instance.clone();
        change(instance);
        if !instance.same_but_for_time(&before) {
            self.unsaved.insert(id.clone());
        }
        if (&instance.node, &instance.also_on) != (&before.node, &before.also_on) {
            let after = instance.clone();
            self.leave(&before);
            self.arrive(&after);
        }
    }

    /// Takes in a new instance.
    pub fn adopt(&mut self, instance: Instance) {
        self.unsaved.insert(instance.id.clone());
        self.insert(instance);
    }

    fn insert(&mut self, instance: Instance) {
        if let Some(before) = self.instances.remove(&instance.id) {
            self.leave(&before);
        }
        self.arrive(&instance);
        self.instances.insert(instance.id.clone(), instance);
    }

    fn arrive(&mut self, instance: &Instance) {
        for node in instance.nodes() {
            self.on.entry(node.clone()).or_default().insert(instance.id.clone());
        }
    }

    fn leave(&mut self, instance: &Instance) {
        for node in instance.nodes() {
            if let Some(here) = self.on.get_mut(node) {
                here.remove(&instance.id);
                if here.is_empty() {
                    self.on.remove(node);
                }
            }
        }
    }

    /// What must be written down now: each changed instance, `None` for one that went.
    pub fn take_unsaved(&mut self) -> Vec<(InstanceId, Option<Instance>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().map(|id| (id.clone(), self.instances.get(&id).cloned())).collect()
    }

    /// The same of nodes that drain, or do not any more.
    pub fn take_unsaved_drains(&mut self) -> Vec<(NodeName, Option<Drain>)> {
        let unsaved = std::mem::take(&mut self.unsaved_drains);
        let drain = |name: NodeName| (name.clone(), self.node(&name).and_then(|node| node.drain.clone()));
        unsaved.into_iter().map(drain).collect()
    }
}

/// What a node last said is free, less the claims among its instances; nothing where nothing may be placed.
fn free_after<'a>(node: &Node, instances: impl Iterator<Item = &'a Instance>) -> Room {
    match (node.health, node.free) {
        (Health::Up, Some(free)) if node.drain.is_none() => {
            instances.filter(|instance| instance.claimed).fold(free, |free, instance| free.less(instance.spec.size))
        }
        (Health::Up, _) | (Health::Unknown | Health::Suspect | Health::Down, _) => Room::default(),
    }
}
