//! What is written down of placement, planning without launching, and waiting for silent nodes.

use std::time::Duration;

use ironbark_cc::place::Schedule;
use ironbark_wsdl::ironbark::{
    DescribePlacements, DescribePlacementsResponse, JoinPlacementGroup, ModifyNode, NodeFacts, Placement,
    PlanInstances, RestrictPlacement, StartInstances,
};
use ironbark_wsdl::{CallError, RequestId, ironbark};
use jiff::SignedDuration;

use super::scripted::{Harness, Mood, ScriptedNode, run_request};

const A: &str = "i-0000000A";
const B: &str = "i-0000000B";

async fn told(cloud: &Harness, request: &RequestId) -> DescribePlacementsResponse {
    let ask = DescribePlacements { request_id: request.to_string(), ..Default::default() };
    cloud.call(ask).await.unwrap()
}

/// `n1 memory, n2 1, n3 2`: each node with its rank or the filter that refused it.
fn table(placement: &Placement) -> String {
    let node = |node: &ironbark::PlacementNode| match (node.rank, &node.filter) {
        (Some(rank), _) => format!("{} {rank}", node.name),
        (None, filter) => format!("{} {}", node.name, filter.as_deref().unwrap_or("?")),
    };
    placement.nodes.iter().map(node).collect::<Vec<_>>().join(", ")
}

fn plan_of(memory: i32, count: i32) -> PlanInstances {
    PlanInstances { memory, disk: 2, cores: 1, count, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn a_launch_is_explained_node_by_node_also_after_a_restart() {
    let nodes = [("n1", ScriptedNode::new(64)), ("n2", ScriptedNode::new(512)), ("n3", ScriptedNode::new(512))];
    let cloud = Harness::new(&nodes).await;
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[A])).await.unwrap();
    let before = told(&cloud, &request).await;
    let placement = &before.placements[0];
    assert_eq!(table(placement), "n1 memory, n2 1, n3 2");
    assert_eq!(placement.nodes[0].reason.as_deref(), Some("has only 64 MB of memory free; the instance needs 128"));
    assert_eq!((placement.instance_id.as_deref(), placement.chosen.as_deref()), (Some(A), Some("n2")));
    assert_eq!((placement.outcome.as_str(), placement.schedule.as_str(), before.taken), ("taken", "GREEDY", true));
    assert_eq!((placement.node_count, placement.counts[0].words.as_str()), (3, "has too little memory"));
    let cloud = cloud.restarted().await;
    assert_eq!(told(&cloud, &request).await.placements, before.placements);
    assert!(told(&cloud, &RequestId::random()).await.placements.is_empty());
}

/// C-T3 at the cluster: the node that refuses is told with what it said, and the next one takes it.
#[tokio::test(start_paused = true)]
async fn a_refusal_and_the_next_attempt_are_one_story() {
    let nodes = ["n1", "n2", "n3"].map(|name| (name, ScriptedNode::new(512)));
    nodes[0].1.mood("ncRunInstance", Mood::Declines);
    nodes[1].1.mood("ncRunInstance", Mood::Unreachable);
    let cloud = Harness::new(&nodes).await;
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[A])).await.unwrap();
    let told = told(&cloud, &request).await.placements;
    let story: Vec<(String, &str, Option<&str>)> = told
        .iter()
        .map(|placement| (table(placement), placement.outcome.as_str(), placement.said.as_deref()))
        .collect();
    assert_eq!(
        story,
        [
            ("n1 1, n2 2, n3 3".to_string(), "refused", Some("declined: not today")),
            ("n1 tried, n2 1, n3 2".to_string(), "refused", Some("cannot be reached: connection refused")),
            ("n1 tried, n2 tried, n3 1".to_string(), "taken", None),
        ]
    );
    // Both failed just now: the next launch goes past them, although they come first.
    cloud.run(1, &[B]).await.unwrap();
    assert_eq!(cloud.believed().await[B].1, "n3");
    cloud.clock.advance(SignedDuration::from_mins(11));
    let plan = cloud.call(plan_of(128, 1)).await.unwrap();
    assert_eq!(plan.placements[0].chosen.as_deref(), Some("n1"), "what is long ago does not count");
}

