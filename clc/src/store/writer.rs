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

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
                 CREATE TABLE things (
                     id INTEGER PRIMARY KEY,
                     parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
                 ) STRICT;",
            )
            .unwrap();
        Writer::start(connection).unwrap()
    }

    async fn insert(writer: &Writer, id: i64, parent: Option<i64>) -> Result<(), StoreError> {
        let work = move |tx: &Connection| {
            tx.execute("INSERT INTO things (id, parent) VALUES (?1, ?2)", (id, parent))?;
            Ok(())
        };
        writer.run(work).await
    }

    async fn count(writer: &Writer) -> i64 {
        let work = |tx: &Connection| Ok(tx.query_row("SELECT count(*) FROM things", [], |row| row.get(0))?);
        writer.run(work).await.unwrap()
    }

    /// Runs `jobs` in one group: the thread is held up until all of them wait.
    async fn in_one_group(writer: &Writer, jobs: Vec<(i64, Option<i64>)>) -> Vec<Result<(), StoreError>> {
        let (go, wait) = channel::<()>();
        let holding = tokio::spawn({
            let writer = writer.clone();
            async move { writer.run(move |_| wait.recv().map_err(|_| StoreError::Closed)).await }
        });
        // The queue is in the order of sending, and `run` sends when it is first polled.
        tokio::task::yield_now().await;
        let mut answers = Vec::new();
        for (id, parent) in jobs {
            let writer = writer.clone();
            answers.push(tokio::spawn(async move { insert(&writer, id, parent).await }));
        }
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        // It may share the group, and its fate.
        drop(holding.await.unwrap());
        let mut results = Vec::new();
        for answer in answers {
            results.push(answer.await.unwrap());
        }
        results
    }

    #[tokio::test]
    async fn what_is_not_committed_is_not_acknowledged() {
        let writer = writer();
        // The deferred reference fails at COMMIT, after every job of the group has succeeded.
        let results = in_one_group(&writer, vec![(1, None), (2, Some(99)), (3, None)]).await;
        assert!(results.iter().all(|result| matches!(result, Err(StoreError::Lost(_)))), "{results:?}");
        assert_eq!(count(&writer).await, 0);
        insert(&writer, 4, None).await.unwrap();
        assert_eq!(count(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_job_that_fails_or_panics_is_alone() {
        let writer = writer();
        let results = in_one_group(&writer, vec![(1, None), (1, None), (2, None)]).await;
        assert!(results[0].is_ok() && results[2].is_ok());
        assert!(matches!(results[1], Err(StoreError::Sqlite(_))));
        let panicking = writer.run::<(), _>(|tx| {
            tx.execute("INSERT INTO things (id) VALUES (3)", [])?;
            panic!("a test of panics");
        });
        assert!(matches!(panicking.await, Err(StoreError::Panicked)));
        assert_eq!(count(&writer).await, 2);
    }
}
