//! A node made of a script, and a cluster over some of them. The node keeps instances, counts what
//! it is asked, and misbehaves on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ironbark_cc::cluster::node::{Entry, Profile, Source};
use ironbark_cc::config::Isolation;
use ironbark_cc::ids::NodeName;
use ironbark_cc::journal::Journal;
use ironbark_cc::place::Schedule;
use ironbark_cc::{Cluster, Connect, Settings, refresh, router};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::context::SYSTEM_USER;
use ironbark_wsdl::marshal::{DateTime, from_xml, to_xml};
use ironbark_wsdl::service::BoxFuture;
use ironbark_wsdl::trace::Recorder;
use ironbark_wsdl::{
    CallError, Context, Exchange, Reply, Request, RequestId, Response, Router, Transport, call, cc, ironbark, nc,
};
use tempfile::TempDir;

/// How a node treats one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Does as asked.
    Well,
    /// Never answers and does nothing.
    Hangs,
    /// Does as asked, and its answer is lost.
    LosesAnswers,
    /// Understands and refuses.
    Declines,
    /// Is not there.
    Unreachable,
    /// Answers what cannot be read.
    Faults,
}

/// One scripted node.
pub struct ScriptedNode {
    state: Mutex<State>,
}

struct State {
    moods: BTreeMap<String, Mood>,
    instances: BTreeMap<String, (nc::Instance, String)>,
    asked: Vec<(String, String)>,
    epochs: Vec<(String, String)>,
    elsewhere: bool,
    memory: i32,
    cores: i32,
    old_wire: bool,
    facts: Option<ironbark::NodeFacts>,
}

