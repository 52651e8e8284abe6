//! Each filter alone, each weight alone, and laws over random nodes.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::{Strategy, *};

fn room(memory_mb: i64, disk_gb: i64, cores: i64) -> Room {
    Room { memory_mb, disk_gb, cores }
}

fn node(name: &str, memory_mb: i64) -> Candidate {
    Candidate {
        name: NodeName::parse(name).unwrap(),
        condition: Condition::Up,
        draining: None,
        facts: Some(Arc::new(facts())),
        free: room(memory_mb, 100, 8),
        in_use: false,
        builds: 0,
        failures: 0,
        members: 0,
    }
}

fn facts() -> Facts {
    let set = |word: &str| BTreeSet::from([word.to_string()]);
    Facts { architecture: Some("x86_64".into()), tags: set("ssd"), images: set("emi-00000001") }
}

fn needs(architecture: &str, tags: &[&str]) -> Needs {
    Needs { architecture: Some(architecture.into()), tags: tags.iter().map(ToString::to_string).collect() }
}

/// For one who has been nowhere yet and is in no group.
fn want<'a>(size: Room, needs: &'a Needs, image: &'a str) -> Want<'a> {
    const NOWHERE: &BTreeSet<NodeName> = &BTreeSet::new();
    Want { size, tried: NOWHERE, group: None, needs, image }
}

fn decide(schedule: Schedule, next: usize, nodes: &[Candidate], size: Room) -> Decision {
    place(schedule, next, nodes, want(size, &needs("x86_64", &["ssd"]), ""))
}

fn pick(schedule: Schedule, next: usize, nodes: &[Candidate], size: Room) -> (Option<String>, usize) {
    let decision = decide(schedule, next, nodes, size);
    (decision.chosen.map(String::from), decision.next)
}

#[test]
fn greedy_takes_the_first_that_fits() {
    let nodes = [node("n1", 64), node("n2", 512), node("n3", 512)];
    assert_eq!(pick(Schedule::Greedy, 2, &nodes, room(128, 1, 1)).0.as_deref(), Some("n2"));
}

#[test]
fn round_robin_goes_on_after_the_last_one_and_passes_over_those_that_are_down() {
    let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 512)];
    assert_eq!(pick(Schedule::RoundRobin, 1, &nodes, room(128, 1, 1)), (Some("n2".to_string()), 2));
    nodes[2].condition = Condition::Down("is down since noon".to_string());
    assert_eq!(pick(Schedule::RoundRobin, 2, &nodes, room(128, 1, 1)), (Some("n1".to_string()), 1));
    assert_eq!(pick(Schedule::RoundRobin, 7, &nodes, room(9999, 1, 1)), (None, 7));
}

