//! What must outlive a restart, for the tiers without a database: texts under keys, in one file that
//! is appended to. Whoever waits first writes for all who wait (group commit), so that a hundred
//! changes at a time cost one flush; what was handed in later never loses against what was handed in
//! before. Knows nothing of what the texts mean; `file` knows their form on disk.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use thiserror::Error;

use file::LedgerFile;

use crate::blocking;

/// Why a ledger cannot be read or written.
#[derive(Clone, Debug, Error)]
pub enum LedgerError {
    /// The system refused.
    #[error("cannot {doing} {path}: {why}; check the space and the rights there")]
    Io {
        /// `write`, `read` ...
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file is not what we wrote.
    #[error(
        "{path} is damaged at byte {at} ({why}): bring it back from a backup, or move it away and start without what it holds"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl LedgerError {
    fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_path_buf(), why: error.to_string() }
    }
}

/// One text to keep under a key, or with `None` to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    key: String,
    text: Option<String>,
}

impl Entry {
    /// The entry that keeps `value` as JSON, or forgets what the key has. A key is of letters, digits
    /// and `-_./`.
    pub fn of<T: Serialize>(key: impl Into<String>, value: Option<&T>) -> Self {
        let text =
            value.map(|value| serde_json::to_string(value).expect("our own plain structs have string keys only"));
        let key = key.into();
        debug_assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)), "the key '{key}'");
        Self { key, text }
    }
}

/// Texts under keys, durable. Cheap to clone. One process at a time may have a file open: its owner
/// holds a lock on the directory.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    queue: Mutex<Queue>,
    /// Held while a batch is being written, by the writing closure itself: a waiter that gives up
    /// does not let a second batch overtake the first.
    file: Arc<tokio::sync::Mutex<LedgerFile>>,
}

/// The last text of each key that is not on disk yet; `None` for one that is to go.
#[derive(Debug, Default)]
struct Queue {
    texts: Texts,
    /// Number of the latest write that was handed in.
    latest: u64,
    /// Number of the latest write that is on disk, with all before it.
    on_disk: u64,
}

type Texts = BTreeMap<String, Option<String>>;

/// A write that was handed in. Wait for it before acknowledging what it records.
#[must_use = "what is not waited for may not be on disk"]
pub struct Saved {
    inner: Arc<Inner>,
    number: u64,
}

impl Ledger {
    /// Opens the file, or makes it (mode 0600), and gives what it holds. What a crash left half
    /// written at its end was never acknowledged, and is cut off.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] for a file that is not what we wrote; otherwise as the system says.
    pub fn open(path: &Path) -> Result<(Self, BTreeMap<String, String>), LedgerError> {
        let (file, texts) = LedgerFile::open(path)?;
        let inner =
            Inner { path: path.to_path_buf(), queue: Mutex::default(), file: Arc::new(tokio::sync::Mutex::new(file)) };
        Ok((Self(Arc::new(inner)), texts))
    }

    /// Hands entries in: after a crash all of them are there, or none. They are on disk when the
    /// returned [`Saved`] says so.
    pub fn write(&self, entries: Vec<Entry>) -> Saved {
        let mut queue = self.0.queue();
        if !entries.is_empty() {
            queue.latest += 1;
            queue.texts.extend(entries.into_iter().map(|entry| (entry.key, entry.text)));
        }
        Saved { inner: self.0.clone(), number: queue.latest }
    }
}

impl Saved {
    /// Waits until the write is on disk.
    ///
    /// # Errors
    /// As the system said. What could not be written is kept, and goes with the next write.
    pub async fn wait(self) -> Result<(), LedgerError> {
        if self.inner.queue().on_disk >= self.number {
            return Ok(());
        }
        let mut file = self.inner.file.clone().lock_owned().await;
        if self.inner.queue().on_disk >= self.number {
            return Ok(()); // whoever wrote before us took ours along
        }
        let inner = self.inner.clone();
        let written = blocking::spawn(move || inner.write_batch(&mut file));
        written.await.unwrap_or_else(|error| {
            let path = self.inner.path.clone();
            Err(LedgerError::Io { doing: "write", path, why: format!("the writing broke off: {error}") })
        })
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all that was handed in; puts it back if that fails.
    fn write_batch(&self, file: &mut LedgerFile) -> Result<(), LedgerError> {
        let (texts, number) = {
            let mut queue = self.queue();
            (std::mem::take(&mut queue.texts), queue.latest)
        };
        let result = file.append(&texts);
        let mut queue = self.queue();
        match result {
            Ok(()) => queue.on_disk = number,
            Err(_) => {
                // A text handed in meanwhile is newer than the one that failed.
                let newer = std::mem::replace(&mut queue.texts, texts);
                queue.texts.extend(newer);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(key: &str, value: Option<u32>) -> Entry {
        Entry::of(key, value.as_ref())
    }

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect()
    }

    #[tokio::test]
    async fn what_was_waited_for_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let (ledger, found) = Ledger::open(&path).unwrap();
        assert!(found.is_empty());
        ledger.write(vec![entry("i-1", Some(1)), entry("i-2", Some(2))]).wait().await.unwrap();
        ledger.write(vec![entry("i-1", None), entry("i-3", Some(3))]).wait().await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(ledger);
        assert_eq!(Ledger::open(&path).unwrap().1, texts(&[("i-2", "2"), ("i-3", "3")]));
    }

    #[tokio::test]
    async fn the_last_of_many_writes_wins_and_all_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let (ledger, _) = Ledger::open(&path).unwrap();
        let saved: Vec<Saved> = (0..100).map(|value| ledger.write(vec![entry("i-1", Some(value))])).collect();
        for saved in saved {
            saved.wait().await.unwrap();
        }
        assert_eq!(Ledger::open(&path).unwrap().1, texts(&[("i-1", "99")]));
    }

    #[tokio::test]
    async fn writers_at_the_same_time_are_all_on_disk_when_they_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let (ledger, _) = Ledger::open(&path).unwrap();
        let writers = (0..50_u32).map(|n| {
            let (ledger, path) = (ledger.clone(), path.clone());
            tokio::spawn(async move {
                ledger.write(vec![entry(&format!("i-{n}"), Some(n))]).wait().await.unwrap();
                assert!(fs::read_to_string(path).unwrap().contains(&format!("+i-{n} {n}\n")));
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_write_that_fails_is_told_and_made_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/records");
        fs::create_dir(dir.path().join("sub")).unwrap();
        let (ledger, _) = Ledger::open(&path).unwrap();
        ledger.write(vec![entry("i-0", Some(0))]).wait().await.unwrap();
        ledger.0.file.lock().await.break_for_test();
        let failed = ledger.write(vec![entry("i-1", Some(1)), entry("i-2", Some(1))]).wait().await;
        assert!(matches!(failed, Err(LedgerError::Io { doing: "write", .. })), "{failed:?}");
        // What failed goes with the next write, unless that one is newer.
        ledger.write(vec![entry("i-2", Some(2))]).wait().await.unwrap();
        assert_eq!(Ledger::open(&path).unwrap().1, texts(&[("i-0", "0"), ("i-1", "1"), ("i-2", "2")]));
    }
}
