//! Each sort of finding, and that what fits together has none.

use jiff::Timestamp;

use super::*;
use crate::doctor::scene::{Inventory, Node};
use crate::lifecycle::Wish;
use crate::store::{Association, Attributes, Instance, Reason};

const ID: &str = "i-00000001";

fn at(seconds: i64) -> Timestamp {
    "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn record(wish: Wish, observed: Observed) -> Instance {
    Instance {
        id: ID.into(),
        reservation_id: "r-00000001".into(),
        launch_index: 0,
        owner: "100000000001".into(),
        cluster: "c1".into(),
        wish,
        observed,
        force: false,
        epoch: 1,
        request_id: "req".into(),
        reason: None,
        node: Some("n1".into()),
        private_ip: Some("10.0.0.7".into()),
        public_ip: None,
        boot_count: Some(1),
        last_reboot: None,
        launched: at(0).as_microsecond(),
        since: at(0).as_microsecond(),
        ended: None,
        attributes: Attributes::default(),
        resized: None,
        tags: Vec::new(),
    }
}

fn on_node(state: Observed, domain: &str) -> OnNode {
    OnNode {
        id: ID.into(),
        owner: "100000000001".into(),
        state,
        reason: None,
        since: at(0),
        domain: Some(domain.into()),
        files: true,
    }
}

fn node(name: &str, instances: Vec<OnNode>) -> Node {
    let inventory = Inventory { instances, disk_free_mb: 50_000, ..Inventory::default() };
    Node { name: name.into(), inventory: Ok(inventory) }
}

/// A minute after `at(0)`: one cluster, which believes what its nodes have.
fn scene(records: Vec<Instance>, nodes: Vec<Node>) -> Scene {
    let found = nodes.iter().flat_map(|node| node.inventory.iter().map(move |found| (node, found)));
    let belief = |node: &Node, what: &OnNode| Belief {
        id: what.id.clone(),
        node: node.name.clone(),
        state: what.state,
        reason: what.reason.clone(),
        since: what.since,
    };
    let beliefs = found.flat_map(|(node, found)| found.instances.iter().map(move |what| belief(node, what))).collect();
    Scene {
        now: at(60),
        records,
        addresses: Vec::new(),
        clusters: vec![("c1".to_string(), Seen::Told { beliefs, nodes })],
    }
}

fn kinds(scene: &Scene) -> Vec<Kind> {
    examine(scene).into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn what_fits_together_has_no_findings() {
    for (wish, observed, domain) in [
        (Wish::Run, Observed::Running, "running"),
        (Wish::Run, Observed::Pending, "absent"),
        (Wish::Stop, Observed::Stopping, "going-down"),
        (Wish::Stop, Observed::Stopped, "off"),
        (Wish::Terminate, Observed::ShuttingDown, "absent"),
    ] {
        let scene = scene(vec![record(wish, observed)], vec![node("n1", vec![on_node(observed, domain)])]);
        assert_eq!(examine(&scene), [], "{observed:?}");
    }
}

#[test]
fn a_silent_cluster_is_the_cause_and_accuses_nobody_else() {
    let mut scene = scene(vec![record(Wish::Run, Observed::Running)], vec![]);
    scene.clusters = vec![("c1".into(), Seen::Silent("connection refused".into()))];
    let findings = examine(&scene);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].kind, &findings[0].repair), (Kind::ClusterSilent, &Repair::None));
    assert!(findings[0].sentence.contains("connection refused"), "{findings:?}");
}

#[test]
fn a_silent_node_is_told_with_its_reason() {
    let silent = Node { name: "n1".into(), inventory: Err("node n1 is down since noon: no route".into()) };
    let mut scene = scene(vec![record(Wish::Run, Observed::Running)], vec![silent]);
    let Seen::Told { beliefs, .. } = &mut scene.clusters[0].1 else { panic!() };
    let (id, node) = (ID.into(), "n1".into());
    beliefs.push(Belief { id, node, state: Observed::Running, reason: None, since: at(0) });
    let findings = examine(&scene);
    assert_eq!(findings.len(), 1, "an instance on it is not missing: {findings:?}");
    assert_eq!((findings[0].kind, findings[0].subject.as_str()), (Kind::NodeSilent, "c1/n1"));
}

