//! Stopping and starting, by the user, by the guest, by others.

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_nc::hypervisor::{DomainState, OffReason};
use ironbark_wsdl::{ironbark, nc};

use crate::lab::Lab;

const ID: &str = "i-00000001";

type Mischief = fn(&Lab);

fn stop(force: bool) -> ironbark::StopInstance {
    ironbark::StopInstance { instance_id: ID.to_string(), force: Some(force), ..Default::default() }
}

fn start() -> ironbark::StartInstance {
    ironbark::StartInstance { instance_id: ID.to_string(), ..Default::default() }
}

#[tokio::test]
async fn a_guest_that_obeys_is_stopped_cleanly_and_comes_back_with_its_disk() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let before = lab.hypervisor.spec(ID).unwrap();
    std::fs::write(lab.files(ID).join("disk"), "the user's data").unwrap();
    node.call(stop(false)).await.unwrap();
    let record = node.until(ID, "stopped").await;
    let reason = record.reason.clone().unwrap();
    assert!(reason.contains("the guest shut down after"), "{reason}");
    assert_eq!(lab.hypervisor.count("destroy"), 0);
    assert_eq!(node.describe(ID).await.state_name, "Extant");
    let resource = node.call(nc::DescribeResource::default()).await.unwrap();
    assert_eq!((resource.memory_size_available, resource.disk_size_available), (1000, 9), "its disk stays its own");

    node.call(stop(false)).await.unwrap();
    node.call(start()).await.unwrap();
    let record = node.until(ID, "running").await;
    assert_eq!(record.boots, 2);
    let after = lab.hypervisor.spec(ID).unwrap();
    assert_eq!((before.key, before.nic, before.disks), (after.key, after.nic, after.disks));
    assert_eq!(std::fs::read(lab.files(ID).join("disk")).unwrap(), b"the user's data");
}

#[tokio::test]
async fn a_guest_that_ignores_it_is_asked_again_and_then_forced() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(stop(false)).await.unwrap();
    let record = node.until(ID, "stopped").await;
    let reason = record.reason.clone().unwrap();
    assert!(reason.contains("forced after"), "{reason}");
    assert!(lab.hypervisor.count("request_shutdown") > 2, "asked only once");
    assert_eq!(lab.hypervisor.count("destroy"), 1);
}

/// A call that never answers says nothing about the guest, one that begins to go down may hang on its way, and one
/// that boots again has not gone off.
#[tokio::test]
async fn a_guest_that_hangs_or_obeys_by_half_is_forced_in_the_end() {
    let half_way: [(&str, Mischief); 3] = [
        ("no answer", |lab| (0..3).for_each(|_| lab.hypervisor.fail_next("request_shutdown", Fault::Hang))),
        ("going down for ever", |lab| lab.hypervisor.lists_as(ID, DomainState::ShuttingDown)),
        ("booting instead", |lab| lab.hypervisor.guest_reboots(ID)),
    ];
    for (how, obey) in half_way {
        let lab = Lab::new();
        let node = lab.start().await;
        node.launched(&lab, ID).await;
        lab.hypervisor.set_obedient(ID, false);
        node.call(stop(false)).await.unwrap();
        obey(&lab);
        let record = node.until(ID, "stopped").await;
        assert!(record.reason.as_deref().unwrap().contains("forced after"), "{how}: {record:?}");
        assert_eq!(lab.hypervisor.count("destroy"), 1, "{how}");
    }
}

#[tokio::test]
async fn force_does_not_ask() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.call(stop(true)).await.unwrap();
    node.until(ID, "stopped").await;
    assert_eq!(lab.hypervisor.count("request_shutdown"), 0);
}

#[tokio::test]
async fn force_overtakes_a_stop_that_asks() {
    let mut lab = Lab::new();
    lab.times.stop_grace = crate::lab::PATIENCE * 2;
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.set_obedient(ID, false);
    node.call(stop(false)).await.unwrap();
    node.until(ID, "stopping").await;
    node.call(stop(true)).await.unwrap();
    let record = node.until(ID, "stopped").await;
    assert!(record.reason.as_deref().unwrap().contains("forced after"), "{record:?}");
}

#[tokio::test]
async fn a_guest_that_goes_off_by_itself_or_crashes_keeps_its_disk() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    for (reason, word) in
        [(OffReason::Shutdown, "itself"), (OffReason::Crashed, "crashed"), (OffReason::Destroyed, "outside")]
    {
        lab.hypervisor.guest_stops(ID, reason);
        let record = node.until(ID, "stopped").await;
        assert!(record.reason.as_deref().unwrap().contains(word), "{record:?}");
        assert!(lab.files(ID).join("disk").exists());
        node.call(start()).await.unwrap();
        node.until(ID, "running").await;
    }
}

#[tokio::test]
async fn a_start_that_fails_leaves_it_stopped_and_may_be_tried_again() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.call(stop(true)).await.unwrap();
    node.until(ID, "stopped").await;
    lab.hypervisor.fail_next("start", Fault::Refuse("the disk is locked".to_string()));
    node.call(start()).await.unwrap();
    let record = node
        .when(ID, "stopped again", |record| {
            record.state.name() == "stopped" && record.reason.as_deref().is_some_and(|reason| reason.contains("locked"))
        })
        .await;
    assert_eq!(record.boots, 1);
    node.call(start()).await.unwrap();
    node.until(ID, "running").await;
}

#[tokio::test]
async fn a_start_takes_room_again() {
    let mut lab = Lab::new();
    lab.limits.memory_mb = Some(200);
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.call(stop(true)).await.unwrap();
    node.until(ID, "stopped").await;
    node.launched(&lab, "i-00000002").await;
    let reason = node.declined(start()).await;
    assert!(reason.contains("MB of memory: 128 wanted, 72 of 200 free"), "{reason}");
}

#[tokio::test]
async fn what_others_switch_on_runs() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let spec = lab.hypervisor.spec(ID).unwrap();
    node.call(stop(true)).await.unwrap();
    node.until(ID, "stopped").await;
    use ironbark_nc::hypervisor::Hypervisor;
    lab.hypervisor.start(spec, crate::lab::PATIENCE).await.unwrap();
    let record = node.until(ID, "running").await;
    assert_eq!(record.boots, 2);
}

#[tokio::test]
async fn a_stopped_instance_comes_back_with_another_size_and_its_disk() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    let sized = |memory: i32| ironbark::StartInstance {
        size: Some(ironbark::Size { name: "m1.large".into(), memory, cores: 2 }),
        ..start()
    };
    node.call(sized(512)).await.unwrap();
    assert_eq!(lab.hypervisor.spec(ID).unwrap().memory_mb, 128, "it runs: nothing is changed under it");
    node.call(stop(true)).await.unwrap();
    node.until(ID, "stopped").await;
    let reason = node.declined(sized(100_000)).await;
    assert!(reason.contains("not enough room"), "{reason}");
    let reason = node.declined(sized(0)).await;
    assert!(reason.contains("size/memory is 0"), "{reason}");
    node.call(sized(512)).await.unwrap();
    let record = node.until(ID, "running").await;
    assert_eq!((record.order.size.memory_mb, record.order.size.cores, record.order.size.disk_gb), (512, 2, 1));
    let spec = lab.hypervisor.spec(ID).unwrap();
    assert_eq!((spec.memory_mb, spec.vcpus), (512, 2));
    let shown = node.describe(ID).await.instance_type;
    assert_eq!((shown.name.as_deref(), shown.memory), (Some("m1.large"), Some(512)));
}
