//! A cloud controller over a cluster of the test's own: the real router behind real XML, with a
//! scripted wire in front of it, and a clock that stands still.

#![allow(dead_code, reason = "each test file uses its part of this module")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ironbark_clc::cloud::{Cloud, Settings};
use ironbark_clc::clusters::Connect;
use ironbark_clc::ec2::images::ImageType;
use ironbark_clc::ec2::instances::{DescribeInstances, Instance, InstanceState};
use ironbark_clc::ec2::run::RunInstances;
use ironbark_clc::error::Ec2Error;
use ironbark_clc::front::{Caller, Credential};
use ironbark_clc::launch;
use ironbark_clc::pool::Pool;
use ironbark_clc::role::Role;
use ironbark_clc::store::{Account, Cluster, Image, OnFailure, Registered, Store, User, UserGroup};
use ironbark_clc::{actions, refresh, upkeep};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::ironbark::{
    ClusterInstance, ClusterNode, DescribeCluster, DescribeClusterResponse, DescribeInventory,
    DescribeInventoryResponse, DescribeLogs, DescribeLogsResponse, DescribePlacements, DescribePlacementsResponse,
    DescribeTrace, DescribeTraceResponse, InstanceResult, Inventory, InventoryInstance, JoinPlacementGroup,
    JoinPlacementGroupResponse, LogLine, PlanInstances, PlanInstancesResponse, RestrictPlacement,
    RestrictPlacementResponse, Size, Span, StartInstances, StartInstancesResponse, StopInstances,
    StopInstancesResponse,
};
use ironbark_wsdl::nc::{NetConfig, VirtualMachine};
use ironbark_wsdl::service::BoxFuture;
use ironbark_wsdl::{CallError, Context, Epochs, Exchange, Recorder, Refusal, Reply, RequestId, Router, Transport, cc};
use jiff::Timestamp;
use tempfile::TempDir;

pub const ZONE: &str = "cluster1";
pub const IMAGE: &str = "emi-0000000A";
pub const NODE: &str = "n1";

