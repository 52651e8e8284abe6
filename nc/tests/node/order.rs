//! Operations that come late or twice: the cloud repeats a request until it sees it done, and one of these messages may
//! take its time. Records outlive the process, so it is asked anew in most of these tests.

use std::sync::Arc;

use ironbark_nc::hypervisor::OffReason;
use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_wsdl::{CallError, Context, Recorder, Request, RequestId, call, ironbark};

use crate::lab::{Lab, PATIENCE, Running, reboot, terminate};

const ID: &str = "i-00000001";

/// An operation on the instance: its epoch and its request.
async fn tell<R: Request>(node: &Running, epoch: i64, id: &str, request: R) -> Result<R::Response, String> {
    let recorder = Arc::new(Recorder::new("cc"));
    let ctx = Context::new(RequestId::from_peer(Some(id)), "alice", PATIENCE, recorder);
    let ctx = ctx.with_epochs([(ID.to_string(), epoch)].into_iter().collect());
    call(&node.router, &ctx, request).await.map_err(|error| match error {
        CallError::Declined { reason } => reason,
        other => panic!("{other}"),
    })
}

fn stop() -> ironbark::StopInstance {
    ironbark::StopInstance { instance_id: ID.into(), ..Default::default() }
}

fn start() -> ironbark::StartInstance {
    ironbark::StartInstance { instance_id: ID.into(), ..Default::default() }
}

/// A node with the instance running on it.
async fn running(lab: &Lab) -> Running {
    let node = lab.start().await;
    node.launched(lab, ID).await;
    node
}

/// The same, stopped by the operation 2.
async fn stopped(lab: &Lab) -> Running {
    let node = running(lab).await;
    tell(&node, 2, "stop-2", stop()).await.unwrap();
    node.until(ID, "stopped").await;
    node
}

async fn again(lab: &Lab, node: Running) -> Running {
    node.kill();
    lab.start().await
}

#[tokio::test]
async fn what_a_later_operation_has_overtaken_changes_nothing_and_says_so() {
    let lab = Lab::new();
    let node = stopped(&lab).await;
    tell(&node, 3, "start-3", start()).await.unwrap();
    node.until(ID, "running").await;
    let node = again(&lab, node).await;
    node.until(ID, "running").await;

    let boots = node.node.instance(ID).unwrap().record().boots;
    let late = tell(&node, 2, "stop-2", stop()).await.unwrap_err();
    assert!(late.contains("nothing was done, since a later operation (epoch 3) has come before it"), "{late}");
    tell(&node, 1, "reboot-1", reboot(ID)).await.unwrap_err();
    let record = node.node.instance(ID).unwrap().record();
    assert_eq!((record.state.name(), record.boots), ("running", boots));

    tell(&node, 4, "stop-4", stop()).await.unwrap();
    node.until(ID, "stopped").await;
    let larger = ironbark::Size { name: "m1.large".into(), memory: 512, cores: 2 };
    let late = ironbark::StartInstance { size: Some(larger), ..start() };
    assert!(tell(&node, 3, "start-3", late).await.is_err());
    let record = node.node.instance(ID).unwrap().record();
    assert_eq!((record.state.name(), record.order.size.memory_mb), ("stopped", 128), "not even its size");
}

#[tokio::test]
async fn a_reboot_that_comes_twice_reboots_once() {
    let lab = Lab::new();
    let node = running(&lab).await;
    tell(&node, 2, "reboot-2", reboot(ID)).await.unwrap();
    node.when(ID, "rebooted", |record| record.boots == 2).await;
    let node = again(&lab, node).await;
    node.until(ID, "running").await;
    tell(&node, 2, "reboot-2", reboot(ID)).await.unwrap();
    assert_eq!(node.node.instance(ID).unwrap().record().state.name(), "running");
    tell(&node, 3, "reboot-3", reboot(ID)).await.unwrap();
    node.when(ID, "rebooted again", |record| record.boots == 3).await;
}

#[tokio::test]
async fn a_start_that_comes_twice_does_not_undo_what_the_guest_did() {
    let lab = Lab::new();
    let node = stopped(&lab).await;
    tell(&node, 3, "start-3", start()).await.unwrap();
    node.until(ID, "running").await;
    lab.hypervisor.guest_stops(ID, OffReason::Shutdown);
    node.until(ID, "stopped").await;
    tell(&node, 3, "start-3", start()).await.unwrap();
    assert_eq!(node.node.instance(ID).unwrap().record().state.name(), "stopped");
    tell(&node, 4, "start-4", start()).await.unwrap();
    node.until(ID, "running").await;
}

#[tokio::test]
async fn what_failed_is_tried_again_by_the_same_operation() {
    let lab = Lab::new();
    let node = stopped(&lab).await;
    lab.hypervisor.fail_next("start", Fault::Refuse("the disk is locked".to_string()));
    tell(&node, 3, "start-3", start()).await.unwrap();
    node.when(ID, "stopped again", |record| {
        record.state.name() == "stopped" && record.reason.as_deref().is_some_and(|reason| reason.contains("locked"))
    })
    .await;
    tell(&node, 3, "start-3", start()).await.unwrap();
    node.until(ID, "running").await;
}

#[tokio::test]
async fn a_stop_of_what_is_off_already_still_overtakes_the_start_before_it() {
    let lab = Lab::new();
    let node = running(&lab).await;
    lab.hypervisor.guest_stops(ID, OffReason::Shutdown);
    node.until(ID, "stopped").await;
    tell(&node, 4, "stop-4", stop()).await.unwrap();
    let node = again(&lab, node).await;
    assert!(tell(&node, 3, "start-3", start()).await.is_err());
    assert_eq!(node.node.instance(ID).unwrap().record().state.name(), "stopped");
}

#[tokio::test]
async fn an_end_is_never_late_and_answers_the_same_twice() {
    let lab = Lab::new();
    let node = running(&lab).await;
    tell(&node, 3, "reboot-3", reboot(ID)).await.unwrap();
    let first = tell(&node, 2, "end-2", terminate(ID)).await.unwrap();
    assert_eq!(first.previous_state.as_deref(), Some("13"));
    node.until(ID, "terminated").await;

    let other = Lab::new();
    let node = running(&other).await;
    let first = tell(&node, 2, "end-2", terminate(ID)).await.unwrap();
    node.until(ID, "terminated").await;
    assert_eq!(tell(&node, 2, "end-2", terminate(ID)).await.unwrap(), first);
}

/// Controllers of before tell no epochs: the state alone decides, as it did.
#[tokio::test]
async fn without_epochs_the_state_decides() {
    let lab = Lab::new();
    let node = running(&lab).await;
    tell(&node, 5, "stop-5", stop()).await.unwrap();
    node.until(ID, "stopped").await;
    node.call(start()).await.unwrap();
    node.until(ID, "running").await;
    let described = node.call(ironbark::DescribeNode::default()).await.unwrap().instances;
    assert_eq!(described[0].epoch, Some(5), "the last that came with one");
}
