//! The records: one SQLite file, one writing connection, a few reading ones. Callers see whole
//! use-cases as methods, a file per aggregate; there is no SQL outside this directory.
//!
//! An acknowledged write is on the disk (`synchronous=FULL`; group commit pays for it). The file
//! holds access keys' secrets, sealed (`vault`), and much else: it must belong to us with mode 0600.

mod accounts;
mod addresses;
mod clusters;
mod credentials;
mod history;
mod images;
mod instances;
mod keys;
mod placement_groups;
mod progress;
mod quotas;
mod reports;
mod requests;
mod reservations;
mod schema;
mod security_groups;
mod tags;
mod user_groups;
mod users;
mod vault;
mod writer;
mod zone_choices;

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ironbark_wsdl::{Context, blocking};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, Row};
use thiserror::Error;
use tokio::sync::Semaphore;

pub use accounts::{Account, Scope};
pub use addresses::{Address, Allocated, Association};
pub use clusters::Cluster;
pub use credentials::{AccessKey, Certificate};
pub use history::{Deed, Entry, Learnt};
pub use images::{Image, ImageUpdate, Registered};
pub use instances::{Attributes, Instance, Reason, Resized};
pub use keys::KeyPair;
pub use placement_groups::{PlacementGroup, Undeletable};
pub use progress::{Change, Refused};
pub use quotas::{Excess, Quantity, Quota, Setting, of_instances};
pub use reports::{OnFailure, Report, Reported};
pub use requests::AnsweredRequest;
pub use reservations::{Idempotency, Launch, Reservation, Reserved};
pub use security_groups::{GroupRefused, MAX_GROUPS, MAX_RULES};
pub use tags::Untaggable;
pub use user_groups::UserGroup;
pub use users::{Member, NewUser, User, UserCredentials};
pub use zone_choices::{Move, ZoneChoice, ZoneVerdict};

use vault::Vault;
use writer::Writer;

/// Reading connections: enough to keep both cores of a small controller busy.
const READERS: usize = 4;

/// Why the store did not do it. What a use-case refuses is in its own result instead.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error("cannot open the records at {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file, which holds secrets, can be read by others or belongs to another.
    #[error("the records at {} hold secrets, but have mode {mode:04o}: run `chmod 600 {}`", path.display(), path.display())]
    Readable {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is gone that opens the secrets.
    #[error("{} is not there, and without it no access key can be used: put it back from where cloud.db came from", .0.display())]
    NoSecretsKey(PathBuf),
    /// A secret was sealed with another key, or changed.
    #[error("the secret of access key {0} cannot be opened: secrets.key is not the file that belongs to this cloud.db")]
    Unsealable(String),
    /// The file was written by a newer program.
    #[error("the records have schema {found}, and this program knows up to {known}: use the newer program")]
    Newer {
        /// Its `user_version`.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// SQLite refused.
    #[error("the database refused")]
    Sqlite(#[from] rusqlite::Error),
    /// A row holds what this program never writes.
    #[error("a record is not as this program writes them: {0}")]
    Corrupt(String),
    /// The transaction could not be committed; nothing of it happened.
    #[error("the transaction was not committed: {0}")]
    Lost(String),
    /// A use-case panicked; nothing of it happened.
    #[error("a use-case of the store panicked")]
    Panicked,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// The records of the cloud. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Arc<Readers>,
    vault: Arc<Vault>,
}

struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Store {
    /// Opens the file, makes it if it is not there, and brings it to the newest schema.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read, is readable by others, or is of a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        secure(path)?;
        let mut connection = Connection::open(path)?;
        tune(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let vault = Arc::new(Vault::open(path, vault::is_empty(&connection)?)?);
        vault.lend(&connection)?;
        schema::migrate(&mut connection)?;
        vault.check(&connection)?;
        let free = (0..READERS).map(|_| reader(path)).collect::<Result<Vec<_>, _>>()?;
        let readers = Readers { free: Mutex::new(free), permits: Semaphore::new(READERS) };
        Ok(Self { writer: Writer::new(connection), readers: Arc::new(readers), vault })
    }

    /// Runs a use-case that writes; its result is given when it is on the disk.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let result = self.writer.run(work);
        within_span("clc.store.write", result).await
    }

    /// Runs a use-case that only reads, in one snapshot.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let result = async {
            let _permit = self.readers.permits.acquire().await.map_err(|_| StoreError::Closed)?;
            blocking::spawn(move || {
                let mut lease = Lease::of(readers)?;
                let snapshot = lease.connection().transaction()?;
                work(&snapshot)
            })
            .await
            .map_err(|_| StoreError::Panicked)?
        };
        within_span("clc.store.read", result).await
    }
}

/// Waits for a use-case as a step of the request that it is part of, if it is part of one.
async fn within_span<T>(name: &str, result: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let span = Context::present().map(|ctx| ctx.start(name, ""));
    let result = result.await;
    if let Some(span) = span {
        span.finish(result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_string()));
    }
    result
}

/// A reading connection on loan; it goes back even if the work panics.
struct Lease {
    connection: Option<Connection>,
    readers: Arc<Readers>,
}

impl Lease {
    fn of(readers: Arc<Readers>) -> Result<Self, StoreError> {
        let connection = readers.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self { connection: Some(connection.ok_or(StoreError::Closed)?), readers })
    }

    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("only drop takes it")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// The cells of a row from left to right. Looking each column up by its name would take longer than reading
/// a whole row.
struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }
}

/// Makes the file with mode 0600 if it is not there, and refuses one that others can read. SQLite
/// gives its `-wal` and `-shm` files the same mode.
fn secure(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Open { path: path.to_path_buf(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() == 0 {
        // Ours and new: the process's umask may have taken bits away, but never added any.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        return Ok(());
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::Readable { path: path.to_path_buf(), mode });
    }
    Ok(())
}

fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    tune(&connection)?;
    Ok(connection)
}

fn tune(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// True if the error says that such a row is there already.
fn is_duplicate(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|error| error.extended_code),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
    )
}
