//! Real clients as they are, against the three programs over libvirt's mock.

use std::path::Path;
use std::process::Command;

use ironbark_tests::tools::{Guest, php, python, script};
use ironbark_tests::{Cloud, Settings};
use tempfile::TempDir;

fn cloud() -> (TempDir, Cloud, String) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let cloud =
        Cloud::start(&Settings { isolation: "semaphore", ..Settings::default() }, Some(Guest::pretended(files.path())));
    let image = cloud.register_guest();
    (files, cloud, image)
}

/// Runs a client to its end and gives what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the client can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn life(name: &str, more: &[&str]) {
    let Some(python) = python() else { return };
    let (_files, cloud, image) = cloud();
    let printed = run(cloud.client(python).arg(script(name)).arg(image).args(more));
    assert!(printed.contains("ok i-"), "{printed}");
}

#[test]
fn boto3() {
    life("boto3_life.py", &[]);
}

#[test]
fn boto3_tags() {
    life("boto3_tags.py", &[]);
}

/// The whole surface, with every kind of bad parameter.
#[test]
fn boto3_surface() {
    life("boto3_surface.py", &[]);
}

/// What terraform asks for one aws_instance, from plan to destroy.
#[test]
fn terraform_flow() {
    life("terraform_flow.py", &[]);
}

#[test]
fn boto3_groups() {
    life("boto3_groups.py", &[]);
}

#[test]
fn boto3_filters() {
    life("boto3_filters.py", &[]);
}

#[test]
fn boto3_addresses() {
    life("boto3_addresses.py", &[]);
}

#[test]
fn boto_2_groups() {
    life("boto2_groups.py", &[]);
}

#[test]
fn boto_2() {
    life("boto2_life.py", &[]);
}

#[test]
fn zeep_with_sha1() {
    life("zeep_life.py", &["sha1"]);
}

#[test]
fn zeep_with_sha256() {
    life("zeep_life.py", &["sha256"]);
}

/// Each operation that the WSDL has, none forgotten.
#[test]
fn zeep_calls_every_operation() {
    life("zeep_every.py", &[]);
}

#[test]
fn php_from_the_wsdl() {
    if !php() {
        return;
    }
    let (_files, cloud, image) = cloud();
    let url = cloud.eucarc("EC2_URL");
    let printed = run(cloud.client("php").arg(script("php_life.php")).args([&url, &image]));
    assert!(printed.starts_with("ok i-"), "{printed}");
}

#[test]
fn libcloud() {
    life("libcloud_life.py", &[]);
}

#[test]
fn aws_command_line() {
    let Some(python) = python() else { return };
    let aws = python.with_file_name("aws");
    let (_files, cloud, image) = cloud();
    let ec2 = |arguments: &[&str]| {
        run(cloud.client(&aws).args(["--output", "text", "ec2"]).args(arguments)).trim().to_string()
    };
    let who = run(cloud.client(&aws).args(["--output", "text", "sts", "get-caller-identity"]));
    let account = cloud.eucarc("EC2_USER_ID");
    assert!(who.starts_with(&account) && who.contains(&format!("arn:aws:iam::{account}:user/admin")), "{who}");
    let run =
        ["run-instances", "--image-id", &image, "--instance-type", "m1.small", "--query", "Instances[0].InstanceId"];
    let id = ec2(&run);
    ec2(&["wait", "instance-running", "--instance-ids", &id]);
    let state =
        ec2(&["describe-instances", "--instance-ids", &id, "--query", "Reservations[0].Instances[0].State.Name"]);
    assert_eq!(state, "running");
    ec2(&["reboot-instances", "--instance-ids", &id]);
    ec2(&["get-console-output", "--instance-id", &id]);
    ec2(&["stop-instances", "--force", "--instance-ids", &id]);
    ec2(&["wait", "instance-stopped", "--instance-ids", &id]);
    ec2(&["start-instances", "--instance-ids", &id]);
    ec2(&["wait", "instance-running", "--instance-ids", &id]);
    ec2(&["terminate-instances", "--instance-ids", &id]);
    ec2(&["wait", "instance-terminated", "--instance-ids", &id]);
}

/// Strict clients made from the WSDLs that CC and NC serve, with the caller's own key.
#[test]
fn zeep_talks_to_cc_and_nc() {
    let Some(python) = python() else { return };
    let (_files, cloud, image) = cloud();
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    for (tier, daemon, caller) in [("nc", &cloud.nc, "cc"), ("cc", &cloud.cc, "clc")] {
        let service = tier.to_uppercase();
        let url = format!("http://{}/axis2/services/Eucalyptus{service}", daemon.address());
        let (key, cert) = (cloud.path(&format!("{caller}/key.pem")), cloud.path(&format!("{caller}/cert.pem")));
        let peer = cloud.path(&format!("{tier}/cert.pem"));
        assert!(Path::new(&peer).is_file());
        let printed = run(Command::new(&python).arg(script("zeep_tiers.py")).args([tier, &url, &key, &cert, &peer]));
        assert_eq!(printed.trim(), "ok 1", "{tier} shows the one instance");
    }
}
