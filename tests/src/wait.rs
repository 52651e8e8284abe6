//! Waiting for what other processes do: asked again and again until a deadline, never slept for.

use std::time::{Duration, Instant};

/// Asks `question` until it gives an answer.
///
/// # Panics
/// When `deadline` has passed, naming what was waited for.
pub fn wait_for<T>(what: &str, deadline: Duration, mut question: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(began.elapsed() < deadline, "waited {} s in vain for {what}", deadline.as_secs());
        // A short rest, so that the processes that are waited for have the processor.
        std::thread::sleep(Duration::from_millis(25));
    }
}