impl ScriptedNode {
    /// A node with so much memory (MB), 100 GB of disk and 64 cores.
    pub fn new(memory: i32) -> Arc<Self> {
        let state = State {
            moods: BTreeMap::new(),
            instances: BTreeMap::new(),
            asked: Vec::new(),
            epochs: Vec::new(),
            elsewhere: false,
            memory,
            cores: 64,
            old_wire: false,
            facts: None,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it treats an operation from now on; `*` for all that are not named.
    pub fn mood(&self, operation: &str, mood: Mood) {
        self.state().moods.insert(operation.to_string(), mood);
    }

    /// From now on it knows only the 2.0.1 wire.
    pub fn old_wire(&self) {
        self.state().old_wire = true;
    }

    /// What it tells of itself from now on, for placement.
    pub fn tells(&self, facts: ironbark::NodeFacts) {
        self.state().facts = Some(facts);
    }

    /// The ids that an operation was called with (empty where it has none).
    pub fn asked(&self, operation: &str) -> Vec<String> {
        self.state().asked.iter().filter(|(name, _)| name == operation).map(|(_, id)| id.clone()).collect()
    }

    /// Says from now on of launches that fail here that another node may do better.
    pub fn fails_alone(&self) {
        self.state().elsewhere = true;
    }

    /// The epochs that came with the messages of an operation.
    pub fn epochs(&self, operation: &str) -> Vec<String> {
        let told = self.state().epochs.clone();
        told.into_iter().filter(|(name, _)| name == operation).map(|(_, epochs)| epochs).collect()
    }

    /// The states of its instances.
    pub fn states(&self) -> BTreeMap<String, String> {
        self.state().instances.iter().map(|(id, (_, state))| (id.clone(), state.clone())).collect()
    }

    /// Sets the state of one of its instances; `None` forgets it.
    pub fn set(&self, id: &str, state: Option<&str>) {
        match state {
            Some(state) => self.state().instances.get_mut(id).expect("known to the node").1 = state.to_string(),
            None => drop(self.state().instances.remove(id)),
        }
    }

    /// Gives it an instance that nobody launched there.
    pub fn plant(&self, id: &str) {
        let instance = nc::Instance {
            instance_id: id.to_string(),
            user_id: "alice".into(),
            reservation_id: "r-0000000A".into(),
            instance_type: machine(),
            ..Default::default()
        };
        self.state().instances.insert(id.to_string(), (instance, "running".into()));
    }

    fn serve(&self, exchange: &Exchange) -> Result<Reply, CallError> {
        let body = exchange.body.as_str();
        let mut state = self.state();
        match exchange.operation {
            "ncDescribeInstances" => answer(nc::DescribeInstancesResponse {
                instances: state.instances.values().map(|(instance, state)| listed(instance, state)).collect(),
                ..Default::default()
            }),
            "ncDescribeResource" => answer(state.resource()),
            "DescribeNode" if !state.old_wire => answer(state.describe()),
            "ncRunInstance" => {
                let request: nc::RunInstance = from_xml(body).expect("our own message");
                answer(nc::RunInstanceResponse { instance: Some(state.run(request)), ..Default::default() })
            }
            "ncTerminateInstance" => {
                let request: nc::TerminateInstance = from_xml(body).expect("our own message");
                state.become_(&request.instance_id, "shutting-down")?;
                answer(nc::TerminateInstanceResponse { instance_id: request.instance_id, ..Default::default() })
            }
            "ncRebootInstance" => {
                let request: nc::RebootInstance = from_xml(body).expect("our own message");
                state.become_(&request.instance_id, "rebooting")?;
                answer(nc::RebootInstanceResponse::default())
            }
            "ncGetConsoleOutput" => {
                answer(nc::GetConsoleOutputResponse { console_output: "aGVsbG8=".into(), ..Default::default() })
            }
            "ncDetachVolume" => {
                let request: nc::DetachVolume = from_xml(body).expect("our own message");
                state.asked.push(("force".into(), format!("{:?}", request.force)));
                answer(nc::DetachVolumeResponse::default())
            }
            "StopInstance" if !state.old_wire => {
                let request: ironbark::StopInstance = from_xml(body).expect("our own message");
                state.become_(&request.instance_id, "stopping")?;
                answer(ironbark::StopInstanceResponse::default())
            }
            "StartInstance" if !state.old_wire => {
                let request: ironbark::StartInstance = from_xml(body).expect("our own message");
                state.become_(&request.instance_id, "running")?;
                answer(ironbark::StartInstanceResponse::default())
            }
            "DescribeTrace" if !state.old_wire => {
                let request: ironbark::DescribeTrace = from_xml(body).expect("our own message");
                let span = ironbark::Span {
                    request_id: request.request_id,
                    id: "s1".into(),
                    tier: "nc:n1".into(),
                    name: "nc.ncRebootInstance".into(),
                    outcome: "ok".into(),
                    ..Default::default()
                };
                answer(ironbark::DescribeTraceResponse { spans: vec![span], ..Default::default() })
            }
            "DescribeLogs" if !state.old_wire => {
                let request: ironbark::DescribeLogs = from_xml(body).expect("our own message");
                let line = ironbark::LogLine { tier: "nc".into(), text: request.request_id, ..Default::default() };
                answer(ironbark::DescribeLogsResponse { lines: vec![line], ..Default::default() })
            }
            other => Err(CallError::Fault { code: "Client".into(), reason: format!("no operation {other} here") }),
        }
    }
}

impl State {
    fn run(&mut self, request: nc::RunInstance) -> nc::Instance {
        let instance = nc::Instance {
            instance_id: request.instance_id.clone(),
            reservation_id: request.reservation_id,
            image_id: request.image_id,
            user_id: request.user_id.unwrap_or_default(),
            instance_type: request.instance_type,
            net_params: Some(request.net_params),
            platform: request.platform,
            state_name: "Pending".into(),
            launch_time: Some(DateTime::now()),
            ..Default::default()
        };
        self.instances.insert(request.instance_id, (instance.clone(), "pending".into()));
        instance
    }

    fn become_(&mut self, id: &str, state: &str) -> Result<(), CallError> {
        let unknown = CallError::Declined { reason: format!("no instance {id} here") };
        self.instances.get_mut(id).ok_or(unknown)?.1 = state.to_string();
        Ok(())
    }

    fn used(&self) -> (i32, i32, i32) {
        let held = self.instances.values().filter(|(_, state)| state != "terminated" && state != "failed");
        held.map(|(instance, _)| &instance.instance_type).fold((0, 0, 0), |(memory, disk, cores), size| {
            let of = |part: Option<i32>| part.unwrap_or(0);
            (memory + of(size.memory), disk + of(size.disk), cores + of(size.cores))
        })
    }

    fn resource(&self) -> nc::DescribeResourceResponse {
        let (memory, disk, cores) = self.used();
        nc::DescribeResourceResponse {
            node_status: "OK".into(),
            memory_size_max: self.memory,
            memory_size_available: self.memory - memory,
            disk_size_max: 100,
            disk_size_available: 100 - disk,
            number_of_cores_max: self.cores,
            number_of_cores_available: self.cores - cores,
            public_subnets: "none".into(),
            ..Default::default()
        }
    }

    fn describe(&self) -> ironbark::DescribeNodeResponse {
        let one = |(id, (_, state)): (&String, &(nc::Instance, String))| ironbark::NodeInstance {
            instance_id: id.clone(),
            state: state.clone(),
            since: DateTime::default(),
            boot_count: 1,
            epoch: None,
            by_guest: None,
            elsewhere: matches!(state.as_str(), "shutting-down" | "failed").then_some(self.elsewhere),
            ..Default::default()
        };
        ironbark::DescribeNodeResponse {
            node_id: "6f0c".into(),
            operations: ["DescribeNode", "StopInstance", "StartInstance", "DescribeTrace", "DescribeLogs"]
                .map(String::from)
                .to_vec(),
            instances: self.instances.iter().map(one).collect(),
            facts: self.facts.clone(),
            ..Default::default()
        }
    }
}

impl Transport for ScriptedNode {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let mood = {
                let mut state = self.state();
                let id = exchange
                    .body
                    .split("instanceId>")
                    .nth(1)
                    .and_then(|rest| rest.split("</").next())
                    .unwrap_or_default();
                let id = id.split('<').next().unwrap_or_default().to_string();
                state.asked.push((exchange.operation.to_string(), id));
                state.epochs.push((exchange.operation.to_string(), exchange.epochs.to_string()));
                let named = state.moods.get(exchange.operation).or_else(|| state.moods.get("*"));
                named.copied().unwrap_or(Mood::Well)
            };
            // A call takes time, on the paused clock: so that calls overlap as they do in life.
            tokio::time::sleep(Duration::from_millis(1)).await;
            match mood {
                Mood::Well => self.serve(&exchange),
                Mood::Hangs => Err(late(ctx).await),
                Mood::LosesAnswers => {
                    drop(self.serve(&exchange));
                    Err(late(ctx).await)
                }
                Mood::Declines => Err(CallError::Declined { reason: "not today".into() }),
                Mood::Unreachable => Err(CallError::Unreachable { reason: "connection refused".into() }),
                Mood::Faults => {
                    Err(CallError::Fault { code: "Client".into(), reason: "the answer is not believed".into() })
                }
            }
        })
    }
}

