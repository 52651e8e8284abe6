//! RunInstances by users who sign, through all three tiers, one instance a call: until it is answered, which is when
//! it is durable, and until the instances run.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::Plan;
use crate::bed::{Bed, Mode};
use crate::load;
use crate::report::{Row, Table};

const CLIENTS: usize = 8;

/// The table.
///
/// # Errors
/// The first call that fails.
pub async fn table(plan: &Plan) -> Result<Table> {
    let columns = &["calls/s", "p50 ms", "p99 ms", "running/s", "clc ms", "cc ms", "nc ms"];
    let mut table = Table::new("run: SigV4 RunInstances", columns, "calls/s");
    for mode in [Mode::SEMAPHORE, Mode::FORK] {
        let bed = Bed::new().await?;
        let (cc, _) = bed.cc(mode)?;
        let first = 1;
        bed.run_instances(first).await?;
        let parts = [&bed.clc, &cc, &bed.nc];
        let cpu = || parts.iter().map(|part| part.cpu()).collect::<Result<Vec<f64>>>();
        let (before, began, user, image) = (cpu()?, Instant::now(), bed.ec2.clone(), bed.image.clone());
        // Staging goes on long after the answers: a short burst is enough.
        let figures = load::measure(CLIENTS, plan.window() / 6, &parts, move |turn| {
            let (user, image) = (user.clone(), image.clone());
            async move {
                // Without a token two equal requests in one second are one request that was caught and sent again.
                let form = format!("&ImageId={image}&InstanceType=m1.small&MinCount=1&MaxCount=1&ClientToken={turn}");
                user.ask("RunInstances", &form).await.map(drop)
            }
        });
        let figures = figures.await.context("RunInstances")?;
        bed.all_run(first + figures.sent).await?;
        let sent = figures.sent as f64;
        let running = sent / began.elapsed().as_secs_f64();
        let cpu = cpu()?.into_iter().zip(before).map(|(after, before)| (after - before) / sent);
        let row = [figures.rate, figures.p50, figures.p99, running].into_iter().chain(cpu).collect();
        table.add(Row::new(format!("{}, {CLIENTS} clients", mode.name()), row));
    }
    Ok(table)
}
