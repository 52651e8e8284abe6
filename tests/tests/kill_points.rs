//! `kill -9` of each tier between any two steps of an instance's life. The tier dies just before one of the calls by
//! which it writes, renames, removes or sends something ([`points`]), is started again, and its client repeats what was
//! not answered. Then nothing may be lost, doubled, left behind or in between for ever.
//!
//! ```text
//! IRONBARK_KILL_POINTS=8     how many points of each operation (4), or `all`
//! IRONBARK_KILL_SEED=3       which of them; each run takes another seed, and prints it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ironbark_tests::daemon::Daemon;
use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Hypervisor, Settings, points, test_daemon, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// For everything that the cloud must do by itself after a death; no state is for ever. A busy machine needs most of it.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug)]
enum Tier {
    Clc,
    Cc,
    Nc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Run,
    Reboot,
    Stop,
    Start,
    Terminate,
}

impl Operation {
    fn arguments<'a>(self, image: &'a str, token: &'a str, id: &'a str) -> Vec<&'a str> {
        match self {
            Self::Run => vec!["run-instances", image, "--client-token", token],
            Self::Reboot => vec!["reboot-instances", id],
            Self::Stop => vec!["stop-instances", id],
            Self::Start => vec!["start-instances", id],
            Self::Terminate => vec!["terminate-instances", id],
        }
    }

    /// The state that it leads to.
    fn state(self) -> &'static str {
        match self {
            Self::Run | Self::Reboot | Self::Start => "running",
            Self::Stop => "stopped",
            Self::Terminate => "terminated",
        }
    }
}

/// A cloud of which one tier dies again and again.
struct Trial {
    cloud: Cloud,
    tier: Tier,
    image: String,
    /// How many instances have room while there is none.
    room: u64,
    /// What the tiers have in their directories between two lives, once one has been.
    files: BTreeSet<PathBuf>,
    /// Every instance that was acknowledged.
    acknowledged: BTreeSet<String>,
    deaths: u32,
    _guest: TempDir,
}

impl Trial {
    fn begin(tier: Tier) -> Self {
        let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
        let guest = Guest::pretended(files.path());
        let nc_extra = "[reboot]\ngrace_seconds = 1\n[stop]\ngrace_seconds = 2\n".to_string();
        let settings = Settings { hypervisor: Hypervisor::TestDaemon, nc_extra, ..Settings::default() };
        let cloud = Cloud::start(&settings, Some(guest));
        let image = cloud.register_guest();
        let room = room(&cloud).expect("a cloud that has started has room");
        let (acknowledged, known) = (BTreeSet::new(), BTreeSet::new());
        let mut trial = Self { cloud, tier, image, room, files: known, acknowledged, deaths: 0, _guest: files };
        let daemon = trial.daemon();
        daemon.watch();
        daemon.stop();
        daemon.start();
        trial.await_room(0);
        trial
    }

    fn daemon(&mut self) -> &mut Daemon {
        match self.tier {
            Tier::Clc => &mut self.cloud.clc,
            Tier::Cc => &mut self.cloud.cc,
            Tier::Nc => &mut self.cloud.nc,
        }
    }

    /// One instance from its launch to its end; `kill_at` has the point of each operation at which the tier dies. Gives
    /// the points that were met.
    fn live(&mut self, kill_at: &BTreeMap<Operation, usize>) -> BTreeMap<Operation, Vec<String>> {
        let mut met = BTreeMap::new();
        self.daemon().points().arm(kill_at.get(&Operation::Run).copied());
        let (token, id) = self.run();
        met.insert(Operation::Run, self.daemon().points().disarm());
        self.check(Operation::Run, &id);
        for operation in [Operation::Reboot, Operation::Stop, Operation::Start, Operation::Terminate] {
            let boots = self.record(&id).and_then(|record| record["boots"].as_u64()).expect("the node has it");
            self.daemon().points().arm(kill_at.get(&operation).copied());
            self.request(&operation.arguments(&self.image.clone(), &token, &id));
            self.settle(operation, &id, boots);
            met.insert(operation, self.daemon().points().disarm());
            self.revive();
            self.check(operation, &id);
        }
        let again = self.request(&Operation::Run.arguments(&self.image.clone(), &token, &id));
        assert_eq!(again["instancesSet"][0]["instanceId"], id.as_str(), "the same token is the same instance");
        assert!(
            self.files.is_empty() || self.files_now() == self.files,
            "{:?}, not {:?}",
            self.files_now(),
            self.files
        );
        met
    }

    /// Runs an instance: its token and its id. While its node is away the cluster may decline one, and says so.
    fn run(&mut self) -> (String, String) {
        loop {
            let token = uuid::Uuid::new_v4().to_string();
            let answer = self.request(&Operation::Run.arguments(&self.image.clone(), &token, ""));
            let id = answer["instancesSet"][0]["instanceId"].as_str().expect("an instance id").to_string();
            assert!(self.acknowledged.insert(id.clone()), "{id} was given before");
            if self.settle(Operation::Run, &id, 0) {
                return (token, id);
            }
        }
    }

