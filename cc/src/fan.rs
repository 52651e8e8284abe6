//! Doing the same for many things at once. Each piece is a task of its own, so that it comes to
//! its end even when the one who asked has gone away. Bounded by what the pieces wait for (permits).

use std::future::Future;

use ironbark_wsdl::Context;
use tracing::Instrument;

/// Runs `work` for every item at once and gives the results in the items' order.
pub async fn each<I, T, F, Fut>(items: impl IntoIterator<Item = I>, work: F) -> Vec<T>
where
    F: Fn(I) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let begin = |item| {
        let (work, present) = (work(item), Context::present());
        let work = async move {
            match present {
                Some(ctx) => ctx.during(work).await,
                None => work.await,
            }
        };
        tokio::spawn(work.instrument(tracing::Span::current()))
    };
    let tasks: Vec<_> = items.into_iter().map(begin).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => unreachable!("nobody aborts these tasks, and a runtime that ends does not poll us"),
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn results_come_in_the_items_order_and_the_slowest_sets_the_time() {
        let began = tokio::time::Instant::now();
        let results = each([3u64, 1, 2], |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        })
        .await;
        assert_eq!(results, [3, 1, 2]);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }
}
