//! How long a cluster controller takes to ask all its nodes how they are, over signed HTTP: the three questions of a
//! refresh, to simulated nodes in a process of their own.

use anyhow::{Context as _, Result, ensure};

use crate::Plan;
use crate::bed::{keys, scratch, text};
use crate::part::Part;
use crate::report::Goal::Most;
use crate::report::{Row, Table};

/// The table.
///
/// # Errors
/// If a part fails, or a node does not answer.
pub async fn table(plan: &Plan) -> Result<Table> {
    let columns = &["s", "cc cpu s", "nodes cpu s", "cc ms/node"];
    let mut table = Table::new("refresh: nodes with 20 instances each", columns, "s");
    for isolation in ["semaphore", "fork"] {
        for count in [1, 10, 100, 1000] {
            let figures = measure(plan, isolation, count)?;
            let row = Row::new(format!("{isolation}, {count} node{}", if count == 1 { "" } else { "s" }), figures);
            table.add(if count == 1000 { row.goal("s", Most(2.0)) } else { row });
        }
    }
    Ok(table)
}

fn measure(plan: &Plan, isolation: &str, count: usize) -> Result<Vec<f64>> {
    let directory = scratch()?;
    let path = directory.path();
    keys(path)?;
    let number = count.to_string();
    let mut nodes = Part::start("nodes", path, &["nodes", &text(path)?, &number])?;
    let url = nodes.line()?;
    let mut cc = Part::start("refresh", path, &["refresh", &text(path)?, isolation, &url, &number])?;
    cc.line()?;
    // The first round learns all the instances; those that follow are what goes on day by day.
    round(&mut cc, count)?;
    let rounds = plan.repeat((1000 / count).clamp(3, 100));
    let (cc_before, nodes_before) = (cc.cpu()?, nodes.cpu()?);
    let mut took = 0.0;
    for _ in 0..rounds {
        took += round(&mut cc, count)?;
    }
    let each = |before: f64, after: f64| (after - before) / 1000.0 / rounds as f64;
    let (cc_cpu, nodes_cpu) = (each(cc_before, cc.cpu()?), each(nodes_before, nodes.cpu()?));
    Ok(vec![took / rounds as f64, cc_cpu, nodes_cpu, cc_cpu * 1000.0 / count as f64])
}

/// One refresh of all nodes, in seconds.
fn round(cc: &mut Part, count: usize) -> Result<f64> {
    let answer = cc.ask("refresh")?;
    let (took, up) = answer.split_once(' ').context("seconds, and nodes")?;
    ensure!(up.parse() == Ok(count), "{up} of {count} nodes answered");
    took.parse().context("seconds")
}
