//! RunInstances: placement, trying another node, the minimum, lost answers, repeats.

use std::time::Duration;

use ironbark_cc::place::Schedule;
use ironbark_wsdl::{CallError, RequestId, cc, ironbark};
use jiff::SignedDuration;

use super::scripted::{Harness, Mood, ScriptedNode, run_request};

const A: &str = "i-0000000A";
const B: &str = "i-0000000B";
const C: &str = "i-0000000C";

fn reason(error: CallError) -> String {
    match error {
        CallError::Declined { reason } => reason,
        other => panic!("not declined: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_launched_and_answered_with_its_network_identity() {
    let node = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    let response = cloud.call_as("alice", run_request(1, &[A])).await.unwrap();
    let instance = &response.instances[0];
    assert_eq!(instance.state_name.as_deref(), Some("Pending"));
    assert_eq!(instance.owner_id.as_deref(), Some("alice"));
    assert_eq!(instance.service_tag.as_deref(), Some("http://n1:8775/axis2/services/EucalyptusNC"));
    let net = instance.net_params.as_ref().unwrap();
    assert_eq!((net.private_mac_address.as_str(), net.private_ip.as_str()), ("d0:0d:00:00:00:0A", "0.0.0.0"));
    assert_eq!(node.asked("ncRunInstance"), [A]);
    node.set(A, Some("running"));
    cloud.poll().await;
    let seen = cloud.call(cc::DescribeInstances::default()).await.unwrap();
    assert_eq!(seen.instances[0].state_name.as_deref(), Some("Extant"));
}

#[tokio::test(start_paused = true)]
async fn round_robin_spreads_and_greedy_fills() {
    for (schedule, expected) in [(Schedule::RoundRobin, [1, 1, 1]), (Schedule::Greedy, [3, 0, 0])] {
        let nodes = [("n1", ScriptedNode::new(512)), ("n2", ScriptedNode::new(512)), ("n3", ScriptedNode::new(512))];
        let cloud = Harness::scheduled(schedule, &nodes).await;
        cloud.run(3, &[A, B, C]).await.unwrap();
        let counts = nodes.each_ref().map(|(_, node)| node.asked("ncRunInstance").len());
        assert_eq!(counts, expected, "{schedule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_or_is_not_there_is_passed_over_for_the_next() {
    for mood in [Mood::Declines, Mood::Unreachable] {
        let (bad, good) = (ScriptedNode::new(512), ScriptedNode::new(512));
        bad.mood("ncRunInstance", mood);
        let cloud = Harness::new(&[("n1", bad.clone()), ("n2", good.clone())]).await;
        assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A]);
        assert_eq!((bad.asked("ncRunInstance").len(), good.states().len()), (1, 1));
        assert_eq!(cloud.believed().await[A].1, "n2");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_three_nodes_are_tried_and_the_refusal_tells_all() {
    let nodes: Vec<_> = ["n1", "n2", "n3", "n4"].into_iter().map(|name| (name, ScriptedNode::new(512))).collect();
    nodes.iter().for_each(|(_, node)| node.mood("ncRunInstance", Mood::Declines));
    let cloud = Harness::new(&nodes).await;
    let reason = reason(cloud.run(1, &[A]).await.unwrap_err());
    assert!(reason.starts_with("no node took it: "), "{reason}");
    assert!(reason.contains("3 nodes declined: not today; 3 nodes were tried, more are not"), "{reason}");
    assert!(!reason.contains("n1"), "whose it is may not see the nodes: {reason}");
    assert_eq!(cloud.launches().len(), 3);
    assert!(cloud.believed().await.is_empty(), "nothing is left of it");
}

/// The state and the node of an instance, as the cloud is told, and why.
async fn told(cloud: &Harness, id: &str) -> (String, String, Option<String>) {
    let instances = cloud.call(ironbark::DescribeCluster::default()).await.unwrap().instances;
    let instance =
        instances.into_iter().find(|instance| instance.instance_id == id).expect("the cluster answers for it");
    (instance.state, instance.node_name, instance.reason)
}

#[tokio::test(start_paused = true)]
async fn what_a_node_accepted_and_could_not_build_is_built_by_another_when_nothing_is_left_of_it() {
    let nodes = ["n1", "n2"].map(|name| (name, ScriptedNode::new(512)));
    let (first, second) = (&nodes[0].1, &nodes[1].1);
    first.fails_alone();
    let cloud = Harness::new(&nodes).await;
    cloud.run(1, &[A]).await.unwrap();
    first.set(A, Some("shutting-down"));
    cloud.poll().await;
    assert_eq!(told(&cloud, A).await.0, "pending", "its owner sees no end of it");
    assert_eq!(second.asked("ncRunInstance").len(), 0, "something may be left of it on the first");
    let cloud = cloud.restarted().await;
    first.set(A, Some("failed"));
    cloud.poll().await;
    assert_eq!((second.asked("ncRunInstance").len(), told(&cloud, A).await.1.as_str()), (1, "n2"));
    second.set(A, Some("running"));
    cloud.poll().await;
    let (state, node, _) = told(&cloud, A).await;
    assert_eq!((state.as_str(), node.as_str()), ("running", "n2"), "what is left on the first is nothing");
    assert_eq!(first.asked("ncRunInstance").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_launch_is_built_by_three_nodes_at_most_and_all_of_them_say_why_not() {
    let nodes = ["n1", "n2", "n3", "n4"].map(|name| (name, ScriptedNode::new(512)));
    let cloud = Harness::new(&nodes).await;
    nodes.iter().for_each(|(_, node)| node.fails_alone());
    cloud.run(1, &[A]).await.unwrap();
    for tried in 1..=3 {
        assert_eq!(cloud.launches().len(), tried);
        let (state, node, _) = told(&cloud, A).await;
        assert_eq!(state, "pending");
        cloud.nodes[&node].set(A, Some("failed"));
        cloud.poll().await;
    }
    let (state, _, reason) = told(&cloud, A).await;
    let reason = reason.unwrap();
    assert_eq!(state, "failed");
    assert!(
        reason.contains("could not build it: ") && reason.ends_with("3 nodes were tried, more are not"),
        "{reason}"
    );
    assert_eq!(cloud.launches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_no_node_could_build_fails_where_it_was_sent() {
    let nodes = ["n1", "n2"].map(|name| (name, ScriptedNode::new(512)));
    let cloud = Harness::new(&nodes).await;
    cloud.run(1, &[A]).await.unwrap();
    nodes[0].1.set(A, Some("failed"));
    cloud.poll().await;
    assert_eq!((told(&cloud, A).await.0.as_str(), cloud.launches().len()), ("failed", 1), "its image is bad");
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_was_terminated_meanwhile_goes_to_no_other_node() {
    let nodes = ["n1", "n2"].map(|name| (name, ScriptedNode::new(512)));
    nodes[0].1.fails_alone();
    let cloud = Harness::new(&nodes).await;
    cloud.run(1, &[A]).await.unwrap();
    nodes[0].1.set(A, Some("shutting-down"));
    cloud.poll().await;
    let end = cc::TerminateInstances { instance_ids: vec![A.into()], ..Default::default() };
    cloud.call(end).await.unwrap();
    nodes[0].1.set(A, Some("failed"));
    cloud.poll().await;
    cloud.poll().await;
    assert_eq!((told(&cloud, A).await.0.as_str(), cloud.launches().len()), ("failed", 1));
}

#[tokio::test(start_paused = true)]
async fn a_launch_without_an_answer_never_goes_to_a_second_node() {
    for mood in [Mood::Hangs, Mood::LosesAnswers, Mood::Faults] {
        let (first, second) = (ScriptedNode::new(512), ScriptedNode::new(512));
        first.mood("ncRunInstance", mood);
        let cloud = Harness::new(&[("n1", first.clone()), ("n2", second.clone())]).await;
        assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A], "it is answered: the cluster answers for it from now on");
        assert_eq!(cloud.believed().await[A], ("pending".into(), "n1".into()));
        cloud.clock.advance(SignedDuration::from_secs(61));
        cloud.poll().await;
        let state = if mood == Mood::LosesAnswers { "pending" } else { "failed" };
        assert_eq!(cloud.believed().await[A].0, state, "the first node's report decides ({mood:?})");
        assert!(second.asked("ncRunInstance").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn below_the_minimum_nothing_is_started_when_there_is_no_room() {
    let cloud = Harness::new(&[("n1", ScriptedNode::new(300))]).await;
    let reason = reason(cloud.run(3, &[A, B, C]).await.unwrap_err());
    assert_eq!(reason, "only 2 of at least 3 instances can be placed; for the next one, 1 node has too little memory");
    assert!(cloud.launches().is_empty() && cloud.believed().await.is_empty());
    // The room that was claimed for a moment is free again.
    assert_eq!(cloud.run(2, &[A, B, C]).await.unwrap(), [A, B]);
}

#[tokio::test(start_paused = true)]
async fn below_the_minimum_what_was_accepted_is_terminated() {
    let (good, bad) = (ScriptedNode::new(130), ScriptedNode::new(130));
    bad.mood("ncRunInstance", Mood::Declines);
    let cloud = Harness::new(&[("n1", good.clone()), ("n2", bad)]).await;
    let reason = reason(cloud.run(2, &[A, B]).await.unwrap_err());
    assert!(reason.starts_with("only 1 of at least 2 instances was taken, and is ended again: "), "{reason}");
    assert_eq!(good.asked("ncTerminateInstance"), [A]);
    assert_eq!(good.states()[A], "shutting-down");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_was_not_heard_is_said_again() {
    let (good, bad) = (ScriptedNode::new(130), ScriptedNode::new(130));
    good.mood("ncTerminateInstance", Mood::Unreachable);
    bad.mood("ncRunInstance", Mood::Declines);
    let cloud = Harness::new(&[("n1", good.clone()), ("n2", bad)]).await;
    cloud.run(2, &[A, B]).await.unwrap_err();
    assert_eq!(good.states()[A], "pending");
    let cloud = cloud.restarted().await;
    good.mood("ncTerminateInstance", Mood::Well);
    cloud.poll().await;
    assert_eq!(good.states()[A], "shutting-down", "the undo outlived the restart");
    let again = reason(cloud.run(1, &[A]).await.unwrap_err());
    assert!(again.contains("is taken: its launch was undone"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_again_is_answered_again_and_launches_nothing() {
    let node = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    cloud.run(2, &[A, B]).await.unwrap();
    assert_eq!(cloud.run(2, &[A, B]).await.unwrap(), [A, B]);
    assert_eq!(node.asked("ncRunInstance").len(), 2);
    let cloud = cloud.restarted().await;
    cloud.poll().await;
    assert_eq!(cloud.run(2, &[A, B]).await.unwrap(), [A, B], "after a restart, too");
    assert_eq!(node.asked("ncRunInstance").len(), 2);
    let mut other = run_request(1, &[A]);
    other.reservation_id = "r-00000002".into();
    let taken = reason(cloud.call_as("alice", other).await.unwrap_err());
    assert!(taken.contains("i-0000000A is taken") && taken.contains("r-00000001"), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_again_sends_a_doubtful_launch_to_the_same_node_again() {
    let (first, second) = (ScriptedNode::new(512), ScriptedNode::new(512));
    first.mood("ncRunInstance", Mood::Hangs);
    let cloud = Harness::new(&[("n1", first.clone()), ("n2", second.clone())]).await;
    cloud.run(1, &[A]).await.unwrap();
    let cloud = cloud.restarted().await;
    first.mood("ncRunInstance", Mood::Declines);
    assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A], "a refusal now proves nothing about the first sending");
    first.mood("ncRunInstance", Mood::Well);
    assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A]);
    assert_eq!(first.states()[A], "pending");
    assert_eq!((first.asked("ncRunInstance").len(), second.asked("ncRunInstance").len()), (3, 0));
    assert_eq!(cloud.run(1, &[A]).await.unwrap(), [A]);
    assert_eq!(first.asked("ncRunInstance").len(), 3, "acknowledged: not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_a_node_never_got_is_sent_there_again_while_it_is_doubtful() {
    for restarts in [false, true] {
        let (first, second) = (ScriptedNode::new(512), ScriptedNode::new(512));
        first.mood("ncRunInstance", Mood::Hangs);
        let mut cloud = Harness::new(&[("n1", first.clone()), ("n2", second.clone())]).await;
        cloud.run(1, &[A]).await.unwrap();
        if restarts {
            cloud = cloud.restarted().await;
        }
        first.mood("ncRunInstance", Mood::Well);
        cloud.poll().await;
        assert_eq!(first.states()[A], "pending");
        assert_eq!((first.asked("ncRunInstance").len(), second.asked("ncRunInstance").len()), (2, 0));
        cloud.clock.advance(SignedDuration::from_secs(61));
        cloud.poll().await;
        assert_eq!(cloud.believed().await[A], ("pending".into(), "n1".into()), "it is there, and has not failed");
        let alices = cloud.call_as("alice", cc::DescribeInstances::default()).await.unwrap().instances;
        assert_eq!(alices.len(), 1, "it was sent again in its owner's name");
        assert_eq!(first.asked("ncRunInstance").len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_belongs_to_the_request_that_launched_it() {
    let node = ScriptedNode::new(512);
    node.mood("ncRunInstance", Mood::Hangs);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    let id = RequestId::random();
    cloud.call_under(&id, run_request(1, &[A])).await.unwrap();
    let cloud = cloud.restarted().await;
    node.mood("ncRunInstance", Mood::Well);
    cloud.poll().await;
    let ask = ironbark::DescribeTrace { request_id: id.to_string(), ..Default::default() };
    let spans = cloud.call(ask).await.unwrap().spans;
    let sent = spans.iter().find(|span| span.name == "cc.call.ncRunInstance").expect("the second sending");
    assert_eq!(sent.parent.as_deref(), Some(id.as_str()), "below the request at the door");
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_nobody_answers_is_not_sent_for_ever() {
    let node = ScriptedNode::new(512);
    node.mood("ncRunInstance", Mood::Hangs);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    cloud.run(1, &[A]).await.unwrap();
    for _ in 0..10 {
        cloud.clock.advance(SignedDuration::from_secs(20));
        cloud.poll().await;
    }
    assert_eq!(cloud.believed().await[A].0, "failed");
    assert_eq!(node.asked("ncRunInstance").len(), 3, "once, and again 20 s and 40 s later");
}

#[tokio::test(start_paused = true)]
async fn two_requests_at_once_do_not_take_the_same_room() {
    let node = ScriptedNode::new(200);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    let (one, two) = tokio::join!(cloud.run(1, &[A]), cloud.run(1, &[B]));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert_eq!(node.states().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_launch_cut_off_by_a_restart_is_settled_by_the_nodes_report() {
    let node = ScriptedNode::new(512);
    node.mood("ncRunInstance", Mood::LosesAnswers);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    // The cloud hangs up and the controller dies while the node is being called.
    let cut_off = tokio::time::timeout(Duration::from_secs(1), cloud.run(1, &[A])).await;
    assert!(cut_off.is_err());
    let cloud = cloud.restarted().await;
    assert_eq!(cloud.believed().await[A], ("pending".into(), "n1".into()), "written down before the node was called");
    node.set(A, Some("running"));
    cloud.poll().await;
    assert_eq!(cloud.believed().await[A].0, "running");
    assert_eq!(node.asked("ncRunInstance").len(), 1);
}
