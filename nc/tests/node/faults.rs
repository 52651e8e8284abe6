//! Each step of a launch fails, and the node is as it was before; what others do to a domain behind our back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ironbark_nc::hypervisor::scripted::Fault;
use ironbark_nc::hypervisor::{DomainState, OffReason};
use ironbark_wsdl::{ironbark, nc};

use crate::lab::{Lab, Running};

const OLD: &str = "i-00000001";
const NEW: &str = "i-00000002";

/// All that a launch could leave behind.
#[derive(Debug, PartialEq, Eq)]
struct World {
    domains: Vec<bool>,
    files: BTreeSet<PathBuf>,
    free: (i32, i32, i32),
}

impl World {
    async fn of(lab: &Lab, node: &Running) -> Self {
        let mut files = BTreeSet::new();
        list(&lab.state_dir(), &mut files);
        let room = node.call(nc::DescribeResource::default()).await.unwrap();
        Self {
            domains: [OLD, NEW].map(|id| lab.hypervisor.spec(id).is_some()).to_vec(),
            files,
            free: (room.memory_size_available, room.disk_size_available, room.number_of_cores_available),
        }
    }
}

fn list(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, found);
        }
        found.insert(path);
    }
}

type Break = fn(&Lab, &mut nc::RunInstance);
type Mischief = fn(&Lab);

/// What is broken for the step that bears the name, and what its reason must say.
const STEPS: [(&str, Break, &str); 10] = [
    ("root image", |lab, launch| launch.image_url = format!("file://{}/no-such", lab.images().display()), "no-such"),
    ("kernel", |_, launch| launch.kernel_url = Some("file:///etc/hostname".into()), "does not fetch from there"),
    ("ramdisk", |lab, launch| launch.ramdisk_url = Some(format!("file://{}/gone", lab.images().display())), "gone"),
    ("server", |_, launch| launch.image_url = "http://127.0.0.1:1/root".into(), "127.0.0.1:1"),
    (
        "format",
        |lab, launch| {
            std::fs::write(lab.images().join("packed"), b"\x1f\x8b packed").unwrap();
            launch.image_url = format!("file://{}/packed", lab.images().display());
        },
        "compressed with gzip",
    ),
    (
        "size",
        |lab, launch| {
            let file = std::fs::File::create(lab.images().join("large")).unwrap();
            file.set_len(3 << 30).unwrap();
            launch.image_url = format!("file://{}/large", lab.images().display());
        },
        "large",
    ),
    (
        "start refused",
        |lab, _| lab.hypervisor.fail_next("start", Fault::Refuse("no such machine".into())),
        "no such machine",
    ),
    ("start hangs", |lab, _| lab.hypervisor.fail_next("start", Fault::Hang), "did not start the domain in time"),
    (
        "start refused, and removal hangs",
        |lab, _| {
            lab.hypervisor.fail_next("start", Fault::Refuse("no such machine".into()));
            lab.hypervisor.fail_next("destroy", Fault::Hang);
            lab.hypervisor.fail_next("undefine", Fault::LoseAnswer);
        },
        "no such machine",
    ),
    (
        "domain lost while it starts",
        |lab, _| {
            lab.hypervisor.fail_next("start", Fault::Hang);
            lab.hypervisor.fail_next("inventory", Fault::Unavailable("for a moment".into()));
        },
        "did not start the domain in time",
    ),
];

#[tokio::test]
async fn whichever_step_fails_the_node_is_as_it_was() {
    for (step, spoil, reason) in STEPS {
        let lab = Lab::new();
        let node = lab.start().await;
        node.launched(&lab, OLD).await;
        let before = World::of(&lab, &node).await;
        let mut launch = lab.launch(NEW);
        spoil(&lab, &mut launch);
        node.call_as("alice", launch).await.unwrap();
        let record = node.until(NEW, "failed").await;
        let told = record.reason.as_deref().unwrap();
        assert!(told.contains(reason), "{step}: {told}");
        assert_eq!(World::of(&lab, &node).await, before, "{step}");
        assert_eq!(lab.hypervisor.boots(OLD), 1, "{step}: its neighbour was disturbed");
        node.kill();
        // The next life of the program finds nothing to do either.
        let node = lab.start().await;
        assert_eq!(node.until(NEW, "failed").await.state.name(), "failed");
        let described = node.call(ironbark::DescribeNode::default()).await.unwrap().instances;
        let told = described.iter().find(|instance| instance.instance_id == NEW).expect("it is remembered");
        let of_the_image = matches!(step, "format" | "size");
        assert_eq!(told.elsewhere, Some(!of_the_image), "{step}: whether another node may do better");
        assert_eq!(World::of(&lab, &node).await, before, "{step}, after a restart");
        node.kill();
    }
}

