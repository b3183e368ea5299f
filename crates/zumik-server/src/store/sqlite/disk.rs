//! Whether the disk takes what is written: a full one refuses for as long as it is full, and the probe must say so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;

use super::Db;
use crate::store::Result;

/// What the last writes came to. Kept by the writer thread.
#[derive(Default)]
pub(super) struct Disk {
    failing: AtomicBool,
    /// Changes of the connection so far: a commit that follows none writes nothing, and proves nothing.
    changes: AtomicU64,
}

impl Disk {
    /// Called when something could not be written.
    pub(super) fn failed(&self, conn: &Connection) {
        self.rolled_back(conn);
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Called after a transaction was committed.
    pub(super) fn committed(&self, conn: &Connection) {
        let changes = conn.total_changes();
        if self.changes.swap(changes, Ordering::Relaxed) != changes {
            self.failing.store(false, Ordering::Relaxed);
        }
    }

    /// Called after a transaction was rolled back.
    pub(super) fn rolled_back(&self, conn: &Connection) {
        self.changes.store(conn.total_changes(), Ordering::Relaxed);
    }
}

impl Db<'_> {
    /// Writes something if the last write failed. An update that changes nothing would not be written, so there are two.
    pub(super) fn probe_disk(&self) -> Result<()> {
        if self.env.disk.failing.load(Ordering::Relaxed) {
            self.run("UPDATE server SET answers_indexed = answers_indexed + 1", [])?;
            self.run("UPDATE server SET answers_indexed = answers_indexed - 1", [])?;
        }
        Ok(())
    }
}
