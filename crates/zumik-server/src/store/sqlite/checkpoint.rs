//! The write-ahead log: kept small, and emptied when a purge needs to know that nothing is left in it.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::BUSY_TIMEOUT;
use crate::store::Result;

/// Pages by which the log grows until it is written back into the database file: 16 MiB.
const LIMIT: i64 = 4096;

/// Pages at which it is emptied: 64 MiB.
const LARGE: i64 = 4 * LIMIT;

/// How long readers are waited for when it is emptied. No other write is done meanwhile; reads go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// Fewest attempts to empty it.
const LOOKS: u32 = 8;

/// Time between two attempts to empty it.
const PAUSE: Duration = Duration::from_millis(1);

/// Keeps the log of one database small. Belongs to the writer thread.
#[derive(Default)]
pub(super) struct Log {
    /// The log when it was written back last.
    last: Extent,
}

/// The log after a checkpoint.
#[derive(Default)]
struct Extent {
    /// Whether a reader or another writer kept it from being done.
    busy: bool,
    /// Pages in it.
    pages: i64,
    /// Pages of it that are in the database file too.
    written: i64,
}

impl Log {
    /// Called after each group: writes the log back when it has grown. The next write then begins at its start, unless
    /// it is still read from. From [`LARGE`] on it is emptied, so only a reader that holds on to an old moment for longer
    /// than [`PATIENCE`] makes it grow further.
    pub(super) fn watch(&mut self, conn: &Connection) {
        if let Err(error) = self.write_back(conn) {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
    }

    /// Whether it was to be emptied, for which readers may have been waited.
    fn write_back(&mut self, conn: &Connection) -> Result<bool> {
        let log = checkpoint(conn, "NOOP")?;
        if log.pages < self.last.pages {
            self.last = Extent::default();
        }
        let large = log.pages >= LARGE && self.last.pages < LARGE;
        if !large && log.pages < self.last.pages + LIMIT {
            return Ok(false);
        }
        let before = std::mem::replace(&mut self.last, log);
        let log = checkpoint(conn, "PASSIVE")?;
        // A reader that was waited for in vain, such as a backup, is still there. Every write would wait again.
        let held = before.pages >= LARGE && log.written == before.written;
        let emptied = log.pages >= LARGE && !held;
        if emptied {
            empty(conn)?;
        }
        self.last = checkpoint(conn, "NOOP")?;
        Ok(emptied)
    }

    /// Empties the log. Whether it is empty now: not when a reader held on to it for too long.
    pub(super) fn truncate(&mut self, conn: &Connection) -> Result<bool> {
        empty(conn)
    }

    /// Leaves no log behind at shutdown.
    pub(super) fn close(&mut self, conn: &Connection) {
        if let Err(error) = checkpoint(conn, "TRUNCATE") {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
    }
}

/// Empties the log within [`PATIENCE`], if its readers end by then. Whether it is empty now.
fn empty(conn: &Connection) -> Result<bool> {
    conn.busy_timeout(Duration::ZERO)?;
    let emptied = empty_until(conn, Instant::now() + PATIENCE);
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(emptied?)
}

/// A checkpoint that waits by itself looks once at which place a reader of an old moment has, and then waits for that
/// place. Readers of the newest moment may take it meanwhile, one after the other, and it waits in vain. As no write
/// is done, readers of old moments only become fewer; so the next attempt, which looks anew, gets past that place.
fn empty_until(conn: &Connection, end: Instant) -> rusqlite::Result<bool> {
    // On a machine that is held up, the first attempt alone may take all the time there is.
    for looks in 1.. {
        let log = checkpoint(conn, "TRUNCATE")?;
        if !log.busy && log.pages == 0 {
            return Ok(true);
        }
        if looks >= LOOKS && Instant::now() >= end {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}

fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Extent> {
    conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| Ok(Extent { busy: row.get(0)?, pages: row.get(1)?, written: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::connection::{PAGE_SIZE, open_reader, open_writer};
    use super::super::{Options, SqliteStore};
    use super::*;

    const MEBIBYTE: usize = 1 << 20;

    /// Bytes of a page in the log: with the header of its frame.
    const FRAME: u64 = PAGE_SIZE as u64 + 24;

    /// More pages than a MiB of content and all that changes with it.
    const GROUP: i64 = 300;

    /// Readers on the connections of the store: one begins while the others are in their middle, and none pauses. They end
    /// when the flag is set.
    fn overlap(store: &Arc<SqliteStore>, end: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<()>> {
        let reader = |at: u64| {
            let (store, end) = (Arc::clone(store), Arc::clone(end));
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5 * at));
                while !end.load(Ordering::Relaxed) {
                    let read = store.readers.now(|db| {
                        db.value::<Option<i64>>("SELECT max(id) FROM contents", [])?;
                        std::thread::sleep(Duration::from_millis(20));
                        Ok(())
                    });
                    read.unwrap();
                }
            })
        };
        (0..4).map(reader).collect()
    }

    #[tokio::test]
    async fn the_log_has_a_bound_under_readers_that_overlap_without_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(Options::new(folder.path())).await.unwrap());
        let end = Arc::new(AtomicBool::new(false));
        let readers = overlap(&store, &end);
        let log = folder.path().join("zumik.db-wal");
        let mut longest = 0;
        for _ in 0..256 {
            store.writer.write(|db| db.insert_content(&vec![7; MEBIBYTE])).await.unwrap();
            longest = longest.max(log.metadata().unwrap().len());
        }
        let emptied = store.writer.truncate_log().await.unwrap();
        end.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        let bound = (LARGE + GROUP) as u64 * FRAME;
        assert!(longest <= bound, "the log grew to {longest} bytes, its bound is {bound}");
        assert!(emptied, "a purge has to wait");
        store.writer.close();
    }

    /// Writes until the log has so many pages more, without a look at it.
    fn grow(conn: &Connection, pages: i64) {
        let end = checkpoint(conn, "NOOP").unwrap().pages + pages;
        while checkpoint(conn, "NOOP").unwrap().pages < end {
            conn.execute("INSERT INTO contents (record) VALUES (?1)", [vec![7_u8; MEBIBYTE]]).unwrap();
        }
    }

    const BEGIN: &str = "BEGIN; SELECT count(*) FROM contents";

    fn reading(path: &Path) -> Connection {
        let conn = open_reader(path).unwrap();
        conn.execute_batch(BEGIN).unwrap();
        conn
    }

    /// SQLite has four places for readers. Here each is taken, by readers of four moments; then one after the other begins
    /// anew: the first in its old place, which is never free again, as the others come there too.
    #[test]
    fn a_place_that_readers_of_the_newest_moment_take_over_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        let conn = open_writer(&path).unwrap();
        let mut readers = Vec::new();
        for _ in 0..4 {
            grow(&conn, 1);
            readers.push(reading(&path));
        }
        grow(&conn, 1);
        let end = &AtomicBool::new(false);
        let emptied = std::thread::scope(|scope| {
            scope.spawn(move || {
                for reader in readers.iter().cycle().take_while(|_| !end.load(Ordering::Relaxed)) {
                    std::thread::sleep(Duration::from_millis(10));
                    reader.execute_batch("COMMIT").unwrap();
                    reader.execute_batch(BEGIN).unwrap();
                }
            });
            let emptied = empty(&conn).unwrap();
            end.store(true, Ordering::Relaxed);
            emptied
        });
        assert!(emptied, "the log is still there after {PATIENCE:?}");
    }

