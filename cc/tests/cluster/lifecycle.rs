//! Reboot, terminate, stop, console, volumes: each id answered for, whatever its node does.

use std::time::Duration;

use ironbark_wsdl::{CallError, cc, ironbark};
use jiff::SignedDuration;

use super::scripted::{Harness, Mood, ScriptedNode};

const A: &str = "i-0000000A";
const B: &str = "i-0000000B";
const C: &str = "i-0000000C";

fn reboot(ids: &[&str]) -> cc::RebootInstances {
    cc::RebootInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

fn terminate(ids: &[&str]) -> cc::TerminateInstances {
    cc::TerminateInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

/// A on n1, B on n2.
async fn two() -> (Harness, std::sync::Arc<ScriptedNode>, std::sync::Arc<ScriptedNode>) {
    let (n1, n2) = (ScriptedNode::new(512), ScriptedNode::new(512));
    n1.plant(A);
    n2.plant(B);
    let cloud = Harness::new(&[("n1", n1.clone()), ("n2", n2.clone())]).await;
    (cloud, n1, n2)
}

#[tokio::test(start_paused = true)]
async fn each_id_goes_to_its_own_node_only() {
    let (cloud, n1, n2) = two().await;
    let answer = cloud.raw(reboot(&[A, B])).await;
    assert_eq!((answer.accepted, answer.status_message), (Some(true), None));
    assert_eq!((n1.asked("ncRebootInstance"), n2.asked("ncRebootInstance")), (vec![A.into()], vec![B.into()]));
}

/// What a node knows of the order of operations it knows from the cloud's count, which passes through here.
#[tokio::test(start_paused = true)]
async fn each_node_hears_the_epoch_of_its_own_instance() {
    let (cloud, n1, n2) = two().await;
    let epochs = format!("{A}:4 {B}:7");
    cloud.call_at(&epochs, reboot(&[A, B])).await.unwrap();
    assert_eq!(n1.epochs("ncRebootInstance"), [format!("{A}:4")]);
    assert_eq!(n2.epochs("ncRebootInstance"), [format!("{B}:7")]);
    let stop = ironbark::StopInstances { instance_ids: vec![A.into()], ..Default::default() };
    cloud.call_at(&format!("{A}:5"), stop).await.unwrap();
    assert_eq!(n1.epochs("StopInstance"), [format!("{A}:5")]);
    let end = cc::TerminateInstances { instance_ids: vec![B.into()], ..Default::default() };
    cloud.call_at(&format!("{B}:8"), end).await.unwrap();
    assert_eq!(n2.epochs("ncTerminateInstance"), [format!("{B}:8")]);
    cloud.poll().await;
    assert!(n1.epochs("DescribeNode").iter().all(String::is_empty));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_id_by_id() {
    let (cloud, _n1, n2) = two().await;
    n2.mood("ncRebootInstance", Mood::Hangs);
    let answer = cloud.raw(reboot(&[A, B, C, "nonsense"])).await;
    assert_eq!(answer.accepted, Some(false));
    let text = answer.status_message.unwrap();
    assert!(text.starts_with("i-0000000A: ok; i-0000000B: node n2 did not answer within 20 s"), "{text}");
    assert!(text.contains("i-0000000C: no node of cluster cluster1 has i-0000000C"), "{text}");
    assert!(text.contains("nonsense: 'nonsense' is no instance id"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_asked_for_everywhere() {
    let (cloud, n1, n2) = two().await;
    n2.plant(C);
    cloud.call(reboot(&[C])).await.unwrap();
    assert!(n1.asked("ncRebootInstance").is_empty());
    assert_eq!(n2.asked("ncRebootInstance"), [C]);
}

#[tokio::test(start_paused = true)]
async fn many_unknown_ids_cost_a_few_rounds_and_not_one_each() {
    let (cloud, n1, _n2) = two().await;
    let before = n1.asked("ncDescribeInstances").len();
    let ids: Vec<String> = (0..500).map(|number| format!("i-{number:08x}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let answer = cloud.raw(terminate(&ids)).await;
    assert_eq!(answer.is_terminated.len(), 500);
    let rounds = n1.asked("ncDescribeInstances").len() - before;
    assert!((1..=2).contains(&rounds), "{rounds} rounds");
    let ids = vec![A; 2049];
    let text = cloud.raw(terminate(&ids)).await.status_message.unwrap();
    assert!(text.contains("2049 ids; send at most 2048"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_is_told_and_not_called() {
    let (cloud, n1, _n2) = two().await;
    n1.mood("*", Mood::Unreachable);
    for _ in 0..3 {
        cloud.clock.advance(SignedDuration::from_secs(3));
        cloud.poll().await;
    }
    let answer = cloud.raw(terminate(&[A, B])).await;
    assert_eq!((answer.accepted, answer.is_terminated), (Some(true), vec![true, true]));
    assert!(n1.asked("ncTerminateInstance").is_empty());
    let seen = cloud.call(ironbark::DescribeCluster::default()).await.unwrap();
    let instance = seen.instances.iter().find(|instance| instance.instance_id == A).unwrap();
    assert_eq!(instance.state, "running", "its last state is kept");
    let reason = instance.reason.as_ref().unwrap();
    assert!(reason.contains("node n1 is down since 2026-11-20T10:00:0"), "{reason}");
    assert!(reason.contains("connection refused"), "{reason}");
    let answer = cloud.raw(reboot(&[A])).await;
    assert!(answer.status_message.unwrap().contains("node n1 is down since"), "nothing else is promised");
    // Back again, it still has what was to be ended.
    n1.mood("*", Mood::Well);
    cloud.refresh("n1").await;
    assert_eq!(n1.asked("ncTerminateInstance"), [A]);
    assert_eq!(n1.states()[A], "shutting-down");
}

#[tokio::test(start_paused = true)]
async fn terminating_what_is_gone_or_nowhere_is_done_already() {
    let (cloud, n1, _n2) = two().await;
    cloud.call(terminate(&[A])).await.unwrap();
    assert_eq!(n1.states()[A], "shutting-down");
    cloud.poll().await;
    let answer = cloud.raw(terminate(&[A, C])).await;
    assert_eq!((answer.accepted, answer.is_terminated), (Some(true), vec![true, true]));
    assert_eq!(n1.asked("ncTerminateInstance").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nowhere_is_not_certain_while_a_node_is_silent() {
    let (cloud, n1, _n2) = two().await;
    n1.mood("*", Mood::Unreachable);
    let answer = cloud.raw(terminate(&[C])).await;
    assert_eq!(answer.is_terminated, [false]);
    assert!(answer.status_message.unwrap().contains("not all could be asked: n1 is suspect"));
}

#[tokio::test(start_paused = true)]
async fn a_launch_without_an_answer_can_be_terminated_before_it_shows_up() {
    let node = ScriptedNode::new(512);
    node.mood("ncRunInstance", Mood::Hangs);
    let cloud = Harness::new(&[("n1", node.clone())]).await;
    cloud.run(1, &[A]).await.unwrap();
    cloud.call(terminate(&[A])).await.unwrap();
    // The request was on its way all the time.
    node.plant(A);
    cloud.poll().await;
    assert_eq!(node.states()[A], "shutting-down");
}

#[tokio::test(start_paused = true)]
async fn an_instance_on_two_nodes_is_shown_and_only_terminate_touches_it() {
    let (cloud, n1, n2) = two().await;
    n2.plant(A);
    cloud.poll().await;
    let seen = cloud.call(ironbark::DescribeCluster::default()).await.unwrap();
    let instance = seen.instances.iter().find(|instance| instance.instance_id == A).unwrap();
    assert!(instance.reason.as_ref().unwrap().contains("also reported by node n2"), "{instance:?}");
    let answer = cloud.raw(reboot(&[A])).await;
    assert!(answer.status_message.unwrap().contains("nodes n1, n2 all report it"));
    cloud.call(terminate(&[A])).await.unwrap();
    assert_eq!((n1.states()[A].as_str(), n2.states()[A].as_str()), ("shutting-down", "shutting-down"));
}

#[tokio::test(start_paused = true)]
async fn stop_goes_to_nodes_that_know_it() {
    let (n1, n2) = (ScriptedNode::new(512), ScriptedNode::new(512));
    n1.plant(A);
    n2.plant(B);
    n2.old_wire();
    let cloud = Harness::new(&[("n1", n1.clone()), ("n2", n2.clone())]).await;
    let ids = vec![A.to_string(), B.to_string()];
    let answer = cloud.call(ironbark::StopInstances { instance_ids: ids, ..Default::default() }).await.unwrap();
    assert!(answer.results[0].accepted, "{:?}", answer.results[0]);
    let refused = answer.results[1].reason.as_ref().unwrap();
    assert!(!answer.results[1].accepted && refused.contains("node n2 does not know StopInstance"), "{refused}");
    n1.set(A, Some("stopped"));
    cloud.poll().await;
    let believed = cloud.believed().await;
    assert_eq!((believed[A].0.as_str(), believed[B].0.as_str()), ("stopped", "running"));
}

#[tokio::test(start_paused = true)]
async fn one_hung_node_holds_up_its_own_callers_only() {
    let (cloud, n1, _n2) = two().await;
    n1.mood("*", Mood::Hangs);
    let began = tokio::time::Instant::now();
    let stuck: Vec<_> = (0..40)
        .map(|_| {
            let (cluster, recorder) = (cloud.cluster.clone(), cloud.recorder.clone());
            tokio::spawn(async move {
                let request = ironbark_wsdl::cc::GetConsoleOutput { instance_id: Some(A.into()), ..Default::default() };
                let router = ironbark_cc::router(cluster, recorder.clone());
                let ctx = ironbark_wsdl::Context::background(Duration::from_secs(3600), recorder);
                ironbark_wsdl::call(&router, &ctx, request).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let console = cc::GetConsoleOutput { instance_id: Some(B.into()), ..Default::default() };
    assert_eq!(cloud.call(console).await.unwrap().console_output.as_deref(), Some("aGVsbG8="));
    cloud.call(reboot(&[B])).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "waited {:?}", began.elapsed());
    for call in stuck {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Declined { .. }), "{error}");
    }
    // Waiting for a permit counts: all 40 end with the console's 5 s and not one after the other.
    assert!(began.elapsed() < Duration::from_secs(8), "took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn volumes_go_through_with_force_as_it_came() {
    let (cloud, n1, _n2) = two().await;
    let detach = cc::DetachVolume {
        instance_id: Some(A.into()),
        volume_id: Some("vol-1".into()),
        force: Some(false),
        ..Default::default()
    };
    cloud.call(detach).await.unwrap();
    assert_eq!(n1.asked("force"), ["Some(false)"]);
    let nameless = cc::DetachVolume { instance_id: Some(A.into()), ..Default::default() };
    let error = cloud.call(nameless).await.unwrap_err().to_string();
    assert!(error.contains("volumeId: is missing"), "{error}");
}
