//! A whole node in one process: real router, real records and images on disk, scripted hypervisor.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ironbark_nc::hypervisor::scripted::Scripted;
use ironbark_nc::images::{AllowRules, ImageStore};
use ironbark_nc::state::Record;
use ironbark_nc::{GivenLimits, Node, Parts, Times, router};
use ironbark_wsdl::{CallError, Context, Recorder, Request, RequestId, Router, call, nc};
use tempfile::TempDir;
use uuid::Uuid;

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Times at which a test need not wait long.
pub fn quick() -> Times {
    let ms = Duration::from_millis;
    Times {
        imaging: Duration::from_secs(30),
        reboot_grace: ms(200),
        stop_grace: ms(300),
        ask_again: ms(50),
        retry: ms(30),
        confirm: ms(200),
        retention: Duration::from_secs(60),
        observe: ms(50),
        spacing: ms(1),
        inventory: ms(1000),
        start: ms(300),
        call: ms(300),
        patience: ms(0),
        silence: PATIENCE * 2,
    }
}

/// Everything that outlives a node's process.
pub struct Lab {
    pub dir: TempDir,
    pub hypervisor: Scripted,
    pub times: Times,
    pub limits: GivenLimits,
    pub tags: Vec<String>,
    pub power_down: Vec<String>,
    pub bridge: Option<String>,
    id: Uuid,
}

/// A node at work in its lab.
pub struct Running {
    pub node: Arc<Node>,
    pub router: Router<Node>,
    recorder: Arc<Recorder>,
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for (name, bytes) in [("root", 1 << 20), ("kernel", 2000), ("ramdisk", 1000)] {
            std::fs::write(dir.path().join("images").join(name), vec![7u8; bytes]).unwrap();
        }
        let limits = GivenLimits { memory_mb: Some(1000), cores: Some(8), disk_gb: Some(10), ..GivenLimits::default() };
        Self {
            dir,
            hypervisor: Scripted::default(),
            times: quick(),
            limits,
            tags: Vec::new(),
            power_down: Vec::new(),
            bridge: None,
            id: Uuid::new_v4(),
        }
    }

    /// Starts the node's "process" and waits until the hypervisor has answered it, if it can.
    pub async fn start(&self) -> Running {
        let running = self.start_blind();
        let mut health = running.node.watch_health();
        let answered = health.wait_for(|health| health.trouble.is_none());
        tokio::time::timeout(PATIENCE, answered).await.expect("the hypervisor never answered").unwrap();
        running
    }

    /// Starts the node's "process" without waiting for anything.
    pub fn start_blind(&self) -> Running {
        let recorder = Arc::new(Recorder::new("nc:n1"));
        let allow = AllowRules::parse(&[format!("file:{}", self.images().display()), "http".to_string()]).unwrap();
        let state_dir = self.state_dir();
        std::fs::create_dir_all(&state_dir).unwrap();
        let parts = Parts {
            name: "n1".to_string(),
            id: self.id,
            images: ImageStore::new(&state_dir.join("cache"), 1 << 30, allow).unwrap(),
            state_dir,
            bridge: self.bridge.clone(),
            limits: self.limits,
            tags: self.tags.clone(),
            power_down: self.power_down.clone(),
            times: self.times,
            recorder: recorder.clone(),
        };
        let node = Node::start(parts, Arc::new(self.hypervisor.clone())).unwrap();
        Running { router: router(node.clone(), recorder.clone()), node, recorder }
    }

    pub fn images(&self) -> PathBuf {
        self.dir.path().join("images")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The directory of an instance's files.
    pub fn files(&self, id: &str) -> PathBuf {
        self.state_dir().join("instances").join(id)
    }

    /// A launch that works.
    pub fn launch(&self, id: &str) -> nc::RunInstance {
        let url = |name: &str| format!("file://{}", self.images().join(name).display());
        nc::RunInstance {
            image_id: "emi-00000001".to_string(),
            kernel_id: Some("eki-00000001".to_string()),
            ramdisk_id: Some("eri-00000001".to_string()),
            image_url: url("root"),
            kernel_url: Some(url("kernel")),
            ramdisk_url: Some(url("ramdisk")),
            reservation_id: "r-00000001".to_string(),
            instance_id: id.to_string(),
            instance_type: nc::VirtualMachine {
                name: Some("m1.small".to_string()),
                memory: Some(128),
                cores: Some(1),
                disk: Some(1),
                device_mapping: Vec::new(),
            },
            key_name: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5o alice".to_string(),
            net_params: nc::NetConfig {
                private_mac_address: String::new(),
                private_ip: "0.0.0.0".to_string(),
                public_ip: "0.0.0.0".to_string(),
                vlan: -1,
                network_index: -1,
            },
            ..nc::RunInstance::default()
        }
    }
}

impl Running {
    /// One call over real XML, as `user`.
    pub async fn call_as<R: Request>(&self, user: &str, request: R) -> Result<R::Response, CallError> {
        let ctx = Context::new(RequestId::random(), user, PATIENCE, self.recorder.clone());
        call(&self.router, &ctx, request).await
    }

    /// One call over real XML, as the cloud itself.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, CallError> {
        self.call_as("eucalyptus", request).await
    }

    /// The reason why a call is declined.
    pub async fn declined<R: Request>(&self, request: R) -> String
    where
        R::Response: std::fmt::Debug,
    {
        match self.call(request).await {
            Err(CallError::Declined { reason }) => reason,
            other => panic!("not declined: {other:?}"),
        }
    }

    /// Launches an instance and waits until it runs.
    pub async fn launched(&self, lab: &Lab, id: &str) {
        self.call_as("alice", lab.launch(id)).await.unwrap();
        self.until(id, "running").await;
    }

    /// Waits until the instance is in the state of that name.
    pub async fn until(&self, id: &str, state: &str) -> Arc<Record> {
        self.when(id, state, |record| record.state.name() == state).await
    }

    /// Waits until the record is as wanted.
    pub async fn when(&self, id: &str, what: &str, wanted: impl Fn(&Record) -> bool) -> Arc<Record> {
        let handle = self.node.instance(id).unwrap();
        let mut records = handle.watch();
        let seen = tokio::time::timeout(PATIENCE, records.wait_for(|record| wanted(record)));
        match seen.await {
            Ok(Ok(record)) => record.clone(),
            Ok(Err(_)) => panic!("{id} ended before it was {what}"),
            Err(_) => panic!("{id} never was {what}; it is {:?}", handle.record()),
        }
    }

    /// Waits until a condition of the world holds that nobody announces.
    pub async fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// The end of the process, at once.
    pub fn kill(self) {
        self.node.stop();
    }

    pub async fn describe(&self, id: &str) -> nc::Instance {
        let request = nc::DescribeInstances { instance_ids: vec![id.to_string()], ..Default::default() };
        let mut instances = self.call(request).await.unwrap().instances;
        assert_eq!(instances.len(), 1, "{id} is not described");
        instances.remove(0)
    }
}

pub fn reboot(id: &str) -> nc::RebootInstance {
    nc::RebootInstance { instance_id: id.to_string(), ..Default::default() }
}

pub fn terminate(id: &str) -> nc::TerminateInstance {
    nc::TerminateInstance { instance_id: id.to_string(), ..Default::default() }
}

/// Whether a directory has nothing in it, or is not there.
pub fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}
