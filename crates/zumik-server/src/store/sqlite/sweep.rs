//! Removal of what is past its time, in steps small enough to share the writer with requests.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::Db;
use super::artifacts::REVOKED;
use super::connection::PAGE_SIZE;
use crate::store::Result;
use crate::store::durable::times::seconds;

/// Rows that one step removes.
pub(super) const STEP: u64 = 250;

/// A deleted session. The status is no parameter: its index is of such sessions only, and plans look at no value.
pub(super) const DELETED_SESSION: &str = "SELECT id FROM sessions WHERE status = 3 LIMIT 1";

impl Db<'_> {
    /// Contents of ephemeral artifacts; their handles go with them.
    pub(super) fn sweep_artifacts(&self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "SELECT id FROM artifacts WHERE expires_at <= ?1 LIMIT ?2";
        self.each(sql, seconds(now), |row| self.erase_artifact(row, REVOKED))
    }

    pub(super) fn sweep_files(&self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "SELECT id FROM files WHERE expires_at <= ?1 LIMIT ?2";
        self.each(sql, seconds(now), |row| self.erase_file(row))
    }

    pub(super) fn sweep_responses(&self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "SELECT id FROM responses WHERE expires_at <= ?1 LIMIT ?2";
        self.each(sql, seconds(now), |row| self.erase_response(row))
    }

    /// Stored answers. They expire about in the order in which they were stored, so only the oldest are looked at.
    pub(super) fn sweep_answers(&self, now: DateTime<Utc>) -> Result<u64> {
        let sql =
            "SELECT id FROM (SELECT id, expires_at FROM answers ORDER BY id LIMIT ?2) WHERE expires_at <= ?1";
        self.each(sql, now.timestamp_millis(), |row| self.erase_answer(row))
    }

    /// Rows of one deleted session. Gives whether there was one, and whether it is gone now.
    pub(super) fn sweep_session(&self) -> Result<(bool, bool)> {
        let session: Option<i64> = self.one(DELETED_SESSION, [], |row| row.get(0))?;
        let Some(session) = session else { return Ok((false, false)) };
        // The youngest branch first: the history of a fork runs through older branches only.
        let branch = self.one(
            "SELECT id, head FROM branches WHERE session = ?1 ORDER BY id DESC LIMIT 1",
            [session],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        match branch {
            Some((branch, head)) => {
                self.sweep_branch(branch, head)?;
                Ok((true, false))
            }
            None => {
                self.run("DELETE FROM session_bundles WHERE session = ?1", [session])?;
                self.run("DELETE FROM sessions WHERE id = ?1", [session])?;
                Ok((true, true))
            }
        }
    }

    /// Removes the last events of a branch, then its snapshots, and the branch once it has none of its own.
    fn sweep_branch(&self, branch: i64, head: Option<i64>) -> Result<()> {
        let mut next = head;
        for _ in 0..STEP {
            let Some(event) = next else { break };
            let parent = self.one(
                "DELETE FROM events WHERE id = ?1 AND branch = ?2 RETURNING parent",
                params![event, branch],
                |row| row.get(0),
            )?;
            match parent {
                Some(parent) => next = parent,
                // An inherited event: those before it are inherited too.
                None => next = None,
            }
        }
        if next != head {
            self.run("UPDATE branches SET head = ?2 WHERE id = ?1", params![branch, next])?;
        }
        if next.is_some() {
            return Ok(());
        }
        if self.sweep_snapshots(branch)? {
            self.run("DELETE FROM branches WHERE id = ?1", [branch])?;
        }
        Ok(())
    }

    /// Removes snapshots of a branch: as many rows and pages of manifests as one step removes. Whether none is left.
    fn sweep_snapshots(&self, branch: i64) -> Result<bool> {
        let mut left = STEP;
        while left > 0 {
            let found = self.one(
                "SELECT id, octet_length(manifest) FROM snapshots WHERE branch = ?1 LIMIT 1",
                [branch],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)),
            )?;
            let Some((snapshot, manifest)) = found else { return Ok(true) };
            left -= self.run(
                "DELETE FROM snapshot_artifacts WHERE snapshot = ?1
                   AND artifact IN (SELECT artifact FROM snapshot_artifacts WHERE snapshot = ?1 LIMIT ?2)",
                params![snapshot, left],
            )? as u64;
            if left > 0 {
                self.run("DELETE FROM snapshots WHERE id = ?1", [snapshot])?;
                left = left.saturating_sub(1 + manifest / PAGE_SIZE as u64);
            }
        }
        Ok(false)
    }

    fn each(&self, sql: &str, until: i64, mut remove: impl FnMut(i64) -> Result<()>) -> Result<u64> {
        let rows = self.all(sql, params![until, STEP], |row| row.get(0))?;
        let count = rows.len() as u64;
        rows.into_iter().try_for_each(&mut remove)?;
        Ok(count)
    }
}
