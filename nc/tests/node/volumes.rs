//! Disks plugged in and out of instances in every state, with and without answers.

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::{ironbark, nc};

use crate::lab::{Lab, reboot};

const ID: &str = "i-00000001";

fn attach(lab: &Lab, volume: &str, device: &str) -> nc::AttachVolume {
    let path = lab.dir.path().join(volume);
    std::fs::write(&path, vec![0u8; 4096]).unwrap();
    nc::AttachVolume {
        instance_id: Some(ID.to_string()),
        volume_id: Some(volume.to_string()),
        remote_dev: Some(path.display().to_string()),
        local_dev: Some(device.to_string()),
        ..Default::default()
    }
}

fn detach(volume: &str) -> nc::DetachVolume {
    nc::DetachVolume { instance_id: Some(ID.to_string()), volume_id: Some(volume.to_string()), ..Default::default() }
}

fn targets(lab: &Lab) -> Vec<String> {
    lab.hypervisor.spec(ID).unwrap().disks.into_iter().map(|disk| disk.target).collect()
}

#[tokio::test]
async fn a_disk_comes_survives_and_goes() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.call(attach(&lab, "vol-1", "/dev/sdb")).await.unwrap();
    let told = node.describe(ID).await.volumes;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].local_dev.as_deref(), Some("unknown,requested:/dev/sdb"), "as 2.0.1 on KVM says it");
    assert_eq!(told[0].state.as_deref(), Some("attached"));

    node.call(reboot(ID)).await.unwrap();
    node.when(ID, "rebooted", |record| record.boots == 2).await;
    let stop = ironbark::StopInstance { instance_id: ID.to_string(), ..Default::default() };
    node.call(stop).await.unwrap();
    node.until(ID, "stopped").await;
    node.call(attach(&lab, "vol-2", "sdc")).await.unwrap();
    let start = ironbark::StartInstance { instance_id: ID.to_string(), ..Default::default() };
    node.call(start).await.unwrap();
    node.until(ID, "running").await;
    assert_eq!(targets(&lab), ["vda", "vdb", "vdc"], "a start brings all disks");

    node.kill();
    let node = lab.start().await;
    node.until(ID, "running").await;
    node.call(detach("vol-1")).await.unwrap();
    assert_eq!(node.describe(ID).await.volumes.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    node.call(attach(&lab, "vol-1", "/dev/sdb")).await.unwrap();
    for (request, word) in [
        (attach(&lab, "vol-1", "/dev/sdc"), "attached to i-00000001 already"),
        (attach(&lab, "vol-2", "/dev/sdb"), "taken by volume vol-1"),
        (nc::AttachVolume { remote_dev: Some("10.0.0.1,iqn,pw".to_string()), ..attach(&lab, "vol-2", "sdc") }, "iSCSI"),
        (nc::AttachVolume { remote_dev: Some("/absent".to_string()), ..attach(&lab, "vol-2", "sdc") }, "No such file"),
        (nc::AttachVolume { remote_dev: None, ..attach(&lab, "vol-2", "sdc") }, "remoteDev is missing"),
        (
            nc::AttachVolume { instance_id: Some("i-00000009".to_string()), ..attach(&lab, "vol-2", "sdc") },
            "no such instance",
        ),
    ] {
        let reason = node.declined(request).await;
        assert!(reason.contains(word), "{word}: {reason}");
    }
    let own = lab.state_dir().join("records");
    let own = nc::AttachVolume { remote_dev: Some(own.display().to_string()), ..attach(&lab, "vol-2", "sdc") };
    assert!(node.declined(own).await.contains("belongs to this node itself"));
    assert!(node.declined(detach("vol-9")).await.contains("not attached"));
    assert_eq!(lab.hypervisor.count("attach_disk"), 1);
}

#[tokio::test]
async fn a_refusal_leaves_no_trace() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.fail_next("attach_disk", Fault::Refuse("no more slots".to_string()));
    let reason = node.declined(attach(&lab, "vol-1", "/dev/sdb")).await;
    assert!(reason.contains("no more slots"), "{reason}");
    assert!(node.describe(ID).await.volumes.is_empty());
    node.call(attach(&lab, "vol-1", "/dev/sdb")).await.unwrap();
    lab.hypervisor.fail_next("detach_disk", Fault::Refuse("the guest holds it".to_string()));
    assert!(node.declined(detach("vol-1")).await.contains("the guest holds it"));
    assert_eq!(node.describe(ID).await.volumes.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, ID).await;
    lab.hypervisor.fail_next("attach_disk", Fault::LoseAnswer);
    assert!(node.declined(attach(&lab, "vol-1", "/dev/sdb")).await.contains("unknown"));
    let settled =
        |record: &ironbark_nc::state::Record| record.volumes.len() == 1 && !ironbark_nc::volumes::unsettled(record);
    node.when(ID, "found to be attached", settled).await;
    lab.hypervisor.fail_next("attach_disk", Fault::Hang);
    assert!(node.declined(attach(&lab, "vol-2", "/dev/sdc")).await.contains("unknown"));
    node.when(ID, "found not to be attached", settled).await;
    lab.hypervisor.fail_next("detach_disk", Fault::LoseAnswer);
    assert!(node.declined(detach("vol-1")).await.contains("unknown"));
    node.when(ID, "found to be detached", |record| record.volumes.is_empty()).await;
}
