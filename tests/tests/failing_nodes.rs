//! Nodes that fail in every way, called through the cluster controller in both isolation modes: the
//! caller learns how it was, other nodes' calls go on meanwhile, and nothing is left behind. A
//! harness of its own, because the fork server must start before the first thread.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ironbark_cc::cluster::node::{Entry, Profile, Source};
use ironbark_cc::config::Isolation as Mode;
use ironbark_cc::ids::NodeName;
use ironbark_cc::journal::Journal;
use ironbark_cc::nodes::{NodeRequest, tell};
use ironbark_cc::place::Schedule;
use ironbark_cc::{Cluster, Connect, Settings};
use ironbark_tests::census::Census;
use ironbark_tests::door::PATH;
use ironbark_tests::real_node::RealNode;
use ironbark_tests::scripted_node::{Misdeed, ScriptedNode};
use ironbark_wsdl::child::{ForkServer, Isolation};
use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::http::{Handler, ServerLimits, serve};
use ironbark_wsdl::peer::{Isolated, Peer, SoapClient, isolated_work};
use ironbark_wsdl::wsse::{self, Certificate, Identity};
use ironbark_wsdl::{CallError, Transport, ironbark, nc};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Time for a call that nothing hinders, on a machine that is busy with other tests.
const AMPLE: Duration = Duration::from_secs(20);

/// All that lives as long as this program.
struct World {
    runtime: tokio::runtime::Runtime,
    isolation: Arc<Isolation>,
    cluster: Arc<Identity>,
    node: Arc<Identity>,
}

static WORLD: OnceLock<World> = OnceLock::new();

fn world() -> &'static World {
    WORLD.get().expect("main made it")
}

