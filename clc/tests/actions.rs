//! The EC2 actions over a scripted cluster: what is answered, what is sent, what is left alone.

mod support;

use ironbark_clc::actions::{accounts, admin, console, images, instances, keys, trace, zones};
use ironbark_clc::ec2::admin::{DeleteAccount, DeregisterCluster, DescribeLogs, DescribeTrace};
use ironbark_clc::ec2::attributes::ShutdownBehavior;
use ironbark_clc::ec2::console::GetConsoleOutput;
use ironbark_clc::ec2::images::{DescribeImages, ImageType, RegisterImage};
use ironbark_clc::ec2::instances::{
    DescribeInstances, InstanceState, RebootInstances, StartInstances, StopInstances, TerminateInstances,
};
use ironbark_clc::ec2::keys::{CreateKeyPair, DescribeKeyPairs, KeyType};
use ironbark_clc::ec2::run::RunInstances;
use ironbark_clc::ec2::security_groups::GroupRef;
use ironbark_clc::ec2::zones::DescribeAvailabilityZones;
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::front::{Action, Params};

use support::{Lab, NODE, Trouble, ZONE, caller};

async fn reboot(lab: &Lab, user: &str, ids: &[String]) -> Result<(), Ec2Error> {
    let request = RebootInstances { instance_ids: ids.to_vec() };
    instances::reboot_instances(lab.cloud.clone(), lab.ctx(), caller(user), request).await.map(drop)
}

async fn terminate(lab: &Lab, user: &str, ids: &[String]) -> Result<Vec<(InstanceState, InstanceState)>, Ec2Error> {
    let request = TerminateInstances { instance_ids: ids.to_vec() };
    let changes = instances::terminate_instances(lab.cloud.clone(), lab.ctx(), caller(user), request).await?;
    Ok(changes.0.into_iter().map(|change| (change.previous, change.current)).collect())
}

async fn stop(lab: &Lab, ids: &[String]) -> Result<(), Ec2Error> {
    let request = StopInstances { instance_ids: ids.to_vec(), force: false };
    instances::stop_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

async fn start(lab: &Lab, ids: &[String]) -> Result<(), Ec2Error> {
    let request = StartInstances { instance_ids: ids.to_vec() };
    instances::start_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.map(drop)
}

#[tokio::test]
async fn a_whole_life() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(2)).await.unwrap();
    assert_eq!(lab.states(&ids).await, [InstanceState::Pending; 2]);
    assert_eq!(lab.wire.count("RunInstances"), 0, "the answer does not wait for the cluster");
    lab.pass().await;
    assert_eq!(lab.cc.ids().len(), 2);
    lab.cc.set_all("running");
    lab.poll().await;
    let shown = lab.describe(&ids[1]).await.unwrap();
    assert_eq!((shown.state, shown.launch_index), (InstanceState::Running, 1));
    assert_eq!(shown.private_ip_address.as_deref(), Some("10.0.0.7"));

    reboot(&lab, "admin", &ids).await.unwrap();
    assert_eq!(lab.wire.count("RebootInstances"), 1, "one message for all instances of a cluster");
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Running; 2], "a reboot is no change of state");

    let changes = terminate(&lab, "admin", &ids).await.unwrap();
    assert_eq!(changes, [(InstanceState::Running, InstanceState::ShuttingDown); 2]);
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Terminated; 2]);
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state_reason.unwrap().code, "Client.UserInitiatedShutdown");
    assert_eq!(shown.private_ip_address, None);
    let again = terminate(&lab, "admin", &ids).await.unwrap();
    assert_eq!(again, [(InstanceState::Terminated, InstanceState::Terminated); 2]);

    lab.advance(3601);
    assert_eq!(lab.describe(&ids[0]).await.unwrap_err().code, Code::InvalidInstanceIdNotFound);
}

#[tokio::test]
async fn all_or_none() {
    let lab = Lab::new().await;
    let mut ids = lab.running(2).await;
    ids.push("i-0BADBEEF".to_string());
    let code = |result: Result<(), Ec2Error>| result.unwrap_err().code;
    assert_eq!(code(reboot(&lab, "admin", &ids).await), Code::InvalidInstanceIdNotFound);
    assert_eq!(terminate(&lab, "admin", &ids).await.unwrap_err().code, Code::InvalidInstanceIdNotFound);
    assert_eq!(code(stop(&lab, &ids).await), Code::InvalidInstanceIdNotFound);
    ids.pop();
    assert_eq!(code(reboot(&lab, "eve", &ids).await), Code::InvalidInstanceIdNotFound, "another's is nobody's");

    terminate(&lab, "admin", &ids[..1]).await.unwrap();
    assert_eq!(code(reboot(&lab, "admin", &ids).await), Code::IncorrectInstanceState);
    assert_eq!(lab.wire.count("RebootInstances"), 0, "nothing was sent");
    assert_eq!(lab.state(&ids[1]).await, InstanceState::Running);
}

