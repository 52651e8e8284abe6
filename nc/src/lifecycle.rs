//! The life of an instance as a pure function: `step(state, event)` decides what follows, and
//! nothing here acts, waits, locks or reads a clock. The runner performs the effects, and their
//! ends come back as events.
//!
//! Three rules run through all tables. What is *running* is told by sightings (the hypervisor's
//! inventory), never by the reply to a call. "Could not be asked" and "no answer in time" prove
//! nothing, so they change nothing but what is tried next. Files are released only after the
//! domain was removed *and then* seen to be absent.

mod state;

pub use state::{
    Action, Call, Decision, Effect, End, Ended, Event, Off, Reboot, RebootEnd, Removal, Request, Sighting, Stage,
    StartCall, State, Stop, Timer, Why,
};

use Decision::{Go, Refuse, Stay};

/// The state in which an instance begins, and its first effects.
pub fn begin() -> (State, Vec<Effect>) {
    (State::Pending(Stage::Imaging), vec![Effect::Stage, Effect::Wait(Timer::Limit)])
}

/// Decides what follows from `event` in `state`. Every pair is decided.
pub fn step(state: &State, event: Event) -> Decision {
    match event {
        Event::Asked(Request::Reboot) => asked_to_reboot(state),
        Event::Asked(Request::Stop { force }) => asked_to_stop(state, force),
        Event::Asked(Request::Start) => asked_to_start(state),
        Event::Asked(Request::Terminate) => asked_to_terminate(state),
        Event::Seen(sighting) => seen(state, sighting),
        Event::Rebooted => rebooted(state),
        Event::Ended(ended) => effect_ended(state, ended),
        Event::Deadline(Timer::Limit) => limit_reached(state),
        Event::Deadline(Timer::Again) => again(state),
        Event::Deadline(Timer::Patience) => patience_over(state),
        Event::Recovered => recovered(state),
    }
}

fn go(state: State, effects: impl Into<Vec<Effect>>) -> Decision {
    Go { state, effects: effects.into() }
}

fn asked_to_reboot(state: &State) -> Decision {
    match state {
        State::Running => go(State::Rebooting(Reboot::Asking), [Effect::Do(Action::AskReboot)]),
        State::Rebooting(_) => Stay,
        State::Pending(_) | State::Starting(_) => Refuse("it does not run yet; wait until it is running".to_string()),
        State::Stopping(_) => Refuse("it is being stopped".to_string()),
        State::Stopped(_) => Refuse("it is stopped; start it instead".to_string()),
        State::ShuttingDown(..) | State::Terminated | State::Failed(_) => Refuse(gone(state)),
    }
}

fn asked_to_stop(state: &State, force: bool) -> Decision {
    match (state, force) {
        (State::Pending(_) | State::Starting(_) | State::Rebooting(Reboot::Restarting(_)), _) => {
            Refuse("it does not run yet; wait until it is running, or terminate it".to_string())
        }
        (State::Running | State::Rebooting(_), false) => {
            go(State::Stopping(Stop::Asking), [Effect::Do(Action::AskShutdown)])
        }
        (State::Running | State::Rebooting(_), true) => {
            go(State::Stopping(Stop::Forced), [Effect::Do(Action::Destroy)])
        }
        (State::Stopping(Stop::Asking | Stop::Asked), true) => {
            go(State::Stopping(Stop::Forced), [Effect::Do(Action::Destroy)])
        }
        (State::Stopping(_), false) | (State::Stopping(Stop::Forced), true) => Stay,
        (State::Stopped(_), _) => Stay,
        (State::ShuttingDown(..) | State::Terminated | State::Failed(_), _) => Refuse(gone(state)),
    }
}

