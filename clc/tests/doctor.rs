//! The doctor against a whole cloud controller: what it finds, what it repairs, and what ends by itself.

mod support;

use ironbark_clc::actions::addresses;
use ironbark_clc::actions::doctor::{describe_findings, repair_findings};
use ironbark_clc::actions::instances::terminate_instances;
use ironbark_clc::doctor::Kind;
use ironbark_clc::ec2::addresses::{AddressRef, AllocateAddress, AssociateAddress};
use ironbark_clc::ec2::admin::{DescribeFindings, Diagnosis, Found, RepairFindings};
use ironbark_clc::ec2::instances::{InstanceState, TerminateInstances};
use ironbark_clc::error::{Code, Ec2Error};
use support::{Lab, Trouble, caller};

async fn look(lab: &Lab, id: Option<&str>) -> Result<Diagnosis, Ec2Error> {
    let request = DescribeFindings { instance_id: id.map(str::to_string) };
    describe_findings(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await
}

async fn repair(lab: &Lab, id: Option<&str>) -> Vec<Found> {
    let request = RepairFindings { instance_id: id.map(str::to_string) };
    repair_findings(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap().findings
}

async fn kinds(lab: &Lab) -> Vec<Kind> {
    look(lab, None).await.unwrap().findings.into_iter().map(|found| found.finding.kind).collect()
}

async fn put_address(lab: &Lab, id: &str) {
    let request = AllocateAddress::default();
    let made = addresses::allocate_address(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    let address = AddressRef::Ip(made.public_ip);
    let request = AssociateAddress { address, instance_id: id.into(), allow_reassociation: false };
    addresses::associate_address(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

async fn terminate(lab: &Lab, id: &str) {
    let request = TerminateInstances { instance_ids: vec![id.to_string()] };
    terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

#[tokio::test]
async fn a_cloud_that_is_well_has_no_findings() {
    let lab = Lab::new().await;
    let ids = lab.running(2).await;
    lab.advance(3600);
    let diagnosis = look(&lab, None).await.unwrap();
    assert_eq!((diagnosis.clusters, diagnosis.nodes, diagnosis.instances), (1, 1, 2));
    assert_eq!(diagnosis.findings, []);
    let told = look(&lab, Some(&ids[0])).await.unwrap().findings;
    assert_eq!((told.len(), told[0].finding.kind), (1, Kind::State));
    assert!(told[0].finding.plan.contains("at rest"), "{told:?}");
    let error = look(&lab, Some("i-FFFFFFFF")).await.unwrap_err();
    assert_eq!(error.code, Code::InvalidInstanceIdNotFound);
}

#[tokio::test]
async fn a_termination_that_did_not_arrive_is_sent_at_once() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    terminate(&lab, &ids[0]).await;
    for _ in 0..4 {
        lab.wire.trouble("TerminateInstances", Trouble::NotSent);
        lab.pass_again().await;
    }
    lab.advance(600);
    assert_eq!(kinds(&lab).await, [Kind::Late]);
    lab.pass().await;
    let tried = lab.wire.count("TerminateInstances");
    let done = repair(&lab, Some(&ids[0])).await;
    assert_eq!(done.iter().filter(|found| found.outcome.is_some()).count(), 1, "{done:?}");
    lab.pass().await;
    assert_eq!(lab.wire.count("TerminateInstances"), tried + 1, "it did not wait for its pause");
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated);
    assert_eq!(kinds(&lab).await, []);
}

#[tokio::test]
async fn what_the_cloud_does_not_know_is_ended_only_by_name() {
    let lab = Lab::new().await;
    lab.cc.set("i-0000CAFE", "running");
    assert_eq!(kinds(&lab).await, [Kind::Unknown]);
    let done = repair(&lab, None).await;
    assert_eq!(done[0].outcome, None);
    assert_eq!(lab.cc.ids(), ["i-0000CAFE"], "it may be somebody's");
    let done = repair(&lab, Some("i-0000CAFE")).await;
    assert!(done[0].outcome.is_some());
    assert_eq!(lab.cc.ids(), [""; 0]);
}

#[tokio::test]
async fn a_silent_cluster_is_the_one_finding_and_its_terminations_end_for_their_owners() {
    let lab = Lab::new().await;
    let ids = lab.running(2).await;
    lab.wire.silence(true);
    lab.poll().await;
    let findings = look(&lab, None).await.unwrap().findings;
    assert_eq!(findings.iter().map(|found| found.finding.kind).collect::<Vec<_>>(), [Kind::ClusterSilent]);
    assert!(findings[0].finding.sentence.contains("connection refused"), "{findings:?}");
    terminate(&lab, &ids[0]).await;
    lab.pass().await;
    lab.advance(170);
    lab.resolve_overdue().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::ShuttingDown, "there is time yet");
    lab.advance(20);
    lab.resolve_overdue().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Terminated);
    let reason = shown.state_reason.unwrap();
    assert_eq!(reason.code, "Client.UserInitiatedShutdown");
    assert!(
        reason.message.contains("does not answer (") && reason.message.contains("as soon as it does"),
        "{reason:?}"
    );
    assert_eq!(lab.state(&ids[1]).await, InstanceState::Running, "what nobody ended runs on");
    // The cluster is back, and does as it was told.
    lab.wire.silence(false);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated, "what has ended stays so");
    assert_eq!(lab.cc.ids(), [ids[1].clone()], "and nothing of it is left");
}

#[tokio::test]
async fn a_launch_that_never_gets_anywhere_is_given_up_and_a_start_is_not() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    lab.pass().await;
    lab.cc.boots.lock().unwrap().insert(ids[0].clone(), (0, String::new()));
    lab.advance(39 * 60);
    lab.poll().await;
    lab.resolve_overdue().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Pending);
    lab.advance(2 * 60);
    lab.resolve_overdue().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::ShuttingDown);
    assert!(shown.state_reason.unwrap().message.contains("was pending for 40 minutes"));
    lab.pass_again().await;
    assert_eq!(lab.cc.ids(), [""; 0]);

    let ids = lab.running(1).await;
    lab.cc.set_all("pending");
    lab.advance(3 * 3600);
    lab.poll().await;
    lab.resolve_overdue().await;
    assert_ne!(lab.state(&ids[0]).await, InstanceState::ShuttingDown, "it has a disk with its owner's work");
}

#[tokio::test]
async fn an_address_that_is_left_on_an_ended_instance_is_taken_off() {
    let lab = Lab::new().await;
    *lab.cc.assigned.lock().unwrap() = Some(Default::default());
    let ids = lab.running(1).await;
    put_address(&lab, &ids[0]).await;
    terminate(&lab, &ids[0]).await;
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(kinds(&lab).await, [Kind::Address]);
    let done = repair(&lab, None).await;
    assert_eq!(done[0].outcome.as_deref(), Some("taken off"));
    assert_eq!(lab.cc.assigned.lock().unwrap().as_ref().unwrap().len(), 0);
    assert_eq!(kinds(&lab).await, []);
}
