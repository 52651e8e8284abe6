//! The three programs on loopback over libvirt's mock: an instance's life, the trace of its
//! reboot, and `kill -9` of the upper tiers.

use std::collections::BTreeSet;

use ironbark_tests::daemon::program;
use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings};
use tempfile::TempDir;

/// A cloud over libvirt's mock and an image in it. The guest's files live as long as the first.
fn cloud(isolation: &'static str) -> (TempDir, Cloud, String) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let guest = Guest::pretended(files.path());
    let cloud = Cloud::start(&Settings { isolation, ..Settings::default() }, Some(guest));
    let image = cloud.register_guest();
    (files, cloud, image)
}

fn whole_life(isolation: &'static str) {
    let (_files, cloud, image) = cloud(isolation);
    let id = cloud.run(&image, &["-t", "m1.small"]);
    cloud.await_state(&id, "running");

    let reboot = cloud.json(&["reboot-instances", &id]);
    let request = reboot["requestId"].as_str().expect("every answer has a request id");
    let trace = cloud.json(&["trace", request]);
    let spans = trace["spanSet"].as_array().expect("spans");
    let tiers: BTreeSet<&str> = spans.iter().filter_map(|span| span["tier"].as_str()?.split(':').next()).collect();
    assert_eq!(tiers, BTreeSet::from(["clc", "cc", "nc"]), "{trace:#}");
    assert_spans_fit(spans);
    for daemon in [&cloud.clc, &cloud.cc, &cloud.nc] {
        assert!(daemon.log().contains(request), "the request id is in every tier's log");
    }

    let change = cloud.json(&["terminate-instances", &id]);
    assert_eq!(change["instancesSet"][0]["previousState"]["name"], "running");
    cloud.await_state(&id, "terminated");
}

/// Every span but the first has its parent in the trace, and no tier takes longer for a call than
/// its caller waited for it.
fn assert_spans_fit(spans: &[serde_json::Value]) {
    let number = |span: &serde_json::Value, field: &str| -> i64 {
        span[field].as_str().and_then(|text| text.parse().ok()).expect("a number of microseconds")
    };
    let mut roots = 0;
    for span in spans {
        let Some(parent) = span["parent"].as_str() else {
            roots += 1;
            continue;
        };
        let parent =
            spans.iter().find(|other| other["id"] == parent).unwrap_or_else(|| panic!("no parent of {span:#}"));
        if parent["name"].as_str().is_some_and(|name| name.contains(".call.")) {
            assert!(number(span, "duration") <= number(parent, "duration"), "{span:#} in {parent:#}");
        }
    }
    assert_eq!(roots, 1, "one tree: {spans:#?}");
}

#[test]
fn a_life_with_forked_calls() {
    whole_life("fork");
}

#[test]
fn a_life_with_calls_behind_a_semaphore() {
    whole_life("semaphore");
}

#[test]
fn upper_tiers_may_be_killed_at_any_time() {
    let (_files, mut cloud, image) = cloud("fork");
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");

    cloud.cc.kill();
    cloud.cc.start();
    cloud.clc.kill();
    cloud.clc.start();
    cloud.await_state(&id, "running");
    ironbark_tests::wait_for("a reboot after both were killed", std::time::Duration::from_secs(30), || {
        cloud.try_euca(&["reboot-instances", &id]).ok()
    });

    // Acknowledged, then killed at once: nothing of it may be lost.
    let second = cloud.run(&image, &[]);
    cloud.clc.kill();
    cloud.cc.kill();
    cloud.cc.start();
    cloud.clc.start();
    cloud.await_state(&second, "running");
    cloud.euca(&["terminate-instances", &id, &second]);
    cloud.clc.kill();
    cloud.clc.start();
    cloud.await_state(&id, "terminated");
    cloud.await_state(&second, "terminated");
}

#[test]
fn refusals_are_one_line_with_code_and_request_id() {
    let (_files, cloud, _image) = cloud("semaphore");
    let error = cloud.try_euca(&["reboot-instances", "i-00000000"]).expect_err("there is no such instance");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    assert!(error.contains("InvalidInstanceID.NotFound") && error.contains("request id"), "{error}");
    let error = cloud.try_euca(&["run-instances", "emi-00000000"]).expect_err("there is no such image");
    assert!(error.contains("InvalidAMIID.NotFound"), "{error}");
}

#[test]
fn a_user_sees_only_what_is_theirs() {
    let (_files, cloud, image) = cloud("semaphore");
    let id = cloud.run(&image, &[]);
    cloud.euca(&["admin", "create-account", "alice"]);
    let (of_alice, of_guest) = (cloud.path("alice"), cloud.path("guest"));
    cloud.euca(&["admin", "get-credentials", "admin", &of_alice, "--account", "alice"]);
    let by = |credentials: &str, arguments: &[&str]| {
        let output =
            cloud.client(program("euca")).arg("--eucarc").arg(format!("{credentials}/eucarc")).args(arguments).output();
        let output = output.expect("euca can be started");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let alice = |arguments: &[&str]| by(&of_alice, arguments);
    assert!(!alice(&["describe-instances"]).1.contains(&id));
    let (done, said) = alice(&["terminate-instances", &id]);
    assert!(!done && said.contains("InvalidInstanceID.NotFound"), "{said}");
    let (done, said) = alice(&["admin", "describe-accounts"]);
    assert!(!done && said.contains("UnauthorizedOperation"), "{said}");

    // Within the account, a group gives its members their role.
    assert!(alice(&["admin", "create-group", "watchers", "reader"]).0);
    assert!(alice(&["admin", "create-user", "guest", "--group", "watchers"]).0);
    assert!(alice(&["admin", "get-credentials", "guest", &of_guest]).0);
    let guest = |arguments: &[&str]| by(&of_guest, arguments);
    let (done, said) = alice(&["run-instances", &image]);
    assert!(done, "{said}");
    let own = said.split_whitespace().find(|word| word.starts_with("i-")).expect("an instance").to_string();
    assert!(guest(&["describe-instances"]).1.contains(&own), "users of an account share its resources");
    let (done, said) = guest(&["terminate-instances", &own]);
    assert!(!done && said.contains("UnauthorizedOperation") && said.contains("operator"), "{said}");

    // Anybody may take a new key and withdraw the old one; what is withdrawn signs no more.
    let keys = guest(&["admin", "describe-access-keys"]).1;
    let old = keys.split_whitespace().find(|word| word.starts_with("AKI")).expect("a key").to_string();
    assert!(guest(&["admin", "create-access-key"]).1.starts_with("ACCESSKEY\tAKI"));
    assert!(guest(&["admin", "update-access-key", &old, "inactive"]).0);
    let (done, said) = guest(&["describe-instances"]);
    assert!(!done && said.contains("AuthFailure"), "{said}");
}
