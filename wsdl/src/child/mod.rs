//! Isolation by fork: every call runs in a child process of its own, made by a small fork server
//! that was itself forked before this process had any thread. A crash, a hang or a memory bomb
//! ends that child and nothing else. This file is the parent's side; it knows bytes only.
//!
//! ```text
//!  controller (threads) --control socket: one descriptor a call--> fork server (one thread)
//!        ^                                                              | fork, one child a call
//!        +------------- call socket: job bytes, answer frame ---------- child
//! ```
//!
//! After threads exist a forked child may only run async-signal-safe code (POSIX fork(2)), hence
//! the server: its children come from a process that never had a second thread.

mod server;

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::unistd::{ForkResult, Pid, fork, getpid};
use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The largest job or answer, in bytes.
pub const MESSAGE_LIMIT: usize = 32 * 1024 * 1024;

/// An answer came whole.
const ANSWER: u8 = b'A';
/// The child ended without an answer; the text says how.
const CRASHED: u8 = b'C';
/// The child was killed at its deadline.
const KILLED: u8 = b'K';
/// Tag and length before a frame's payload.
const FRAME_HEAD: usize = 5;

/// How an isolated job can fail.
#[derive(Debug, Error)]
pub enum ChildError {
    /// The child was killed at its deadline: whatever it had begun may have been done.
    #[error("killed at its deadline of {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The child ended without an answer: whatever it had begun may have been done.
    #[error("the isolated call crashed: {0}")]
    Crashed(String),
    /// No child was made: nothing was done.
    #[error("the fork server cannot be used, restart this controller: {0}")]
    NoServer(#[source] io::Error),
}

/// The way to the fork server. Dropping it ends the server and the children at work.
#[derive(Debug)]
pub struct ForkServer {
    control: OwnedFd,
    pid: Pid,
}

impl ForkServer {
    /// Forks the server. `work` is what each child does with its job's bytes; it runs in a
    /// process with one thread and may do anything, start a runtime included.
    ///
    /// # Errors
    /// If this process has more than one thread already, or the system refuses.
    pub fn start(work: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")?.count();
        if threads != 1 {
            return Err(io::Error::other(format!(
                "the fork server must be started before any thread; there are {threads}"
            )));
        }
        let controller = getpid();
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        // SAFETY: there is one thread (checked above), so the child may run any code.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(ours);
                server::run(theirs, controller, &work)
            }
            ForkResult::Parent { child } => Ok(Self { control: ours, pid: child }),
        }
    }

    /// The server's process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Makes the server usable within a tokio runtime.
    ///
    /// # Errors
    /// If there is no runtime, or its reactor refuses the socket.
    pub fn into_async(self) -> io::Result<Isolation> {
        let flags =
            nix::fcntl::OFlag::from_bits_retain(nix::fcntl::fcntl(&self.control, nix::fcntl::FcntlArg::F_GETFL)?);
        nix::fcntl::fcntl(&self.control, nix::fcntl::FcntlArg::F_SETFL(flags | nix::fcntl::OFlag::O_NONBLOCK))?;
        // SAFETY: the OwnedFd is the socket's only owner, and answers as_raw_fd with it for life.
        let control = unsafe { AsyncFd::register(self.control) }?;
        Ok(Isolation { control, pid: self.pid })
    }
}

/// A running fork server, as asynchronous code uses it.
#[derive(Debug)]
pub struct Isolation {
    control: AsyncFd<OwnedFd>,
    pid: Pid,
}

impl Isolation {
    /// The server's process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Resolves when the fork server has died. The controller should then end, so that whatever
    /// supervises it starts it anew: a process with threads cannot fork another server.
    pub async fn died(&self) {
        // The server never writes here: readable means end of file.
        if let Ok(guard) = self.control.readable().await {
            drop(guard);
        }
    }

    /// Runs one job in a child of its own and brings back its answer, within `budget`.
    ///
    /// # Errors
    /// As [`ChildError`] says.
    pub async fn run(&self, job: &[u8], budget: Duration) -> Result<Vec<u8>, ChildError> {
        let began = Instant::now();
        let (ours, theirs) = StdUnixStream::pair().map_err(ChildError::NoServer)?;
        self.hand_over(&theirs, budget).await.map_err(ChildError::NoServer)?;
        drop(theirs);
        // The child is killed at `budget`; a little later even a dead fork server is noticed.
        let patience = budget + Duration::from_secs(1);
        match tokio::time::timeout(patience, converse(ours, job)).await {
            Ok(Ok((ANSWER, payload))) => Ok(payload),
            Ok(Ok((KILLED, _))) => Err(ChildError::Deadline(began.elapsed())),
            Ok(Ok((_, how))) => Err(ChildError::Crashed(String::from_utf8_lossy(&how).into_owned())),
            // Killed while it wrote its answer: nothing can be told behind half of one.
            Ok(Err(_)) if began.elapsed() >= budget => Err(ChildError::Deadline(began.elapsed())),
            Ok(Err(error)) => Err(ChildError::Crashed(format!("its answer broke off: {error}"))),
            Err(_) => Err(ChildError::Deadline(began.elapsed())),
        }
    }

    /// Sends the child's end of the call socket to the server, with the deadline.
    async fn hand_over(&self, theirs: &StdUnixStream, budget: Duration) -> io::Result<()> {
        let millis = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX).to_le_bytes();
        let descriptors = [theirs.as_raw_fd()];
        self.control
            .async_io(Interest::WRITABLE, |control| {
                let data = [IoSlice::new(&millis)];
                let rights = [ControlMessage::ScmRights(&descriptors)];
                sendmsg::<()>(control.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
                Ok(())
            })
            .await
    }
}

/// Writes the job, closes the writing side, reads one frame: its tag and payload.
async fn converse(socket: StdUnixStream, job: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    socket.set_nonblocking(true)?;
    let mut socket = UnixStream::from_std(socket)?;
    // A child that died early closes its end: what it said before is still worth reading.
    let written = async {
        socket.write_all(job).await?;
        socket.shutdown().await
    };
    match written.await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error),
    }
    let mut head = [0u8; FRAME_HEAD];
    socket.read_exact(&mut head).await?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_LIMIT);
    let length = length.ok_or_else(|| io::Error::other(format!("its answer is larger than {MESSAGE_LIMIT} bytes")))?;
    let mut payload = vec![0u8; length];
    socket.read_exact(&mut payload).await?;
    Ok((head[0], payload))
}

fn frame(tag: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(FRAME_HEAD + payload.len());
    frame.push(tag);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}
