//! What an instance's record means. Pure: no clock, lock, store or wire.
//!
//! A record holds two facts: what its owner *wishes*, durable before anything is sent, and what its
//! cluster last *observed*. Everything else is computed here: the state EC2 clients see, what is
//! still due to bring the cluster to the wish, whether a request may change the wish, and what a
//! new report changes.

use crate::ec2::instances::InstanceState as State;

/// What the owner last asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// It should run.
    Run,
    /// It should be off, and keep its disk.
    Stop,
    /// It should be gone, disk and all.
    Terminate,
}

/// What the cluster last said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    /// No cluster has said anything yet: its launch may not even have been sent.
    Unseen,
    /// Accepted: its node is staging its image or defining its domain.
    Pending,
    /// Its domain runs.
    Running,
    /// Its domain runs, and has been asked to boot again.
    Rebooting,
    /// Its guest has been asked to power down.
    Stopping,
    /// Its domain is off; disk, MAC and private address stay.
    Stopped,
    /// It is being taken down.
    ShuttingDown,
    /// Taken down, or declined by its cluster: final.
    Terminated,
    /// Its node could not launch it, or lost it: final.
    Failed,
    /// Its cluster, asked when it must have known, no longer lists it, or cannot be asked for too long. Our conclusion and
    /// not the cluster's word, so a later report overrules it, unless its owner wished it gone.
    Gone,
}

/// What must still be told to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// Nothing, or only to wait for a report.
    Nothing,
    /// `RunInstances`, until the cluster has taken it.
    Launch,
    /// `TerminateInstances`, until the cluster says that it is gone.
    Terminate,
    /// `StopInstances`, until it is stopping.
    Stop,
    /// `StartInstances`, until it runs.
    Start,
}

/// What an owner can ask of an instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Boot again.
    Reboot,
    /// Power down and keep.
    Stop,
    /// Boot what is stopped.
    Start,
    /// Take down for good.
    Terminate,
}

/// The answer to an [`Act`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed; the wish becomes this.
    Go(Wish),
    /// Allowed, and already so.
    Stay,
    /// Not in this state.
    Refuse,
}

/// What becomes of an instance that went off although it is wished to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterOff {
    /// It stays off, and keeps its disk.
    Stop,
    /// It is taken down.
    Terminate,
    /// It is started again.
    Restart,
}

/// What a report changes in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The wish afterwards.
    pub wish: Wish,
    /// The observation afterwards.
    pub observed: Observed,
    /// True if it went off although it was wished to run.
    pub went_off: bool,
}

impl Wish {
    /// Every wish.
    pub const ALL: [Wish; 3] = [Wish::Run, Wish::Stop, Wish::Terminate];

    /// The word the store keeps.
    pub fn name(self) -> &'static str {
        match self {
            Wish::Run => "run",
            Wish::Stop => "stop",
            Wish::Terminate => "terminate",
        }
    }

    /// The wish of that word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| wish.name() == name)
    }
}

impl Observed {
    /// Every observation.
    pub const ALL: [Observed; 10] = [
        Observed::Unseen,
        Observed::Pending,
        Observed::Running,
        Observed::Rebooting,
        Observed::Stopping,
        Observed::Stopped,
        Observed::ShuttingDown,
        Observed::Terminated,
        Observed::Failed,
        Observed::Gone,
    ];

    /// The word the store keeps; a node's own state bears the node's word for it (`nodeInstance`
    /// of `ironbark.wsdl`).
    pub fn name(self) -> &'static str {
        match self {
            Observed::Unseen => "unseen",
            Observed::Pending => "pending",
            Observed::Running => "running",
            Observed::Rebooting => "rebooting",
            Observed::Stopping => "stopping",
            Observed::Stopped => "stopped",
            Observed::ShuttingDown => "shutting-down",
            Observed::Terminated => "terminated",
            Observed::Failed => "failed",
            Observed::Gone => "gone",
        }
    }

    /// Whether something of it is there and not on its way out.
    pub fn lives(self) -> bool {
        match self {
            Observed::Pending | Observed::Running | Observed::Rebooting | Observed::Stopping | Observed::Stopped => {
                true
            }
            Observed::Unseen | Observed::ShuttingDown => false,
            Observed::Terminated | Observed::Failed | Observed::Gone => false,
        }
    }

    /// The observation of that word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|observed| observed.name() == name)
    }
}

