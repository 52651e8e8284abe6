//! Records that cannot be written for a while: nothing acknowledged is lost, nothing unacknowledged is there, what can be
//! read is served, and the cloud goes on by itself.

mod support;

use ironbark_clc::actions::instances::terminate_instances;
use ironbark_clc::ec2::instances::{InstanceState, TerminateInstances};
use ironbark_clc::error::Code;
use rusqlite::Connection;
use support::{Lab, caller};

#[tokio::test]
async fn a_locked_database_refuses_in_words_and_loses_nothing() {
    let lab = Lab::new().await;
    let ids = lab.running(1).await;
    let other = Connection::open(lab.dir.path().join("cloud.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let terminate = || {
        let request = TerminateInstances { instance_ids: ids.clone() };
        terminate_instances(lab.cloud.clone(), lab.ctx(), caller("admin"), request)
    };
    let (launched, terminated) = tokio::join!(lab.run_instances(Lab::run(1)), terminate());
    for error in [launched.unwrap_err(), terminated.unwrap_err()] {
        assert_eq!(error.code, Code::InternalError, "a client may send it again: {error:?}");
        assert!(!error.message.contains("SQL"), "what the user is told is not ours to debug: {}", error.message);
    }
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Running, "what can be read is served");
    lab.poll().await;
    lab.pass().await;
    assert_eq!((lab.wire.count("RunInstances"), lab.wire.count("TerminateInstances")), (1, 0), "nothing was sent");

    other.execute_batch("ROLLBACK").unwrap();
    terminate().await.unwrap();
    lab.pass().await;
    lab.advance(1);
    lab.poll().await;
    assert_eq!(lab.state(&ids[0]).await, InstanceState::Terminated);
    assert_eq!(lab.cloud.store.kept().await.unwrap().len(), 1, "the refused launch left nothing");
}
