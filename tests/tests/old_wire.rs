//! A whole cloud on the wire of Eucalyptus 2.0.1: the cloud controller drives the cluster and the
//! cluster its node by the profile `euca-2.0.1` and the old operations alone.

use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings, wait_for};
use std::time::Duration;
use tempfile::TempDir;

fn a_life_on_the_old_wire(isolation: &'static str) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let guest = Guest::pretended(files.path());
    let cloud = Cloud::start(&Settings { isolation, old_wire: true, ..Settings::default() }, Some(guest));
    let image = cloud.register_guest();
    let id = cloud.run(&image, &["-t", "m1.small", "-d", "a\r\nb \"c\" <d> & 'e'"]);
    cloud.await_state(&id, "running");
    cloud.euca(&["reboot-instances", &id]);
    wait_for("the node to tell of the reboot", Duration::from_secs(60), || {
        let log = cloud.nc.log();
        (log.contains("ncRebootInstance") && log.contains(&id)).then_some(())
    });
    for (daemon, weak) in [(&cloud.cc, "euca-2.0.1"), (&cloud.nc, "euca-2.0.1")] {
        assert!(daemon.log().contains(weak), "a start with old callers is told in the log");
    }

    // What 2.0.1 has no operation for is refused, and says so.
    let refused = cloud.try_euca(&["stop-instances", &id]).expect_err("2.0.1 cannot stop instances");
    assert!(!refused.is_empty(), "{refused}");
    let nc = "http://127.0.0.1:1/axis2/services/EucalyptusNC";
    let cert = cloud.path("keys/node-cert.pem");
    let refused = cloud.try_euca(&["admin", "register-node", "cluster1", "n2", nc, "--cert", &cert]);
    assert!(refused.expect_err("registering is no operation of 2.0.1").contains("2.0.1"));

    cloud.euca(&["terminate-instances", &id]);
    cloud.await_state(&id, "terminated");
}

#[test]
fn a_life_on_the_old_wire_with_forked_calls() {
    a_life_on_the_old_wire("fork");
}

#[test]
fn a_life_on_the_old_wire_behind_a_semaphore() {
    a_life_on_the_old_wire("semaphore");
}
