//! Attributes and status of instances over a scripted cluster: what is kept, what it does, what is
//! refused.

mod support;

use ironbark_clc::actions::{attributes, instances, status};
use ironbark_clc::ec2::attributes::{
    Attribute, AttributeChange, AttributeValue, DescribeInstanceAttribute, ModifyInstanceAttribute,
    ResetInstanceAttribute, Resettable, ShutdownBehavior,
};
use ironbark_clc::ec2::instances::{InstanceState, StartInstances, StopInstances, TerminateInstances};
use ironbark_clc::ec2::monitoring::MonitorInstances;
use ironbark_clc::ec2::status::{Check, DescribeInstanceStatus};
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::store::{Quantity, Setting};

use support::{Lab, Trouble, caller};

async fn modify(lab: &Lab, id: &str, change: AttributeChange) -> Result<(), Ec2Error> {
    let request = ModifyInstanceAttribute { instance_id: id.to_string(), change };
    attributes::modify_instance_attribute(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn attribute(lab: &Lab, id: &str, attribute: Attribute) -> AttributeValue {
    let request = DescribeInstanceAttribute { instance_id: id.to_string(), attribute };
    let answer = attributes::describe_instance_attribute(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    answer.unwrap().value
}

async fn terminate(lab: &Lab, ids: &[String]) -> Result<(), Ec2Error> {
    let request = TerminateInstances { instance_ids: ids.to_vec() };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn stop(lab: &Lab, ids: &[String]) -> Result<(), Ec2Error> {
    let request = StopInstances { instance_ids: ids.to_vec(), force: false };
    instances::stop_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn status_of(lab: &Lab, request: DescribeInstanceStatus) -> Vec<(String, Check, Check)> {
    let answer = status::describe_instance_status(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    answer.unwrap().statuses.into_iter().map(|it| (it.instance_id, it.system, it.instance)).collect()
}

#[tokio::test]
async fn what_is_protected_stays_and_so_does_what_was_named_with_it() {
    let mut lab = Lab::new().await;
    let ids = lab.running(2).await;
    modify(&lab, &ids[1].to_lowercase(), AttributeChange::DisableApiTermination(true)).await.unwrap();
    lab.restart().await;
    assert_eq!(attribute(&lab, &ids[1], Attribute::DisableApiTermination).await, AttributeValue::Boolean(true));
    assert_eq!(attribute(&lab, &ids[0], Attribute::DisableApiTermination).await, AttributeValue::Boolean(false));
    let error = terminate(&lab, &ids).await.unwrap_err();
    assert_eq!(error.code, Code::OperationNotPermitted);
    assert!(error.message.contains(&ids[1]) && error.message.contains("disableApiTermination"), "{error}");
    assert_eq!(lab.states(&ids).await, [InstanceState::Running; 2]);
    modify(&lab, &ids[1], AttributeChange::DisableApiTermination(false)).await.unwrap();
    terminate(&lab, &ids).await.unwrap();
    assert_eq!(lab.states(&ids).await, [InstanceState::ShuttingDown; 2]);
}

#[tokio::test]
async fn stop_protection_is_about_stops() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    modify(&lab, &ids[0], AttributeChange::DisableApiStop(true)).await.unwrap();
    let error = stop(&lab, &ids).await.unwrap_err();
    assert_eq!(error.code, Code::OperationNotPermitted);
    assert!(error.message.contains("disableApiStop"), "{error}");
    terminate(&lab, &ids).await.unwrap();
    modify(&lab, &ids[0], AttributeChange::DisableApiTermination(true)).await.unwrap();
    terminate(&lab, &ids).await.expect("it is on its way already");
}

#[tokio::test]
async fn a_guest_that_turns_itself_off_ends_as_its_owner_set() {
    let lab = Lab::new().await;
    let ids = lab.running(2).await;
    let change = AttributeChange::InstanceInitiatedShutdownBehavior(ShutdownBehavior::Terminate);
    modify(&lab, &ids[0], change).await.unwrap();
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::ShuttingDown, InstanceState::Stopped]);
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Terminated);
    assert_eq!(shown.state_reason.unwrap().code, "Client.InstanceInitiatedShutdown");
    assert_eq!(lab.wire.count("TerminateInstances"), 1);
}

#[tokio::test]
async fn what_the_launch_settled_is_not_changed_in_silence() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let code = async |change| modify(&lab, &ids[0], change).await.unwrap_err().code;
    modify(&lab, &ids[0], AttributeChange::InstanceType("m1.small".into())).await.expect("it is of that type");
    assert_eq!(code(AttributeChange::InstanceType("m1.large".into())).await, Code::IncorrectInstanceState);
    assert_eq!(code(AttributeChange::InstanceType("p5.big".into())).await, Code::InvalidInstanceAttributeValue);
    assert_eq!(code(AttributeChange::UserData(b"new".to_vec())).await, Code::IncorrectInstanceState);
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(code(AttributeChange::InstanceType("p5.big".into())).await, Code::InvalidInstanceAttributeValue);
    assert_eq!(code(AttributeChange::UserData(b"new".to_vec())).await, Code::UnsupportedOperation);
    assert_eq!(code(AttributeChange::SourceDestCheck(true)).await, Code::UnsupportedOperation);
    modify(&lab, &ids[0], AttributeChange::SourceDestCheck(false)).await.unwrap();
    assert_eq!(code(AttributeChange::Groups(vec!["sg-1".into()])).await, Code::InvalidParameterCombination);
    let reset = ResetInstanceAttribute { instance_id: ids[0].clone(), attribute: Resettable::Kernel };
    attributes::reset_instance_attribute(lab.cloud.clone(), lab.ctx(), caller("admin"), reset).await.unwrap();
}

#[tokio::test]
async fn anothers_attributes_are_nobodys() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let request = DescribeInstanceAttribute { instance_id: ids[0].clone(), attribute: Attribute::UserData };
    let answer = attributes::describe_instance_attribute(lab.cloud.clone(), lab.ctx(), caller("eve"), request).await;
    assert_eq!(answer.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    let monitor = |ids: &[String]| MonitorInstances { instance_ids: ids.to_vec() };
    let refused = attributes::monitor_instances(lab.cloud.clone(), lab.ctx(), caller("eve"), monitor(&ids)).await;
    assert_eq!(refused.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    let two = [ids[0].clone(), "i-0BADBEEF".to_string()];
    let refused = attributes::monitor_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), monitor(&two)).await;
    assert_eq!(refused.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    assert!(!lab.describe(&ids[0]).await.unwrap().monitored, "all or none");
    attributes::monitor_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), monitor(&ids)).await.unwrap();
    assert!(lab.describe(&ids[0]).await.unwrap().monitored);
}

