//! Purges, in two transactions with a truncation of the log between them.
//!
//! The first erases contents and their keys, tombstones what depends on them, and leaves a job that is running.
//! Then the log is emptied, so that no older page with the contents remains. The second signs the receipt and
//! completes the job. A crash in between leaves a running job; it is completed at the next start. So there is
//! no receipt without an empty log.

use rusqlite::{Row, params};
use zumik_types::{
    ArtifactId, CreatePurgeJobRequest, Extra, ObjectType, ProjectId, PurgeJob, PurgeJobId, PurgeJobStatus,
    PurgeReceipt, PurgeReceiptId, PurgeScope, TraceId,
};

use super::Db;
use super::answers::Found;
use super::artifacts::PURGED;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::receipt::{Achieved, Erasure, receipt};
use crate::store::rules::{missing_artifact, whole_seconds};
use crate::store::{ANSWER_LIFETIME, Answer, Idempotency, Kind, ProjectCtx, Result, StoreError};

/// What the first transaction of a purge came to.
pub(super) enum Begun {
    /// The key was known.
    Replayed(Answer),
    /// The contents are erased; the job in this row waits for its receipt.
    Running(i64),
}

struct JobRow {
    id: i64,
    key: [u8; 16],
    project: ProjectId,
    artifact_ids: String,
    requested_at: i64,
    generation: u64,
    running: bool,
    answer: Option<i64>,
    trace: String,
}

const COLUMNS: &str =
    "j.id, j.public_id, p.public_id, j.artifact_ids, j.requested_at, j.generation, j.running,
    j.answer, j.trace FROM purge_jobs j JOIN projects p ON p.id = j.project";

