//! The words of an instance's life: its states, what can happen to it, what is to be done. Only
//! types and what follows from a state alone; the decisions are in the module above.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where an instance stands. Its name on the Ironbark wire is [`State::name`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted, not yet running for the first time.
    Pending(Stage),
    /// The hypervisor runs it.
    Running,
    /// A reboot was accepted; no new boot was seen yet.
    Rebooting(Reboot),
    /// A stop was accepted; the domain is not off yet.
    Stopping(Stop),
    /// Off, with its disk, MAC and address kept.
    Stopped(Why),
    /// Being switched on again.
    Starting(StartCall),
    /// Going away: domain first, then the proof of its absence, then the files.
    ShuttingDown(Removal, End),
    /// Gone; nothing of it is left but the record, for a while.
    Terminated,
    /// Gone because it could not be launched, and why.
    Failed(String),
}

/// How far a launch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Images and the seed disk are being made.
    Imaging,
    /// The network is being made ready.
    Networking,
    /// The domain is being started.
    Spawning(StartCall),
}

/// What became of the call that starts a domain. Calls that may have been carried out are never
/// repeated before a sighting says that the domain does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartCall {
    /// To be made as soon as a sighting shows that the domain does not run.
    Due,
    /// Made, not answered.
    Sent,
    /// Answered well; the sighting is still to come.
    Answered,
    /// No answer in time: the next sighting decides.
    Unknown,
}

/// How far a reboot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// The hypervisor is being told to ask the guest.
    Asking,
    /// The guest was asked and has its time of grace.
    Asked,
    /// The guest did not obey: the machine is being reset.
    Resetting,
    /// The reset was carried out; the event that tells of the new boot is still to come.
    Confirming,
    /// The reset was not answered in time.
    Unconfirmed,
    /// The domain went off instead of booting anew and is started again.
    Restarting(StartCall),
}

/// How far a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The hypervisor is being told to ask the guest.
    Asking,
    /// The guest was asked and has its time of grace.
    Asked,
    /// The plug is being pulled.
    Forced,
}

/// Why an instance is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was told to, and the guest obeyed.
    Obeyed,
    /// It was told to, and the plug was pulled.
    Forced,
    /// The guest switched itself off.
    GuestShutDown,
    /// The guest crashed. Its disk may be all that can explain it, so it is kept.
    GuestCrashed,
    /// Somebody else switched it off, or the host went down.
    SwitchedOff,
    /// Its domain is no longer there; the disk is.
    DomainLost,
    /// It could not be switched on again.
    StartFailed(String),
}

/// How far a removal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// The domain is being destroyed and undefined.
    Domain,
    /// The hypervisor said it did; its inventory must agree.
    Proof,
    /// The domain is proven absent: the files are being removed.
    Files,
}

/// What a removal ends in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The user wanted it gone.
    Terminated,
    /// It could not be launched.
    Failed(String),
}

impl End {
    /// The reason to tell while something holds the end up: what it ends of comes first.
    pub(super) fn with_reason(&self, delay: &str) -> String {
        match self {
            End::Terminated => delay.to_string(),
            End::Failed(reason) => format!("{reason}; {delay}"),
        }
    }
}

/// What can happen to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user wants something. Answered: `Go` and `Stay` accept, `Refuse` does not.
    Asked(Request),
    /// The hypervisor's inventory shows this, asked for after the present state was entered.
    Seen(Sighting),
    /// The guest has booted anew within its domain.
    Rebooted,
    /// An effect has come to its end.
    Ended(Ended),
    /// A wait of the present state is over.
    Deadline(Timer),
    /// This process has just read the record: whatever was under way died with the last one.
    Recovered,
}

/// What a user can ask of an instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Boot anew.
    Reboot,
    /// Switch off and keep the disk; by force at once, or by asking the guest first.
    Stop {
        /// Do not ask the guest.
        force: bool,
    },
    /// Switch on a stopped instance.
    Start,
    /// Remove it with its disk.
    Terminate,
}

