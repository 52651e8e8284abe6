//! The laws of an instance's life, held against random histories, and the stories that matter told
//! step by step.

use proptest::prelude::*;

use super::*;

fn text() -> String {
    "because".to_string()
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => Just(Call::Done),
        1 => Just(Call::Refused(text())),
        1 => Just(Call::Absent),
        1 => Just(Call::Unknown(text())),
        1 => Just(Call::NotBegun(text())),
    ]
}

fn any_result() -> impl Strategy<Value = Result<(), String>> {
    prop_oneof![3 => Just(Ok(())), 1 => Just(Err(text()))]
}

fn any_event() -> impl Strategy<Value = Event> {
    let asked = prop_oneof![
        Just(Request::Reboot),
        Just(Request::Stop { force: false }),
        Just(Request::Stop { force: true }),
        Just(Request::Start),
        Just(Request::Terminate),
    ];
    let ended = prop_oneof![
        any_result().prop_map(Ended::Stage),
        any_result().prop_map(Ended::Network),
        any_result().prop_map(Ended::Release),
        any_call().prop_map(Ended::Start),
        any_call().prop_map(Ended::AskReboot),
        any_call().prop_map(Ended::Reset),
        any_call().prop_map(Ended::AskShutdown),
        any_call().prop_map(Ended::Destroy),
        any_call().prop_map(Ended::Remove),
    ];
    prop_oneof![
        2 => asked.prop_map(Event::Asked),
        4 => any_sighting().prop_map(Event::Seen),
        1 => Just(Event::Rebooted),
        6 => ended.prop_map(Event::Ended),
        2 => prop_oneof![Just(Timer::Limit), Just(Timer::Again), Just(Timer::Patience)].prop_map(Event::Deadline),
        1 => Just(Event::Recovered),
    ]
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    prop_oneof![
        3 => Just(Sighting::Running),
        1 => Just(Sighting::Paused),
        1 => Just(Sighting::GoingDown),
        1 => Just(Sighting::Off(Off::ByGuest)),
        1 => Just(Sighting::Off(Off::Crashed)),
        1 => Just(Sighting::Off(Off::Other)),
        3 => Just(Sighting::Absent),
        1 => Just(Sighting::Unclear),
    ]
}

/// A history of one instance and what the laws need to remember of it.
struct History {
    state: State,
    /// A start was ordered and nothing has proven since that the domain does not run.
    may_run: bool,
    /// The hypervisor said that the domain is removed, and nothing was ordered since that could bring it back.
    removed: bool,
    /// The domain was seen absent after that.
    proven_absent: bool,
    /// The files were released, and their end was told.
    released: bool,
}

impl History {
    fn new() -> Self {
        Self { state: begin().0, may_run: false, removed: false, proven_absent: false, released: false }
    }

    fn live(&mut self, event: Event) {
        let before = self.state.clone();
        self.learn(&event);
        match step(&before, event.clone()) {
            Go { state, effects } => {
                for effect in &effects {
                    self.check(effect, &event);
                }
                self.state = state;
            }
            Stay => {}
            Refuse(reason) => {
                assert!(matches!(event, Event::Asked(_)), "{event:?} was refused");
                assert_ne!(event, Event::Asked(Request::Terminate), "nobody is refused his end");
                assert!(!reason.is_empty());
            }
        }
        self.check_state(&before, &event);
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::Seen(Sighting::Off(_) | Sighting::Absent)
            | Event::Ended(Ended::Start(Call::NotBegun(_) | Call::Refused(_) | Call::Absent)) => self.may_run = false,
            Event::Ended(Ended::Remove(Call::Done | Call::Absent)) => self.removed = true,
            Event::Recovered => (self.removed, self.proven_absent) = (false, false),
            _ => {}
        }
        if self.removed && *event == Event::Seen(Sighting::Absent) {
            self.proven_absent = true;
        }
    }

    fn check(&mut self, effect: &Effect, event: &Event) {
        match effect {
            Effect::Do(Action::StartDomain) => {
                assert!(!self.may_run, "started a second time without proof that it does not run: {event:?}");
                assert!(
                    !self.state.is_final() && !matches!(self.state, State::ShuttingDown(..)),
                    "started while it goes"
                );
                self.may_run = true;
            }
            Effect::Do(Action::ReleaseFiles) => {
                assert!(self.proven_absent, "files released under a domain that may be there: {event:?}");
                assert!(!self.released, "files released twice");
            }
            Effect::Forget => assert!(self.state.is_final(), "forgot a living instance"),
            _ => {}
        }
    }

    fn check_state(&mut self, before: &State, event: &Event) {
        if before.is_final() {
            assert_eq!(&self.state, before, "{event:?} brought it back");
        }
        if self.state.is_final() && !before.is_final() {
            assert_eq!(event, &Event::Ended(Ended::Release(Ok(()))), "it ended without its files released");
            self.released = true;
        }
        if cannot_ask(event) {
            assert_eq!(self.state.name(), before.name(), "{event:?} changed what is told of it");
        }
    }
}