/// The state EC2 clients see.
pub fn state(wish: Wish, observed: Observed) -> State {
    match (wish, observed) {
        (_, Observed::Terminated | Observed::Failed | Observed::Gone) => State::Terminated,
        (Wish::Terminate, Observed::Unseen | Observed::Pending | Observed::Running | Observed::Rebooting) => {
            State::ShuttingDown
        }
        (Wish::Terminate, Observed::Stopping | Observed::Stopped) => State::ShuttingDown,
        (_, Observed::ShuttingDown) => State::ShuttingDown,
        (Wish::Run, Observed::Running | Observed::Rebooting) => State::Running,
        // Stopped with the wish to run: a start is on its way.
        (Wish::Run, Observed::Unseen | Observed::Pending | Observed::Stopping | Observed::Stopped) => State::Pending,
        (Wish::Stop, Observed::Stopped) => State::Stopped,
        (Wish::Stop, Observed::Unseen | Observed::Pending | Observed::Running) => State::Stopping,
        (Wish::Stop, Observed::Rebooting | Observed::Stopping) => State::Stopping,
    }
}

/// What must still be told to the cluster. Everything named here may be told again and again: a
/// cluster knows an instance by its id.
pub fn due(wish: Wish, observed: Observed) -> Due {
    match (wish, observed) {
        (_, Observed::Terminated | Observed::Failed | Observed::Gone) => Due::Nothing,
        (Wish::Terminate, Observed::Unseen | Observed::Pending | Observed::Running | Observed::Rebooting) => {
            Due::Terminate
        }
        (Wish::Terminate, Observed::Stopping | Observed::Stopped | Observed::ShuttingDown) => Due::Terminate,
        (Wish::Run, Observed::Unseen) => Due::Launch,
        (Wish::Run, Observed::Stopped) => Due::Start,
        (Wish::Run, Observed::Pending | Observed::Running | Observed::Rebooting | Observed::Stopping) => Due::Nothing,
        (Wish::Stop, Observed::Running | Observed::Rebooting) => Due::Stop,
        (Wish::Stop, Observed::Unseen | Observed::Pending | Observed::Stopping | Observed::Stopped) => Due::Nothing,
        (Wish::Run | Wish::Stop, Observed::ShuttingDown) => Due::Nothing,
    }
}

/// Whether an owner's request is possible now (EC2's rules: `IncorrectInstanceState` else).
pub fn admit(act: Act, wish: Wish, observed: Observed) -> Verdict {
    match (act, state(wish, observed)) {
        (Act::Reboot, State::Running) => Verdict::Stay,
        (Act::Stop, State::Running) => Verdict::Go(Wish::Stop),
        (Act::Stop, State::Stopping | State::Stopped) => Verdict::Stay,
        (Act::Start, State::Stopped) => Verdict::Go(Wish::Run),
        (Act::Start, State::Pending | State::Running) => Verdict::Stay,
        // Also of one that is gone by itself: should it come back, it is taken down.
        (Act::Terminate, _) if wish == Wish::Terminate => Verdict::Stay,
        (Act::Terminate, _) => Verdict::Go(Wish::Terminate),
        (Act::Reboot, State::Pending | State::Stopping | State::Stopped) => Verdict::Refuse,
        (Act::Stop, State::Pending) | (Act::Start, State::Stopping) => Verdict::Refuse,
        (Act::Reboot | Act::Stop | Act::Start, State::ShuttingDown | State::Terminated) => Verdict::Refuse,
    }
}

/// What a cluster's report changes. A report that cannot be newer than what is known changes
/// nothing: `Terminated` is final, and `Failed` can only become `Terminated`. `after_off`: what is to
/// become of it if it went off by itself.
pub fn observe(wish: Wish, before: Observed, report: Observed, after_off: AfterOff) -> Seen {
    let keep = Seen { wish, observed: before, went_off: false };
    let moved = Seen { wish, observed: report, went_off: false };
    match (before, report) {
        (Observed::Terminated, _) | (_, Observed::Unseen) => keep,
        (Observed::Failed, Observed::Terminated) => moved,
        (Observed::Failed, _) => keep,
        // Its owner was told that it is terminated, and that stays so; what is left of it is ended all the same.
        (Observed::Gone, _) if wish == Wish::Terminate => keep,
        (Observed::Running | Observed::Rebooting | Observed::Stopping, Observed::Stopped) if wish == Wish::Run => {
            let wish = match after_off {
                AfterOff::Stop => Wish::Stop,
                AfterOff::Terminate => Wish::Terminate,
                AfterOff::Restart => Wish::Run,
            };
            Seen { wish, observed: Observed::Stopped, went_off: true }
        }
        (
            Observed::Unseen
            | Observed::Pending
            | Observed::Running
            | Observed::Rebooting
            | Observed::Stopping
            | Observed::Stopped
            | Observed::ShuttingDown
            | Observed::Gone,
            _,
        ) => moved,
    }
}

/// What is known when a cluster's whole and valid list lacks an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The cluster accepted its termination before it made the list.
    pub terminate_accepted: bool,
    /// It has been missing from every list for so long that no message can be under way still.
    pub for_long: bool,
    /// Its node has answered its cluster since it went missing.
    pub node_answered: bool,
}