/// What the hypervisor's inventory shows of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It runs.
    Running,
    /// It exists and its processors are held.
    Paused,
    /// The guest is switching off (also for a moment within a reboot).
    GoingDown,
    /// Defined and off.
    Off(Off),
    /// Proven not to exist.
    Absent,
    /// Listed without a state: proves nothing.
    Unclear,
}

impl Sighting {
    /// Its name in `DescribeInventory`.
    pub fn name(self) -> &'static str {
        match self {
            Sighting::Running => "running",
            Sighting::Paused => "paused",
            Sighting::GoingDown => "going-down",
            Sighting::Off(_) => "off",
            Sighting::Absent => "absent",
            Sighting::Unclear => "unclear",
        }
    }
}

/// Why the hypervisor says that a domain is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// The guest powered itself off.
    ByGuest,
    /// The guest crashed.
    Crashed,
    /// Anything else.
    Other,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// [`Effect::Stage`].
    Stage(Result<(), String>),
    /// [`Action::PrepareNetwork`].
    Network(Result<(), String>),
    /// [`Action::StartDomain`].
    Start(Call),
    /// [`Action::AskReboot`].
    AskReboot(Call),
    /// [`Action::Reset`].
    Reset(Call),
    /// [`Action::AskShutdown`].
    AskShutdown(Call),
    /// [`Action::Destroy`].
    Destroy(Call),
    /// [`Action::RemoveDomain`].
    Remove(Call),
    /// [`Action::ReleaseFiles`].
    Release(Result<(), String>),
}

/// How a call to the hypervisor ended, by what can be concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// It says that it did it.
    Done,
    /// It says that it will not, and why.
    Refused(String),
    /// It says that there is no such domain.
    Absent,
    /// Asked, and no answer in time.
    Unknown(String),
    /// It could not be asked: nothing happened.
    NotBegun(String),
}

/// The waits of a state; how long they are is the runner's knowledge ([`State::limit`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The state has lasted as long as it may. Counted from its beginning, also over a restart.
    Limit,
    /// It is time to try again.
    Again,
    /// The hypervisor has had its time to be asked, or to tell what came of it. Counted once a state, from the first
    /// time that this process waits for it.
    Patience,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make images and seed disk. Ends as [`Ended::Stage`].
    Stage,
    /// Stop making them, and wait until it has stopped. No end is told.
    CancelStaging,
    /// Act on domain, network or files. Ends as the [`Ended`] of its name.
    Do(Action),
    /// Take an inventory now. Ends as [`Event::Seen`].
    Observe,
    /// Wait; ends as [`Event::Deadline`] unless the state changes before.
    Wait(Timer),
    /// Count one more boot. No end.
    CountBoot,
    /// Write down how the reboot ended. No end.
    NoteReboot(RebootEnd),
    /// Write down why it is still so. No end.
    Explain(String),
    /// Forget the instance: delete its record and end its runner. No end.
    Forget,
}

/// What is done to the world, in bounded time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See that what the domain is to be plugged into is there.
    PrepareNetwork,
    /// Define the domain and start it.
    StartDomain,
    /// Ask the guest to reboot.
    AskReboot,
    /// Reset the machine.
    Reset,
    /// Ask the guest to switch off.
    AskShutdown,
    /// Pull the plug.
    Destroy,
    /// Destroy and undefine; a domain that is not there is removed already.
    RemoveDomain,
    /// Remove the files of a domain that is proven absent.
    ReleaseFiles,
}

/// How a reboot ended, for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebootEnd {
    /// The guest booted anew by itself.
    Obeyed,
    /// The machine was reset, since the guest did not obey.
    Reset,
    /// The guest went off and was switched on again.
    Restarted,
    /// It is not known to have rebooted, and why.
    Failed(String),
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Save this state, then do these things in order.
    Go {
        /// The state to save; it may be the same one.
        state: State,
        /// What to do, once saved.
        effects: Vec<Effect>,
    },
    /// Nothing changes; a request is accepted, because what it wants is so or is under way.
    Stay,
    /// A request that cannot be granted now, and why.
    Refuse(String),
}

