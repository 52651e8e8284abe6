//! What the pieces cost by themselves, measured in the same run: the ground that no tuning of ours goes below.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::HeaderMap;
use ironbark_wsdl::http::{HttpClient, post};

use crate::Plan;
use crate::bed::scratch;
use crate::load;
use crate::part::Part;
use crate::report::{Row, Table};

/// About what a signed RebootInstances has.
const BODY: usize = 4096;

/// The same three hops through bare hyper, with nothing in them.
///
/// # Errors
/// The first call that fails.
pub async fn hops(plan: &Plan) -> Result<Table> {
    let mut table =
        Table::new("hops: three bare hyper servers", &["calls/s", "p50 ms", "p99 ms", "cpu ms", "load ms"], "calls/s");
    let directory = scratch()?;
    let mut last = Part::start("last", directory.path(), &["forward"])?;
    let mut middle = Part::start("middle", directory.path(), &["forward", &last.line()?])?;
    let mut first = Part::start("first", directory.path(), &["forward", &middle.line()?])?;
    let url = Arc::new(first.line()?);
    let client = HttpClient::new(Duration::from_secs(3), 64);
    let parts = [&first, &middle, &last];
    for clients in [1, 8, 32] {
        let (client, url) = (client.clone(), url.clone());
        let figures = load::measure(clients, plan.window(), &parts, move |_| {
            let (client, url) = (client.clone(), url.clone());
            async move {
                let body = "x".repeat(BODY);
                let answer = post(&client, &url, HeaderMap::new(), body, Duration::from_secs(10)).await;
                let (status, body) = answer.context("a hop")?;
                ensure!(status.is_success() && body.len() == BODY, "a hop answered {status}");
                Ok(())
            }
        });
        let figures = figures.await?;
        let cpu = figures.cpu.iter().sum();
        let plural = if clients == 1 { "" } else { "s" };
        let row = vec![figures.rate, figures.p50, figures.p99, cpu, figures.own];
        table.add(Row::new(format!("{BODY} bytes there and back, {clients} client{plural}"), row));
    }
    Ok(table)
}