/// A cluster that believes its test.
pub struct Cc {
    /// State of each instance, in the words of `ironbark.wsdl`.
    pub instances: Mutex<BTreeMap<String, String>>,
    /// Why each instance is in its state, where there is a reason.
    pub reasons: Mutex<BTreeMap<String, String>>,
    /// How often each instance has booted, and how its last reboot went; once, if it is not there.
    pub boots: Mutex<BTreeMap<String, (i32, String)>>,
    /// The instances that it was told to switch off without asking.
    pub forced: Mutex<BTreeSet<String>>,
    /// The size that each instance was last started with.
    pub sizes: Mutex<BTreeMap<String, Size>>,
    /// How many more it takes.
    pub room: Mutex<i32>,
    /// What it refuses, by operation, and why.
    pub refuses: Mutex<BTreeMap<&'static str, String>>,
    /// Knows 2.0.1's operations only.
    pub old: Mutex<bool>,
    /// The elastic addresses it has put on instances, by their own address; none: it is in mode SYSTEM.
    pub assigned: Mutex<Option<BTreeMap<String, String>>>,
    /// What it answers when it is asked for a plan; none: it knows no such operation.
    pub plan: Mutex<Option<PlanInstancesResponse>>,
    /// What it tells of its decisions; none: it knows no such operation.
    pub story: Mutex<Option<DescribePlacementsResponse>>,
    /// The placement group that each instance joined; none: it knows no such operation.
    pub groups: Mutex<Option<BTreeMap<String, String>>>,
    /// The epoch that each instance's node last took, where a test says so.
    pub epochs: Mutex<BTreeMap<String, i64>>,
    /// Those that went off, and not by their guests.
    pub failed: Mutex<BTreeSet<String>>,
    /// What the nodes of instances must be; none: it knows no such operation.
    pub needs: Mutex<Option<BTreeMap<String, Needs>>>,
    /// The plan that it was last asked for.
    pub planned: Mutex<Option<PlanInstances>>,
    /// What its node's guests' processors are, if it tells.
    pub architecture: Mutex<Option<String>>,
    /// What its node tells of itself: its operations, and why it drains.
    pub node: Mutex<(Vec<&'static str>, Option<String>)>,
    /// Its node has not answered since.
    pub node_seen: Mutex<Timestamp>,
    pub clock: Clock,
}

/// An architecture and tags.
pub type Needs = (Option<String>, Vec<String>);

type Handled<R> = Result<R, Refusal>;

impl Cc {
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            instances: Mutex::default(),
            reasons: Mutex::default(),
            boots: Mutex::default(),
            forced: Mutex::default(),
            sizes: Mutex::default(),
            room: Mutex::new(100),
            refuses: Mutex::default(),
            old: Mutex::new(false),
            assigned: Mutex::new(None),
            plan: Mutex::new(None),
            story: Mutex::new(None),
            groups: Mutex::new(None),
            epochs: Mutex::default(),
            failed: Mutex::default(),
            node: Mutex::new((vec!["DescribeNode", "StopInstance", "StartInstance"], None)),
            needs: Mutex::new(None),
            planned: Mutex::new(None),
            architecture: Mutex::new(None),
            node_seen: Mutex::new(clock.now()),
            clock,
        })
    }

    pub fn set(&self, id: &str, state: &str) {
        self.instances.lock().unwrap().insert(id.to_string(), state.to_string());
    }

    pub fn set_all(&self, state: &str) {
        self.instances.lock().unwrap().values_mut().for_each(|old| *old = state.to_string());
    }

    pub fn set_because(&self, id: &str, state: &str, reason: &str) {
        self.reasons.lock().unwrap().insert(id.to_string(), reason.to_string());
        self.set(id, state);
    }

    pub fn lose(&self, id: &str) {
        self.instances.lock().unwrap().remove(id);
    }

    pub fn ids(&self) -> Vec<String> {
        self.instances.lock().unwrap().keys().cloned().collect()
    }

    pub fn refuse(&self, operation: &'static str, reason: &str) {
        self.refuses.lock().unwrap().insert(operation, reason.to_string());
    }

    fn check(&self, operation: &str) -> Handled<()> {
        match self.refuses.lock().unwrap().get(operation) {
            Some(reason) => Err(Refusal::new(reason.clone())),
            None => Ok(()),
        }
    }

    fn listed(&self) -> Vec<cc::Instance> {
        let instances = self.instances.lock().unwrap();
        instances.iter().map(|(id, state)| wire_instance(id, state)).collect()
    }
}

fn wire_instance(id: &str, state: &str) -> cc::Instance {
    let old_name = match state {
        "pending" => "Pending",
        "running" | "rebooting" | "stopping" | "stopped" => "Extant",
        _ => "Teardown",
    };
    cc::Instance {
        instance_id: Some(id.to_string()),
        state_name: Some(old_name.to_string()),
        net_params: Some(NetConfig {
            private_mac_address: "d0:0d:00:00:00:01".into(),
            private_ip: "10.0.0.7".into(),
            public_ip: "0.0.0.0".into(),
            vlan: -1,
            network_index: -1,
        }),
        ..cc::Instance::default()
    }
}

async fn describe_instances(
    cc: Arc<Cc>,
    _: Context,
    _: cc::DescribeInstances,
) -> Handled<cc::DescribeInstancesResponse> {
    Ok(cc::DescribeInstancesResponse { instances: cc.listed(), ..Default::default() })
}

async fn describe_resources(
    cc: Arc<Cc>,
    _: Context,
    ask: cc::DescribeResources,
) -> Handled<cc::DescribeResourcesResponse> {
    let room = *cc.room.lock().unwrap();
    let resource = |machine: VirtualMachine| cc::Resource {
        instance_type: Some(machine),
        max_instances: Some(100),
        available_instances: Some(room),
    };
    let resources = ask.instance_types.into_iter().map(resource).collect();
    Ok(cc::DescribeResourcesResponse { resources, ..Default::default() })
}

