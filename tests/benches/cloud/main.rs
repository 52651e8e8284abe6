//! The benchmark: `cargo bench -p ironbark-tests`, or `-- --quick`, or `-- NAME...` for some tables only. Each tier
//! runs in a process of its own (this program again, with `--as`), so that its CPU time and memory can be told from
//! the load's. The figures are printed beside the project's goals and drawn in `target/bench/cloud.svg`;
//! docs/PERFORMANCE.md explains them.

mod bed;
mod client;
mod load;
mod part;
mod parts;
mod plot;
mod report;
mod rows;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;

use report::Table;

/// Measures the whole cloud, and what it is made of.
#[derive(Parser)]
struct Arguments {
    /// Only the tables whose name contains one of these words; all of them without any.
    names: Vec<String>,
    /// About a minute in all, for less exact figures.
    #[arg(long)]
    quick: bool,
    /// What cargo says to a benchmark; `cargo test` does not.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured, and how long.
pub struct Plan {
    names: Vec<String>,
    quick: bool,
}

impl Plan {
    /// For how long one row's load lasts.
    pub fn window(&self) -> Duration {
        if self.quick { Duration::from_millis(600) } else { Duration::from_secs(3) }
    }

    /// How often something is repeated whose time is taken one by one.
    pub fn repeat(&self, times: usize) -> usize {
        if self.quick { times.div_ceil(5) } else { times }
    }

    /// Whether the table of that name is wanted.
    pub fn wants(&self, table: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| table.contains(name.as_str()))
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        // Before any thread exists, for the fork server's sake.
        Some((first, role)) if first == "--as" => parts::play(role),
        _ => measure(Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: Arguments) -> anyhow::Result<()> {
    if !arguments.bench {
        eprintln!("SKIPPED: a benchmark is no test; cargo bench -p ironbark-tests runs it");
        return Ok(());
    }
    let plan = Plan { names: arguments.names, quick: arguments.quick };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    let began = Instant::now();
    let tables = runtime.block_on(rows::all(&plan))?;
    println!("measured in {} s", began.elapsed().as_secs());
    draw(&tables)
}

/// Leaves the plot where `cargo bench` leaves its things.
fn draw(tables: &[Table]) -> anyhow::Result<()> {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    let file = directory.join("cloud.svg");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    std::fs::write(&file, plot::svg(tables)).with_context(|| format!("cannot write {}", file.display()))?;
    println!("drawn in {}", file.display());
    Ok(())
}
