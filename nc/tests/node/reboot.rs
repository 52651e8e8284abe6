//! Rebooting: obeyed, ignored, half done, impossible.

use ironbark_nc::hypervisor::OffReason;
use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::ironbark;

use crate::lab::{Lab, PATIENCE, reboot};

const ID: &str = "i-00000001";

#[tokio::test]
async fn a_guest_that_obeys() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let answer = node.call(reboot(ID)).await.unwrap();
    assert_eq!((answer.accepted, answer.status), (Some(true), false), "2.0.1 says false for success");
    let record = node.when(ID, "rebooted", |record| record.boots == 2 && record.state.name() == "running").await;
    let how = record.last_reboot.clone().unwrap();
    assert!(how.starts_with("guest obeyed after 0."), "{how}");
    assert_eq!((lab.hypervisor.count("reset"), lab.hypervisor.boots(ID)), (0, 2));
}

#[tokio::test]
async fn a_guest_that_ignores_the_button_is_reset_after_its_grace() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(reboot(ID)).await.unwrap();
    node.until(ID, "rebooting").await;
    node.call(reboot(ID)).await.unwrap();
    let record = node.when(ID, "reset", |record| record.boots == 2 && record.state.name() == "running").await;
    let how = record.last_reboot.clone().unwrap();
    assert!(how.starts_with("reset after 0.") && how.ends_with("guest did not obey"), "{how}");
    assert_eq!((lab.hypervisor.count("request_reboot"), lab.hypervisor.count("reset")), (1, 1));
    let described = node.call(ironbark::DescribeNode::default()).await.unwrap();
    assert_eq!((described.instances[0].boot_count, described.instances[0].last_reboot.as_ref()), (2, Some(&how)));
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_matter() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.fail_next("request_reboot", Fault::LoseAnswer);
    node.call(reboot(ID)).await.unwrap();
    let record = node.when(ID, "rebooted", |record| record.last_reboot.is_some()).await;
    assert!(record.last_reboot.as_deref().unwrap().starts_with("guest obeyed"));
    assert_eq!(record.boots, 2);
}

#[tokio::test]
async fn a_reset_that_hangs_ends_and_says_so() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    lab.hypervisor.fail_next("reset", Fault::Hang);
    node.call(reboot(ID)).await.unwrap();
    let record = node.when(ID, "given up", |record| record.last_reboot.is_some()).await;
    assert!(record.last_reboot.as_deref().unwrap().starts_with("failed after"), "{record:?}");
    assert_eq!((record.state.name(), record.boots), ("running", 1));
}

#[tokio::test]
async fn a_hypervisor_that_is_away_is_asked_again_when_it_is_back() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_unavailable(Some("restarting"));
    node.call(reboot(ID)).await.unwrap();
    node.until(ID, "rebooting").await;
    node.eventually("tried several times", || lab.hypervisor.count("request_reboot") > 2).await;
    assert_eq!(node.describe(ID).await.state_name, "Extant", "not to be able to ask changed the state");
    lab.hypervisor.set_unavailable(None);
    let record = node.when(ID, "rebooted", |record| record.last_reboot.is_some()).await;
    assert_eq!(record.boots, 2);
}

#[tokio::test]
async fn a_guest_that_went_off_instead_is_switched_on() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(reboot(ID)).await.unwrap();
    node.until(ID, "rebooting").await;
    lab.hypervisor.guest_stops(ID, OffReason::Shutdown);
    let record = node.when(ID, "back", |record| record.last_reboot.is_some()).await;
    assert!(record.last_reboot.as_deref().unwrap().starts_with("started again"), "{record:?}");
    assert_eq!((record.state.name(), record.boots), ("running", 2));
}

#[tokio::test]
async fn a_reboot_from_inside_is_counted() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.guest_reboots(ID);
    let record = node.when(ID, "counted", |record| record.boots == 2).await;
    assert_eq!((record.state.name(), &record.last_reboot), ("running", &None));
}

#[tokio::test]
async fn what_does_not_run_is_not_rebooted() {
    let lab = Lab::new();
    let node = lab.start().await;
    let reason = node.declined(reboot(ID)).await;
    assert!(reason.contains("no such instance on this node"), "{reason}");
    let reason = node.declined(reboot("nonsense")).await;
    assert!(reason.contains("no instance id"), "{reason}");
    let hold = lab.hypervisor.hold_next("start");
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    let reason = node.declined(reboot(ID)).await;
    assert!(reason.contains("does not run yet"), "{reason}");
    hold.release();
    node.until(ID, "running").await;
    lab.hypervisor.guest_stops(ID, OffReason::Shutdown);
    node.until(ID, "stopped").await;
    let reason = node.declined(reboot(ID)).await;
    assert!(reason.contains("start it instead"), "{reason}");
}

#[tokio::test]
async fn a_stop_overtakes_a_reboot_and_not_the_other_way_round() {
    let mut lab = Lab::new();
    (lab.times.reboot_grace, lab.times.stop_grace) = (PATIENCE, std::time::Duration::from_secs(2));
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(reboot(ID)).await.unwrap();
    node.until(ID, "rebooting").await;
    let stop = ironbark::StopInstance { instance_id: ID.to_string(), ..Default::default() };
    node.call(stop).await.unwrap();
    node.until(ID, "stopping").await;
    let reason = node.declined(reboot(ID)).await;
    assert!(reason.contains("it is being stopped"), "{reason}");
    node.until(ID, "stopped").await;
    assert_eq!(lab.hypervisor.boots(ID), 1);
}
