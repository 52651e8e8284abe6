//! A plan is what a run would do: the same decisions on the same beliefs, which it leaves as they are.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::{Strategy, *};
use crate::cluster::node::{Drain, Entry, Health, Profile, Source};
use crate::place::Facts;

const NOON: &str = "2026-11-20T12:00:00Z";

/// Memory, disk, cores, health, failures, what it tells, whether it drains.
type NodeFacts = (i64, i64, i64, u8, usize, u8, bool);

fn beliefs(nodes: &[NodeFacts], there: &[(usize, i64)]) -> Beliefs {
    let now: Timestamp = NOON.parse().unwrap();
    let mut beliefs = Beliefs::default();
    for (index, (memory_mb, disk_gb, cores, health, failures, told, drains)) in nodes.iter().enumerate() {
        let name = NodeName::parse(&format!("n{index}")).unwrap();
        let (url, certificate) = (format!("http://n{index}/"), String::new());
        beliefs.add_node(
            Entry { name: name.clone(), url, profile: Profile::Strict, certificate, source: Source::Configured },
            now,
        );
        let node = beliefs.node_mut(&name).unwrap();
        node.answered(now);
        node.health = [Health::Up, Health::Up, Health::Up, Health::Suspect, Health::Down][usize::from(*health)];
        node.free = Some(Room { memory_mb: *memory_mb, disk_gb: *disk_gb, cores: *cores });
        node.identity.facts = (*told > 0).then(|| facts(*told));
        node.drain = drains.then(|| Drain { node: name.clone(), since: now, reason: None });
        (0..*failures).for_each(|_| node.launch_failed(now));
    }
    for (number, (node, memory_mb)) in there.iter().enumerate() {
        let id = InstanceId::parse(&format!("i-{number:08x}")).unwrap();
        let spec = Spec { size: Room { memory_mb: *memory_mb, disk_gb: 1, cores: 1 }, ..Spec::default() };
        let node = NodeName::parse(&format!("n{}", node % nodes.len())).unwrap();
        beliefs.adopt(Instance::placed(id, spec, node, now));
    }
    drop(beliefs.take_unsaved());
    beliefs
}

/// Of each of the three, one in two is as it is asked for.
fn facts(told: u8) -> Arc<Facts> {
    let set = |bit: u8, word: &str| if told & bit == 0 { BTreeSet::new() } else { BTreeSet::from([word.to_string()]) };
    let architecture = Some(if told & 1 == 0 { "arm64" } else { "x86_64" }.to_string());
    Arc::new(Facts { architecture, tags: set(2, "ssd"), images: set(4, "emi-00000001") })
}

fn schedule() -> impl Generator<Value = Schedule> {
    prop_oneof![Just(Schedule::Greedy), Just(Schedule::RoundRobin), Just(Schedule::PowerSave), Just(Schedule::Spread)]
}

proptest! {
    #[test]
    fn a_plan_decides_as_the_run_does_and_changes_nothing(
        nodes in prop::collection::vec((0i64..2000, 0i64..60, 0i64..12, 0u8..5, 0usize..3, 0u8..16, prop::bool::weighted(0.2)), 1..8),
        there in prop::collection::vec((0usize..8, 1i64..300), 0..12),
        memory_mb in 1i64..700,
        count in 1usize..12,
        schedule in schedule(),
        tags in prop::collection::btree_set(Just("ssd".to_string()), 0..2),
        group in prop_oneof![Just(None), Just(Some(Strategy::Cluster)), Just(Some(Strategy::Spread))],
    ) {
        let now: Timestamp = NOON.parse().unwrap();
        let mut beliefs = beliefs(&nodes, &there);
        let size = Room { memory_mb, disk_gb: 2, cores: 1 };
        let members: Vec<InstanceId> = beliefs.instances.keys().take(3).cloned().collect();
        beliefs.terms.join("pg-1", Strategy::Spread, &members, now);
        drop(beliefs.terms.take_unsaved());
        let needs = Needs { architecture: Some("x86_64".into()), tags };
        let group = group.map(|strategy| ("pg-1".to_string(), strategy));
        let image = "emi-00000001".to_string();
        let asked = Imagined { size, count, group, needs, image };
        let plan = imagine(&mut beliefs.imagined(), &asked, schedule, now).unwrap();
        prop_assert!(beliefs.take_unsaved().is_empty() && beliefs.placements.take_unsaved().is_empty());
        prop_assert!(beliefs.terms.take_unsaved().is_empty());
        prop_assert_eq!(beliefs.instances.len(), there.len());

        let wished = (0..count).map(|number| {
            let id = InstanceId::parse(&format!("i-F{number:07x}")).unwrap();
            (id, Spec { size, image_id: asked.image.clone(), ..Spec::default() })
        });
        let order = Order { wished: wished.collect(), least: count };
        let ids: Vec<InstanceId> = order.wished.iter().map(|(id, _)| id.clone()).collect();
        beliefs.terms.restrict(&asked.needs, &ids, now);
        if let Some((group, strategy)) = &asked.group {
            beliefs.terms.join(group, *strategy, &ids, now);
        }
        let run = place_all(&mut beliefs, &order, schedule, now).unwrap();
        let decisions = |placed: &Placed| placed.decisions.iter().map(|(_, _, made)| made.clone()).collect::<Vec<_>>();
        prop_assert_eq!(decisions(&plan), decisions(&run));
        prop_assert_eq!(plan.possible(), run.possible());
    }
}
