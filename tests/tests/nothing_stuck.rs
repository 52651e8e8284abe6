//! What goes wrong in a cloud, with the real programs over libvirt's mock: requests that all come at once, an image that is
//! none, tiers that go away. Nothing is stuck, doubled or left behind, and `euca doctor` tells the cause of each in words.

use std::path::Path;
use std::time::Duration;

use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Hypervisor, Settings, test_daemon, wait_for};
use tempfile::TempDir;

/// Requests on one instance, all at once.
const REQUESTS: usize = 100;
/// For everything that a cloud does by itself. A busy machine needs most of it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A cloud over the mock in a daemon of its own, and an image in it; none, loudly, where that cannot be.
fn cloud() -> Option<(TempDir, Cloud, String)> {
    if !test_daemon::possible() {
        return None;
    }
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let guest = Guest::pretended(files.path());
    let nc_extra = "[reboot]\ngrace_seconds = 1\n[stop]\ngrace_seconds = 2\n".to_string();
    let settings = Settings { hypervisor: Hypervisor::TestDaemon, nc_extra, ..Settings::default() };
    let cloud = Cloud::start(&settings, Some(guest));
    let image = cloud.register_guest();
    Some((files, cloud, image))
}

/// Every request at once, from many clients; what each was told.
fn at_once(cloud: &Cloud, requests: &[Vec<&str>]) -> Vec<Result<String, String>> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = requests.iter().map(|arguments| scope.spawn(move || cloud.try_euca(arguments))).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect()
    })
}

/// Nothing but the state being a wrong one is an answer to a request that came at the wrong moment.
fn assert_answers_are_legal(answers: &[Result<String, String>]) {
    for answer in answers {
        if let Err(error) = answer {
            assert!(error.contains("IncorrectInstanceState"), "{error}");
        }
    }
}

/// What the doctor finds, once that is what is wanted.
fn await_doctor(cloud: &Cloud, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(what, PATIENCE, || {
            last = cloud.try_euca(&["doctor"]).unwrap_or_else(|error| error);
            wanted(&last).then_some(())
        });
    }));
    if let Err(panic) = found {
        eprintln!("the doctor's last word:\n{last}");
        std::panic::resume_unwind(panic);
    }
    last
}

fn await_all_well(cloud: &Cloud) {
    await_doctor(cloud, "everything to fit together", |found| found.contains("everything fits together"));
}

/// How many domains there are, and how many instances' directories.
fn left(cloud: &Cloud) -> (usize, usize) {
    let directories = std::fs::read_dir(Path::new(&cloud.path("nc/instances"))).expect("the node made it");
    (cloud.test_daemon().domains().len(), directories.count())
}

#[test]
fn requests_that_all_come_at_once_leave_one_instance_in_one_state() {
    let Some((_files, cloud, image)) = cloud() else { return };
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    let kinds = [vec!["stop-instances", &id], vec!["start-instances", &id], vec!["stop-instances", "--force", &id]];
    let requests: Vec<Vec<&str>> = (0..REQUESTS).map(|number| kinds[number % kinds.len()].clone()).collect();
    assert_answers_are_legal(&at_once(&cloud, &requests));
    let state = wait_for("the instance to come to rest", PATIENCE, || {
        cloud.state(&id).filter(|state| state == "running" || state == "stopped")
    });
    await_all_well(&cloud);
    let state = cloud.state(&id).unwrap_or(state);
    assert_eq!(cloud.test_daemon().domains().len(), 1, "one instance has one domain, on or off");
    assert_eq!(cloud.test_daemon().domains().get(&id), Some(&(state == "running")), "{state}");
    assert_eq!(left(&cloud), (1, 1));

    // With one termination among them, that is how it ends.
    let kinds = [vec!["terminate-instances", &id], vec!["start-instances", &id], vec!["stop-instances", &id]];
    let requests: Vec<Vec<&str>> = (0..REQUESTS).map(|number| kinds[number % kinds.len()].clone()).collect();
    assert_answers_are_legal(&at_once(&cloud, &requests));
    cloud.await_state(&id, "terminated");
    await_all_well(&cloud);
    wait_for("nothing to be left", PATIENCE, || (left(&cloud) == (0, 0)).then_some(()));
}

#[test]
fn one_command_tells_the_cause_of_each() {
    let Some((files, mut cloud, image)) = cloud() else { return };
    await_all_well(&cloud);

    // An image that is none.
    let packed = files.path().join("packed.img");
    std::fs::write(&packed, b"\x1f\x8b packed").expect("the test's own directory");
    let url = format!("file://{}", packed.display());
    let answer = cloud.json(&["register", "-n", "packed", "--image-type", "machine", &url]);
    let packed = answer["imageId"].as_str().expect("an image id").to_string();
    let broken = cloud.run(&packed, &[]);
    cloud.await_state(&broken, "terminated");
    let found = await_doctor(&cloud, "the broken image", |found| found.contains(&broken));
    assert!(found.contains("compressed with gzip"), "{found}");
    assert!(found.contains("nothing of it is left to repair"), "{found}");
    assert_eq!(left(&cloud), (0, 0));

    // A cluster controller that is away.
    let id = cloud.run(&image, &[]);
    cloud.await_state(&id, "running");
    cloud.cc.kill();
    let found = await_doctor(&cloud, "the silent cluster", |found| found.contains("cluster-silent"));
    assert!(found.contains("cluster cluster1 does not answer"), "{found}");
    let told = cloud.euca(&["admin", "unstick", &id]);
    assert!(told.contains("is running since") && told.contains("cluster-silent"), "{told}");
    cloud.cc.start();
    await_doctor(&cloud, "the cluster to be back", |found| !found.contains("cluster-silent"));

    // A node controller that is killed in the middle of a launch, and is away for a while.
    let second = cloud.run(&image, &[]);
    cloud.nc.kill();
    let found = await_doctor(&cloud, "the silent node", |found| found.contains("node-silent"));
    assert!(found.contains("node n1 is down since") || found.contains("node n1 cannot be reached"), "{found}");
    cloud.euca(&["terminate-instances", &id]);
    cloud.nc.start();
    cloud.await_state(&id, "terminated");
    wait_for("the launch to be decided", PATIENCE, || {
        cloud.state(&second).filter(|state| state == "running" || state == "terminated")
    });
    cloud.euca(&["terminate-instances", &second]);
    cloud.await_state(&second, "terminated");
    await_doctor(&cloud, "nothing but what has failed", |found| !found.contains("silent") && !found.contains("late"));
    wait_for("nothing to be left", PATIENCE, || (left(&cloud) == (0, 0)).then_some(()));
}
