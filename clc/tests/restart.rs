//! The controller dies at each step of a launch, a termination, a stop: the next one goes on from
//! the records, and nothing happens twice.

mod support;

use ironbark_clc::actions::instances;
use ironbark_clc::ec2::instances::{InstanceState, StartInstances, StopInstances, TerminateInstances};

use support::{Lab, Trouble, caller};

async fn terminate(lab: &Lab, ids: &[String]) {
    let request = TerminateInstances { instance_ids: ids.to_vec() };
    instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
}

#[tokio::test]
async fn after_the_answer_before_the_launch() {
    let mut lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(3)).await.unwrap();
    lab.restart().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Pending; 3]);
    lab.pass().await;
    assert_eq!(lab.cc.ids().len(), 3);
}

#[tokio::test]
async fn after_the_launch_whose_answer_was_lost() {
    let mut lab = Lab::new().await;
    lab.wire.trouble("RunInstances", Trouble::AnswerLost);
    let ids = lab.run_instances(Lab::run(2)).await.unwrap();
    lab.pass().await;
    assert_eq!(lab.wire.count("RunInstances"), 1);
    lab.restart().await;
    lab.pass().await;
    // The poll at the start has seen them, so they need not even be sent again.
    assert_eq!(lab.wire.count("RunInstances"), 1);
    let mut known = lab.cc.ids();
    known.sort();
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(known, expected);
    lab.cc.set_all("running");
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Running; 2]);
}

#[tokio::test]
async fn a_cluster_that_is_away_is_tried_again_and_given_up_in_the_end() {
    let mut lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    for _ in 0..3 {
        lab.wire.trouble("RunInstances", Trouble::NotSent);
    }
    lab.pass().await;
    lab.pass().await;
    assert_eq!(lab.wire.count("RunInstances"), 1, "not again without a pause");
    lab.restart().await;
    lab.pass().await;
    assert_eq!(lab.wire.count("RunInstances"), 2);
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Pending);
    lab.advance(601);
    lab.pass_again().await;
    lab.resolve_overdue().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::ShuttingDown, "it is not known, so it is wished gone");
    let reason = shown.state_reason.unwrap().message;
    assert!(reason.contains("for 10 minutes") && reason.contains("connection refused"), "{reason}");
    lab.pass_again().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated);
}

#[tokio::test]
async fn a_termination_before_the_launch_was_sent_launches_nothing() {
    let mut lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    terminate(&lab, &ids).await;
    lab.restart().await;
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.wire.count("RunInstances"), 0);
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated);
}

#[tokio::test]
async fn a_termination_is_repeated_until_the_cluster_says_gone() {
    let mut lab = Lab::new().await;
    let ids = lab.running(1).await;
    terminate(&lab, &ids).await;
    lab.wire.trouble("TerminateInstances", Trouble::NotSent);
    lab.pass().await;
    lab.restart().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::ShuttingDown);
    lab.pass().await;
    lab.restart().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::ShuttingDown, "the new process does not know that it was told");
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated);
    assert_eq!(lab.wire.count("TerminateInstances"), 3);
}

#[tokio::test]
async fn a_stop_whose_answer_was_lost_is_a_stop() {
    let mut lab = Lab::new().await;
    let ids = lab.running(1).await;
    let request = StopInstances { instance_ids: ids.clone(), force: false };
    instances::stop_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    lab.wire.trouble("StopInstances", Trouble::AnswerLost);
    lab.pass().await;
    lab.restart().await;
    lab.pass().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopping);
    assert_eq!(lab.wire.count("StopInstances"), 1, "the poll has seen that it is stopping");
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopped);
}

#[tokio::test]
async fn before_the_first_poll_a_stop_and_a_start_are_taken_all_the_same() {
    let mut lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.wire.silence(true);
    lab.restart().await;
    let request = StopInstances { instance_ids: ids.clone(), force: false };
    instances::stop_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopping);
    lab.pass().await;
    lab.wire.silence(false);
    lab.pass_again().await;
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopped);

    lab.wire.silence(true);
    lab.restart().await;
    let request = StartInstances { instance_ids: ids.clone() };
    instances::start_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Pending);
}
