//! Appends in groups: what comes in while others are being committed shares the next statement, and its flush.
//!
//! One statement compares and swaps the rows of all branches of a group, inserts their events and keeps their answers.
//! It waits for no other transaction: a branch or an artifact that somebody else holds is passed over, as is a branch
//! that is not as expected and a key that is known. So a group neither stands still behind one busy branch nor takes
//! part in a deadlock, whatever other servers do. What was passed over is then done step by step, alone.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;

use deadpool_postgres::Pool;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::fault::{self, Race};
use crate::store::{Result, StoreError};

/// Appends that share a statement at most.
const GROUP: usize = 128;

/// Groups at once: while some wait for the disk, the next one is written, and shares their next flush.
const COMMITTERS: usize = 4;

/// Appends that may wait; beyond that the server is overloaded and says so.
const QUEUE: usize = 8192;

/// `< 1` is live, as `= 0`, but leads no plan to the index of all live artifacts of a project.
const APPEND: &str = "WITH
    asked AS MATERIALIZED (
      SELECT nextval('event_rows') AS id, a.*
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bigint[],
        $15::bytea[]) WITH ORDINALITY
        AS a (branch, version, head, public_id, artifact, project, created_at, jump, jump_sequence, event_type,
          payload_ref, lookup, fingerprint, expires_at, sealed, at)),
    held AS MATERIALIZED (
      SELECT a.*, r.id AS artifact_row FROM asked a
      CROSS JOIN LATERAL (
        SELECT FROM branches b
        WHERE b.id = a.branch AND b.version = a.version AND b.head IS NOT DISTINCT FROM a.head AND b.status = 0
        FOR NO KEY UPDATE SKIP LOCKED) b
      LEFT JOIN LATERAL (
        SELECT r.id FROM artifacts r
        WHERE r.public_id = a.artifact AND r.project = a.project AND r.state < 1
          AND (r.expires_at IS NULL OR r.expires_at > a.created_at)
        FOR SHARE SKIP LOCKED) r ON true
      WHERE (a.artifact IS NULL OR r.id IS NOT NULL)
        AND NOT EXISTS (SELECT FROM answers w WHERE w.lookup = a.lookup)),
    moved AS (
      UPDATE branches b SET version = b.version + 1, head = h.id
      FROM held h WHERE b.id = h.branch AND b.version = h.version
      RETURNING h.*),
    event AS (
      INSERT INTO events (id, public_id, branch, sequence, parent, jump, jump_sequence, event_type, payload_ref,
        artifact, created_at)
      SELECT id, public_id, branch, version + 1, head, jump, jump_sequence, event_type, payload_ref, artifact_row,
        created_at FROM moved),
    kept AS (
      INSERT INTO answers (lookup, fingerprint, expires_at, epoch, sealed)
      SELECT lookup, fingerprint, expires_at, 1, sealed FROM moved WHERE lookup IS NOT NULL)
    SELECT at, id FROM moved";

/// An append as the statement takes it.
pub(super) struct Swap {
    pub(super) branch: i64,
    pub(super) version: i64,
    pub(super) head: Option<i64>,
    pub(super) public_id: [u8; 16],
    /// What the database would keep of the artifact that the payload names.
    pub(super) artifact: Option<Vec<u8>>,
    pub(super) project: i64,
    pub(super) created_at: i64,
    pub(super) jump: Option<i64>,
    pub(super) jump_sequence: i64,
    pub(super) event_type: String,
    pub(super) payload_ref: Option<String>,
    pub(super) answer: Option<KeptAnswer>,
}

/// An answer to be kept under its key.
pub(super) struct KeptAnswer {
    pub(super) lookup: [u8; 16],
    pub(super) fingerprint: [u8; 32],
    pub(super) expires_at: i64,
    pub(super) sealed: Vec<u8>,
}

type Source = Box<dyn Error + Send + Sync>;

struct Queued {
    swap: Swap,
    reply: oneshot::Sender<Result<Option<i64>>>,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Queued>,
    /// Committers at work.
    committers: usize,
}

/// The appends that wait for the next statement.
pub(super) struct Groups {
    pool: Pool,
    waiting: Mutex<Waiting>,
}