fn main() -> ExitCode {
    let cluster = Arc::new(Identity::generate("cluster").expect("a key"));
    let node = Arc::new(Identity::generate("node").expect("a key"));
    let honest = isolated_work(cluster.clone().into());
    let work = move |job: &[u8]| harm(job).unwrap_or_else(|| honest(job));
    let server = ForkServer::start(work).expect("no thread yet");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let guard = runtime.enter();
    let isolation = Arc::new(server.into_async().expect("within a runtime"));
    drop(guard);
    assert!(WORLD.set(World { runtime, isolation, cluster, node }).is_ok());

    // One after another: what is left behind is counted for the whole process.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let mut trials = Vec::new();
    for mode in [Mode::Fork, Mode::Semaphore] {
        for (name, misdeed, outcomes) in misdeeds() {
            let name = format!("{}::{name}", mode.name());
            trials.push(trial(name, move || one_misdeed(mode, misdeed, outcomes)));
        }
        trials.push(trial(format!("{}::a_dozen_ways_ten_thousand_times", mode.name()), move || ten_thousand(mode)));
    }
    for (name, outcome, reason) in CHILDREN {
        trials.push(trial(format!("child::{name}"), move || one_child(name, outcome, reason)));
    }
    trials.push(trial("a_second_fork_server_is_refused_beside_threads".to_string(), async || {
        let error = ForkServer::start(<[u8]>::to_vec).expect_err("there are threads");
        assert!(error.to_string().contains("before any thread"), "{error}");
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial<F: Future<Output = ()>>(name: String, test: impl Fn() -> F + Send + 'static) -> Trial {
    Trial::test(name, move || -> Result<(), Failed> {
        world().runtime.block_on(test());
        Ok(())
    })
}

/// Every misdeed of a node, and which words fit what its caller learns.
fn misdeeds() -> Vec<(&'static str, Misdeed, &'static [&'static str])> {
    let late = Misdeed::Late(Duration::from_secs(5));
    vec![
        ("refuses", Misdeed::Refuses, &["unreachable"]),
        // Without an answer to the first packet one cannot know whether it was lost or the answer was.
        ("backlog_full", Misdeed::BacklogFull, &["unreachable", "timed-out"]),
        ("never_accepts", Misdeed::NeverAccepts, &["timed-out"]),
        ("closes_at_once", Misdeed::ClosesAtOnce, &["timed-out"]),
        ("hangs", Misdeed::Hangs, &["timed-out"]),
        ("drips", Misdeed::Drips, &["timed-out"]),
        ("resets", Misdeed::Resets, &["timed-out"]),
        ("breaks_off", Misdeed::BreaksOff, &["timed-out"]),
        ("answers_late", late, &["timed-out"]),
        ("garbage", Misdeed::Garbage, &["fault"]),
        ("a_web_page", Misdeed::Page, &["fault"]),
        ("endless_header", Misdeed::EndlessHeader, &["fault"]),
        ("endless_continue", Misdeed::EndlessContinue, &["fault"]),
        ("endless_body", Misdeed::EndlessBody, &["fault", "timed-out"]),
        ("huge", Misdeed::Huge, &["fault"]),
        ("bomb", Misdeed::Bomb, &["fault", "timed-out"]),
        ("compressed", Misdeed::Compressed, &["fault"]),
        ("answers_another_request", Misdeed::OtherRequest, &["fault"]),
        ("tampered", Misdeed::Tampered, &["fault"]),
        ("unsigned_fault", Misdeed::UnsignedFault, &["fault"]),
        ("redirects", Misdeed::Redirects, &["fault"]),
    ]
}

/// A cluster over nodes, reached as `mode` says. Nobody polls: every call here is the test's own.
struct Lab {
    cluster: Arc<Cluster>,
    _state: TempDir,
}

impl Lab {
    fn new(mode: Mode, nodes: &[(&str, String)]) -> Self {
        let state = TempDir::with_prefix("ironbark-cluster-").expect("a temporary directory");
        let settings = Settings {
            name: "cluster1".into(),
            schedule: Schedule::Greedy,
            isolation: mode,
            poll: Duration::from_secs(3600),
            dhcp_leases: None,
        };
        let entry = |(name, url): &(&str, String)| Entry {
            name: NodeName::parse(name).expect("a name"),
            url: url.clone(),
            profile: Profile::Strict,
            certificate: world().node.certificate().pem(),
            source: Source::Configured,
        };
        let journal = Journal::open(state.path()).expect("a directory of its own");
        let entries = nodes.iter().map(entry).collect();
        let cluster = Cluster::open(settings, entries, journal, connect(mode), Clock::system()).expect("a cluster");
        Self { cluster, _state: state }
    }

    async fn tell<R: NodeRequest>(&self, node: &str, request: R, budget: Duration) -> Result<R::Response, CallError> {
        let node = NodeName::parse(node).expect("a name");
        tell(&self.cluster, &self.cluster.background(budget), &node, request, budget).await
    }

    /// A quick call that a good node answers.
    async fn quick(&self, node: &str, budget: Duration) -> Result<(), CallError> {
        let ask = ironbark::DescribeTrace { request_id: "5f0c-4711".into(), ..Default::default() };
        self.tell(node, ask, budget).await.map(drop)
    }

    /// A slow call that a good node refuses: it has no instances.
    async fn slow(&self, node: &str, budget: Duration) -> Result<(), CallError> {
        let ask = nc::GetConsoleOutput { instance_id: "i-0000000A".into(), ..Default::default() };
        self.tell(node, ask, budget).await.map(drop)
    }

    /// Both calls to a good node, with ample time.
    async fn assert_good(&self, node: &str) {
        self.quick(node, AMPLE).await.expect("a good node answers");
        let declined = self.slow(node, AMPLE).await;
        assert!(matches!(declined, Err(CallError::Declined { .. })), "{declined:?}");
    }

    /// As many calls at once as a node may have are served: no permit is lost.
    async fn assert_permits(self: &Arc<Self>, node: &'static str) {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let lab = self.clone();
                tokio::spawn(async move { lab.assert_good(node).await })
            })
            .collect();
        for call in calls {
            call.await.expect("every permit is there");
        }
    }
}

/// As `ironbark-cc` has it.
fn connect(mode: Mode) -> Connect {
    Box::new(move |entry| {
        let certificate = Certificate::from_pem(&entry.certificate).map_err(|error| error.to_string())?;
        let peer = Peer { url: entry.url.clone(), certificate, profile: wsse::Profile::Strict };
        let identities = world().cluster.clone().into();
        let problem = |error: wsse::KeyError| error.to_string();
        let transport: Arc<dyn Transport> = match mode {
            Mode::Fork => Arc::new(Isolated::new(peer, &identities, world().isolation.clone()).map_err(problem)?),
            Mode::Semaphore => Arc::new(SoapClient::new(&peer, &identities, Clock::system()).map_err(problem)?),
        };
        Ok(transport)
    })
}

/// A good node over HTTP: its URL; it is served until the runtime ends.
async fn good_node(handler: Handler) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}{PATH}", listener.local_addr().expect("it is bound"));
    tokio::spawn(serve(listener, ServerLimits::default(), handler, std::future::pending()));
    url
}

fn kind(result: &Result<(), CallError>) -> &'static str {
    result.as_ref().map_or_else(CallError::kind, |()| "ok")
}

