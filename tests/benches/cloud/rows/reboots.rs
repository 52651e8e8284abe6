//! RebootInstances, the path that everything else shares: from a caller of the CC (as the cloud calls it), and from
//! a user of the EC2 API through all three tiers; with each isolation, and without signatures.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use ironbark_wsdl::cc;

use crate::Plan;
use crate::bed::{Bed, Mode};
use crate::load::{self, Figures};
use crate::report::Goal::{Least, Most};
use crate::report::{Row, Table};

/// Among so many instances the reboots go round, so that none is asked while it still reboots.
const INSTANCES: usize = 64;
const CLIENTS: [usize; 3] = [1, 8, 32];

const COLUMNS: &[&str] = &["calls/s", "p50 ms", "p99 ms", "cpu ms", "clc ms", "cc ms", "nc ms", "load ms", "done %"];

/// Both tables.
///
/// # Errors
/// The first call that fails.
pub async fn tables(plan: &Plan) -> Result<[Table; 2]> {
    let mut bed = Bed::new().await?;
    let ids = {
        let (_cc, _) = bed.cc(Mode::SEMAPHORE)?;
        Arc::new(bed.run_instances(INSTANCES).await?)
    };
    let mut through_cc = Table::new("reboot: CC, NC", COLUMNS, "calls/s");
    for mode in [Mode::SEMAPHORE, Mode::FORK, unsigned(Mode::SEMAPHORE), unsigned(Mode::FORK)] {
        for clients in CLIENTS {
            let figures = at_cc(plan, &mut bed, mode, clients, &ids).await?;
            through_cc.add(with_goals(mode, clients, figures));
        }
    }
    let mut through_all = Table::new("reboot: SigV4, CLC, CC, NC", COLUMNS, "calls/s");
    for mode in [Mode::SEMAPHORE, Mode::FORK] {
        for clients in CLIENTS {
            let figures = at_clc(plan, &mut bed, mode, clients, &ids).await?;
            let row = Row::new(name(mode, clients), figures);
            through_all.add(if clients == 8 { row.goal("calls/s", Least(1500.0)) } else { row });
        }
    }
    Ok([through_cc, through_all])
}

async fn at_cc(plan: &Plan, bed: &mut Bed, mode: Mode, clients: usize, ids: &Arc<Vec<String>>) -> Result<Vec<f64>> {
    let (cc, caller) = bed.cc(mode)?;
    let (caller, ids) = (Arc::new(caller), ids.clone());
    let before = boots(bed)?;
    let parts = [&cc, &bed.nc];
    let figures = load::measure(clients, plan.window(), &parts, move |turn| {
        let (caller, id) = (caller.clone(), ids[turn % ids.len()].clone());
        async move {
            caller.call(cc::RebootInstances { instance_ids: vec![id], ..Default::default() }).await?;
            Ok(())
        }
    });
    let figures = figures.await.with_context(|| name(mode, clients))?;
    Ok(columns(&figures, &[f64::NAN, figures.cpu[0], figures.cpu[1]], boots(bed)? - before))
}

async fn at_clc(plan: &Plan, bed: &mut Bed, mode: Mode, clients: usize, ids: &Arc<Vec<String>>) -> Result<Vec<f64>> {
    let (cc, _) = bed.cc(mode)?;
    let (user, ids) = (bed.ec2.clone(), ids.clone());
    let before = boots(bed)?;
    let parts = [&bed.clc, &cc, &bed.nc];
    let figures = load::measure(clients, plan.window(), &parts, move |turn| {
        let (user, id) = (user.clone(), ids[turn % ids.len()].clone());
        async move {
            user.ask("RebootInstances", &format!("&InstanceId.1={id}")).await?;
            Ok(())
        }
    });
    let figures = figures.await.with_context(|| name(mode, clients))?;
    Ok(columns(&figures, &figures.cpu, boots(bed)? - before))
}

fn unsigned(mode: Mode) -> Mode {
    Mode { signed: false, ..mode }
}

/// How often the guests have booted so far.
fn boots(bed: &mut Bed) -> Result<f64> {
    bed.nc.ask("boots")?.parse().context("a number of boots")
}

fn columns(figures: &Figures, tiers: &[f64], boots: f64) -> Vec<f64> {
    let cpu: f64 = figures.cpu.iter().sum();
    let first = [figures.rate, figures.p50, figures.p99, cpu];
    // The warm-up's calls boot guests, too.
    let done = 100.0 * boots / figures.sent as f64;
    first.into_iter().chain(tiers.iter().copied()).chain([figures.own, done]).collect()
}

fn name(mode: Mode, clients: usize) -> String {
    format!("{}, {clients} client{}", mode.name(), if clients == 1 { "" } else { "s" })
}

fn with_goals(mode: Mode, clients: usize, figures: Vec<f64>) -> Row {
    let row = Row::new(name(mode, clients), figures);
    match (mode.name().as_str(), clients) {
        ("semaphore", 8) => row.goal("calls/s", Least(4000.0)).goal("cpu ms", Most(0.5)),
        ("fork", 8) => row.goal("calls/s", Least(1500.0)).goal("cpu ms", Most(1.2)),
        ("semaphore, unsigned", 8) => row.goal("cpu ms", Most(0.15)),
        _ => row,
    }
}
