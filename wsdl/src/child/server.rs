//! The fork server and its children. One thread, no runtime, no locks: it receives a descriptor a
//! call, forks, watches deadlines and reaps. A child that ends without an answer has its end told
//! to the caller by the server, which keeps the call socket open until then.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use super::{ANSWER, CRASHED, KILLED, MESSAGE_LIMIT, frame};

/// Address space of a child, in bytes: several times what the largest message needs.
const CHILD_MEMORY: u64 = 1 << 30;

/// How a child ends that has no answer to give.
const UNPREPARED: i32 = 2;
const NO_JOB: i32 = 3;
const TOO_LONG: i32 = 4;
const PANICKED: i32 = 101;

/// A child at work.
struct Child {
    pid: Pid,
    /// Our copy of its call socket, to tell the caller of a bad end.
    socket: File,
    deadline: Instant,
    killed: bool,
}

/// Runs the server until the controller closes its end of `control`. Never returns.
pub(super) fn run(control: OwnedFd, controller: Pid, work: &dyn Fn(&[u8]) -> Vec<u8>) -> ! {
    let code = match serve(&control, controller, work) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("fork server: {error}");
            1
        }
    };
    exit_at_once(code)
}

fn serve(control: &OwnedFd, controller: Pid, work: &dyn Fn(&[u8]) -> Vec<u8>) -> nix::Result<()> {
    // Die with the controller even if it is killed; it may have died before this line.
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != controller {
        return Ok(());
    }
    set_name(c"ironbark-fork")?;
    // A terminal's Ctrl-C reaches the whole group: the controller decides when we end.
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE] {
        // SAFETY: no handler is installed, the signals are only ignored.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    child_ended.thread_block()?;
    let ended = SignalFd::with_flags(&child_ended, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;

    let mut children: Vec<Child> = Vec::new();
    loop {
        let mut waits =
            [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waits, until_next_deadline(&children)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let asked = waits[0].any().unwrap_or(false);
        while ended.read_signal()?.is_some() {}
        reap(&mut children);
        kill_overdue(&mut children);
        if asked {
            match receive(control)? {
                Asked::Call(socket, budget) => start(socket, budget, control, work, &mut children),
                Asked::Lost => eprintln!("fork server: a call came without its socket; too many are open"),
                Asked::Nothing => return Ok(()),
            }
        }
    }
}

fn until_next_deadline(children: &[Child]) -> PollTimeout {
    let next = children.iter().filter(|child| !child.killed).map(|child| child.deadline).min();
    match next {
        None => PollTimeout::NONE,
        // One millisecond more: poll rounds down, and must not spin before the deadline.
        Some(at) => {
            let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
        }
    }
}

/// What came from the controller.
enum Asked {
    /// A call: its socket and its budget.
    Call(File, Duration),
    /// A call whose socket had no room in our table of descriptors. Its caller finds the socket closed.
    Lost,
    /// The controller has gone.
    Nothing,
}

fn receive(control: &OwnedFd) -> nix::Result<Asked> {
    let mut millis = [0u8; 4];
    let mut data = [IoSliceMut::new(&mut millis)];
    let mut space = cmsg_space!(std::os::fd::RawFd);
    let message = recvmsg::<()>(control.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        return Ok(Asked::Nothing);
    }
    let mut socket = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
                socket = Some(unsafe { File::from_raw_fd(descriptor) });
            }
        }
    }
    let budget = Duration::from_millis(u64::from(u32::from_le_bytes(millis)));
    Ok(socket.map_or(Asked::Lost, |socket| Asked::Call(socket, budget)))
}

fn start(
    mut socket: File,
    budget: Duration,
    control: &OwnedFd,
    work: &dyn Fn(&[u8]) -> Vec<u8>,
    children: &mut Vec<Child>,
) {
    let server = getpid();
    // SAFETY: this process has one thread for all its life, so the child may run any code.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            // The child must not hold what belongs to the server and to other calls.
            children.clear();
            // SAFETY: the child never uses the control socket again; the server's copy is its own.
            drop(unsafe { OwnedFd::from_raw_fd(control.as_raw_fd()) });
            exit_at_once(perform(socket, server, work))
        }
        Ok(ForkResult::Parent { child }) => {
            children.push(Child { pid: child, socket, deadline: Instant::now() + budget, killed: false });
        }
        Err(error) => tell(&mut socket, CRASHED, &format!("no child could be forked: {error}")),
    }
}

/// A child's whole life: read the job to its end, do it, write the answer.
fn perform(mut socket: File, server: Pid, work: &dyn Fn(&[u8]) -> Vec<u8>) -> i32 {
    let prepared = set_pdeathsig(Signal::SIGKILL)
        .and_then(|()| SigSet::all().thread_unblock())
        .and_then(|()| setrlimit(Resource::RLIMIT_AS, CHILD_MEMORY, CHILD_MEMORY))
        .and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    // The server may have died before the first of these lines.
    if prepared.is_err() || getppid() != server {
        return UNPREPARED;
    }
    let limit = u64::try_from(MESSAGE_LIMIT).unwrap_or(u64::MAX);
    // A call's message as a rule: one read instead of ten.
    let mut job = Vec::with_capacity(16 * 1024);
    if (&mut socket).take(limit).read_to_end(&mut job).is_err() {
        return NO_JOB;
    }
    // A panic must not unwind into the server's own stack frames.
    let Ok(answer) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&job))) else {
        return PANICKED;
    };
    if answer.len() > MESSAGE_LIMIT {
        return TOO_LONG;
    }
    match socket.write_all(&frame(ANSWER, &answer)) {
        Ok(()) => 0,
        // The caller has gone; nobody is left to be told.
        Err(_) => 0,
    }
}

fn reap(children: &mut Vec<Child>) {
    loop {
        let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, 0)) => (pid, None),
            Ok(WaitStatus::Exited(pid, code)) => (pid, Some(exit(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Some(format!("it was ended by {signal}"))),
            Ok(_) | Err(_) => return,
        };
        let Some(at) = children.iter().position(|child| child.pid == pid) else { continue };
        let mut child = children.swap_remove(at);
        match end {
            None => {}
            Some(_) if child.killed => tell(&mut child.socket, KILLED, ""),
            Some(end) => tell(&mut child.socket, CRASHED, &end),
        }
    }
}

/// An exit code in words.
fn exit(code: i32) -> String {
    match code {
        UNPREPARED => "it could not limit itself".to_string(),
        NO_JOB => "it could not read its job".to_string(),
        TOO_LONG => format!("its answer was larger than {MESSAGE_LIMIT} bytes"),
        PANICKED => "it panicked".to_string(),
        code => format!("it exited with {code}"),
    }
}

fn kill_overdue(children: &mut [Child]) {
    let now = Instant::now();
    for child in children.iter_mut().filter(|child| !child.killed && child.deadline <= now) {
        child.killed = true;
        // It may have ended a moment ago; it is reaped either way.
        let _ = kill(child.pid, Signal::SIGKILL);
    }
}

/// Tells the caller how its child ended, without waiting: a child that was killed while it wrote may
/// have left the socket full, and then the caller finds that its answer breaks off. A caller that
/// has gone needs no word.
fn tell(socket: &mut File, tag: u8, text: &str) {
    if let Ok(flags) = fcntl(&*socket, FcntlArg::F_GETFL) {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
        let _ = fcntl(&*socket, FcntlArg::F_SETFL(flags));
    }
    drop(socket.write_all(&frame(tag, text.as_bytes())));
}

/// Ends the process without the controller's exit handlers, which are not ours to run.
fn exit_at_once(code: i32) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { nix::libc::_exit(code) }
}
