//! Keeping the beliefs fresh, keeping them over a restart, and registering nodes.

use std::time::Duration;

use ironbark_cc::refresh;
use ironbark_wsdl::wsse::Identity;
use ironbark_wsdl::{cc, ironbark};
use jiff::SignedDuration;

use super::scripted::{Harness, Mood, ScriptedNode};

const A: &str = "i-0000000A";

async fn node(cloud: &Harness, name: &str) -> ironbark::ClusterNode {
    let cluster = cloud.call(ironbark::DescribeCluster::default()).await.unwrap();
    cluster.nodes.into_iter().find(|node| node.name == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_becomes_suspect_then_down_and_comes_back() {
    let n1 = ScriptedNode::new(512);
    n1.plant(A);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    assert_eq!(node(&cloud, "n1").await.state, "up");
    n1.mood("*", Mood::Unreachable);
    let mut states = Vec::new();
    for _ in 0..4 {
        cloud.clock.advance(SignedDuration::from_secs(2));
        cloud.poll().await;
        states.push(node(&cloud, "n1").await.state);
    }
    assert_eq!(states, ["suspect", "suspect", "down", "down"]);
    let down = node(&cloud, "n1").await;
    assert!(down.reason.unwrap().contains("cannot be reached: connection refused"));
    assert_eq!((down.memory_max, down.memory_available), (512, 0), "what it offered is remembered");
    assert_eq!(cloud.believed().await[A].0, "running");
    n1.mood("*", Mood::Well);
    let link = cloud.cluster.links().pop().unwrap();
    refresh::refresh(&cloud.cluster, &link).await;
    assert_eq!(node(&cloud, "n1").await.state, "up");
}

#[tokio::test(start_paused = true)]
async fn a_hung_node_does_not_delay_what_is_known_of_the_others() {
    let (n1, n2) = (ScriptedNode::new(512), ScriptedNode::new(512));
    let cloud = Harness::new(&[("n1", n1.clone()), ("n2", n2.clone())]).await;
    n1.mood("*", Mood::Hangs);
    refresh::start(&cloud.cluster).await;
    n2.plant(A);
    let appeared = async {
        while !cloud.believed().await.contains_key(A) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), appeared).await.expect("n2 is asked every 2 s whatever n1 does");
    assert_eq!(node(&cloud, "n1").await.state, "suspect");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_no_longer_lists_is_terminated_and_kept_for_a_while() {
    let n1 = ScriptedNode::new(512);
    n1.plant(A);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    n1.set(A, None);
    cloud.poll().await;
    assert_eq!(cloud.believed().await[A].0, "terminated");
    let seen = cloud.call(cc::DescribeInstances::default()).await.unwrap();
    assert_eq!(seen.instances[0].state_name.as_deref(), Some("Teardown"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_instances_even_of_a_silent_node() {
    let n1 = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    cloud.run(1, &[A]).await.unwrap();
    n1.set(A, Some("running"));
    cloud.poll().await;
    n1.mood("*", Mood::Unreachable);
    let cloud = cloud.restarted().await;
    assert_eq!(node(&cloud, "n1").await.state, "unknown");
    cloud.poll().await;
    assert_eq!(cloud.believed().await[A], ("running".into(), "n1".into()));
    let seen = cloud.call_as("alice", cc::DescribeInstances::default()).await.unwrap();
    assert_eq!(seen.instances[0].reservation_id.as_deref(), Some("r-00000001"));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_learned_from_the_lease_file() {
    let n1 = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    cloud.run(1, &[A]).await.unwrap();
    let lease = "0 d0:0d:00:00:00:0a 10.0.0.7 guest *\n";
    std::fs::write(cloud.cluster.settings.dhcp_leases.as_ref().unwrap(), lease).unwrap();
    ironbark_cc::network::learn(&cloud.cluster).await.unwrap();
    let seen = cloud.call(cc::DescribeInstances::default()).await.unwrap();
    let net = seen.instances[0].net_params.clone().unwrap();
    assert_eq!((net.private_ip.as_str(), net.public_ip.as_str()), ("10.0.0.7", "10.0.0.7"));
}

#[tokio::test(start_paused = true)]
async fn a_registered_node_outlives_a_restart_and_goes_only_when_empty() {
    let late = ScriptedNode::new(512);
    let cloud = Harness::new(&[("late1", late.clone())]).await;
    let register = ironbark::RegisterNode {
        name: "late1".into(),
        url: "http://late1:8775/axis2/services/EucalyptusNC".into(),
        profile: "strict".into(),
        certificate: Identity::generate("late1").unwrap().cert_pem(),
        ..Default::default()
    };
    let (one, two) = tokio::join!(cloud.call(register.clone()), cloud.call(register.clone()));
    assert!(one.is_ok() && two.is_ok(), "the same again is no error");
    assert_eq!(cloud.call(ironbark::DescribeCluster::default()).await.unwrap().nodes.len(), 1);
    let other = ironbark::RegisterNode { name: "late2".into(), ..register.clone() };
    let error = cloud.call(other).await.unwrap_err().to_string();
    assert!(error.contains("is the URL of node late1 already"), "{error}");
    let spoiled = ironbark::RegisterNode {
        certificate: "nonsense".into(),
        name: "late3".into(),
        url: "http://x/".into(),
        ..register
    };
    let error = cloud.call(spoiled).await.unwrap_err().to_string();
    assert!(error.contains("certificate: "), "{error}");

    let cloud = cloud.restarted().await;
    cloud.poll().await;
    assert_eq!(node(&cloud, "late1").await.state, "up");
    cloud.run(1, &[A]).await.unwrap();
    let deregister = ironbark::DeregisterNode { name: "late1".into(), ..Default::default() };
    let error = cloud.call(deregister.clone()).await.unwrap_err().to_string();
    assert!(error.contains("it has instances, terminate them first: i-0000000A"), "{error}");
    late.set(A, Some("terminated"));
    cloud.poll().await;
    cloud.call(deregister).await.unwrap();
    let cloud = cloud.restarted().await;
    assert!(cloud.call(ironbark::DescribeCluster::default()).await.unwrap().nodes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_of_the_old_wire_is_believed_by_its_three_states() {
    let n1 = ScriptedNode::new(512);
    n1.old_wire();
    n1.plant(A);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    assert_eq!(cloud.believed().await[A].0, "running");
    assert!(node(&cloud, "n1").await.operations.is_empty());
    cloud.poll().await;
    assert_eq!(n1.asked("DescribeNode").len(), 1, "it is not asked again at once for what it does not know");
    n1.set(A, Some("terminated"));
    cloud.poll().await;
    assert_eq!(cloud.believed().await[A].0, "terminated");
}