#[tokio::test]
async fn lower_case_ids_are_found() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    reboot(&lab, "admin", &[ids[0].to_lowercase(), ids[0].clone()]).await.unwrap();
    assert_eq!(lab.describe(&ids[0].to_lowercase()).await.unwrap().instance_id, ids[0]);
}

#[tokio::test]
async fn a_reboot_that_fails_says_how() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.wire.trouble("RebootInstances", Trouble::NotSent);
    let error = reboot(&lab, "admin", &ids).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains(ZONE) && error.message.contains("nothing was done"), "{error}");
    lab.wire.trouble("RebootInstances", Trouble::AnswerLost);
    assert!(reboot(&lab, "admin", &ids).await.unwrap_err().message.contains("not known"));
    lab.cc.refuse("RebootInstances", "i-1: node n1 did not answer within 20 s");
    let error = reboot(&lab, "admin", &ids).await.unwrap_err();
    assert_eq!(error.code, Code::IncorrectInstanceState);
    assert!(error.message.contains("node n1 did not answer"));
}

#[tokio::test]
async fn stop_and_start_keep_the_instance() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    stop(&lab, &ids).await.unwrap();
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopping);
    lab.pass().await;
    assert_eq!(start(&lab, &ids).await.unwrap_err().code, Code::IncorrectInstanceState);
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopped);
    stop(&lab, &ids).await.unwrap();
    start(&lab, &ids).await.unwrap();
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Pending);
    lab.pass().await;
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running);
    assert_eq!((lab.wire.count("StopInstances"), lab.wire.count("StartInstances")), (1, 1));
}

/// By this count a node knows which operation comes late, or twice.
#[tokio::test]
async fn each_operation_has_its_own_epoch_and_is_repeated_under_it() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let id = &ids[0];
    assert_eq!(lab.wire.epoch("RunInstances", id), Some(1));
    for epoch in [2, 3] {
        reboot(&lab, "admin", &ids).await.unwrap();
        assert_eq!(lab.wire.epoch("RebootInstances", id), Some(epoch));
    }
    lab.cc.set(id, "running");
    lab.poll().await;
    lab.wire.trouble("StopInstances", Trouble::NotSent);
    stop(&lab, &ids).await.unwrap();
    lab.pass().await;
    assert_eq!((lab.wire.count("StopInstances"), lab.wire.epoch("StopInstances", id)), (1, Some(4)));
    lab.pass_again().await;
    assert_eq!((lab.wire.count("StopInstances"), lab.wire.epoch("StopInstances", id)), (2, Some(4)));
    lab.cc.set(id, "stopped");
    lab.poll().await;
    start(&lab, &ids).await.unwrap();
    lab.pass().await;
    assert_eq!(lab.wire.epoch("StartInstances", id), Some(5));
    terminate(&lab, "admin", &ids).await.unwrap();
    lab.pass().await;
    assert_eq!(lab.wire.epoch("TerminateInstances", id), Some(6));
}

/// Records that were put back from a copy count from there; a node that has heard more would pass over all of it.
#[tokio::test]
async fn records_that_are_an_older_copy_catch_up_with_the_node() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    stop(&lab, &ids).await.unwrap();
    lab.cc.refuse("StopInstances", "nothing was done, since a later operation (epoch 7) has come before it");
    lab.pass().await;
    assert_eq!(lab.wire.epoch("StopInstances", &ids[0]), Some(2));
    lab.cc.epochs.lock().unwrap().insert(ids[0].clone(), 7);
    lab.poll().await;
    lab.cc.refuses.lock().unwrap().clear();
    lab.pass_again().await;
    assert_eq!(lab.wire.epoch("StopInstances", &ids[0]), Some(8));
}