fn asked_to_start(state: &State) -> Decision {
    match state {
        // The last start may have been carried out after all: that it was not is seen first.
        State::Stopped(Why::StartFailed(_)) => {
            go(State::Starting(StartCall::Due), [Effect::Observe, Effect::Wait(Timer::Patience)])
        }
        State::Stopped(_) => go(State::Starting(StartCall::Sent), [Effect::Do(Action::StartDomain)]),
        State::Pending(_) | State::Starting(_) | State::Running | State::Rebooting(_) => Stay,
        State::Stopping(_) => Refuse("it is being stopped; start it when it is stopped".to_string()),
        State::ShuttingDown(..) | State::Terminated | State::Failed(_) => Refuse(gone(state)),
    }
}

fn asked_to_terminate(state: &State) -> Decision {
    match state {
        State::Pending(Stage::Imaging) => remove(End::Terminated, true),
        State::Pending(Stage::Networking | Stage::Spawning(_))
        | State::Running
        | State::Rebooting(_)
        | State::Stopping(_)
        | State::Stopped(_)
        | State::Starting(_) => remove(End::Terminated, false),
        State::ShuttingDown(..) | State::Terminated | State::Failed(_) => Stay,
    }
}

fn gone(state: &State) -> String {
    format!("it is {} and will not come back", state.name())
}

/// The way out of every life: the domain is removed first.
fn remove(end: End, staging: bool) -> Decision {
    let mut effects = Vec::new();
    if staging {
        effects.push(Effect::CancelStaging);
    }
    effects.push(Effect::Do(Action::RemoveDomain));
    go(State::ShuttingDown(Removal::Domain, end), effects)
}

fn seen(state: &State, sighting: Sighting) -> Decision {
    if sighting == Sighting::Unclear {
        return Stay;
    }
    match state {
        // No domain can be there yet; one that is there all the same is dealt with when it is started.
        State::Pending(Stage::Imaging | Stage::Networking) => Stay,
        State::Pending(Stage::Spawning(call)) | State::Starting(call) | State::Rebooting(Reboot::Restarting(call)) => {
            seen_while_starting(state, *call, sighting)
        }
        State::Running => match why_off(sighting) {
            Some(why) => go(State::Stopped(why), []),
            None => Stay,
        },
        State::Rebooting(Reboot::Unconfirmed) if sighting == Sighting::Running => {
            let text = "the hypervisor did not confirm the reset in time, and no new boot was seen";
            go(State::Running, [Effect::NoteReboot(RebootEnd::Failed(text.to_string()))])
        }
        // libvirt performs the second half of a reboot itself, unless it was restarted in between: then
        // the guest is off, which is not what was asked for.
        State::Rebooting(
            Reboot::Asking | Reboot::Asked | Reboot::Resetting | Reboot::Confirming | Reboot::Unconfirmed,
        ) => match why_off(sighting) {
            Some(_) => go(State::Rebooting(Reboot::Restarting(StartCall::Sent)), [Effect::Do(Action::StartDomain)]),
            None => Stay,
        },
        State::Stopping(stop) => match (why_off(sighting), stop) {
            (Some(_), Stop::Asking | Stop::Asked) => go(State::Stopped(Why::Obeyed), []),
            (Some(_), Stop::Forced) => go(State::Stopped(Why::Forced), []),
            (None, Stop::Asking | Stop::Asked | Stop::Forced) => Stay,
        },
        // Switched on from outside: what is seen is what is so.
        State::Stopped(_) => match sighting {
            Sighting::Running => go(State::Running, [Effect::CountBoot]),
            Sighting::Paused | Sighting::GoingDown | Sighting::Off(_) | Sighting::Absent | Sighting::Unclear => Stay,
        },
        State::ShuttingDown(Removal::Proof, end) => match sighting {
            Sighting::Absent => {
                go(State::ShuttingDown(Removal::Files, end.clone()), [Effect::Do(Action::ReleaseFiles)])
            }
            Sighting::Running | Sighting::Paused | Sighting::GoingDown | Sighting::Off(_) | Sighting::Unclear => {
                go(State::ShuttingDown(Removal::Domain, end.clone()), [Effect::Wait(Timer::Again)])
            }
        },
        State::ShuttingDown(Removal::Domain | Removal::Files, _) => Stay,
        // A start that was thought to have failed took effect late.
        State::Terminated | State::Failed(_) => match sighting {
            Sighting::Absent | Sighting::Unclear => Stay,
            Sighting::Running | Sighting::Paused | Sighting::GoingDown | Sighting::Off(_) => {
                go(state.clone(), [Effect::Do(Action::RemoveDomain)])
            }
        },
    }
}