impl Groups {
    /// Appends are run on connections of this pool.
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self { pool, waiting: Mutex::default() })
    }

    /// Appends together with what else is waiting; gives the row of the event, or nothing when this append was passed
    /// over. Once it is queued it runs to its end, whether or not anyone still waits for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub(super) async fn append(self: &Arc<Self>, swap: Swap) -> Result<Option<i64>> {
        let (reply, answer) = oneshot::channel();
        self.queue(Queued { swap, reply })?;
        answer.await.map_err(StoreError::outcome_unknown)?
    }

    fn queue(self: &Arc<Self>, queued: Queued) -> Result<()> {
        let mut waiting = self.waiting.lock();
        if waiting.queue.len() >= QUEUE {
            return Err(StoreError::unavailable("too many appends are waiting"));
        }
        waiting.queue.push_back(queued);
        if waiting.committers < COMMITTERS {
            waiting.committers += 1;
            let committer = Committer { groups: Arc::clone(self), ended: false };
            tokio::spawn(committer.commit());
        }
        Ok(())
    }

    /// Runs a group; gives the rows of the events that were appended, by their place in it.
    async fn run(&self, group: &[Queued]) -> Result<Vec<Option<i64>>> {
        let connection = self.pool.get().await?;
        let statement = connection.prepare_cached(APPEND).await?;
        let rows = connection
            .query(
                &statement,
                &[
                    &column(group, |swap| swap.branch),
                    &column(group, |swap| swap.version),
                    &column(group, |swap| swap.head),
                    &column(group, |swap| &swap.public_id[..]),
                    &column(group, |swap| swap.artifact.as_deref()),
                    &column(group, |swap| swap.project),
                    &column(group, |swap| swap.created_at),
                    &column(group, |swap| swap.jump),
                    &column(group, |swap| swap.jump_sequence),
                    &column(group, |swap| swap.event_type.as_bytes()),
                    &column(group, |swap| swap.payload_ref.as_deref().map(str::as_bytes)),
                    &column(group, |swap| swap.answer.as_ref().map(|kept| &kept.lookup[..])),
                    &column(group, |swap| swap.answer.as_ref().map(|kept| &kept.fingerprint[..])),
                    &column(group, |swap| swap.answer.as_ref().map(|kept| kept.expires_at)),
                    &column(group, |swap| swap.answer.as_ref().map(|kept| &kept.sealed[..])),
                ],
            )
            .await
            .map_err(fault::of_commit)?;
        let mut appended = vec![None; group.len()];
        for row in rows {
            let at = usize::try_from(row.try_get::<_, i64>(0)?).map_err(StoreError::internal)?;
            let place = at.checked_sub(1).and_then(|at| appended.get_mut(at));
            *place.ok_or_else(|| StoreError::internal("an append that nobody asked for"))? =
                row.try_get(1)?;
        }
        Ok(appended)
    }
}

/// One column of the values of a group.
fn column<'g, T>(group: &'g [Queued], value: impl Fn(&'g Swap) -> T) -> Vec<T> {
    group.iter().map(|queued| value(&queued.swap)).collect()
}

/// Tells all of a group that it failed, and why.
fn fail(group: Vec<Queued>, source: Source, error: fn(Source) -> StoreError) {
    let source: Arc<dyn Error + Send + Sync> = source.into();
    for queued in group {
        let _ = queued.reply.send(Err(error(Arc::clone(&source).into())));
    }
}

/// Who commits what is waiting, until nothing is.
struct Committer {
    groups: Arc<Groups>,
    ended: bool,
}

impl Committer {
    async fn commit(mut self) {
        while let Some(group) = self.next().await {
            match self.groups.run(&group).await {
                Ok(appended) => {
                    for (queued, row) in group.into_iter().zip(appended) {
                        // The request may be gone; what is committed stays committed.
                        let _ = queued.reply.send(Ok(row));
                    }
                }
                Err(StoreError::Unavailable(source)) if !source.is::<Race>() => {
                    fail(group, source, StoreError::Unavailable);
                }
                Err(StoreError::OutcomeUnknown(source)) => fail(group, source, StoreError::OutcomeUnknown),
                // Nothing was changed. Alone, each is told what is wrong with it.
                Err(error) => {
                    tracing::warn!(%error, appends = group.len(), "appends could not be committed together");
                    for queued in group {
                        let _ = queued.reply.send(Ok(None));
                    }
                }
            }
        }
    }

    /// What is waiting; nothing, and then this committer has ended.
    async fn next(&mut self) -> Option<Vec<Queued>> {
        // Requests that came in at the same time reach the queue first.
        tokio::task::yield_now().await;
        let mut waiting = self.groups.waiting.lock();
        if waiting.queue.is_empty() {
            waiting.committers -= 1;
            self.ended = true;
            return None;
        }
        let size = waiting.queue.len().min(GROUP);
        Some(waiting.queue.drain(..size).collect())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if !self.ended {
            self.groups.waiting.lock().committers -= 1;
        }
    }
}
