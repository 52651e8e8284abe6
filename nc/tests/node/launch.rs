//! Launching: once, again, without room, and failing at each step.

use std::time::Duration;

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::{CallError, ironbark, nc};

use crate::lab::{Lab, is_empty};

const ID: &str = "i-00000001";

#[tokio::test]
async fn an_instance_is_pending_when_accepted_and_then_runs() {
    let lab = Lab::new();
    let node = lab.start().await;
    let answer = node.call_as("alice", lab.launch(ID)).await.unwrap().instance.unwrap();
    assert_eq!((answer.state_name.as_str(), answer.user_id.as_str()), ("Pending", "alice"));
    let records = std::fs::read_to_string(lab.state_dir().join("records")).unwrap();
    assert!(records.contains("+i-00000001 "), "the answer came before the record was there");

    let record = node.until(ID, "running").await;
    assert_eq!(record.boots, 1);
    let told = node.describe(ID).await;
    assert_eq!((told.state_name.as_str(), told.bundle_task_state_name.as_deref()), ("Extant", Some("none")));
    let spec = lab.hypervisor.spec(ID).unwrap();
    assert_eq!((spec.memory_mb, spec.vcpus), (128, 1));
    for file in ["disk", "kernel", "ramdisk", "seed.iso"] {
        assert!(lab.files(ID).join(file).exists(), "{file}");
    }
    assert_eq!(lab.files(ID).join("disk").metadata().unwrap().len(), 1 << 30, "the root disk has the type's size");
}

#[tokio::test]
async fn the_same_launch_again_is_answered_and_another_of_that_id_refused() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let again = node.call_as("alice", lab.launch(ID)).await.unwrap().instance.unwrap();
    assert_eq!(again.state_name, "Extant");
    let other = nc::RunInstance { reservation_id: "r-00000002".to_string(), ..lab.launch(ID) };
    let reason = node.declined(other).await;
    assert!(reason.contains("r-00000001"), "{reason}");
    assert_eq!(lab.hypervisor.count("start"), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_numbers() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let mut large = lab.launch("i-00000002");
    large.instance_type.memory = Some(900);
    let reason = node.declined(large).await;
    assert!(reason.contains("MB of memory: 900 wanted, 872 of 1000 free"), "{reason}");
    let resource = node.call(nc::DescribeResource::default()).await.unwrap();
    assert_eq!((resource.memory_size_max, resource.memory_size_available), (1000, 872));
    assert_eq!((resource.disk_size_max, resource.disk_size_available), (10, 9));
    assert_eq!((resource.number_of_cores_max, resource.number_of_cores_available), (8, 7));
}

#[tokio::test]
async fn parallel_launches_do_not_take_the_same_room() {
    let mut lab = Lab::new();
    lab.limits.memory_mb = Some(300);
    let node = lab.start().await;
    let launch = |n: u32| node.call_as("alice", lab.launch(&format!("i-0000000{n}")));
    let (a, b, c, d) = tokio::join!(launch(1), launch(2), launch(3), launch(4));
    let accepted = [a, b, c, d].into_iter().filter(Result::is_ok).count();
    assert_eq!(accepted, 2, "300 MB hold two instances of 128");
}

/// A launch that fails in some way: told with its reason, and nothing of it is left.
async fn fails(lab: &Lab, launch: nc::RunInstance, reason: &str) {
    let node = lab.start().await;
    node.call_as("alice", launch).await.unwrap();
    let record = node.until(ID, "failed").await;
    let told = record.reason.clone().unwrap();
    assert!(told.contains(reason), "{told}");
    assert_eq!(node.describe(ID).await.state_name, "Teardown");
    let described = node.call(ironbark::DescribeNode::default()).await.unwrap();
    assert_eq!(described.instances[0].state, "failed");
    assert!(described.instances[0].reason.as_deref().unwrap().contains(reason));
    assert!(is_empty(&lab.state_dir().join("instances")), "files are left");
    assert!(lab.hypervisor.spec(ID).is_none(), "a domain is left");
    let resource = node.call(nc::DescribeResource::default()).await.unwrap();
    assert_eq!(resource.memory_size_available, resource.memory_size_max, "its room is not free");
    node.kill();
}

