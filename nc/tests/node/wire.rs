//! The operations that are not about one instance's life, and the list of all of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ironbark_nc::handlers::OPERATIONS;
use ironbark_wsdl::{Service, ironbark, nc};

use crate::lab::{Lab, reboot};

const ID: &str = "i-00000001";

#[tokio::test]
async fn what_the_contracts_declare_is_what_is_routed() {
    let lab = Lab::new();
    let node = lab.start().await;
    let old = nc::OPERATIONS.iter().map(|name| (Service::Nc.namespace(), *name));
    let new = OPERATIONS.iter().map(|name| (Service::Ironbark.namespace(), *name));
    let mut declared: Vec<_> = old.chain(new).collect();
    declared.sort_unstable();
    let mut routed = node.router.operations();
    routed.sort_unstable();
    assert_eq!(routed, declared);
    assert!(OPERATIONS.iter().all(|name| ironbark::OPERATIONS.contains(name)));
}

#[tokio::test]
async fn the_console_is_its_last_64_kib() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let console = || nc::GetConsoleOutput { instance_id: ID.to_string(), ..Default::default() };
    let read = async || STANDARD.decode(node.call(console()).await.unwrap().console_output).unwrap();
    assert_eq!(read().await, b"guest: boot 1\nguest: ready\n");
    let long: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(lab.files(ID).join("console.log"), &long).unwrap();
    assert_eq!(read().await, long[long.len() - 65536..]);
    std::fs::remove_file(lab.files(ID).join("console.log")).unwrap();
    assert_eq!(read().await, b"");
    let unknown = nc::GetConsoleOutput { instance_id: "i-00000009".to_string(), ..Default::default() };
    assert!(node.declined(unknown).await.contains("no such instance"));
}

#[tokio::test]
async fn bundling_is_answered_by_the_contract_and_not_offered() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let bundle = nc::BundleInstance { instance_id: Some(ID.to_string()), ..Default::default() };
    assert!(node.declined(bundle).await.contains("not offered"));
    let cancel = nc::CancelBundleTask { instance_id: Some(ID.to_string()), ..Default::default() };
    assert!(node.declined(cancel).await.contains("nothing is being bundled"));
    let ids = vec![ID.to_string(), "i-00000009".to_string()];
    let tasks =
        node.call(nc::DescribeBundleTasks { instance_ids: ids, ..Default::default() }).await.unwrap().bundle_tasks;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].state.as_deref(), Some("none"));
    assert!(node.declined(nc::DescribeBundleTasks::default()).await.contains("at least one"));
}

#[tokio::test]
async fn the_network_is_ready_and_power_is_left_on() {
    let lab = Lab::new();
    let node = lab.start().await;
    let network = node.call(nc::StartNetwork { vlan: Some(7), ..Default::default() }).await.unwrap();
    assert_eq!((network.network_status.as_deref(), network.status_message), (Some("SUCCESS"), Some(0)));
    assert!(node.declined(nc::PowerDown::default()).await.contains("power_down"));
}

#[tokio::test]
async fn power_goes_off_only_by_the_configured_command_and_never_under_an_instance() {
    let mut lab = Lab::new();
    let mark = lab.dir.path().join("asleep");
    lab.power_down = vec!["touch".to_string(), mark.display().to_string()];
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    assert!(node.declined(nc::PowerDown::default()).await.contains("1 instances run on it"));
    assert!(!mark.exists());
    lab.hypervisor.guest_stops(ID, ironbark_nc::hypervisor::OffReason::Shutdown);
    node.until(ID, "stopped").await;
    let answer = node.call(nc::PowerDown::default()).await.unwrap();
    assert_eq!(answer.status_message, Some(0));
    assert!(mark.exists());
}

#[tokio::test]
async fn a_node_says_who_it_is_and_what_a_request_did() {
    let mut lab = Lab::new();
    lab.tags = vec!["ssd".into()];
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let described = node.call(ironbark::DescribeNode::default()).await.unwrap();
    let facts = described.facts.expect("what matters to placement");
    assert_eq!((facts.architecture.as_deref(), facts.tags), (Some("x86_64"), vec!["ssd".to_string()]));
    assert!(facts.images.iter().any(|id| id == "emi-00000001"), "{:?}", facts.images);
    assert_eq!((described.node_name.as_str(), described.hypervisor.as_str()), ("n1", "scripted"));
    assert_eq!(described.operations, OPERATIONS);
    assert_eq!(described.instances[0].state, "running");

    let answer = node.call(reboot(ID)).await.unwrap();
    let request_id = answer.correlation_id.unwrap();
    node.when(ID, "rebooted", |record| record.last_reboot.is_some()).await;
    // A call that the event overtook is told of when it has ended.
    let ended = || node.node.recorder().of(&request_id).iter().any(|span| span.name == "nc.domain.request_reboot");
    node.eventually("the call has ended", ended).await;
    let trace = ironbark::DescribeTrace { request_id: request_id.clone(), ..Default::default() };
    let spans = node.call(trace).await.unwrap().spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in ["nc.ncRebootInstance", "nc.reboot", "nc.domain.request_reboot"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(spans.iter().all(|span| span.request_id == request_id && span.tier == "nc:n1"));
    let reboot = spans.iter().find(|span| span.name == "nc.reboot").unwrap();
    assert!(reboot.outcome.starts_with("guest obeyed after"), "{}", reboot.outcome);
}
