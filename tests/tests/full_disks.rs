//! The disk below a tier's state is full for a while, with the real programs: what is acknowledged is kept, what is
//! refused says why and leaves nothing, and all goes on by itself when there is room again.

use std::collections::BTreeSet;
use std::time::Duration;

use ironbark_tests::daemon::Daemon;
use ironbark_tests::small_disk::SmallDisk;
use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// For everything that a cloud does by itself. A busy machine needs most of it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A cloud of which one tier's state is on a small disk, and an instance that runs.
struct Lab {
    cloud: Cloud,
    image: String,
    id: String,
    disk: SmallDisk,
    _guest: TempDir,
}

impl Lab {
    /// None, loudly, where no disk can be mounted.
    fn new(tier: &'static str) -> Option<Self> {
        let disk = SmallDisk::mount()?;
        let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
        let guest = Guest::pretended(files.path());
        let state_on = Some((tier, disk.path().to_path_buf()));
        let nc_extra = "[stop]\ngrace_seconds = 2\n".to_string();
        let cloud = Cloud::start(&Settings { state_on, nc_extra, ..Settings::default() }, Some(guest));
        let image = cloud.register_guest();
        let id = cloud.run(&image, &[]);
        cloud.await_state(&id, "running");
        Some(Self { cloud, image, id, disk, _guest: files })
    }

    /// The instances that have not ended.
    fn living(&self) -> BTreeSet<String> {
        let all = self.cloud.json(&["describe-instances"]);
        let reservations = all["reservationSet"].as_array().cloned().unwrap_or_default();
        let instances = reservations.iter().filter_map(|reservation| reservation["instancesSet"].as_array()).flatten();
        let living = instances.filter(|instance| instance["instanceState"]["name"] != "terminated");
        living.filter_map(|instance| instance["instanceId"].as_str().map(str::to_string)).collect()
    }

    /// The cloud works as if nothing had been: a new instance has a whole life, the old one too, and nothing is left
    /// that does not fit together.
    fn goes_on(&self) {
        let cloud = &self.cloud;
        let new = cloud.run(&self.image, &[]);
        cloud.await_state(&new, "running");
        cloud.euca(&["start-instances", &self.id]);
        cloud.await_state(&self.id, "running");
        assert_eq!(self.living(), BTreeSet::from([self.id.clone(), new.clone()]));
        cloud.euca(&["terminate-instances", &self.id, &new]);
        cloud.await_state(&self.id, "terminated");
        cloud.await_state(&new, "terminated");
        for tier in [&cloud.clc, &cloud.cc, &cloud.nc] {
            assert!(!tier.log().contains("panicked"), "{}", tier.log_tail());
        }
    }

    /// Each node's name and state.
    fn nodes(&self) -> Vec<(String, String)> {
        let all = self.cloud.json(&["admin", "describe-nodes"]);
        let text = |node: &Value, field: &str| node[field].as_str().unwrap_or_default().to_string();
        let nodes = all["nodeSet"].as_array().cloned().unwrap_or_default();
        nodes.iter().map(|node| (text(node, "name"), text(node, "state"))).collect()
    }

    /// Launches until the tier says that its disk is full: the last page of its file may have room for the first.
    fn launch_until_full(&self, tier: &Daemon) -> Vec<String> {
        let launched = ["1", "2", "3", "4"].map(|token| self.cloud.run(&self.image, &["--client-token", token]));
        wait_for("the tier to complain", PATIENCE, || tier.log().contains("No space left").then_some(()));
        launched.to_vec()
    }

    /// Each of these launches came to its end: it runs, or says that it met the full disk. Then they are gone.
    fn all_ended(&self, launched: &[String]) {
        for id in launched {
            let instance = wait_for("a launch to end", PATIENCE, || {
                let instance = self.cloud.instance(id)?;
                (instance["instanceState"]["name"] != "pending").then_some(instance)
            });
            let reason = instance["stateReason"]["message"].as_str().unwrap_or_default();
            let runs = instance["instanceState"]["name"] == "running";
            assert!(runs || reason.contains("No space left"), "{instance:#}");
            self.cloud.euca(&["terminate-instances", id]);
            self.cloud.await_state(id, "terminated");
        }
    }
}

