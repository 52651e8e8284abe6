//! The three programs as their `main`s put them together, but for what a simulation stands in for: sockets, libvirt, and
//! the programs that nodes run. What outlives a program is in its directory, and in its node's hypervisor.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use ironbark_cc::cluster::node::{Entry, Profile, Source};
use ironbark_cc::config::Isolation;
use ironbark_cc::ids::NodeName;
use ironbark_cc::journal::Journal;
use ironbark_cc::place::Schedule;
use ironbark_cc::{Cluster, refresh};
use ironbark_clc::Cloud;
use ironbark_clc::ec2::images::ImageType;
use ironbark_clc::ec2::placement_groups::Strategy;
use ironbark_clc::pool::Pool;
use ironbark_clc::role::Role;
use ironbark_clc::store::{self, Account, Image, OnFailure, PlacementGroup, Registered, Store, User, UserGroup};
use ironbark_nc::hypervisor::scripted::Scripted;
use ironbark_nc::images::{AllowRules, ImageStore, Kind, Order};
use ironbark_nc::{GivenLimits, Node, Parts, Times};
use ironbark_wsdl::Recorder;
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::service::BoxFuture;
use uuid::Uuid;

use crate::disk::needed;
use crate::network::Network;

/// The cluster's name, and its host's.
pub const CLUSTER: &str = "cc";
/// The cloud controller's host.
pub const CLOUD: &str = "clc";
/// The one account.
pub const ACCOUNT: &str = "100000000001";
/// The one image.
pub const IMAGE: &str = "emi-0000000A";
/// The placement group that keeps its instances apart.
pub const GROUP: &str = "apart";

/// Where everything is that outlives its program.
#[derive(Clone)]
pub struct Site {
    pub directory: PathBuf,
    pub network: Network,
    /// Small instances that a node has room for.
    pub room: u64,
}

/// The cloud controller while it runs.
pub type Door = Arc<Mutex<Option<Arc<Cloud>>>>;

impl Site {
    pub fn path(&self, host: &str) -> PathBuf {
        self.directory.join(host)
    }

    fn image_file(&self) -> PathBuf {
        self.directory.join("images/root")
    }

    /// Makes what an administrator makes before a cloud has users: an account, the cluster, an image, a group; and has each node
    /// fetch the image, which takes threads of its own and has tests of its own.
    pub async fn prepare(&self, nodes: &[String]) {
        fs::create_dir_all(self.directory.join("images")).expect("our own directory");
        fs::write(self.image_file(), vec![7u8; 4096]).expect("our own directory");
        let image = self.image();
        for node in nodes {
            let directory = self.path(node);
            fs::create_dir_all(&directory).expect("our own directory");
            let (target, url) = (directory.join("first"), image.url());
            let order =
                Order { image_id: IMAGE, url: &url, kind: Kind::Root, target: &target, limit: 1 << 30, grow_to: None };
            self.images(node).stage(&order, |_| {}).await.expect("a good image");
            fs::remove_file(target).expect("it was made");
        }
        let directory = self.path(CLOUD);
        fs::create_dir_all(&directory).expect("our own directory");
        let store = Store::open(&directory.join("cloud.db")).expect("a new database");
        let account = Account { id: ACCOUNT.into(), name: "alice".into(), created: 0 };
        let user = User { id: "AIDA".into(), account: ACCOUNT.into(), name: "admin".into(), created: 0 };
        let role = Role::CloudAdministrator;
        let group = UserGroup { account: ACCOUNT.into(), name: "administrators".into(), role, created: 0 };
        assert_eq!(store.create_account(account, user, group).await.expect("a new database"), Registered::Made);
        let cluster = store::Cluster {
            name: CLUSTER.into(),
            url: "http://cc".into(),
            certificate: String::new(),
            profile: "strict".into(),
            created: 0,
        };
        store.register_cluster(cluster).await.expect("a new database");
        assert_eq!(store.register_image(image).await.expect("a new database"), Registered::Made);
        let apart = PlacementGroup {
            id: "pg-00000000000000001".into(),
            owner: ACCOUNT.into(),
            name: GROUP.into(),
            strategy: Strategy::Spread,
            created: 0,
            tags: Vec::new(),
        };
        assert!(store.add_placement_group(apart).await.expect("a new database"));
    }

    fn image(&self) -> Image {
        Image {
            id: IMAGE.into(),
            owner: ACCOUNT.into(),
            kind: ImageType::Machine,
            name: "guest".into(),
            description: None,
            location: format!("file://{}", self.image_file().display()),
            sha256: None,
            architecture: "x86_64".into(),
            kernel_id: None,
            ramdisk_id: None,
            root_device_name: None,
            public: true,
            launch_permissions: Vec::new(),
            created: 0,
            tags: Vec::new(),
        }
    }

