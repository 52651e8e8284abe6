//! The history of an instance: every action with who, request, end and result, and what nobody asked for.

mod support;

use ironbark_clc::actions::{attributes, history, instances};
use ironbark_clc::ec2::admin::{DescribeInstanceHistory, HistoryRow};
use ironbark_clc::ec2::attributes::ModifyInstanceAttribute;
use ironbark_clc::ec2::instances::{
    DescribeInstances, RebootInstances, StartInstances, StopInstances, TerminateInstances,
};
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::front::{Action, Caller, Params};
use ironbark_clc::role::Role;

use support::{Lab, NODE, Trouble, caller};

async fn history(lab: &Lab, user: &str, id: &str) -> Result<Vec<HistoryRow>, Ec2Error> {
    let request = DescribeInstanceHistory { instance_id: id.to_string() };
    Ok(history::describe_instance_history(lab.cloud.clone(), lab.ctx(), caller(user), request).await?.0)
}

/// The last row: action, who, result.
async fn last(lab: &Lab, id: &str) -> (String, String, Option<String>) {
    let row = history(lab, "admin", id).await.unwrap().pop().unwrap();
    (row.action, row.by, row.result)
}

async fn stop(lab: &Lab, id: &str, force: bool) -> Result<String, Ec2Error> {
    let (ctx, request) = (lab.ctx(), StopInstances { instance_ids: vec![id.to_string()], force });
    let request_id = ctx.request.to_string();
    instances::stop_instances(lab.cloud.clone(), ctx, caller("admin"), request).await?;
    Ok(request_id)
}