fn seen_while_starting(state: &State, call: StartCall, sighting: Sighting) -> Decision {
    match (call, why_off(sighting)) {
        (StartCall::Due, Some(_)) => go(state.with_call(StartCall::Sent), [Effect::Do(Action::StartDomain)]),
        // libvirt shows a domain as paused while it makes it.
        (StartCall::Sent, None) if sighting != Sighting::Running => Stay,
        (StartCall::Due | StartCall::Sent | StartCall::Answered | StartCall::Unknown, None) => started(state),
        (StartCall::Sent, Some(_)) => Stay,
        (StartCall::Answered, Some(why)) => go(State::Stopped(why), [Effect::CountBoot]),
        (StartCall::Unknown, Some(_)) => {
            start_failed(state, "the hypervisor did not start the domain in time".to_string())
        }
    }
}

/// Why the instance counts as off in this sighting; none if it does not.
fn why_off(sighting: Sighting) -> Option<Why> {
    match sighting {
        Sighting::Running | Sighting::Paused | Sighting::GoingDown | Sighting::Unclear => None,
        Sighting::Off(Off::ByGuest) => Some(Why::GuestShutDown),
        Sighting::Off(Off::Crashed) => Some(Why::GuestCrashed),
        Sighting::Off(Off::Other) => Some(Why::SwitchedOff),
        Sighting::Absent => Some(Why::DomainLost),
    }
}

fn started(state: &State) -> Decision {
    match state {
        State::Rebooting(_) => go(State::Running, [Effect::CountBoot, Effect::NoteReboot(RebootEnd::Restarted)]),
        State::Pending(_)
        | State::Starting(_)
        | State::Running
        | State::Stopping(_)
        | State::Stopped(_)
        | State::ShuttingDown(..)
        | State::Terminated
        | State::Failed(_) => go(State::Running, [Effect::CountBoot]),
    }
}

/// A launch that fails ends the instance; a later start that fails leaves it stopped with its disk.
fn start_failed(state: &State, reason: String) -> Decision {
    match state {
        State::Pending(_) => remove(End::Failed(reason), false),
        State::Rebooting(_) => {
            let note = Effect::NoteReboot(RebootEnd::Failed(reason.clone()));
            go(State::Stopped(Why::StartFailed(reason)), [note])
        }
        State::Starting(_) => go(State::Stopped(Why::StartFailed(reason)), []),
        State::Running
        | State::Stopping(_)
        | State::Stopped(_)
        | State::ShuttingDown(..)
        | State::Terminated
        | State::Failed(_) => Stay,
    }
}

fn rebooted(state: &State) -> Decision {
    match state {
        State::Rebooting(Reboot::Asking | Reboot::Asked) => {
            go(State::Running, [Effect::CountBoot, Effect::NoteReboot(RebootEnd::Obeyed)])
        }
        State::Rebooting(Reboot::Resetting | Reboot::Confirming | Reboot::Unconfirmed) => {
            go(State::Running, [Effect::CountBoot, Effect::NoteReboot(RebootEnd::Reset)])
        }
        State::Rebooting(Reboot::Restarting(_)) => started(state),
        // The guest rebooted by itself, perhaps when it was told to switch off.
        State::Running | State::Stopping(_) => go(state.clone(), [Effect::CountBoot]),
        State::Pending(_)
        | State::Stopped(_)
        | State::Starting(_)
        | State::ShuttingDown(..)
        | State::Terminated
        | State::Failed(_) => Stay,
    }
}

