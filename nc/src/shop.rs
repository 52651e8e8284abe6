//! What all runners of a node share: its hypervisor, its images, its records, its times. No decisions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironbark_wsdl::Recorder;
use tokio::sync::{Notify, Semaphore};

use crate::hypervisor::Hypervisor;
use crate::ids::InstanceId;
use crate::images::ImageStore;
use crate::lifecycle::{Reboot, Stage, State, Stop, Timer};
use crate::runner::Handle;
use crate::state::Store;

/// How long things may take and how often they are tried: the node's table of deadlines. No state waits for ever, but those in
/// which a domain may still be there that the hypervisor does not let go of (a forced stop, a removal): these are tried again
/// until it does, and their reason says what it said. A test shortens the times.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Making an instance's files.
    pub imaging: Duration,
    /// For a guest to obey a reboot.
    pub reboot_grace: Duration,
    /// For a guest to obey a stop.
    pub stop_grace: Duration,
    /// Between two requests to a guest to switch off.
    pub ask_again: Duration,
    /// Between two tries of what could not be done.
    pub retry: Duration,
    /// For the event that tells of a reset.
    pub confirm: Duration,
    /// For which a gone instance is remembered.
    pub retention: Duration,
    /// Between two inventories.
    pub observe: Duration,
    /// Between two inventories that are wanted before it is time: a node with many events does not ask for everything
    /// after each.
    pub spacing: Duration,
    /// For one inventory.
    pub inventory: Duration,
    /// For a call that starts a domain.
    pub start: Duration,
    /// For any other call about a domain.
    pub call: Duration,
    /// For which a hypervisor may be silent before nothing is admitted any more.
    pub patience: Duration,
    /// For which what was begun waits for a hypervisor that cannot be asked, before it is given up.
    pub silence: Duration,
}

impl Default for Times {
    /// `imaging`, both graces, `silence` and `ask_again` are those of operations-spec C-8, C-9 and C-11; `retention` and `observe`
    /// those of Eucalyptus 2.0.1 (wire/nc.md 9.5).
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            imaging: seconds(1800),
            reboot_grace: seconds(60),
            stop_grace: seconds(60),
            ask_again: seconds(10),
            retry: seconds(5),
            confirm: seconds(5),
            retention: seconds(180),
            observe: seconds(5),
            spacing: Duration::from_millis(100),
            inventory: seconds(4),
            start: seconds(120),
            call: seconds(30),
            patience: seconds(20),
            silence: seconds(120),
        }
    }
}

impl Times {
    /// How long a state's wait is. [`Timer::Limit`] counts from the state's beginning, [`Timer::Again`] from now.
    pub fn of(&self, state: &State, timer: Timer) -> Duration {
        match (timer, state) {
            (Timer::Patience, _) => self.silence,
            (Timer::Limit, State::Pending(Stage::Imaging | Stage::Networking | Stage::Spawning(_))) => self.imaging,
            (Timer::Limit, State::Rebooting(Reboot::Confirming)) => self.confirm,
            (Timer::Limit, State::Rebooting(_)) => self.reboot_grace,
            (Timer::Limit, State::Stopping(_)) => self.stop_grace,
            (
                Timer::Limit,
                State::Running
                | State::Stopped(_)
                | State::Starting(_)
                | State::ShuttingDown(..)
                | State::Terminated
                | State::Failed(_),
            ) => self.retention,
            (Timer::Again, State::Stopping(Stop::Asked)) => self.ask_again,
            (
                Timer::Again,
                State::Pending(_)
                | State::Running
                | State::Rebooting(_)
                | State::Stopping(Stop::Asking | Stop::Forced)
                | State::Stopped(_)
                | State::Starting(_)
                | State::ShuttingDown(..)
                | State::Terminated
                | State::Failed(_),
            ) => self.retry,
        }
    }
}

/// What the runners share.
pub struct Shop {
    /// Records and files.
    pub store: Store,
    /// The images.
    pub images: ImageStore,
    /// What runs the domains.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// The bridge of SYSTEM mode.
    pub bridge: Option<String>,
    /// How long things may take.
    pub times: Times,
    /// Where spans go.
    pub recorder: Arc<Recorder>,
    /// Rung when an inventory is wanted at once.
    pub bell: Notify,
    /// How many instances' files are made at a time: heavy work on one disk.
    pub staging: Semaphore,
    /// The instances' runners.
    instances: Mutex<BTreeMap<InstanceId, Handle>>,
}

impl Shop {
    /// A shop without instances.
    pub fn new(
        store: Store,
        images: ImageStore,
        hypervisor: Arc<dyn Hypervisor>,
        bridge: Option<String>,
        times: Times,
        recorder: Arc<Recorder>,
    ) -> Self {
        let (bell, staging) = (Notify::new(), Semaphore::new(2));
        Self { store, images, hypervisor, bridge, times, recorder, bell, staging, instances: Mutex::default() }
    }

    /// The runners, by instance.
    pub fn instances(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Handle>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One instance's runner.
    pub fn instance(&self, id: &InstanceId) -> Option<Handle> {
        self.instances().get(id).cloned()
    }

    /// All runners, in the order in which their instances were launched.
    pub fn handles(&self) -> Vec<Handle> {
        let mut handles: Vec<Handle> = self.instances().values().cloned().collect();
        handles.sort_by_key(|handle| handle.record().launched);
        handles
    }
}