/// It is started again, under an epoch of its own, and not for ever; a guest's own shutdown stays the guest's.
#[tokio::test]
async fn an_instance_that_failed_is_started_again_three_times_an_hour() {
    let lab = Lab::new().await;
    let id = &lab.running(1).await[0];
    lab.cc.failed.lock().unwrap().insert(id.clone());
    for (count, epoch) in [(1, 2), (2, 3), (3, 4)] {
        lab.cc.set_because(id, "stopped", "the guest crashed; its disk is kept");
        lab.poll().await;
        assert_eq!(lab.state(id).await, InstanceState::Pending);
        lab.pass_again().await;
        assert_eq!((lab.wire.count("StartInstances"), lab.wire.epoch("StartInstances", id)), (count, Some(epoch)));
        lab.poll().await;
        assert_eq!(lab.state(id).await, InstanceState::Running);
    }
    lab.cc.set_because(id, "stopped", "the guest crashed; its disk is kept");
    lab.poll().await;
    lab.pass_again().await;
    assert_eq!((lab.state(id).await, lab.wire.count("StartInstances")), (InstanceState::Stopped, 3));
    let reason = lab.describe(id).await.unwrap().state_reason.unwrap();
    assert_eq!(reason.code, "Server.InternalError");
    assert!(reason.message.contains("the guest crashed"), "{}", reason.message);

    lab.advance(3601);
    start(&lab, std::slice::from_ref(id)).await.unwrap();
    lab.pass_again().await;
    lab.poll().await;
    lab.cc.set(id, "stopped");
    lab.poll().await;
    lab.pass_again().await;
    assert_eq!(lab.wire.count("StartInstances"), 5, "an hour later it is started again");
}

/// A restart after a failure is no answer to an owner whose stop was taken back.
#[tokio::test]
async fn a_restart_after_a_failure_keeps_the_reason_of_a_stop_that_was_taken_back() {
    let lab = Lab::new().await;
    let id = &lab.running(1).await[0];
    stop(&lab, std::slice::from_ref(id)).await.unwrap();
    lab.cc.refuse("StopInstances", "node n1 has no power button");
    lab.pass().await;
    lab.advance(180);
    lab.pass_again().await;
    let reason = |told: ironbark_clc::ec2::instances::Instance| told.state_reason.map(|reason| reason.message);
    let taken_back = reason(lab.describe(id).await.unwrap());
    assert!(taken_back.as_deref().is_some_and(|why| why.contains("no power button")), "{taken_back:?}");
    lab.cc.failed.lock().unwrap().insert(id.clone());
    lab.cc.set(id, "stopped");
    lab.poll().await;
    assert_eq!(lab.state(id).await, InstanceState::Pending);
    assert_eq!(reason(lab.describe(id).await.unwrap()), taken_back);
}

/// What its owner set is about the guest's own shutdown: a machine that lost its power takes nobody's disk away.
#[tokio::test]
async fn a_failure_is_no_shutdown_of_the_guest() {
    let lab = Lab::new().await;
    let request = RunInstances { shutdown_behavior: ShutdownBehavior::Terminate, ..Lab::run(2) };
    let ids = lab.run_instances(request).await.unwrap();
    lab.pass().await;
    lab.cc.set_all("running");
    lab.poll().await;
    lab.cc.failed.lock().unwrap().insert(ids[0].clone());
    lab.cc.set_all("stopped");
    lab.poll().await;
    assert_eq!(lab.states(&ids).await, [InstanceState::Pending, InstanceState::ShuttingDown]);
}

#[tokio::test]
async fn a_guest_that_goes_down_right_after_its_start_stays_down() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let id = &ids[0];
    stop(&lab, &ids).await.unwrap();
    lab.pass().await;
    lab.cc.set(id, "stopped");
    lab.poll().await;
    start(&lab, &ids).await.unwrap();
    lab.pass().await;
    // Between two polls it ran, and its guest turned it off.
    lab.cc.boots.lock().unwrap().insert(id.clone(), (2, String::new()));
    lab.cc.set(id, "stopped");
    lab.poll().await;
    assert_eq!(lab.state(id).await, InstanceState::Stopped);
    lab.pass_again().await;
    assert_eq!(lab.wire.count("StartInstances"), 1);
}

