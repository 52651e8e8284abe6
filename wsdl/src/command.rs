//! Running external programs: the one way any tier starts one. Every run is bounded in time and in
//! output, dies with its whole process group when the caller stops waiting, and is named in its errors.
//! Arguments appear in errors and in the process list, so no secret may be one: secrets go in by
//! [`Command::input`] or by a file. Knows nothing of what the programs do.

use std::ffi::{OsStr, OsString};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::blocking::{self, Simulation};

/// How long a program may take unless [`Command::timeout`] says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// How many bytes a program may print unless [`Command::output_limit`] says otherwise.
const DEFAULT_OUTPUT: usize = 1 << 20;
/// How much of a program's complaint is kept for the error.
const STDERR_KEPT: usize = 4096;
/// How much of a command line an error repeats.
const LINE_SHOWN: usize = 200;

/// One run of one program.
#[derive(Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    input: Vec<u8>,
    timeout: Duration,
    output_limit: usize,
    limits: Option<Limits>,
}

/// What the kernel holds a program to, for programs that read bytes we do not trust.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space, in bytes.
    pub memory: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
    /// Largest file it may write, in bytes.
    pub file_size: u64,
}

/// What a program printed. It exited with status 0.
#[derive(Debug)]
pub struct Output {
    /// Standard output, complete.
    pub stdout: Vec<u8>,
    /// Standard error, its first 4096 bytes.
    pub stderr: String,
}

/// Why a program gave no result. Each names the command line.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not installed.
    #[error("`{line}`: the program is not installed or not in PATH; install the package that has it")]
    Missing {
        /// The command line.
        line: String,
    },
    /// The program could not be started or talked to.
    #[error("`{line}`: could not be run")]
    Start {
        /// The command line.
        line: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ran to its end and reported failure.
    #[error("`{line}`: {status}{}{complaint}", if complaint.is_empty() { "" } else { ": " })]
    Failed {
        /// The command line.
        line: String,
        /// Exit status or signal.
        status: std::process::ExitStatus,
        /// What it said on standard error, trimmed.
        complaint: String,
    },
    /// It took too long and was killed. What it did until then is unknown.
    #[error("`{line}`: killed, not finished after {after:?}")]
    TimedOut {
        /// The command line.
        line: String,
        /// Its time limit.
        after: Duration,
    },
    /// It printed too much and was killed.
    #[error("`{line}`: killed, it printed more than {limit} bytes")]
    TooMuchOutput {
        /// The command line.
        line: String,
        /// Its output limit, in bytes.
        limit: usize,
    },
}

impl Command {
    /// A run of `program` (a name looked up in PATH, or a path) with no arguments, empty standard input, one minute
    /// and one mebibyte of output.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            input: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            output_limit: DEFAULT_OUTPUT,
            limits: None,
        }
    }

    /// Adds one argument. Never a secret: see the module's head.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments. Never a secret: see the module's head.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What the program reads from standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many bytes it may print on standard output.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Resource limits, set in the child before the program starts.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Runs the program and waits for its end. Dropping the future kills the program and its children.
    ///
    /// # Errors
    /// Every way of not exiting with status 0 within the limits: see [`CommandError`].
    pub async fn run(self) -> Result<Output, CommandError> {
        let line = self.line();
        let timeout = self.timeout;
        if let Some(simulation) = blocking::simulation() {
            return self.play(simulation, line).await;
        }
        match tokio::time::timeout(timeout, self.run_unlimited(&line)).await {
            Ok(result) => result,
            Err(_) => Err(CommandError::TimedOut { line, after: timeout }),
        }
    }

    /// As the simulation plays it, which prints nothing.
    async fn play(self, simulation: Simulation, line: String) -> Result<Output, CommandError> {
        let played = blocking::spawn(move || (simulation.program)(&self.program, &self.args)).await;
        match played.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => Ok(Output { stdout: Vec::new(), stderr: String::new() }),
            Err(source) => Err(CommandError::Start { line, source }),
        }
    }

    async fn run_unlimited(self, line: &str) -> Result<Output, CommandError> {
        let start_error = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => CommandError::Missing { line: line.to_owned() },
            _ => CommandError::Start { line: line.to_owned(), source },
        };
        let mut child = self.prepare().spawn().map_err(start_error)?;
        let mut group = Group::of(&child);
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");

        let feed = async {
            // A program that does not read its input closes the pipe: its own matter, not ours.
            let _ = stdin.write_all(&self.input).await;
            drop(stdin);
            Ok::<_, CommandError>(())
        };
        let listen = async {
            read_within(stdout, self.output_limit)
                .await
                .map_err(start_error)?
                .ok_or_else(|| CommandError::TooMuchOutput { line: line.to_owned(), limit: self.output_limit })
        };
        let complain = async { read_head(stderr, STDERR_KEPT).await.map_err(start_error) };
        let ((), stdout, stderr) = tokio::try_join!(feed, listen, complain)?;
        let status = child.wait().await.map_err(start_error)?;
        group.ended();

        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        if status.success() {
            Ok(Output { stdout, stderr })
        } else {
            Err(CommandError::Failed { line: line.to_owned(), status, complaint: stderr.trim().to_owned() })
        }
    }

    fn prepare(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the programs it starts end with it.
            .process_group(0)
            .kill_on_drop(true)
            .env_clear()
            .env("PATH", search_path())
            .env("LC_ALL", "C");
        if let Some(limits) = self.limits {
            // SAFETY: between fork and exec only setrlimit(2) is called, which is async-signal-safe and allocates nothing.
            unsafe { command.pre_exec(move || limits.apply()) };
        }
        command
    }

    fn line(&self) -> String {
        let mut line = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        if let Some((cut, _)) = line.char_indices().nth(LINE_SHOWN) {
            line.truncate(cut);
            line.push_str("...");
        }
        line
    }
}

