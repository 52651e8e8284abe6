//! Clients that gSOAP makes from the WSDLs that the running programs serve, against those programs
//! over libvirt's mock. The clients are compiled once and kept beside the build.

use std::path::Path;
use std::process::Command;

use ironbark_tests::tools::{Guest, gsoap, script};
use ironbark_tests::{Cloud, Settings};
use tempfile::TempDir;

/// A cloud with one running instance. Its tiers have RSA keys: gSOAP writes ECDSA signatures as DER,
/// and XML Signature wants r and s, 32 bytes each, so that nobody but gSOAP understands gSOAP there.
fn cloud() -> (TempDir, Cloud, String) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let cloud = Cloud::start(&Settings { rsa: true, ..Settings::default() }, Some(Guest::pretended(files.path())));
    let image = cloud.register_guest();
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    (files, cloud, id)
}

/// The client of `tests/clients/gsoap/NAME.cpp`, built from the WSDL served at `url`.
fn client(name: &str, url: &str) -> Command {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gsoap");
    let mut build = Command::new(script("gsoap/build.sh"));
    succeed(build.args([name, url]).arg(&directory));
    Command::new(directory.join(name).join("client"))
}

/// Runs a program to its end; gives what it printed, or what it complained about.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn succeed(command: &mut Command) -> String {
    run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[test]
fn gsoap_talks_to_nc_and_cc() {
    if !gsoap() {
        return;
    }
    let (_files, cloud, id) = cloud();
    for (tier, daemon, caller) in [("nc", &cloud.nc, "cc"), ("cc", &cloud.cc, "clc")] {
        let url = format!("http://{}/axis2/services/Eucalyptus{}", daemon.address(), tier.to_uppercase());
        let identity = |tier: &str| [cloud.path(&format!("{tier}/key.pem")), cloud.path(&format!("{tier}/cert.pem"))];
        let own = cloud.path(&format!("{tier}/cert.pem"));
        let call =
            |caller: &str, peer: &str| run(client(tier, &url).arg(&url).args(identity(caller)).args([peer, &id]));

        let stranger = call(tier, &own).expect_err("only the tier above may call");
        assert!(stranger.contains("is not accepted here"), "{tier} says: {stranger}");
        let other = cloud.path(&format!("{caller}/cert.pem"));
        let imposter = call(caller, &other).expect_err("an answer by another key is not believed");
        assert!(imposter.contains("Invalid certificate"), "the client says: {imposter}");
        assert_eq!(call(caller, &own), Ok(format!("ok {id}")));
    }
    cloud.await_state(&id, "terminated");
}

#[test]
fn gsoap_uses_the_cloud_as_an_ec2_user() {
    if !gsoap() {
        return;
    }
    let (_files, cloud, id) = cloud();
    let url = cloud.eucarc("EC2_URL");
    let mut ec2 = client("ec2", &url);
    ec2.env("EC2_PRIVATE_KEY", cloud.eucarc("EC2_PRIVATE_KEY")).env("EC2_CERT", cloud.eucarc("EC2_CERT"));
    assert_eq!(succeed(ec2.args([&url, &id])), format!("ok {id}"));
    cloud.await_state(&id, "terminated");
}
