//! The write-ahead log: kept small, and emptied when a purge needs to know that nothing is left in it.

use std::time::Duration;

use rusqlite::Connection;

use super::connection::BUSY_TIMEOUT;
use crate::store::Result;

/// Pages in the log at which it is written back into the database file: 16 MiB.
const LIMIT: i64 = 4096;

/// Groups between two looks at the log.
const LOOK_EVERY: u32 = 8;

/// How long a truncation waits for readers. No other write is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keeps the log of one database small. Belongs to the writer thread.
#[derive(Default)]
pub(super) struct Log {
    groups: u32,
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
    /// start; only a reader that holds on to an old moment makes it grow further.
    pub(super) fn watch(&mut self, conn: &Connection) {
        self.groups += 1;
        if self.groups < LOOK_EVERY {
            return;
        }
        self.groups = 0;
        let done = checkpoint(conn, "NOOP").map_err(Into::into).and_then(|log| {
            if log.pages - log.written < LIMIT {
                Ok(())
            } else if log.pages < 4 * LIMIT {
                checkpoint(conn, "PASSIVE").map(drop).map_err(Into::into)
            } else {
                // A log that grew far beyond the limit gives its space back. A reader that holds on to it, such as a
                // backup, is not waited for: every write would wait with it.
                truncate_within(conn, Duration::ZERO).map(drop)
            }
        });
        if let Err(error) = done {
            tracing::warn!(%error, "the write-ahead log could not be written back");
        }
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