#[tokio::test]
async fn a_stop_is_forced_while_its_guest_is_being_asked() {
    let mut lab = Lab::new().await;
    let ids = lab.running(1).await;
    let stop = async |lab: &Lab, force: bool| {
        let request = StopInstances { instance_ids: ids.clone(), force };
        instances::stop_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap();
        lab.pass().await;
        lab.poll().await;
        assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopping);
        let forced = lab.cc.forced.lock().unwrap().clone();
        (lab.wire.count("StopInstances"), forced.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(stop(&lab, false).await, (1, vec![]));
    assert_eq!(stop(&lab, false).await, (1, vec![]), "it is asked already");
    lab.wire.trouble("StopInstances", Trouble::NotSent);
    assert_eq!(stop(&lab, true).await.1, [""; 0]);
    lab.restart().await;
    lab.pass().await;
    assert_eq!(stop(&lab, true).await.1, ids, "what was not sent is not forgotten");
    lab.cc.set_all("stopped");
    lab.poll().await;
    let told = lab.wire.count("StopInstances");
    lab.pass_again().await;
    assert_eq!((lab.state(&ids[0]).await, lab.wire.count("StopInstances")), (InstanceState::Stopped, told));
}

#[tokio::test]
async fn a_start_that_is_refused_for_long_is_taken_back_with_the_reason() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.cc.set_all("stopped");
    lab.poll().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Stopped, "the guest turned itself off");
    assert_eq!(shown.state_reason.unwrap().code, "Client.InstanceInitiatedShutdown");
    lab.cc.refuse("StartInstances", "node n1 has no memory left");
    start(&lab, &ids).await.unwrap();
    lab.pass().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Pending, "it is tried for a while");
    lab.advance(121);
    lab.pass_again().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Stopped);
    assert!(shown.state_reason.unwrap().message.contains("no memory left"));
}

#[tokio::test]
async fn a_cluster_of_2_0_1_runs_instances_and_cannot_stop_them() {
    let mut lab = Lab::new().await;
    *lab.cc.old.lock().unwrap() = true;
    lab.restart().await;
    let ids = lab.running(1).await;
    let error = stop(&lab, &ids).await.unwrap_err();
    assert_eq!(error.code, Code::UnsupportedOperation);
    assert!(error.message.contains("2.0.1"), "{error}");
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running);
}

#[tokio::test]
async fn a_node_that_its_cluster_has_not_heard_of_yet_is_none_of_2_0_1() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.cc.node.lock().unwrap().0.clear();
    lab.poll().await;
    stop(&lab, &ids).await.unwrap();
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopping);
}

#[tokio::test]
async fn nothing_is_started_on_a_node_that_drains() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.cc.node.lock().unwrap().1 = Some("since 2026-11-20T10:00:00Z: a new disk".to_string());
    lab.poll().await;
    start(&lab, &ids).await.expect("it runs: that is no start");
    stop(&lab, &ids).await.unwrap();
    lab.cc.set(&ids[0], "stopped");
    lab.poll().await;
    let refused = start(&lab, &ids).await.unwrap_err();
    assert_eq!(refused.code, Code::OperationNotPermitted);
    assert!(refused.message.contains("is draining since 2026-11-20T10:00:00Z: a new disk"), "{refused}");
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopped);
}

#[tokio::test]
async fn what_the_cluster_declines_ends_with_its_reason() {
    let lab = Lab::new().await;
    lab.cc.refuse("RunInstances", "no node has room for 1 core, 128 MB");
    let ids = lab.run_instances(Lab::run(2)).await.unwrap();
    lab.pass().await;
    for id in &ids {
        let shown = lab.describe(id).await.unwrap();
        assert_eq!(shown.state, InstanceState::Terminated);
        let reason = shown.state_reason.unwrap();
        assert_eq!(reason.code, "Server.InsufficientInstanceCapacity");
        assert!(reason.message.contains("no node has room"), "{reason:?}");
    }
}

#[tokio::test]
async fn fewer_than_the_most_is_enough() {
    let lab = Lab::new().await;
    *lab.cc.room.lock().unwrap() = 2;
    let ids = lab.run_instances(Lab::run(3)).await.unwrap();
    lab.pass().await;
    let states = lab.states(&ids).await;
    assert_eq!(states.iter().filter(|state| **state == InstanceState::Pending).count(), 2);
    assert_eq!(states.iter().filter(|state| **state == InstanceState::Terminated).count(), 1);
}

#[tokio::test]
async fn a_full_cloud_says_so_at_once_and_only_while_it_is_sure() {
    let lab = Lab::new().await;
    *lab.cc.room.lock().unwrap() = 0;
    lab.poll().await;
    let error = lab.run_instances(Lab::run(1)).await.unwrap_err();
    assert_eq!(error.code, Code::InsufficientInstanceCapacity);
    lab.advance(3600);
    assert!(lab.run_instances(Lab::run(1)).await.is_ok(), "what was said an hour ago is not believed");
}