#[tokio::test]
async fn what_others_do_to_a_domain_is_believed_and_costs_no_disk() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, OLD).await;
    let behind_our_back: [(&str, Mischief, &str); 4] = [
        ("shut down from inside", |lab| lab.hypervisor.guest_stops(OLD, OffReason::Shutdown), "shut itself down"),
        ("crashed", |lab| lab.hypervisor.guest_stops(OLD, OffReason::Crashed), "crashed"),
        ("destroyed", |lab| lab.hypervisor.guest_stops(OLD, OffReason::Destroyed), "from outside"),
        ("undefined", |lab| lab.hypervisor.remove(OLD), "no longer has its domain"),
    ];
    for (what, act, reason) in behind_our_back {
        act(&lab);
        let record = node.until(OLD, "stopped").await;
        assert!(record.reason.as_deref().unwrap().contains(reason), "{what}: {record:?}");
        assert!(lab.files(OLD).join("disk").exists(), "{what}: the disk is gone");
        let room = node.call(nc::DescribeResource::default()).await.unwrap();
        assert_eq!((room.memory_size_available, room.disk_size_available), (1000, 9), "{what}");
        let start = ironbark::StartInstance { instance_id: OLD.to_string(), ..Default::default() };
        node.call(start).await.unwrap();
        node.until(OLD, "running").await;
    }
}

/// The rows of the table of drift in which nothing is known, over a running instance and a stopped one.
#[tokio::test]
async fn what_the_hypervisor_does_not_say_changes_nothing() {
    let lab = Lab::new();
    let node = lab.start().await;
    node.launched(&lab, OLD).await;
    node.launched(&lab, NEW).await;
    node.call(ironbark::StopInstance { instance_id: NEW.to_string(), ..Default::default() }).await.unwrap();
    node.until(NEW, "stopped").await;
    let records = || [OLD, NEW].map(|id| node.node.instance(id).unwrap().record());
    let before = records();
    let fails = |lab: &Lab, fault: fn() -> Fault| (0..3).for_each(|_| lab.hypervisor.fail_next("inventory", fault()));
    let silences: [(&str, &dyn Fn()); 5] = [
        ("a state that is none", &|| {
            [OLD, NEW].iter().for_each(|id| lab.hypervisor.lists_as(id, DomainState::Unknown))
        }),
        ("an error", &|| fails(&lab, || Fault::Refuse("internal error".to_string()))),
        ("no answer", &|| fails(&lab, || Fault::Hang)),
        ("no connection", &|| fails(&lab, || Fault::Unavailable("libvirtd is not there".to_string()))),
        ("no daemon", &|| lab.hypervisor.set_unavailable(Some("libvirtd is not there"))),
    ];
    for (what, silence) in silences {
        let asked = lab.hypervisor.count("inventory");
        silence();
        node.eventually(what, || lab.hypervisor.count("inventory") > asked + 3).await;
        assert_eq!(records(), before, "{what}");
        lab.hypervisor.lists_as(OLD, DomainState::Running);
        lab.hypervisor.lists_as(NEW, DomainState::Off(OffReason::Shutdown));
        lab.hypervisor.set_unavailable(None);
    }
    let asked = lab.hypervisor.count("inventory");
    node.eventually("answered again", || lab.hypervisor.count("inventory") > asked + 1).await;
    assert_eq!(records(), before, "back again");
}

#[tokio::test]
async fn a_hundred_requests_at_once_end_in_one_legal_state() {
    let lab = Lab::new();
    let node = lab.start().await;
    for (round, ends) in [("without a termination", false), ("with one", true)] {
        if node.node.instance(OLD).is_err() {
            node.launched(&lab, OLD).await;
        }
        let id = || OLD.to_string();
        let requests = (0..100u32).map(|number| {
            let node = &node;
            async move {
                let refused = match number % 4 {
                    0 => node.call(ironbark::StartInstance { instance_id: id(), ..Default::default() }).await.err(),
                    1 => node.call(crate::lab::reboot(OLD)).await.err(),
                    2 if ends && number == 50 => node.call(crate::lab::terminate(OLD)).await.err(),
                    rest => {
                        let force = Some(rest == 3);
                        node.call(ironbark::StopInstance { instance_id: id(), force, ..Default::default() }).await.err()
                    }
                };
                if let Some(error) = refused {
                    assert!(matches!(error, ironbark_wsdl::CallError::Declined { .. }), "{error}");
                }
            }
        });
        futures_all(requests).await;
        let legal: &[&str] = if ends { &["terminated"] } else { &["running", "stopped"] };
        let at_rest = |name: &str| legal.contains(&name);
        let record = node.when(OLD, "at rest", |record| at_rest(record.state.name())).await;
        // What comes to rest stays there: nothing is left in flight that would move it.
        node.eventually("the hypervisor agrees", || {
            let on = lab.hypervisor.spec(OLD).is_some();
            on != ends
        })
        .await;
        assert!(at_rest(node.node.instance(OLD).unwrap().record().state.name()), "{round}: {record:?}");
    }
}

async fn futures_all<F: Future<Output = ()>>(all: impl Iterator<Item = F>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
