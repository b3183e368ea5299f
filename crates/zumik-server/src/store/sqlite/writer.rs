//! Writes: one thread takes what is queued, runs it in one transaction and answers after the commit, so
//! that many operations share one flush of the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Log;
use super::lookups::index_waiting_keys;
use super::{Db, Env};
use crate::store::{Result, StoreError};

/// Operations that share one transaction at most.
const GROUP: usize = 256;

/// Operations that may wait; beyond that the server is overloaded and says so.
const QUEUE: usize = 8192;

/// The queue to the writer thread.
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Task>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Task {
    Write(Box<dyn Write>),
    /// Empties the log of the database into its file.
    Truncate(oneshot::Sender<Result<bool>>),
}

/// A queued operation. It may run more than once: when another one of its group fails, the whole group is
/// rolled back and each runs again alone.
trait Write: Send {
    fn run(&mut self, db: &Db<'_>) -> Verdict;
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

#[derive(PartialEq, Eq)]
enum Verdict {
    /// It did what it was asked, or refused to before it wrote anything.
    Settled,
    /// It failed, and may have written a part.
    Failed,
}

struct Queued<T, F> {
    work: F,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&Db<'_>) -> Result<T> + Send> Write for Queued<T, F> {
    fn run(&mut self, db: &Db<'_>) -> Verdict {
        let before = db.conn.total_changes();
        let work = &mut self.work;
        let result = catch_unwind(AssertUnwindSafe(|| work(db)))
            .unwrap_or_else(|_| Err(StoreError::internal("a write panicked")));
        let settled = match &result {
            Ok(_) => true,
            Err(StoreError::Unavailable(_)) => {
                db.env.disk.failed(db.conn);
                false
            }
            Err(StoreError::Internal(_)) => false,
            Err(_) => db.conn.total_changes() == before,
        };
        self.result = Some(result);
        if settled { Verdict::Settled } else { Verdict::Failed }
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let result = match (failure, self.result) {
            // Refusals too: what they saw went with the transaction.
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => result,
            (None, None) => Err(StoreError::internal("a write was never run")),
        };
        // The caller may be gone; what is committed stays committed.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(conn: Connection, env: Arc<Env>, log: Log) -> std::io::Result<Self> {
        let (queue, tasks) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("zumik-writer".to_owned())
            .spawn(move || work(&conn, &env, &tasks, log))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Queues an operation and waits until it is committed. `work` may be called more than once.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.queue(Task::Write(Box::new(Queued { work, result: None, reply })))?;
        answer.await.map_err(StoreError::outcome_unknown)?
    }

    /// Empties the log of the database into its file, after everything queued before. Whether it is empty:
    /// not when a reader held on to it for too long.
    pub(super) async fn truncate_log(&self) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        self.queue(Task::Truncate(reply))?;
        answer.await.map_err(StoreError::unavailable)?
    }

    fn queue(&self, task: Task) -> Result<()> {
        let queue = self.queue.lock();
        let Some(queue) = &*queue else {
            return Err(StoreError::unavailable("the store is closed"));
        };
        queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::unavailable("too many writes are waiting"),
            TrySendError::Disconnected(_) => StoreError::unavailable("the writer has stopped"),
        })
    }

    /// Takes no more operations, finishes those queued, and closes the connection.
    pub(super) fn close(&self) {
        self.queue.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended with a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(conn: &Connection, env: &Env, tasks: &Receiver<Task>, mut log: Log) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(task) = tasks.recv() {
        let mut next = Some(task);
        while let Some(task) = next.take() {
            match task {
                Task::Write(write) => group.push(write),
                Task::Truncate(reply) => {
                    commit_group(conn, env, &mut group);
                    let _ = reply.send(log.truncate(conn));
                }
            }
            if group.len() < GROUP {
                next = tasks.try_recv().ok();
            }
        }
        commit_group(conn, env, &mut group);
        if let Err(error) = index_waiting_keys(conn, env) {
            tracing::warn!(%error, "the index of idempotency keys could not be written");
        }
        log.watch(conn);
    }
    log.close(conn);
}

fn commit_group(conn: &Connection, env: &Env, group: &mut Vec<Box<dyn Write>>) {
    if group.is_empty() {
        return;
    }
    let db = Db::new(conn, env);
    let together = begin(conn).and_then(|()| {
        if group.iter_mut().all(|write| write.run(&db) == Verdict::Settled) {
            commit(&db)?;
            Ok(true)
        } else {
            rollback(&db);
            Ok(false)
        }
    });
    match together {
        Ok(true) => group.drain(..).for_each(|write| write.answer(None)),
        Ok(false) if group.len() == 1 => group.drain(..).for_each(|write| write.answer(None)),
        Ok(false) => group.drain(..).for_each(|write| commit_alone(&db, write)),
        Err(error) => {
            env.disk.failed(conn);
            tracing::error!(%error, operations = group.len(), "a transaction failed");
            let message = error.to_string();
            group.drain(..).for_each(|write| write.answer(Some(StoreError::unavailable(message.clone()))));
        }
    }
}

