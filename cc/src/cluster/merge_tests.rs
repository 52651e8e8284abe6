//! The merging of reports, event by event, and its laws over random histories.

use proptest::prelude::*;

use super::*;
use crate::cluster::node::{Entry, Health, Profile, Source};
use crate::place::Schedule;

const POLL: std::time::Duration = std::time::Duration::from_secs(2);

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn id(number: u32) -> InstanceId {
    InstanceId::parse(&format!("i-{number:08X}")).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn room(memory_mb: i64) -> Room {
    Room { memory_mb, disk_gb: 1000, cores: 64 }
}

fn spec(id: &InstanceId) -> Spec {
    Spec {
        reservation_id: "r-00000001".into(),
        owner: "alice".into(),
        image_id: "emi-00000001".into(),
        kernel_id: None,
        ramdisk_id: None,
        type_name: "m1.small".into(),
        size: Room { memory_mb: 100, disk_gb: 1, cores: 1 },
        devices: Vec::new(),
        key: String::new(),
        mac: id.mac(),
        vlan: -1,
        network_index: -1,
        user_data: String::new(),
        launch_index: "0".into(),
        platform: None,
        groups: Vec::new(),
        urls: None,
        request_id: None,
    }
}

fn seen(number: u32, coarse: Coarse) -> Sighting {
    Sighting {
        id: id(number),
        spec: spec(&id(number)),
        coarse,
        launched: None,
        private_ip: Ipv4Addr::UNSPECIFIED,
        public_ip: Ipv4Addr::UNSPECIFIED,
        volumes: Vec::new(),
        bundle: None,
        detail: None,
    }
}

/// Two nodes with room for five instances each.
fn beliefs() -> Beliefs {
    let mut beliefs = Beliefs::default();
    for node in ["n1", "n2"] {
        let entry = Entry {
            name: name(node),
            url: format!("http://{node}/"),
            profile: Profile::Strict,
            certificate: String::new(),
            source: Source::Registered,
        };
        beliefs.add_node(entry, at(0));
        report(&mut beliefs, node, vec![], 500, 0);
    }
    beliefs
}

fn report(beliefs: &mut Beliefs, node: &str, sightings: Vec<Sighting>, free: i64, second: i64) -> Vec<Notice> {
    let number = beliefs.begin_report();
    finish(beliefs, node, number, sightings, free, second)
}

fn finish(
    beliefs: &mut Beliefs,
    node: &str,
    number: u64,
    sightings: Vec<Sighting>,
    free: i64,
    second: i64,
) -> Vec<Notice> {
    let report = Report { number, sightings, offered: room(500), free: room(free), identity: None };
    merge(beliefs, &name(node), report, at(second))
}

fn place(beliefs: &mut Beliefs, number: u32, second: i64) -> Option<String> {
    let decision = beliefs.place(&id(number), &spec(&id(number)), Schedule::Greedy, &BTreeSet::new(), at(second));
    decision.chosen.map(String::from)
}

fn state(beliefs: &Beliefs, number: u32) -> State {
    beliefs.instances[&id(number)].state
}

fn free(beliefs: &Beliefs, node: &str) -> i64 {
    beliefs.free(beliefs.node(&name(node)).unwrap()).memory_mb
}

#[test]
fn a_claim_holds_until_the_nodes_list_has_the_instance() {
    let mut beliefs = beliefs();
    assert_eq!(place(&mut beliefs, 1, 1).as_deref(), Some("n1"));
    assert_eq!(free(&beliefs, "n1"), 400);
    beliefs.accepted(&id(1), None, at(2));
    // A report that does not know of it yet says 500, and the claim still counts.
    report(&mut beliefs, "n1", vec![], 500, 2);
    assert_eq!(free(&beliefs, "n1"), 500, "accepted before that report began: it has gone");
    let mut beliefs = self::beliefs();
    place(&mut beliefs, 1, 1);
    let early = beliefs.begin_report();
    beliefs.accepted(&id(1), None, at(2));
    finish(&mut beliefs, "n1", early, vec![], 500, 2);
    assert_eq!((state(&beliefs, 1), free(&beliefs, "n1")), (State::Pending, 400));
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Pending)], 400, 3);
    assert_eq!((state(&beliefs, 1), free(&beliefs, "n1")), (State::Pending, 400));
    assert!(!beliefs.instances[&id(1)].claimed);
}

#[test]
fn a_launch_under_way_is_never_taken_for_gone() {
    let mut beliefs = beliefs();
    place(&mut beliefs, 1, 1);
    report(&mut beliefs, "n1", vec![], 500, 10_000);
    assert_eq!((state(&beliefs, 1), beliefs.instances[&id(1)].launch), (State::Pending, Launch::Calling));
}

