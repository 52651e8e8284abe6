//! What is measured: a file for each kind of table.

mod memory;
mod reboots;
mod references;

use anyhow::Result;

use crate::Plan;
use crate::report::Table;

/// Measures every table that the plan wants.
///
/// # Errors
/// The first thing that fails.
pub async fn all(plan: &Plan) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    if plan.wants("hops") {
        tables.push(references::hops(plan).await?);
    }
    if plan.wants("reboot") {
        tables.extend(reboots::tables(plan).await?);
    }
    if plan.wants("memory") {
        tables.push(memory::table(plan).await?);
    }
    Ok(tables)
}
