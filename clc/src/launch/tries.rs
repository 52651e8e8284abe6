//! What the launcher has in hand, and when what is tried again. Plain bookkeeping: it sends nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::lifecycle::Due;
use crate::store::Instance;

/// The pause after the first try; it doubles with each, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is in the hands of whom, and when what is tried again. Lost in a restart: then everything
/// due is tried at once.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<String, Try>>);

#[derive(Clone, Debug)]
struct Try {
    due: Due,
    epoch: i64,
    count: u32,
    busy: bool,
    next: Instant,
    /// What came of the last try.
    said: Option<String>,
}

impl Tries {
    /// Takes the instance into hand for `due`, unless it is in hand, or was tried just now.
    pub(super) fn begin(&self, instance: &Instance, now: Instant) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = instance.due();
        let fresh = Try { due, epoch: instance.epoch, count: 0, busy: false, next: now, said: None };
        let entry = tries.entry(instance.id.clone()).or_insert_with(|| fresh.clone());
        // One hand at a time: a termination waits for the answer to the launch.
        if entry.busy {
            return false;
        }
        if entry.due != due || entry.epoch != instance.epoch {
            *entry = fresh;
        }
        if entry.next > now {
            return false;
        }
        entry.busy = true;
        true
    }

    /// Lets the instance go; it may be tried again after a pause.
    pub(super) fn end(&self, id: &str, said: &str, now: Instant) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = tries.get_mut(id) {
            let pause = FIRST_PAUSE.saturating_mul(1 << entry.count.min(10)).min(LONGEST_PAUSE);
            entry.busy = false;
            entry.count += 1;
            entry.next = now + pause;
            entry.said = Some(said.to_string());
        }
    }

    /// What came of the last try for an instance that is in hand.
    pub(crate) fn said(&self, id: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.said.clone()
    }

    /// Lets what is due of an instance be tried at once.
    pub fn hurry(&self, id: &str) {
        if let Some(entry) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(id) {
            entry.next = Instant::now();
        }
    }

    /// Forgets what is not due any more.
    pub(super) fn keep(&self, due: &[Instance]) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: std::collections::HashSet<&str> = due.iter().map(|instance| instance.id.as_str()).collect();
        tries.retain(|id, entry| entry.busy || ids.contains(id.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let tries = Tries::default();
        let mut now = Instant::now();
        let entry = Try { due: Due::Launch, epoch: 1, count: 0, busy: true, next: now, said: None };
        tries.0.lock().unwrap().insert("i-1".to_string(), entry);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            tries.end("i-1", "connection refused", now);
            let next = tries.0.lock().unwrap()["i-1"].next;
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
    }
}