/// An end is heard only by the state that wanted it. Anywhere else it is late, and a sighting will
/// tell what came of it.
fn effect_ended(state: &State, ended: Ended) -> Decision {
    match ended {
        Ended::Stage(result) => stage_ended(state, result),
        Ended::Network(result) => network_ended(state, result),
        Ended::Start(call) => start_ended(state, call),
        Ended::AskReboot(call) => ask_reboot_ended(state, call),
        Ended::Reset(call) => reset_ended(state, call),
        Ended::AskShutdown(call) => ask_shutdown_ended(state, call),
        Ended::Destroy(call) => destroy_ended(state, call),
        Ended::Remove(call) => remove_ended(state, call),
        Ended::Release(result) => release_ended(state, result),
    }
}

fn stage_ended(state: &State, result: Result<(), String>) -> Decision {
    let State::Pending(Stage::Imaging) = state else { return Stay };
    match result {
        Ok(()) => go(State::Pending(Stage::Networking), [Effect::Do(Action::PrepareNetwork)]),
        Err(reason) => remove(End::Failed(reason), false),
    }
}

fn network_ended(state: &State, result: Result<(), String>) -> Decision {
    let State::Pending(Stage::Networking) = state else { return Stay };
    match result {
        Ok(()) => go(State::Pending(Stage::Spawning(StartCall::Sent)), [Effect::Do(Action::StartDomain)]),
        Err(reason) => remove(End::Failed(reason), false),
    }
}

fn start_ended(state: &State, call: Call) -> Decision {
    let Some(StartCall::Sent) = state.start_call() else { return Stay };
    match call {
        Call::Done => go(state.with_call(StartCall::Answered), [Effect::Observe, Effect::Wait(Timer::Patience)]),
        Call::Unknown(_) => go(state.with_call(StartCall::Unknown), [Effect::Observe, Effect::Wait(Timer::Patience)]),
        Call::NotBegun(reason) => {
            let waits = Effect::Explain(format!("waiting for the hypervisor: {reason}"));
            go(state.with_call(StartCall::Due), [waits, Effect::Wait(Timer::Patience)])
        }
        Call::Refused(reason) => start_failed(state, reason),
        Call::Absent => start_failed(state, "the hypervisor lost the domain while it started it".to_string()),
    }
}

fn ask_reboot_ended(state: &State, call: Call) -> Decision {
    let State::Rebooting(Reboot::Asking) = state else { return Stay };
    match call {
        Call::Done | Call::Unknown(_) => go(State::Rebooting(Reboot::Asked), [Effect::Wait(Timer::Limit)]),
        Call::Refused(_) => go(State::Rebooting(Reboot::Resetting), [Effect::Do(Action::Reset)]),
        Call::Absent | Call::NotBegun(_) => go(state.clone(), once_more()),
    }
}

fn reset_ended(state: &State, call: Call) -> Decision {
    let State::Rebooting(Reboot::Resetting) = state else { return Stay };
    match call {
        Call::Done => go(State::Rebooting(Reboot::Confirming), [Effect::Wait(Timer::Limit)]),
        Call::Unknown(_) => go(State::Rebooting(Reboot::Unconfirmed), [Effect::Observe, Effect::Wait(Timer::Patience)]),
        Call::Refused(reason) => go(State::Running, [Effect::NoteReboot(RebootEnd::Failed(reason)), Effect::Observe]),
        Call::Absent | Call::NotBegun(_) => go(state.clone(), once_more()),
    }
}

fn ask_shutdown_ended(state: &State, call: Call) -> Decision {
    let State::Stopping(Stop::Asking) = state else { return Stay };
    match call {
        Call::Done | Call::Unknown(_) | Call::Refused(_) => {
            go(State::Stopping(Stop::Asked), [Effect::Wait(Timer::Limit), Effect::Wait(Timer::Again)])
        }
        Call::Absent | Call::NotBegun(_) => go(state.clone(), once_more()),
    }
}

/// What could not be asked is tried again, as long as there is patience.
fn once_more() -> [Effect; 3] {
    [Effect::Observe, Effect::Wait(Timer::Again), Effect::Wait(Timer::Patience)]
}