/// Waits as long as the caller does.
async fn late(ctx: &Context) -> CallError {
    let after = ctx.remaining();
    tokio::time::sleep(after).await;
    CallError::TimedOut { after, reason: "no answer".into() }
}

fn answer<R: Response>(mut response: R) -> Result<Reply, CallError> {
    response.accept(true);
    Ok(Reply { body: to_xml(&response).expect("harmless text"), reason: None })
}

fn listed(instance: &nc::Instance, state: &str) -> nc::Instance {
    let state_name = match state {
        "pending" => "Pending",
        "shutting-down" | "terminated" | "failed" => "Teardown",
        _ => "Extant",
    };
    nc::Instance { state_name: state_name.into(), ..instance.clone() }
}

/// 128 MB, 1 core, 2 GB.
pub fn machine() -> nc::VirtualMachine {
    nc::VirtualMachine {
        name: Some("m1.small".into()),
        memory: Some(128),
        cores: Some(1),
        disk: Some(2),
        device_mapping: Vec::new(),
    }
}

/// A cluster over scripted nodes, and the cloud's side of it.
pub struct Harness {
    pub cluster: Arc<Cluster>,
    pub nodes: BTreeMap<String, Arc<ScriptedNode>>,
    pub recorder: Arc<Recorder>,
    router: Router<Cluster>,
    pub clock: Clock,
    pub state: TempDir,
    schedule: Schedule,
}

