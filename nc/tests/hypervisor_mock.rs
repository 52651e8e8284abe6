//! The libvirt hypervisor on libvirt's own mock, `test:///default`: needs libvirt's library and nothing else, no daemon,
//! no QEMU, no rights.

use std::time::Duration;

use ironbark_nc::hypervisor::accel::Kind;
use ironbark_nc::hypervisor::libvirt::{Config, Libvirt};
use ironbark_nc::hypervisor::{
    Boot, Change, Disk, DiskFormat, DiskSource, DomainKey, DomainSpec, DomainState, Event, Hypervisor, HypervisorError,
    Nic, OffReason, Started,
};
use tokio::sync::broadcast;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

fn open(owner: &str) -> Libvirt {
    let config = Config { uri: "test:///default".into(), kind: Kind::Auto, owner: owner.into() };
    Libvirt::open(config).expect("the mock opens")
}

fn spec(number: u32) -> DomainSpec {
    let root = Disk {
        source: DiskSource::File("/i/disk".into()),
        format: DiskFormat::Raw,
        target: "vda".into(),
        serial: Some("root".into()),
        read_only: false,
    };
    DomainSpec {
        key: DomainKey { name: format!("i-{number:08X}"), uuid: Uuid::new_v4() },
        memory_mb: 96,
        vcpus: 1,
        boot: Boot::Disk,
        disks: vec![root],
        seed: None,
        nic: Nic::User { mac: "d0:0d:00:00:00:01".into() },
        console: "/i/console".into(),
    }
}

/// Waits for a change of `key`.
async fn wait_for(events: &mut broadcast::Receiver<Event>, wanted: &DomainKey, change: Change) {
    let wait = async {
        loop {
            match events.recv().await.expect("the channel stands") {
                Event::Domain { key, change: seen, .. } if key == *wanted && seen == change => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("no {change:?}"));
}

#[tokio::test]
async fn a_domain_lives_and_dies() {
    let h = open("node-1");
    let mut events = h.events();
    let spec = spec(1);
    let key = spec.key.clone();

    assert_eq!(h.start(spec.clone(), LIMIT).await, Ok(Started::Now));
    wait_for(&mut events, &key, Change::Started).await;
    assert_eq!(h.start(spec.clone(), LIMIT).await, Ok(Started::AlreadyRunning));
    let seen = h.inventory(LIMIT).await.expect("inventory").domains;
    assert_eq!((seen.len(), &seen[0].key, seen[0].state), (1, &key, DomainState::Running));
    assert!(seen[0].run.is_some());

    let disks = h.disks(&key, LIMIT).await.expect("disks");
    assert_eq!(disks[0].target, "vda");
    assert_eq!(disks[0].serial.as_deref(), Some("root"));

    h.request_reboot(&key, LIMIT).await.expect("reboot");
    h.reset(&key, LIMIT).await.expect("reset");
    let refused = h.undefine(&key, LIMIT).await;
    assert!(matches!(refused, Err(HypervisorError::Refused { .. })), "{refused:?}");

    h.destroy(&key, LIMIT).await.expect("destroy");
    wait_for(&mut events, &key, Change::Stopped(OffReason::Destroyed)).await;
    h.destroy(&key, LIMIT).await.expect("destroy again");
    let seen = h.inventory(LIMIT).await.expect("inventory").domains;
    assert_eq!((seen[0].state, seen[0].run), (DomainState::Off(OffReason::Destroyed), None));

    assert_eq!(h.start(spec, LIMIT).await, Ok(Started::Now), "from off");
    h.destroy(&key, LIMIT).await.expect("destroy");
    h.undefine(&key, LIMIT).await.expect("undefine");
    assert_eq!(h.destroy(&key, LIMIT).await, Err(HypervisorError::Absent { name: key.name.clone() }));
    assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains, []);
}

#[tokio::test]
async fn what_is_not_ours_is_neither_seen_nor_touched() {
    let (ours, other) = (open("node-1"), open("node-2"));
    let theirs = spec(2);
    other.start(theirs.clone(), LIMIT).await.expect("start");

    // The mock's own domain "test" is there as well.
    assert_eq!(ours.inventory(LIMIT).await.expect("inventory").domains, []);
    let absent = Err(HypervisorError::Absent { name: theirs.key.name.clone() });
    assert_eq!(ours.destroy(&theirs.key, LIMIT).await, absent);
    assert_eq!(ours.reset(&theirs.key, LIMIT).await, absent);
    assert_eq!(ours.undefine(&theirs.key, LIMIT).await, absent);
    let refused = ours.start(theirs.clone(), LIMIT).await;
    assert!(matches!(refused, Err(HypervisorError::Refused { .. })), "{refused:?}");
    let mut namesake = theirs.clone();
    namesake.key.uuid = Uuid::new_v4();
    let refused = ours.start(namesake, LIMIT).await;
    assert!(matches!(refused, Err(HypervisorError::Refused { .. })), "{refused:?}");
    assert_eq!(other.inventory(LIMIT).await.expect("inventory").domains.len(), 1);
}

#[tokio::test]
async fn a_connection_tells_what_is_there() {
    let h = open("node-1");
    let mut events = h.events();
    // Subscribed before the thread had a chance, or just after: an inventory says the same.
    let info = h.host_info(LIMIT).await.expect("host");
    assert!(info.cores > 0 && info.memory_mb > 0, "{info:?}");
    assert!(info.hypervisor.contains("via test:///default"), "{info:?}");
    h.start(spec(3), LIMIT).await.expect("start");
    assert!(events.recv().await.is_ok());
}

#[tokio::test]
async fn a_bad_specification_is_refused_and_leaves_nothing() {
    let h = open("node-1");
    let mut bad = spec(4);
    bad.disks[0].target = "hda".into();
    match h.start(bad, LIMIT).await {
        Err(HypervisorError::Refused { reason }) => assert!(reason.contains("disk target"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(h.inventory(LIMIT).await.expect("inventory").domains, []);
}

#[tokio::test]
async fn no_daemon_is_unavailable_not_absent() {
    let uri = "qemu+unix:///system?socket=/nonexistent/socket".to_owned();
    let h = Libvirt::open(Config { uri, kind: Kind::Auto, owner: "n".into() }).expect("opening is never refused");
    for _ in 0..2 {
        match h.inventory(LIMIT).await {
            Err(HypervisorError::Unavailable { reason }) => assert!(reason.contains("/nonexistent/socket"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_daemon_that_never_answers_hangs_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("mute");
    // Takes connections (the kernel does it for us) and says nothing.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let h = Libvirt::open(Config { uri, kind: Kind::Auto, owner: "n".into() }).expect("opening never blocks");
    let begun = std::time::Instant::now();
    let answer = h.inventory(Duration::from_millis(200)).await;
    assert!(matches!(answer, Err(HypervisorError::Unavailable { .. })), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
