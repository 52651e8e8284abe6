//! What happened, in order: the digest that two runs of one seed must share, and for a person the lines themselves.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Lines kept for the end of a run that goes wrong.
const KEPT: usize = 60;

struct Log {
    time: Duration,
    digest: u64,
    count: u64,
    loud: bool,
    /// Where the files are: a name by chance, which is not the seed's.
    directory: String,
    last: std::collections::VecDeque<String>,
}

thread_local! {
    static LOG: RefCell<Log> = const {
        RefCell::new(Log {
            time: Duration::ZERO,
            digest: 0xcbf2_9ce4_8422_2325,
            count: 0,
            loud: false,
            directory: String::new(),
            last: std::collections::VecDeque::new(),
        })
    };
}

/// Begins; a loud one prints each line. No line names the directory of the files.
pub fn begin(loud: bool, directory: &Path) {
    LOG.with_borrow_mut(|log| (log.loud, log.directory) = (loud, format!("{}/", directory.display())));
}

/// The time of the lines that follow.
pub fn set_time(time: Duration) {
    LOG.with_borrow_mut(|log| log.time = time);
}

/// Takes a line down.
pub fn take_down(text: fmt::Arguments<'_>) {
    LOG.with_borrow_mut(|log| {
        let line = format!("{:9.3} {text}", log.time.as_secs_f64()).replace(&log.directory, "");
        // FNV-1a: enough to tell two runs apart.
        for byte in line.bytes() {
            log.digest = (log.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        log.count += 1;
        if log.loud {
            eprintln!("{line}");
        }
        if log.last.len() == KEPT {
            log.last.pop_front();
        }
        log.last.push_back(line);
    });
}

/// The digest so far, and the number of lines.
pub fn digest() -> (u64, u64) {
    LOG.with_borrow(|log| (log.digest, log.count))
}

/// The last lines, unless they were printed already.
pub fn last_words() -> String {
    LOG.with_borrow(|log| match log.loud {
        true => String::new(),
        false => log.last.iter().map(|line| format!("{line}\n")).collect(),
    })
}

/// Takes a line down, formatted.
macro_rules! note {
    ($($text:tt)*) => { $crate::log::take_down(format_args!($($text)*)) };
}
pub(crate) use note;
