//! One thing again and again in a process of its own: what forking and the disk cost by themselves.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ironbark_tests::talk::repeat;
use ironbark_wsdl::child::ForkServer;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use super::runtime;

/// About what an isolated call's job has, or an instance's record.
const BYTES: usize = 4096;

/// Does it as often as it is told, until the input ends.
pub fn run(what: &str, directory: &Path) -> Result<()> {
    match what {
        "fork" => repeat(fork_and_wait),
        "fork-server" => repeat(fork_server()?),
        "disk" => repeat(disk(directory)?),
        _ => bail!("there is no probe {what}"),
    }
}

/// A child that ends at once, from a process that has one thread and has done nothing yet.
fn fork_and_wait() -> Result<()> {
    // SAFETY: this process has one thread, and the child only ends.
    match unsafe { fork() }? {
        // SAFETY: _exit takes any number and does not return.
        ForkResult::Child => unsafe { nix::libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None).map(drop).context("the child"),
    }
}

/// A job through the CC's fork server whose child only sends it back.
fn fork_server() -> Result<impl FnMut() -> Result<()>> {
    let server = ForkServer::start(<[u8]>::to_vec)?;
    let runtime = runtime()?;
    let isolation = runtime.block_on(async { server.into_async() })?;
    let job = vec![b'x'; BYTES];
    Ok(move || {
        let answer = runtime.block_on(isolation.run(&job, Duration::from_secs(5)))?;
        if answer == job { Ok(()) } else { bail!("the child sent something else back") }
    })
}

/// An append that is on the disk before it is over.
fn disk(directory: &Path) -> Result<impl FnMut() -> Result<()>> {
    let mut file = File::options().create(true).append(true).open(directory.join("probe")).context("a file")?;
    let block = vec![b'x'; BYTES];
    Ok(move || {
        file.write_all(&block)?;
        file.sync_data().context("the disk")
    })
}
