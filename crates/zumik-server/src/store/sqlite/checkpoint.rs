//! The write-ahead log: kept small, and emptied when a purge needs to know that nothing is left in it.

use std::time::Duration;

use rusqlite::Connection;

use super::connection::BUSY_TIMEOUT;
use crate::store::Result;

/// Pages in the log at which it is written back into the database file: 16 MiB.
const LIMIT: i64 = 4096;

/// Groups between two looks at the log.
const LOOK_EVERY: u32 = 8;

/// Pages at which it is emptied at last, and every [`LIMIT`] more.
const LARGE: i64 = 4 * LIMIT;

/// How long a truncation waits for readers. No other write is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// The same for a log that is large: most reads that overlap all the time end by then, a reader that holds on to the log
/// does not. Now and then overlapping readers pass an old moment on to one another; then the next attempt gets it.
const MOMENT: Duration = Duration::from_millis(250);

/// Keeps the log of one database small. Belongs to the writer thread.
#[derive(Default)]
pub(super) struct Log {
    groups: u32,
    /// Pages of a log that could not be emptied: it is left alone until it has grown further.
    held: i64,
}

/// The log after a checkpoint.
struct Extent {
    /// Whether a reader or another writer kept it from being done.
    busy: bool,
    /// Pages in it.
    pages: i64,
    /// Pages of it that are in the database file too.
    written: i64,
}

impl Log {
    /// Called after each group: writes the log back when it has grown. The next write then begins at its
    /// start; only readers that hold on to an old moment make it grow beyond [`LARGE`].
    pub(super) fn watch(&mut self, conn: &Connection) {
        self.groups += 1;
        if self.groups < LOOK_EVERY {
            return;
        }
        self.groups = 0;
        if let Err(error) = self.write_back(conn) {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
    }

    fn write_back(&mut self, conn: &Connection) -> Result<()> {
        let log = checkpoint(conn, "NOOP")?;
        self.held = self.held.min(log.pages);
        if log.pages >= LARGE.max(self.held + LIMIT) {
            // A log is begun anew when no reader uses it, which need never be while reads overlap. So they are waited
            // for, but not for long and not each time: every write waits too, and a backup reads for minutes.
            self.held = if truncate_within(conn, MOMENT)? { 0 } else { log.pages };
        } else if log.pages - log.written >= LIMIT {
            checkpoint(conn, "PASSIVE")?;
        }
        Ok(())
    }

    /// Empties the log. Whether it is empty now.
    pub(super) fn truncate(&mut self, conn: &Connection) -> Result<bool> {
        truncate_within(conn, PATIENCE)
    }

    /// Leaves no log behind at shutdown.
    pub(super) fn close(&mut self, conn: &Connection) {
        if let Err(error) = checkpoint(conn, "TRUNCATE") {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
    }
}

/// Empties the log if that can be done within this time. Whether it is empty now.
fn truncate_within(conn: &Connection, time: Duration) -> Result<bool> {
    conn.busy_timeout(time)?;
    let log = checkpoint(conn, "TRUNCATE");
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(log.map(|log| !log.busy && log.pages == 0)?)
}

fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Extent> {
    conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| Ok(Extent { busy: row.get(0)?, pages: row.get(1)?, written: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::connection::{PAGE_SIZE, open_reader};
    use super::super::{Options, SqliteStore};
    use super::*;

    /// Writes a MiB at a time until so many are written; gives the size of the longest log.
    async fn write(store: &SqliteStore, folder: &std::path::Path, mebibytes: u64) -> u64 {
        let mut longest = 0;
        for _ in 0..mebibytes {
            store.writer.write(|db| db.insert_content(&vec![7; 1 << 20])).await.unwrap();
            longest = longest.max(folder.join("zumik.db-wal").metadata().unwrap().len());
        }
        longest
    }

    #[tokio::test]
    async fn the_log_does_not_grow_with_what_is_written_under_readers_that_overlap_without_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(Options::new(folder.path())).await.unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        for at in 0..4 {
            let (end, path) = (Arc::clone(&end), folder.path().join("zumik.db"));
            readers.push(std::thread::spawn(move || {
                let conn = open_reader(&path).unwrap();
                // One begins when another is in its middle.
                std::thread::sleep(Duration::from_millis(5 * at));
                while !end.load(Ordering::Relaxed) {
                    let moment = conn.unchecked_transaction().unwrap();
                    moment
                        .query_row("SELECT max(id) FROM contents", [], |row| row.get::<_, Option<i64>>(0))
                        .unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                    moment.finish().unwrap();
                }
            }));
        }
        let longest = write(&store, folder.path(), 256).await;
        end.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        // One attempt may fail, and even several; that none of those up to here finds its moment is not to be expected.
        let bound = 3 * LARGE as u64 * PAGE_SIZE as u64;
        assert!(longest <= bound, "the log grew to {} MiB", longest >> 20);
        store.writer.close();
    }

    #[tokio::test]
    async fn a_log_that_a_reader_held_on_to_is_small_again_when_the_reader_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(Options::new(folder.path())).await.unwrap();
        let conn = open_reader(&folder.path().join("zumik.db")).unwrap();
        let moment = conn.unchecked_transaction().unwrap();
        moment.query_row("SELECT count(*) FROM contents", [], |row| row.get::<_, i64>(0)).unwrap();
        let held = write(&store, folder.path(), 96).await;
        assert!(held > 96 << 20, "a reader holds the log of its moment");
        moment.finish().unwrap();
        write(&store, folder.path(), 32).await;
        let left = folder.path().join("zumik.db-wal").metadata().unwrap().len();
        assert!(left < 64 << 20, "{} MiB are left", left >> 20);
        store.writer.close();
    }
}
