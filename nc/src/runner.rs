//! The one task that owns an instance. It hears requests, sightings, ends of effects and deadlines,
//! asks `lifecycle::step` what follows, makes the new record durable, answers, and only then acts.
//! What is decided is in `lifecycle`; how a call is made is in `effects`.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::{Context, OpenSpan, Refusal};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::effects::{self, Outcome};
use crate::hypervisor::{Change, DomainSeen, DomainState, OffReason};
use crate::ids::InstanceId;
use crate::lifecycle::{
    self, Action, Decision, Effect, Ended, Event, Off, Reboot, RebootEnd, Request, Sighting, State, Timer,
};
use crate::operation::{Accepted, Order};
use crate::shop::Shop;
use crate::stage::Unmade;
use crate::state::{Record, Resized, Staged, StoreError};

mod handle;
mod ordering;
mod plugging;

pub use handle::{Handle, Message, VolumeAsk};

/// Messages a runner may be behind before senders wait.
const INBOX: usize = 64;
/// The reason of an instance that runs as far as its life goes, and whose processors are held.
const PAUSED: &str = "paused by the hypervisor: an I/O error of a disk, or an administrator";
/// For how long the spans of a request's work are open at most.
const WORK_BUDGET: Duration = Duration::from_secs(7200);

/// Starts the runner of a record that is durable already: `first` is how it begins.
pub fn spawn(shop: Arc<Shop>, record: Record, ctx: Context, first: First) -> Handle {
    let (inbox, messages) = mpsc::channel(INBOX);
    let record = Arc::new(record);
    let (publish, watch) = watch::channel(record.clone());
    let runner = Runner {
        id: record.id.clone(),
        shop: shop.clone(),
        record: (*record).clone(),
        publish,
        timers: BTreeMap::new(),
        tasks: JoinSet::new(),
        busy: HashMap::new(),
        staging: None,
        entered: Instant::now(),
        serial: 0,
        plugging: None,
        resolving: false,
        work: None,
        ctx,
        forgotten: false,
    };
    let task = tokio::spawn(runner.run(messages, first)).abort_handle();
    Handle { inbox, record: watch, task }
}

/// How a runner begins.
pub enum First {
    /// With these effects: the instance was just accepted.
    Launch(Vec<Effect>),
    /// With [`Event::Recovered`]: the record was found at start.
    Recover,
}

struct Runner {
    id: InstanceId,
    shop: Arc<Shop>,
    record: Record,
    publish: watch::Sender<Arc<Record>>,
    timers: BTreeMap<Timer, Instant>,
    tasks: JoinSet<Outcome>,
    /// The actions under way, with the serial of the state that wants their end.
    busy: HashMap<Action, u64>,
    staging: Option<JoinHandle<Result<Staged, Unmade>>>,
    /// When the present state was entered, by the clock that nobody sets.
    entered: Instant,
    /// Counts the states entered, so that the end of an effect reaches only the state that wanted it.
    serial: u64,
    /// Who waits for the plugging under way.
    plugging: Option<oneshot::Sender<Result<(), Refusal>>>,
    /// Whether the hypervisor is being asked for the disks.
    resolving: bool,
    /// The span of the request that is being carried out.
    work: Option<OpenSpan>,
    ctx: Context,
    forgotten: bool,
}