/// A refusal that a client may send again, in the user's words.
fn assert_retryable(error: &str) {
    assert!(error.contains("InternalError") && error.contains("request id"), "{error}");
    assert!(!error.contains("SQL") && !error.contains("cloud.db"), "{error}");
}

#[test]
fn the_cloud_controllers_records() {
    let Some(lab) = Lab::new("clc") else { return };
    let cloud = &lab.cloud;
    lab.disk.fill();
    // There may be room in the files that are there: each request that is acknowledged counts.
    let group = |number: usize| format!("group-{number}");
    let mut made = 0;
    let refusal = loop {
        match cloud.try_euca(&["create-group", &group(made), "-d", &"while the disk is full ".repeat(10)]) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 500, "the disk is not full");
    };
    assert_retryable(&refusal);
    let launch = || cloud.try_euca(&["run-instances", &lab.image, "--client-token", "once"]);
    for answer in [launch(), cloud.try_euca(&["stop-instances", &lab.id])] {
        if let Err(error) = answer {
            assert_retryable(&error);
        }
    }
    assert_eq!(cloud.instance(&lab.id).expect("what can be read is served")["instanceId"], lab.id.as_str());

    lab.disk.free();
    wait_for("room for the launch", PATIENCE, || launch().ok());
    wait_for("room for the stop", PATIENCE, || cloud.try_euca(&["stop-instances", &lab.id]).ok());
    cloud.await_state(&lab.id, "stopped");
    let second = lab.living().into_iter().find(|id| *id != lab.id).expect("the launch");
    assert_eq!(lab.living().len(), 2, "sent again and again, launched once");
    cloud.euca(&["terminate-instances", &second]);
    cloud.await_state(&second, "terminated");
    let groups = cloud.euca(&["describe-groups"]);
    for number in 0..made {
        assert!(groups.contains(&group(number)), "{} was acknowledged: {groups}", group(number));
    }
    assert!(!groups.contains(&group(made)), "{} was refused: {groups}", group(made));
    lab.goes_on();
}

#[test]
fn the_cluster_controllers_journal() {
    let Some(mut lab) = Lab::new("cc") else { return };
    let register = |cloud: &Cloud| {
        let (url, cert) = ("http://127.0.0.1:1/axis2/services/EucalyptusNC", cloud.path("nc/cert.pem"));
        cloud.try_euca(&["admin", "register-node", "cluster1", "n2", url, "--cert", &cert])
    };
    lab.disk.fill();
    let launched = lab.launch_until_full(&lab.cloud.cc);
    lab.cloud.euca(&["stop-instances", &lab.id]);
    let refused = register(&lab.cloud).expect_err("it cannot be written down");
    assert!(refused.contains("Unavailable") && refused.contains("No space left"), "{refused}");
    assert!(lab.nodes().iter().all(|(name, _)| name == "n1"), "{:?}", lab.nodes());

    lab.disk.free();
    lab.cloud.await_state(&lab.id, "stopped");
    // They were acknowledged, and are sent again and again until they can be written down.
    launched.iter().for_each(|id| lab.cloud.await_state(id, "running"));
    lab.all_ended(&launched);
    lab.goes_on();
    lab.cloud.cc.kill();
    lab.cloud.cc.start();
    wait_for("the cluster to answer again", PATIENCE, || register(&lab.cloud).ok());
    wait_for("the new node to be asked", PATIENCE, || {
        (lab.nodes() == [("n1", "up"), ("n2", "down")].map(|(name, state)| (name.to_string(), state.to_string())))
            .then_some(())
    });
}

#[test]
fn the_nodes_ledger() {
    let Some(lab) = Lab::new("nc") else { return };
    lab.disk.fill();
    let launched = lab.launch_until_full(&lab.cloud.nc);
    lab.cloud.euca(&["stop-instances", &lab.id]);
    wait_for("the node to refuse", PATIENCE, || lab.cloud.clc.log().contains("could not be saved").then_some(()));
    assert_eq!(lab.cloud.state(&lab.id).as_deref(), Some("stopping"), "nothing is done that is not written down");
    lab.disk.free();
    lab.cloud.await_state(&lab.id, "stopped");
    lab.all_ended(&launched);
    lab.goes_on();
}