impl State {
    /// The state's name in `DescribeNode`; an instance that is being started again is pending, as
    /// EC2 has it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending(_) | State::Starting(_) => "pending",
            State::Running => "running",
            State::Rebooting(_) => "rebooting",
            State::Stopping(_) => "stopping",
            State::Stopped(_) => "stopped",
            State::ShuttingDown(..) => "shutting-down",
            State::Terminated => "terminated",
            State::Failed(_) => "failed",
        }
    }

    /// Why it is so, where there is more to say than the name; `after` is how long the state
    /// before lasted.
    pub fn reason(&self, after: Duration) -> Option<String> {
        let seconds = after.as_secs_f64();
        match self {
            State::Pending(Stage::Imaging) => Some("imaging".to_string()),
            State::Pending(Stage::Networking) => Some("networking".to_string()),
            State::Pending(Stage::Spawning(StartCall::Due)) | State::Starting(StartCall::Due) => {
                Some("waiting for the hypervisor".to_string())
            }
            State::Pending(Stage::Spawning(StartCall::Sent | StartCall::Answered | StartCall::Unknown)) => {
                Some("spawning".to_string())
            }
            State::Starting(StartCall::Sent | StartCall::Answered | StartCall::Unknown) => Some("starting".to_string()),
            State::Stopped(why) => Some(match why {
                Why::Obeyed => format!("stopped on request: the guest shut down after {seconds:.1} s"),
                Why::Forced => format!("stopped on request: forced after {seconds:.1} s"),
                Why::GuestShutDown => "the guest shut itself down".to_string(),
                Why::GuestCrashed => "the guest crashed; its disk is kept".to_string(),
                Why::SwitchedOff => "switched off from outside, or with the host".to_string(),
                Why::DomainLost => "the hypervisor no longer has its domain; its disk is kept".to_string(),
                Why::StartFailed(reason) => format!("could not be started: {reason}"),
            }),
            State::ShuttingDown(_, End::Failed(reason)) | State::Failed(reason) => Some(reason.clone()),
            State::Running
            | State::Rebooting(_)
            | State::Stopping(_)
            | State::ShuttingDown(_, End::Terminated)
            | State::Terminated => None,
        }
    }

    /// Whether nothing of the instance is left but its record.
    pub fn is_final(&self) -> bool {
        matches!(self, State::Terminated | State::Failed(_))
    }

    /// Whether its launch has all that it needs from outside: what fails now is the node's own.
    pub fn has_its_files(&self) -> bool {
        matches!(self, State::Pending(Stage::Networking | Stage::Spawning(_)))
    }

    /// Whether its launch failed, undone or not.
    pub fn is_failing(&self) -> bool {
        matches!(self, State::ShuttingDown(_, End::Failed(_)) | State::Failed(_))
    }

    /// Whether it holds memory and cores of the node: everything that runs or may run.
    pub fn holds_memory(&self) -> bool {
        !self.is_final() && !matches!(self, State::Stopped(_))
    }

    /// The call that starts the domain, in the states that are about one.
    pub(super) fn start_call(&self) -> Option<StartCall> {
        match self {
            State::Pending(Stage::Spawning(call))
            | State::Starting(call)
            | State::Rebooting(Reboot::Restarting(call)) => Some(*call),
            State::Pending(Stage::Imaging | Stage::Networking)
            | State::Running
            | State::Rebooting(
                Reboot::Asking | Reboot::Asked | Reboot::Resetting | Reboot::Confirming | Reboot::Unconfirmed,
            )
            | State::Stopping(_)
            | State::Stopped(_)
            | State::ShuttingDown(..)
            | State::Terminated
            | State::Failed(_) => None,
        }
    }

    /// The same state with another fate of its start call; unchanged where there is none.
    pub(super) fn with_call(&self, call: StartCall) -> State {
        let mut state = self.clone();
        if let State::Pending(Stage::Spawning(at)) | State::Starting(at) | State::Rebooting(Reboot::Restarting(at)) =
            &mut state
        {
            *at = call;
        }
        state
    }
}
