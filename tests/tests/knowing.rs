//! What is known of a request afterwards, from the cloud controller alone: the trace has a name for
//! all of its time, the lines of all tiers' logs are found by its id and are those of the manual, and
//! the history of its instance tells what came of it. Three real programs over libvirt's mock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ironbark_tests::tools::Guest;
use ironbark_tests::{Cloud, Settings, wait_for};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

fn cloud() -> (TempDir, Cloud, String) {
    let files = TempDir::with_prefix("ironbark-guest-").expect("a temporary directory");
    let guest = Guest::pretended(files.path());
    // The mock's guest obeys no reboot: it is reset after its time of grace.
    let nc_extra = "[reboot]\ngrace_seconds = 1\n".to_string();
    let cloud = Cloud::start(&Settings { nc_extra, ..Settings::default() }, Some(guest));
    let image = cloud.register_guest();
    (files, cloud, image)
}

/// A span: id, parent, name, from, to (microseconds).
struct Span {
    id: String,
    parent: String,
    name: String,
    from: i64,
    to: i64,
}

fn trace(cloud: &Cloud, request: &str) -> Vec<Span> {
    let trace = cloud.json(&["trace", request]);
    let text = |span: &Value, field: &str| span[field].as_str().unwrap_or_default().to_string();
    let number = |span: &Value, field: &str| text(span, field).parse::<i64>().expect("microseconds");
    let read = |span: &Value| Span {
        id: text(span, "id"),
        parent: text(span, "parent"),
        name: text(span, "name"),
        from: number(span, "start"),
        to: number(span, "start") + number(span, "duration"),
    };
    trace["spanSet"].as_array().expect("spans").iter().map(read).collect()
}

/// How much of a span's time its descendants cover together, and its time, in microseconds.
fn covered(spans: &[Span], of: &Span) -> (i64, i64) {
    let mut within = BTreeSet::from([of.id.as_str()]);
    loop {
        let more = spans.iter().filter(|span| within.contains(span.parent.as_str())).map(|span| span.id.as_str());
        let more: BTreeSet<&str> = more.chain(within.iter().copied()).collect();
        if more.len() == within.len() {
            break;
        }
        within = more;
    }
    let descendants = spans.iter().filter(|span| span.id != of.id && within.contains(span.id.as_str()));
    let mut parts: Vec<(i64, i64)> =
        descendants.map(|span| (span.from.clamp(of.from, of.to), span.to.clamp(of.from, of.to))).collect();
    parts.sort_unstable();
    let (mut sum, mut reached) = (0, of.from);
    for (from, to) in parts {
        sum += (to - from.max(reached)).max(0);
        reached = reached.max(to);
    }
    (sum, of.to - of.from)
}

fn request_id(answer: &Value) -> String {
    answer["requestId"].as_str().unwrap_or_else(|| panic!("no request id in {answer:#}")).to_string()
}

/// Everyday requests, each with its answer's request id; the first word is the command.
fn everyday(cloud: &Cloud, image: &str) -> (String, Vec<(&'static str, String)>) {
    let mut asked = Vec::new();
    let mut ask = |arguments: &[&str], name: &'static str| {
        let answer = cloud.json(arguments);
        asked.push((name, request_id(&answer)));
        answer
    };
    let run = ask(&["run-instances", image, "-t", "m1.small"], "run-instances");
    let id = run["instancesSet"][0]["instanceId"].as_str().expect("an instance id").to_string();
    cloud.await_state(&id, "running");
    for command in [
        "describe-instances",
        "describe-instance-status",
        "describe-images",
        "describe-keypairs",
        "describe-groups",
        "describe-tags",
        "describe-addresses",
        "describe-availability-zones",
        "describe-instance-types",
    ] {
        ask(&[command], command);
    }
    ask(&["create-tags", &id, "--tag", "name=web"], "create-tags");
    ask(&["allocate-address"], "allocate-address");
    ask(&["monitor-instances", &id], "monitor-instances");
    ask(&["get-console-output", &id], "get-console-output");
    ask(&["get-password-data", &id], "get-password-data");
    ask(&["doctor"], "doctor");
    let first = request_id(&run);
    ask(&["trace", &first], "trace");
    ask(&["logs", &first], "logs");
    ask(&["reboot-instances", &id], "reboot-instances");
    await_end(cloud, &id, "RebootInstances");
    ask(&["stop-instances", &id], "stop-instances");
    cloud.await_state(&id, "stopped");
    ask(&["start-instances", &id], "start-instances");
    cloud.await_state(&id, "running");
    ask(&["terminate-instances", &id], "terminate-instances");
    cloud.await_state(&id, "terminated");
    (id, asked)
}

