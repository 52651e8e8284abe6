//! What this program is when it is a part of the measured cloud. A part says on its output where it listens, answers
//! the lines of its input, and ends with it.

mod cc;
mod clc;
mod forward;
mod nc;

pub use cc::PATH as CC_PATH;

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tokio::sync::oneshot;

/// Plays a role until the input ends.
///
/// # Errors
/// Why it cannot, or that there is no such role.
pub fn play(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["nc", directory] => nc::run(Path::new(directory)),
        ["cc", directory, isolation, signatures, listen, node] => {
            cc::run(Path::new(directory), isolation, signatures == "signed", listen, node)
        }
        ["clc", directory] => clc::run(Path::new(directory)),
        ["forward"] => forward::run(None),
        ["forward", next] => forward::run(Some(next)),
        _ => bail!("there is no part {words:?}"),
    }
}

/// A runtime as the tiers' own programs have it.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")
}

/// Says a line to whoever started us.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody hears it who has gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Answers the lines of the input; resolves at their end.
fn told(answer: impl Fn(&str) -> String + Send + 'static) -> impl Future<Output = ()> {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            say(&answer(&line));
        }
        drop(end);
    });
    async move { drop(ended.await) }
}