    fn images(&self, node: &str) -> ImageStore {
        let allow = AllowRules::parse(&[format!("file:{}", self.directory.join("images").display())]);
        ImageStore::new(&self.path(node).join("cache"), 1 << 30, allow.expect("a rule")).expect("our own directory")
    }

    /// A node controller over a hypervisor that outlives it.
    pub fn node(&self, name: &str, hypervisor: &Scripted) -> BoxFuture<'static, ()> {
        let (site, name, hypervisor) = (self.clone(), name.to_string(), hypervisor.clone());
        Box::pin(async move {
            let recorder = Arc::new(Recorder::new(format!("nc:{name}")));
            let limits = GivenLimits {
                memory_mb: Some(site.room * 128),
                cores: Some(site.room),
                disk_gb: Some(site.room * 10),
                ..GivenLimits::default()
            };
            let parts = Parts {
                id: Uuid::from_u128(name.bytes().fold(0, |number, byte| number << 8 | u128::from(byte))),
                state_dir: site.path(&name),
                images: site.images(&name),
                bridge: None,
                limits,
                tags: Vec::new(),
                power_down: Vec::new(),
                times: Times::default(),
                recorder: recorder.clone(),
                name: name.clone(),
            };
            let node = needed(Node::start(parts, Arc::new(hypervisor))).await;
            site.network.open(&name, ironbark_nc::router(node, recorder));
            pending().await
        })
    }

    /// The cluster controller over its nodes.
    pub fn cluster(&self, nodes: &[String]) -> BoxFuture<'static, ()> {
        let (site, nodes) = (self.clone(), nodes.to_vec());
        Box::pin(async move {
            let settings = ironbark_cc::Settings {
                name: CLUSTER.to_string(),
                schedule: Schedule::RoundRobin,
                isolation: Isolation::Semaphore,
                poll: Duration::from_secs(6),
                dhcp_leases: None,
            };
            let entry = |name: &String| Entry {
                name: NodeName::parse(name).expect("a node's name"),
                url: format!("http://{name}"),
                profile: Profile::Strict,
                certificate: String::new(),
                source: Source::Configured,
            };
            let entries = nodes.iter().map(entry).collect();
            let network = site.network.clone();
            let connect: ironbark_cc::Connect =
                Box::new(move |entry: &Entry| Ok(network.wire(CLUSTER, entry.name.as_str())));
            let journal = needed(Journal::open(&site.path(CLUSTER))).await;
            let cluster = needed(Cluster::open(settings, entries, journal, connect, Clock::system())).await;
            refresh::start(&cluster).await;
            let recorder = Arc::new(Recorder::new(format!("cc:{CLUSTER}")));
            site.network.open(CLUSTER, ironbark_cc::router(cluster, recorder));
            pending().await
        })
    }

    /// The cloud controller; `door` has it while it runs.
    pub fn cloud(&self, door: &Door) -> BoxFuture<'static, ()> {
        let (site, door) = (self.clone(), door.clone());
        Box::pin(async move {
            let settings = ironbark_clc::cloud::Settings {
                url: "http://clc:8773/services/Eucalyptus".into(),
                region: "ironbark".into(),
                addresses: Pool::parse(&["192.0.2.10-192.0.2.12".to_string()]).expect("addresses"),
                poll: Duration::from_secs(5),
                on_failure: OnFailure::default(),
                node_tags: BTreeMap::new(),
            };
            let network = site.network.clone();
            let connect: ironbark_clc::clusters::Connect =
                Arc::new(move |cluster| Ok(network.wire(CLOUD, &cluster.name)));
            let store = needed(Store::open(&site.path(CLOUD).join("cloud.db"))).await;
            let cloud = needed(Cloud::open(store, settings, Clock::system(), connect).await).await;
            let mut work = ironbark_clc::serve::start(&cloud);
            *door.lock().unwrap_or_else(PoisonError::into_inner) = Some(cloud);
            panic!("the cloud's work between requests has ended: {:?}", work.join_next().await);
        })
    }
}

/// The programs that nodes run, with as much of their effect as a guest in memory needs.
pub fn program(name: &OsStr, arguments: &[OsString]) -> io::Result<()> {
    let unknown = || io::Error::other(format!("the simulation does not play {name:?} {arguments:?}"));
    let path = |index: usize| arguments.get(index).map(Path::new).ok_or_else(unknown);
    match name.to_str() {
        Some("cp") => {
            let (from, to) = (path(arguments.len() - 2)?, path(arguments.len() - 1)?);
            fs::read(from).and_then(|bytes| fs::write(to, bytes))
        }
        Some("genisoimage") => fs::write(path(arguments.len() - 2)?, "seed"),
        _ => Err(unknown()),
    }
}