impl Runner {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>, first: First) {
        match first {
            First::Launch(effects) => {
                self.open_work("nc.launch");
                self.perform(effects).await;
            }
            First::Recover => self.handle(Event::Recovered).await,
        }
        while !self.forgotten {
            let wake = self.timers.values().min().copied();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.hear(message).await,
                    None => return,
                },
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Ok(outcome) => self.take(outcome).await,
                    Err(error) => self.died(&error).await,
                },
                staged = staging_end(&mut self.staging) => self.staged(staged).await,
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.deadline().await,
            }
        }
        self.shop.instances().remove(&self.id);
    }

    async fn hear(&mut self, message: Message) {
        match message {
            Message::Ask { request, ctx, answer } => self.asked(request, ctx, answer).await,
            Message::Resize { resized, ctx, answer } => {
                let _ = answer.send(self.resized(&resized, &ctx).await);
            }
            Message::Volume { ask, ctx, answer } => self.volume_asked(ask, &ctx, answer).await,
            Message::Seen { domain, asked } => self.seen(domain, asked).await,
            Message::Happened(change) => self.happened(change).await,
            Message::Learnt { ip, fresh } => self.learnt(ip, fresh).await,
        }
    }

    async fn asked(&mut self, request: Request, ctx: Context, answer: oneshot::Sender<Result<Accepted, Refusal>>) {
        let before = self.record.state.clone();
        match self.order(request, &ctx) {
            Order::Due => {}
            Order::Again(as_before) => {
                tracing::info!(event = "nc.request.repeated", instance = %self.id, req = %ctx.request, "it is done already");
                let _ = answer.send(Ok(as_before.clone()));
                return;
            }
            Order::Late(than) => {
                let _ = answer.send(Err(self.overtaken(&ctx, than)));
                return;
            }
        }
        let (state, effects, changes) = match lifecycle::step(&before, Event::Asked(request)) {
            Decision::Refuse(reason) => {
                let _ = answer.send(Err(Refusal::new(format!("{}: {reason}", self.id))));
                return;
            }
            Decision::Stay => (before.clone(), Vec::new(), false),
            Decision::Go { state, effects } => (state, effects, true),
        };
        let mut next = self.next_record(state.clone(), &effects);
        let accepted = Accepted { before, after: state };
        self.note_operation(&mut next, request, &ctx, &accepted);
        if let Err(error) = self.save(&next).await {
            let text =
                format!("{}: not done, since its record could not be saved: {}", self.id, effects::causes(&error));
            let _ = answer.send(Err(Refusal::new(text)));
            return;
        }
        if changes {
            self.ctx = ctx.detached(WORK_BUDGET);
            self.open_work(work_name(request));
        }
        self.enter(next);
        // The caller may have gone; what was accepted is done all the same.
        let _ = answer.send(Ok(accepted));
        self.perform(effects).await;
    }

    /// A stopped instance gets another size; its domain is made of the record when it starts.
    async fn resized(&mut self, to: &Resized, ctx: &Context) -> Result<(), Refusal> {
        if let Order::Late(than) = self.order(Request::Start, ctx) {
            return Err(self.overtaken(ctx, than));
        }
        if !matches!(self.record.state, State::Stopped(_)) {
            return Ok(());
        }
        let mut next = self.record.clone();
        next.order.size = next.order.size.resized(to);
        self.save(&next).await.map_err(|error| {
            let cause = effects::causes(&error);
            Refusal::new(format!("{}: not resized, since its record could not be saved: {cause}", self.id))
        })?;
        self.enter(next);
        Ok(())
    }

    /// What anything but a request leads to. A record that cannot be saved holds the instance where it is: nothing
    /// is done that is not written down.
    async fn handle(&mut self, event: Event) {
        let Decision::Go { state, effects } = lifecycle::step(&self.record.state, event) else { return };
        let next = self.next_record(state, &effects);
        self.save_surely(&next).await;
        self.enter(next);
        self.perform(effects).await;
    }

    /// The record after a decision: the state, and what goes with entering it.
    fn next_record(&self, state: State, effects: &[Effect]) -> Record {
        let now = Timestamp::now();
        let mut next = self.record.clone();
        let lasted = elapsed(self.record.since, now);
        for effect in effects {
            match effect {
                Effect::CountBoot => next.boots += 1,
                Effect::NoteReboot(end) => next.last_reboot = Some(reboot_text(end, lasted)),
                Effect::Stage
                | Effect::CancelStaging
                | Effect::Do(_)
                | Effect::Observe
                | Effect::Wait(_)
                | Effect::Explain(_)
                | Effect::Forget => {}
            }
        }
        if let Some(operation) = &mut next.operation {
            operation.done |= operation.is_reached(&state, effects);
        }
        if state != self.record.state {
            next.entered = now;
            next.reason = state.reason(lasted);
            if state.name() != self.record.state.name() {
                next.since = now;
            }
            if self.record.state.has_its_files() && state.is_failing() {
                next.elsewhere = true;
            }
            if !state.holds_memory() {
                next.volumes = crate::volumes::settle(&next.volumes);
                next.run = None;
            }
            next.state = state;
        }
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Explain(reason) => Some(reason.clone()),
            _ => None,
        });
        next.reason = told.or(next.reason);
        next
    }

    async fn save(&self, next: &Record) -> Result<(), StoreError> {
        if *next == self.record {
            return Ok(());
        }
        let span = self.work.as_ref().map(|work| work.ctx().start("nc.record", self.id.as_str()));
        let saved = self.shop.store.save(next, Some(&self.record)).await;
        if let Some(span) = span {
            span.finish(saved.as_ref().map_or_else(|error| effects::causes(error), |()| "ok".to_string()));
        }
        saved
    }

    async fn save_surely(&self, next: &Record) {
        while let Err(error) = self.save(next).await {
            tracing::error!(event = "nc.record.unsaved", instance = %self.id, error = effects::causes(&error), "trying again");
            tokio::time::sleep(self.shop.times.retry).await;
        }
    }

    /// Makes a saved record the present one.
    fn enter(&mut self, next: Record) {
        let changed = next.state != self.record.state;
        if changed {
            self.serial += 1;
            self.entered = Instant::now();
            self.timers.clear();
            tracing::debug!(event = "nc.instance.phase", instance = %self.id, state = ?next.state);
        }
        if (next.state.name(), &next.reason) != (self.record.state.name(), &self.record.reason) {
            tracing::info!(
                event = "nc.instance.state", instance = %self.id, from = self.record.state.name(), to = next.state.name(),
                reason = next.reason.as_deref().unwrap_or_default(), req = self.request()
            );
        }
        if next.last_reboot != self.record.last_reboot
            && let Some(text) = &next.last_reboot
        {
            tracing::info!(event = "nc.instance.rebooted", instance = %self.id, how = text, boots = next.boots, req = self.request());
        }
        let before = std::mem::replace(&mut self.record, next);
        if changed {
            self.close_work(&before.state);
        }
        self.publish.send_replace(Arc::new(self.record.clone()));
    }

    fn open_work(&mut self, name: &str) {
        if let Some(before) = self.work.take() {
            before.finish(format!("overtaken by {name}"));
        }
        self.work = Some(self.ctx.start(name, self.id.as_str()));
    }

    /// Ends the request's span in the states in which an instance rests.
    fn close_work(&mut self, before: &State) {
        let outcome = match &self.record.state {
            State::Running if matches!(before, State::Rebooting(_)) => self.record.last_reboot.clone(),
            State::Running => Some("running".to_string()),
            State::Stopped(_) | State::Failed(_) => self.record.reason.clone(),
            State::Terminated => Some("terminated".to_string()),
            State::Pending(_)
            | State::Rebooting(_)
            | State::Stopping(_)
            | State::Starting(_)
            | State::ShuttingDown(..) => return,
        };
        if let Some(work) = self.work.take() {
            work.finish(outcome.unwrap_or_default());
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Stage => {
                    let (shop, record, ctx) = (self.shop.clone(), self.record.clone(), self.work_ctx());
                    self.staging = Some(tokio::spawn(effects::stage(shop, record, ctx)));
                }
                Effect::CancelStaging => {
                    if let Some(staging) = self.staging.take() {
                        staging.abort();
                        // Its end is all that matters: nothing is written into the directory any more.
                        let _ = staging.await;
                    }
                }
                Effect::Observe => self.shop.bell.notify_one(),
                Effect::Wait(timer) => self.arm(timer),
                Effect::CountBoot | Effect::NoteReboot(_) | Effect::Explain(_) => {} // done in the record
                Effect::Forget => self.forget().await,
                Effect::Do(action) => self.launch(action),
            }
        }
    }

    /// Starts an action whose end comes back as an event. One of its kind that is still under way is not doubled: its
    /// end is then also this state's.
    fn launch(&mut self, action: Action) {
        if self.busy.insert(action, self.serial).is_some() {
            return;
        }
        self.tasks.spawn(effects::perform(self.shop.clone(), self.record.clone(), action, self.work_ctx()));
    }

    fn arm(&mut self, timer: Timer) {
        let wait = self.shop.times.of(&self.record.state, timer);
        let wait = match timer {
            Timer::Limit => wait.saturating_sub(elapsed(self.record.entered, Timestamp::now())),
            Timer::Again | Timer::Patience => wait,
        };
        let at = Instant::now() + wait;
        match timer {
            Timer::Limit | Timer::Again => drop(self.timers.insert(timer, at)),
            // It does not begin anew with each try.
            Timer::Patience => drop(self.timers.entry(timer).or_insert(at)),
        }
    }

    async fn deadline(&mut self) {
        let now = Instant::now();
        let due = self.timers.iter().find(|(_, at)| **at <= now).map(|(timer, _)| *timer);
        if let Some(timer) = due {
            self.timers.remove(&timer);
            self.handle(Event::Deadline(timer)).await;
        }
    }

    /// A task of ours broke off, and with it the knowledge of what it did: as after a restart of the process.
    async fn died(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(event = "nc.effect.died", instance = %self.id, %error);
        self.busy.clear();
        self.resolving = false;
        self.plugging = None;
        self.handle(Event::Recovered).await;
    }

    async fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done { action, ended } => {
                if self.busy.remove(&action) == Some(self.serial) {
                    self.handle(Event::Ended(ended)).await;
                } else {
                    tracing::debug!(event = "nc.effect.late", instance = %self.id, ?ended);
                }
            }
            Outcome::Plugged { volume_id, attach, plugged } => self.plugged(&volume_id, attach, plugged).await,
            Outcome::Disks(disks) => self.disks_seen(disks).await,
        }
    }

    async fn staged(&mut self, result: Result<Staged, Unmade>) {
        let ended = match result {
            Ok(staged) => {
                let mut next = self.record.clone();
                next.staged = Some(staged);
                self.save_surely(&next).await;
                self.record = next;
                Ok(())
            }
            Err(unmade) => {
                self.record.elsewhere = unmade.elsewhere;
                Err(unmade.reason)
            }
        };
        self.handle(Event::Ended(Ended::Stage(ended))).await;
    }

    async fn seen(&mut self, domain: Option<DomainSeen>, asked: Instant) {
        // What was asked for before this state began says nothing about it.
        if asked <= self.entered {
            return;
        }
        let run = domain.as_ref().filter(|domain| domain.state == DomainState::Running).and_then(|domain| domain.run);
        if run.is_some() && run != self.record.run {
            self.new_run(run).await;
        }
        let sighting = domain.map_or(Sighting::Absent, |domain| sighting(domain.state));
        self.handle(Event::Seen(sighting)).await;
        self.note_pause(sighting).await;
        self.resolve_volumes(sighting);
    }

    /// A domain that is held runs as far as its life goes, but its user should know why nothing moves.
    async fn note_pause(&mut self, sighting: Sighting) {
        let held = sighting == Sighting::Paused;
        let told = self.record.reason.as_deref() == Some(PAUSED);
        if self.record.state == State::Running && sighting != Sighting::Unclear && held != told {
            let mut next = self.record.clone();
            next.reason = held.then(|| PAUSED.to_string());
            self.save_surely(&next).await;
            self.enter(next);
        }
    }

    /// The domain was started since it was last seen: somebody switched it off and on between two inventories.
    async fn new_run(&mut self, run: Option<u32>) {
        let known = self.record.run.is_some();
        let mut next = self.record.clone();
        next.run = run;
        self.save_surely(&next).await;
        self.record = next;
        let running = match &self.record.state {
            State::Running => true,
            State::Rebooting(reboot) => !matches!(reboot, Reboot::Restarting(_)),
            State::Pending(_)
            | State::Stopping(_)
            | State::Stopped(_)
            | State::Starting(_)
            | State::ShuttingDown(..)
            | State::Terminated
            | State::Failed(_) => false,
        };
        if known && running {
            self.handle(Event::Rebooted).await;
        }
    }

    async fn happened(&mut self, change: Change) {
        match change {
            Change::Rebooted => self.handle(Event::Rebooted).await,
            Change::ControlLost => tracing::warn!(event = "nc.domain.control-lost", instance = %self.id),
            Change::IoError { alias } => {
                tracing::warn!(event = "nc.domain.io-error", instance = %self.id, disk = alias)
            }
            // Hints only: the inventory that follows each event decides.
            Change::Started
            | Change::Paused
            | Change::Resumed
            | Change::ShuttingDown
            | Change::Stopped(_)
            | Change::Crashed
            | Change::DeviceAdded { .. }
            | Change::DeviceRemoved { .. }
            | Change::DeviceRemovalFailed { .. }
            | Change::Redefined => {}
        }
    }

    async fn learnt(&mut self, ip: Ipv4Addr, fresh: bool) {
        let known = self.record.learnt_ip;
        if known == Some(ip) || (known.is_some() && !fresh) || !self.record.state.holds_memory() {
            return;
        }
        let mut next = self.record.clone();
        next.learnt_ip = Some(ip);
        self.save_surely(&next).await;
        tracing::info!(event = "nc.address.learnt", instance = %self.id, %ip);
        self.enter(next);
    }

    async fn forget(&mut self) {
        match self.shop.store.forget(&self.id).await {
            Ok(()) => {
                tracing::info!(event = "nc.instance.forgotten", instance = %self.id);
                self.forgotten = true;
            }
            Err(error) => {
                tracing::error!(event = "nc.record.unsaved", instance = %self.id, error = effects::causes(&error), "trying again");
                self.timers.insert(Timer::Limit, Instant::now() + self.shop.times.retry);
            }
        }
    }

    /// The request that is being carried out; `-` for what happens by itself.
    fn request(&self) -> &str {
        self.work.as_ref().map_or("-", |work| work.ctx().request.as_str())
    }

    /// The context for work under the present request's span.
    fn work_ctx(&self) -> Context {
        self.work.as_ref().map_or_else(|| self.ctx.clone(), |work| work.ctx().clone())
    }
}