/// Whether an event only says that nothing could be learnt.
fn cannot_ask(event: &Event) -> bool {
    match event {
        Event::Seen(sighting) => *sighting == Sighting::Unclear,
        Event::Ended(
            Ended::Start(call)
            | Ended::AskReboot(call)
            | Ended::Reset(call)
            | Ended::AskShutdown(call)
            | Ended::Destroy(call)
            | Ended::Remove(call),
        ) => matches!(call, Call::NotBegun(_) | Call::Unknown(_)),
        Event::Ended(Ended::Stage(_) | Ended::Network(_) | Ended::Release(_))
        | Event::Asked(_)
        | Event::Rebooted
        | Event::Deadline(_)
        | Event::Recovered => false,
    }
}

/// A world in which everything works: performs effects until there are none left to perform.
fn works_out(state: State, effects: Vec<Effect>, mut running: bool) -> State {
    let mut state = state;
    let mut queue = effects;
    for _ in 0..40 {
        let event = match queue.first() {
            None => Event::Seen(if running { Sighting::Running } else { Sighting::Absent }),
            Some(_) => match end_well(queue.remove(0), &mut running) {
                Some(event) => event,
                None => continue,
            },
        };
        if state.is_final() || (queue.is_empty() && state == State::Running) {
            return state;
        }
        if let Go { state: next, effects } = step(&state, event) {
            if next != state {
                queue.clear();
            }
            state = next;
            queue.extend(effects);
        }
    }
    state
}

fn end_well(effect: Effect, running: &mut bool) -> Option<Event> {
    let ended = match effect {
        Effect::Stage => Ended::Stage(Ok(())),
        Effect::Do(Action::PrepareNetwork) => Ended::Network(Ok(())),
        Effect::Do(Action::StartDomain) => {
            *running = true;
            Ended::Start(Call::Done)
        }
        Effect::Do(Action::AskReboot) => Ended::AskReboot(Call::Done),
        Effect::Do(Action::Reset) => Ended::Reset(Call::Done),
        Effect::Do(Action::AskShutdown) => Ended::AskShutdown(Call::Done),
        Effect::Do(Action::Destroy) => {
            *running = false;
            Ended::Destroy(Call::Done)
        }
        Effect::Do(Action::RemoveDomain) => {
            *running = false;
            Ended::Remove(Call::Done)
        }
        Effect::Do(Action::ReleaseFiles) => Ended::Release(Ok(())),
        Effect::Observe => return Some(Event::Seen(if *running { Sighting::Running } else { Sighting::Absent })),
        // In a world that works there is no need for patience.
        Effect::Wait(Timer::Patience) => return None,
        Effect::Wait(timer) => return Some(Event::Deadline(timer)),
        Effect::CancelStaging | Effect::CountBoot | Effect::NoteReboot(_) | Effect::Explain(_) | Effect::Forget => {
            return None;
        }
    };
    Some(Event::Ended(ended))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_in_every_history(events in proptest::collection::vec(any_event(), 0..120)) {
        let mut history = History::new();
        for event in events {
            history.live(event);
        }
    }

    /// Whatever happened, after a restart of the process an instance can be ended in a world that works.
    #[test]
    fn no_state_is_a_trap(events in proptest::collection::vec(any_event(), 0..60), running: bool) {
        let mut history = History::new();
        for event in events {
            history.live(event);
        }
        let (state, mut effects) = match step(&history.state, Event::Recovered) {
            Go { state, effects } => (state, effects),
            Stay | Refuse(_) => (history.state, Vec::new()),
        };
        let state = match step(&state, Event::Asked(Request::Terminate)) {
            Go { state, effects: more } => {
                effects = more;
                state
            }
            Stay | Refuse(_) => state,
        };
        let end = works_out(state, effects, running);
        prop_assert!(end.is_final(), "{end:?}");
    }
}