#[tokio::test]
async fn status_is_what_the_tiers_say() {
    let lab = Lab::new().await;
    let ids = lab.running(2).await;
    let all = || DescribeInstanceStatus { include_all: true, ..DescribeInstanceStatus::default() };
    let of = async |id: &str| {
        let request = DescribeInstanceStatus { instance_ids: vec![id.to_string()], ..all() };
        let (_, system, instance) = status_of(&lab, request).await.remove(0);
        (system, instance)
    };
    assert_eq!(of(&ids[0]).await, (Check::Ok, Check::Ok));
    lab.cc.set(&ids[0], "rebooting");
    lab.cc.set(&ids[1], "stopped");
    lab.poll().await;
    assert_eq!(of(&ids[0]).await, (Check::Ok, Check::Initializing));
    assert_eq!(of(&ids[1]).await, (Check::NotApplicable, Check::NotApplicable));
    assert_eq!(status_of(&lab, DescribeInstanceStatus::default()).await.len(), 1, "only what runs");
    assert_eq!(status_of(&lab, all()).await.len(), 2);
    lab.wire.trouble("DescribeInstances", Trouble::NotSent);
    lab.poll().await;
    assert_eq!(of(&ids[0]).await, (Check::InsufficientData, Check::InsufficientData), "not heard of");
    let unknown = DescribeInstanceStatus { instance_ids: vec!["i-0BADBEEF".into()], ..all() };
    let error = status::describe_instance_status(lab.cloud.clone(), lab.ctx(), caller("admin"), unknown).await;
    assert_eq!(error.unwrap_err().code, Code::InvalidInstanceIdNotFound);
}

