//! Why an instance is where it is, and why there was no room, as a newcomer reads it: three real programs
//! over libvirt's mock, and `euca schedule`.

use std::time::Duration;

use ironbark_tests::daemon::program;
use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings, wait_for};
use tempfile::TempDir;

/// The lines of a table with their columns one blank apart.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The request that a refusal names in its advice.
fn advised(refusal: &str) -> String {
    let word = refusal.split(|c: char| c.is_whitespace() || c == '`').find(|word| word.starts_with("req-"));
    word.unwrap_or_else(|| panic!("no advice in: {refusal}")).to_string()
}

#[test]
fn placements_and_refusals_are_explained() {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let settings = Settings { isolation: "semaphore", ..Settings::default() };
    let mut cloud = Cloud::start(&settings, Some(Guest::pretended(files.path())));
    let image = cloud.register_guest();

    // Before anything happens.
    let plan = lines(&cloud.euca(&["schedule", "plan"]));
    assert_eq!(plan[1], "cluster1 yes has room for 1", "{plan:#?}");
    assert!(
        plan[4].starts_with("cluster1 #1 planned 1 n1 failures 0, builds 0, group 0, policy 0, memory "),
        "{plan:#?}"
    );
    let plan = cloud.euca(&["schedule", "plan", "-n", "500"]);
    assert!(plan.contains("of 500; for the next one, 1 node has too"), "{plan}");
    let refused = cloud.try_euca(&["schedule", "plan", "-t", "m9.none"]).unwrap_err();
    assert!(refused.contains("InvalidParameterValue") && refused.contains("m1.small"), "{refused}");

    // An image for other processors, and a node that is being looked after.
    let root = format!("file://{}", files.path().join("root.img").display());
    let foreign = cloud.json(&["register", "-n", "foreign", "--architecture", "arm64", &root]);
    let foreign = foreign["imageId"].as_str().expect("an image");
    let plan = cloud.euca(&["schedule", "plan", "-i", foreign]);
    assert!(plan.contains("n1    runs x86_64, and the image is for arm64"), "{plan}");
    let refused = wait_for("the cloud to know what its nodes run", Duration::from_secs(60), || {
        cloud
            .try_euca(&["run-instances", foreign])
            .err()
            .filter(|refused| refused.contains("InsufficientInstanceCapacity"))
    });
    assert!(refused.contains("1 node has another architecture than the image"), "{refused}");
    cloud.euca(&["admin", "drain-node", "cluster1", "n1", "--reason", "new disk"]);
    let refused = wait_for("nothing new to be placed", Duration::from_secs(60), || {
        cloud
            .try_euca(&["run-instances", &image])
            .err()
            .filter(|refused| refused.contains("InsufficientInstanceCapacity"))
    });
    assert!(refused.contains("1 node is draining"), "{refused}");
    let nodes = wait_for("the node to be shown as draining", Duration::from_secs(60), || {
        let nodes = cloud.euca(&["admin", "describe-nodes"]);
        nodes.contains("up, draining").then_some(nodes)
    });
    assert!(nodes.contains(": new disk"), "{nodes}");
    cloud.euca(&["admin", "undrain-node", "cluster1", "n1"]);
    let refused = cloud.try_euca(&["admin", "drain-node", "cluster1", "n9"]).unwrap_err();
    assert!(refused.contains("NoSuchEntity") && refused.contains("n9"), "{refused}");

    // A launch that found its place.
    let run = cloud.json(&["run-instances", &image]);
    let id = run["instancesSet"][0]["instanceId"].as_str().expect("an instance").to_string();
    cloud.await_state(&id, "running");
    let request = run["requestId"].as_str().expect("every answer has a request id");
    let explained = lines(&cloud.euca(&["schedule", "explain", request]));
    assert!(explained[1].starts_with("cluster1 yes has room for "), "{explained:#?}");
    let taken = format!("cluster1 {id} taken 1 n1 ");
    assert!(explained.iter().any(|line| line.starts_with(&taken)), "{explained:#?}");

    // More than there is room for: the refusal says what is missing, and where the rest of the story is.
    let refused = cloud.try_euca(&["run-instances", &image, "-n", "500"]).unwrap_err();
    assert!(refused.contains("InsufficientInstanceCapacity") && refused.contains("1 node has too"), "{refused}");
    let explained = cloud.euca(&["schedule", "explain", &advised(&refused)]);
    assert!(explained.contains("has only ") && explained.contains("n1"), "{explained}");

    // Another account sees its own launches, in counts.
    cloud.euca(&["admin", "create-account", "alice"]);
    let of_alice = cloud.path("alice");
    cloud.euca(&["admin", "get-credentials", "admin", &of_alice, "--account", "alice"]);
    let alice = |arguments: &[&str]| {
        let rc = format!("{of_alice}/eucarc");
        let output = cloud.client(program("euca")).arg("--eucarc").arg(rc).args(arguments).output();
        let output = output.expect("euca can be started");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let refused = alice(&["run-instances", &image, "-n", "500"]);
    assert!(refused.contains("1 node has too") && !refused.contains("n1"), "{refused}");
    let hers = alice(&["schedule", "explain", &advised(&refused)]);
    assert!(hers.contains("1 node") && !hers.contains("n1"), "{hers}");
    assert!(alice(&["schedule", "explain", request]).contains("NoSuchEntity"));

    // A node that is down, and how a launch is refused for it; what was decided outlives the controllers.
    cloud.nc.kill();
    let refused = wait_for("the node to be held for down", Duration::from_secs(90), || {
        cloud.try_euca(&["run-instances", &image]).err().filter(|refused| refused.contains("1 node is down"))
    });
    cloud.cc.kill();
    cloud.clc.kill();
    cloud.cc.start();
    cloud.clc.start();
    let explained = wait_for("the controllers to be back", Duration::from_secs(60), || {
        let text = cloud.try_euca(&["schedule", "explain", &advised(&refused)]).ok()?;
        text.contains("n1").then_some(text)
    });
    assert!(explained.contains("nowhere") && explained.contains("is down since"), "{explained}");
}
