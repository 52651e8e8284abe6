//! What the tiers hold of memory: just started, and with instances under load.

use anyhow::{Context as _, Result};

use crate::Plan;
use crate::bed::{Bed, Mode};
use crate::load;
use crate::part::{Memory, Part};
use crate::report::Goal::Most;
use crate::report::{Row, Table};

const INSTANCES: usize = 64;
const CLIENTS: usize = 32;

/// The table. The CC isolates by fork, as it does unless it is told otherwise; its fork server counts as its own.
///
/// # Errors
/// If a part or a call fails.
pub async fn table(plan: &Plan) -> Result<Table> {
    let columns = &["idle rss MB", "idle pss MB", "busy rss MB", "busy pss MB"];
    let mut table = Table::new("memory", columns, "idle rss MB");
    let bed = Bed::new().await?;
    let (cc, _) = bed.cc(Mode::FORK)?;
    let parts = [&bed.clc, &cc, &bed.nc];
    let idle = memory(&parts)?;
    let ids = bed.run_instances(INSTANCES).await?;
    let user = bed.ec2.clone();
    let load = load::measure(CLIENTS, plan.window(), &parts, move |turn| {
        let (user, id) = (user.clone(), ids[turn % ids.len()].clone());
        async move { user.ask("RebootInstances", &format!("&InstanceId.1={id}")).await.map(drop) }
    });
    load.await.context("reboots")?;
    let busy = memory(&parts)?;
    for ((part, idle), busy) in parts.iter().zip(&idle).zip(&busy) {
        table.add(Row::new(part.name, figures(idle, busy)));
    }
    let all = Row::new("all three", figures(&sum(&idle), &sum(&busy)));
    table.add(all.goal("idle rss MB", Most(60.0)));
    Ok(table)
}

fn memory(parts: &[&Part]) -> Result<Vec<Memory>> {
    parts.iter().map(|part| part.memory()).collect()
}

fn figures(idle: &Memory, busy: &Memory) -> Vec<f64> {
    vec![idle.rss, idle.pss, busy.rss, busy.pss]
}

fn sum(parts: &[Memory]) -> Memory {
    Memory { rss: parts.iter().map(|part| part.rss).sum(), pss: parts.iter().map(|part| part.pss).sum() }
}