#[test]
fn a_doubtful_launch_is_settled_by_the_list_or_fails_after_the_doubt() {
    let mut beliefs = beliefs();
    place(&mut beliefs, 1, 0);
    place(&mut beliefs, 2, 0);
    beliefs.doubtful(&id(1), "no answer".into(), at(20));
    beliefs.doubtful(&id(2), "no answer".into(), at(20));
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 40);
    assert_eq!((state(&beliefs, 1), beliefs.instances[&id(1)].launch), (State::Running, Launch::Settled));
    assert_eq!(state(&beliefs, 2), State::Pending);
    assert_eq!(free(&beliefs, "n1"), 300, "the doubtful one still claims its room");
    let notices = report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 81);
    assert_eq!(notices, [Notice::Vanished { id: id(2), node: name("n1") }]);
    let instance = &beliefs.instances[&id(2)];
    assert_eq!(instance.state, State::Failed);
    assert!(instance.reason.as_ref().unwrap().contains("never answered the launch"), "{:?}", instance.reason);
    assert_eq!(free(&beliefs, "n1"), 400);
    // A late arrival is believed: what the node has, it has.
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant), seen(2, Coarse::Extant)], 300, 100);
    assert_eq!(state(&beliefs, 2), State::Running);
}

#[test]
fn what_a_node_certainly_no_longer_has_is_gone_and_later_forgotten() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    report(&mut beliefs, "n2", vec![], 500, 2);
    assert_eq!(state(&beliefs, 1), State::Running, "another node's silence says nothing");
    report(&mut beliefs, "n1", vec![], 500, 3);
    assert_eq!(state(&beliefs, 1), State::Terminated);
    assert_eq!(beliefs.instances[&id(1)].reason.as_deref(), Some("node n1 no longer has it"));
    beliefs.sweep(at(303));
    assert!(beliefs.instances.contains_key(&id(1)));
    beliefs.sweep(at(304));
    assert!(beliefs.instances.is_empty());
}

#[test]
fn a_silent_nodes_instances_keep_their_last_state() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    for second in 2..1000 {
        beliefs.node_mut(&name("n1")).unwrap().missed("no route".into(), POLL, at(second));
        beliefs.sweep(at(second));
    }
    let instance = &beliefs.instances[&id(1)];
    assert_eq!((instance.state, instance.observed), (State::Running, Some(at(1))));
    assert_eq!(beliefs.node(&name("n1")).unwrap().health, Health::Down);
    assert_eq!(free(&beliefs, "n1"), 0, "nothing is placed on a node that is down");
}

#[test]
fn two_nodes_with_one_instance_are_told_and_nothing_is_done() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    let notices = report(&mut beliefs, "n2", vec![seen(1, Coarse::Extant)], 400, 2);
    assert_eq!(notices, [Notice::Disputed { id: id(1), on: name("n1"), and: name("n2") }]);
    assert!(report(&mut beliefs, "n2", vec![seen(1, Coarse::Extant)], 400, 3).is_empty(), "told once");
    let instance = &beliefs.instances[&id(1)];
    assert_eq!((&instance.node, instance.also_on.len()), (&name("n1"), 1));
    // When the first no longer has it, the second one's is the one.
    let notices = report(&mut beliefs, "n1", vec![], 500, 4);
    assert_eq!(notices, [Notice::Moved { id: id(1), to: name("n2") }]);
    assert_eq!((state(&beliefs, 1), beliefs.instances[&id(1)].also_on.len()), (State::Running, 0));
}

#[test]
fn the_remains_of_a_refused_attempt_do_not_disturb() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    assert!(report(&mut beliefs, "n2", vec![seen(1, Coarse::Teardown)], 500, 2).is_empty());
    assert_eq!((state(&beliefs, 1), &beliefs.instances[&id(1)].node), (State::Running, &name("n1")));
}

#[test]
fn a_stopped_instance_stays_stopped_when_the_detail_is_missing_once() {
    let mut beliefs = beliefs();
    let detail = Detail {
        state: State::Stopped,
        reason: Some("asked".into()),
        since: at(5),
        boots: 1,
        last_reboot: None,
        epoch: None,
        by_guest: None,
        elsewhere: false,
    };
    report(&mut beliefs, "n1", vec![Sighting { detail: Some(detail), ..seen(1, Coarse::Extant) }], 400, 6);
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 8);
    let instance = &beliefs.instances[&id(1)];
    assert_eq!((instance.state, instance.since, instance.reason.as_deref()), (State::Stopped, at(5), Some("asked")));
}

