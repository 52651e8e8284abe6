//! The process ends at some point of an instance's life and begins again.

use ironbark_nc::hypervisor::{Hypervisor, OffReason};
use ironbark_wsdl::{ironbark, nc};

use crate::lab::{Lab, PATIENCE, is_empty, reboot, terminate};

const ID: &str = "i-00000001";

#[tokio::test]
async fn a_running_instance_is_adopted_and_not_disturbed() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.kill();
    let node = lab.start().await;
    let record = node.until(ID, "running").await;
    assert_eq!((record.boots, lab.hypervisor.boots(ID), lab.hypervisor.count("start")), (1, 1, 1));
    node.call(reboot(ID)).await.unwrap();
    node.when(ID, "rebooted", |record| record.boots == 2).await;
}

#[tokio::test]
async fn what_went_off_meanwhile_is_stopped() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.kill();
    lab.hypervisor.guest_stops(ID, OffReason::Shutdown);
    let node = lab.start().await;
    node.until(ID, "stopped").await;
    assert!(lab.files(ID).join("disk").exists());
}

#[tokio::test]
async fn nothing_changes_until_the_hypervisor_answers() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.launched(&lab, "i-00000002").await;
    node.call(terminate("i-00000002")).await.unwrap();
    node.kill();
    lab.hypervisor.set_unavailable(Some("not up yet"));
    let node = lab.start_blind();
    let asked = lab.hypervisor.count("inventory");
    node.eventually("asked in vain", || lab.hypervisor.count("inventory") > asked + 3).await;
    assert_eq!(node.describe(ID).await.state_name, "Extant");
    assert!(lab.files(ID).join("disk").exists());
    let described = node.call(ironbark::DescribeNode::default()).await.unwrap();
    assert!(described.hypervisor.contains("not up yet"), "{}", described.hypervisor);
    lab.hypervisor.set_unavailable(None);
    node.until("i-00000002", "terminated").await;
    node.until(ID, "running").await;
}

#[tokio::test]
async fn a_launch_is_continued_from_its_images() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.kill();
    let node = lab.start().await;
    let record = node.until(ID, "running").await;
    assert_eq!((record.boots, lab.hypervisor.boots(ID)), (1, 1));
}

#[tokio::test]
async fn a_start_that_was_carried_out_unseen_is_adopted() {
    let lab = Lab::new();
    let node = lab.start().await;
    let hold = lab.hypervisor.hold_next("start");
    node.call_as("alice", lab.launch(ID)).await.unwrap();
    node.eventually("the start is under way", || lab.hypervisor.count("start") == 1).await;
    let uuid = node.node.instance(ID).unwrap().record().uuid;
    node.kill();
    drop(hold);
    // libvirt carries out what the dead process asked for.
    let other = lab.hypervisor.spec(ID);
    assert!(other.is_none());
    let spec = a_spec(uuid);
    lab.hypervisor.start(spec, PATIENCE).await.unwrap();
    let node = lab.start().await;
    node.until(ID, "running").await;
    assert_eq!(lab.hypervisor.boots(ID), 1, "it was started a second time");
}

#[tokio::test]
async fn a_reboot_is_finished() {
    let mut lab = Lab::new();
    lab.times.reboot_grace = PATIENCE * 2;
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(reboot(ID)).await.unwrap();
    node.until(ID, "rebooting").await;
    node.kill();
    lab.times.reboot_grace = std::time::Duration::from_millis(50);
    let node = lab.start().await;
    let record = node.when(ID, "rebooted", |record| record.last_reboot.is_some()).await;
    assert_eq!((record.state.name(), record.boots), ("running", 2));
    assert_eq!(lab.hypervisor.count("reset"), 1);
}

#[tokio::test]
async fn a_removal_is_finished() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let hold = lab.hypervisor.hold_next("destroy");
    node.call(terminate(ID)).await.unwrap();
    node.until(ID, "shutting-down").await;
    node.kill();
    drop(hold);
    assert!(lab.files(ID).join("disk").exists());
    let node = lab.start().await;
    node.until(ID, "terminated").await;
    assert!(is_empty(&lab.state_dir().join("instances")));
}

#[tokio::test]
async fn domains_and_files_without_a_record_are_left_alone() {
    let lab = Lab::new();
    let stranger = a_spec(uuid::Uuid::new_v4());
    lab.hypervisor.start(stranger, PATIENCE).await.unwrap();
    let files = lab.files("i-0000FFFF");
    std::fs::create_dir_all(&files).unwrap();
    let node = lab.start().await;
    node.launched(&lab, "i-00000002").await;
    assert_eq!(lab.hypervisor.boots(ID), 1);
    assert!(lab.hypervisor.spec(ID).is_some() && files.exists());
    assert_eq!((lab.hypervisor.count("destroy"), lab.hypervisor.count("undefine")), (0, 0));
    let reason = node.declined(lab.launch("i-0000FFFF")).await;
    assert!(reason.contains("earlier instance"), "{reason}");
    let all = node.call(nc::DescribeInstances::default()).await.unwrap();
    assert_eq!(all.instances.len(), 1);
}

/// A domain of the instance's name that this process did not start.
fn a_spec(uuid: uuid::Uuid) -> ironbark_nc::hypervisor::DomainSpec {
    use ironbark_nc::hypervisor::{Boot, DomainKey, DomainSpec, Nic};
    DomainSpec {
        key: DomainKey { name: ID.to_string(), uuid },
        memory_mb: 128,
        vcpus: 1,
        boot: Boot::Disk,
        disks: Vec::new(),
        seed: None,
        nic: Nic::User { mac: "d0:0d:00:00:00:01".to_string() },
        console: "/nonexistent/console.log".into(),
    }
}
