//! Ending: while running, while being made, twice, against a hypervisor in trouble.

use std::time::Duration;

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::nc;

use crate::lab::{Lab, is_empty, terminate};

const ID: &str = "i-00000001";

#[tokio::test]
async fn nothing_is_left_and_the_old_codes_are_told() {
    let mut lab = Lab::new();
    lab.times.retention = Duration::from_millis(300);
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let answer = node.call(terminate(ID)).await.unwrap();
    assert_eq!((answer.previous_state.as_deref(), answer.shutdown_state.as_deref()), (Some("13"), Some("14")));
    node.until(ID, "terminated").await;
    assert!(is_empty(&lab.state_dir().join("instances")));
    assert!(lab.hypervisor.spec(ID).is_none());
    let answer = node.call(terminate(ID)).await.unwrap();
    assert_eq!((answer.previous_state.as_deref(), answer.shutdown_state.as_deref()), (Some("14"), Some("14")));
    assert_eq!(node.describe(ID).await.state_name, "Teardown");
    node.eventually("forgotten", || node.node.instance(ID).is_err()).await;
    let reason = node.declined(terminate(ID)).await;
    assert!(reason.contains("no such instance on this node"), "{reason}");
}

#[tokio::test]
async fn an_image_that_is_being_fetched_is_given_up() {
    let lab = Lab::new();
    let node = lab.start().await;
    // A server that takes the request and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/root", silent.local_addr().unwrap());
    let launch = nc::RunInstance { image_url: url, ..lab.launch(ID) };
    node.call_as("alice", launch).await.unwrap();
    let (_held, _) = tokio::time::timeout(crate::lab::PATIENCE, silent.accept()).await.unwrap().unwrap();
    let answer = node.call(terminate(ID)).await.unwrap();
    assert_eq!((answer.previous_state.as_deref(), answer.shutdown_state.as_deref()), (Some("12"), Some("14")));
    node.until(ID, "terminated").await;
    assert!(is_empty(&lab.state_dir().join("instances")));
    assert_eq!(lab.hypervisor.count("start"), 0);
}

#[tokio::test]
async fn a_domain_that_is_being_started_is_removed_all_the_same() {
    let lab = Lab::new();
    let node = lab.start().await;
    let hold = lab.hypervisor.hold_next("start");
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.eventually("the start is under way", || lab.hypervisor.count("start") == 1).await;
    node.call(terminate(ID)).await.unwrap();
    hold.release();
    node.until(ID, "terminated").await;
    node.eventually("no domain is left", || lab.hypervisor.spec(ID).is_none()).await;
    assert!(is_empty(&lab.state_dir().join("instances")));
}

#[tokio::test]
async fn a_start_that_comes_late_brings_nothing_back() {
    let lab = Lab::new();
    let node = lab.start().await;
    let hold = lab.hypervisor.hold_next("start");
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.until(ID, "failed").await;
    hold.release();
    node.eventually("the late domain was there and is gone", || {
        lab.hypervisor.count("destroy") > 1 && lab.hypervisor.spec(ID).is_none()
    })
    .await;
    assert_eq!(node.until(ID, "failed").await.state.name(), "failed");
}

#[tokio::test]
async fn files_stay_until_the_domain_is_proven_absent() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_unavailable(Some("gone for lunch"));
    node.call(terminate(ID)).await.unwrap();
    node.eventually("tried several times", || lab.hypervisor.count("destroy") > 2).await;
    assert!(lab.files(ID).join("disk").exists(), "the disk was taken from under a domain that may run");
    assert_eq!(node.node.instance(ID).unwrap().record().state.name(), "shutting-down");
    lab.hypervisor.set_unavailable(None);
    node.until(ID, "terminated").await;
    assert!(is_empty(&lab.state_dir().join("instances")));
}

#[tokio::test]
async fn calls_that_hang_are_tried_again() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.fail_next("destroy", Fault::Hang);
    lab.hypervisor.fail_next("undefine", Fault::LoseAnswer);
    node.call(terminate(ID)).await.unwrap();
    node.until(ID, "terminated").await;
}
