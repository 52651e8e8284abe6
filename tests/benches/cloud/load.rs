//! A closed loop of clients: each calls, waits for the answer, and calls again. What the calls cost is counted in
//! the parts' CPU time and not in the load's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use crate::part::{Part, own_cpu};

/// Before a row is measured: connections are made, caches are warm.
const WARM_UP: Duration = Duration::from_millis(300);

/// What one row's load found.
pub struct Figures {
    /// Calls sent, those of the warm-up too.
    pub sent: usize,
    /// Calls answered per second.
    pub rate: f64,
    /// Half of the calls were answered within so many ms ...
    pub p50: f64,
    /// ... and 99 of 100 within so many.
    pub p99: f64,
    /// CPU ms per call of each part, in the order given.
    pub cpu: Vec<f64>,
    /// CPU ms per call of the load itself.
    pub own: f64,
}

/// Lets `clients` call for `window`. `call` gets the number of the call; its first error ends the row.
///
/// # Errors
/// The first error of a call.
pub async fn measure<C, F>(clients: usize, window: Duration, parts: &[&Part], call: C) -> Result<Figures>
where
    C: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    drive(clients, WARM_UP.min(window), next.clone(), call.clone()).await?;
    let cpu = || parts.iter().map(|part| part.cpu()).collect::<Result<Vec<f64>>>();
    let (before, own_before, began) = (cpu()?, own_cpu()?, Instant::now());
    let mut times = drive(clients, window, next.clone(), call).await?;
    let (after, own_after, took) = (cpu()?, own_cpu()?, began.elapsed());
    times.sort_unstable();
    let count = times.len() as f64;
    Ok(Figures {
        sent: next.load(Ordering::Relaxed),
        rate: count / took.as_secs_f64(),
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        cpu: after.iter().zip(before).map(|(after, before)| (after - before) / count).collect(),
        own: (own_after - own_before) / count,
    })
}

/// Calls until the window is over and the last answer is there; gives each call's time.
async fn drive<C, F>(clients: usize, window: Duration, next: Arc<AtomicUsize>, call: C) -> Result<Vec<Duration>>
where
    C: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let until = Instant::now() + window;
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let (next, call) = (next.clone(), call.clone());
        all.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                call(next.fetch_add(1, Ordering::Relaxed)).await?;
                times.push(began.elapsed());
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = all.join_next().await {
        times.extend(ended.context("a client broke off")??);
    }
    Ok(times)
}

/// The time in ms within which so many of 100 ended; `times` is sorted.
pub fn percentile(times: &[Duration], of_100: usize) -> f64 {
    let at = (times.len() * of_100 / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
