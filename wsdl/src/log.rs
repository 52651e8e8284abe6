//! How every tier writes its log: one line an event to standard error, with the request id.

use tracing_subscriber::EnvFilter;

/// Starts logging. `IRONBARK_LOG=json` writes JSON lines; the level is taken from `RUST_LOG`,
/// else `info`. Call once, at start; a second call does nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // yaserde's debug lines have whole messages in them, keys and user data included.
    let filter = filter.add_directive("yaserde=off".parse().expect("a constant directive"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    let json = std::env::var("IRONBARK_LOG").is_ok_and(|form| form == "json");
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    // Err means that logging was started before: tests start several tiers in one process.
    drop(started);
}