#[tokio::test]
async fn a_missing_image_fails_the_launch() {
    let lab = Lab::new();
    let launch = nc::RunInstance { image_url: format!("file://{}/absent", lab.images().display()), ..lab.launch(ID) };
    fails(&lab, launch, "absent").await;
}

#[tokio::test]
async fn an_image_that_may_not_be_fetched_fails_the_launch() {
    let lab = Lab::new();
    let launch = nc::RunInstance { kernel_url: Some("file:///etc/hostname".to_string()), ..lab.launch(ID) };
    fails(&lab, launch, "does not fetch from there").await;
}

#[tokio::test]
async fn a_missing_bridge_fails_the_launch() {
    let mut lab = Lab::new();
    lab.bridge = Some("nosuchbridge0".to_string());
    fails(&lab, lab.launch(ID), "there is no bridge 'nosuchbridge0'").await;
    let node = lab.start().await;
    match node.call(nc::StartNetwork::default()).await {
        Err(CallError::Declined { .. }) => {}
        other => panic!("a network without a bridge is ready: {other:?}"),
    }
}

#[tokio::test]
async fn a_start_that_is_refused_fails_the_launch() {
    let lab = Lab::new();
    lab.hypervisor.fail_next("start", Fault::Refuse("no such machine type".to_string()));
    fails(&lab, lab.launch(ID), "no such machine type").await;
}

#[tokio::test]
async fn a_start_that_never_answers_fails_the_launch() {
    let lab = Lab::new();
    lab.hypervisor.fail_next("start", Fault::Hang);
    fails(&lab, lab.launch(ID), "did not start the domain in time").await;
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_is_a_start() {
    let lab = Lab::new();
    let node = lab.start().await;
    lab.hypervisor.fail_next("start", Fault::LoseAnswer);
    node.launched(&lab, ID).await;
    assert_eq!(lab.hypervisor.count("start"), 1);
}

#[tokio::test]
async fn a_hypervisor_that_is_away_for_a_moment_delays_the_start_only() {
    let lab = Lab::new();
    let node = lab.start().await;
    lab.hypervisor.fail_next("start", Fault::Unavailable("restarting".to_string()));
    node.launched(&lab, ID).await;
    assert_eq!(lab.hypervisor.count("start"), 2);
}

#[tokio::test]
async fn nothing_is_admitted_while_the_hypervisor_is_away() {
    let lab = Lab::new();
    lab.hypervisor.set_unavailable(Some("no libvirtd"));
    let node = lab.start_blind();
    let reason = node.declined(lab.launch(ID)).await;
    assert!(reason.contains("no libvirtd") || reason.contains("not answered yet"), "{reason}");
    lab.hypervisor.set_unavailable(None);
    let mut health = node.node.watch_health();
    tokio::time::timeout(crate::lab::PATIENCE, health.wait_for(|health| health.trouble.is_none()))
        .await
        .unwrap()
        .unwrap();
    node.launched(&lab, ID).await;
}

#[tokio::test]
async fn a_failed_launch_is_remembered_for_a_while_only() {
    let mut lab = Lab::new();
    lab.times.retention = Duration::from_millis(300);
    let node = lab.start().await;
    lab.hypervisor.fail_next("start", Fault::Refuse("no".to_string()));
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.until(ID, "failed").await;
    node.eventually("forgotten", || node.node.instance(ID).is_err()).await;
    assert!(is_empty(&lab.state_dir().join("records")));
    // The id is free again.
    node.launched(&lab, ID).await;
}

#[tokio::test]
async fn users_see_their_own_instances_and_the_cloud_all() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let count = async |user: &str| node.call_as(user, nc::DescribeInstances::default()).await.unwrap().instances.len();
    assert_eq!((count("alice").await, count("bob").await, count("eucalyptus").await), (1, 0, 1));
}

#[tokio::test]
async fn a_launch_in_the_name_of_nobody_is_refused() {
    let lab = Lab::new();
    let node = lab.start().await;
    let result = node.call_as("", lab.launch(ID)).await;
    assert!(matches!(&result, Err(CallError::Declined { reason }) if reason.contains("userId")), "{result:?}");
}