#[tokio::test]
async fn a_bad_image_shows_what_the_node_said() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    lab.pass().await;
    lab.cc.set_all("failed");
    lab.poll().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Terminated);
    assert!(shown.state_reason.unwrap().message.contains("the image is not a disk"));
}

#[tokio::test]
async fn client_tokens() {
    let mut lab = Lab::new().await;
    let with = |token: &str, count: u32| {
        let mut request = Lab::run(count);
        request.client_token = Some(token.to_string());
        request
    };
    let first = lab.run_instances(with("t1", 1)).await.unwrap();
    assert_eq!(lab.run_instances(with("t1", 1)).await.unwrap(), first);
    let error = lab.run_instances(with("t1", 2)).await.unwrap_err();
    assert_eq!(error.code, Code::IdempotentParameterMismatch);
    assert_ne!(lab.run_instances(with("t2", 1)).await.unwrap(), first);
    // Each account has its own.
    let run = ironbark_clc::actions::run::run_instances;
    let eves = run(lab.cloud.clone(), lab.ctx(), caller("eve"), with("t1", 2)).await.unwrap().0;
    assert_eq!(eves.instances.len(), 2);
    // In the records, and not only in memory.
    lab.restart().await;
    assert_eq!(lab.run_instances(with("t1", 1)).await.unwrap(), first);
    // Even when what it named is gone since.
    lab.cloud.store.deregister_image(support::IMAGE.to_string()).await.unwrap();
    assert_eq!(lab.run_instances(with("t1", 1)).await.unwrap(), first);
    assert_eq!(lab.run_instances(with("t3", 1)).await.unwrap_err().code, Code::InvalidImageIdNotFound);
    // Twenty at once: one reservation.
    let image = RegisterImage {
        image_location: "http://h/x".into(),
        name: "again".into(),
        description: None,
        architecture: "x86_64".into(),
        image_type: ImageType::Machine,
        kernel_id: None,
        ramdisk_id: None,
        root_device_name: None,
        sha256: None,
        tags: Vec::new(),
    };
    let image = images::register_image(lab.cloud.clone(), lab.ctx(), caller("admin"), image).await.unwrap().image_id;
    let mut request = with("t4", 1);
    request.image_id = image;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (cloud, ctx, request) = (lab.cloud.clone(), lab.ctx(), request.clone());
        tasks.spawn(run(cloud, ctx, caller("admin"), request));
    }
    let answers: std::collections::BTreeSet<String> =
        tasks.join_all().await.into_iter().map(|answer| answer.unwrap().0.reservation_id).collect();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn what_is_named_must_be_there() {
    let lab = Lab::new().await;
    let code = async |change: fn(&mut ironbark_clc::ec2::run::RunInstances)| {
        let mut request = Lab::run(1);
        change(&mut request);
        lab.run_instances(request).await.unwrap_err().code
    };
    assert_eq!(code(|run| run.image_id = "emi-00000001".into()).await, Code::InvalidImageIdNotFound);
    assert_eq!(code(|run| run.key_name = Some("none".into())).await, Code::InvalidKeyPairNotFound);
    assert_eq!(code(|run| run.security_groups = vec![GroupRef::Name("web".into())]).await, Code::InvalidGroupNotFound);
    assert_eq!(code(|run| run.availability_zone = Some("mars".into())).await, Code::InvalidParameterValue);
    assert_eq!(code(|run| run.instance_type = "p5.big".into()).await, Code::InvalidParameterValue);
    assert_eq!(code(|run| run.kernel_id = Some(support::IMAGE.into())).await, Code::InvalidParameterValue);
}