impl Harness {
    /// A cluster of GREEDY schedule with these nodes, each asked once. No polling: tests call
    /// [`Harness::poll`].
    pub async fn new(nodes: &[(&str, Arc<ScriptedNode>)]) -> Self {
        Self::scheduled(Schedule::Greedy, nodes).await
    }

    pub async fn scheduled(schedule: Schedule, nodes: &[(&str, Arc<ScriptedNode>)]) -> Self {
        let nodes: BTreeMap<String, Arc<ScriptedNode>> =
            nodes.iter().map(|(name, node)| (name.to_string(), node.clone())).collect();
        let state = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
        let (cluster, recorder, router) = open(&state, &clock, &nodes, schedule);
        let harness = Self { cluster, nodes, recorder, router, clock, state, schedule };
        harness.poll().await;
        harness
    }

    /// The controller dies and comes back with its state on disk.
    pub async fn restarted(self) -> Self {
        let Self { cluster, nodes, recorder, router, clock, state, schedule } = self;
        drop((router, recorder));
        // What is still under way holds the cluster, and with it the lock on the state.
        let weak = Arc::downgrade(&cluster);
        drop(cluster);
        let gone = async {
            while weak.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), gone).await.expect("everything under way ends");
        let (cluster, recorder, router) = open(&state, &clock, &nodes, schedule);
        Self { cluster, nodes, recorder, router, clock, state, schedule }
    }

    /// Every node that is not down is asked once.
    pub async fn poll(&self) {
        refresh::reachable(&self.cluster).await;
    }

    /// Asks one node, also one that is down.
    pub async fn refresh(&self, name: &str) {
        let link = self.cluster.link(&NodeName::parse(name).unwrap()).unwrap();
        refresh::refresh(&self.cluster, &link).await;
    }

    /// A call of the cloud, as the super-user.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, CallError> {
        self.call_as(SYSTEM_USER, request).await
    }

    /// A call of the cloud on behalf of a user.
    pub async fn call_as<R: Request>(&self, user: &str, request: R) -> Result<R::Response, CallError> {
        let recorder = Arc::new(Recorder::new("clc"));
        let ctx = Context::new(RequestId::random(), user, Duration::from_secs(3600), recorder);
        call(&self.router, &ctx, request).await
    }

    /// A call of the cloud as these operations of its instances.
    pub async fn call_at<R: Request>(&self, epochs: &str, request: R) -> Result<R::Response, CallError> {
        let recorder = Arc::new(Recorder::new("clc"));
        let ctx = Context::new(RequestId::random(), SYSTEM_USER, Duration::from_secs(3600), recorder);
        call(&self.router, &ctx.with_epochs(epochs.parse().unwrap()), request).await
    }

    /// A call of the cloud under that request, as the super-user.
    pub async fn call_under<R: Request>(&self, id: &RequestId, request: R) -> Result<R::Response, CallError> {
        let recorder = Arc::new(Recorder::new("clc"));
        let ctx = Context::new(id.clone(), SYSTEM_USER, Duration::from_secs(3600), recorder);
        call(&self.router, &ctx, request).await
    }

    /// A call whose raw answer matters, for what `call` turns into an error.
    pub async fn raw<R: Request>(&self, mut request: R) -> R::Response {
        request.stamp(Some("5f0c-4711"), Some(SYSTEM_USER));
        let recorder = Arc::new(Recorder::new("clc"));
        let ctx = Context::new(RequestId::random(), SYSTEM_USER, Duration::from_secs(3600), recorder);
        let body = to_xml(&request).unwrap();
        let (message_id, epochs) = ("urn:uuid:1".into(), ctx.epochs.clone());
        let exchange = Exchange { service: R::SERVICE, operation: R::NAME, body, message_id, epochs };
        from_xml(&self.router.send(&ctx, exchange).await.unwrap().body).unwrap()
    }

    /// Runs instances of 128 MB.
    pub async fn run(&self, least: i32, ids: &[&str]) -> Result<Vec<String>, CallError> {
        let response = self.call_as("alice", run_request(least, ids)).await?;
        Ok(response.instances.into_iter().filter_map(|instance| instance.instance_id).collect())
    }

    /// State and node of each instance, by DescribeCluster.
    pub async fn believed(&self) -> BTreeMap<String, (String, String)> {
        let cluster = self.call(ironbark::DescribeCluster::default()).await.unwrap();
        let one = |instance: ironbark::ClusterInstance| (instance.instance_id, (instance.state, instance.node_name));
        cluster.instances.into_iter().map(one).collect()
    }

    /// The ids that all nodes together were told to launch.
    pub fn launches(&self) -> Vec<String> {
        self.nodes.values().flat_map(|node| node.asked("ncRunInstance")).collect()
    }

    /// The operations that the router has, by name.
    pub fn routed(&self) -> BTreeSet<(&'static str, &'static str)> {
        self.router.operations().into_iter().collect()
    }
}