/// Takes as many as there is room for; idempotent by id, as a cluster must be.
async fn run_instances(cc: Arc<Cc>, _: Context, ask: cc::RunInstances) -> Handled<cc::RunInstancesResponse> {
    cc.check("RunInstances")?;
    assert_eq!(ask.instance_ids.len(), usize::try_from(ask.max_count).unwrap());
    assert!((1..=ask.max_count).contains(&ask.min_count));
    let mut taken = Vec::new();
    for id in &ask.instance_ids {
        let known = cc.instances.lock().unwrap().contains_key(id);
        let mut room = cc.room.lock().unwrap();
        if known || *room > 0 {
            if !known {
                *room -= 1;
                cc.set(id, "pending");
            }
            taken.push(wire_instance(id, "pending"));
        }
    }
    if i32::try_from(taken.len()).unwrap() < ask.min_count {
        return Err(Refusal::new("no node has room"));
    }
    Ok(cc::RunInstancesResponse { instances: taken, ..Default::default() })
}

async fn terminate_instances(
    cc: Arc<Cc>,
    _: Context,
    ask: cc::TerminateInstances,
) -> Handled<cc::TerminateInstancesResponse> {
    cc.check("TerminateInstances")?;
    for id in &ask.instance_ids {
        cc.lose(id);
    }
    Ok(cc::TerminateInstancesResponse { is_terminated: vec![false; ask.instance_ids.len()], ..Default::default() })
}

async fn reboot_instances(cc: Arc<Cc>, _: Context, ask: cc::RebootInstances) -> Handled<cc::RebootInstancesResponse> {
    cc.check("RebootInstances")?;
    for id in &ask.instance_ids {
        cc.set(id, "rebooting");
    }
    Ok(cc::RebootInstancesResponse::default())
}

async fn get_console_output(cc: Arc<Cc>, _: Context, _: cc::GetConsoleOutput) -> Handled<cc::GetConsoleOutputResponse> {
    cc.check("GetConsoleOutput")?;
    Ok(cc::GetConsoleOutputResponse { console_output: Some("aGVsbG8K".into()), ..Default::default() })
}

fn accepted(ids: &[String]) -> Vec<InstanceResult> {
    ids.iter().map(|id| InstanceResult { instance_id: id.clone(), accepted: true, reason: None }).collect()
}

async fn stop_instances(cc: Arc<Cc>, _: Context, ask: StopInstances) -> Handled<StopInstancesResponse> {
    cc.check("StopInstances")?;
    if ask.force == Some(true) {
        cc.forced.lock().unwrap().extend(ask.instance_ids.clone());
    }
    ask.instance_ids.iter().for_each(|id| cc.set(id, "stopping"));
    Ok(StopInstancesResponse { results: accepted(&ask.instance_ids), ..Default::default() })
}

async fn start_instances(cc: Arc<Cc>, _: Context, ask: StartInstances) -> Handled<StartInstancesResponse> {
    cc.check("StartInstances")?;
    for id in &ask.instance_ids {
        cc.set(id, "running");
        let size = ask.size.iter().map(|size| (id.clone(), size.clone()));
        cc.sizes.lock().unwrap().extend(size);
    }
    Ok(StartInstancesResponse { results: accepted(&ask.instance_ids), ..Default::default() })
}

