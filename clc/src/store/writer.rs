//! The one thread that writes. Jobs that wait together share a transaction, and so one flush to
//! the disk (group commit); each has a savepoint of its own, so one that fails takes nothing of
//! the others with it. No job is answered before COMMIT has returned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

/// Most jobs that share a transaction. More than this makes the first of them wait for nothing.
const GROUP: usize = 128;

/// Sends jobs to the writing thread, which ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub(super) struct Writer(Sender<Box<dyn Job>>);

/// A job: done within the transaction, answered after it.
trait Job: Send {
    /// Does the work; true if what it wrote is to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers. `lost` is why the transaction was not committed, if it was not.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        // A job that panics must not take the store with it: its savepoint is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or(Err(StoreError::Panicked));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let result = match (lost, self.result) {
            (None, Some(result)) | (Some(_), Some(result @ Err(_))) => result,
            (Some(reason), _) => Err(StoreError::Lost(reason.to_string())),
            (None, None) => Err(StoreError::Lost("the job did not run".to_string())),
        };
        // Nobody waits any more: the caller's deadline passed. What is committed stays.
        drop(self.reply.send(result));
    }
}

impl Writer {
    /// Starts the thread over a connection of its own.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("store-writer".to_string())
            .spawn(move || write_all(&connection, &receiver))
            .map_err(StoreError::Thread)?;
        Ok(Self(sender))
    }

    /// Runs `work` in a transaction and gives its result once that is on the disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task { work: Some(work), result: None, reply };
        self.0.send(Box::new(task)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn write_all(connection: &Connection, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            let Ok(job) = jobs.try_recv() else { break };
            group.push(job);
        }
        let lost = write_group(connection, &mut group).err().map(|error| error.to_string());
        if let Some(reason) = &lost {
            tracing::error!(event = "store.lost", jobs = group.len(), reason);
            // Whatever state it was left in, the next group begins outside a transaction.
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("ROLLBACK")
            {
                tracing::error!(event = "store.rollback", %error);
            }
        }
        for job in group {
            job.answer(lost.as_deref());
        }
    }
}

fn write_group(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in group {
        connection.execute_batch("SAVEPOINT job")?;
        if !job.run(connection) {
            connection.execute_batch("ROLLBACK TO job")?;
        }
        connection.execute_batch("RELEASE job")?;
    }
    connection.execute_batch("COMMIT")
}