fn told(mut state: State, events: Vec<Event>) -> (State, Vec<Effect>) {
    let mut all = Vec::new();
    for event in events {
        if let Go { state: next, effects } = step(&state, event) {
            state = next;
            all.extend(effects);
        }
    }
    (state, all)
}

#[test]
fn a_launch_in_a_world_that_works_runs_with_one_boot() {
    let (state, effects) = begin();
    assert_eq!(works_out(state, effects, false), State::Running);
}

#[test]
fn a_guest_that_obeys_is_not_reset() {
    let events = vec![Event::Asked(Request::Reboot), Event::Ended(Ended::AskReboot(Call::Done)), Event::Rebooted];
    let (state, effects) = told(State::Running, events);
    assert_eq!(state, State::Running);
    assert!(effects.contains(&Effect::NoteReboot(RebootEnd::Obeyed)) && effects.contains(&Effect::CountBoot));
    assert!(!effects.contains(&Effect::Do(Action::Reset)));
}

#[test]
fn a_guest_that_ignores_the_button_is_reset_once_and_counted_once() {
    let events = vec![
        Event::Asked(Request::Reboot),
        Event::Ended(Ended::AskReboot(Call::Done)),
        Event::Asked(Request::Reboot),
        Event::Deadline(Timer::Limit),
        Event::Ended(Ended::Reset(Call::Done)),
        Event::Rebooted,
    ];
    let (state, effects) = told(State::Running, events);
    assert_eq!(state, State::Running);
    let count = |wanted: &Effect| effects.iter().filter(|effect| *effect == wanted).count();
    assert_eq!(count(&Effect::Do(Action::AskReboot)), 1);
    assert_eq!(count(&Effect::Do(Action::Reset)), 1);
    assert_eq!(count(&Effect::CountBoot), 1);
    assert_eq!(count(&Effect::NoteReboot(RebootEnd::Reset)), 1);
}

#[test]
fn a_guest_that_is_off_after_a_reboot_is_switched_on_again() {
    let asked = told(State::Running, vec![Event::Asked(Request::Reboot), Event::Ended(Ended::AskReboot(Call::Done))]).0;
    let (state, effects) = told(asked, vec![Event::Seen(Sighting::Off(Off::ByGuest))]);
    assert_eq!(effects, [Effect::Do(Action::StartDomain)]);
    let (state, effects) = told(state, vec![Event::Seen(Sighting::Running)]);
    assert_eq!(state, State::Running);
    assert!(effects.contains(&Effect::NoteReboot(RebootEnd::Restarted)));
}

#[test]
fn a_failed_launch_keeps_its_reason_to_the_end() {
    let (state, effects) = told(begin().0, vec![Event::Ended(Ended::Stage(Err("no such image".to_string())))]);
    assert_eq!(state.reason(std::time::Duration::ZERO).as_deref(), Some("no such image"));
    assert_eq!(works_out(state, effects, false), State::Failed("no such image".to_string()));
}

#[test]
fn a_start_that_fails_keeps_the_disk() {
    let (state, effects) = told(
        State::Stopped(Why::Obeyed),
        vec![Event::Asked(Request::Start), Event::Ended(Ended::Start(Call::Refused(text())))],
    );
    assert_eq!(state, State::Stopped(Why::StartFailed(text())));
    assert!(!effects.contains(&Effect::Do(Action::RemoveDomain)));
}

#[test]
fn a_crash_keeps_the_disk_and_says_so() {
    let (state, effects) = told(State::Running, vec![Event::Seen(Sighting::Off(Off::Crashed))]);
    assert!(effects.is_empty());
    assert!(state.reason(std::time::Duration::ZERO).unwrap().contains("crashed"));
}

