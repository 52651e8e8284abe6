//! The contract: what is routed is what is declared, and the plain operations answer as recorded.

use std::collections::BTreeSet;

use ironbark_cc::routes;
use ironbark_wsdl::{Service, cc, ironbark};

use super::scripted::{Harness, ScriptedNode, machine};

const A: &str = "i-0000000A";
const B: &str = "i-0000000B";

#[tokio::test]
async fn routed_is_declared() {
    let cloud = Harness::new(&[]).await;
    let declared = cc::OPERATIONS.iter().map(|name| (Service::Cc.namespace(), *name));
    let own = routes::IRONBARK.iter().map(|name| (Service::Ironbark.namespace(), *name));
    assert_eq!(cloud.routed(), declared.chain(own).collect::<BTreeSet<_>>());
    assert!(routes::IRONBARK.iter().all(|name| ironbark::OPERATIONS.contains(name)));
}

#[tokio::test]
async fn the_network_operations_answer_as_recorded_in_system_mode() {
    let cloud = Harness::new(&[]).await;
    cloud.call(cc::StartNetwork { vlan: Some(10), ..Default::default() }).await.unwrap();
    cloud.call(cc::StopNetwork { vlan: Some(99999), ..Default::default() }).await.unwrap();
    cloud.call(cc::ConfigureNetwork::default()).await.unwrap();
    let networks = cloud.call(cc::DescribeNetworks::default()).await.unwrap();
    assert_eq!((networks.mode, networks.addrs_per_net, networks.active_networks.len()), (Some(0), Some(0), 0));
    let addresses = cloud.raw(cc::DescribePublicAddresses::default()).await;
    assert_eq!((addresses.accepted, addresses.status_message.as_deref()), (Some(false), Some("NOTSUPPORTED")));
    let assign =
        |source: &str| cc::AssignAddress { source: source.into(), dest: "10.0.0.7".into(), ..Default::default() };
    cloud.call(assign("192.0.2.1")).await.unwrap();
    assert!(cloud.call(assign("0.0.0.0")).await.unwrap_err().to_string().contains("source: '0.0.0.0' is no address"));
    let unassign = cc::UnassignAddress { source: "192.0.2.1".into(), dest: "10.0.0.7".into(), ..Default::default() };
    cloud.call(unassign).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn resources_are_summed_over_the_nodes_jointly() {
    let (n1, n2) = (ScriptedNode::new(512), ScriptedNode::new(300));
    let cloud = Harness::new(&[("n1", n1.clone()), ("n2", n2)]).await;
    let two_gigabytes = cc::VirtualMachine { name: Some("m1.large".into()), memory: Some(256), ..machine() };
    let ask = cc::DescribeResources { instance_types: vec![machine(), two_gigabytes], ..Default::default() };
    let room = |answer: &cc::DescribeResourcesResponse| -> Vec<(i32, i32)> {
        answer.resources.iter().map(|r| (r.max_instances.unwrap(), r.available_instances.unwrap())).collect()
    };
    let answer = cloud.call(ask.clone()).await.unwrap();
    assert_eq!(room(&answer), [(4 + 2, 4 + 2), (2 + 1, 2 + 1)]);
    assert_eq!(answer.service_tags.len(), 2);
    cloud.run(1, &[A]).await.unwrap();
    // Before the node has reported, the claim counts; afterwards the node's own number does.
    for _ in 0..2 {
        assert_eq!(room(&cloud.call(ask.clone()).await.unwrap()), [(6, 5), (3, 2)]);
        cloud.poll().await;
    }
    let none = cc::VirtualMachine { cores: Some(0), ..machine() };
    let bad = cc::DescribeResources { instance_types: vec![none], ..Default::default() };
    assert!(cloud.call(bad).await.unwrap_err().to_string().contains("type m1.small"));
}

#[tokio::test(start_paused = true)]
async fn instances_are_narrowed_by_id_and_by_owner() {
    let n1 = ScriptedNode::new(512);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    cloud.run(2, &[A, B]).await.unwrap();
    let ids = |answer: cc::DescribeInstancesResponse| -> Vec<String> {
        answer.instances.into_iter().filter_map(|instance| instance.instance_id).collect()
    };
    let one = cc::DescribeInstances { instance_ids: vec![B.into()], ..Default::default() };
    assert_eq!(ids(cloud.call(one.clone()).await.unwrap()), [B]);
    assert_eq!(ids(cloud.call_as("alice", cc::DescribeInstances::default()).await.unwrap()), [A, B]);
    assert!(ids(cloud.call_as("bob", one).await.unwrap()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_trace_has_our_spans_and_the_nodes() {
    let n1 = ScriptedNode::new(512);
    n1.plant(A);
    let cloud = Harness::new(&[("n1", n1.clone())]).await;
    let mut reboot = cc::RebootInstances { instance_ids: vec![A.into()], ..Default::default() };
    reboot.correlation_id = Some("ignored: the harness stamps its own".into());
    cloud.raw(reboot).await;
    let ask = ironbark::DescribeTrace { request_id: "5f0c-4711".into(), ..Default::default() };
    let spans = cloud.call(ask).await.unwrap().spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["cc.verify", "cc.call.ncRebootInstance", "cc.RebootInstances", "nc.ncRebootInstance"]);
    assert_eq!(spans[1].parent.as_deref(), Some(spans[2].id.as_str()));
    assert_eq!(spans[1].detail.as_deref(), Some("n1"));
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_a_request_come_from_the_nodes_that_keep_them() {
    let (n1, n2) = (ScriptedNode::new(512), ScriptedNode::new(512));
    let cloud = Harness::new(&[("n1", n1), ("n2", n2.clone())]).await;
    let ask = ironbark::DescribeLogs { request_id: "5f0c-4711".into(), ..Default::default() };
    let lines = cloud.call(ask.clone()).await.unwrap().lines;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.tier == "nc" && line.text == "5f0c-4711"), "{lines:?}");
    n2.old_wire();
    assert_eq!(cloud.call(ask).await.unwrap().lines.len(), 1, "one that does not answer hides no other");
}

#[tokio::test(start_paused = true)]
async fn bundling_states_are_those_that_the_nodes_reported() {
    let n1 = ScriptedNode::new(512);
    n1.plant(A);
    let cloud = Harness::new(&[("n1", n1)]).await;
    assert!(cloud.call(cc::DescribeBundleTasks::default()).await.unwrap().bundle_tasks.is_empty());
    let cancel = cc::CancelBundleTask { instance_id: Some(A.into()), ..Default::default() };
    let error = cloud.call(cancel).await.unwrap_err().to_string();
    assert!(error.contains("i-0000000A: node n1"), "{error}");
}