#[tokio::test]
async fn what_a_launch_sets_is_set_of_each() {
    let lab = Lab::new().await;
    let mut request = Lab::run(2);
    request.client_token = Some("protected".into());
    request.disable_api_termination = true;
    request.shutdown_behavior = ShutdownBehavior::Terminate;
    request.monitored = true;
    let ids = lab.run_instances(request.clone()).await.unwrap();
    for id in &ids {
        assert_eq!(attribute(&lab, id, Attribute::DisableApiTermination).await, AttributeValue::Boolean(true));
        let behavior = attribute(&lab, id, Attribute::InstanceInitiatedShutdownBehavior).await;
        assert_eq!(behavior, AttributeValue::Text(Some("terminate".into())));
        assert!(lab.describe(id).await.unwrap().monitored);
    }
    assert_eq!(terminate(&lab, &ids).await.unwrap_err().code, Code::OperationNotPermitted);
    assert_eq!(lab.run_instances(request.clone()).await.unwrap(), ids, "the same request again");
    request.disable_api_termination = false;
    assert_eq!(lab.run_instances(request).await.unwrap_err().code, Code::IdempotentParameterMismatch);
}

#[tokio::test]
async fn a_stopped_instance_is_started_with_its_new_type() {
    let mut lab = Lab::new().await;
    let ids = lab.running(2).await;
    lab.cc.set_all("stopped");
    lab.poll().await;
    modify(&lab, &ids[0], AttributeChange::InstanceType("m1.large".into())).await.unwrap();
    lab.restart().await;
    assert_eq!(attribute(&lab, &ids[0], Attribute::InstanceType).await, AttributeValue::Text(Some("m1.large".into())));
    assert_eq!(lab.describe(&ids[0]).await.unwrap().instance_type, "m1.large");
    assert_eq!(lab.describe(&ids[1]).await.unwrap().instance_type, "m1.small");
    let request = StartInstances { instance_ids: ids.clone() };
    instances::start_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    lab.pass().await;
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Running; 2]);
    let sizes = lab.cc.sizes.lock().unwrap().clone();
    assert_eq!(sizes.keys().collect::<Vec<_>>(), [&ids[0]], "the other one keeps what it has");
    assert_eq!((sizes[&ids[0]].memory, sizes[&ids[0]].cores), (512, 2));
    let running = modify(&lab, &ids[0], AttributeChange::InstanceType("m1.small".into())).await;
    assert_eq!(running.unwrap_err().code, Code::IncorrectInstanceState);
}

#[tokio::test]
async fn a_new_type_counts_against_the_quota() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.cc.set_all("stopped");
    lab.poll().await;
    lab.cloud.store.set_quotas(None, vec![(Quantity::MemoryMb, Setting::Most(600))]).await.unwrap();
    let code = async |name: &str| {
        modify(&lab, &ids[0], AttributeChange::InstanceType(name.into())).await.err().map(|error| error.code)
    };
    assert_eq!(code("m1.xlarge").await, Some(Code::InstanceLimitExceeded));
    assert_eq!(code("m1.large").await, None);
    assert_eq!(code("m1.small").await, None, "less is always possible");
    assert_eq!(lab.run_instances(Lab::run(3)).await.unwrap().len(), 3, "and it frees what it had");
}
