//! CreateTags by a user who signs: one write of the CLC's records a call, durable when it is answered.

use anyhow::{Context as _, Result};

use super::describe::{NO_CLUSTER, fill, id};
use crate::Plan;
use crate::bed::{clc, keys, scratch};
use crate::load;
use crate::report::{Row, Table};

/// Instances that the labels are hung on, one after the other.
const INSTANCES: usize = 100;

/// The table.
///
/// # Errors
/// The first call that fails.
pub async fn table(plan: &Plan) -> Result<Table> {
    let columns = &["calls/s", "p50 ms", "p99 ms", "clc ms", "load ms"];
    let mut table = Table::new("tags: SigV4 CreateTags", columns, "calls/s");
    let directory = scratch()?;
    let path = directory.path();
    keys(path)?;
    let (clc, user) = clc(path, NO_CLUSTER).await?;
    fill(path, INSTANCES).await?;
    let parts = [&clc];
    for clients in [1, 8, 32] {
        let user = user.clone();
        let figures = load::measure(clients, plan.window(), &parts, move |turn| {
            let user = user.clone();
            async move {
                let on = id(1 + turn % INSTANCES);
                // Another value each time: two equal requests in one second would be one that was caught.
                let form = format!("&ResourceId.1={on}&Tag.1.Key=Name&Tag.1.Value={clients}-{turn}");
                user.ask("CreateTags", &form).await.map(drop)
            }
        });
        let figures = figures.await.context("CreateTags")?;
        let name = format!("{clients} client{}", if clients == 1 { "" } else { "s" });
        table.add(Row::new(name, vec![figures.rate, figures.p50, figures.p99, figures.cpu[0], figures.own]));
    }
    Ok(table)
}