#[test]
fn an_unanswered_hypervisor_leaves_a_removal_where_it_is() {
    let (state, _) = told(State::Running, vec![Event::Asked(Request::Terminate)]);
    let (after, effects) = told(
        state.clone(),
        vec![
            Event::Ended(Ended::Remove(Call::NotBegun(text()))),
            Event::Seen(Sighting::Absent),
            Event::Deadline(Timer::Again),
        ],
    );
    assert_eq!(after, state);
    assert!(
        effects.contains(&Effect::Do(Action::RemoveDomain)) && !effects.contains(&Effect::Do(Action::ReleaseFiles))
    );
}

/// What an instance is told to be after the hypervisor lists its domain as running, paused, going down, off, not at all,
/// or so that it says nothing. `=` is no change.
#[test]
fn the_table_of_drift() {
    use StartCall::{Answered, Due, Sent, Unknown};
    let going = |removal| State::ShuttingDown(removal, End::Terminated);
    let rows = [
        (State::Pending(Stage::Imaging), ["=", "=", "=", "=", "=", "="]),
        (State::Pending(Stage::Networking), ["=", "=", "=", "=", "=", "="]),
        (State::Pending(Stage::Spawning(Due)), ["running", "running", "running", "=", "=", "="]),
        (State::Pending(Stage::Spawning(Sent)), ["running", "=", "=", "=", "=", "="]),
        (State::Pending(Stage::Spawning(Answered)), ["running", "running", "running", "stopped", "stopped", "="]),
        (
            State::Pending(Stage::Spawning(Unknown)),
            ["running", "running", "running", "shutting-down", "shutting-down", "="],
        ),
        (State::Starting(Due), ["running", "running", "running", "=", "=", "="]),
        (State::Starting(Sent), ["running", "=", "=", "=", "=", "="]),
        (State::Starting(Answered), ["running", "running", "running", "stopped", "stopped", "="]),
        (State::Starting(Unknown), ["running", "running", "running", "stopped", "stopped", "="]),
        (State::Running, ["=", "=", "=", "stopped", "stopped", "="]),
        // Off in the midst of a reboot is started again.
        (State::Rebooting(Reboot::Asking), ["=", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Asked), ["=", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Resetting), ["=", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Confirming), ["=", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Unconfirmed), ["running", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Restarting(Due)), ["running", "running", "running", "=", "=", "="]),
        (State::Rebooting(Reboot::Restarting(Sent)), ["running", "=", "=", "=", "=", "="]),
        (State::Rebooting(Reboot::Restarting(Answered)), ["running", "running", "running", "stopped", "stopped", "="]),
        (State::Rebooting(Reboot::Restarting(Unknown)), ["running", "running", "running", "stopped", "stopped", "="]),
        (State::Stopping(Stop::Asking), ["=", "=", "=", "stopped", "stopped", "="]),
        (State::Stopping(Stop::Asked), ["=", "=", "=", "stopped", "stopped", "="]),
        (State::Stopping(Stop::Forced), ["=", "=", "=", "stopped", "stopped", "="]),
        (State::Stopped(Why::Obeyed), ["running", "=", "=", "=", "=", "="]),
        (going(Removal::Domain), ["=", "=", "=", "=", "=", "="]),
        (going(Removal::Proof), ["=", "=", "=", "=", "=", "="]),
        (going(Removal::Files), ["=", "=", "=", "=", "=", "="]),
        (State::Terminated, ["=", "=", "=", "=", "=", "="]),
        (State::Failed(text()), ["=", "=", "=", "=", "=", "="]),
    ];
    let listed = [
        vec![Sighting::Running],
        vec![Sighting::Paused],
        vec![Sighting::GoingDown],
        vec![Sighting::Off(Off::ByGuest), Sighting::Off(Off::Crashed), Sighting::Off(Off::Other)],
        vec![Sighting::Absent],
        vec![Sighting::Unclear],
    ];
    for (state, after) in rows {
        for (sightings, expected) in listed.iter().zip(after) {
            for sighting in sightings {
                let decision = step(&state, Event::Seen(*sighting));
                let name = match &decision {
                    Go { state: next, .. } if next.name() != state.name() => next.name(),
                    Go { .. } | Stay => "=",
                    Refuse(reason) => panic!("{state:?}, {sighting:?}: refused, {reason}"),
                };
                assert_eq!(name, expected, "{state:?}, {sighting:?}");
                assert!(
                    *sighting != Sighting::Unclear || decision == Stay,
                    "{state:?}: nothing is done for what nobody knows"
                );
            }
        }
    }
}
