//! What must outlive a restart, on disk: one file for each instance and each registered node, so
//! that a change costs one small write whatever the size of the cluster. Whoever waits first writes
//! for all who wait (group commit), and what was handed in later never loses against what was
//! handed in before. Knows nothing of what the texts mean.
//!
//! ```text
//! STATE_DIR/lock                 held as long as we run: no second controller on this state
//! STATE_DIR/instances/ID.json    what is believed of an instance (mode 0600: it has user data)
//! STATE_DIR/nodes/NAME.json      a registered node with its certificate
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Ending of a file that is being written; such a file is not read at start.
const PARTIAL: &str = "partial";

/// Why the state cannot be read or written.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    /// Another controller has it.
    #[error("{0} is in use by another cluster controller: end that one first, or give this one a state_dir of its own")]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot {doing} {path}: {why}")]
    Io {
        /// `write`, `read` ...
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file is not what we wrote.
    #[error("{path} is damaged ({why}): move it away and start again; what its node reports will be believed instead")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The two kinds of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An instance.
    Instance,
    /// A registered node.
    Node,
}

/// One file to write, or with `None` to remove.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name without ending; an id that was checked.
    pub name: String,
    /// Its text.
    pub text: Option<String>,
}

/// The state directory, locked for this process until the journal and every [`Saved`] are gone.
#[derive(Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    queue: Mutex<Queue>,
    /// Held while a batch is being written, by the writing closure itself: a waiter that gives up
    /// does not let a second batch overtake the first.
    writing: Arc<tokio::sync::Mutex<()>>,
    _lock: Flock<File>,
}

/// The last text of each file that is not on disk yet; `None` for one that is to go.
#[derive(Debug, Default)]
struct Queue {
    files: Files,
    /// Number of the latest write that was handed in.
    latest: u64,
    /// Number of the latest write that is on disk, with all before it.
    on_disk: u64,
}

type Files = BTreeMap<(Kind, String), Option<String>>;

/// A write that was handed in. Wait for it before acknowledging what it records.
#[must_use = "what is not waited for may not be on disk"]
pub struct Saved {
    inner: Arc<Inner>,
    number: u64,
}

impl Kind {
    fn directory(self) -> &'static str {
        match self {
            Kind::Instance => "instances",
            Kind::Node => "nodes",
        }
    }
}

impl Entry {
    /// The entry that writes `value` as JSON, or removes the file.
    pub fn of<T: Serialize>(kind: Kind, name: &str, value: Option<&T>) -> Self {
        let text = value
            .map(|value| serde_json::to_string_pretty(value).expect("our own plain structs have string keys only"));
        Self { kind, name: name.to_string(), text }
    }
}

impl Journal {
    /// Makes the directories where they are absent (mode 0700) and takes the lock.
    ///
    /// # Errors
    /// [`JournalError::InUse`] when another process has the lock; otherwise as the system says.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        for sub in ["", Kind::Instance.directory(), Kind::Node.directory()] {
            let path = directory.join(sub);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|error| failed("make", &path, &error))?;
        }
        let path = directory.join("lock");
        let file = private().create(true).truncate(false).open(&path).map_err(|error| failed("open", &path, &error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => JournalError::InUse(directory.to_path_buf()),
            other => failed("lock", &path, &io::Error::from(other)),
        })?;
        let directory = directory.to_path_buf();
        let (queue, writing) = (Mutex::default(), Arc::default());
        Ok(Self(Arc::new(Inner { directory, queue, writing, _lock: lock })))
    }

    /// Reads all files of a kind, in the order of their names. Half-written ones are removed.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] for a file that is not what we wrote.
    pub fn load<T: DeserializeOwned>(&self, kind: Kind) -> Result<Vec<T>, JournalError> {
        let directory = self.0.directory.join(kind.directory());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(|error| failed("read", &directory, &error))? {
            let path = entry.map_err(|error| failed("read", &directory, &error))?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("json") => {
                    let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
                    let value = serde_json::from_str(&text)
                        .map_err(|error| JournalError::Damaged { path: path.clone(), why: error.to_string() })?;
                    files.insert(path, value);
                }
                Some(PARTIAL) => fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?,
                _ => {}
            }
        }
        Ok(files.into_values().collect())
    }

    /// Hands entries in. They are on disk when the returned [`Saved`] says so.
    pub fn write(&self, entries: Vec<Entry>) -> Saved {
        let mut queue = self.0.queue();
        if !entries.is_empty() {
            queue.latest += 1;
            queue.files.extend(entries.into_iter().map(|entry| ((entry.kind, entry.name), entry.text)));
        }
        Saved { inner: self.0.clone(), number: queue.latest }
    }
}

