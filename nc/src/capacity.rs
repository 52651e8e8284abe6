//! What a node offers and what is left of it: arithmetic over the records, one unit each (memory
//! MiB, disk GiB). Knows no clock, no hypervisor and no wire.

use crate::state::{Record, Size};

/// An amount of what a node has: all of it, a part in use, or what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// MiB.
    pub memory_mb: u64,
    /// Virtual processors.
    pub cores: u64,
    /// GiB.
    pub disk_gb: u64,
}

impl Amount {
    /// What a size needs while it runs.
    pub fn of(size: &Size) -> Self {
        Self { memory_mb: size.memory_mb, cores: u64::from(size.cores), disk_gb: size.disk_gb }
    }

    /// What is left of `self` when `used` is taken; never below nothing.
    pub fn less(self, used: Self) -> Self {
        Self {
            memory_mb: self.memory_mb.saturating_sub(used.memory_mb),
            cores: self.cores.saturating_sub(used.cores),
            disk_gb: self.disk_gb.saturating_sub(used.disk_gb),
        }
    }

    fn add(&mut self, other: Self) {
        self.memory_mb = self.memory_mb.saturating_add(other.memory_mb);
        self.cores = self.cores.saturating_add(other.cores);
        self.disk_gb = self.disk_gb.saturating_add(other.disk_gb);
    }
}

/// What is offered of `found`, by a factor of `[overcommit]`.
pub fn by_factor(found: u64, factor: f64) -> u64 {
    // Rounded down, and far from what a float cannot tell apart: no machine has 2^53 of anything.
    (found as f64 * factor) as u64
}

/// What instances hold: memory and cores while they may run, disk until their files are removed.
pub fn used<'a>(records: impl IntoIterator<Item = &'a Record>) -> Amount {
    let mut sum = Amount::default();
    for record in records {
        let whole = Amount::of(&record.order.size);
        if record.state.holds_memory() {
            sum.add(whole);
        } else if !record.state.is_final() {
            sum.add(Amount { disk_gb: whole.disk_gb, ..Amount::default() });
        }
    }
    sum
}

/// Whether `wanted` fits into what is left.
///
/// # Errors
/// A sentence with the numbers of everything that is short.
pub fn check(limits: Amount, used: Amount, wanted: Amount) -> Result<(), String> {
    let left = limits.less(used);
    let mut short = Vec::new();
    for (name, wanted, left, limit) in [
        ("MB of memory", wanted.memory_mb, left.memory_mb, limits.memory_mb),
        ("cores", wanted.cores, left.cores, limits.cores),
        ("GB of disk", wanted.disk_gb, left.disk_gb, limits.disk_gb),
    ] {
        if wanted > left {
            short.push(format!("{name}: {wanted} wanted, {left} of {limit} free"));
        }
    }
    if short.is_empty() { Ok(()) } else { Err(format!("not enough room on this node: {}", short.join("; "))) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::lifecycle::{State, Why};
    use crate::state::tests::an_order;

    const LIMITS: Amount = Amount { memory_mb: 300, cores: 2, disk_gb: 10 };

    fn record(state: State) -> Record {
        Record::new("i-00000001".parse().unwrap(), an_order(), state, Timestamp::now())
    }

    #[test]
    fn a_stopped_instance_holds_its_disk_only_and_a_gone_one_nothing() {
        let records = [record(State::Running), record(State::Stopped(Why::Obeyed)), record(State::Terminated)];
        assert_eq!(used(&records), Amount { memory_mb: 128, cores: 1, disk_gb: 2 });
    }

    #[test]
    fn a_refusal_has_all_the_numbers() {
        let used = Amount { memory_mb: 200, cores: 2, disk_gb: 1 };
        let wanted = Amount { memory_mb: 128, cores: 1, disk_gb: 9 };
        let reason = check(LIMITS, used, wanted).unwrap_err();
        assert!(reason.contains("MB of memory: 128 wanted, 100 of 300 free"), "{reason}");
        assert!(reason.contains("cores: 1 wanted, 0 of 2 free"), "{reason}");
        assert!(!reason.contains("disk"), "{reason}");
        assert!(check(LIMITS, Amount::default(), wanted).is_ok());
    }

    #[test]
    fn a_factor_gives_more_than_there_is_or_less() {
        assert_eq!(
            (by_factor(8, 4.0), by_factor(16_000, 0.9), by_factor(3, 1.5), by_factor(7, 1.0)),
            (32, 14_400, 4, 7)
        );
    }

    #[test]
    fn more_used_than_there_is_leaves_nothing() {
        let used = Amount { memory_mb: 999, cores: 9, disk_gb: 99 };
        assert_eq!(LIMITS.less(used), Amount::default());
    }
}