impl Limits {
    fn apply(self) -> std::io::Result<()> {
        for (resource, limit) in [
            (Resource::RLIMIT_AS, self.memory),
            (Resource::RLIMIT_CPU, self.cpu_seconds),
            (Resource::RLIMIT_FSIZE, self.file_size),
            (Resource::RLIMIT_CORE, 0),
        ] {
            setrlimit(resource, limit, limit)?;
        }
        Ok(())
    }
}

/// A child's process group; killed on drop unless the child ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails only when the whole group is gone already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// The caller's PATH with the directories of system programs, which a plain user's PATH lacks on Debian.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Reads to the end; `None` when there is more than `limit`.
async fn read_within(from: impl AsyncRead + Unpin, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes).await?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// Reads to the end and keeps the first `limit` bytes.
async fn read_head(mut from: impl AsyncRead + Unpin, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    (&mut from).take(limit as u64).read_to_end(&mut head).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("sh").arg("-c").arg(script)
    }

    #[tokio::test]
    async fn gives_what_the_program_printed() {
        let output = shell("cat; echo oops >&2").input("hello").run().await.unwrap();
        assert_eq!(output.stdout, b"hello");
        assert_eq!(output.stderr, "oops\n");
    }

    #[tokio::test]
    async fn failure_names_the_command_and_its_complaint() {
        let error = shell("echo no such thing >&2; exit 3").run().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("no such thing") && text.contains('3'), "{text}");
    }

    #[tokio::test]
    async fn a_missing_program_is_told_apart() {
        let error = Command::new("no-such-program-here").run().await.unwrap_err();
        assert!(matches!(error, CommandError::Missing { .. }), "{error}");
    }

    #[tokio::test]
    async fn too_much_output_ends_the_run() {
        let error = Command::new("yes").output_limit(1000).run().await.unwrap_err();
        assert!(matches!(error, CommandError::TooMuchOutput { limit: 1000, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_run_out_of_time_ends_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        // The grandchild holds the pipe open after its parent has gone.
        let script = format!("sleep 60 & echo $! > {}; wait", pids.display());
        let error = shell(&script).timeout(Duration::from_millis(300)).run().await.unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        let pid: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        assert!(gone_within(pid, Duration::from_secs(5)), "process {pid} is still there");
    }

    #[tokio::test]
    async fn limits_hold() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let limits = Limits { memory: 1 << 30, cpu_seconds: 5, file_size: 1024 };
        let error = Command::new("dd")
            .arg("if=/dev/zero")
            .arg(format!("of={}", file.display()))
            .args(["bs=4096", "count=1"])
            .limits(limits)
            .run()
            .await
            .unwrap_err();
        assert!(matches!(error, CommandError::Failed { .. }), "{error}");
        assert!(std::fs::metadata(&file).unwrap().len() <= 1024);
    }

    /// Whether the process ends (or is a zombie that nobody has collected) within the time.
    fn gone_within(pid: i32, limit: Duration) -> bool {
        let start = std::time::Instant::now();
        while start.elapsed() < limit {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Err(_) => return true,
                Ok(stat) if stat.contains(") Z ") => return true,
                Ok(_) => std::thread::yield_now(),
            }
        }
        false
    }
}
