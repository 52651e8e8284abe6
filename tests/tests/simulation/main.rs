//! A whole cloud in one process, from a seed: the code of the three tiers as it is, under a simulated time, network,
//! disk and hypervisor. Random requests meet random faults; then everything must come to rest as its owner was told, and
//! go without a trace. A run is repeated exactly from its seed, in a process of its own, since what a process draws from
//! chance is drawn from the seed there.
//!
//! ```text
//! IRONBARK_SIM_SEED=1      the first seed
//! IRONBARK_SIM_RUNS=4      how many seeds
//! IRONBARK_SIM_LAUNCHES=200  how many launches in the scenario of many
//! IRONBARK_SIM_LOG=1       print every event; with RUST_LOG=info the tiers' logs, too
//! ```

mod chance;
mod host;
mod log;
mod network;
mod schedule;
mod tiers;
mod user;
mod world;

use std::env;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};

use ironbark_wsdl::blocking::{self, Simulation};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use crate::network::Network;
use crate::tiers::Site;
use crate::world::World;

/// The first argument of a process that is one run; the scenario and the seed follow.
const ONE_RUN: &str = "one-run";
const FIRST_SEED: u64 = 1;
const RUNS: u64 = 4;
/// The scenarios.
const RANDOM: &str = "random";
const LAUNCHES: &str = "launches";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, first, scenario, seed] = arguments.as_slice()
        && first == ONE_RUN
    {
        run(scenario, seed.parse().expect("a seed"));
        return ExitCode::SUCCESS;
    }
    let first = number("IRONBARK_SIM_SEED").unwrap_or(FIRST_SEED);
    let seeds = first..first + number("IRONBARK_SIM_RUNS").unwrap_or(RUNS);
    let mut trials: Vec<Trial> =
        seeds.map(|seed| Trial::test(format!("random_{seed}"), move || one_run(RANDOM, seed).map(drop))).collect();
    trials.push(Trial::test("many_launches", move || one_run(LAUNCHES, first).map(drop)));
    trials.push(Trial::test("a_seed_repeats_exactly", move || {
        let (one, other) = (one_run(RANDOM, first)?, one_run(RANDOM, first)?);
        if one == other { Ok(()) } else { Err(format!("one run: {one}; the next: {other}").into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed in a process of its own; gives what it says last, its digest.
fn one_run(scenario: &str, seed: u64) -> Result<String, Failed> {
    let program = env::current_exe()?;
    let output = Command::new(&program).args([ONE_RUN, scenario, &seed.to_string()]).output()?;
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    if output.status.success() {
        return Ok(said.lines().last().unwrap_or_default().to_string());
    }
    let end = complaint.len().saturating_sub(20_000);
    let end = (end..complaint.len()).find(|at| complaint.is_char_boundary(*at)).unwrap_or(complaint.len());
    Err(format!("{}\nAgain: IRONBARK_SIM_LOG=1 {} {ONE_RUN} {scenario} {seed}", &complaint[end..], program.display())
        .into())
}

/// One run.
fn run(scenario: &str, seed: u64) {
    let loud = env::var_os("IRONBARK_SIM_LOG").is_some();
    if loud {
        ironbark_wsdl::log::init();
    }
    // In memory where there is such a place: a simulation ends programs, not the system under them.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { TempDir::with_prefix_in("ironbark-sim-", memory) } else { TempDir::new() };
    let directory = directory.expect("a temporary directory");
    let size = if scenario == LAUNCHES { (10, 10) } else { (3, 4) };
    let nodes: Vec<String> = (1..=size.0).map(|number| format!("n{number}")).collect();
    let site = Site { directory: directory.path().to_path_buf(), network: Network::new(seed), room: size.1 };
    // Of one thread: how many there were before is part of how tokio tosses its coins.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(site.prepare(&nodes));
    drop(runtime);
    // On a thread of its own, which has drawn nothing from chance before.
    let scenario = scenario.to_string();
    let ended = std::thread::spawn(move || simulate(&scenario, seed, site, nodes, loud)).join();
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// One run, on a thread that from now on is in the seed's hand.
fn simulate(scenario: &str, seed: u64, site: Site, nodes: Vec<String>, loud: bool) {
    chance::begin(seed);
    log::begin(loud);
    host::begin_disks(seed);
    blocking::simulate(Simulation { turn: host::turn, program: tiers::program });
    let end = catch_unwind(|| {
        let mut world = World::new(seed, site, nodes);
        match scenario {
            LAUNCHES => schedule::launches(&mut world, seed, number("IRONBARK_SIM_LAUNCHES").unwrap_or(200)),
            _ => schedule::random(&mut world, seed),
        }
        (world.now, world.user.launched, world.deaths)
    });
    let (digest, lines) = log::digest();
    match end {
        Ok((time, launched, deaths)) => println!(
            "{scenario} {seed}: {launched} instances, {deaths} deaths, {} s, {lines} events, digest {digest:016x}",
            time.as_secs()
        ),
        Err(panic) => {
            eprintln!("the last events:\n{}", log::last_words());
            resume_unwind(panic);
        }
    }
}