async fn describe_cluster(cc: Arc<Cc>, _: Context, _: DescribeCluster) -> Handled<DescribeClusterResponse> {
    let now = cc.clock.now();
    let (seen, node) = (*cc.node_seen.lock().unwrap(), cc.node.lock().unwrap().clone());
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut operations = words(&[
        "DescribeCluster",
        "StopInstances",
        "StartInstances",
        "DescribeTrace",
        "DescribeLogs",
        "DescribeInventory",
    ]);
    operations.extend(cc.plan.lock().unwrap().iter().map(|_| "PlanInstances".to_string()));
    operations.extend(cc.groups.lock().unwrap().iter().map(|_| "JoinPlacementGroup".to_string()));
    operations.extend(cc.needs.lock().unwrap().iter().map(|_| "RestrictPlacement".to_string()));
    operations.extend(cc.story.lock().unwrap().iter().map(|_| "DescribePlacements".to_string()));
    let (reasons, boots) = (cc.reasons.lock().unwrap().clone(), cc.boots.lock().unwrap().clone());
    let reason = |id: &str, state: &str| match reasons.get(id) {
        None => (state == "failed").then(|| "the image is not a disk".to_string()),
        reason => reason.cloned(),
    };
    let instance = |(id, state): (&String, &String)| ClusterInstance {
        instance_id: id.clone(),
        node_name: NODE.into(),
        state: state.clone(),
        reason: reason(id, state),
        since: now.into(),
        observed: now.into(),
        boot_count: Some(boots.get(id).map_or(1, |(count, _)| *count)),
        last_reboot: boots.get(id).map(|(_, how)| how.clone()),
        epoch: cc.epochs.lock().unwrap().get(id).copied(),
        by_guest: (state == "stopped").then(|| !cc.failed.lock().unwrap().contains(id)),
    };
    Ok(DescribeClusterResponse {
        cluster_name: ZONE.into(),
        version: "test".into(),
        isolation: "semaphore".into(),
        schedule: "GREEDY".into(),
        operations,
        nodes: vec![ClusterNode {
            name: NODE.into(),
            state: "up".into(),
            last_seen: Some(seen.into()),
            operations: words(&node.0),
            draining: node.1,
            architecture: cc.architecture.lock().unwrap().clone(),
            ..ClusterNode::default()
        }],
        instances: cc.instances.lock().unwrap().iter().map(instance).collect(),
        ..Default::default()
    })
}

/// Its one node has what the cluster says it has.
async fn describe_inventory(cc: Arc<Cc>, _: Context, _: DescribeInventory) -> Handled<DescribeInventoryResponse> {
    let instance = |(id, state): (&String, &String)| InventoryInstance {
        instance_id: id.clone(),
        owner_id: ADMIN.into(),
        state: state.clone(),
        since: cc.clock.now().into(),
        domain: Some(if state == "running" { "running" } else { "unclear" }.into()),
        files: true,
        ..InventoryInstance::default()
    };
    let instances = cc.instances.lock().unwrap().iter().map(instance).collect();
    let inventory = Inventory { node_name: NODE.into(), instances, disk_free: 50_000, ..Inventory::default() };
    Ok(DescribeInventoryResponse { inventories: vec![inventory], ..Default::default() })
}

async fn describe_public_addresses(
    cc: Arc<Cc>,
    _: Context,
    _: cc::DescribePublicAddresses,
) -> Handled<cc::DescribePublicAddressesResponse> {
    match &*cc.assigned.lock().unwrap() {
        Some(_) => Ok(cc::DescribePublicAddressesResponse::default()),
        None => Err(Refusal::new("NOTSUPPORTED")),
    }
}

async fn assign_address(cc: Arc<Cc>, _: Context, ask: cc::AssignAddress) -> Handled<cc::AssignAddressResponse> {
    cc.check("AssignAddress")?;
    cc.assigned.lock().unwrap().as_mut().unwrap().insert(ask.source, ask.dest);
    Ok(cc::AssignAddressResponse::default())
}

async fn unassign_address(cc: Arc<Cc>, _: Context, ask: cc::UnassignAddress) -> Handled<cc::UnassignAddressResponse> {
    let gone = cc.assigned.lock().unwrap().as_mut().unwrap().remove(&ask.source);
    assert_eq!(gone.as_ref(), Some(&ask.dest));
    Ok(cc::UnassignAddressResponse::default())
}

async fn describe_trace(_: Arc<Cc>, _: Context, ask: DescribeTrace) -> Handled<DescribeTraceResponse> {
    let span = Span {
        request_id: ask.request_id,
        id: "urn:x".into(),
        tier: "cc:cluster1".into(),
        name: "cc.place".into(),
        ..Span::default()
    };
    Ok(DescribeTraceResponse { spans: vec![span], ..Default::default() })
}

