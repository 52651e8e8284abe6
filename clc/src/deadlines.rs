//! For how long an instance may be on its way from one state to the next, and what then: no state is for ever. The
//! cloud's table; a node has its own (`Times` of the node controller), and a cluster its own (`overdue` there). Each
//! tier above is more patient than the one below, whose own word says more. Pure.
//!
//! Why these numbers: operations-spec C-8, and 2.0.1's patience of ten minutes with a silent cluster.

use jiff::SignedDuration;

use crate::lifecycle::{Observed, Wish};

/// A launch or a change of state that its cluster has not even taken.
const UNTOLD: SignedDuration = SignedDuration::from_mins(10);
/// A launch that was taken: 30 minutes for images, 3 for network and domain, and time for the node to end it itself.
const LAUNCH: SignedDuration = SignedDuration::from_mins(40);
/// A domain that is started, or restarted, or asked to go off and then forced: 180 s at most, and time to hear of it.
const SWITCHING: SignedDuration = SignedDuration::from_mins(4);
/// An instance that is taken down.
const ENDING: SignedDuration = SignedDuration::from_mins(3);

/// How long a state may last, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Counted from the beginning of the state that users see.
    pub after: SignedDuration,
    /// What then.
    pub then: Resolution,
}

/// What becomes of an instance that is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is wished gone, should it exist after all.
    GiveUp,
    /// It goes back to the wish that it had.
    TakeBack(Wish),
    /// It counts as gone, if its cluster cannot be asked: what its cluster says later overrules it.
    Conclude,
    /// Only its node can say more, and keeps a deadline of its own: it is shown by the doctor.
    Wait,
}

/// The deadline of an instance; none in the states in which one rests. `booted`: it has run before, so that there is a
/// disk with its owner's work, which no deadline takes away.
pub fn deadline(wish: Wish, observed: Observed, booted: bool) -> Option<Deadline> {
    let within = |after, then| Some(Deadline { after, then });
    match (wish, observed) {
        (_, Observed::Terminated | Observed::Failed | Observed::Gone) => None,
        (Wish::Run, Observed::Running) | (Wish::Stop, Observed::Stopped) => None,
        (Wish::Run, Observed::Unseen) => within(UNTOLD, Resolution::GiveUp),
        (Wish::Run, Observed::Pending) if booted => within(SWITCHING, Resolution::Wait),
        (Wish::Run, Observed::Pending) => within(LAUNCH, Resolution::GiveUp),
        (Wish::Run, Observed::Stopped) => within(UNTOLD, Resolution::TakeBack(Wish::Stop)),
        (Wish::Run, Observed::Rebooting | Observed::Stopping) => within(SWITCHING, Resolution::Wait),
        (Wish::Stop, Observed::Running | Observed::Rebooting) => within(UNTOLD, Resolution::TakeBack(Wish::Run)),
        (Wish::Stop, Observed::Unseen | Observed::Pending | Observed::Stopping) => within(SWITCHING, Resolution::Wait),
        (Wish::Run | Wish::Stop, Observed::ShuttingDown) => within(ENDING, Resolution::Wait),
        (Wish::Terminate, Observed::Unseen | Observed::Pending | Observed::Running | Observed::Rebooting) => {
            within(ENDING, Resolution::Conclude)
        }
        (Wish::Terminate, Observed::Stopping | Observed::Stopped | Observed::ShuttingDown) => {
            within(ENDING, Resolution::Conclude)
        }
    }
}

/// How long a node may call its instance by such a name; none for states in which one rests.
pub fn on_node(state: Observed) -> Option<SignedDuration> {
    match state {
        Observed::Pending => Some(LAUNCH),
        Observed::Rebooting | Observed::Stopping => Some(SWITCHING),
        Observed::ShuttingDown => Some(ENDING),
        Observed::Unseen | Observed::Running | Observed::Stopped => None,
        Observed::Terminated | Observed::Failed | Observed::Gone => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::instances::InstanceState;
    use crate::lifecycle::state;

    /// A state that users see as a passing one has an end that does not depend on luck.
    #[test]
    fn every_passing_state_has_a_deadline_and_no_other() {
        for wish in Wish::ALL {
            for observed in Observed::ALL {
                let passing = match state(wish, observed) {
                    InstanceState::Pending | InstanceState::ShuttingDown | InstanceState::Stopping => true,
                    InstanceState::Running => observed == Observed::Rebooting,
                    InstanceState::Stopped | InstanceState::Terminated => false,
                };
                for booted in [false, true] {
                    assert_eq!(deadline(wish, observed, booted).is_some(), passing, "{wish:?}, {observed:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_that_has_run_is_given_up() {
        for observed in Observed::ALL.into_iter().filter(|observed| *observed != Observed::Unseen) {
            for wish in [Wish::Run, Wish::Stop] {
                let then = deadline(wish, observed, true).map(|deadline| deadline.then);
                assert_ne!(then, Some(Resolution::GiveUp), "{wish:?}, {observed:?}");
            }
        }
    }
}
