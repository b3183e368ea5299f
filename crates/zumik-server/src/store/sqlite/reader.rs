//! Reads: each on a connection of its own, within one transaction, so it sees one moment. Reports, which may be long, have
//! permits of their own, and end when nobody waits for them any more.

use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::connection::open_reader;
use super::{Db, Env};
use crate::blocking::blocking;
use crate::store::{Result, StoreError};

/// Reads at one time, and connections kept open while idle. Reads in line are not counted: there are as many
/// as there are threads that serve requests.
const READERS: usize = 8;

/// Reports at one time, beside the other reads. Each keeps a processor busy.
const REPORTS: usize = 2;

/// Steps of SQLite between two looks at whether a report may go on: less than a millisecond of work.
const STEPS: c_int = 10_000;

/// Connections for reading, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    env: Arc<Env>,
    /// Nothing once closed.
    idle: Mutex<Option<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    reports: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, env: Arc<Env>) -> Self {
        Self {
            path,
            env,
            idle: Mutex::new(Some(Vec::new())),
            permits: Arc::new(Semaphore::new(READERS)),
            reports: Arc::new(Semaphore::new(REPORTS)),
        }
    }

    /// Reads in line. For one short query.
    pub(super) fn now<T>(&self, read: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        let conn = self.connection()?;
        let result = self.transaction(&conn, read);
        self.keep(conn);
        result
    }

    /// Reads on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(StoreError::unavailable)?;
        self.block(permit, move |readers| readers.now(read)).await
    }

    /// Reads on a thread that may block, beside the other reads, until a time at most.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] when the time has come.
    pub(super) async fn report<T: Send + 'static>(
        self: &Arc<Self>,
        until: Instant,
        read: impl FnOnce(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.reports).acquire_owned();
        let permit = tokio::time::timeout_at(until.into(), permit).await.map_err(|_| StoreError::TooLong)?;
        let permit = permit.map_err(StoreError::unavailable)?;
        let gone = CancellationToken::new();
        let _waiting = gone.clone().drop_guard();
        let ends = move || gone.is_cancelled() || until <= Instant::now();
        self.block(permit, move |readers| readers.interruptible(ends, read)).await
    }

    /// Runs something on a thread that may block. The permit ends with it, not with whoever waits for it.
    async fn block<T: Send + 'static>(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        run: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(self);
        let run = move || {
            let _permit = permit;
            run(&readers)
        };
        blocking(run).await?
    }

    /// Reads for as long as `ends` does not say otherwise.
    fn interruptible<T>(
        &self,
        ends: impl FnMut() -> bool + Send + 'static,
        read: impl FnOnce(&Db<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut conn = self.connection()?;
        conn.progress_handler(STEPS, Some(ends))?;
        let result = self.transaction(&conn, read);
        conn.progress_handler(0, None::<fn() -> bool>)?;
        self.keep(conn);
        result
    }

    fn transaction<T>(&self, conn: &Connection, read: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        let transaction = conn.unchecked_transaction()?;
        read(&Db::new(&transaction, &self.env))
    }

    /// A connection that nobody uses.
    fn connection(&self) -> Result<Connection> {
        let idle = match &mut *self.idle.lock() {
            Some(idle) => idle.pop(),
            None => return Err(closed()),
        };
        match idle {
            Some(conn) => Ok(conn),
            None => Ok(open_reader(&self.path)?),
        }
    }

    /// Keeps a connection for the next read, unless there are enough.
    fn keep(&self, conn: Connection) {
        if let Some(idle) = &mut *self.idle.lock()
            && idle.len() < READERS
        {
            idle.push(conn);
        }
    }

    /// Closes the idle connections; those in use are closed when their read ends.
    pub(super) fn close(&self) {
        self.idle.lock().take();
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::super::{Options, SqliteStore};
    use super::*;

    /// What a test waits for at most, where it would wait forever if the code were wrong.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn opened() -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(Options::new(folder.path())).await.unwrap();
        (folder, Arc::clone(&store.readers))
    }

    /// Waits until so many reports are at work.
    async fn at_work(started: &Semaphore, reports: usize) {
        let reports = u32::try_from(reports).unwrap();
        tokio::time::timeout(PATIENCE, started.acquire_many(reports)).await.unwrap().unwrap().forget();
    }

    /// Counts for as long as it is let.
    fn endless(db: &Db<'_>) -> Result<i64> {
        db.value(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            [],
        )
    }

    #[tokio::test]
    async fn reports_hold_up_no_other_read() {
        let (_folder, readers) = opened().await;
        let (mut reports, started) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        let releases: Vec<_> = (0..2 * READERS)
            .map(|_| {
                let (release, held) = mpsc::channel::<()>();
                let (readers, started) = (Arc::clone(&readers), Arc::clone(&started));
                reports.spawn(async move {
                    let wait = move |_: &Db<'_>| {
                        started.add_permits(1);
                        Ok(held.recv().is_err())
                    };
                    readers.report(Instant::now() + 2 * PATIENCE, wait).await
                });
                release
            })
            .collect();
        at_work(&started, REPORTS).await;
        let read = tokio::time::timeout(PATIENCE, readers.read(|db| db.value::<i64>("SELECT 1", []))).await;
        assert_eq!(read.unwrap().unwrap(), 1);
        drop(releases);
        assert!(reports.join_all().await.into_iter().all(|report| report.unwrap()));
    }

    #[tokio::test]
    async fn a_report_ends_at_its_time_and_its_connection_serves_others() {
        let (_folder, readers) = opened().await;
        let report = readers.report(Instant::now() + Duration::from_millis(50), endless);
        let report = tokio::time::timeout(PATIENCE, report).await.unwrap();
        assert!(matches!(report, Err(StoreError::TooLong)), "{report:?}");
        assert_eq!(readers.idle.lock().as_ref().map(Vec::len), Some(1));
        let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT count(*) FROM n";
        assert_eq!(readers.now(|db| db.value::<i64>(rows, [])).unwrap(), 100_000);
    }

    #[tokio::test]
    async fn a_report_that_nobody_waits_for_ends() {
        let (_folder, readers) = opened().await;
        let (mut waiting, started) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        for _ in 0..REPORTS {
            let (readers, started) = (Arc::clone(&readers), Arc::clone(&started));
            waiting.spawn(async move {
                let count = move |db: &Db<'_>| {
                    started.add_permits(1);
                    endless(db)
                };
                readers.report(Instant::now() + 2 * PATIENCE, count).await
            });
        }
        at_work(&started, REPORTS).await;
        waiting.shutdown().await;
        at_work(&readers.reports, REPORTS).await;
    }
}