async fn plan_instances(cc: Arc<Cc>, _: Context, ask: PlanInstances) -> Handled<PlanInstancesResponse> {
    *cc.planned.lock().unwrap() = Some(ask);
    Ok(cc.plan.lock().unwrap().clone().unwrap())
}

async fn join_placement_group(cc: Arc<Cc>, _: Context, ask: JoinPlacementGroup) -> Handled<JoinPlacementGroupResponse> {
    let mut groups = cc.groups.lock().unwrap();
    groups.as_mut().unwrap().extend(ask.instance_ids.into_iter().map(|id| (id, ask.strategy.clone())));
    Ok(JoinPlacementGroupResponse::default())
}

async fn restrict_placement(cc: Arc<Cc>, _: Context, ask: RestrictPlacement) -> Handled<RestrictPlacementResponse> {
    let needs = (ask.architecture, ask.tags);
    cc.needs.lock().unwrap().as_mut().unwrap().extend(ask.instance_ids.into_iter().map(|id| (id, needs.clone())));
    Ok(RestrictPlacementResponse::default())
}

async fn describe_placements(cc: Arc<Cc>, _: Context, _: DescribePlacements) -> Handled<DescribePlacementsResponse> {
    Ok(cc.story.lock().unwrap().clone().unwrap())
}

async fn describe_logs(_: Arc<Cc>, _: Context, ask: DescribeLogs) -> Handled<DescribeLogsResponse> {
    let line = |time: i64, tier: &str| LogLine {
        time,
        tier: tier.into(),
        level: "INFO".into(),
        event: "request.end".into(),
        text: ask.request_id.clone(),
    };
    Ok(DescribeLogsResponse { lines: vec![line(2, "cc:cluster1"), line(1, "nc:n1")], ..Default::default() })
}

/// What happens to the next calls of an operation on the wire.
pub enum Trouble {
    /// It does not arrive.
    NotSent,
    /// It is carried out, and the answer is lost.
    AnswerLost,
}

/// The wire between the cloud and the cluster.
pub struct Wire {
    router: Router<Cc>,
    cc: Arc<Cc>,
    trouble: Mutex<BTreeMap<&'static str, VecDeque<Trouble>>>,
    silent: AtomicBool,
    /// Every operation that was tried, in order.
    pub tried: Mutex<Vec<&'static str>>,
    /// The epochs that went with them.
    pub epochs: Mutex<Vec<(&'static str, Epochs)>>,
}

impl Wire {
    pub fn new(cc: Arc<Cc>) -> Arc<Self> {
        let recorder = Arc::new(Recorder::new("cc:cluster1"));
        let router = Router::new(cc.clone(), recorder, Duration::from_secs(5))
            .on(describe_instances)
            .on(describe_resources)
            .on(run_instances)
            .on(terminate_instances)
            .on(reboot_instances)
            .on(get_console_output)
            .on(stop_instances)
            .on(start_instances)
            .on(describe_cluster)
            .on(describe_public_addresses)
            .on(assign_address)
            .on(unassign_address)
            .on(plan_instances)
            .on(describe_placements)
            .on(join_placement_group)
            .on(restrict_placement)
            .on(describe_trace)
            .on(describe_logs)
            .on(describe_inventory);
        Arc::new(Self {
            router,
            cc,
            trouble: Mutex::default(),
            silent: AtomicBool::new(false),
            tried: Mutex::default(),
            epochs: Mutex::default(),
        })
    }

    pub fn trouble(&self, operation: &'static str, trouble: Trouble) {
        self.trouble.lock().unwrap().entry(operation).or_default().push_back(trouble);
    }

    /// Nothing arrives from now on, or everything again.
    pub fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// The epoch that the last message of this operation had for an instance.
    pub fn epoch(&self, operation: &str, id: &str) -> Option<i64> {
        self.epochs.lock().unwrap().iter().rev().find(|(told, _)| *told == operation)?.1.of(id)
    }