/// Waits until the history has an end for the action; gives that row.
fn await_end(cloud: &Cloud, id: &str, action: &str) -> Value {
    wait_for(&format!("the end of {action}"), PATIENCE, || {
        let history = cloud.json(&["history", id]);
        let rows = history["historySet"].as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["action"] == action && row["result"].is_string())
    })
}

/// The tiers that the lines of a request come from.
fn tiers(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().filter_map(|line| line["tier"].as_str()?.split(':').next()).collect()
}

/// Every request that goes down to the node.
const THROUGH_ALL_TIERS: [&str; 10] = [
    "run-instances",
    "get-console-output",
    "get-password-data",
    "reboot-instances",
    "stop-instances",
    "start-instances",
    "terminate-instances",
    "doctor",
    "trace",
    "logs",
];

/// The life of an instance: EC2's name of each request, and the command.
const LIFE: [(&str, &str); 5] = [
    ("RunInstances", "run-instances"),
    ("RebootInstances", "reboot-instances"),
    ("StopInstances", "stop-instances"),
    ("StartInstances", "start-instances"),
    ("TerminateInstances", "terminate-instances"),
];

/// The events of each tier, by the tier's name.
type Events = BTreeMap<String, BTreeSet<String>>;

/// What the manual says a request leaves in each tier's log.
fn events_told(action: &str) -> Events {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    let row = manual.lines().find(|line| line.starts_with(&format!("| `{action}` | `")));
    let row = row.unwrap_or_else(|| panic!("OPERATIONS.md has no row of the events of {action}"));
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect();
    ["clc", "cc", "nc"].map(str::to_string).into_iter().zip(row.split('|').skip(2).map(names)).collect()
}

/// In every tier's log are the events that the manual names, and no others.
fn assert_events(cloud: &Cloud, action: &str, request: &str) {
    let told = events_told(action);
    let mut logged = Events::new();
    wait_for(&format!("the events of {action}"), PATIENCE, || {
        logged.clear();
        for line in cloud.json(&["logs", request])["lineSet"].as_array().expect("lines") {
            let tier = line["tier"].as_str().and_then(|tier| tier.split(':').next()).unwrap_or_default();
            let event = line["event"].as_str().unwrap_or_default();
            logged.entry(tier.to_string()).or_default().insert(event.to_string());
        }
        let all = told.iter().all(|(tier, events)| logged.get(tier).is_some_and(|logged| logged.is_superset(events)));
        all.then_some(())
    });
    assert_eq!(logged, told, "{action}");
}

