//! How a process that belongs to the benchmark talks with the one that started it: lines on standard output, and
//! lines on standard input, with whose end it ends.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;

/// Says a line to whoever started us.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody hears it who has gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Answers the lines of the input; resolves at their end.
pub fn told(answer: impl Fn(&str) -> String + Send + 'static) -> impl Future<Output = ()> {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            say(&answer(&line));
        }
        drop(end);
    });
    async move { drop(ended.await) }
}

/// Does `work` as often as each line of the input says, and answers with the seconds that took. Says `ready` when it
/// has done it once, for what is made at the first use.
///
/// # Errors
/// The work's first, or a line that is no number.
pub fn repeat(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    work()?;
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let times: usize = line?.parse().context("how often")?;
        let began = Instant::now();
        for _ in 0..times {
            work()?;
        }
        say(&began.elapsed().as_secs_f64().to_string());
    }
    Ok(())
}
