//! The fork server under real forks: answers, crashes, hangs, memory bombs, and nothing left
//! behind. A harness of its own, because the server must start before the first thread.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironbark_wsdl::child::{ChildError, ForkServer, Isolation};
use libtest_mimic::{Arguments, Failed, Trial};

/// What a child does, by the first word of its job.
fn work(job: &[u8]) -> Vec<u8> {
    match job {
        b"abort" => std::process::abort(),
        b"panic" => panic!("as asked"),
        b"hang" => loop {
            std::thread::park();
        },
        b"memory" => {
            let bomb = std::hint::black_box(vec![1u8; 2 << 30]);
            vec![bomb[bomb.len() - 1]]
        }
        b"runtime" => {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime in a child");
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            b"ran".to_vec()
        }
        other => other.iter().rev().copied().collect(),
    }
}

fn main() -> ExitCode {
    let server = ForkServer::start(work).expect("no thread yet");
    let arguments = Arguments::from_args();
    let server = Arc::new(std::sync::Mutex::new(Some(server)));
    let trial = |name: &str, test: fn(Harness) -> Result<(), Failed>| {
        let server = server.clone();
        Trial::test(name, move || with_server(&server, test))
    };
    let trials = vec![
        trial("every_end_of_a_child_is_told", |harness| harness.run(every_end)),
        trial("large_jobs_and_answers_go_round", |harness| harness.run(large)),
        trial("calls_at_once_do_not_wait_for_a_hung_one", |harness| harness.run(at_once)),
        trial("a_dead_server_is_noticed_and_no_call_hangs", |harness| harness.run(dead_server)),
        trial("nothing_is_left_after_a_thousand_calls", |harness| harness.run(nothing_left)),
    ];
    // One server in this process: nextest runs each trial in a process of its own, and a plain
    // `cargo test` runs them one after another.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, trials).exit_code()
}

struct Harness(Isolation, tokio::runtime::Runtime);

impl Harness {
    fn run<F>(self, test: fn(Arc<Isolation>) -> F) -> Result<(), Failed>
    where
        F: Future<Output = ()>,
    {
        let isolation = Arc::new(self.0);
        self.1.block_on(test(isolation));
        Ok(())
    }
}

/// Under plain `cargo test` only the first trial finds the server; the others say so.
fn with_server(
    server: &std::sync::Mutex<Option<ForkServer>>,
    test: fn(Harness) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let Some(server) = server.lock().expect("no trial panics with the lock").take() else {
        eprintln!("SKIPPED: the one fork server of this process was used; run under nextest");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let guard = runtime.enter();
    let isolation = server.into_async()?;
    drop(guard);
    test(Harness(isolation, runtime))
}

async fn every_end(isolation: Arc<Isolation>) {
    let second = Duration::from_secs(10);
    assert_eq!(isolation.run(b"abc", second).await.expect("an answer"), b"cba");
    assert_eq!(isolation.run(b"runtime", second).await.expect("an answer"), b"ran");
    let crashed = |result: Result<Vec<u8>, ChildError>, how: &str| match result {
        Err(ChildError::Crashed(text)) => assert!(text.contains(how), "{text}"),
        other => panic!("not a crash: {other:?}"),
    };
    crashed(isolation.run(b"abort", second).await, "SIGABRT");
    crashed(isolation.run(b"memory", second).await, "SIGABRT");
    crashed(isolation.run(b"panic", second).await, "it panicked");
    match isolation.run(b"hang", Duration::from_millis(200)).await {
        Err(ChildError::Deadline(after)) => assert!(after >= Duration::from_millis(200)),
        other => panic!("not killed at its deadline: {other:?}"),
    }
    assert_eq!(isolation.run(b"still here", second).await.expect("an answer"), b"ereh llits");
}

async fn large(isolation: Arc<Isolation>) {
    let job: Vec<u8> = (0..8_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let answer = isolation.run(&job, Duration::from_secs(30)).await.expect("an answer");
    assert!(answer.iter().rev().eq(job.iter()));
}

async fn at_once(isolation: Arc<Isolation>) {
    let hung = tokio::spawn({
        let isolation = isolation.clone();
        async move { isolation.run(b"hang", Duration::from_secs(5)).await }
    });
    let calls: Vec<_> = (0..32)
        .map(|n| {
            let isolation = isolation.clone();
            tokio::spawn(async move { isolation.run(format!("{n}").as_bytes(), Duration::from_secs(10)).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("an answer");
    }
    assert!(!hung.is_finished(), "the others finished while one hung");
    assert!(matches!(hung.await.expect("no panic"), Err(ChildError::Deadline(_))));
}

async fn dead_server(isolation: Arc<Isolation>) {
    let pid = nix::unistd::Pid::from_raw(isolation.pid());
    let hung = tokio::spawn({
        let isolation = isolation.clone();
        async move { isolation.run(b"hang", Duration::from_secs(20)).await }
    });
    let server = isolation.pid();
    let children = || std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    while children().trim().is_empty() {
        tokio::task::yield_now().await;
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("our own child");
    isolation.died().await;
    let began = Instant::now();
    assert!(isolation.run(b"x", Duration::from_secs(5)).await.is_err());
    assert!(hung.await.expect("no panic").is_err(), "children die with their server");
    assert!(began.elapsed() < Duration::from_secs(10));
}

async fn nothing_left(isolation: Arc<Isolation>) {
    let descriptors = |pid: &str| std::fs::read_dir(format!("/proc/{pid}/fd")).expect("proc").count();
    let server = isolation.pid().to_string();
    let children = || std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    // A child's end is reaped a moment after its answer; until then the server holds its socket.
    let all_reaped = || children().trim().is_empty();
    isolation.run(b"warm", Duration::from_secs(10)).await.expect("an answer");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !all_reaped() {
        assert!(Instant::now() < deadline, "left behind: children '{}'", children());
        tokio::task::yield_now().await;
    }
    let before = (descriptors("self"), descriptors(&server));
    for n in 0..1000 {
        let job: &[u8] = if n % 10 == 0 { b"abort" } else { b"abc" };
        drop(isolation.run(job, Duration::from_secs(10)).await);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let more = |now: (usize, usize)| now.0 > before.0 || now.1 > before.1;
    while !all_reaped() || more((descriptors("self"), descriptors(&server))) {
        let now = (descriptors("self"), descriptors(&server));
        assert!(
            Instant::now() < deadline,
            "left behind: children '{}', descriptors {now:?}, not {before:?}",
            children()
        );
        tokio::task::yield_now().await;
    }
}