    pub fn count(&self, operation: &str) -> usize {
        self.tried.lock().unwrap().iter().filter(|tried| **tried == operation).count()
    }
}

struct Way(Arc<Wire>);

impl Transport for Way {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let operation = exchange.operation;
            self.0.tried.lock().unwrap().push(operation);
            self.0.epochs.lock().unwrap().push((operation, exchange.epochs.clone()));
            if self.0.silent.load(Ordering::SeqCst) {
                return Err(CallError::Unreachable { reason: "connection refused".into() });
            }
            if operation == "DescribeCluster" && *self.0.cc.old.lock().unwrap() {
                return Err(CallError::Fault { code: "Client".into(), reason: "no such operation".into() });
            }
            let trouble = self.0.trouble.lock().unwrap().get_mut(operation).and_then(VecDeque::pop_front);
            match trouble {
                Some(Trouble::NotSent) => Err(CallError::Unreachable { reason: "connection refused".into() }),
                Some(Trouble::AnswerLost) => {
                    self.0.router.send(ctx, exchange).await?;
                    Err(CallError::TimedOut { after: Duration::from_secs(1), reason: "the answer was lost".into() })
                }
                None => self.0.router.send(ctx, exchange).await,
            }
        })
    }
}

/// A cloud over one cluster, and what the test holds of it.
pub struct Lab {
    pub dir: TempDir,
    pub cloud: Arc<Cloud>,
    pub cc: Arc<Cc>,
    pub wire: Arc<Wire>,
    pub clock: Clock,
}

/// The accounts that a lab has, with the role of each one's user `admin`.
pub const ACCOUNTS: [(&str, &str, Role); 2] =
    [(ADMIN, "admin", Role::CloudAdministrator), (EVE, "eve", Role::AccountAdministrator)];
pub const ADMIN: &str = "100000000001";
pub const EVE: &str = "100000000002";

/// The user `admin` of that account.
pub fn caller(account: &str) -> Caller {
    let (id, name, role) = ACCOUNTS.into_iter().find(|(_, name, _)| *name == account).unwrap();
    Caller {
        account: id.into(),
        account_name: name.into(),
        user: "admin".into(),
        user_id: format!("AIDA{id}"),
        role: Some(role),
        credential: Credential::AccessKey("AKIB".into()),
    }
}

/// Makes one of [`ACCOUNTS`].
pub async fn make_account(store: &Store, (id, name, role): (&str, &str, Role), created: i64) {
    let account = Account { id: id.into(), name: name.into(), created };
    let user = User { id: format!("AIDA{id}"), account: id.into(), name: "admin".into(), created };
    let group = UserGroup { account: id.into(), name: "administrators".into(), role, created };
    assert_eq!(store.create_account(account, user, group).await.unwrap(), Registered::Made);
}

pub async fn open(path: &Path, wire: &Arc<Wire>, clock: &Clock) -> Arc<Cloud> {
    open_zones(path, &[(ZONE, wire.clone())], clock).await
}

