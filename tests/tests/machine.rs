//! Real guests under QEMU: the console shows what really happened.

use std::process::Command;
use std::time::Duration;

use ironbark_tests::tools::{Guest, libvirtd, python, script};
use ironbark_tests::{Cloud, Hypervisor, Settings, wait_for};

/// A cloud with a real hypervisor, if the machine has one and a guest.
fn cloud(hypervisor: Hypervisor) -> Option<(Cloud, String)> {
    let guest = Guest::find()?;
    if hypervisor == Hypervisor::System && !libvirtd() {
        return None;
    }
    let cloud = Cloud::start(&Settings { hypervisor, ..Settings::default() }, Some(guest));
    let image = cloud.register_guest();
    Some((cloud, image))
}

/// The domains of that name that libvirtd has.
fn domains(id: &str) -> usize {
    let output = Command::new("virsh").args(["-c", "qemu:///system", "list", "--all", "--name"]).output();
    let output = output.expect("virsh is here, since libvirtd is");
    String::from_utf8_lossy(&output.stdout).lines().filter(|name| *name == id).count()
}

#[test]
fn a_guest_boots_reboots_and_goes() {
    let Some((cloud, image)) = cloud(Hypervisor::System) else { return };
    let key = cloud.path("key");
    cloud.euca(&["create-keypair", "k1", "-f", &key]);
    let id = cloud.run(&image, &["-k", "k1", "-d", "#!/bin/sh\necho user-data-was-run\n"]);
    cloud.await_state(&id, "running");
    cloud.await_console(&id, "guest: ready");
    assert!(cloud.console(&id).contains("user-data-was-run"), "user data reached the guest: {}", cloud.console(&id));

    cloud.euca(&["reboot-instances", &id]);
    // The boot counter is on the disk: the same disk, booted again.
    cloud.await_console(&id, "guest: boot number 2");
    wait_for("the node to tell of the reboot", Duration::from_secs(60), || {
        let log = cloud.nc.log();
        (log.contains("reboot") && log.contains(&id)).then_some(())
    });
    assert_eq!(domains(&id), 1, "one domain");

    cloud.euca(&["stop-instances", &id]);
    cloud.await_state(&id, "stopped");
    cloud.euca(&["start-instances", &id]);
    cloud.await_state(&id, "running");
    cloud.await_console(&id, "guest: boot number 3");

    cloud.euca(&["terminate-instances", &id]);
    cloud.await_state(&id, "terminated");
    wait_for("the domain to be gone", Duration::from_secs(30), || (domains(&id) == 0).then_some(()));
}

#[test]
fn each_tier_may_be_killed_while_a_guest_runs() {
    let Some((mut cloud, image)) = cloud(Hypervisor::System) else { return };
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    cloud.await_console(&id, "guest: ready");

    cloud.nc.kill();
    cloud.nc.start();
    cloud.cc.kill();
    cloud.cc.start();
    cloud.clc.kill();
    cloud.clc.start();
    cloud.await_state(&id, "running");
    assert_eq!(domains(&id), 1, "there once");
    wait_for("a reboot after all three were killed", Duration::from_secs(60), || {
        cloud.try_euca(&["reboot-instances", &id]).ok()
    });
    cloud.await_console(&id, "guest: boot number 2");
    cloud.euca(&["terminate-instances", &id]);
    cloud.await_state(&id, "terminated");
    wait_for("the domain to be gone", Duration::from_secs(30), || (domains(&id) == 0).then_some(()));
}

/// libvirt's embedded driver: the domain lives in QEMU's own process and is found again.
#[test]
fn an_embedded_guest_survives_its_node_controller() {
    let Some((mut cloud, image)) = cloud(Hypervisor::Embed) else { return };
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    cloud.await_console(&id, "guest: ready");
    cloud.nc.kill();
    cloud.nc.start();
    cloud.await_state(&id, "running");
    wait_for("a reboot", Duration::from_secs(60), || cloud.try_euca(&["reboot-instances", &id]).ok());
    cloud.await_console(&id, "guest: boot number 2");
    cloud.euca(&["terminate-instances", &id]);
    cloud.await_state(&id, "terminated");
}

#[test]
fn boto3_drives_a_real_guest() {
    let Some(python) = python() else { return };
    let Some((cloud, image)) = cloud(Hypervisor::System) else { return };
    let output = cloud.client(python).arg(script("boto3_life.py")).args([&image, "guest: ready"]).output();
    let output = output.expect("the client can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
