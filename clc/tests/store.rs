//! What every store must do: acknowledged means kept, all or nothing, and no lost update.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ironbark_clc::deadlines::Resolution;
use ironbark_clc::ec2::instances::Group;
use ironbark_clc::lifecycle::{Act, Observed, Wish};
use ironbark_clc::store::{
    Attributes, Deed, Launch, OnFailure, Reason, Refused, Report, Reservation, Reserved, Scope, Store, StoreError,
};
use support::ADMIN;
use tokio::task::JoinSet;

const CHILD: &str = "IRONBARK_TEST_STORE_CHILD";

async fn with_admin(path: &Path) -> Store {
    let store = Store::open(path).unwrap();
    support::make_account(&store, support::ACCOUNTS[0], 1).await;
    let cluster = ironbark_clc::store::Cluster {
        name: "c".into(),
        url: "http://c".into(),
        certificate: String::new(),
        profile: "strict".into(),
        created: 1,
    };
    store.register_cluster(cluster).await.unwrap();
    store
}

fn launch(number: u32) -> Launch {
    Launch {
        reservation: Reservation {
            id: format!("r-{number:08X}"),
            owner: ADMIN.into(),
            cluster: "c".into(),
            request_id: "q".into(),
            min_count: 1,
            image_id: "emi-1".into(),
            image_url: "file:/x".into(),
            kernel: Some(("eki-1".into(), "file:/k".into())),
            ramdisk: None,
            architecture: "x86_64".into(),
            root_device_name: None,
            type_name: "m1.small".into(),
            memory_mb: 128,
            cores: 1,
            disk_gb: 10,
            key_name: None,
            public_key: String::new(),
            groups: Vec::new(),
            placement_group: None,
            user_data: vec![0, 159, 146, 150],
            client_token: Some(format!("t{number}")),
            created: 5,
        },
        attributes: Attributes::default(),
        instance_ids: vec![format!("i-{number:08X}")],
        tags: Vec::new(),
        by: "admin/admin".into(),
        digest: "d".into(),
        zone_named: false,
        zone_verdicts: Vec::new(),
    }
}

fn deed(at: i64) -> Deed {
    Deed { request_id: "q".into(), by: "admin/admin".into(), action: "Act", at }
}

fn scope() -> Scope {
    Scope::Account(ADMIN.into())
}

fn report(id: &str, observed: Observed) -> Report {
    Report {
        id: id.into(),
        observed,
        reason: None,
        node: None,
        private_ip: None,
        public_ip: None,
        boot_count: None,
        epoch: None,
        by_guest: None,
        last_reboot: None,
    }
}

#[tokio::test]
async fn what_is_kept_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    let mut launch = launch(7);
    let groups = store.security_groups(ADMIN.into()).await.unwrap();
    launch.reservation.groups =
        groups.into_iter().map(|group| Group { id: group.group_id, name: group.name }).collect();
    assert_eq!(launch.reservation.groups.len(), 1);
    assert_eq!(store.reserve(launch.clone()).await.unwrap(), Reserved::Made);
    let (reservation, instances) = store.reservation("r-00000007".into()).await.unwrap().unwrap();
    assert_eq!(reservation, launch.reservation);
    assert_eq!((instances[0].wish, instances[0].observed), (Wish::Run, Observed::Unseen));
    assert_eq!(store.due().await.unwrap(), instances);
    let mut again = launch;
    again.reservation.client_token = None;
    assert_eq!(store.reserve(again).await.unwrap(), Reserved::IdTaken);
}

/// Writes as fast as it can, 64 at a time, and says each number once it is acknowledged; the parent
/// kills it in the middle.
async fn write_until_killed(path: PathBuf) {
    let store = with_admin(&path).await;
    let mut writes = JoinSet::new();
    for number in 0.. {
        let store = store.clone();
        writes.spawn(async move {
            store.reserve(launch(number)).await.unwrap();
            number
        });
        if writes.len() == 64 {
            println!("\nkept {}", writes.join_next().await.unwrap().unwrap());
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(path) = std::env::var(CHILD) {
        runtime.block_on(write_until_killed(path.into()));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_was_acknowledged_survives_kill", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse::<u32>().ok());
    let kept: Vec<u32> = numbers.take(300).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kept.len(), 300);
    runtime.block_on(async {
        let store = Store::open(&path).unwrap();
        for number in kept {
            let found = store.reservation(format!("r-{number:08X}")).await.unwrap();
            assert_eq!(found.expect("acknowledged").1.len(), 1, "{number}");
        }
    });
}

#[tokio::test]
async fn one_job_that_fails_takes_nothing_of_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    let mut writes = JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        writes.spawn(async move {
            let mut launch = launch(number);
            if number % 10 == 0 {
                // A foreign key fails after the first rows of the job were written.
                launch.reservation.owner = "nobody".into();
            }
            store.reserve(launch).await.is_ok()
        });
    }
    let good = writes.join_all().await.into_iter().filter(|good| *good).count();
    assert_eq!(good, 180);
    assert_eq!(store.due().await.unwrap().len(), 180);
    assert!(store.reservation("r-0000000A".into()).await.unwrap().is_none());
}