#[test]
fn a_machine_in_trouble_says_which() {
    let mut found = node("n1", vec![]);
    let inventory = found.inventory.as_mut().unwrap();
    inventory.hypervisor_trouble = Some("no libvirtd".into());
    inventory.disk_free_mb = 100;
    inventory.strange_domains = vec!["i-0000AAAA".into()];
    inventory.strange_files = vec!["i-0000BBBB".into()];
    inventory.unreadable = vec!["i-0000CCCC".into()];
    let findings = examine(&scene(vec![], vec![found]));
    let kinds: Vec<Kind> = findings.iter().map(|finding| finding.kind).collect();
    use Kind::*;
    assert_eq!(kinds, [HypervisorSilent, DiskLow, Unreadable, StrangeDomain, StrangeFiles]);
    assert!(findings.iter().all(|finding| finding.repair == Repair::None), "a stranger's is nobody's to touch");
}

#[test]
fn a_termination_that_lasts_is_sent_again() {
    let mut scene = scene(
        vec![record(Wish::Terminate, Observed::Running)],
        vec![node("n1", vec![on_node(Observed::Running, "running")])],
    );
    assert_eq!(kinds(&scene), []);
    scene.now = at(600);
    let findings = examine(&scene);
    assert_eq!((findings[0].kind, &findings[0].repair), (Kind::Late, &Repair::Tell { id: ID.into() }));
}

#[test]
fn a_node_that_takes_too_long_says_why() {
    let mut slow = on_node(Observed::Rebooting, "running");
    slow.reason = Some("the hypervisor cannot be asked".into());
    let mut scene = scene(vec![record(Wish::Run, Observed::Running)], vec![node("n1", vec![slow])]);
    scene.now = at(3600);
    let late = examine(&scene);
    assert_eq!(late[0].kind, Kind::Late);
    assert!(late[0].sentence.contains("its node says: the hypervisor cannot be asked"), "{late:?}");
}

#[test]
fn an_instance_that_nobody_has_is_missing() {
    let gone = scene(vec![record(Wish::Run, Observed::Running)], vec![node("n1", vec![])]);
    let findings = examine(&gone);
    assert_eq!((findings[0].kind, &findings[0].repair), (Kind::Missing, &Repair::Ask { cluster: "c1".into() }));
    let young = Scene { now: at(5), ..gone };
    assert_eq!(kinds(&young), [], "it may be on its way");
}

#[test]
fn what_has_ended_and_lives_is_ended_again_but_not_what_was_only_lost() {
    let mut ended = record(Wish::Terminate, Observed::Terminated);
    ended.ended = Some(at(0).as_microsecond());
    let nodes = || vec![node("n1", vec![on_node(Observed::Running, "running")])];
    let findings = examine(&scene(vec![ended.clone()], nodes()));
    assert_eq!(findings[0].kind, Kind::NotGone);
    assert!(findings[0].repair.is_done(false));
    let lost = Instance { wish: Wish::Run, observed: Observed::Gone, ..ended };
    assert_eq!(kinds(&scene(vec![lost], nodes())), []);
}

#[test]
fn an_unknown_instance_is_ended_only_by_name() {
    let scene = scene(vec![], vec![node("n1", vec![on_node(Observed::Running, "running")])]);
    let findings = examine(&scene);
    assert_eq!(findings[0].kind, Kind::Unknown);
    assert!(!findings[0].repair.is_done(false) && findings[0].repair.is_done(true));
    let named = about(&scene, ID).unwrap();
    assert_eq!(named.len(), 1);
    assert_eq!(about(&scene, "i-FFFFFFFF"), None);
}

#[test]
fn two_copies_are_a_persons_to_judge() {
    let copy = || vec![on_node(Observed::Running, "running")];
    let findings =
        examine(&scene(vec![record(Wish::Run, Observed::Running)], vec![node("n1", copy()), node("n2", copy())]));
    assert_eq!((findings[0].kind, &findings[0].repair), (Kind::Disputed, &Repair::None));
    assert!(findings[0].sentence.contains("n1 and n2"), "{findings:?}");
}