#[test]
fn of_every_everyday_request_all_is_known() {
    let (_files, cloud, image) = cloud();
    let (id, asked) = everyday(&cloud, &image);
    let (mut background_covered, mut background) = (0, 0);
    for (command, request) in &asked {
        let spans = trace(&cloud, request);
        let roots: Vec<&Span> =
            spans.iter().filter(|span| !spans.iter().any(|other| other.id == span.parent)).collect();
        assert_eq!(roots.iter().map(|root| root.name.as_str()).collect::<Vec<_>>(), ["clc.request"], "{command}");
        let (sum, all) = covered(&spans, roots[0]);
        eprintln!("{command}: steps cover {sum} of {all} µs");
        assert!(sum * 100 >= all * 95, "{command}: steps cover {sum} of {all} µs");
        // Judged together: each for itself is short, and a busy machine may pause it between two steps.
        for work in ["clc.launch", "clc.stop", "clc.start", "clc.terminate"] {
            for span in spans.iter().filter(|span| span.name == work) {
                let (sum, all) = covered(&spans, span);
                background_covered += sum;
                background += all;
            }
        }
        if THROUGH_ALL_TIERS.contains(command) {
            for daemon in [&cloud.clc, &cloud.cc, &cloud.nc] {
                assert!(daemon.log().contains(request.as_str()), "{command}: its id is in every tier's log");
            }
            let answer = cloud.json(&["logs", request]);
            let lines = answer["lineSet"].as_array().expect("lines");
            assert_eq!(tiers(lines), BTreeSet::from(["clc", "cc", "nc"]), "{command}: {answer:#}");
            let times: Vec<i64> = lines.iter().map(|line| line["time"].as_str().unwrap().parse().unwrap()).collect();
            assert!(times.is_sorted(), "by time: {times:?}");
        }
    }
    for (action, command) in LIFE {
        let request = &asked.iter().find(|(name, _)| *name == command).expect("it was asked").1;
        assert_events(&cloud, action, request);
    }
    assert!(background > 0 && background_covered * 100 >= background * 95, "{background_covered} of {background} µs");

    let run = &asked[0].1;
    let names: BTreeSet<String> = trace(&cloud, run).into_iter().map(|span| span.name).collect();
    for step in ["clc.launch", "cc.place", "nc.launch", "nc.image", "nc.seed", "nc.domain.start", "clc.refresh.learnt"]
    {
        assert!(names.contains(step), "{step} is a step of the launch: {names:?}");
    }
    let text = cloud.euca(&["trace", run]);
    eprintln!("{text}{}{}", cloud.euca(&["logs", run]), cloud.euca(&["history", &id]));
    assert!(text.lines().last().is_some_and(|last| last.contains("longest by themselves: ")), "{text}");

    let history = cloud.json(&["history", &id]);
    let rows = history["historySet"].as_array().expect("rows");
    let actions: Vec<&str> = rows.iter().filter_map(|row| row["action"].as_str()).collect();
    let expected = [
        "RunInstances",
        "MonitorInstances",
        "RebootInstances",
        "StopInstances",
        "StartInstances",
        "TerminateInstances",
    ];
    assert_eq!(actions, expected);
    for row in rows {
        assert_eq!(row["by"], "admin/admin");
        assert!(asked.iter().any(|(_, request)| row["requestId"] == request.as_str()), "{row:#}");
        assert!(row["ended"].is_string() && row["duration"].is_string() && row["result"].is_string(), "{row:#}");
    }
    let reboot = rows.iter().find(|row| row["action"] == "RebootInstances").expect("the reboot");
    let result = reboot["result"].as_str().unwrap_or_default();
    assert!(["obeyed", "reset", "started again"].iter().any(|how| result.contains(how)), "the node's word: {result}");
}

#[test]
fn lines_are_for_who_asked_and_no_secret_is_in_them() {
    let (_files, cloud, image) = cloud();
    let answer = cloud.json(&["run-instances", &image, "-d", "a-password-in-user-data"]);
    let request = request_id(&answer);
    let id = answer["instancesSet"][0]["instanceId"].as_str().expect("an instance id");
    cloud.await_state(id, "running");
    let lines = cloud.euca(&["logs", &format!("req-{request}")]);
    assert!(
        lines.contains("request.end") && lines.contains("launch.told") && lines.contains("refresh.learnt"),
        "{lines}"
    );
    assert!(!lines.contains("a-password-in-user-data"));
    cloud.euca(&["admin", "create-account", "alice"]);
    cloud.euca(&["admin", "get-credentials", "admin", &cloud.path("alice"), "--account", "alice"]);
    let eucarc = format!("{}/eucarc", cloud.path("alice"));
    for command in ["logs", "trace"] {
        let refused = cloud.try_euca(&["--eucarc", &eucarc, command, &request]).expect_err("it is another's request");
        assert!(refused.contains("NoSuchEntity"), "{refused}");
    }
    let refused = cloud.try_euca(&["--eucarc", &eucarc, "history", id]).expect_err("it is another's instance");
    assert!(refused.contains("InvalidInstanceID.NotFound"), "{refused}");
    // Whoever runs an instance reads all of its request but which node it went to.
    let answer = cloud.json(&["--eucarc", &eucarc, "run-instances", &image]);
    let (request, id) = (request_id(&answer), answer["instancesSet"][0]["instanceId"].as_str().expect("an id"));
    cloud.await_state(id, "running");
    for command in ["logs", "trace"] {
        let (all, shown) = (cloud.euca(&[command, &request]), cloud.euca(&["--eucarc", &eucarc, command, &request]));
        assert!(all.contains("nc:n1") && !all.contains("[hidden]"), "{all}");
        assert!(shown.contains("nc:[hidden]") && !shown.contains("nc:n1"), "{shown}");
    }
    let refused = cloud.try_euca(&["logs", "nonsense"]).expect_err("no request has such an id");
    assert!(refused.contains("UUID"), "{refused}");
}