#[test]
fn an_address_once_learned_stays() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    let address = Ipv4Addr::new(10, 0, 0, 5);
    beliefs.learn_addresses(&BTreeMap::from([(id(1).mac().to_ascii_lowercase(), address)]));
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 2);
    let instance = &beliefs.instances[&id(1)];
    assert_eq!((instance.private_ip, instance.public_ip), (address, address));
}

#[test]
fn only_what_changed_is_written_down() {
    let mut beliefs = beliefs();
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 1);
    assert_eq!(beliefs.take_unsaved().len(), 1);
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Extant)], 400, 2);
    assert!(beliefs.take_unsaved().is_empty(), "a new time of observation alone is not worth a write");
    report(&mut beliefs, "n1", vec![seen(1, Coarse::Teardown)], 500, 3);
    assert_eq!(beliefs.take_unsaved().len(), 1);
}

#[test]
fn a_launch_under_way_at_a_restart_is_doubtful_afterwards() {
    let mut before = beliefs();
    place(&mut before, 1, 1);
    let instances: Vec<Instance> = before.take_unsaved().into_iter().filter_map(|(_, instance)| instance).collect();
    let written = serde_json::to_string(&instances).unwrap();
    let after = Beliefs::remembered(serde_json::from_str::<Vec<Instance>>(&written).unwrap(), at(9));
    assert_eq!(after.instances[&id(1)].launch, Launch::Doubtful { since: at(9) });
    assert!(after.instances[&id(1)].claimed);
}

/// One event of a random history.
#[derive(Clone, Debug)]
enum Event {
    Place(u32),
    Accept(u32),
    Doubt(u32),
    /// Node 1 or 2 lists these, alive or not.
    Report(bool, Vec<(u32, bool)>),
    Miss(bool),
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let number = 1u32..6;
    prop_oneof![
        number.clone().prop_map(Event::Place),
        number.clone().prop_map(Event::Accept),
        number.clone().prop_map(Event::Doubt),
        (any::<bool>(), prop::collection::vec((number, any::<bool>()), 0..5))
            .prop_map(|(first, list)| Event::Report(first, list)),
        any::<bool>().prop_map(Event::Miss),
        Just(Event::Sweep),
    ]
}

proptest! {
    #[test]
    fn laws_over_random_histories(events in prop::collection::vec((event(), 0i64..40), 1..80)) {
        let mut beliefs = beliefs();
        let mut now = 0;
        for (event, pause) in events {
            now += pause;
            let before: Vec<Instance> = beliefs.instances.values().cloned().collect();
            match event.clone() {
                Event::Place(n) => {
                    // As launch.rs does: only an id that nothing is believed of is placed.
                    if !beliefs.instances.contains_key(&id(n)) {
                        place(&mut beliefs, n, now);
                    }
                }
                Event::Accept(n) => beliefs.accepted(&id(n), None, at(now)),
                Event::Doubt(n) => beliefs.doubtful(&id(n), "no answer".into(), at(now)),
                Event::Report(first, list) => {
                    let node = if first { "n1" } else { "n2" };
                    let list = list.into_iter().map(|(n, alive)| seen(n, if alive { Coarse::Extant } else { Coarse::Teardown }));
                    report(&mut beliefs, node, list.collect(), 300, now);
                }
                Event::Miss(first) => {
                    let node = name(if first { "n1" } else { "n2" });
                    beliefs.node_mut(&node).unwrap().missed("no route".into(), POLL, at(now));
                }
                Event::Sweep => beliefs.sweep(at(now)),
            }
            for old in before {
                // Nothing alive is ever forgotten, and nobody's silence or time alone ends anything.
                let Some(new) = beliefs.instances.get(&old.id) else {
                    prop_assert!(!old.alive() && matches!(event, Event::Sweep));
                    continue;
                };
                if old.alive() && !new.alive() {
                    prop_assert!(matches!(event, Event::Report(..)), "{event:?} ended {}", old.id);
                }
                if old.launch == Launch::Calling && matches!(event, Event::Report(..)) && !new.alive() {
                    prop_assert!(new.launch == Launch::Settled, "only a node that lists it may end a launch under way");
                }
            }
            for instance in beliefs.instances.values() {
                prop_assert!(!instance.also_on.contains(&instance.node));
                prop_assert!(!(instance.claimed && instance.absent.is_some()));
            }
            for node in ["n1", "n2"].map(name) {
                let here = beliefs.instances.values().filter(|instance| instance.nodes().any(|other| *other == node));
                prop_assert!(beliefs.on(&node).eq(here), "what is on {node} is not what the instances say");
            }
        }
    }
}
