//! A whole cloud in one process, from a seed: the code of the three tiers as it is, under a simulated time, network,
//! disk and hypervisor. Random requests meet random faults; then everything must come to rest as its owner was told, a
//! doctor must find nothing amiss, and all must go without a trace. A run is repeated exactly from its seed, in a process
//! of its own, since what a process draws from chance is drawn from the seed there.
//!
//! ```text
//! IRONBARK_SIM_SEED=1        the first seed
//! IRONBARK_SIM_RUNS=4        how many seeds
//! IRONBARK_SIM_LAUNCHES=200  how many launches in the scenario of that name
//! IRONBARK_SIM_POINTS=3      a death at each 3rd point of an instance's life; 1 for all
//! IRONBARK_SIM_LOG=1         print every event; with RUST_LOG=info the tiers' logs, too
//! ```

mod chance;
mod disk;
mod host;
mod log;
mod network;
mod scenarios;
mod schedule;
mod tiers;
mod user;
mod world;

use std::env;
use std::fmt::Debug;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::str::FromStr;

use ironbark_wsdl::blocking::{self, Simulation};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use crate::network::Network;
use crate::tiers::Site;
use crate::world::World;

/// The first argument of a process that is one run; the scenario and the seed follow.
const ONE_RUN: &str = "one-run";

/// What is asked for, and what goes wrong.
#[derive(Clone, Copy)]
enum Scenario {
    Random,
    OneInstance,
    Launches,
    CrashPoints(&'static str),
}

impl Scenario {
    const ALL: [Self; 6] = [
        Self::Random,
        Self::OneInstance,
        Self::Launches,
        Self::CrashPoints(tiers::CLOUD),
        Self::CrashPoints(tiers::CLUSTER),
        Self::CrashPoints("n1"),
    ];

    fn name(self) -> String {
        match self {
            Self::Random => "random".to_string(),
            Self::OneInstance => "one_instance".to_string(),
            Self::Launches => "launches".to_string(),
            Self::CrashPoints(host) => format!("crash_points_{host}"),
        }
    }

    /// Nodes, and small instances that each has room for.
    fn size(self) -> (usize, u64) {
        match self {
            Self::Random => (3, 4),
            Self::Launches => (10, 10),
            Self::OneInstance | Self::CrashPoints(_) => (1, 4),
        }
    }

    fn play(self, world: &mut World, seed: u64) {
        match self {
            Self::Random => schedule::random(world, seed),
            Self::OneInstance => scenarios::one_instance(world, seed),
            Self::Launches => scenarios::launches(world, seed, number("IRONBARK_SIM_LAUNCHES", 200)),
            Self::CrashPoints(host) => scenarios::crash_points(world, host, number("IRONBARK_SIM_POINTS", 3)),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, first, name, seed] = arguments.as_slice()
        && first == ONE_RUN
    {
        let scenario = Scenario::ALL.into_iter().find(|scenario| scenario.name() == *name).expect("a scenario");
        run(scenario, seed.parse().expect("a seed"));
        return ExitCode::SUCCESS;
    }
    let first = number("IRONBARK_SIM_SEED", 1);
    let seeds = first..first + number("IRONBARK_SIM_RUNS", 4);
    let mut trials: Vec<Trial> = seeds.map(|seed| trial(Scenario::Random, seed, format!("random_{seed}"))).collect();
    trials.extend(Scenario::ALL[1..].iter().map(|scenario| trial(*scenario, first, scenario.name())));
    trials.push(Trial::test("a_seed_repeats_exactly", move || {
        let (one, other) = (one_run(Scenario::Random, first)?, one_run(Scenario::Random, first)?);
        if one == other { Ok(()) } else { Err(format!("one run: {one}; the next: {other}").into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(scenario: Scenario, seed: u64, name: String) -> Trial {
    Trial::test(name, move || one_run(scenario, seed).map(drop))
}

/// A number from the environment, or else this.
fn number<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs a seed in a process of its own; gives what it says last, its digest.
fn one_run(scenario: Scenario, seed: u64) -> Result<String, Failed> {
    let scenario = &scenario.name();
    let program = env::current_exe()?;
    let output = Command::new(&program).args([ONE_RUN, scenario, &seed.to_string()]).output()?;
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    if output.status.success() {
        return Ok(said.lines().last().unwrap_or_default().to_string());
    }
    let end = complaint.len().saturating_sub(20_000);
    let end = (end..complaint.len()).find(|at| complaint.is_char_boundary(*at)).unwrap_or(complaint.len());
    let given = ["IRONBARK_SIM_LAUNCHES", "IRONBARK_SIM_POINTS"].into_iter();
    let given: String = given.filter_map(|name| Some(format!("{name}={} ", env::var(name).ok()?))).collect();
    let again = format!("{given}IRONBARK_SIM_LOG=1 {} {ONE_RUN} {scenario} {seed}", program.display());
    Err(format!("{}\nAgain: {again}", &complaint[end..]).into())
}

/// One run.
fn run(scenario: Scenario, seed: u64) {
    let loud = env::var_os("IRONBARK_SIM_LOG").is_some();
    if loud {
        ironbark_wsdl::log::init();
    }
    // In memory where there is such a place: a simulation ends programs, not the system under them.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { TempDir::with_prefix_in("ironbark-sim-", memory) } else { TempDir::new() };
    let directory = directory.expect("a temporary directory");
    let (count, room) = scenario.size();
    let nodes: Vec<String> = (1..=count).map(|number| format!("n{number}")).collect();
    let site = Site { directory: directory.path().to_path_buf(), network: Network::new(seed), room };
    // Of one thread: how many there were before is part of how tokio tosses its coins.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(site.prepare(&nodes));
    drop(runtime);
    // On a thread of its own, which has drawn nothing from chance before.
    let ended = std::thread::spawn(move || simulate(scenario, seed, site, nodes, loud)).join();
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// One run, on a thread that from now on is in the seed's hand.
fn simulate(scenario: Scenario, seed: u64, site: Site, nodes: Vec<String>, loud: bool) {
    chance::begin(seed);
    log::begin(loud, &site.directory);
    disk::begin(seed);
    host::begin();
    blocking::simulate(Simulation { turn: disk::turn, program: tiers::program });
    let end = catch_unwind(|| {
        let mut world = World::new(seed, site, nodes);
        scenario.play(&mut world, seed);
        (world.now, world.user.launched, world.deaths)
    });
    let (digest, lines) = log::digest();
    match end {
        Ok((time, launched, deaths)) => println!(
            "{} {seed}: {launched} instances, {deaths} deaths, {} s, {lines} events, digest {digest:016x}",
            scenario.name(),
            time.as_secs()
        ),
        Err(panic) => {
            eprintln!("the last events:\n{}", log::last_words());
            resume_unwind(panic);
        }
    }
}
