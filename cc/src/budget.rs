//! How long one call to a node may take. Pure arithmetic over the rule of Eucalyptus 2.0.1
//! (wire/cc.md 7.1): an operation has 60 s for all its calls, and a call gets its even share of
//! what is left, but no less than 5 s and no more than 20 s. Knows no clock and no node.

use std::time::Duration;

/// What an operation has for all its calls (2.0.1: OP_TIMEOUT).
pub const OPERATION: Duration = Duration::from_secs(60);
/// The least a call gets (2.0.1: OP_TIMEOUT_MIN).
pub const CALL_MIN: Duration = Duration::from_secs(5);
/// The most a call gets (2.0.1: OP_TIMEOUT_PERNODE).
pub const CALL_MAX: Duration = Duration::from_secs(20);
/// What a console call gets, always (wire/cc.md 10.4).
pub const CONSOLE: Duration = Duration::from_secs(5);
/// What each call of a refresh gets. All nodes are asked in parallel, so there is no budget to
/// share; a healthy node answers these from memory.
pub const REFRESH: Duration = CALL_MIN;

/// The share of one call, when `remaining` is left of the operation and `calls_left` calls, this
/// one included, are still to be made one after the other.
pub fn share(remaining: Duration, calls_left: usize) -> Duration {
    let calls = u32::try_from(calls_left.max(1)).unwrap_or(u32::MAX);
    (remaining / calls).clamp(CALL_MIN, CALL_MAX)
}

/// Whole seconds where they are whole, else tenths.
pub fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    if tenths.is_multiple_of(10) { format!("{}", tenths / 10) } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_follow_the_old_rule() {
        for (remaining, calls, expected) in [
            (60, 1, 20),
            (60, 2, 20),
            (60, 3, 20),
            (60, 4, 15),
            (60, 12, 5),
            (60, 1000, 5),
            (30, 3, 10),
            (3, 1, 5),
            (0, 1, 5),
            (60, 0, 20),
        ] {
            let got = share(Duration::from_secs(remaining), calls);
            assert_eq!(got, Duration::from_secs(expected), "{remaining} s left, {calls} calls");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_always_between_the_bounds(ms in 0u64..200_000, calls in 0usize..5000) {
            let got = share(Duration::from_millis(ms), calls);
            prop_assert!((CALL_MIN..=CALL_MAX).contains(&got));
        }

        #[test]
        fn more_calls_never_mean_more_time(ms in 0u64..200_000, calls in 1usize..5000) {
            let left = Duration::from_millis(ms);
            prop_assert!(share(left, calls + 1) <= share(left, calls));
        }
    }

    #[test]
    fn durations_are_told_shortly() {
        assert_eq!(seconds(Duration::from_millis(2140)), "2.1");
        assert_eq!(seconds(Duration::from_millis(19_960)), "20");
    }
}