#[test]
fn power_save_prefers_a_node_in_use() {
    let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 512)];
    assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n1"));
    nodes[2].in_use = true;
    assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n3"));
    nodes[2].free.cores = 0;
    assert_eq!(pick(Schedule::PowerSave, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n1"));
}

#[test]
fn spread_takes_the_one_with_the_most_memory_then_cores() {
    let mut nodes = [node("n1", 512), node("n2", 900), node("n3", 900)];
    assert_eq!(pick(Schedule::Spread, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n2"));
    nodes[2].free.cores = 9;
    assert_eq!(pick(Schedule::Spread, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n3"));
}

#[test]
fn a_node_on_which_launches_failed_or_that_makes_many_comes_after_the_others() {
    let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 512)];
    nodes[0].failures = 1;
    nodes[1].builds = BUILDS;
    let decision = decide(Schedule::Greedy, 0, &nodes, room(128, 1, 1));
    let ranks: Vec<usize> = decision
        .verdicts
        .iter()
        .map(|verdict| match verdict.judgement {
            Judgement::Fits { rank, .. } => rank,
            Judgement::Refused(_) => 0,
        })
        .collect();
    assert_eq!(ranks, [3, 2, 1], "failures weigh more than builds, and both more than the policy");
    nodes[1].builds = BUILDS - 1;
    assert_eq!(pick(Schedule::Greedy, 0, &nodes, room(128, 1, 1)).0.as_deref(), Some("n2"));
}

/// C-T2: each filter alone refuses, with its sentence.
#[test]
fn each_filter_alone_refuses_with_its_sentence() {
    type Spoil = fn(&mut Candidate);
    let cases: [(Filter, Spoil, &str, &str); 8] = [
        (
            Filter::Draining,
            |node| node.draining = Some("since noon: its disk is replaced".into()),
            "n1 is draining since noon: its disk is replaced",
            "1 node is draining",
        ),
        (
            Filter::Architecture,
            |node| node.facts = Some(Arc::new(Facts { architecture: Some("arm64".into()), ..facts() })),
            "n1 runs arm64, and the image is for x86_64",
            "1 node has another architecture than the image",
        ),
        (
            Filter::Tags,
            |node| node.facts = Some(Arc::new(Facts { tags: BTreeSet::from(["gpu".into()]), ..facts() })),
            "n1 lacks the tag ssd",
            "1 node lacks a tag that is asked for",
        ),
        (
            Filter::Down,
            |node| node.condition = Condition::Down("is down since noon: it cannot be reached".into()),
            "n1 is down since noon: it cannot be reached",
            "1 node is down",
        ),
        (
            Filter::Silent,
            |node| node.condition = Condition::Silent("is suspect: it did not answer within 5 s".into()),
            "n1 is suspect: it did not answer within 5 s",
            "1 node does not answer now",
        ),
        (
            Filter::Memory,
            |node| node.free.memory_mb = 64,
            "n1 has only 64 MB of memory free; the instance needs 128",
            "1 node has too little memory",
        ),
        (
            Filter::Disk,
            |node| node.free.disk_gb = 1,
            "n1 has only 1 GB of disk free; the instance needs 2",
            "1 node has too little disk",
        ),
        (
            Filter::Cores,
            |node| node.free.cores = 0,
            "n1 has only 0 cores free; the instance needs 1",
            "1 node has too few cores",
        ),
    ];
    for (filter, spoil, sentence, words) in cases {
        let mut nodes = [node("n1", 512)];
        assert_eq!(pick(Schedule::Greedy, 0, &nodes, room(128, 2, 1)).0.as_deref(), Some("n1"));
        spoil(&mut nodes[0]);
        let decision = decide(Schedule::Greedy, 0, &nodes, room(128, 2, 1));
        assert_eq!(decision.to_string(), format!("no node fits: {sentence}"));
        assert_eq!(decision.counts(), BTreeMap::from([(filter, 1)]));
        assert_eq!(decision.summary(), words);
    }
    let nodes = [node("n1", 512)];
    let tried = BTreeSet::from([nodes[0].name.clone()]);
    let needs = Needs::default();
    let decision = place(Schedule::Greedy, 0, &nodes, Want { tried: &tried, ..want(room(128, 2, 1), &needs, "") });
    assert_eq!(decision.to_string(), "no node fits: n1 refused this instance already");
    assert_eq!(decision.summary(), "1 node refused it");
}

#[test]
fn a_group_keeps_its_instances_apart_or_near_each_other() {
    let mut nodes = [node("n1", 512), node("n2", 512)];
    nodes[1].members = 2;
    let needs = Needs::default();
    let of = |nodes: &[Candidate], strategy| {
        let want = Want { group: Some(strategy), ..want(room(128, 1, 1), &needs, "") };
        place(Schedule::Greedy, 0, nodes, want)
    };
    assert_eq!(of(&nodes, Strategy::Cluster).chosen.unwrap().as_str(), "n2");
    assert_eq!(of(&nodes, Strategy::Spread).chosen.unwrap().as_str(), "n1");
    nodes[0].members = 1;
    let none = of(&nodes, Strategy::Spread);
    assert_eq!(none.summary(), "2 nodes have instances of its placement group");
    assert!(none.to_string().contains("n1 has an instance of its spread placement group"), "{none}");
    nodes[1].free.cores = 0;
    assert_eq!(of(&nodes, Strategy::Cluster).chosen.unwrap().as_str(), "n1", "near is a wish, room is a must");
}

#[test]
fn what_a_node_does_not_tell_is_assumed_and_said() {
    let (mut untold, mut starting) = (node("n1", 512), node("n2", 512));
    untold.facts = None;
    starting.facts = Some(Arc::new(Facts { architecture: None, ..facts() }));
    let needs = needs("arm64", &["ssd"]);
    let decision = place(Schedule::Greedy, 0, &[untold, starting, node("n3", 512)], want(room(1, 1, 1), &needs, ""));
    let said = |verdict: &Verdict| match &verdict.judgement {
        Judgement::Fits { assumed, .. } => assumed.clone().unwrap_or_default(),
        Judgement::Refused(refusal) => refusal.sentence.clone(),
    };
    let said: Vec<String> = decision.verdicts.iter().map(said).collect();
    assert_eq!(
        said,
        [
            "does not tell its architecture and tags, which are assumed to fit",
            "does not tell its architecture, which is assumed to fit",
            "runs x86_64, and the image is for arm64",
        ]
    );
    assert_eq!(pick(Schedule::Greedy, 0, &[node("n1", 512)], room(1, 1, 1)).0.as_deref(), Some("n1"));
}

#[test]
fn images_for_i386_run_on_x86_64_and_not_the_other_way_round() {
    let nodes = [node("n1", 512)];
    let fits = |needs: &Needs| place(Schedule::Greedy, 0, &nodes, want(room(1, 1, 1), needs, "")).chosen.is_some();
    assert!(fits(&needs("i386", &[])) && !fits(&needs("arm64", &[])));
    let mut old = node("n1", 512);
    old.facts = Some(Arc::new(Facts { architecture: Some("i386".into()), ..facts() }));
    assert_eq!(pick(Schedule::Greedy, 0, &[old], room(1, 1, 1)).0, None);
}

#[test]
fn among_equals_the_one_that_has_the_image_comes_first() {
    let mut nodes = [node("n1", 512), node("n2", 512), node("n3", 500)];
    nodes[0].facts = Some(Arc::new(Facts { images: BTreeSet::new(), ..facts() }));
    let needs = Needs::default();
    let chosen = |schedule, image| place(schedule, 0, &nodes, want(room(1, 1, 1), &needs, image)).chosen.unwrap();
    assert_eq!(chosen(Schedule::Spread, "emi-00000001").as_str(), "n2", "more memory counts for more");
    assert_eq!(chosen(Schedule::Spread, "emi-00000002").as_str(), "n1");
    assert_eq!(chosen(Schedule::Greedy, "emi-00000001").as_str(), "n1", "the policy's order counts for more");
}

#[test]
fn the_first_filter_that_refuses_is_the_answer_and_reasons_are_counted() {
    let mut nodes = [node("n1", 64), node("n2", 64), node("n3", 64), node("n4", 512)];
    nodes[0].free.cores = 0;
    nodes[2].condition = Condition::Down("is down".to_string());
    nodes[3].free.cores = 0;
    let decision = decide(Schedule::Greedy, 0, &nodes, room(128, 1, 1));
    assert_eq!(decision.summary(), "2 nodes have too little memory, 1 is down, 1 has too few cores");
    let none = decide(Schedule::Greedy, 0, &[], room(1, 1, 1));
    assert_eq!(none.summary(), "no node is registered with this cluster");
    assert_eq!(none.to_string(), "no node is registered with this cluster");
}

#[test]
fn how_many_fit_is_the_least_of_the_three() {
    assert_eq!(room(1024, 100, 8).times(room(128, 10, 1)), 8);
    assert_eq!(room(1024, 35, 8).times(room(128, 10, 1)), 3);
    assert_eq!(room(1024, 100, 0).times(room(128, 10, 1)), 0);
    assert_eq!(room(1024, 100, 8).times(room(128, 0, 1)), 0);
}

fn nodes() -> impl Generator<Value = Vec<Candidate>> {
    let one = (0i64..2000, 0i64..100, 0i64..16, prop::bool::weighted(0.2), any::<bool>(), 0..2 * BUILDS, 0usize..3);
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let candidate = |(index, (memory_mb, disk_gb, cores, down, in_use, builds, failures))| Candidate {
            name: NodeName::parse(&format!("n{index}")).unwrap(),
            condition: if down { Condition::Down("is down".to_string()) } else { Condition::Up },
            draining: None,
            facts: Some(Arc::new(facts())),
            free: room(memory_mb, disk_gb, cores),
            in_use,
            builds,
            failures,
            members: 0,
        };
        all.into_iter().enumerate().map(candidate).collect()
    })
}

fn schedule() -> impl Generator<Value = Schedule> {
    prop_oneof![Just(Schedule::Greedy), Just(Schedule::RoundRobin), Just(Schedule::PowerSave), Just(Schedule::Spread)]
}

proptest! {
    #[test]
    fn nothing_is_ever_overcommitted(mut nodes in nodes(), schedule in schedule(), wants in prop::collection::vec((1i64..600, 1i64..40, 1i64..5), 1..60)) {
        let mut next = 0;
        for (memory_mb, disk_gb, cores) in wants {
            let want = room(memory_mb, disk_gb, cores);
            let decision = decide(schedule, next, &nodes, want);
            next = decision.next;
            let refused = decision.counts().values().sum::<usize>();
            match decision.chosen {
                Some(name) => {
                    let node = nodes.iter_mut().find(|node| node.name == name).unwrap();
                    prop_assert!(node.condition == Condition::Up && node.free.fits(want));
                    node.free = node.free.less(want);
                }
                // Refused means that it fits nowhere, and that each node's reason is told.
                None => {
                    prop_assert!(nodes.iter().all(|node| node.condition != Condition::Up || !node.free.fits(want)));
                    prop_assert_eq!(refused, nodes.len());
                }
            }
        }
    }

    #[test]
    fn ranks_are_one_to_the_number_that_fit_and_the_first_is_chosen(nodes in nodes(), schedule in schedule(), next in 0usize..20) {
        let decision = decide(schedule, next, &nodes, room(100, 1, 1));
        let mut ranked: Vec<(usize, &NodeName, Weights)> = decision.verdicts.iter().filter_map(|verdict| match verdict.judgement {
            Judgement::Fits { rank, weights, .. } => Some((rank, &verdict.node, weights)),
            Judgement::Refused(_) => None,
        }).collect();
        ranked.sort_by_key(|(rank, ..)| *rank);
        prop_assert_eq!(ranked.iter().map(|(rank, ..)| *rank).collect::<Vec<_>>(), (1..=ranked.len()).collect::<Vec<_>>());
        prop_assert!(ranked.is_sorted_by(|one, two| one.2 >= two.2));
        prop_assert_eq!(decision.chosen.as_ref(), ranked.first().map(|(_, node, _)| *node));
    }

    #[test]
    fn round_robin_visits_every_node_that_fits_before_one_comes_twice(mut nodes in nodes(), start in 0usize..20) {
        let want = room(100, 1, 1);
        for node in &mut nodes {
            (node.failures, node.builds) = (0, 0);
        }
        let fitting = nodes.iter().filter(|node| node.condition == Condition::Up && node.free.fits(want)).count();
        let mut next = start;
        let mut seen = BTreeSet::new();
        for _ in 0..fitting {
            let decision = decide(Schedule::RoundRobin, next, &nodes, want);
            next = decision.next;
            seen.insert(decision.chosen.unwrap());
        }
        prop_assert_eq!(seen.len(), fitting);
    }
}