impl Saved {
    /// Waits until the write is on disk.
    ///
    /// # Errors
    /// As the system said. What could not be written is kept, and goes with the next write.
    pub async fn wait(self) -> Result<(), JournalError> {
        if self.inner.queue().on_disk >= self.number {
            return Ok(());
        }
        let turn = self.inner.writing.clone().lock_owned().await;
        if self.inner.queue().on_disk >= self.number {
            return Ok(()); // whoever wrote before us took ours along
        }
        let inner = self.inner.clone();
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            inner.write_batch()
        });
        written.await.unwrap_or_else(|error| {
            let path = self.inner.directory.clone();
            Err(JournalError::Io { doing: "write", path, why: format!("the writing broke off: {error}") })
        })
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all that was handed in; puts it back if that fails.
    fn write_batch(&self) -> Result<(), JournalError> {
        let (files, number) = {
            let mut queue = self.queue();
            (std::mem::take(&mut queue.files), queue.latest)
        };
        let result = write_all(&self.directory, &files);
        let mut queue = self.queue();
        match result {
            Ok(()) => queue.on_disk = number,
            Err(_) => {
                // A text handed in meanwhile is newer than the one that failed.
                let newer = std::mem::replace(&mut queue.files, files);
                queue.files.extend(newer);
            }
        }
        result
    }
}

/// Writes each file, and flushes each directory once.
fn write_all(root: &Path, files: &Files) -> Result<(), JournalError> {
    let mut touched = BTreeMap::new();
    for ((kind, name), text) in files {
        let directory = root.join(kind.directory());
        let path = directory.join(format!("{name}.json"));
        match text {
            Some(text) => replace(&path, text)?,
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, &error)),
                _ => {}
            },
        }
        touched.insert(*kind, directory);
    }
    for directory in touched.values() {
        // A rename is durable once its directory is.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed("flush", directory, &error))?;
    }
    Ok(())
}

/// Writes a file so that a reader, after any crash, finds the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<(), JournalError> {
    let partial = path.with_extension(PARTIAL);
    let write = || {
        let mut file = private().create(true).truncate(true).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| failed("write", path, &error))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn failed(doing: &'static str, path: &Path, error: &io::Error) -> JournalError {
    JournalError::Io { doing, path: path.to_path_buf(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(name: &str, value: Option<u32>) -> Entry {
        Entry::of(Kind::Instance, name, value.as_ref())
    }

    #[tokio::test]
    async fn what_was_waited_for_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.write(vec![entry("i-1", Some(1)), entry("i-2", Some(2))]).wait().await.unwrap();
        journal.write(vec![entry("i-1", None), entry("i-3", Some(3))]).wait().await.unwrap();
        let file = dir.path().join("instances/i-2.json");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.load::<u32>(Kind::Instance).unwrap(), [2, 3]);
        assert!(journal.load::<u32>(Kind::Node).unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_last_of_many_writes_wins_and_all_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let saved: Vec<Saved> = (0..100).map(|value| journal.write(vec![entry("i-1", Some(value))])).collect();
        for saved in saved {
            saved.wait().await.unwrap();
        }
        assert_eq!(journal.load::<u32>(Kind::Instance).unwrap(), [99]);
    }

    #[test]
    fn a_second_controller_is_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let first = Journal::open(dir.path()).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::InUse(_))));
        drop(first);
        assert!(Journal::open(dir.path()).is_ok());
    }

    #[test]
    fn a_half_written_file_is_passed_over_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        fs::write(dir.path().join("instances/i-1.partial"), "12").unwrap();
        assert!(journal.load::<u32>(Kind::Instance).unwrap().is_empty());
        assert!(!dir.path().join("instances/i-1.partial").exists());
        fs::write(dir.path().join("instances/i-1.json"), "{").unwrap();
        let error = journal.load::<u32>(Kind::Instance).unwrap_err().to_string();
        assert!(error.contains("i-1.json") && error.contains("move it away"), "{error}");
    }

    #[tokio::test]
    async fn a_write_that_fails_is_told_and_made_good() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        fs::remove_dir(dir.path().join("instances")).unwrap();
        let error = journal.write(vec![entry("i-1", Some(1)), entry("i-2", Some(1))]).wait().await.unwrap_err();
        assert!(matches!(error, JournalError::Io { doing: "write", .. }), "{error}");
        // What failed goes with the next write, unless that one is newer.
        fs::create_dir(dir.path().join("instances")).unwrap();
        journal.write(vec![entry("i-2", Some(2))]).wait().await.unwrap();
        assert_eq!(journal.load::<u32>(Kind::Instance).unwrap(), [1, 2]);
    }
}