/// The same over several clusters; any other name leads to the first.
pub async fn open_zones(path: &Path, wires: &[(&'static str, Arc<Wire>)], clock: &Clock) -> Arc<Cloud> {
    let wires = wires.to_vec();
    let connect: Connect = Arc::new(move |cluster| {
        let (_, wire) = wires.iter().find(|(name, _)| *name == cluster.name).unwrap_or(&wires[0]);
        Ok(Arc::new(Way(wire.clone())) as Arc<dyn Transport>)
    });
    let settings = Settings {
        url: "http://h:8773/services/Eucalyptus".into(),
        region: "ironbark".into(),
        addresses: Pool::parse(&["192.0.2.10-192.0.2.12".to_string()]).unwrap(),
        poll: Duration::from_secs(2),
        on_failure: OnFailure::Restart,
        node_tags: BTreeMap::from([("c1.xlarge".to_string(), vec!["ssd".to_string()])]),
    };
    Cloud::open(Store::open(&path.join("cloud.db")).unwrap(), settings, clock.clone(), connect).await.unwrap()
}

impl Lab {
    /// A cloud with accounts `admin` and `eve`, one cluster that has been polled, and one image.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
        let cc = Cc::new(clock.clone());
        let wire = Wire::new(cc.clone());
        {
            let store = Store::open(&dir.path().join("cloud.db")).unwrap();
            let created = clock.now().as_microsecond();
            for account in ACCOUNTS {
                make_account(&store, account, created).await;
            }
            let cluster = Cluster {
                name: ZONE.into(),
                url: "http://cc".into(),
                certificate: String::new(),
                profile: "strict".into(),
                created,
            };
            store.register_cluster(cluster).await.unwrap();
            assert_eq!(store.register_image(image(created)).await.unwrap(), Registered::Made);
        }
        let cloud = open(dir.path(), &wire, &clock).await;
        let lab = Self { dir, cloud, cc, wire, clock };
        lab.poll().await;
        lab
    }

    /// The process is gone, and another one begins with what is on the disk.
    pub async fn restart(&mut self) {
        self.cloud = open(self.dir.path(), &self.wire, &self.clock).await;
        self.poll().await;
    }

    pub async fn poll(&self) {
        refresh::poll(&self.cloud, ZONE).await;
    }

    /// The launcher looks once.
    pub async fn pass(&self) {
        launch::pass(&self.cloud).await.unwrap();
    }

    /// The launcher looks once, as if the pauses between tries were over.
    pub async fn pass_again(&self) {
        for instance in self.cloud.store.kept().await.unwrap() {
            self.cloud.tries.hurry(&instance.id);
        }
        self.pass().await;
    }

    /// What has waited for too long is resolved.
    pub async fn resolve_overdue(&self) {
        upkeep::resolve_overdue(&self.cloud).await.unwrap();
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(jiff::SignedDuration::from_secs(seconds));
    }

    pub fn ctx(&self) -> Context {
        Context::new(RequestId::random(), "admin", Duration::from_secs(30), self.cloud.recorder.clone())
    }

    pub fn run(count: u32) -> RunInstances {
        RunInstances {
            image_id: IMAGE.into(),
            min_count: 1,
            max_count: count,
            instance_type: "m1.small".into(),
            ..RunInstances::default()
        }
    }

    /// Runs instances and gives their ids.
    pub async fn run_instances(&self, request: RunInstances) -> Result<Vec<String>, Ec2Error> {
        let answer = actions::run::run_instances(self.cloud.clone(), self.ctx(), caller("admin"), request).await?;
        Ok(answer.0.instances.into_iter().map(|instance| instance.instance_id).collect())
    }

    /// Runs instances and brings them to `running`.
    pub async fn running(&self, count: u32) -> Vec<String> {
        let ids = self.run_instances(Self::run(count)).await.unwrap();
        self.pass().await;
        self.cc.set_all("running");
        self.poll().await;
        assert!(self.states(&ids).await.iter().all(|state| *state == InstanceState::Running));
        ids
    }

    pub async fn describe(&self, id: &str) -> Result<Instance, Ec2Error> {
        let request = DescribeInstances { instance_ids: vec![id.to_string()], ..DescribeInstances::default() };
        let answer =
            actions::instances::describe_instances(self.cloud.clone(), self.ctx(), caller("admin"), request).await?;
        Ok(answer.reservations.into_iter().flat_map(|reservation| reservation.instances).next().unwrap())
    }

    pub async fn state(&self, id: &str) -> InstanceState {
        self.describe(id).await.unwrap().state
    }

    pub async fn states(&self, ids: &[String]) -> Vec<InstanceState> {
        let mut states = Vec::new();
        for id in ids {
            states.push(self.state(id).await);
        }
        states
    }
}

fn image(created: i64) -> Image {
    Image {
        id: IMAGE.into(),
        owner: ADMIN.into(),
        kind: ImageType::Machine,
        name: "guest".into(),
        description: None,
        location: "file:/srv/guest.img".into(),
        sha256: Some("ab".repeat(32)),
        architecture: "x86_64".into(),
        kernel_id: None,
        ramdisk_id: None,
        root_device_name: None,
        public: true,
        launch_permissions: Vec::new(),
        created,
        tags: Vec::new(),
    }
}
