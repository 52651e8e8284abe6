//! How every tier writes its log: one line an event to standard error, with the request id. The
//! latest lines that bear one are also kept in memory, to be asked for (`kept`).

mod kept;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use kept::{Line, lines_of};

/// Starts logging. `IRONBARK_LOG=json` writes JSON lines; the level is taken from `RUST_LOG`,
/// else `info`. Call once, at start; a second call does nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // yaserde's debug lines have whole messages in them, keys and user data included.
    let filter = filter.add_directive("yaserde=off".parse().expect("a constant directive"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let json = std::env::var("IRONBARK_LOG").is_ok_and(|form| form == "json");
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    let started = tracing_subscriber::registry().with(filter).with(lines).with(kept::Keep).try_init();
    // Err means that logging was started before: tests start several tiers in one process.
    drop(started);
}
