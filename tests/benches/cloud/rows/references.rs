//! What the pieces cost by themselves, measured in the same run: the ground that no tuning of ours goes below.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use http::HeaderMap;
use ironbark_wsdl::http::{HttpClient, post};

use crate::Plan;
use crate::bed::{scratch, text};
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
    let columns = &["calls/s", "p50 ms", "p99 ms", "cpu ms", "load ms"];
    let mut table = Table::new("hops: three bare hyper servers", columns, "calls/s");
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

/// Signatures, forks, libvirt, the disk.
///
/// # Errors
/// If one of them fails.
pub async fn alone(plan: &Plan) -> Result<Table> {
    let mut table = Table::new("alone: single pieces", &["µs", "cpu µs"], "µs");
    let [sign, verify] = signatures(plan.repeat(5000))?;
    table.add(Row::new("ECDSA P-256, sign", vec![sign, sign]));
    table.add(Row::new("ECDSA P-256, verify", vec![verify, verify]));
    for (name, what, times) in [
        ("fork and wait", "fork", 2000),
        ("a job through the fork server and back", "fork-server", 1000),
        ("4 KiB appended and on the disk", "disk", 200),
    ] {
        let directory = scratch()?;
        let part = Part::start("probe", directory.path(), &["probe", what, &text(directory.path())?])?;
        table.add(Row::new(name, probed(part, plan.repeat(times))?));
    }
    let directory = scratch()?;
    let part = Part::node("libvirt", directory.path(), &["libvirt"])?;
    table.add(Row::new("libvirt's reboot at test:///default", probed(part, plan.repeat(100_000))?));
    Ok(table)
}

/// The signatures between the tiers, by the library that makes them and without anything else, in µs.
fn signatures(times: usize) -> Result<[f64; 2]> {
    let random = SystemRandom::new();
    let failed = |_| anyhow::anyhow!("the crypto library refused");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let message = [7u8; 1500];
    let signature = pair.sign(&random, &message).map_err(failed)?;
    let sign = each(times, || pair.sign(&random, black_box(&message)).map(drop).map_err(failed))?;
    let verify = each(times, || public.verify(black_box(&message), signature.as_ref()).map_err(failed))?;
    Ok([sign, verify])
}

/// µs for each of so many times.
fn each(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..times {
        work()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / times as f64)
}

/// µs, and CPU µs, of what a probe does.
fn probed(mut part: Part, times: usize) -> Result<Vec<f64>> {
    part.line()?;
    let before = part.cpu()?;
    let took: f64 = part.ask(&times.to_string())?.parse().context("seconds")?;
    let cpu = part.cpu()? - before;
    Ok(vec![took * 1e6 / times as f64, cpu * 1e3 / times as f64])
}
