//! Named threads for calls that block, a queue with lanes before them, and callers that wait no longer than they
//! said. Knows nothing of hypervisors.
//!
//! * Jobs of one lane run one at a time and in order; lanes do not wait for each other.
//! * A job whose caller's time is up before it began never begins.
//! * A job that outlives its caller goes on to its end, which is told to its `late` function. It no longer counts
//!   against the number of threads, so calls that hang do not use the pool up (until `MOST_THREADS` hang).

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Threads of one pool at most, those that hang included: a bound on memory, never reached on a sound host.
const MOST_THREADS: usize = 64;

/// Why a caller went away without a result.
#[derive(Debug, PartialEq, Eq)]
pub enum Overdue {
    /// Its turn did not come; the job will not run.
    NotBegun,
    /// It runs, or has died half-way; what it did is unknown.
    Unfinished,
}

/// A pool of threads. Dropping it lets running jobs end and forgets those that wait.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    /// Threads at work at the same time, those overdue not counted.
    width: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    queue: VecDeque<Job>,
    /// Of all jobs that wait or run.
    phases: HashMap<u64, Phase>,
    busy_lanes: HashSet<String>,
    threads: usize,
    idle: usize,
    overdue: usize,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    Overdue,
}

struct Job {
    id: u64,
    lane: String,
    task: Box<dyn FnOnce() + Send>,
}

impl Pool {
    /// `name` (at most 10 bytes, Linux cuts thread names at 15) and `width`, the number of jobs at the same time.
    pub fn new(name: &'static str, width: usize) -> Pool {
        let shared = Shared { name, width, state: Mutex::default(), work: Condvar::new() };
        Pool { shared: Arc::new(shared) }
    }

    /// Runs `job` in `lane` and waits `within` for its result. `late` gets the result and the job's own duration when
    /// nobody waits for it any more (time up, or this future dropped).
    pub async fn run<T: Send + 'static>(
        &self,
        lane: &str,
        within: Duration,
        job: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(T, Duration) + Send + 'static,
    ) -> Result<T, Overdue> {
        let (send, receive) = oneshot::channel();
        let task = Box::new(move || {
            let begun = Instant::now();
            if let Err(result) = send.send(job()) {
                late(result, begun.elapsed());
            }
        });
        let id = self.shared.push(lane, task);
        let mut waiting = Waiting { shared: &self.shared, id, receive };
        match tokio::time::timeout(within, &mut waiting.receive).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Overdue::Unfinished), // the job panicked
            Err(_) => waiting.give_up(),
        }
    }

    /// Runs `job` in `lane` and waits for nothing.
    pub fn post(&self, lane: &str, job: impl FnOnce() + Send + 'static) {
        self.shared.push(lane, Box::new(job));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        self.shared.work.notify_all();
    }
}

/// A caller that waits; when it goes away, a job that has not begun is forgotten.
struct Waiting<'a, T> {
    shared: &'a Arc<Shared>,
    id: u64,
    receive: oneshot::Receiver<T>,
}

impl<T> Waiting<'_, T> {
    fn give_up(mut self) -> Result<T, Overdue> {
        // Closed first: a result sent before this moment is taken here, one sent after it goes to `late`.
        self.receive.close();
        match (self.receive.try_recv(), self.shared.give_up(self.id)) {
            (Ok(result), _) => Ok(result),
            (Err(_), Some(Phase::Waiting)) => Err(Overdue::NotBegun),
            (Err(_), Some(Phase::Running | Phase::Overdue) | None) => Err(Overdue::Unfinished),
        }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.shared.give_up(self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of a job runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, lane: &str, task: Box<dyn FnOnce() + Send>) -> u64 {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.phases.insert(id, Phase::Waiting);
        state.queue.push_back(Job { id, lane: lane.to_owned(), task });
        self.staff(&mut state);
        id
    }

    /// Wakes or starts a thread when there is work for one more.
    fn staff(self: &Arc<Self>, state: &mut State) {
        // A thread that was woken for an earlier job counts as idle until it runs, hence the comparison.
        if state.idle >= state.queue.len() {
            self.work.notify_one();
        } else if state.threads - state.overdue < self.width && state.threads < MOST_THREADS {
            let shared = self.clone();
            let name = format!("{}-{}", self.name, state.threads);
            match thread::Builder::new().name(name).spawn(move || shared.serve()) {
                Ok(_) => state.threads += 1,
                // The job waits for another thread, or its caller's time ends: nothing hangs for it.
                Err(error) => {
                    tracing::error!(event = "nc.libvirt.thread", pool = self.name, %error, "cannot start a thread")
                }
            }
        }
    }

    /// The caller of job `id` goes away. Answers how far the job was; `None` when it has ended.
    fn give_up(self: &Arc<Self>, id: u64) -> Option<Phase> {
        let mut state = self.lock();
        let phase = *state.phases.get(&id)?;
        match phase {
            Phase::Waiting => {
                state.phases.remove(&id);
                state.queue.retain(|job| job.id != id);
            }
            Phase::Running => {
                state.phases.insert(id, Phase::Overdue);
                state.overdue += 1;
                if !state.queue.is_empty() {
                    self.staff(&mut state);
                }
            }
            Phase::Overdue => {}
        }
        Some(phase)
    }

    /// The life of one thread.
    fn serve(self: Arc<Self>) {
        let mut state = self.lock();
        while !state.closed && state.threads - state.overdue <= self.width {
            let Some(job) = state.take() else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            drop(state);
            if catch_unwind(AssertUnwindSafe(job.task)).is_err() {
                tracing::error!(event = "nc.libvirt.panic", pool = self.name, lane = job.lane, "a call panicked");
            }
            state = self.lock();
            state.busy_lanes.remove(&job.lane);
            if state.phases.remove(&job.id) == Some(Phase::Overdue) {
                state.overdue -= 1;
            }
            if !state.queue.is_empty() {
                // The lane that is free now may have work for a thread that found none before.
                self.work.notify_one();
            }
        }
        state.threads -= 1;
    }
}

