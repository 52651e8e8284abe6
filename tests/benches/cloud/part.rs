//! A part of the measured cloud in a process of its own: started, asked, counted, ended. Its CPU time is that of its
//! whole family: children at work, and those that have ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// How long a part may take to end once it is told.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process of this benchmark. It ends with its value.
pub struct Part {
    /// What it is: `clc`, `cc`, `nc`.
    pub name: &'static str,
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// What a process and its children hold of memory, in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident.
    pub rss: f64,
    /// Resident, what is shared divided among those that share it.
    pub pss: f64,
}

impl Part {
    /// Starts this program again as `role`; what it logs goes to `DIR/NAME.log`.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start(name: &'static str, directory: &Path, role: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("this program's own path")?;
        Self::run(name, directory, Command::new(program).arg("--as").args(role))
    }

    /// Starts the program of `benches/node`, as [`Part::start`] does.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn node(name: &'static str, directory: &Path, role: &[&str]) -> Result<Self> {
        Self::run(name, directory, Command::new(env!("CARGO_BIN_EXE_ironbark-bench-node")).args(role))
    }

    fn run(name: &'static str, directory: &Path, command: &mut Command) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&log).context("a log file")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().context("its output was piped")?);
        Ok(Self { name, process, to, from })
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// That it ended instead.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line).with_context(|| format!("{} cannot be heard", self.name))?;
        ensure!(!line.is_empty(), "{} ended; its log says why", self.name);
        Ok(line.trim().to_string())
    }

    /// Says a line to it, and brings back its answer.
    ///
    /// # Errors
    /// That it ended instead.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        let to = self.to.as_mut().context("it was told to end")?;
        writeln!(to, "{question}").with_context(|| format!("{} does not listen", self.name))?;
        self.line()
    }

    /// Processor time that it and its children have taken so far, in ms.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<f64> {
        self.family().into_iter().map(cpu_of).sum()
    }

    /// What it and its children hold now.
    ///
    /// # Errors
    /// If it has ended.
    pub fn memory(&self) -> Result<Memory> {
        let mut all = Memory { rss: 0.0, pss: 0.0 };
        for pid in self.family() {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
                kilobytes.with_context(|| format!("no {name} in smaps_rollup"))
            };
            all.rss += field("Rss:")? / 1000.0;
            all.pss += field("Pss:")? / 1000.0;
        }
        Ok(all)
    }

    /// Its process and the children of its first thread: the CC's fork server is one.
    fn family(&self) -> Vec<u32> {
        let pid = self.process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        [pid].into_iter().chain(children).collect()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // The end of its input tells it.
        drop(self.to.take());
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = self.process.try_wait() {
            if Instant::now() > deadline {
                eprintln!("{} does not end and is killed", self.name);
                // It may have ended a moment ago.
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// User and system time of a process and of its children that have ended, in ms.
fn cpu_of(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The second field, the name in brackets, may hold anything; proc(5) counts from 1.
    let (_, fields) = text.rsplit_once(')').context("a stat line")?;
    let times = fields.split_whitespace().skip(11).take(4).map(str::parse::<f64>);
    let ticks: f64 = times.sum::<Result<f64, _>>().context("times in a stat line")?;
    Ok(ticks * 1000.0 / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.map_or(100.0, |ticks| ticks as f64)
}

/// Processor time that this process has taken so far, in ms.
///
/// # Errors
/// If /proc does not tell.
pub fn own_cpu() -> Result<f64> {
    cpu_of(std::process::id())
}
