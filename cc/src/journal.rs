//! What must outlive a restart, on disk: what is believed of each instance, each registered node, and why
//! instances were placed where they were.
//! Locks the state directory; how a record becomes durable is the ledger's. Knows nothing of what the
//! records mean.
//!
//! ```text
//! STATE_DIR/lock       held as long as we run: no second controller on this state
//! STATE_DIR/records    the ledger (mode 0600: it has user data and certificates)
//! ```

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ironbark_wsdl::ledger::{Entry, Ledger, LedgerError, Saved};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why the state cannot be read or written.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    /// Another controller has it.
    #[error("{0} is in use by another cluster controller: end that one first, or give this one a state_dir of its own")]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot {doing} {path}: {why}")]
    Io {
        /// `make`, `lock` ...
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The records cannot be read or written.
    #[error(transparent)]
    Records(#[from] LedgerError),
    /// A record is not as this program writes them.
    #[error("the record {key} is not as this program writes them ({why}): start the version that wrote it")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An instance.
    Instance,
    /// A registered node.
    Node,
    /// A decision about an instance's place.
    Placement,
    /// What the cloud said of an instance before it launched it.
    Terms,
    /// A node that is to get no new instances.
    Drain,
}

impl Kind {
    /// The beginning of its keys.
    fn prefix(self) -> &'static str {
        match self {
            Kind::Instance => "instances/",
            Kind::Node => "nodes/",
            Kind::Placement => "placements/",
            // Their name from when placement groups were all that was said.
            Kind::Terms => "members/",
            Kind::Drain => "drains/",
        }
    }

    /// The entry that keeps `value` as the record of that name, or forgets it. The name is an id that
    /// was checked.
    pub fn entry<T: Serialize>(self, name: &str, value: Option<&T>) -> Entry {
        Entry::of(format!("{}{name}", self.prefix()), value)
    }
}

/// The records, and the lock on their directory, held until this is dropped.
#[derive(Debug)]
pub struct Journal {
    ledger: Ledger,
    found: BTreeMap<String, String>,
    _lock: Flock<File>,
}

impl Journal {
    /// Makes the directory where it is absent (mode 0700), takes the lock and reads the records.
    ///
    /// # Errors
    /// [`JournalError::InUse`] when another process has the lock; otherwise as the system says.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| failed("make", directory, &error))?;
        let path = directory.join("lock");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| failed("open", &path, &error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => JournalError::InUse(directory.to_path_buf()),
            other => failed("lock", &path, &io::Error::from(other)),
        })?;
        let (ledger, found) = Ledger::open(&directory.join("records"))?;
        Ok(Self { ledger, found, _lock: lock })
    }

    /// The records of a kind that were there at the start, in the order of their names.
    ///
    /// # Errors
    /// [`JournalError::Unreadable`] for one that is not what we wrote.
    pub fn load<T: DeserializeOwned>(&self, kind: Kind) -> Result<Vec<T>, JournalError> {
        let read = |(key, text): (&String, &String)| {
            serde_json::from_str(text)
                .map_err(|error| JournalError::Unreadable { key: key.clone(), why: error.to_string() })
        };
        self.found.iter().filter(|(key, _)| key.starts_with(kind.prefix())).map(read).collect()
    }

    /// Hands entries in. They are on disk when the returned [`Saved`] says so.
    pub fn write(&self, entries: Vec<Entry>) -> Saved {
        self.ledger.write(entries)
    }
}

fn failed(doing: &'static str, path: &Path, error: &io::Error) -> JournalError {
    JournalError::Io { doing, path: path.to_path_buf(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_kind_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let entries = vec![Kind::Instance.entry("i-1", Some(&1)), Kind::Node.entry("n1", Some(&"x"))];
        journal.write(entries).wait().await.unwrap();
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.load::<u32>(Kind::Instance).unwrap(), [1]);
        assert_eq!(journal.load::<String>(Kind::Node).unwrap(), ["x"]);
        let error = journal.load::<u32>(Kind::Node).unwrap_err().to_string();
        assert!(error.contains("nodes/n1"), "{error}");
    }

    #[test]
    fn a_second_controller_is_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let first = Journal::open(dir.path()).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::InUse(_))));
        drop(first);
        assert!(Journal::open(dir.path()).is_ok());
    }
}
