//! A host: one runtime of one thread, whose time is the simulation's. Its program is all that runs on it, so that
//! dropping the runtime ends it wherever it stands, as `kill -9` would. Knows nothing of what runs.

use std::time::Duration;

use ironbark_wsdl::service::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, sleep_until};

use crate::disk;

/// Runtimes that end drop their tasks in an order that depends on the tasks' numbers, and these count on from before the
/// simulation: it begins at a round number.
pub fn begin() {
    const ROUND: u64 = 64;
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let number = || runtime.spawn(async {}).id().to_string().parse::<u64>().expect("tokio shows a number");
    while !number().is_multiple_of(ROUND) {}
}

/// A host, whose program runs or has died.
pub struct Host {
    /// Its name in the network.
    pub name: String,
    life: Option<Life>,
}

struct Life {
    runtime: Runtime,
    /// The end of the last tick, by the runtime's own clock.
    now: Instant,
}

impl Host {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_string(), life: None }
    }

    /// Starts its program.
    pub fn start(&mut self, program: BoxFuture<'static, ()>) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let entered = runtime.enter();
        let now = Instant::now();
        drop(entered);
        runtime.spawn(program);
        self.life = Some(Life { runtime, now });
    }

    /// Runs it until all of it waits for what comes after this tick.
    pub fn run(&mut self, tick: Duration) {
        if let Some(Life { runtime, now }) = &mut self.life {
            *now += tick;
            disk::host_runs(&self.name);
            let end = *now;
            runtime.block_on(async move { sleep_until(end).await });
        }
    }

    /// Ends it where it stands.
    pub fn die(&mut self) {
        self.life = None;
    }

    /// Where its program runs, if it does.
    pub fn runtime(&self) -> Option<Handle> {
        self.life.as_ref().map(|life| life.runtime.handle().clone())
    }
}