impl State {
    /// The first job whose lane is free.
    fn take(&mut self) -> Option<Job> {
        let at = self.queue.iter().position(|job| !self.busy_lanes.contains(&job.lane))?;
        let job = self.queue.remove(at)?;
        self.busy_lanes.insert(job.lane.clone());
        self.phases.insert(job.id, Phase::Running);
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(30);

    fn never<T>(_: T, _: Duration) {
        panic!("nobody was late");
    }

    /// A job that ends when the sender is used or dropped.
    fn gate() -> (mpsc::Sender<()>, impl FnOnce() -> u32 + Send + 'static) {
        let (open, wait) = mpsc::channel::<()>();
        (open, move || {
            let _ = wait.recv();
            7
        })
    }

    #[tokio::test]
    async fn a_result_comes_back() {
        let pool = Pool::new("t", 2);
        assert_eq!(pool.run("a", LONG, || 5, never).await, Ok(5));
    }

    #[tokio::test]
    async fn a_hung_lane_blocks_itself_only_and_its_end_is_told() {
        let pool = Pool::new("t", 1);
        let (open, hang) = gate();
        let (told, late) = oneshot::channel();
        let hung = pool.run("a", SHORT, hang, move |result, _| told.send(result).expect("the test listens")).await;
        assert_eq!(hung, Err(Overdue::Unfinished));
        // Width 1, and still another lane gets through; the same lane does not.
        assert_eq!(pool.run("b", LONG, || 5, never).await, Ok(5));
        assert_eq!(pool.run("a", SHORT, || 6, never).await, Err(Overdue::NotBegun));
        drop(open);
        assert_eq!(late.await, Ok(7));
        assert_eq!(pool.run("a", LONG, || 8, never).await, Ok(8));
    }

    #[tokio::test]
    async fn a_job_that_was_given_up_before_its_turn_never_runs() {
        let pool = Pool::new("t", 1);
        let (open, hang) = gate();
        let (ran, runs) = mpsc::channel();
        let (first, second) = tokio::join!(pool.run("a", LONG, hang, never), async {
            let answer = pool.run("a", SHORT, move || ran.send(()).expect("the test listens"), never).await;
            drop(open);
            answer
        });
        assert_eq!((first, second), (Ok(7), Err(Overdue::NotBegun)));
        assert_eq!(pool.run("a", LONG, || 1, never).await, Ok(1));
        assert!(runs.try_recv().is_err());
    }

    #[tokio::test]
    async fn one_lane_keeps_its_order_and_runs_one_at_a_time() {
        let pool = Pool::new("t", 4);
        let (send, receive) = mpsc::channel();
        for n in 0..100 {
            let send = send.clone();
            pool.post("a", move || send.send(n).expect("the test listens"));
        }
        pool.run("a", LONG, || (), never).await.expect("the last of the lane");
        assert_eq!(receive.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_panic_ends_one_job_only() {
        let pool = Pool::new("t", 1);
        let died = pool.run("a", LONG, || -> u32 { panic!("wanted by the test") }, never).await;
        assert_eq!(died, Err(Overdue::Unfinished));
        assert_eq!(pool.run("a", LONG, || 5, never).await, Ok(5));
    }

    #[tokio::test]
    async fn threads_go_when_those_that_hung_come_back() {
        let pool = Pool::new("t", 2);
        let mut gates = Vec::new();
        let (told, late) = mpsc::channel();
        for n in 0..6 {
            let (open, hang) = gate();
            let told = told.clone();
            let lane = n.to_string();
            let hung = pool.run(&lane, SHORT, hang, move |_, _| told.send(()).expect("the test listens")).await;
            assert_eq!(hung, Err(Overdue::Unfinished));
            gates.push(open);
        }
        assert!(pool.shared.lock().threads >= 6);
        drop(gates);
        drop(told);
        assert_eq!(late.iter().count(), 6);
        assert_eq!(pool.run("x", LONG, || 5, never).await, Ok(5));
        // All late jobs were told from within their threads; each thread goes right after.
        let deadline = Instant::now() + LONG;
        while pool.shared.lock().threads > 2 {
            assert!(Instant::now() < deadline, "surplus threads stay");
            tokio::task::yield_now().await;
        }
    }
}