fn destroy_ended(state: &State, call: Call) -> Decision {
    let State::Stopping(Stop::Forced) = state else { return Stay };
    match call {
        Call::Done | Call::Absent => go(state.clone(), [Effect::Observe, Effect::Wait(Timer::Again)]),
        Call::Unknown(reason) | Call::Refused(reason) | Call::NotBegun(reason) => {
            let stays = Effect::Explain(format!("cannot be switched off yet: {reason}"));
            go(state.clone(), [stays, Effect::Observe, Effect::Wait(Timer::Again)])
        }
    }
}

fn remove_ended(state: &State, call: Call) -> Decision {
    let State::ShuttingDown(Removal::Domain, end) = state else { return Stay };
    match call {
        Call::Done | Call::Absent => go(State::ShuttingDown(Removal::Proof, end.clone()), [Effect::Observe]),
        Call::Unknown(reason) | Call::Refused(reason) | Call::NotBegun(reason) => {
            let stays = end.with_reason(&format!("its domain cannot be removed yet: {reason}"));
            go(state.clone(), [Effect::Explain(stays), Effect::Wait(Timer::Again)])
        }
    }
}

fn release_ended(state: &State, result: Result<(), String>) -> Decision {
    let State::ShuttingDown(Removal::Files, end) = state else { return Stay };
    match (result, end) {
        (Ok(()), End::Terminated) => go(State::Terminated, [Effect::Wait(Timer::Limit)]),
        (Ok(()), End::Failed(reason)) => go(State::Failed(reason.clone()), [Effect::Wait(Timer::Limit)]),
        (Err(reason), End::Terminated | End::Failed(_)) => {
            let stays = end.with_reason(&format!("its files cannot be removed yet: {reason}"));
            go(state.clone(), [Effect::Explain(stays), Effect::Wait(Timer::Again)])
        }
    }
}

fn limit_reached(state: &State) -> Decision {
    match state {
        State::Pending(Stage::Imaging) => {
            remove(End::Failed("its images could not be fetched in the time allowed".to_string()), true)
        }
        State::Rebooting(Reboot::Asked) => go(State::Rebooting(Reboot::Resetting), [Effect::Do(Action::Reset)]),
        // The reset was carried out; not every hypervisor tells of it (libvirt's test driver does not).
        State::Rebooting(Reboot::Confirming) => {
            go(State::Running, [Effect::CountBoot, Effect::NoteReboot(RebootEnd::Reset)])
        }
        State::Stopping(Stop::Asked) => go(State::Stopping(Stop::Forced), [Effect::Do(Action::Destroy)]),
        State::Terminated | State::Failed(_) => go(state.clone(), [Effect::Forget]),
        State::Pending(Stage::Networking | Stage::Spawning(_))
        | State::Running
        | State::Rebooting(Reboot::Asking | Reboot::Resetting | Reboot::Unconfirmed | Reboot::Restarting(_))
        | State::Stopping(Stop::Asking | Stop::Forced)
        | State::Stopped(_)
        | State::Starting(_)
        | State::ShuttingDown(..) => Stay,
    }
}

/// The hypervisor has had its time, and has neither done what was asked nor said how things are.
fn patience_over(state: &State) -> Decision {
    let silent = |what: &str| format!("the hypervisor could not be asked {what} for too long");
    match state {
        State::Pending(Stage::Spawning(StartCall::Due | StartCall::Answered | StartCall::Unknown))
        | State::Starting(StartCall::Due | StartCall::Answered | StartCall::Unknown)
        | State::Rebooting(Reboot::Restarting(StartCall::Due | StartCall::Answered | StartCall::Unknown)) => {
            start_failed(state, silent("to start its domain, or whether it runs,"))
        }
        State::Rebooting(Reboot::Asking | Reboot::Resetting | Reboot::Unconfirmed) => {
            go(State::Running, [Effect::NoteReboot(RebootEnd::Failed(silent("to reboot it"))), Effect::Observe])
        }
        State::Stopping(Stop::Asking) => {
            let text = format!("it was not stopped: {}", silent("to switch it off"));
            go(State::Running, [Effect::Explain(text), Effect::Observe])
        }
        State::Pending(Stage::Imaging | Stage::Networking | Stage::Spawning(StartCall::Sent))
        | State::Starting(StartCall::Sent)
        | State::Rebooting(Reboot::Restarting(StartCall::Sent) | Reboot::Asked | Reboot::Confirming)
        | State::Running
        | State::Stopping(Stop::Asked | Stop::Forced)
        | State::Stopped(_)
        | State::ShuttingDown(..)
        | State::Terminated
        | State::Failed(_) => Stay,
    }
}

