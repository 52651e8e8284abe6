//! The disks of the hosts: each piece of work on one takes its time, its host can be made to die at it, and a disk can
//! be full or broken for a while. That is done where all writing passes, at libc's calls, which are ours here as its clock
//! is (`chance`): on the thread of a simulation they fail as the seed wants, for the host that runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{pending, ready};

use ironbark_wsdl::blocking::Turn;
use ironbark_wsdl::service::BoxFuture;
use nix::errno::Errno;
use nix::libc;
use tokio::time::sleep;

use crate::chance::Dice;

/// A death at a piece of work on a host's disk.
#[derive(Clone, Debug)]
pub struct Doom {
    /// Whose.
    pub host: String,
    /// How many pieces are done before.
    pub after: usize,
    /// Whether this one is done, too.
    pub turn: Turn,
}

struct Disks {
    /// Whose turn it is.
    host: String,
    dice: Dice,
    doom: Option<Doom>,
    /// Why the host that runs has died, if it has.
    dead: Option<String>,
    /// Hosts whose writes fail, and how many in a thousand.
    failing: BTreeMap<String, usize>,
}

thread_local! {
    static DISKS: RefCell<Disks> = const {
        RefCell::new(Disks {
            host: String::new(),
            dice: Dice::none(),
            doom: None,
            dead: None,
            failing: BTreeMap::new(),
        })
    };
}

/// The disks of this thread's hosts from now on.
pub fn begin(seed: u64) {
    DISKS.with_borrow_mut(|disks| disks.dice = Dice::of(seed, "disk"));
}

/// It is this host's turn.
pub fn host_runs(host: &str) {
    DISKS.with_borrow_mut(|disks| disks.host = host.to_string());
}

/// A host is to die at its disk; of several the last counts.
pub fn doom(doom: Option<Doom>) {
    DISKS.with_borrow_mut(|disks| disks.doom = doom);
}

/// So many in a thousand of a host's writes fail from now on.
pub fn fail(host: &str, permille: usize) {
    DISKS.with_borrow_mut(|disks| match permille {
        0 => drop(disks.failing.remove(host)),
        _ => drop(disks.failing.insert(host.to_string(), permille)),
    });
}

/// All disks are good again.
pub fn mend_all() {
    DISKS.with_borrow_mut(|disks| disks.failing.clear());
}

/// Why the host that runs has died, if it has; told once.
pub fn struck() -> Option<String> {
    DISKS.with_borrow_mut(|disks| disks.dead.take())
}

/// What a program cannot start without. If its disk fails it ends, as its `main` does then.
pub async fn needed<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    let error = match result {
        Ok(value) => return value,
        Err(error) => error,
    };
    DISKS.with_borrow_mut(|disks| {
        assert!(disks.failing.contains_key(&disks.host), "{} does not start: {error}", disks.host);
        disks.dead = Some(format!("it does not start: {error}"));
    });
    pending().await
}

/// The turn of a piece of work on the disk of the host that runs.
pub fn turn(turn: Turn) -> BoxFuture<'static, ()> {
    DISKS.with_borrow_mut(|disks| -> BoxFuture<'static, ()> {
        if disks.dead.is_some() {
            return Box::pin(pending());
        }
        if let Some(doom) = disks.doom.as_mut().filter(|doom| doom.host == disks.host && doom.turn == turn) {
            if doom.after == 0 {
                disks.doom = None;
                disks.dead = Some(format!("at its disk, {turn:?}"));
                return Box::pin(pending());
            }
            doom.after -= 1;
        }
        let slow = disks.dice.chance(10);
        let wait = if slow { disks.dice.ms(50..800) } else { disks.dice.ms(0..8) };
        match turn {
            Turn::Begin => Box::pin(sleep(wait)),
            Turn::End => Box::pin(ready(())),
        }
    })
}

/// How a write fails that is made now, if it does; false on the threads of no simulation.
fn fails(how: &[Errno]) -> bool {
    let failed = DISKS.try_with(|disks| {
        let Ok(mut disks) = disks.try_borrow_mut() else { return false };
        let Some(permille) = disks.failing.get(&disks.host).copied() else { return false };
        let fails = disks.dice.chance(permille);
        if fails {
            disks.dice.pick(how).set();
        }
        fails
    });
    failed.unwrap_or(false)
}

/// libc's, by which SQLite writes, and Rust's standard library whole files.
///
/// # Safety
/// As write(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: libc::c_int, buffer: *const libc::c_void, length: usize) -> isize {
    if fd > libc::STDERR_FILENO && fails(&[Errno::ENOSPC, Errno::EIO]) {
        return -1;
    }
    // SAFETY: the arguments are those of a caller of write(2), passed on to it.
    unsafe { libc::syscall(libc::SYS_write, fd, buffer, length) as isize }
}

/// libc's, by which the ledgers are written.
///
/// # Safety
/// As pwrite(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    fd: libc::c_int,
    buffer: *const libc::c_void,
    length: usize,
    at: libc::off64_t,
) -> isize {
    if fails(&[Errno::ENOSPC, Errno::EIO]) {
        return -1;
    }
    // SAFETY: the arguments are those of a caller of pwrite(2), passed on to it.
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, length, at) as isize }
}

/// libc's: what was written may be there after it has failed, or not.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: libc::c_int) -> libc::c_int {
    if fails(&[Errno::EIO]) {
        return -1;
    }
    // SAFETY: takes no memory.
    unsafe { libc::syscall(libc::SYS_fsync, fd) as libc::c_int }
}

/// libc's, as [`fsync`].
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: libc::c_int) -> libc::c_int {
    if fails(&[Errno::EIO]) {
        return -1;
    }
    // SAFETY: takes no memory.
    unsafe { libc::syscall(libc::SYS_fdatasync, fd) as libc::c_int }
}