    /// What a client does: the request, again and again until it is answered.
    fn request(&mut self, arguments: &[&str]) -> Value {
        wait_for(&format!("an answer to {arguments:?}"), PATIENCE, || {
            let answer = self.cloud.try_euca(&[&["--output", "json"], arguments].concat());
            self.revive();
            match answer {
                Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
                Err(error) if may_be_tried_again(&error) => {
                    eprintln!("    {}", error.trim());
                    None
                }
                Err(error) => panic!("{arguments:?}: {error}"),
            }
        })
    }

    /// Starts the tier again if it has died, once nothing of its former life is left.
    fn revive(&mut self) {
        let daemon = self.daemon();
        let Some(point) = daemon.points().killed_at() else { return };
        eprintln!("    died before: {point}");
        daemon.kill();
        assert!(daemon.points().ended_within(PATIENCE), "processes of the dead {point} run on");
        daemon.start();
        self.deaths += 1;
    }

    /// Waits until the operation has come to its end everywhere, first at the node, which asks no tier; false for a launch
    /// that was declined for want of a node.
    fn settle(&mut self, operation: Operation, id: &str, boots: u64) -> bool {
        let done = wait_for(&format!("the node to end {operation:?} of {id}"), PATIENCE, || {
            self.revive();
            let Some(record) = self.record(id) else {
                return self.declined(id).then_some(false);
            };
            let rebooted = operation != Operation::Reboot || record["boots"].as_u64()? > boots;
            (rebooted && named(&record["state"]) == operation.state()).then_some(true)
        });
        wait_for(&format!("{id} to be {}", operation.state()), PATIENCE, || {
            self.revive();
            (!done || self.cloud.state(id)? == operation.state()).then_some(())
        });
        done
    }

    fn declined(&self, id: &str) -> bool {
        let Some(instance) = self.cloud.instance(id) else { return false };
        let code = &instance["stateReason"]["code"];
        instance["instanceState"]["name"] == "terminated" && code == "Server.InsufficientInstanceCapacity"
    }

    fn files_now(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for tier in ["clc", "cc", "nc"] {
            files_under(Path::new(&self.cloud.path(tier)), &mut found);
        }
        found
    }

    /// The ends of the logs, without what says only that somebody asked.
    fn last_words(&self) -> String {
        let Cloud { clc, cc, nc, .. } = &self.cloud;
        let quiet = |line: &&str| !line.contains("request.begin") && !line.contains("op=\"Describe");
        let words = |daemon: &Daemon| {
            let log = daemon.log();
            let lines: Vec<&str> = log.lines().filter(quiet).collect();
            lines[lines.len().saturating_sub(30)..].join("\n")
        };
        format!("--- clc\n{}\n--- cc\n{}\n--- nc\n{}", words(clc), words(cc), words(nc))
    }

    /// What must be true between two operations.
    fn check(&self, operation: Operation, id: &str) {
        let shown = self.cloud.json(&["describe-instances"]);
        let ids = shown["reservationSet"].as_array().into_iter().flatten().map(|reservation| {
            let instances = reservation["instancesSet"].as_array().expect("a reservation has instances");
            assert_eq!(instances.len(), 1, "{reservation:#}");
            instances[0]["instanceId"].as_str().expect("an id").to_string()
        });
        let ids: Vec<String> = ids.collect();
        assert_eq!(ids.len(), self.acknowledged.len(), "doubled, or never acknowledged: {ids:?}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), self.acknowledged);

        let lives = operation != Operation::Terminate;
        let expected = BTreeSet::from_iter(lives.then(|| id.to_string()));
        let domains = self.cloud.test_daemon().domains();
        let on: BTreeSet<String> = domains.iter().filter(|(_, on)| **on).map(|(name, _)| name.clone()).collect();
        assert!(domains.keys().all(|name| expected.contains(name)), "left behind: {domains:?}");
        assert_eq!(on, if operation == Operation::Stop { BTreeSet::new() } else { expected.clone() }, "{operation:?}");
        let directories = std::fs::read_dir(self.cloud.path("nc/instances")).expect("the node made it");
        let directories = directories.map(|entry| entry.expect("it can be read").file_name());
        let directories: BTreeSet<String> = directories.map(|name| name.into_string().expect("text")).collect();
        assert_eq!(directories, expected, "the instances' files");
        // A stopped instance keeps its disk, so that how many more fit is another question.
        let taken = match operation {
            Operation::Run | Operation::Reboot | Operation::Start => 1,
            Operation::Terminate => 0,
            Operation::Stop => return,
        };
        self.await_room(taken);
    }

    /// Waits until the cloud says that it has room for all but `taken` of its instances.
    fn await_room(&self, taken: u64) {
        wait_for(&format!("room for {}", self.room - taken), PATIENCE, || {
            (room(&self.cloud)? == self.room - taken).then_some(())
        });
    }

    /// What the node last wrote down of an instance: the newest line of its ledger that begins with the id.
    fn record(&self, id: &str) -> Option<Value> {
        let ledger = std::fs::read_to_string(self.cloud.path("nc/records")).ok()?;
        let key = format!("+{id} ");
        let line = ledger.lines().rev().find_map(|line| line.strip_prefix(&key))?;
        serde_json::from_str(line).ok() // half a line is about to become a whole one
    }
}

/// A state by its name: those with something inside are written as an object.
fn named(state: &Value) -> &str {
    let inside = || state.as_object()?.keys().next().map(String::as_str);
    state.as_str().or_else(inside).expect("a state has a name")
}

/// All files under a directory.
fn files_under(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a tier's own directory") {
        let path = entry.expect("it can be read").path();
        match path.is_dir() {
            true => files_under(&path, found),
            false => drop(found.insert(path)),
        }
    }
}

