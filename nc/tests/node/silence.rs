//! A hypervisor that stays away: nothing waits for it for ever, what is told says why, and nothing is left when it is back.

use std::time::Duration;

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::ironbark;

use crate::lab::{Lab, PATIENCE, Running, is_empty, reboot, terminate};

const ID: &str = "i-00000001";

fn stop() -> ironbark::StopInstance {
    ironbark::StopInstance { instance_id: ID.to_string(), ..Default::default() }
}

fn start() -> ironbark::StartInstance {
    ironbark::StartInstance { instance_id: ID.to_string(), ..Default::default() }
}

/// A node whose patience with its hypervisor is short.
async fn impatient() -> (Lab, Running) {
    let mut lab = Lab::new();
    lab.times.silence = Duration::from_millis(200);
    let node = lab.start().await;
    (lab, node)
}

#[tokio::test]
async fn a_launch_is_given_up_and_leaves_nothing() {
    let (lab, node) = impatient().await;
    let hold = lab.hypervisor.hold_next("start");
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.eventually("the start is under way", || lab.hypervisor.count("start") == 1).await;
    lab.hypervisor.set_unavailable(Some("libvirtd is gone"));
    hold.release();
    let record = node.until(ID, "shutting-down").await;
    assert!(record.reason.as_deref().unwrap().contains("could not be asked to start its domain"), "{record:?}");
    let held =
        |reason: &str| reason.contains("its domain cannot be removed yet") && reason.contains("libvirtd is gone");
    node.when(ID, "held up", |record| record.reason.as_deref().is_some_and(held)).await;
    lab.hypervisor.set_unavailable(None);
    let record = node.until(ID, "failed").await;
    let reason = record.reason.as_deref().unwrap();
    assert!(reason.contains("could not be asked") && !reason.contains("yet"), "{reason}");
    assert!(is_empty(&lab.state_dir().join("instances")) && lab.hypervisor.spec(ID).is_none());
}

#[tokio::test]
async fn a_start_goes_back_to_stopped_and_works_when_it_is_back() {
    let (lab, node) = impatient().await;
    node.launched(&lab, ID).await;
    node.call(stop()).await.unwrap();
    node.until(ID, "stopped").await;
    let hold = lab.hypervisor.hold_next("start");
    node.call(start()).await.unwrap();
    node.eventually("the start is under way", || lab.hypervisor.count("start") == 2).await;
    lab.hypervisor.set_unavailable(Some("libvirtd is gone"));
    hold.release();
    let given_up = |reason: &str| reason.contains("could not be started: the hypervisor could not be asked");
    node.when(ID, "stopped again", |record| record.reason.as_deref().is_some_and(given_up)).await;
    let reason = node.declined(start()).await;
    assert!(reason.contains("libvirtd is gone"), "nothing new is begun meanwhile: {reason}");
    lab.hypervisor.set_unavailable(None);
    let mut health = node.node.watch_health();
    let answered = health.wait_for(|health| health.trouble.is_none());
    tokio::time::timeout(PATIENCE, answered).await.unwrap().unwrap();
    node.call(start()).await.unwrap();
    let record = node.until(ID, "running").await;
    assert_eq!((record.boots, lab.hypervisor.boots(ID)), (2, 2));
}

#[tokio::test]
async fn a_start_whose_answer_never_came_is_adopted_and_not_doubled() {
    let (lab, node) = impatient().await;
    node.launched(&lab, ID).await;
    node.call(stop()).await.unwrap();
    node.until(ID, "stopped").await;
    // It is carried out, and then nobody can ask.
    let hold = lab.hypervisor.hold_next("start");
    node.call(start()).await.unwrap();
    node.eventually("the start is under way", || lab.hypervisor.count("start") == 2).await;
    hold.release();
    node.until(ID, "running").await;
    assert_eq!(lab.hypervisor.boots(ID), 2);
}

#[tokio::test]
async fn a_stop_and_a_reboot_that_could_not_be_asked_for_leave_it_running() {
    let (lab, node) = impatient().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_unavailable(Some("libvirtd is gone"));
    node.call(reboot(ID)).await.unwrap();
    let record = node.when(ID, "given up", |record| record.last_reboot.is_some()).await;
    assert!(record.last_reboot.as_deref().unwrap().starts_with("failed after"), "{record:?}");
    assert_eq!(record.state.name(), "running");
    node.call(stop()).await.unwrap();
    let given_up = |reason: &str| reason.starts_with("it was not stopped: the hypervisor could not be asked");
    let record = node.when(ID, "given up", |record| record.reason.as_deref().is_some_and(given_up)).await;
    assert_eq!(record.state.name(), "running");
    lab.hypervisor.set_unavailable(None);
    node.call(stop()).await.unwrap();
    node.until(ID, "stopped").await;
}

#[tokio::test]
async fn a_guest_that_cannot_be_switched_off_says_why_and_is_tried_again() {
    let (lab, node) = impatient().await;
    node.launched(&lab, ID).await;
    for _ in 0..2 {
        lab.hypervisor.fail_next("destroy", Fault::Refuse("the process cannot be killed".to_string()));
    }
    let force = ironbark::StopInstance { force: Some(true), ..stop() };
    node.call(force).await.unwrap();
    let why = |reason: &str| reason.contains("cannot be switched off yet") && reason.contains("cannot be killed");
    let record = node.when(ID, "explained", |record| record.reason.as_deref().is_some_and(why)).await;
    assert_eq!(record.state.name(), "stopping");
    let record = node.until(ID, "stopped").await;
    assert!(record.reason.as_deref().unwrap().contains("forced after"), "{record:?}");
    node.call(terminate(ID)).await.unwrap();
    node.until(ID, "terminated").await;
}