#[test]
fn a_domain_that_is_not_as_its_record_says() {
    for (state, domain, kind) in [
        (Observed::Running, "off", Kind::Drift),
        (Observed::Running, "absent", Kind::Drift),
        (Observed::Stopped, "running", Kind::Drift),
        (Observed::Running, "paused", Kind::Paused),
    ] {
        let wish = if state == Observed::Stopped { Wish::Stop } else { Wish::Run };
        let scene = scene(vec![record(wish, state)], vec![node("n1", vec![on_node(state, domain)])]);
        assert_eq!(kinds(&scene), [kind], "{state:?}, {domain}");
    }
    let lost = OnNode { files: false, ..on_node(Observed::Stopped, "off") };
    assert_eq!(
        kinds(&scene(vec![record(Wish::Stop, Observed::Stopped)], vec![node("n1", vec![lost])])),
        [Kind::FilesMissing]
    );
}

#[test]
fn an_address_on_an_ended_instance_is_taken_off_and_one_astray_told() {
    let mut ended = record(Wish::Terminate, Observed::Terminated);
    ended.ended = Some(at(0).as_microsecond());
    let mut scene = scene(vec![ended], vec![node("n1", vec![])]);
    let association = Association {
        id: "eipassoc-1".into(),
        instance_id: ID.into(),
        cluster: "c1".into(),
        private_ip: "10.0.0.7".into(),
        ended: true,
    };
    scene.addresses = vec![Address {
        public_ip: "192.0.2.10".into(),
        allocation_id: "eipalloc-1".into(),
        owner: "100000000001".into(),
        domain: crate::ec2::addresses::Domain::Standard,
        association: Some(association.clone()),
        created: 0,
        tags: Vec::new(),
    }];
    assert_eq!(examine(&scene)[0].repair, Repair::TakeOff { public_ip: "192.0.2.10".into() });
    scene.records = vec![record(Wish::Run, Observed::Running)];
    scene.addresses[0].association = Some(Association { ended: false, private_ip: "10.0.0.9".into(), ..association });
    let astray = examine(&scene).into_iter().find(|finding| finding.kind == Kind::Address).unwrap();
    assert!(astray.sentence.contains("10.0.0.7 now"), "{astray:?}");
}

#[test]
fn a_failure_is_told_for_an_hour_in_its_own_words() {
    let mut failed = record(Wish::Run, Observed::Failed);
    failed.ended = Some(at(0).as_microsecond());
    failed.reason = Some(Reason::new("Server.InternalError", "emi-1: this is no disk"));
    let mut scene = scene(vec![failed], vec![node("n1", vec![])]);
    let findings = examine(&scene);
    assert_eq!(findings[0].kind, Kind::Failed);
    assert!(findings[0].sentence.contains("this is no disk"), "{findings:?}");
    scene.now = at(4000);
    assert_eq!(kinds(&scene), []);
}

#[test]
fn one_instance_is_told_with_what_it_waits_for_and_when_it_ends() {
    let mut instance = record(Wish::Run, Observed::Pending);
    instance.boot_count = Some(0);
    let mut staging = on_node(Observed::Pending, "absent");
    staging.reason = Some("imaging".into());
    let told = about(&scene(vec![instance], vec![node("n1", vec![staging])]), ID).unwrap();
    assert_eq!((told.len(), told[0].kind), (1, Kind::State));
    assert!(told[0].sentence.contains("node n1: pending since 2026-11-20T10:00:00Z (imaging)"), "{}", told[0].sentence);
    assert!(told[0].plan.contains("At 2026-11-20T10:40:00Z it is given up"), "{}", told[0].plan);
    let resting =
        scene(vec![record(Wish::Stop, Observed::Stopped)], vec![node("n1", vec![on_node(Observed::Stopped, "off")])]);
    assert!(about(&resting, ID).unwrap()[0].plan.contains("at rest"));
}