/// So many calls to the bad node at once, slow and quick ones.
async fn at_once(lab: &Arc<Lab>, count: usize, budget: Duration) -> Vec<Result<(), CallError>> {
    let one = |n: usize| {
        let lab = lab.clone();
        tokio::spawn(async move {
            if n.is_multiple_of(2) { lab.quick("bad", budget).await } else { lab.slow("bad", budget).await }
        })
    };
    let calls: Vec<_> = (0..count).map(one).collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("no panic"));
    }
    results
}

async fn one_misdeed(mode: Mode, misdeed: Misdeed, outcomes: &'static [&'static str]) {
    let real = RealNode::start();
    let handler = real.door(world().node.clone(), world().cluster.certificate());
    let bad = ScriptedNode::start(misdeed, handler.clone()).await;
    let good = good_node(handler).await;
    let lab = Arc::new(Lab::new(mode, &[("bad", bad.url()), ("good", good)]));
    // What is made at the first call and kept, and an earlier request for the one who answers those.
    lab.assert_permits("good").await;
    at_once(&lab, 8, Duration::from_millis(500)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = Census::take(world().isolation.pid());

    // All that may be in flight to a node, and four that must wait for a permit.
    let budget = Duration::from_secs(3);
    let began = Instant::now();
    let calls = tokio::spawn({
        let lab = lab.clone();
        async move { at_once(&lab, 12, budget).await }
    });
    let mut good_calls = 0;
    while good_calls < 5 || (!calls.is_finished() && good_calls < 200) {
        lab.assert_good("good").await;
        good_calls += 1;
        if good_calls == 5 {
            let took = began.elapsed();
            assert!(took < budget, "ten calls to the good node took {took:?} while the other was bad");
        }
    }
    for result in calls.await.expect("no panic") {
        let waited = matches!(&result, Err(CallError::Unreachable { reason }) if reason.contains("nothing was sent"));
        assert!(waited || outcomes.contains(&kind(&result)), "{result:?} is none of {outcomes:?}");
    }
    let took = began.elapsed();
    assert!(took < budget + Duration::from_secs(3), "a call outlived its deadline: {took:?}");
    before.await_no_more(world().isolation.pid()).await;
    lab.assert_permits("good").await;
    match misdeed {
        Misdeed::Refuses | Misdeed::BacklogFull | Misdeed::NeverAccepts => {}
        _ => {
            bad.repent();
            lab.assert_permits("bad").await;
        }
    }
}

/// What a child does that is asked to call a node of such a name, instead of calling it.
const CHILDREN: [(&str, &str, &str); 8] = [
    ("aborts", "fault", "SIGABRT"),
    ("panics", "fault", "it panicked"),
    ("exits", "fault", "broke off"),
    ("fills", "fault", "larger than 33554432 bytes"),
    ("brims", "fault", ""),
    ("eats", "fault", "SIGABRT"),
    ("spins", "timed-out", "killed"),
    ("stops", "timed-out", "killed"),
];

fn harm(job: &[u8]) -> Option<Vec<u8>> {
    let marker = b"http://127.0.0.1:1/child-";
    let at = job.windows(marker.len()).position(|window| window == marker)? + marker.len();
    let name: Vec<u8> = job[at..].iter().copied().take_while(u8::is_ascii_lowercase).collect();
    match name.as_slice() {
        b"aborts" => std::process::abort(),
        b"panics" => panic!("as asked"),
        // SAFETY: _exit takes any number and does not return.
        b"exits" => unsafe { nix::libc::_exit(0) },
        b"fills" => Some(vec![b'x'; 33 << 20]),
        b"brims" => Some(vec![b'x'; 31 << 20]),
        b"eats" => {
            let bomb = std::hint::black_box(vec![1u8; 2 << 30]);
            Some(vec![bomb[bomb.len() - 1]])
        }
        b"spins" => loop {
            std::hint::spin_loop();
        },
        b"stops" => {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).expect("a signal to oneself");
            None
        }
        _ => None,
    }
}