impl Db<'_> {
    /// The first transaction: erases.
    pub(super) fn begin_purge(
        &self,
        ctx: &ProjectCtx,
        request: &CreatePurgeJobRequest,
        key: Option<&Idempotency>,
    ) -> Result<Begun> {
        let free = match key.map(|key| self.find_answer(ctx, key)).transpose()? {
            None => None,
            Some(Found::Answered(answer)) => return Ok(Begun::Replayed(answer)),
            Some(Found::Free(free)) => Some(free),
        };
        let mut artifacts = Vec::with_capacity(request.artifact_ids.len());
        for (at, id) in request.artifact_ids.iter().enumerate() {
            let row = self.purgeable_artifact(ctx, id)?;
            artifacts.push(row.ok_or_else(|| missing_artifact(format!("artifact_ids[{at}]"), id))?);
        }
        for artifact in artifacts {
            self.erase_artifact(artifact, PURGED)?;
            self.tombstone_dependents(artifact)?;
            self.drop_answers(artifact)?;
        }
        let project = self.project(ctx)?;
        let generation: u64 = self.value(
            "UPDATE projects SET generation = generation + 1 WHERE id = ?1 RETURNING generation",
            [project],
        )?;
        // The key stays in flight until the receipt is written, also across a restart.
        let answer = free.map(|free| self.hold_answer(ctx, &free, ANSWER_LIFETIME)).transpose()?;
        let (_, public_id) = self.mint::<PurgeJobId>(ctx);
        let job = self.insert(
            "INSERT INTO purge_jobs (public_id, project, artifact_ids, requested_at, generation, answer, trace)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                public_id,
                project,
                serde_json::to_string(&request.artifact_ids)?,
                seconds(ctx.now),
                generation,
                answer,
                ctx.trace.as_str(),
            ],
        )?;
        Ok(Begun::Running(job))
    }

    /// The newest job that waits for its receipt.
    pub(super) fn newest_running_purge(&self) -> Result<Option<i64>> {
        self.value("SELECT max(id) FROM purge_jobs WHERE running = 1", [])
    }

    /// The job in a row.
    pub(super) fn purge_job(&self, row: i64) -> Result<PurgeJob> {
        let sql = format!("SELECT {COLUMNS} WHERE j.id = ?1");
        self.one(&sql, [row], read)?.ok_or_else(|| StoreError::internal("a purge job is missing"))?.record()
    }

    /// The second transaction: signs the receipts of the running jobs up to row `newest`. Only to be called
    /// after the log has been emptied behind their first transaction.
    pub(super) fn finish_purges(&self, newest: i64) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} WHERE j.running = 1 AND j.id <= ?1 ORDER BY j.id");
        for job in self.all(&sql, [newest], read)? {
            self.finish_purge(job)?;
        }
        Ok(())
    }

    fn finish_purge(&self, mut job: JobRow) -> Result<()> {
        let receipt = self.receipt(&job)?;
        job.running = false;
        self.run(
            "UPDATE purge_jobs SET running = 0, receipt = ?2 WHERE id = ?1",
            params![job.id, serde_json::to_string(&receipt)?],
        )?;
        if let Some(answer) = job.answer {
            let found = self.one("SELECT lookup FROM answers WHERE id = ?1", [answer], |row| row.get(0))?;
            let trace = TraceId::try_from(job.trace.as_str()).map_err(StoreError::internal)?;
            let rendered = Answer::json(&trace, &job.record()?)?;
            if let Some(lookup) = found {
                self.fill_answer(answer, &lookup, &rendered, &[])?;
            }
        }
        Ok(())
    }

    fn receipt(&self, job: &JobRow) -> Result<PurgeReceipt> {
        let now = whole_seconds(self.env.clock.now());
        let record = job.record()?;
        self.check_erased(&record.scope)?;
        let id = PurgeReceiptId::from_key(self.env.mint.ulid(now).to_bytes());
        let achieved = Achieved { completed_at: now, erasure: Erasure::Gone, caches: &self.env.caches };
        receipt(id, record, job.generation, achieved, &self.signing_key()?)
    }

    /// Looks once more, before anything is claimed.
    fn check_erased(&self, scope: &PurgeScope) -> Result<()> {
        for id in &scope.artifact_ids {
            let left: bool = self.value(
                "SELECT EXISTS (SELECT 1 FROM artifacts a WHERE a.public_id = ?1
                   AND (a.state <> 2 OR a.content IS NOT NULL OR a.metadata IS NOT NULL
                     OR EXISTS (SELECT 1 FROM answer_artifacts x WHERE x.artifact = a.id)))",
                [id.key()],
            )?;
            if left {
                return Err(StoreError::internal(format!("a purge left something of '{id}' behind")));
            }
        }
        Ok(())
    }

    pub(super) fn retrieve_purge_job(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeJob> {
        let sql = format!("SELECT {COLUMNS} WHERE j.public_id = ?1 AND j.project = ?2");
        self.one(&sql, params![id.key(), self.project(ctx)?], read)?
            .ok_or_else(|| StoreError::not_found(Kind::PurgeJob, id))?
            .record()
    }

    pub(super) fn retrieve_purge_receipt(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeReceipt> {
        let receipt: Option<Option<String>> = self.one(
            "SELECT receipt FROM purge_jobs WHERE public_id = ?1 AND project = ?2",
            params![id.key(), self.project(ctx)?],
            |row| row.get(0),
        )?;
        let missing = || StoreError::not_found(Kind::PurgeReceipt, id);
        Ok(serde_json::from_str(&receipt.flatten().ok_or_else(missing)?)?)
    }

    pub(super) fn purge_generation(&self, project: &ProjectId) -> Result<u64> {
        self.one("SELECT generation FROM projects WHERE public_id = ?1", [project.key()], |row| row.get(0))?
            .ok_or_else(|| StoreError::not_found(Kind::Project, project))
    }

    /// The row of an artifact that has not been purged; its handle may be revoked.
    fn purgeable_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM artifacts WHERE public_id = ?1 AND project = ?2 AND state < 2",
            params![id.key(), self.project(ctx)?],
            |row| row.get(0),
        )
    }

    /// Tombstones the bundles that hold an artifact and the sessions that use it, invalidates the snapshots
    /// that name it.
    fn tombstone_dependents(&self, artifact: i64) -> Result<()> {
        self.run(
            "UPDATE bundles SET state = 2
             WHERE id IN (SELECT bundle FROM bundle_items WHERE artifact = ?1)",
            [artifact],
        )?;
        self.run(
            "UPDATE sessions SET status = 2 WHERE status < 2 AND (
               id IN (SELECT s.session FROM session_bundles s JOIN bundle_items i ON i.bundle = s.bundle
                      WHERE i.artifact = ?1)
               OR id IN (SELECT b.session FROM events e JOIN branches b ON b.id = e.branch
                         WHERE e.artifact = ?1))",
            [artifact],
        )?;
        self.run(
            "UPDATE snapshots SET invalid = 1
             WHERE id IN (SELECT snapshot FROM snapshot_artifacts WHERE artifact = ?1)",
            [artifact],
        )?;
        Ok(())
    }

    fn drop_answers(&self, artifact: i64) -> Result<()> {
        let answers =
            self.all("SELECT answer FROM answer_artifacts WHERE artifact = ?1", [artifact], |row| {
                row.get(0)
            })?;
        answers.into_iter().try_for_each(|answer| self.erase_answer(answer))
    }
}

impl JobRow {
    fn record(&self) -> Result<PurgeJob> {
        Ok(PurgeJob {
            id: PurgeJobId::from_key(self.key),
            object: ObjectType::PurgeJob,
            status: if self.running { PurgeJobStatus::Running } else { PurgeJobStatus::Completed },
            scope: PurgeScope {
                project_id: self.project.clone(),
                artifact_ids: serde_json::from_str(&self.artifact_ids)?,
                extra: Extra::new(),
            },
            requested_at: time(self.requested_at),
            extra: Extra::new(),
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        key: row.get(1)?,
        project: ProjectId::from_key(row.get(2)?),
        artifact_ids: row.get(3)?,
        requested_at: row.get(4)?,
        generation: row.get(5)?,
        running: row.get(6)?,
        answer: row.get(7)?,
        trace: row.get(8)?,
    })
}