fn commit_alone(db: &Db<'_>, mut write: Box<dyn Write>) {
    let done = begin(db.conn).and_then(|()| match write.run(db) {
        Verdict::Settled => commit(db),
        Verdict::Failed => {
            rollback(db);
            Ok(())
        }
    });
    if done.is_err() {
        db.env.disk.failed(db.conn);
    }
    write.answer(done.err().map(StoreError::from));
}

fn begin(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
}

fn commit(db: &Db<'_>) -> rusqlite::Result<()> {
    let committed = db.conn.prepare_cached("COMMIT")?.execute([]).map(drop);
    match committed {
        Ok(()) => {
            db.env.lookups.lock().commit();
            db.env.disk.committed(db.conn);
        }
        Err(_) => rollback(db),
    }
    committed
}

fn rollback(db: &Db<'_>) {
    db.env.lookups.lock().rollback();
    db.env.disk.rolled_back(db.conn);
    // Some errors have rolled back already.
    if !db.conn.is_autocommit()
        && let Err(error) = db.conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{Options, SqliteStore};
    use super::*;

    fn insert(db: &Db<'_>, name: &str) -> Result<()> {
        let key: [u8; 16] = db.env.mint.ulid(db.env.clock.now()).to_bytes();
        db.run(
            "INSERT INTO projects (public_id, name, created_at) VALUES (?1, ?2, 0)",
            rusqlite::params![key, name],
        )
        .map(drop)
    }

    /// A store whose writer waits until the sender is dropped, so that what is queued becomes one group.
    async fn held() -> (tempfile::TempDir, Arc<SqliteStore>, mpsc::Sender<()>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(Options::new(folder.path())).await.unwrap());
        let (release, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let holder = Arc::clone(&store);
        tokio::spawn(async move {
            let _ = holder.writer.write(move |_| Ok(wait.lock().recv().is_err())).await;
        });
        tokio::task::yield_now().await;
        (folder, store, release)
    }

    fn names(store: &SqliteStore) -> Vec<String> {
        store
            .readers
            .now(|db| db.all("SELECT name FROM projects ORDER BY name", [], |row| row.get(0)))
            .unwrap()
    }

    #[tokio::test]
    async fn a_write_that_fails_takes_no_other_of_its_group_with_it() {
        let (_folder, store, release) = held().await;
        let good = store.writer.write(|db| insert(db, "good"));
        let panicking = store.writer.write(|db| -> Result<()> {
            insert(db, "panicking")?;
            panic!("planned");
        });
        let failing = store.writer.write(|db| -> Result<()> {
            insert(db, "failing")?;
            Err(StoreError::internal("planned"))
        });
        let refusing_late = store.writer.write(|db| -> Result<()> {
            insert(db, "refusing")?;
            Err(StoreError::KeyReused)
        });
        let refusing = store.writer.write(|_| -> Result<()> { Err(StoreError::InFlight) });
        let later = store.writer.write(|db| insert(db, "later"));
        let all = async { tokio::join!(good, panicking, failing, refusing_late, refusing, later) };
        let (results, ()) = tokio::join!(all, async { drop(release) });
        let (good, panicking, failing, refusing_late, refusing, later) = results;
        assert!(good.is_ok() && later.is_ok());
        assert!(matches!(panicking, Err(StoreError::Internal(_))), "{panicking:?}");
        assert!(matches!(failing, Err(StoreError::Internal(_))), "{failing:?}");
        assert!(matches!(refusing_late, Err(StoreError::KeyReused)), "{refusing_late:?}");
        assert!(matches!(refusing, Err(StoreError::InFlight)), "{refusing:?}");
        assert_eq!(names(&store), ["good", "later"]);
    }

    #[tokio::test]
    async fn nobody_is_refused_for_what_was_never_committed() {
        let (_folder, store, release) = held().await;
        // The check of the foreign key comes with the commit, and fails it.
        let doomed = store.writer.write(|db| {
            insert(db, "doomed")?;
            db.conn.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            db.run("INSERT INTO bundle_items (bundle, position, artifact, role) VALUES (7, 1, 7, '')", [])
        });
        let refused = store.writer.write(|db| -> Result<()> {
            let found = db.one("SELECT 1 FROM projects WHERE name = 'doomed'", [], |_| Ok(()))?;
            found.map_or(Ok(()), |()| Err(StoreError::KeyReused))
        });
        let (results, ()) = tokio::join!(async { tokio::join!(doomed, refused) }, async { drop(release) });
        assert!(results.0.is_err(), "{:?}", results.0);
        assert!(!matches!(results.1, Err(StoreError::KeyReused)), "{:?}", results.1);
        assert!(names(&store).is_empty());
    }

    #[tokio::test]
    async fn what_is_queued_at_the_close_is_finished() {
        let (_folder, store, release) = held().await;
        let writing = Arc::clone(&store);
        let write = tokio::spawn(async move { writing.writer.write(|db| insert(db, "queued")).await });
        tokio::task::yield_now().await;
        let closing = Arc::clone(&store);
        let close = tokio::task::spawn_blocking(move || closing.writer.close());
        drop(release);
        close.await.unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(names(&store), ["queued"]);
    }
}