fn open(
    state: &TempDir,
    clock: &Clock,
    nodes: &BTreeMap<String, Arc<ScriptedNode>>,
    schedule: Schedule,
) -> (Arc<Cluster>, Arc<Recorder>, Router<Cluster>) {
    let settings = Settings {
        name: "cluster1".into(),
        schedule,
        isolation: Isolation::Semaphore,
        poll: Duration::from_secs(2),
        dhcp_leases: Some(state.path().join("leases")),
    };
    let known = nodes.clone();
    let connect: Connect = Box::new(move |entry: &Entry| match known.get(entry.name.as_str()) {
        Some(node) => Ok(node.clone() as Arc<dyn Transport>),
        None => Err("the test has no such node".to_string()),
    });
    let configured = nodes.keys().filter(|name| !name.starts_with("late")).map(|name| entry(name)).collect();
    let journal = Journal::open(state.path()).unwrap();
    let cluster = Cluster::open(settings, configured, journal, connect, clock.clone()).unwrap();
    let recorder = Arc::new(Recorder::new("cc:cluster1"));
    let router = router(cluster.clone(), recorder.clone());
    (cluster, recorder, router)
}

fn entry(name: &str) -> Entry {
    Entry {
        name: NodeName::parse(name).unwrap(),
        url: format!("http://{name}:8775/axis2/services/EucalyptusNC"),
        profile: Profile::Strict,
        certificate: String::new(),
        source: Source::Configured,
    }
}

/// A run request for as many instances as there are ids, 128 MB each.
pub fn run_request(least: i32, ids: &[&str]) -> cc::RunInstances {
    cc::RunInstances {
        image_id: Some("emi-00000001".into()),
        image_url: Some("file:/images/1".into()),
        instance_type: Some(machine()),
        min_count: least,
        max_count: i32::try_from(ids.len()).unwrap(),
        reservation_id: "r-00000001".into(),
        instance_ids: ids.iter().map(ToString::to_string).collect(),
        net_names: vec!["default".into()],
        mac_addresses: vec!["00:00:00:00:00:00".into()],
        vlan: -1,
        launch_index: "0".into(),
        ..Default::default()
    }
}
