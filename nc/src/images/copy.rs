//! An instance's own copy of a cached image: a reflink where the file system can, else a sparse copy; grown to the
//! instance's disk. It may take long as long as it gets on. Knows nothing of where the image came from.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use ironbark_wsdl::command::Command;

use super::cache::Entry;
use super::rules::Source;
use super::{Format, ImageError, Kind, Order, StagedImage, qcow2};

/// How long a copy may take in all.
const LIMIT: Duration = Duration::from_secs(1800);

/// Copies a cached image to the order's target and grows it. One that gets nowhere for `idle` is given up.
pub(super) async fn copy(
    source: &Source,
    entry: &Entry,
    order: &Order<'_>,
    idle: Duration,
) -> Result<StagedImage, ImageError> {
    let tool = |error| ImageError::Tool { url: source.shown(), source: error };
    let copying = Command::new("cp")
        .args(["--reflink=auto", "--sparse=always", "--remove-destination", "--"])
        .args([entry.data(), order.target])
        .timeout(LIMIT)
        .run();
    match while_it_gets_on(copying, idle, || size(order.target)).await {
        Some(copied) => drop(copied.map_err(tool)?),
        None => {
            let problem = format!(
                "nothing of it was written to {} for {} s; see whether this node's disk still answers",
                order.target.display(),
                idle.as_secs()
            );
            return Err(ImageError::Stalled { url: source.shown(), problem });
        }
    }
    let mut virtual_size = entry.virtual_size;
    if let (Kind::Root, Some(wanted)) = (order.kind, order.grow_to)
        && wanted > virtual_size
    {
        match entry.format {
            Format::Raw => {
                let file = std::fs::File::options()
                    .write(true)
                    .open(order.target)
                    .map_err(ImageError::disk(order.target, "open"))?;
                file.set_len(wanted).map_err(ImageError::disk(order.target, "grow"))?;
            }
            Format::Qcow2 => qcow2::grow(order.target, wanted).await.map_err(tool)?,
        }
        virtual_size = wanted;
    }
    Ok(StagedImage { path: order.target.to_owned(), format: entry.format, virtual_size, sha256: entry.sha256.clone() })
}

/// The end of `work`; none if `reached` has told the same for `idle`, two looks apart.
async fn while_it_gets_on<T>(
    work: impl Future<Output = T>,
    idle: Duration,
    reached: impl Fn() -> (u64, u64),
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut before = None;
    loop {
        if let Ok(end) = tokio::time::timeout(idle, &mut work).await {
            return Some(end);
        }
        let now = Some(reached());
        if now == before {
            return None;
        }
        before = now;
    }
}

/// How far a file has come: its length, and its blocks on disk. Zeros while it is not there.
fn size(path: &Path) -> (u64, u64) {
    std::fs::metadata(path).map_or((0, 0), |facts| (facts.len(), facts.blocks()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::sleep;

    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_gets_on_may_take_long_and_what_does_not_is_given_up() {
        let reached = AtomicU64::new(0);
        let slow = async {
            for _ in 0..20 {
                sleep(IDLE).await;
                reached.fetch_add(1, Ordering::Relaxed);
            }
            "done"
        };
        let so_far = || (reached.load(Ordering::Relaxed), 0);
        assert_eq!(while_it_gets_on(slow, IDLE, so_far).await, Some("done"));
        let stuck = async {
            sleep(IDLE * 20).await;
            "done"
        };
        let began = tokio::time::Instant::now();
        assert_eq!(while_it_gets_on(stuck, IDLE, || (7, 7)).await, None);
        assert_eq!(began.elapsed(), IDLE * 2);
    }
}