#[tokio::test]
async fn of_many_wishes_at_once_each_is_decided_on_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    let id = "i-00000001".to_string();
    store.reserve(launch(1)).await.unwrap();
    store.report("c".into(), vec![report(&id, Observed::Running)], Vec::new(), OnFailure::Restart, 6).await.unwrap();
    let mut wishes = JoinSet::new();
    for number in 0..100 {
        let (store, id) = (store.clone(), id.clone());
        let act = if number == 50 { Act::Terminate } else { Act::Stop };
        wishes.spawn(async move { store.act(act, scope(), vec![id], false, deed(7)).await.unwrap() });
    }
    let results = wishes.join_all().await;
    let instance = store.instance(scope(), id).await.unwrap().unwrap();
    assert_eq!(instance.wish, Wish::Terminate, "a stop never undoes a termination");
    assert!(instance.epoch <= 3, "at most one stop and one termination changed anything");
    for result in results {
        assert!(matches!(result, Ok(_) | Err(Refused::State(_, _))));
    }
}

#[tokio::test]
async fn a_stale_decision_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    let id = "i-00000001".to_string();
    let reason = || Reason::new("Server.InternalError", "too late");
    store.reserve(launch(1)).await.unwrap();
    let resolve = async |epoch: i64, observed: Observed, resolution: Resolution| {
        store.resolve(id.clone(), (epoch, observed), resolution, reason(), 9).await.unwrap()
    };
    assert!(!resolve(2, Observed::Unseen, Resolution::GiveUp).await, "another epoch");
    store.launched(vec![id.clone()], Vec::new(), 9).await.unwrap();
    assert!(!resolve(1, Observed::Unseen, Resolution::GiveUp).await, "the cluster has taken it");
    store.launched(Vec::new(), vec![(id.clone(), reason())], 9).await.unwrap();
    let instance = store.instance(scope(), id.clone()).await.unwrap().unwrap();
    assert_eq!(instance.observed, Observed::Pending, "what was taken is not declined by a late answer");
}

#[tokio::test]
async fn reports_of_another_cluster_are_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    store.reserve(launch(1)).await.unwrap();
    let reports = vec![report("i-00000001", Observed::Running)];
    assert_eq!(
        store.report("other".into(), reports, Vec::new(), OnFailure::Restart, 6).await.unwrap().strangers,
        ["i-00000001"]
    );
    assert_eq!(store.due().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_over_is_forgotten_with_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_admin(&dir.path().join("db")).await;
    store.reserve(launch(1)).await.unwrap();
    store.reserve(launch(2)).await.unwrap();
    store.launched(Vec::new(), vec![("i-00000001".into(), Reason::new("x", "y"))], 10).await.unwrap();
    assert_eq!(store.forget_ended(10).await.unwrap(), 0);
    assert_eq!(store.forget_ended(11).await.unwrap(), 1);
    assert!(store.reservation("r-00000001".into()).await.unwrap().is_none());
    assert_eq!(store.idempotency(ADMIN.into(), "t1".into(), "d".into()).await.unwrap(), None);
    assert!(store.idempotency(ADMIN.into(), "t2".into(), "d".into()).await.unwrap().is_some());
    assert_eq!(store.reserve(launch(1)).await.unwrap(), Reserved::Made);
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(runtime.block_on(with_admin(&path)));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Readable { mode: 0o644, .. })));
}

#[tokio::test]
async fn a_copy_of_the_records_gives_no_secret_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cloud.db");
    let store = with_admin(&path).await;
    let key = ironbark_clc::store::AccessKey {
        id: "AKIBTEST".into(),
        user: format!("AIDA{ADMIN}"),
        secret: "TheSecretThatNobodyMayRead".into(),
        active: true,
        created: 1,
    };
    assert!(store.add_access_key(key).await.unwrap());
    let found = store.access_key("AKIBTEST".into()).await.unwrap().unwrap().0;
    assert_eq!(found.secret, "TheSecretThatNobodyMayRead");
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(13).any(|part| part == b"TheSecretThat"), "{}", path.display());
    }
    drop(store);
    let kept = std::fs::read(dir.path().join("secrets.key")).unwrap();
    std::fs::remove_file(dir.path().join("secrets.key")).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::NoSecretsKey(_)) && error.to_string().contains("secrets.key"), "{error}");
    let put = |bytes: &[u8]| {
        let path = dir.path().join("secrets.key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    put(&[1; 32]);
    assert!(matches!(Store::open(&path).err().unwrap(), StoreError::Unsealable(_)), "another cloud's");
    put(&kept);
    assert!(Store::open(&path).unwrap().access_key("AKIBTEST".into()).await.unwrap().is_some());
}

/// A file of the version before accounts, made with SQLite alone, its secrets readable.
#[tokio::test]
async fn readable_secrets_of_before_are_sealed_and_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cloud.db");
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(include_str!("data/before-accounts.sql")).unwrap();
    }
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let store = Store::open(&path).unwrap();
    let (key, member) = store.access_key("AKIBOLD".into()).await.unwrap().unwrap();
    assert_eq!((key.secret.as_str(), member.account_name.as_str()), ("ReadableOfOld", "alice"));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(13).any(|part| part == b"ReadableOfOld"), "{}", path.display());
        assert!(!bytes.windows(15).any(|part| part == b"DeletedLongAgo!"), "{}", path.display());
    }
}