/// Waits for the end of staging; for ever when nothing is being staged.
async fn staging_end(staging: &mut Option<JoinHandle<Result<Staged, Unmade>>>) -> Result<Staged, Unmade> {
    let Some(task) = staging else { return std::future::pending().await };
    let result = task.await;
    *staging = None;
    result.unwrap_or_else(|error| Err(Unmade::here(format!("staging broke off: {error}"))))
}

/// What a domain's state means for its instance.
pub(crate) fn sighting(state: DomainState) -> Sighting {
    match state {
        DomainState::Running => Sighting::Running,
        DomainState::Paused => Sighting::Paused,
        DomainState::ShuttingDown => Sighting::GoingDown,
        DomainState::Off(OffReason::Shutdown) => Sighting::Off(Off::ByGuest),
        DomainState::Off(OffReason::Crashed) => Sighting::Off(Off::Crashed),
        DomainState::Off(OffReason::Destroyed | OffReason::Failed | OffReason::Saved | OffReason::Other) => {
            Sighting::Off(Off::Other)
        }
        DomainState::Unknown => Sighting::Unclear,
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn reboot_text(end: &RebootEnd, after: Duration) -> String {
    let seconds = after.as_secs_f64();
    match end {
        RebootEnd::Obeyed => format!("guest obeyed after {seconds:.1} s"),
        RebootEnd::Reset => format!("reset after {seconds:.1} s: guest did not obey"),
        RebootEnd::Restarted => {
            format!("started again after {seconds:.1} s: the guest switched off instead of rebooting")
        }
        RebootEnd::Failed(reason) => format!("failed after {seconds:.1} s: {reason}"),
    }
}

fn work_name(request: Request) -> &'static str {
    match request {
        Request::Reboot => "nc.reboot",
        Request::Stop { .. } => "nc.stop",
        Request::Start => "nc.start",
        Request::Terminate => "nc.terminate",
    }
}
