//! Remembers what was accepted until it would be too old anyway. Bounded: when it is full of what
//! must not be forgotten it says so, and nothing new is accepted.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

/// What a message is remembered by.
pub type Key = [u8; 32];

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was not known, and now it is.
    New,
    /// It was known.
    Before,
    /// Not known, and there is no room to remember it.
    Full,
}

/// The store. About 100 bytes per message that is still young enough to be replayed.
#[derive(Debug)]
pub struct Replay {
    capacity: usize,
    seen: HashSet<Key>,
    by_age: BTreeSet<(Timestamp, Key)>,
}

impl Replay {
    /// A store for so many messages.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, seen: HashSet::new(), by_age: BTreeSet::new() }
    }

    /// Remembers `key` until `expires`, unless it is known or there is no room.
    pub fn check(&mut self, key: Key, expires: Timestamp, now: Timestamp) -> Seen {
        while let Some((oldest, key)) = self.by_age.first().copied().filter(|(oldest, _)| *oldest <= now) {
            self.by_age.remove(&(oldest, key));
            self.seen.remove(&key);
        }
        if self.seen.contains(&key) {
            return Seen::Before;
        }
        if self.seen.len() >= self.capacity {
            return Seen::Full;
        }
        self.seen.insert(key);
        self.by_age.insert((expires, key));
        Seen::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a second of 1970")
    }

    #[test]
    fn known_until_it_expires() {
        let mut replay = Replay::new(10);
        assert_eq!(replay.check([1; 32], at(300), at(0)), Seen::New);
        assert_eq!(replay.check([1; 32], at(300), at(299)), Seen::Before);
        assert_eq!(replay.check([1; 32], at(600), at(300)), Seen::New);
        assert_eq!(replay.seen.len(), 1);
    }

    #[test]
    fn a_full_store_refuses_and_forgets_nothing() {
        let mut replay = Replay::new(2);
        assert_eq!(replay.check([1; 32], at(100), at(0)), Seen::New);
        assert_eq!(replay.check([2; 32], at(200), at(0)), Seen::New);
        assert_eq!(replay.check([3; 32], at(300), at(50)), Seen::Full);
        assert_eq!(replay.check([1; 32], at(100), at(50)), Seen::Before);
        assert_eq!(replay.check([3; 32], at(300), at(100)), Seen::New);
        assert_eq!(replay.check([2; 32], at(200), at(199)), Seen::Before);
    }
}
