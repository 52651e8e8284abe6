//! What this program is when it is a part of the measured cloud. The node is a program of its own: `benches/node`.

mod cc;
mod clc;
mod forward;
mod nodes;
mod probe;

pub use cc::PATH as CC_PATH;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Plays a role until the input ends.
///
/// # Errors
/// Why it cannot, or that there is no such role.
pub fn play(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["cc", directory, isolation, signatures, listen, node] => {
            cc::run(Path::new(directory), isolation, signatures == "signed", listen, node)
        }
        ["refresh", directory, isolation, nodes, count] => cc::refresh(Path::new(directory), isolation, nodes, count),
        ["nodes", directory, count] => nodes::run(Path::new(directory), count),
        ["probe", what, directory] => probe::run(what, Path::new(directory)),
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

/// As many descriptors as the system lets us have, for thousands of connections.
fn allow_many_connections() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("more descriptors")
}