async fn one_child(name: &'static str, outcome: &'static str, reason: &'static str) {
    let real = RealNode::start();
    let good = good_node(real.door(world().node.clone(), world().cluster.certificate())).await;
    let bad = format!("http://127.0.0.1:1/child-{name}{PATH}");
    let lab = Arc::new(Lab::new(Mode::Fork, &[("bad", bad), ("good", good)]));
    lab.assert_permits("good").await;
    let before = Census::take(world().isolation.pid());
    let budget = Duration::from_secs(2);
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let lab = lab.clone();
            tokio::spawn(async move { lab.quick("bad", budget).await })
        })
        .collect();
    lab.assert_good("good").await;
    for call in calls {
        let result = call.await.expect("no panic");
        let told = result.as_ref().expect_err("there is no such node").to_string();
        assert!(kind(&result) == outcome && told.contains(reason), "{told}");
    }
    before.await_no_more(world().isolation.pid()).await;
    lab.assert_permits("good").await;
}

/// Ten thousand calls, a quarter of them to a good node: all that was held before is held after.
async fn ten_thousand(mode: Mode) {
    const CALLS: usize = 10_000;
    const LANES: usize = 24;
    let real = RealNode::start();
    let handler = real.door(world().node.clone(), world().cluster.certificate());
    let brisk: [(&str, Misdeed); 9] = [
        ("refuses", Misdeed::Refuses),
        ("closes", Misdeed::ClosesAtOnce),
        ("resets", Misdeed::Resets),
        ("breaks", Misdeed::BreaksOff),
        ("garbage", Misdeed::Garbage),
        ("page", Misdeed::Page),
        ("other", Misdeed::OtherRequest),
        ("fault", Misdeed::UnsignedFault),
        ("hangs", Misdeed::Hangs),
    ];
    let mut nodes = Vec::new();
    let mut scripted = Vec::new();
    for (name, misdeed) in brisk {
        let node = ScriptedNode::start(misdeed, handler.clone()).await;
        nodes.push((name, node.url()));
        scripted.push(node);
    }
    if mode == Mode::Fork {
        nodes.push(("aborts", format!("http://127.0.0.1:1/child-aborts{PATH}")));
        nodes.push(("exits", format!("http://127.0.0.1:1/child-exits{PATH}")));
    }
    let bad: Vec<&'static str> = nodes.iter().map(|(name, _)| *name).collect();
    nodes.push(("good", good_node(handler).await));
    let lab = Arc::new(Lab::new(mode, &nodes));
    let round = async |calls: usize| {
        let next = Arc::new(AtomicUsize::new(0));
        let good = Arc::new(AtomicUsize::new(0));
        let lanes: Vec<_> = (0..LANES)
            .map(|_| {
                let (lab, bad, next, good) = (lab.clone(), bad.clone(), next.clone(), good.clone());
                tokio::spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= calls {
                            return;
                        }
                        if n.is_multiple_of(4) {
                            lab.quick("good", AMPLE).await.expect("the good node answers throughout");
                            good.fetch_add(1, Ordering::SeqCst);
                        } else {
                            let node = bad[n % bad.len()];
                            // The first answer of the one that answers other requests is a good one.
                            let result = lab.quick(node, Duration::from_millis(100)).await;
                            assert!(result.is_err() || node == "other", "{node} answered");
                        }
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.await.expect("no panic");
        }
        good.load(Ordering::SeqCst)
    };
    round(300).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = Census::take(world().isolation.pid());
    let began = Instant::now();
    let good = round(CALLS).await;
    let took = began.elapsed();
    assert_eq!(good, CALLS / 4);
    before.await_no_more(world().isolation.pid()).await;
    let after = Census::take(world().isolation.pid());
    eprintln!("{}: {CALLS} calls in {:.1} s; before {before:?}, after {after:?}", mode.name(), took.as_secs_f32());
    lab.assert_permits("good").await;
    for (node, name) in scripted.iter().zip(bad).skip(1) {
        node.repent();
        lab.assert_permits(name).await;
    }
}