    #[test]
    fn a_reader_that_stays_is_waited_for_once_and_leaves_a_small_log_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        let (conn, mut log) = (open_writer(&path).unwrap(), Log::default());
        let length = || folder.path().join("zumik.db-wal").metadata().unwrap().len();
        grow(&conn, LIMIT);
        let backup = reading(&path);
        grow(&conn, LARGE);
        assert!(log.write_back(&conn).unwrap(), "it might end soon");
        for _ in 0..2 {
            grow(&conn, LIMIT);
            assert!(!log.write_back(&conn).unwrap(), "writes wait for the same reader again");
        }
        assert!(length() > (LARGE + 3 * LIMIT) as u64 * FRAME, "a reader holds the log of its moment");
        drop(backup);
        log.watch(&conn);
        assert_ne!(length(), 0, "it is left alone until it has grown further");
        grow(&conn, LIMIT);
        log.watch(&conn);
        assert_eq!(length(), 0);
    }

    #[test]
    fn a_reader_that_comes_when_another_one_has_gone_is_waited_for_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        let (conn, mut log) = (open_writer(&path).unwrap(), Log::default());
        let first = reading(&path);
        grow(&conn, LARGE);
        assert!(log.write_back(&conn).unwrap(), "the first one might end soon");
        let second = reading(&path);
        drop(first);
        grow(&conn, LIMIT);
        assert!(log.write_back(&conn).unwrap(), "the second one might end soon");
        drop(second);
    }
}