fn again(state: &State) -> Decision {
    match state {
        State::Rebooting(Reboot::Asking) => go(state.clone(), [Effect::Do(Action::AskReboot)]),
        State::Rebooting(Reboot::Resetting) => go(state.clone(), [Effect::Do(Action::Reset)]),
        State::Stopping(Stop::Asking) => go(state.clone(), [Effect::Do(Action::AskShutdown)]),
        State::Stopping(Stop::Asked) => {
            go(state.clone(), [Effect::Do(Action::AskShutdown), Effect::Wait(Timer::Again)])
        }
        State::Stopping(Stop::Forced) => go(state.clone(), [Effect::Do(Action::Destroy)]),
        State::ShuttingDown(Removal::Domain, _) => go(state.clone(), [Effect::Do(Action::RemoveDomain)]),
        State::ShuttingDown(Removal::Files, _) => go(state.clone(), [Effect::Do(Action::ReleaseFiles)]),
        State::Pending(_)
        | State::Running
        | State::Rebooting(Reboot::Asked | Reboot::Confirming | Reboot::Unconfirmed | Reboot::Restarting(_))
        | State::Stopped(_)
        | State::Starting(_)
        | State::ShuttingDown(Removal::Proof, _)
        | State::Terminated
        | State::Failed(_) => Stay,
    }
}

fn recovered(state: &State) -> Decision {
    match state {
        State::Pending(Stage::Imaging) => go(state.clone(), [Effect::Stage, Effect::Wait(Timer::Limit)]),
        State::Pending(Stage::Networking) => go(state.clone(), [Effect::Do(Action::PrepareNetwork)]),
        // The start may have been carried out: a sighting decides between adopting and starting.
        State::Pending(Stage::Spawning(_)) | State::Starting(_) | State::Rebooting(Reboot::Restarting(_)) => {
            go(state.with_call(StartCall::Due), [Effect::Observe, Effect::Wait(Timer::Patience)])
        }
        State::Running | State::Stopped(_) => go(state.clone(), [Effect::Observe]),
        State::Rebooting(Reboot::Asking) => go(state.clone(), [Effect::Do(Action::AskReboot)]),
        State::Rebooting(Reboot::Asked | Reboot::Confirming) => go(state.clone(), [Effect::Wait(Timer::Limit)]),
        State::Rebooting(Reboot::Resetting | Reboot::Unconfirmed) => {
            go(State::Rebooting(Reboot::Resetting), [Effect::Do(Action::Reset)])
        }
        State::Stopping(Stop::Asking) => go(state.clone(), [Effect::Do(Action::AskShutdown)]),
        State::Stopping(Stop::Asked) => go(state.clone(), [Effect::Wait(Timer::Limit), Effect::Wait(Timer::Again)]),
        State::Stopping(Stop::Forced) => go(state.clone(), [Effect::Do(Action::Destroy)]),
        // Proven absent before the restart is not proven now.
        State::ShuttingDown(Removal::Domain | Removal::Proof | Removal::Files, end) => {
            go(State::ShuttingDown(Removal::Domain, end.clone()), [Effect::Do(Action::RemoveDomain)])
        }
        State::Terminated | State::Failed(_) => go(state.clone(), [Effect::Wait(Timer::Limit)]),
    }
}

#[cfg(test)]
mod laws;
