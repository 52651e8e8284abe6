//! One program of the cloud as a process: its log, its end by signal, its next start.

use std::fs::{File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::points::Points;
use crate::wait::wait_for;

/// A program that was started with a configuration file.
pub struct Daemon {
    name: &'static str,
    program: PathBuf,
    config: PathBuf,
    address: String,
    log: PathBuf,
    process: Option<Child>,
    watched: bool,
    points: Option<Points>,
}

impl Daemon {
    /// The program `ironbark-NAME` with `NAME.toml` in `directory`; it is not started yet.
    pub fn new(name: &'static str, directory: &Path, address: &str) -> Self {
        Self {
            name,
            program: program(&format!("ironbark-{name}")),
            config: directory.join(format!("{name}.toml")),
            address: address.to_string(),
            log: directory.join(format!("{name}.log")),
            process: None,
            watched: false,
            points: None,
        }
    }

    /// From its next start on, the program can be killed at any of its [`Points`].
    pub fn watch(&mut self) {
        self.watched = true;
    }

    /// The points of a program that was started under watch.
    pub fn points(&self) -> &Points {
        self.points.as_ref().expect("it was started under watch")
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = append(&self.log);
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).arg("run").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log file can be shared")).stderr(log);
        let process = match self.watched {
            true => {
                Points::spawn(command, self.log.parent().expect("it is in a directory")).map(|(process, points)| {
                    self.points = Some(points);
                    process
                })
            }
            false => command.spawn(),
        };
        let mut process =
            process.unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        wait_for(&format!("{} to listen", self.name), Duration::from_secs(30), || {
            if let Ok(Some(status)) = process.try_wait() {
                panic!("{} ended with {status} at its start:\n{}", self.name, self.log_tail());
            }
            TcpStream::connect(&self.address).ok()
        });
        self.process = Some(process);
    }

    /// Runs a subcommand of the program, such as `keys`, to its end.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program).arg("--config").arg(&self.config).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{} {arguments:?}: {error}", self.name);
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// `kill -9`, and its end.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// An orderly end.
    ///
    /// # Panics
    /// If it has not ended within 20 s.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut process) = self.process.take() else { return };
        let pid = Pid::from_raw(i32::try_from(process.id()).expect("a process id fits"));
        kill(pid, signal).expect("our own child");
        wait_for(&format!("{} to end", self.name), Duration::from_secs(20), || {
            process.try_wait().expect("our own child")
        });
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// All it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines, for a failure's message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of {}'s log:\n{}", self.name, self.log_tail());
        }
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A program of this workspace, beside the test that asks.
///
/// # Panics
/// If it was not built: `cargo build --workspace` builds it.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("tests are built two directories below their profile's");
    let program = profile.join(name);
    assert!(program.is_file(), "{} is not built: run `cargo build --workspace` first", program.display());
    program
}

/// An address on loopback that was free a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").to_string()
}

fn append(path: &Path) -> File {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()))
}