/// Whether an instance that its cluster does not list is gone. One that was never seen is not: its
/// launch is sent until somebody answers.
pub fn is_gone(wish: Wish, observed: Observed, absence: Absence) -> bool {
    match (wish, observed) {
        (_, Observed::Terminated | Observed::Failed | Observed::Gone) => false,
        (Wish::Terminate, _) => absence.terminate_accepted,
        (Wish::Run | Wish::Stop, Observed::Unseen) => false,
        (Wish::Run | Wish::Stop, Observed::Pending | Observed::Running | Observed::Rebooting) => {
            absence.for_long && absence.node_answered
        }
        (Wish::Run | Wish::Stop, Observed::Stopping | Observed::Stopped | Observed::ShuttingDown) => {
            absence.for_long && absence.node_answered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everything() -> impl Iterator<Item = (Wish, Observed)> {
        Wish::ALL.into_iter().flat_map(|wish| Observed::ALL.into_iter().map(move |observed| (wish, observed)))
    }

    #[test]
    fn the_table_of_states() {
        use Observed as O;
        use State as S;
        let rows = [
            (O::Unseen, S::Pending, S::Stopping, S::ShuttingDown),
            (O::Pending, S::Pending, S::Stopping, S::ShuttingDown),
            (O::Running, S::Running, S::Stopping, S::ShuttingDown),
            (O::Rebooting, S::Running, S::Stopping, S::ShuttingDown),
            (O::Stopping, S::Pending, S::Stopping, S::ShuttingDown),
            (O::Stopped, S::Pending, S::Stopped, S::ShuttingDown),
            (O::ShuttingDown, S::ShuttingDown, S::ShuttingDown, S::ShuttingDown),
            (O::Terminated, S::Terminated, S::Terminated, S::Terminated),
            (O::Failed, S::Terminated, S::Terminated, S::Terminated),
            (O::Gone, S::Terminated, S::Terminated, S::Terminated),
        ];
        assert_eq!(rows.len(), Observed::ALL.len());
        for (observed, run, stop, terminate) in rows {
            assert_eq!(state(Wish::Run, observed), run, "run, {observed:?}");
            assert_eq!(state(Wish::Stop, observed), stop, "stop, {observed:?}");
            assert_eq!(state(Wish::Terminate, observed), terminate, "terminate, {observed:?}");
        }
    }

    /// What users see after each report that is no answer to what was asked for: the guest, its node or somebody at the
    /// node's console has done something.
    #[test]
    fn the_table_of_drift() {
        use Observed as O;
        use State as S;
        use Wish as W;
        let reports = [O::Pending, O::Running, O::Rebooting, O::Stopping, O::Stopped, O::ShuttingDown, O::Failed];
        let (p, r, o, z, d, t) = (S::Pending, S::Running, S::Stopping, S::Stopped, S::ShuttingDown, S::Terminated);
        let rows = [
            (W::Run, O::Unseen, [p, r, r, p, p, d, t]),
            (W::Run, O::Pending, [p, r, r, p, p, d, t]),
            (W::Run, O::Running, [p, r, r, p, z, d, t]),
            (W::Run, O::Rebooting, [p, r, r, p, z, d, t]),
            (W::Run, O::Stopping, [p, r, r, p, z, d, t]),
            (W::Run, O::Stopped, [p, r, r, p, p, d, t]),
            (W::Run, O::ShuttingDown, [p, r, r, p, p, d, t]),
            // Held for lost, and there again.
            (W::Run, O::Gone, [p, r, r, p, p, d, t]),
            (W::Stop, O::Running, [o, o, o, o, z, d, t]),
            (W::Stop, O::Stopping, [o, o, o, o, z, d, t]),
            // Switched on behind our back: it is stopped again.
            (W::Stop, O::Stopped, [o, o, o, o, z, d, t]),
            (W::Terminate, O::Running, [d, d, d, d, d, d, t]),
            (W::Terminate, O::Stopped, [d, d, d, d, d, d, t]),
            (W::Terminate, O::Gone, [t; 7]),
            (W::Run, O::Failed, [t; 7]),
            (W::Run, O::Terminated, [t; 7]),
        ];
        for (wish, before, after) in rows {
            for (report, after) in reports.into_iter().zip(after) {
                let seen = observe(wish, before, report, AfterOff::Stop);
                assert_eq!(state(seen.wish, seen.observed), after, "{wish:?}, {before:?}, then {report:?}");
            }
        }
        assert_eq!(due(Wish::Stop, Observed::Running), Due::Stop);
    }

    #[test]
    fn only_a_running_instance_is_rebooted_and_its_wish_stays() {
        for (wish, observed) in everything() {
            let running = state(wish, observed) == State::Running;
            let expected = if running { Verdict::Stay } else { Verdict::Refuse };
            assert_eq!(admit(Act::Reboot, wish, observed), expected, "{wish:?}, {observed:?}");
        }
    }

    #[test]
    fn terminate_is_always_taken_and_always_settles() {
        for (wish, observed) in everything() {
            assert_ne!(admit(Act::Terminate, wish, observed), Verdict::Refuse);
            let settled = state(Wish::Terminate, observed) == State::Terminated;
            assert_eq!(due(Wish::Terminate, observed) == Due::Terminate, !settled, "{observed:?}");
        }
    }

    #[test]
    fn nothing_is_taken_down_that_nobody_wished_gone() {
        for observed in Observed::ALL {
            assert_ne!(due(Wish::Run, observed), Due::Terminate);
            assert_ne!(due(Wish::Stop, observed), Due::Terminate);
        }
    }

    #[test]
    fn a_guest_that_turns_itself_off_is_stopped_and_not_started_again() {
        let seen = observe(Wish::Run, Observed::Running, Observed::Stopped, AfterOff::Stop);
        assert_eq!(seen, Seen { wish: Wish::Stop, observed: Observed::Stopped, went_off: true });
        assert_eq!(due(seen.wish, seen.observed), Due::Nothing);
        // But one that was just asked to start is only not started yet.
        let after_off = AfterOff::Terminate;
        assert_eq!(observe(Wish::Run, Observed::Stopped, Observed::Stopped, after_off).wish, Wish::Run);
    }

    #[test]
    fn a_guest_that_turns_itself_off_is_taken_down_if_its_owner_set_that() {
        let after_off = AfterOff::Terminate;
        let seen = observe(Wish::Run, Observed::Running, Observed::Stopped, after_off);
        assert_eq!(due(seen.wish, seen.observed), Due::Terminate);
        assert!(seen.went_off);
        // One that its owner stops stays.
        assert_eq!(observe(Wish::Stop, Observed::Stopping, Observed::Stopped, after_off).wish, Wish::Stop);
    }

    #[test]
    fn one_that_went_off_is_started_again_if_that_is_what_becomes_of_it() {
        let seen = observe(Wish::Run, Observed::Running, Observed::Stopped, AfterOff::Restart);
        assert_eq!(seen, Seen { wish: Wish::Run, observed: Observed::Stopped, went_off: true });
        assert_eq!(due(seen.wish, seen.observed), Due::Start);
        assert_eq!(observe(Wish::Stop, Observed::Running, Observed::Stopped, AfterOff::Restart).wish, Wish::Stop);
    }

    #[test]
    fn words_go_round() {
        for wish in Wish::ALL {
            assert_eq!(Wish::named(wish.name()), Some(wish));
        }
        for observed in Observed::ALL {
            assert_eq!(Observed::named(observed.name()), Some(observed));
        }
        assert_eq!(Observed::named("sleeping"), None);
    }

    #[test]
    fn a_launch_that_nobody_answered_is_never_given_up_for_being_absent() {
        let absence = Absence { terminate_accepted: true, for_long: true, node_answered: true };
        assert!(!is_gone(Wish::Run, Observed::Unseen, absence));
        assert!(is_gone(Wish::Run, Observed::Running, absence));
        assert!(!is_gone(Wish::Run, Observed::Running, Absence { node_answered: false, ..absence }));
        assert!(is_gone(Wish::Terminate, Observed::Unseen, absence));
        assert!(!is_gone(Wish::Terminate, Observed::Running, Absence { terminate_accepted: false, ..absence }));
    }

    fn any_observed() -> impl Strategy<Value = Observed> {
        proptest::sample::select(Observed::ALL.to_vec())
    }

    proptest! {
        /// Whatever a cluster reports in whatever order: a cluster's word that an instance is gone
        /// is final, and no report takes anything down or starts what its owner stopped.
        #[test]
        fn reports_keep_the_laws(
            wish in proptest::sample::select(Wish::ALL.to_vec()),
            reports in proptest::collection::vec(any_observed(), 0..30),
        ) {
            let (mut wish, mut observed) = (wish, Observed::Unseen);
            for report in reports {
                let before = (wish, observed);
                let seen = observe(wish, observed, report, AfterOff::Stop);
                (wish, observed) = (seen.wish, seen.observed);
                prop_assert!(before.1 != Observed::Terminated || observed == Observed::Terminated);
                prop_assert!(before.0 == wish || (before.0 == Wish::Run && wish == Wish::Stop && seen.went_off));
                if before.0 == Wish::Stop {
                    prop_assert_ne!(due(wish, observed), Due::Start);
                }
            }
        }
    }
}