/// How many more small instances the cloud says it can take.
fn room(cloud: &Cloud) -> Option<u64> {
    let text = cloud.try_euca(&["--output", "json", "describe-instance-types", "m1.small"]).ok()?;
    let types: Value = serde_json::from_str(&text).expect("JSON");
    types["instanceTypeDetails"][0]["availability"][0]["available"].as_str()?.parse().ok()
}

/// As clients judge: what did not arrive, and what the server takes the blame for. And as people do: a reboot of which
/// nobody knows whether the node got it is no error that clients would repeat by themselves.
fn may_be_tried_again(error: &str) -> bool {
    let signs = ["Unavailable", "InternalError", "InsufficientInstanceCapacity", "cannot be reached", "is not known"];
    signs.iter().any(|sign| error.contains(sign))
}

/// The points at which an operation with `count` of them is cut: evenly spread, and moved by the seed.
fn sample(count: usize, wanted: Option<usize>, seed: usize) -> Vec<usize> {
    let wanted = wanted.unwrap_or(count).clamp(1, count);
    let width = count / wanted;
    let shift = seed % width.max(1);
    (0..wanted).map(|index| index * count / wanted + shift).collect()
}

/// How many points of each operation, all if none; and the seed.
fn wanted() -> (Option<usize>, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let all = std::env::var("IRONBARK_KILL_POINTS").is_ok_and(|text| text == "all");
    let count = (!all).then(|| number("IRONBARK_KILL_POINTS").unwrap_or(4));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    (count, number("IRONBARK_KILL_SEED").unwrap_or(usize::try_from(now % 1000).expect("a small number")))
}

/// Counts the points in one undisturbed life, then dies at some of each operation's in further ones.
fn each_point_of(tier: Tier) {
    if !points::possible() || !test_daemon::possible() {
        return;
    }
    let (count, seed) = wanted();
    println!("{tier:?}: IRONBARK_KILL_SEED={seed}");
    let mut trial = Trial::begin(tier);
    let mut due: Vec<(Operation, Vec<usize>)> = Vec::new();
    for (operation, points) in trial.live(&BTreeMap::new()) {
        println!("{tier:?} {operation:?}: {} points", points.len());
        points.iter().enumerate().for_each(|(number, point)| println!("  {number:3} {point}"));
        if !points.is_empty() {
            due.push((operation, sample(points.len(), count, seed)));
        }
    }
    trial.files = trial.files_now();
    let lives = due.iter().map(|(_, points)| points.len()).max().expect("an operation has points");
    let (mut failed, mut deaths) = (Vec::new(), 0);
    for life in 0..lives {
        let chosen = due.iter().filter_map(|(operation, points)| Some((*operation, *points.get(life)?)));
        let chosen = BTreeMap::from_iter(chosen);
        println!("{tier:?}, life {life}: {chosen:?}");
        // What is left of a life that went wrong must not spoil the next.
        if std::panic::catch_unwind(AssertUnwindSafe(|| trial.live(&chosen))).is_err() {
            println!("{}", trial.last_words());
            failed.push(chosen);
            deaths += trial.deaths;
            trial = Trial::begin(tier);
        }
    }
    deaths += trial.deaths;
    println!("{tier:?}: {deaths} deaths in {lives} lives");
    assert!(failed.is_empty(), "{tier:?}: {} lives went wrong: {failed:#?}", failed.len());
    assert!(deaths > 0, "nothing was killed, so nothing was shown");
}

#[test]
fn the_cloud_controller() {
    each_point_of(Tier::Clc);
}

#[test]
fn the_cluster_controller() {
    each_point_of(Tier::Cc);
}

#[test]
fn the_node_controller() {
    each_point_of(Tier::Nc);
}