#[tokio::test]
async fn the_console_is_the_guests_own_bytes() {
    let lab = Lab::new().await;
    let ids = lab.run_instances(Lab::run(1)).await.unwrap();
    let console = async || {
        let request = GetConsoleOutput { instance_id: ids[0].clone() };
        console::get_console_output(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await.unwrap().output
    };
    assert_eq!(console().await, b"", "not launched yet");
    lab.pass().await;
    assert_eq!(console().await, b"hello\n");
    lab.cc.refuse("GetConsoleOutput", "it has none");
    assert_eq!(console().await, b"", "pending, and the node has no file yet");
}

#[tokio::test]
async fn users_see_their_own() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let create = CreateKeyPair { key_name: "k".into(), key_type: KeyType::Ed25519, tags: Vec::new() };
    keys::create_key_pair(lab.cloud.clone(), lab.ctx(), caller("admin"), create.clone()).await.unwrap();
    let again = keys::create_key_pair(lab.cloud.clone(), lab.ctx(), caller("admin"), create).await;
    assert_eq!(again.unwrap_err().code, Code::InvalidKeyPairDuplicate);
    let mine = keys::describe_key_pairs(lab.cloud.clone(), lab.ctx(), caller("eve"), DescribeKeyPairs::default()).await;
    assert!(mine.unwrap().key_pairs.is_empty());
    let public = images::describe_images(lab.cloud.clone(), lab.ctx(), caller("eve"), DescribeImages::default()).await;
    assert_eq!(public.unwrap().images.len(), 1, "an administrator's image is everybody's");
    let deregister = ironbark_clc::ec2::images::DeregisterImage { image_id: support::IMAGE.into() };
    let refused = images::deregister_image(lab.cloud.clone(), lab.ctx(), caller("eve"), deregister).await;
    assert_eq!(refused.unwrap_err().code, Code::AuthFailure);
    assert!(terminate(&lab, "eve", &ids).await.is_err());
}

#[tokio::test]
async fn administrators_of_the_cloud_reach_everybodys_instances_by_asking() {
    let lab = Lab::new().await;
    let run = ironbark_clc::actions::run::run_instances;
    let answer = run(lab.cloud.clone(), lab.ctx(), caller("eve"), Lab::run(1)).await.unwrap();
    assert_eq!(answer.0.owner_id, support::EVE);
    let id = answer.0.instances[0].instance_id.clone();
    let describe = async |user: &str, pairs: &[(&str, &str)]| {
        let request = DescribeInstances::parse(&Params::try_from(pairs).unwrap()).unwrap();
        let answer = instances::describe_instances(lab.cloud.clone(), lab.ctx(), caller(user), request).await?;
        Ok::<_, Ec2Error>(answer.reservations.into_iter().map(|found| found.owner_id).collect::<Vec<_>>())
    };
    assert!(describe("admin", &[]).await.unwrap().is_empty(), "not in their own list");
    assert_eq!(describe("admin", &[("InstanceId.1", "verbose")]).await.unwrap(), [support::EVE]);
    assert_eq!(describe("admin", &[("InstanceId.1", &id)]).await.unwrap(), [support::EVE]);
    let own = lab.running(1).await;
    assert_eq!(describe("eve", &[("InstanceId.1", "verbose")]).await.unwrap(), [support::EVE], "nobody else");
    assert!(describe("eve", &[("InstanceId.1", &own[0])]).await.is_err());
    let changes = terminate(&lab, "admin", &[id]).await.unwrap();
    assert_eq!(changes.len(), 1);
}

#[tokio::test]
async fn a_trace_is_for_who_asked_and_spans_the_tiers() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let ctx = lab.ctx();
    let request_id = ctx.request.clone();
    let request = RebootInstances { instance_ids: ids };
    instances::reboot_instances(lab.cloud.clone(), ctx, caller("admin"), request).await.unwrap();
    let ask = DescribeTrace { request_id };
    let spans = trace::describe_trace(lab.cloud.clone(), lab.ctx(), caller("admin"), ask.clone()).await.unwrap().0;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!(names.contains(&"clc.call.RebootInstances") && names.contains(&"cc.place"), "{names:?}");
    let other = trace::describe_trace(lab.cloud.clone(), lab.ctx(), caller("eve"), ask).await;
    assert_eq!(other.unwrap_err().code, Code::NoSuchEntity);
}

#[tokio::test]
async fn the_lines_of_a_request_are_merged_by_time_and_a_silent_cluster_is_one_of_them() {
    let lab = Lab::new().await;
    let request_id = lab.ctx().request;
    let ask = async |user: &str| {
        let request = DescribeLogs { request_id: request_id.clone() };
        trace::describe_logs(lab.cloud.clone(), lab.ctx(), caller(user), request).await
    };
    let lines = ask("admin").await.unwrap().0;
    let tiers: Vec<&str> = lines.iter().map(|line| line.tier.as_str()).collect();
    assert_eq!(tiers, ["nc:n1", "cc:cluster1"]);
    assert_eq!(ask("eve").await.unwrap_err().code, Code::NoSuchEntity, "another's request is nobody's");
    lab.wire.trouble("DescribeLogs", Trouble::NotSent);
    let missing = ask("admin").await.unwrap().0.remove(0);
    assert_eq!((missing.event.as_str(), missing.tier.as_str()), ("trace.missing", "cc:cluster1"));
    assert!(missing.text.contains("connection refused"));
}

