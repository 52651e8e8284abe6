//! The points at which a program can be killed and leave a difference: the system calls by which it changes what is
//! written or named in a file system, or tells another program something. A program that is started here can be killed
//! just before any of them, counted over all its threads and children, and needs no word about it.
//!
//! A seccomp filter that the program inherits hands these calls to us, and each waits until we let it go on
//! (seccomp_unotify(2)). fsync is none of them: what was written survives a kill without it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

nix::ioctl_readwrite!(receive, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(respond, b'!', 1, libc::seccomp_notif_resp);

/// Which of its arguments says what a call changes.
#[derive(Clone, Copy)]
enum What {
    /// A descriptor.
    Descriptor(usize),
    /// A descriptor, and bytes that begin at the next argument.
    Bytes,
    /// A descriptor, and pieces of bytes, listed at the next argument.
    Pieces,
    /// A path.
    Path(usize),
}

const CALLS: &[(libc::c_long, &str, What)] = &[
    (libc::SYS_write, "write", What::Bytes),
    (libc::SYS_pwrite64, "pwrite", What::Descriptor(0)),
    (libc::SYS_writev, "write", What::Pieces),
    (libc::SYS_sendto, "send", What::Bytes),
    (libc::SYS_sendmsg, "sendmsg", What::Descriptor(0)),
    (libc::SYS_ftruncate, "truncate", What::Descriptor(0)),
    (libc::SYS_fallocate, "allocate", What::Descriptor(0)),
    (libc::SYS_copy_file_range, "copy to", What::Descriptor(2)),
    (libc::SYS_sendfile, "copy to", What::Descriptor(0)),
    (libc::SYS_rename, "rename to", What::Path(1)),
    (libc::SYS_renameat, "rename to", What::Path(3)),
    (libc::SYS_renameat2, "rename to", What::Path(3)),
    (libc::SYS_link, "link", What::Path(1)),
    (libc::SYS_linkat, "link", What::Path(3)),
    (libc::SYS_unlink, "unlink", What::Path(0)),
    (libc::SYS_unlinkat, "unlink", What::Path(1)),
    (libc::SYS_mkdir, "mkdir", What::Path(0)),
    (libc::SYS_mkdirat, "mkdir", What::Path(1)),
    (libc::SYS_rmdir, "rmdir", What::Path(0)),
];

/// A program under watch, with everything it starts.
pub struct Points {
    watch: Arc<Watch>,
}

struct Watch {
    /// Files elsewhere (logs of libraries, caches of the machine) make no difference.
    directory: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    program: Option<Pid>,
    counting: bool,
    kill_at: Option<usize>,
    seen: Vec<String>,
    killed_at: Option<String>,
    /// No process of the program is left.
    ended: bool,
}

impl Points {
    /// Starts a program whose files are in `directory`.
    ///
    /// # Errors
    /// If it cannot be started, or the system has no such filters (Linux before 5.9, some containers).
    pub fn spawn(mut command: Command, directory: &Path) -> io::Result<(Child, Self)> {
        let watch = Watch { directory: directory.to_path_buf(), state: Mutex::default(), changed: Condvar::new() };
        let watch = Arc::new(watch);
        let (hand_over, listener) = mpsc::channel::<OwnedFd>();
        thread::spawn({
            let watch = watch.clone();
            move || listener.recv().map(|listener| watch.listen(&listener))
        });
        // A filter holds for a thread and for what that thread starts: this thread is there for nothing else.
        let starter = thread::spawn(move || {
            drop(hand_over.send(filter()?));
            command.spawn()
        });
        let child = starter.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")))?;
        watch.lock().program = Some(Pid::from_raw(i32::try_from(child.id()).expect("a process id fits")));
        Ok((child, Self { watch }))
    }

    /// Counts points from now on, beginning with 0, and kills the program just before the one numbered `kill_at`.
    pub fn arm(&self, kill_at: Option<usize>) {
        let mut state = self.watch.lock();
        state.seen.clear();
        state.kill_at = kill_at;
        state.counting = true;
    }

    /// Counts no more; the points since [`Points::arm`], in their order.
    pub fn disarm(&self) -> Vec<String> {
        let mut state = self.watch.lock();
        state.counting = false;
        std::mem::take(&mut state.seen)
    }

    /// Before which point the program was killed, if it was.
    pub fn killed_at(&self) -> Option<String> {
        self.watch.lock().killed_at.clone()
    }

    /// Waits until the program has ended and everything it started; false if something still runs after `deadline`.
    pub fn ended_within(&self, deadline: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.watch.lock();
        while !state.ended {
            let Some(left) = deadline.checked_sub(began.elapsed()) else { return false };
            state = self.watch.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// True if programs can be watched here; otherwise says so.
pub fn possible() -> bool {
    match Points::spawn(Command::new("true"), Path::new("/")) {
        Ok((mut child, _)) => child.wait().is_ok(),
        Err(error) => {
            eprintln!("SKIPPED: system calls cannot be watched here (seccomp): {error}");
            false
        }
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of calls until nobody is left who could make one.
    fn listen(&self, listener: &OwnedFd) {
        loop {
            let mut wait = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut wait, PollTimeout::NONE);
            if wait[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)) {
                break;
            }
            // SAFETY: the kernel wants it zeroed; every field is a number.
            let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: the descriptor is a listener and the structure the kernel's own.
            if unsafe { receive(listener.as_raw_fd(), &mut call) }.is_err() {
                continue; // its maker has died
            }
            self.hear(&call);
            let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            let mut answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: 0, flags };
            // SAFETY: as above. Whoever has died needs no answer.
            let _ = unsafe { respond(listener.as_raw_fd(), &mut answer) };
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn hear(&self, call: &libc::seccomp_notif) {
        if !self.lock().counting {
            return;
        }
        let Some(point) = self.point(call) else { return };
        let mut state = self.lock();
        if !state.counting {
            return;
        }
        if state.kill_at == Some(state.seen.len())
            && let Some(program) = state.program
        {
            state.counting = false;
            state.killed_at = Some(point.clone());
            let _ = kill(program, Signal::SIGKILL);
            // Nothing goes on before it is dead.
            let _ = waitid(Id::Pid(program), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        }
        state.seen.push(point);
        drop(state);
        self.changed.notify_all();
    }

    /// A call as a point, for people; `None` if it makes no difference to anybody else (pipes, event counters, logs).
    fn point(&self, call: &libc::seccomp_notif) -> Option<String> {
        let pid = Pid::from_raw(i32::try_from(call.pid).ok()?);
        let (_, name, what) = CALLS.iter().find(|(number, ..)| *number == libc::c_long::from(call.data.nr))?;
        let argument = |index: usize| call.data.args[index];
        let object = match *what {
            What::Path(index) => {
                let path = peek(pid, argument(index));
                let path = PathBuf::from(OsStr::from_bytes(path.split(|byte| *byte == 0).next()?));
                path.strip_prefix(&self.directory).unwrap_or(&path).display().to_string()
            }
            What::Descriptor(index) => self.changed_by(pid, argument(index))?,
            What::Bytes => format!("{}{}", self.changed_by(pid, argument(0))?, first_line(&peek(pid, argument(1)))),
            What::Pieces => {
                let first = peek(pid, argument(1)).first_chunk().map_or(0, |address| u64::from_ne_bytes(*address));
                format!("{}{}", self.changed_by(pid, argument(0))?, first_line(&peek(pid, first)))
            }
        };
        Some(format!("{name} {object}"))
    }

    /// What is behind a descriptor.
    fn changed_by(&self, pid: Pid, descriptor: u64) -> Option<String> {
        let target = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
        if target.as_os_str().as_bytes().starts_with(b"socket:") {
            return Some("socket".to_string());
        }
        let file = target.strip_prefix(&self.directory).ok()?;
        (file.extension() != Some(OsStr::new("log"))).then(|| file.display().to_string())
    }
}

/// The beginning of what a process has at an address.
fn peek(pid: Pid, address: u64) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    let base = usize::try_from(address).unwrap_or_default();
    // Not beyond the page, where there may be nothing.
    let length = bytes.len().min(4096 - base % 4096);
    let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[RemoteIoVec { base, len: length }]);
    bytes.truncate(read.unwrap_or_default());
    bytes
}

/// The beginning of a text, for people; nothing of other bytes.
fn first_line(bytes: &[u8]) -> String {
    let text = bytes.iter().take(60).take_while(|byte| byte.is_ascii_graphic() || **byte == b' ');
    let text: String = text.map(|byte| char::from(*byte)).collect();
    if text.len() < 8 { String::new() } else { format!(": {text}") }
}

/// Makes this thread, and what it starts from now on, ask before each of [`CALLS`]; gives where they ask.
fn filter() -> io::Result<OwnedFd> {
    let step = |code: u32, k: u32, jt: usize, jf: u8| libc::sock_filter {
        code: u16::try_from(code).expect("a code of the filter machine fits"),
        jt: u8::try_from(jt).expect("the list is short"),
        jf,
        k,
    };
    // The number of the call is the first of the data.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, (number, ..)) in CALLS.iter().enumerate() {
        let number = u32::try_from(*number).expect("numbers of calls are small");
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, CALLS.len() - index, 0));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    program.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0));
    let length = u16::try_from(program.len()).expect("the list is short");
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    set_no_new_privs()?;
    // SAFETY: `program` and what it points to live over the call, which returns a new descriptor or -1.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let listener =
        i32::try_from(listener).ok().filter(|listener| *listener >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}
