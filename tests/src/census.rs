//! What a process holds: counted before and after, so that nothing is left behind.

use std::time::{Duration, Instant};

/// Descriptors, threads, tasks and children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Open descriptors of this process.
    pub descriptors: usize,
    /// Its threads.
    pub threads: usize,
    /// Tasks of its runtime that have not ended.
    pub tasks: usize,
    /// Children of the fork server.
    pub children: usize,
    /// Open descriptors of the fork server.
    pub server_descriptors: usize,
}

impl Census {
    /// Counts, within a runtime. `server` is the fork server's process id.
    pub fn take(server: i32) -> Self {
        let count = |path: String| std::fs::read_dir(path).map_or(0, Iterator::count);
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        Self {
            descriptors: count("/proc/self/fd".to_string()),
            threads: count("/proc/self/task".to_string()),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            children: children.unwrap_or_default().split_whitespace().count(),
            server_descriptors: count(format!("/proc/{server}/fd")),
        }
    }

    fn within(self, other: Self) -> bool {
        self.descriptors <= other.descriptors
            && self.threads <= other.threads
            && self.tasks <= other.tasks
            && self.children <= other.children
            && self.server_descriptors <= other.server_descriptors
    }

    /// Waits until no more is held than now was.
    ///
    /// # Panics
    /// If that is not so after 20 s, with both counts.
    pub async fn await_no_more(self, server: i32) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let now = Self::take(server);
            if now.within(self) {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {now:?}, and before it was {self:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
