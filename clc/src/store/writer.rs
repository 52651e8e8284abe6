//! The one connection that writes. Jobs that wait together share a transaction, and so one flush to
//! the disk (group commit); each has a savepoint of its own, so one that fails takes nothing of
//! the others with it. No job is answered before COMMIT has returned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use ironbark_wsdl::blocking;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

/// Most jobs that share a transaction. More than this makes the first of them wait for nothing.
const GROUP: usize = 128;

/// Takes jobs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer(Arc<Inner>);

struct Inner {
    connection: Mutex<Connection>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Job>>,
    /// Somebody writes until nothing waits.
    writing: bool,
}

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
    /// Writes over a connection of its own.
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(Inner { connection: Mutex::new(connection), queue: Mutex::default() }))
    }

    /// Runs `work` in a transaction and gives its result once that is on the disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        if self.0.hand_in(Box::new(Task { work: Some(work), result: None, reply })) {
            let inner = self.0.clone();
            // Not waited for: it has the jobs of others too, who must not wait for ever if we go away.
            blocking::spawn(move || inner.write_all());
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Inner {
    /// Takes a job; true if nobody writes, so that the caller must see to it.
    fn hand_in(&self, job: Box<dyn Job>) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push(job);
        !std::mem::replace(&mut queue.writing, true)
    }

    /// The next jobs that share a transaction; when there are none, nobody writes any more.
    fn next_group(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let count = queue.waiting.len().min(GROUP);
        queue.writing = count > 0;
        queue.writing.then(|| queue.waiting.drain(..count).collect())
    }

    fn write_all(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(group) = self.next_group() {
            // A panic ends this group, whose jobs hear that nobody answers them, and not the writing for all others.
            if catch_unwind(AssertUnwindSafe(|| write_and_answer(&connection, group))).is_err() {
                tracing::error!(event = "store.lost", reason = "a panic; what became of these jobs is not known");
                end_transaction(&connection);
            }
        }
    }
}

fn write_and_answer(connection: &Connection, mut group: Vec<Box<dyn Job>>) {
    let lost = write_group(connection, &mut group).err().map(|error| error.to_string());
    if let Some(reason) = &lost {
        tracing::error!(event = "store.lost", jobs = group.len(), reason);
        end_transaction(connection);
    }
    for job in group {
        job.answer(lost.as_deref());
    }
}

/// Whatever state it was left in, the next group begins outside a transaction.
fn end_transaction(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(event = "store.rollback", %error);
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
    use std::sync::mpsc::channel;

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
        Writer::new(connection)
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

    /// A result that cannot even be thrown away.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a test of panics");
        }
    }

    #[tokio::test]
    async fn a_panic_outside_a_job_leaves_nobody_waiting() {
        let writer = writer();
        let (go, wait) = channel::<()>();
        let nobody_waits = tokio::spawn({
            let writer = writer.clone();
            let work = move |_: &Connection| {
                let _ = wait.recv();
                Ok(Bomb)
            };
            async move { writer.run(work).await.map(std::mem::forget) }
        });
        tokio::task::yield_now().await;
        nobody_waits.abort();
        assert!(nobody_waits.await.is_err());
        go.send(()).unwrap();
        // It may share the group, whose end nobody tells; the next one does not.
        drop(insert(&writer, 1, None).await);
        insert(&writer, 2, None).await.unwrap();
    }
}
