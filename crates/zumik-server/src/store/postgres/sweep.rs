//! Removal of what is past its time, in steps that hold no lock for long. Replicas may sweep at the same time: each
//! takes what the others have not taken.

use chrono::{DateTime, Utc};

use super::db::{Db, stored};
use crate::store::Result;
use crate::store::durable::times::seconds;

/// Rows that one step removes.
pub(super) const STEP: u64 = 250;

/// A deleted session. The status is no parameter: its index is of such sessions only, and plans are generic.
pub(super) const DELETED_SESSION: &str =
    "SELECT id FROM sessions WHERE status = 3 LIMIT 1 FOR UPDATE SKIP LOCKED";

impl Db<'_, '_> {
    /// Contents of ephemeral artifacts; their handles go with them.
    pub(super) async fn sweep_artifacts(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT id FROM artifacts WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
             UPDATE artifacts a SET state = 1, content = NULL, metadata = NULL, expires_at = NULL
             FROM old WHERE a.id = old.id",
            &[&seconds(now), &stored(STEP)],
        )
        .await
    }

    pub(super) async fn sweep_files(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT id FROM files WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM files f USING old WHERE f.id = old.id",
            &[&seconds(now), &stored(STEP)],
        )
        .await
    }

    pub(super) async fn sweep_responses(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT id FROM responses WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM responses f USING old WHERE f.id = old.id",
            &[&seconds(now), &stored(STEP)],
        )
        .await
    }

    pub(super) async fn sweep_answers(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT lookup FROM answers WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM answers a USING old WHERE a.lookup = old.lookup",
            &[&now.timestamp_millis(), &stored(STEP)],
        )
        .await
    }

    /// Rows of one deleted session. Gives whether there was one, and whether it is gone now.
    pub(super) async fn sweep_session(&self) -> Result<(bool, bool)> {
        let session: Option<i64> = self.one(DELETED_SESSION, &[], |row| Ok(row.try_get(0)?)).await?;
        let Some(session) = session else { return Ok((false, false)) };
        // The youngest branch first: the history of a fork runs through older branches only.
        let branch: Option<i64> = self
            .one("SELECT id FROM branches WHERE session = $1 ORDER BY id DESC LIMIT 1", &[&session], |row| {
                Ok(row.try_get(0)?)
            })
            .await?;
        match branch {
            Some(branch) => {
                self.sweep_branch(branch).await?;
                Ok((true, false))
            }
            None => {
                self.run("DELETE FROM session_bundles WHERE session = $1", &[&session]).await?;
                self.run("DELETE FROM sessions WHERE id = $1", &[&session]).await?;
                Ok((true, true))
            }
        }
    }

    /// Removes the last events of a branch, then its snapshots, and the branch once it has none of its own.
    async fn sweep_branch(&self, branch: i64) -> Result<()> {
        let removed = self
            .run(
                "WITH last AS MATERIALIZED (
                   SELECT id FROM events WHERE branch = $1 ORDER BY sequence DESC LIMIT $2)
                 DELETE FROM events e USING last WHERE e.id = last.id",
                &[&branch, &stored(STEP)],
            )
            .await?;
        if removed < STEP && self.sweep_snapshots(branch).await? {
            self.run("DELETE FROM branches WHERE id = $1", &[&branch]).await?;
        }
        Ok(())
    }

    /// Removes the first snapshots of a branch, once nothing says any more what they name. Whether none is left.
    async fn sweep_snapshots(&self, branch: i64) -> Result<bool> {
        let named = self
            .run(
                "WITH first AS MATERIALIZED (SELECT id FROM snapshots WHERE branch = $1 ORDER BY id LIMIT $2),
                   named AS MATERIALIZED (
                     SELECT a.artifact, a.snapshot FROM first
                     CROSS JOIN LATERAL (
                       SELECT artifact, snapshot FROM snapshot_artifacts WHERE snapshot = first.id LIMIT $2) a
                     LIMIT $2)
                 DELETE FROM snapshot_artifacts s USING named
                 WHERE s.artifact = named.artifact AND s.snapshot = named.snapshot",
                &[&branch, &stored(STEP)],
            )
            .await?;
        if named == STEP {
            return Ok(false);
        }
        let removed = self
            .run(
                "WITH first AS MATERIALIZED (SELECT id FROM snapshots WHERE branch = $1 ORDER BY id LIMIT $2)
                 DELETE FROM snapshots s USING first WHERE s.id = first.id",
                &[&branch, &stored(STEP)],
            )
            .await?;
        Ok(removed < STEP)
    }
}
