//! The operations on an instance in their order: which comes too late, which has come before, and which has reached what
//! it was for. Pure; the order is the cloud's own count ([`ironbark_wsdl::Epochs`]).

use serde::{Deserialize, Serialize};

use crate::lifecycle::{Effect, RebootEnd, Request, State};

/// The last operation on an instance that came with an epoch, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its place among the instance's operations.
    pub epoch: i64,
    /// The request that it was part of: with the epoch, what it is known by.
    pub id: String,
    /// What was asked.
    pub asked: Request,
    /// How the instance was when it was accepted, and how it was then.
    pub answer: Accepted,
    /// Whether it has reached what it was for. One that failed has not, and may be tried again.
    pub done: bool,
}

/// An accepted request: the states before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Before.
    pub before: State,
    /// After.
    pub after: State,
}

/// What a request is among the operations of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'o> {
    /// To be decided by the state.
    Due,
    /// It was done before, with this answer.
    Again(&'o Accepted),
    /// An operation of this later epoch has come before it.
    Late(i64),
}

/// What a request of this epoch and id is, after the `last` operation and in the present state. Without an epoch nothing
/// is known of its order. An end is never late: after it comes nothing.
pub fn order<'o>(
    last: Option<&'o Operation>,
    epoch: Option<i64>,
    id: &str,
    request: Request,
    state: &State,
) -> Order<'o> {
    match last.zip(epoch) {
        Some((last, epoch)) if epoch < last.epoch && request != Request::Terminate => Order::Late(last.epoch),
        Some((last, epoch)) if (epoch, id) == (last.epoch, last.id.as_str()) && last.stands(state) => {
            Order::Again(&last.answer)
        }
        Some(_) | None => Order::Due,
    }
}

impl Operation {
    /// Whether it was done and need not be done again. A guest that went down after its start or reboot did so by
    /// itself, and stays down; an instance that turned up after it was stopped or ended is stopped or ended again.
    fn stands(&self, state: &State) -> bool {
        let holds = match self.asked {
            Request::Start | Request::Reboot => true,
            Request::Stop { .. } | Request::Terminate => self.is_reached(state, &[]),
        };
        self.done && holds
    }

    /// Whether entering `state`, by these effects, is what it was for.
    pub fn is_reached(&self, state: &State, effects: &[Effect]) -> bool {
        match self.asked {
            Request::Start => matches!(state, State::Running),
            Request::Stop { .. } => matches!(state, State::Stopped(_)),
            Request::Terminate => matches!(state, State::Terminated | State::Failed(_)),
            Request::Reboot => effects.iter().any(|effect| match effect {
                Effect::NoteReboot(end) => !matches!(end, RebootEnd::Failed(_)),
                _ => false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Why;

    fn stopped() -> State {
        State::Stopped(Why::SwitchedOff)
    }

    fn start(epoch: i64, done: bool) -> Operation {
        let answer = Accepted { before: stopped(), after: State::Running };
        Operation { epoch, id: "req-a".into(), asked: Request::Start, answer, done }
    }

    #[test]
    fn what_a_later_operation_has_overtaken_is_late() {
        let last = start(5, true);
        let of = |epoch, id, request| order(Some(&last), epoch, id, request, &State::Running);
        assert_eq!(of(Some(4), "req-b", Request::Stop { force: false }), Order::Late(5));
        assert_eq!(of(Some(4), "req-b", Request::Terminate), Order::Due);
        assert_eq!(of(Some(6), "req-b", Request::Reboot), Order::Due);
        assert_eq!(of(None, "req-a", Request::Start), Order::Due);
        assert_eq!(order(None, Some(1), "req-a", Request::Start, &stopped()), Order::Due);
    }

    #[test]
    fn what_was_done_is_answered_as_before_and_what_failed_is_tried_again() {
        let (done, failed) = (start(5, true), start(5, false));
        let again = Order::Again(&done.answer);
        assert_eq!(order(Some(&done), Some(5), "req-a", Request::Start, &State::Running), again);
        assert_eq!(order(Some(&done), Some(5), "req-a", Request::Start, &stopped()), again, "the guest went down");
        assert_eq!(order(Some(&done), Some(5), "req-b", Request::Start, &stopped()), Order::Due);
        assert_eq!(order(Some(&failed), Some(5), "req-a", Request::Start, &stopped()), Order::Due);
        let stop = Request::Stop { force: false };
        let done = Operation { asked: stop, ..done };
        assert_eq!(order(Some(&done), Some(5), "req-a", stop, &stopped()), Order::Again(&done.answer));
        assert_eq!(order(Some(&done), Some(5), "req-a", stop, &State::Running), Order::Due, "it turned up again");
    }

    #[test]
    fn each_operation_knows_its_goal() {
        let of = |asked| Operation { asked, ..start(1, false) };
        let stop = Request::Stop { force: true };
        for (asked, state) in
            [(Request::Start, State::Running), (stop, stopped()), (Request::Terminate, State::Terminated)]
        {
            assert!(of(asked).is_reached(&state, &[]));
            assert!(!of(Request::Reboot).is_reached(&state, &[]));
        }
        assert!(!of(stop).is_reached(&State::Running, &[]));
        assert!(of(Request::Reboot).is_reached(&State::Running, &[Effect::NoteReboot(RebootEnd::Obeyed)]));
        let failed = Effect::NoteReboot(RebootEnd::Failed("silent".into()));
        assert!(!of(Request::Reboot).is_reached(&State::Running, &[failed]));
    }
}