#[tokio::test]
async fn what_a_poll_learnt_is_a_step_of_the_request_that_wished_it() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let ctx = lab.ctx();
    let request_id = ctx.request.to_string();
    let request = StopInstances { instance_ids: ids.clone(), force: false };
    instances::stop_instances(lab.cloud.clone(), ctx, caller("admin"), request).await.unwrap();
    lab.pass().await;
    lab.cc.set_because(&ids[0], "stopped", "the guest shut down after 7.0 s");
    lab.poll().await;
    let spans = lab.cloud.recorder.of(&request_id);
    let learnt = spans.iter().find(|span| span.name == "clc.refresh.learnt").expect("the poll is linked");
    assert_eq!(learnt.outcome, "the guest shut down after 7.0 s");
    assert!(spans.iter().any(|span| span.name == "clc.stop"), "{spans:?}");
    let background = spans.iter().filter(|span| span.name == "clc.stop" || span.name == "clc.refresh.learnt");
    assert!(background.into_iter().all(|span| span.parent.as_deref() == Some(&request_id)), "under the request");
}

#[tokio::test]
async fn nothing_with_instances_is_deregistered() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let deregister = async || {
        let request = DeregisterCluster { name: ZONE.into() };
        admin::deregister_cluster(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await
    };
    let error = deregister().await.unwrap_err();
    assert_eq!(error.code, Code::OperationNotPermitted);
    assert!(error.message.contains(&ids[0]));
    let request = DeleteAccount { account: "admin".into() };
    let refused = accounts::delete_account(lab.cloud.clone(), lab.ctx(), caller("admin"), request).await;
    assert_eq!(refused.unwrap_err().code, Code::OperationNotPermitted);
    terminate(&lab, "admin", &ids).await.unwrap();
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    deregister().await.unwrap();
    assert_eq!(deregister().await.unwrap_err().code, Code::NoSuchEntity);
}

#[tokio::test]
async fn a_silent_cluster_changes_nothing_but_its_own_state() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.wire.trouble("DescribeInstances", Trouble::NotSent);
    lab.advance(3600);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running);
    let zones = zones::describe_availability_zones(
        lab.cloud.clone(),
        lab.ctx(),
        caller("admin"),
        DescribeAvailabilityZones::default(),
    );
    let zone = zones.await.unwrap().zones.remove(0);
    assert_eq!(zone.state, ironbark_clc::ec2::zones::ZoneState::Unavailable);
    assert!(zone.messages[0].contains("connection refused"));
}

#[tokio::test]
async fn a_lost_instance_is_over_only_when_its_node_has_answered() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    lab.cc.lose(&ids[0]);
    lab.poll().await;
    lab.advance(300);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running, "the node has not been heard since");
    *lab.cc.node_seen.lock().unwrap() = lab.clock.now();
    lab.poll().await;
    let shown = lab.describe(&ids[0]).await.unwrap();
    assert_eq!(shown.state, InstanceState::Terminated);
    assert!(shown.state_reason.unwrap().message.contains(&format!("node {NODE} no longer has it")));
    lab.cc.set(&ids[0], "running");
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running, "the cluster's word overrules our conclusion");
    assert_eq!(lab.wire.count("TerminateInstances"), 0);
}

#[tokio::test]
async fn a_stranger_is_left_alone() {
    let lab = Lab::new().await;
    lab.cc.set("i-0BADBEEF", "running");
    lab.poll().await;
    lab.pass().await;
    assert_eq!(lab.cc.ids(), ["i-0BADBEEF"]);
    assert_eq!(lab.wire.count("TerminateInstances"), 0);
}

#[tokio::test]
async fn a_fault_of_a_cluster_that_describes_itself_hides_no_state() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    stop(&lab, &ids).await.unwrap();
    lab.pass().await;
    lab.cc.set_all("stopped");
    lab.poll().await;
    *lab.cc.old.lock().unwrap() = true;
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Stopped, "2.0.1's list calls it Extant");
}
