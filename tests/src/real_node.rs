//! A real node in this process: its router, its records on disk, a hypervisor in memory.

use std::sync::Arc;

use ironbark_nc::hypervisor::scripted::Scripted;
use ironbark_nc::images::{AllowRules, ImageStore};
use ironbark_nc::{GivenLimits, Node, Parts, Times, router};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::endpoint::Endpoint;
use ironbark_wsdl::http::Handler;
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::wsse::{Certificate, Identity, Profile, Security};
use tempfile::TempDir;
use uuid::Uuid;

use crate::door::PATH;

/// A node. It ends with its value.
pub struct RealNode {
    node: Arc<Node>,
    recorder: Arc<Recorder>,
    _files: TempDir,
}

impl RealNode {
    /// Starts one; it has no instances.
    ///
    /// # Panics
    /// If its files cannot be made.
    pub fn start() -> Self {
        let files = TempDir::with_prefix("ironbark-node-").expect("a temporary directory");
        let recorder = Arc::new(Recorder::new("nc:n1"));
        let allow = AllowRules::parse(&["http".to_string()]).expect("a rule");
        let parts = Parts {
            name: "n1".to_string(),
            id: Uuid::new_v4(),
            images: ImageStore::new(&files.path().join("cache"), 1 << 30, allow).expect("a directory of its own"),
            state_dir: files.path().to_path_buf(),
            bridge: None,
            limits: GivenLimits {
                memory_mb: Some(4096),
                cores: Some(64),
                disk_gb: Some(100),
                ..GivenLimits::default()
            },
            tags: Vec::new(),
            power_down: Vec::new(),
            times: Times::default(),
            recorder: recorder.clone(),
        };
        let node = Node::start(parts, Arc::new(Scripted::default())).expect("a node");
        Self { node, recorder, _files: files }
    }

    /// Its door, signed as `own`, for the one caller.
    pub fn door(&self, own: Arc<Identity>, caller: &Certificate) -> Handler {
        let security = Security::new(own, Profile::Strict, Clock::system());
        security.trust(vec![caller.clone()]);
        Endpoint::new(router(self.node.clone(), self.recorder.clone()), Some(security), PATH, &[]).into_handler()
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        self.node.stop();
    }
}