#[tokio::test(start_paused = true)]
async fn what_no_node_took_is_told_too() {
    let node = ScriptedNode::new(512);
    node.mood("ncRunInstance", Mood::Declines);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    let request = RequestId::random();
    let reason = match cloud.call_under(&request, run_request(1, &[A])).await {
        Err(CallError::Declined { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason.ends_with("1 node declined: not today; no other node fits"), "{reason}");
    let refused = told(&cloud, &request).await;
    assert!(!refused.taken);
    assert_eq!(refused.placements.last().unwrap().outcome, "nowhere");

    // No answer is no refusal: somebody may have it.
    node.mood("ncRunInstance", Mood::Hangs);
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[B])).await.unwrap();
    let unanswered = told(&cloud, &request).await;
    assert_eq!((unanswered.taken, unanswered.placements[0].outcome.as_str()), (true, "unanswered"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_what_a_run_then_does_and_starts_nothing() {
    for schedule in [Schedule::Greedy, Schedule::RoundRobin, Schedule::PowerSave, Schedule::Spread] {
        let nodes = [("n1", ScriptedNode::new(200)), ("n2", ScriptedNode::new(300)), ("n3", ScriptedNode::new(64))];
        let cloud = Harness::scheduled(schedule, &nodes).await;
        let plan = cloud.call(PlanInstances { keep: true, ..plan_of(128, 3) }).await.unwrap();
        assert_eq!((plan.possible, plan.silent, plan.short), (3, false, None));
        assert!(cloud.launches().is_empty() && cloud.believed().await.is_empty());
        let request = RequestId::random();
        cloud.call_under(&request, run_request(3, &[A, B, "i-0000000C"])).await.unwrap();
        let run = told(&cloud, &request).await.placements;
        let nodes = |of: &[Placement]| of.iter().map(|placement| placement.nodes.clone()).collect::<Vec<_>>();
        assert_eq!(nodes(&plan.placements), nodes(&run), "{schedule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_how_many_fit_and_is_kept_if_asked_for() {
    let cloud = Harness::new(&[("n1", ScriptedNode::new(300))]).await;
    for keep in [false, true] {
        let request = RequestId::random();
        let plan = cloud.call_under(&request, PlanInstances { keep, ..plan_of(128, 4) }).await.unwrap();
        assert_eq!((plan.possible, plan.short.as_deref()), (2, Some("1 node has too little memory")));
        let outcomes: Vec<&str> = plan.placements.iter().map(|placement| placement.outcome.as_str()).collect();
        assert_eq!(outcomes, ["planned", "planned", "nowhere", "nowhere"]);
        let kept = told(&cloud, &request).await;
        assert_eq!((kept.placements.len(), kept.taken), (if keep { 4 } else { 0 }, false));
    }
    for (bad, field) in [(plan_of(0, 1), "memory"), (plan_of(1, 0), "count"), (plan_of(1, 1_000_000), "count")] {
        let error = cloud.call(bad).await.unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_missed_one_refresh_is_asked_again_before_a_launch_is_refused() {
    let node = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    node.mood("*", Mood::Unreachable);
    cloud.poll().await;
    assert!(cloud.call(plan_of(128, 1)).await.unwrap().silent);
    node.mood("*", Mood::Well);
    assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A]);
    assert_eq!(node.states()[A], "pending");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stays_silent_is_not_waited_for_for_ever() {
    let node = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    node.mood("*", Mood::Unreachable);
    cloud.poll().await;
    let began = tokio::time::Instant::now();
    let request = RequestId::random();
    let reason = cloud.call_under(&request, run_request(1, &[A])).await.unwrap_err().to_string();
    assert!(reason.contains("1 node does not answer now"), "{reason}");
    assert!((Duration::from_secs(29)..Duration::from_secs(40)).contains(&began.elapsed()));
    let told = told(&cloud, &request).await.placements;
    assert_eq!(told.iter().map(table).collect::<Vec<_>>(), ["n1 silent"], "the last attempt alone is kept");
}

fn join(strategy: &str, ids: &[&str]) -> JoinPlacementGroup {
    JoinPlacementGroup {
        group_id: "pg-1".into(),
        strategy: strategy.into(),
        instance_ids: ids.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_spread_group_never_has_two_instances_on_one_node_also_after_a_restart() {
    let nodes = [("n1", ScriptedNode::new(512)), ("n2", ScriptedNode::new(512))];
    let cloud = Harness::new(&nodes).await;
    let third = "i-0000000C";
    cloud.call(join("spread", &[A, B])).await.unwrap();
    cloud.run(2, &[A, B]).await.unwrap();
    let counts = nodes.each_ref().map(|(_, node)| node.states().len());
    assert_eq!(counts, [1, 1], "GREEDY would have put both on n1");
    let cloud = cloud.restarted().await;
    cloud.poll().await;
    let group = PlanInstances { group_id: Some("pg-1".into()), strategy: Some("spread".into()), ..plan_of(128, 1) };
    let plan = cloud.call(group).await.unwrap();
    assert_eq!((plan.possible, table(&plan.placements[0]).as_str()), (0, "n1 group, n2 group"));
    cloud.call(join("spread", &[third])).await.unwrap();
    let reason = cloud.run(1, &[third]).await.unwrap_err().to_string();
    assert!(reason.contains("2 nodes have instances of its placement group"), "{reason}");
    nodes[1].1.set(B, Some("shutting-down"));
    cloud.poll().await;
    cloud.run(1, &[third]).await.expect_err("what is being ended is there");
    nodes[1].1.set(B, Some("terminated"));
    cloud.poll().await;
    assert_eq!(cloud.run(1, &[third]).await.unwrap(), [third], "what has ended keeps nobody away");
    assert_eq!(cloud.believed().await[third].1, "n2");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_group_keeps_its_instances_together_while_there_is_room() {
    let nodes = [("n1", ScriptedNode::new(512)), ("n2", ScriptedNode::new(300))];
    let cloud = Harness::scheduled(Schedule::RoundRobin, &nodes).await;
    cloud.run(1, &["i-00000001"]).await.unwrap();
    let ids = [A, B, "i-0000000C"];
    cloud.call(join("cluster", &ids)).await.unwrap();
    cloud.run(3, &ids).await.unwrap();
    let nodes = ids.map(|id| id.to_string());
    let believed = cloud.believed().await;
    let places: Vec<&str> = nodes.iter().map(|id| believed[id].1.as_str()).collect();
    assert_eq!(places, ["n2", "n2", "n1"], "the third found no room beside the others");
    let refused = cloud.call(join("partition", &[A])).await.unwrap_err().to_string();
    assert!(refused.contains("cluster or spread"), "{refused}");
}

fn facts(architecture: &str, tags: &[&str]) -> NodeFacts {
    let tags = tags.iter().map(ToString::to_string).collect();
    NodeFacts { architecture: Some(architecture.into()), tags, images: Vec::new() }
}

/// A launch decides by what its nodes tell and what the cloud said before, also after a restart of the cluster; a
/// plan that is asked for the same decides alike.
#[tokio::test(start_paused = true)]
async fn what_nodes_tell_of_themselves_counts() {
    let nodes = ["n1", "n2", "n3", "n4"].map(|name| (name, ScriptedNode::new(512)));
    nodes[0].1.tells(facts("arm64", &["ssd"]));
    nodes[1].1.tells(facts("x86_64", &["hdd"]));
    nodes[2].1.tells(facts("x86_64", &["hdd", "ssd"]));
    nodes[3].1.old_wire();
    let cloud = Harness::new(&nodes).await;
    let restrict = RestrictPlacement {
        architecture: Some("x86_64".into()),
        tags: vec!["ssd".into()],
        instance_ids: vec![A.into(), B.into()],
        ..Default::default()
    };
    cloud.call(restrict.clone()).await.unwrap();
    let cloud = cloud.restarted().await;
    cloud.poll().await;
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[A])).await.unwrap();
    let run = told(&cloud, &request).await.placements;
    assert_eq!(table(&run[0]), "n1 architecture, n2 tags, n3 1, n4 2");
    let said = |name: &str| {
        let node = run[0].nodes.iter().find(|node| node.name == name).unwrap();
        node.reason.clone().or(node.assumed.clone()).unwrap_or_default()
    };
    assert_eq!(said("n1"), "runs arm64, and the image is for x86_64");
    assert_eq!(said("n2"), "lacks the tag ssd");
    assert_eq!(said("n4"), "does not tell its architecture and tags, which are assumed to fit");
    let (architecture, tags) = (restrict.architecture.clone(), restrict.tags.clone());
    let plan = cloud.call(PlanInstances { architecture, tags, ..plan_of(128, 1) }).await.unwrap();
    assert_eq!(table(&plan.placements[0]), table(&run[0]));
    let bad = RestrictPlacement { tags: vec![String::new()], ..restrict };
    assert!(cloud.call(bad).await.unwrap_err().to_string().contains("tags"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_the_image_is_told_apart() {
    let nodes = ["n1", "n2"].map(|name| (name, ScriptedNode::new(512)));
    nodes[1].1.tells(NodeFacts { images: vec!["emi-00000001".into()], ..facts("x86_64", &[]) });
    let cloud = Harness::scheduled(Schedule::Spread, &nodes).await;
    let plan = PlanInstances { image_id: Some("emi-00000001".into()), ..plan_of(128, 1) };
    assert_eq!(table(&cloud.call(plan).await.unwrap().placements[0]), "n1 2, n2 1");
}

fn drain(name: &str, draining: bool) -> ModifyNode {
    let reason = draining.then(|| "its disk is replaced".to_string());
    ModifyNode { name: name.into(), draining, reason, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_keeps_what_it_has_and_gets_nothing_new_also_after_a_restart() {
    let nodes = ["n1", "n2"].map(|name| (name, ScriptedNode::new(512)));
    let cloud = Harness::new(&nodes).await;
    cloud.run(1, &[A]).await.unwrap();
    cloud.call(drain("n1", true)).await.unwrap();
    let cloud = cloud.restarted().await;
    cloud.poll().await;
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[B])).await.unwrap();
    let told = told(&cloud, &request).await.placements;
    assert_eq!(table(&told[0]), "n1 draining, n2 1");
    let reason = told[0].nodes[0].reason.as_deref().unwrap();
    assert!(reason.starts_with("is draining since ") && reason.ends_with(": its disk is replaced"), "{reason}");
    let described = cloud.call(ironbark::DescribeCluster::default()).await.unwrap();
    let draining: Vec<bool> = described.nodes.iter().map(|node| node.draining.is_some()).collect();
    assert_eq!((draining, described.nodes[0].memory_available), (vec![true, false], 0));

    // What it has goes on, and is ended there; what is off stays off until it may be started again.
    assert_eq!(nodes[0].1.states()[A], "pending");
    nodes[0].1.set(A, Some("stopped"));
    cloud.poll().await;
    let start = StartInstances { instance_ids: vec![A.into()], ..Default::default() };
    let refused = cloud.call(start.clone()).await.unwrap().results.remove(0);
    let why = refused.reason.unwrap();
    assert!(!refused.accepted && why.contains("its disk is replaced") && why.contains("undrain-node"), "{why}");
    assert!(nodes[0].1.asked("StartInstance").is_empty());
    cloud.call(drain("n1", false)).await.unwrap();
    assert!(cloud.call(start).await.unwrap().results[0].accepted);
    cloud.call(drain("n9", true)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_forgotten_after_a_week() {
    let cloud = Harness::new(&[("n1", ScriptedNode::new(512))]).await;
    let request = RequestId::random();
    cloud.call_under(&request, run_request(1, &[A])).await.unwrap();
    for (days, kept) in [(6, 1), (2, 0)] {
        cloud.clock.advance(SignedDuration::from_hours(24 * days));
        cloud.cluster.change(|beliefs, now| beliefs.sweep(now)).await.unwrap();
        assert_eq!(told(&cloud, &request).await.placements.len(), kept);
    }
}
