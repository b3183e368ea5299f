//! Purges: one transaction that erases, tombstones, and signs the receipt.
//!
//! The receipt claims what this server can know. PostgreSQL keeps old rows until it vacuums, and its log as long as
//! replication and backups want it; so of contents it says that nothing can reach them any more, not that the bytes are
//! gone (docs/decisions, "Purges on PostgreSQL").

use zumik_types::{
    ArtifactId, CreatePurgeJobRequest, Extra, ObjectType, ProjectId, PurgeJob, PurgeJobId, PurgeJobStatus,
    PurgeReceipt, PurgeReceiptId, PurgeScope,
};

use super::PostgresStore;
use super::db::{Db, count, key};
use crate::store::durable::ids::PublicId as _;
use crate::store::receipt::{Achieved, Erasure, receipt};
use crate::store::rules::{missing_artifact, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

/// The status of a session that a purge took something of.
const TOMBSTONED: i64 = 2;

impl PostgresStore {
    /// The purge generation of a project, in one round trip.
    pub(super) async fn generation(&self, project: &ProjectId) -> Result<u64> {
        let connection = self.connection().await?;
        let statement =
            connection.prepare_cached("SELECT generation FROM projects WHERE public_id = $1").await?;
        let row = connection.query_opt(&statement, &[&key(project)]).await?;
        count(&row.ok_or_else(|| StoreError::not_found(Kind::Project, project))?, 0)
    }
}

impl Db<'_, '_> {
    pub(super) async fn create_purge_job(
        &self,
        ctx: &ProjectCtx,
        request: &CreatePurgeJobRequest,
    ) -> Result<PurgeJob> {
        let project = self.project(ctx).await?;
        let artifacts = self.lock_purgeable(ctx, project, &request.artifact_ids).await?;
        self.erase(&artifacts).await?;
        self.tombstone_dependents(&artifacts).await?;
        self.drop_answers(&artifacts).await?;
        let generation = self
            .one(
                "UPDATE projects SET generation = generation + 1 WHERE id = $1 RETURNING generation",
                &[&project],
                |row| count(row, 0),
            )
            .await?
            .ok_or_else(|| StoreError::internal("a project is missing"))?;
        self.check_erased(&artifacts).await?;

        let (id, public_id) = self.mint::<PurgeJobId>(ctx);
        let job = PurgeJob {
            id,
            object: ObjectType::PurgeJob,
            status: PurgeJobStatus::Completed,
            scope: PurgeScope {
                project_id: ctx.project.clone(),
                artifact_ids: request.artifact_ids.clone(),
                extra: Extra::new(),
            },
            requested_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        let now = whole_seconds(self.env.clock.now());
        let receipt_id = PurgeReceiptId::from_key(self.env.mint.ulid(now).to_bytes());
        let signing_key = self.signing_key().await?;
        let achieved = Achieved { completed_at: now, erasure: Erasure::OutOfReach, caches: &self.env.caches };
        let receipt = receipt(receipt_id, job.clone(), generation, achieved, &signing_key)?;
        self.run(
            "INSERT INTO purge_jobs (public_id, project, job, receipt) VALUES ($1, $2, $3, $4)",
            &[&&public_id[..], &project, &serde_json::to_string(&job)?, &serde_json::to_string(&receipt)?],
        )
        .await?;
        Ok(job)
    }

    /// The rows of artifacts that have not been purged; their handles may be revoked. From now on nobody else can refer
    /// to them, and who did so before has committed.
    async fn lock_purgeable(&self, ctx: &ProjectCtx, project: i64, ids: &[ArtifactId]) -> Result<Vec<i64>> {
        let keys: Vec<Option<Vec<u8>>> = ids.iter().map(key).collect();
        let found = self
            .all(
                "SELECT public_id, id FROM artifacts WHERE public_id = ANY($1) AND project = $2 AND state < 2
                 ORDER BY id FOR UPDATE",
                &[&keys, &project],
                |row| Ok((super::db::id::<ArtifactId>(row, 0)?, row.try_get::<_, i64>(1)?)),
            )
            .await?;
        let rows: std::collections::HashMap<_, _> = found.into_iter().collect();
        for (at, id) in ids.iter().enumerate() {
            if !rows.contains_key(id) {
                return Err(missing_artifact(format!("artifact_ids[{at}]"), id));
            }
        }
        tracing::debug!(project = %ctx.project, artifacts = rows.len(), "purging");
        Ok(rows.into_values().collect())
    }

    /// Removes contents and metadata; the rows stay, so that nothing takes the ids again.
    async fn erase(&self, artifacts: &[i64]) -> Result<()> {
        self.run(
            "UPDATE artifacts SET state = 2, content = NULL, metadata = NULL, expires_at = NULL
             WHERE id = ANY($1)",
            &[&artifacts],
        )
        .await?;
        Ok(())
    }

    /// Tombstones the bundles that hold one of the artifacts and the sessions that use one, invalidates the snapshots
    /// that name one. Each statement sees what committed before the locks of the one before it.
    async fn tombstone_dependents(&self, artifacts: &[i64]) -> Result<()> {
        self.run(
            "UPDATE bundles SET state = 2
             WHERE id IN (SELECT bundle FROM bundle_items WHERE artifact = ANY($1))",
            &[&artifacts],
        )
        .await?;
        let sessions: Vec<i64> = self
            .all(
                "SELECT id FROM sessions WHERE status < 2 AND id IN (
                   SELECT s.session FROM session_bundles s JOIN bundle_items i ON i.bundle = s.bundle
                   WHERE i.artifact = ANY($1)
                   UNION ALL
                   SELECT b.session FROM events e JOIN branches b ON b.id = e.branch
                   WHERE e.artifact = ANY($1))
                 ORDER BY id FOR NO KEY UPDATE",
                &[&artifacts],
                |row| Ok(row.try_get(0)?),
            )
            .await?;
        self.set_status(&sessions, TOMBSTONED).await?;
        self.run(
            "UPDATE snapshots SET invalid = true
             WHERE id IN (SELECT snapshot FROM snapshot_artifacts WHERE artifact = ANY($1))",
            &[&artifacts],
        )
        .await?;
        Ok(())
    }

    async fn drop_answers(&self, artifacts: &[i64]) -> Result<()> {
        self.run(
            "DELETE FROM answers
             WHERE lookup IN (SELECT lookup FROM answer_artifacts WHERE artifact = ANY($1))",
            &[&artifacts],
        )
        .await?;
        Ok(())
    }

    /// Looks once more, before anything is claimed.
    async fn check_erased(&self, artifacts: &[i64]) -> Result<()> {
        let left: i64 = self
            .value(
                "SELECT count(*) FROM artifacts a WHERE a.id = ANY($1)
                   AND (a.state <> 2 OR a.content IS NOT NULL OR a.metadata IS NOT NULL
                     OR EXISTS (SELECT 1 FROM answer_artifacts x WHERE x.artifact = a.id))",
                &[&artifacts],
            )
            .await?;
        match left {
            0 => Ok(()),
            left => Err(StoreError::internal(format!("a purge left something of {left} artifacts behind"))),
        }
    }

    pub(super) async fn retrieve_purge_job(&self, ctx: &ProjectCtx, job: &PurgeJobId) -> Result<PurgeJob> {
        self.one(
            "SELECT job FROM purge_jobs WHERE public_id = $1 AND project = $2",
            &[&key(job), &self.project(ctx).await?],
            |row| Ok(serde_json::from_str(row.try_get(0)?)?),
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::PurgeJob, job))
    }

    pub(super) async fn retrieve_purge_receipt(
        &self,
        ctx: &ProjectCtx,
        job: &PurgeJobId,
    ) -> Result<PurgeReceipt> {
        self.one(
            "SELECT receipt FROM purge_jobs WHERE public_id = $1 AND project = $2",
            &[&key(job), &self.project(ctx).await?],
            |row| Ok(serde_json::from_str(row.try_get(0)?)?),
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::PurgeReceipt, job))
    }
}
