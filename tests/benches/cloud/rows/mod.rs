//! What is measured: a file for each kind of table.

mod describe;
mod memory;
mod reboots;
mod references;
mod refresh;
mod run;
mod stages;
mod tags;

use anyhow::Result;

use crate::Plan;
use crate::report::Table;

/// Measures every table that the plan wants.
///
/// # Errors
/// The first thing that fails.
pub async fn all(plan: &Plan) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    if plan.wants("alone") {
        tables.push(references::alone(plan).await?);
    }
    if plan.wants("hops") {
        tables.push(references::hops(plan).await?);
    }
    if plan.wants("stages") {
        tables.push(stages::table(plan).await?);
    }
    if plan.wants("reboot") {
        tables.extend(reboots::tables(plan).await?);
    }
    if plan.wants("run") {
        tables.push(run::table(plan).await?);
    }
    if plan.wants("describe") {
        tables.push(describe::table(plan).await?);
    }
    if plan.wants("tags") {
        tables.push(tags::table(plan).await?);
    }
    if plan.wants("refresh") {
        tables.push(refresh::table(plan).await?);
    }
    if plan.wants("memory") {
        tables.push(memory::table(plan).await?);
    }
    Ok(tables)
}