async fn start(lab: &Lab, id: &str) {
    let request = StartInstances { instance_ids: vec![id.to_string()] };
    instances::start_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

async fn reboot(lab: &Lab, id: &str) -> Result<(), Ec2Error> {
    let request = RebootInstances { instance_ids: vec![id.to_string()] };
    instances::reboot_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn terminate(lab: &Lab, id: &str) {
    let request = TerminateInstances { instance_ids: vec![id.to_string()] };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

async fn protect(lab: &Lab, id: &str, on: &str) {
    let pairs = [("InstanceId", id), ("DisableApiTermination.Value", on)];
    let request = ModifyInstanceAttribute::parse(&Params::try_from(&pairs[..]).unwrap()).unwrap();
    attributes::modify_instance_attribute(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

#[tokio::test]
async fn a_life_is_told_from_launch_to_end() {
    let lab = Lab::new().await;
    let id = lab.run_instances(Lab::run(1)).await.unwrap().remove(0);
    let rows = history(&lab, "admin", &id).await.unwrap();
    assert_eq!((rows.len(), rows[0].result.as_deref(), rows[0].ended.as_deref()), (1, None, None), "under way");
    lab.pass().await;
    lab.advance(12);
    lab.cc.set_all("running");
    lab.poll().await;
    let row = history(&lab, "admin", &id).await.unwrap().remove(0);
    assert_eq!((row.action.as_str(), row.by.as_str()), ("RunInstances", "admin/admin"));
    assert_eq!((row.duration_ms, row.result), (Some(12_000), Some(format!("running on {NODE}"))));

    let request_id = stop(&lab, &id, true).await.unwrap();
    lab.pass().await;
    lab.cc.set_because(&id, "stopped", "stopped on request: forced after 60.0 s");
    lab.poll().await;
    let row = history(&lab, "admin", &id).await.unwrap().pop().unwrap();
    assert_eq!((row.action.as_str(), row.detail.as_deref()), ("StopInstances", Some("force")));
    assert_eq!(row.request_id, Some(request_id));
    assert_eq!(row.result.as_deref(), Some("stopped on request: forced after 60.0 s"));

    start(&lab, &id).await;
    lab.pass().await;
    lab.poll().await;
    assert_eq!(last(&lab, &id).await.2, Some(format!("running on {NODE}")));

    protect(&lab, &id, "true").await;
    let row = history(&lab, "admin", &id).await.unwrap().pop().unwrap();
    assert_eq!(row.detail.as_deref(), Some("disableApiTermination = true"));
    let request = TerminateInstances { instance_ids: vec![id.clone()] };
    let refused = instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    assert_eq!(refused.unwrap_err().code, Code::OperationNotPermitted);
    assert_eq!(last(&lab, &id).await.2.as_deref(), Some("refused: it is protected"));
    protect(&lab, &id, "false").await;

    terminate(&lab, &id).await;
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    let end = ("TerminateInstances".to_string(), "admin/admin".to_string(), Some("terminated".to_string()));
    assert_eq!(last(&lab, &id).await, end);
}

#[tokio::test]
async fn a_reboot_ends_with_the_nodes_word() {
    let lab = Lab::new().await;
    let id = lab.running(1).await.remove(0);
    reboot(&lab, &id).await.unwrap();
    lab.poll().await;
    assert_eq!(last(&lab, &id).await.2, None, "it has not booted anew yet");
    lab.cc.boots.lock().unwrap().insert(id.clone(), (2, "guest obeyed after 7.0 s".into()));
    lab.cc.set(&id, "running");
    lab.poll().await;
    assert_eq!(last(&lab, &id).await.2.as_deref(), Some("guest obeyed after 7.0 s"));

    lab.wire.trouble("RebootInstances", Trouble::NotSent);
    assert!(reboot(&lab, &id).await.is_err());
    assert_eq!(last(&lab, &id).await.2.as_deref(), Some("not sent: connection refused"));

    // The answer is lost, the reboot is not: what the node reports is what counts.
    lab.wire.trouble("RebootInstances", Trouble::AnswerLost);
    assert!(reboot(&lab, &id).await.is_err());
    lab.cc.boots.lock().unwrap().insert(id.clone(), (3, "reset after 120.0 s: guest did not obey".into()));
    lab.cc.set(&id, "running");
    lab.poll().await;
    assert_eq!(last(&lab, &id).await.2.as_deref(), Some("reset after 120.0 s: guest did not obey"));

    reboot(&lab, &id).await.unwrap();
    lab.cc.set(&id, "running");
    lab.advance(301);
    lab.poll().await;
    let result = last(&lab, &id).await.2.unwrap();
    assert!(result.starts_with("no new boot was seen within 300 s"), "{result}");
}

#[tokio::test]
async fn what_nobody_asked_for_is_told_too() {
    let lab = Lab::new().await;
    let ids = lab.running(2).await;
    lab.cc.set_because(&ids[0], "stopped", "the guest crashed; its disk is kept");
    lab.poll().await;
    let shutdown = ("InstanceInitiatedShutdown".to_string(), "instance".to_string());
    let (action, by, result) = last(&lab, &ids[0]).await;
    assert_eq!(((action, by), result.as_deref()), (shutdown, Some("the guest crashed; its disk is kept")));

    lab.cc.lose(&ids[1]);
    lab.poll().await;
    lab.advance(300);
    *lab.cc.node_seen.lock().unwrap() = lab.clock.now();
    lab.poll().await;
    let lost = ("InstanceLost".to_string(), format!("node {NODE}"), Some(format!("node {NODE} no longer has it")));
    assert_eq!(last(&lab, &ids[1]).await, lost);
    lab.cc.set(&ids[1], "running");
    lab.poll().await;
    assert_eq!(last(&lab, &ids[1]).await.0, "InstanceFound");
}

#[tokio::test]
async fn a_launch_that_fails_and_a_wish_that_is_overtaken_say_so() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(2)).await.unwrap();
    lab.pass().await;
    lab.cc.set(&ids[0], "failed");
    lab.poll().await;
    let rows = history(&lab, "admin", &ids[0]).await.unwrap();
    assert_eq!((rows.len(), rows[0].result.as_deref()), (1, Some("failed: the image is not a disk")));

    terminate(&lab, &ids[1]).await;
    let rows = history(&lab, "admin", &ids[1]).await.unwrap();
    assert_eq!(rows[0].result.as_deref(), Some("overtaken by TerminateInstances"));
    assert_eq!(rows[1].result, None);
    lab.cc.refuse("RunInstances", "no node has room");
    let declined = lab.run_instances(Lab::run(1)).await.unwrap().remove(0);
    lab.pass().await;
    let result = last(&lab, &declined).await.2.unwrap();
    assert!(result.starts_with("failed: zone cluster1: no node has room;"), "{result}");
}

#[tokio::test]
async fn it_is_for_its_owner_and_survives_the_instance_by_a_week() {
    let lab = Lab::new().await;
    let id = lab.running(1).await.remove(0);
    assert_eq!(history(&lab, "eve", &id).await.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    assert_eq!(history(&lab, "admin", "i-0BADBEEF").await.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    assert_eq!(history(&lab, "admin", &id.to_lowercase()).await.unwrap().len(), 1);
    let store = &lab.cloud.store;
    let week = 7 * 86_400 * 1_000_000;
    store.forget_history(lab.cloud.now() + week).await.unwrap();
    assert_eq!(history(&lab, "admin", &id).await.unwrap().len(), 1, "a living instance keeps its history");
    terminate(&lab, &id).await;
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    let ended = lab.cloud.now();
    assert_eq!(store.forget_ended(ended + 1).await.unwrap(), 1);
    store.forget_history(ended - week).await.unwrap();
    assert_eq!(history(&lab, "admin", &id).await.unwrap().len(), 2, "the instance is forgotten, its history is not");
    store.forget_history(ended + 1).await.unwrap();
    assert_eq!(history(&lab, "admin", &id).await.unwrap_err().code, Code::InvalidInstanceIdNotFound);
}

#[tokio::test]
async fn its_owner_reads_of_no_host_and_an_administrator_of_the_cloud_of_all() {
    let lab = Lab::new().await;
    let id = lab.running(1).await.remove(0);
    let owner = Caller { role: Some(Role::AccountAdministrator), ..caller("admin") };
    let said = format!("{id}: node {NODE} did not answer");
    lab.cc.refuse("RebootInstances", &said);
    let readers = [(caller("admin"), said.clone()), (owner, format!("{id}: node [hidden] did not answer"))];
    for (who, told) in &readers {
        let request = RebootInstances { instance_ids: vec![id.clone()] };
        let refused =
            instances::reboot_instances(lab.cloud.clone(), lab.ctx(), who.clone(), request).await.unwrap_err();
        assert!(refused.message.ends_with(told), "{refused:?}");
        let request = DescribeInstanceHistory { instance_id: id.clone() };
        let rows = history::describe_instance_history(lab.cloud.clone(), lab.ctx(), who.clone(), request).await;
        assert_eq!(rows.unwrap().0.pop().unwrap().result, Some(format!("refused: {told}")));
    }
    lab.cc.set_because(&id, "failed", &said);
    lab.poll().await;
    for (who, told) in readers {
        let request = DescribeInstances { instance_ids: vec![id.clone()], ..DescribeInstances::default() };
        let shown = instances::describe_instances(lab.cloud.clone(), lab.ctx(), who, request).await.unwrap();
        let reason = shown.reservations[0].instances[0].state_reason.clone().unwrap();
        assert!(reason.message.ends_with(&told), "{reason:?}");
    }
}

#[tokio::test]
async fn a_restart_leaves_open_what_is_still_to_be_seen() {
    let mut lab = Lab::new().await;
    let id = lab.running(1).await.remove(0);
    stop(&lab, &id, false).await.unwrap();
    lab.restart().await;
    assert_eq!(last(&lab, &id).await.2, None);
    lab.pass().await;
    lab.cc.set(&id, "stopped");
    lab.poll().await;
    assert_eq!(last(&lab, &id).await.2.as_deref(), Some("stopped"));
}
