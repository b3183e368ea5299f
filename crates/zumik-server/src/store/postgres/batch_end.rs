//! How batches move on and end: their files are put together ahead and written in the transaction that ends the batch.
//! Replicas may do so at the same time; the one that comes first ends it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use zumik_types::BatchId;

use super::PostgresStore;
use super::db::{Db, Env, Param, bytes, count, id, stored};
use super::sweep::STEP;
use crate::blocking::blocking;
use crate::store::batch_results::Unanswered;
use crate::store::durable::batch_end::{Files, State, Texts};
use crate::store::durable::batches::{line_state, read_line, result_place};
use crate::store::durable::files::SealedFile;
use crate::store::durable::times::seconds;
use crate::store::{Advanced, BATCH_LIFETIME, NewFile, OUTPUT_LIFETIME, Result, StoreError};

/// Batches that one step moves on at most.
const BATCHES: i64 = 64;

/// Whether a batch can end at a time, `$1` in seconds and `$2` in milliseconds: nothing of it runs any more, and nothing
/// more may.
const MAY_END: &str = "CASE
    WHEN status = 0 THEN errors IS NOT NULL
    WHEN status = 2 THEN true
    WHEN status = 3 OR (status = 1 AND expires_at <= $1) THEN NOT EXISTS
      (SELECT 1 FROM batch_lines WHERE batch = batches.id AND state = 1 AND due > $2)
    ELSE false END";

/// A batch that can end, with its files: first as they are put together, then sealed.
pub(super) struct Ending<F> {
    batch: i64,
    project: i64,
    was: State,
    becomes: i64,
    files: Files<F>,
}

/// A line that never ran, and where its text is.
struct Idle {
    key: [u8; 16],
    input: i64,
    start: usize,
    length: usize,
}

impl Ending<NewFile> {
    fn seal(self, env: &Env, now: DateTime<Utc>) -> Result<Ending<SealedFile>> {
        let Self { batch, project, was, becomes, files } = self;
        let files = files.seal(|file| SealedFile::new(env, now, file))?;
        Ok(Ending { batch, project, was, becomes, files })
    }
}

impl PostgresStore {
    /// Moves every batch on that waits for nothing.
    pub(super) async fn advance(&self, now: DateTime<Utc>) -> Result<Advanced> {
        let mut advanced = Advanced::default();
        if self.read(|db| Box::pin(db.has_batch_to_start())).await? {
            advanced.started = self.write(|db| Box::pin(db.start_batches(now))).await?;
        }
        let mut failed = Ok(());
        for batch in self.read(|db| Box::pin(db.batches_that_may_end(now))).await? {
            // What keeps one from its end keeps no other from it.
            match self.end_if_it_may(batch, now).await {
                Ok(ended) => advanced.ended += u64::from(ended),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed.map(|()| advanced)
    }

    async fn end_if_it_may(&self, batch: i64, now: DateTime<Utc>) -> Result<bool> {
        let ending = self.read(|db| Box::pin(db.assemble_batch(batch, now))).await?;
        let Some(ending) = ending else { return Ok(false) };
        let env = Arc::clone(&self.env);
        // Files may be large: whatever else this thread serves would wait for them.
        let ending = &blocking(move || ending.seal(&env, now)).await??;
        self.write(|db| Box::pin(db.end_batch(ending, now))).await
    }
}

impl Db<'_, '_> {
    async fn has_batch_to_start(&self) -> Result<bool> {
        self.value("SELECT EXISTS (SELECT 1 FROM batches WHERE status = 0 AND errors IS NULL)", &[]).await
    }

    /// Lets the lines of new batches run. Gives how many batches those were.
    async fn start_batches(&self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "UPDATE batches SET status = 1, in_progress_at = $1 WHERE status = 0 AND errors IS NULL";
        self.run(sql, &[&seconds(now)]).await
    }

    /// Batches that can end, oldest first.
    async fn batches_that_may_end(&self, now: DateTime<Utc>) -> Result<Vec<i64>> {
        let sql = format!(
            "SELECT id FROM batches WHERE status < 4 AND (status <> 1 OR expires_at <= $1) AND {MAY_END}
             ORDER BY id LIMIT $3"
        );
        let params: &[Param<'_>] = &[&seconds(now), &now.timestamp_millis(), &BATCHES];
        self.all(&sql, params, |row| Ok(row.try_get(0)?)).await
    }

    /// Whether a batch can end now.
    pub(super) async fn may_end(&self, batch: i64, now: DateTime<Utc>) -> Result<bool> {
        let sql = format!("SELECT {MAY_END} FROM batches WHERE id = $3");
        self.value(&sql, &[&seconds(now), &now.timestamp_millis(), &batch]).await
    }

    /// Puts the files of a batch together; nothing when it cannot end after all.
    async fn assemble_batch(&self, batch: i64, now: DateTime<Utc>) -> Result<Option<Ending<NewFile>>> {
        let Some((id, project, was)) = self.batch_state(batch).await? else { return Ok(None) };
        let Some((becomes, why)) = was.end() else { return Ok(None) };
        if !self.may_end(batch, now).await? {
            return Ok(None);
        }
        let files = self.batch_texts(batch, why).await?.files(&id, now);
        Ok(Some(Ending { batch, project, was, becomes, files }))
    }

    async fn batch_state(&self, batch: i64) -> Result<Option<(BatchId, i64, State)>> {
        self.one(
            "SELECT public_id, project, status, completed, failed FROM batches WHERE id = $1",
            &[&batch],
            |row| {
                let state =
                    State { status: row.try_get(2)?, completed: count(row, 3)?, failed: count(row, 4)? };
                Ok((id(row, 0)?, row.try_get(1)?, state))
            },
        )
        .await
    }

    /// The texts of the files, out of all lines in the order of the input.
    async fn batch_texts(&self, batch: i64, why: Unanswered) -> Result<Texts> {
        let mut texts = Texts::new(why);
        let mut idle = Vec::new();
        self.for_each(
            "SELECT l.id, l.public_id, l.state, l.input, l.start, l.length, r.sealed
             FROM batch_lines l LEFT JOIN batch_results r ON r.id = l.id WHERE l.batch = $1 ORDER BY l.id",
            &[&batch],
            |row| {
                let state: i64 = row.try_get(2)?;
                if line_state::is_settled(state) {
                    let place = result_place(row.try_get(0)?);
                    texts.add_result(state, &self.env.vault.open(&place, row.try_get(6)?)?);
                    return Ok(());
                }
                let size = |at| usize::try_from(row.try_get::<_, i64>(at)?).map_err(StoreError::internal);
                let key = bytes(row.try_get(1)?)?;
                idle.push(Idle { key, input: row.try_get(3)?, start: size(4)?, length: size(5)? });
                Ok(())
            },
        )
        .await?;
        let mut piece = (0, Vec::new());
        for line in idle {
            if piece.0 != line.input {
                piece = (line.input, self.open_piece(line.input).await?);
            }
            texts.add_unanswered(line.key, &read_line(&piece.1, line.start, line.length)?)?;
        }
        Ok(texts)
    }

    /// Ends a batch and writes its files, unless something of it has changed since they were put together.
    async fn end_batch(&self, ending: &Ending<SealedFile>, now: DateTime<Utc>) -> Result<bool> {
        let Ending { batch, project, was, becomes, files: Files { output, errors } } = ending;
        self.hold_files(*project).await?;
        // Whoever takes lines of it shares its key until that can be seen below.
        self.run("SELECT 1 FROM batches WHERE id = $1 FOR UPDATE", &[batch]).await?;
        let unchanged = self.batch_state(*batch).await?.is_some_and(|(_, _, state)| state == *was);
        if !unchanged || !self.may_end(*batch, now).await? {
            return Ok(false);
        }
        for file in output.iter().chain(errors) {
            self.insert_file(*project, file).await?;
        }
        let key = |file: &Option<SealedFile>| file.as_ref().map(|file| file.key.to_vec());
        self.run(
            "UPDATE batches SET output_file = $2, error_file = $3 WHERE id = $1",
            &[batch, &key(output), &key(errors)],
        )
        .await?;
        self.note_end(*batch, *becomes, now).await?;
        Ok(true)
    }

    /// Notes the end of a batch. Its input file goes with its outputs, unless another batch still needs it.
    async fn note_end(&self, batch: i64, becomes: i64, now: DateTime<Utc>) -> Result<()> {
        let sql = "UPDATE batches SET status = $2, ended_at = $3 WHERE id = $1";
        self.run(sql, &[&batch, &becomes, &seconds(now)]).await?;
        self.run(
            "UPDATE files f SET expires_at = $2
             FROM batches b
             WHERE b.id = $1 AND f.public_id = b.input_file
               AND NOT EXISTS (SELECT 1 FROM batches o WHERE o.project = f.project
                               AND o.input_file = f.public_id AND o.status < 4)",
            &[&batch, &seconds(now + OUTPUT_LIFETIME)],
        )
        .await?;
        Ok(())
    }

    /// Removes lines, results and input of batches that have ended: a few at a time.
    pub(super) async fn clear_batches(&self) -> Result<u64> {
        let batch: Option<i64> = self
            .one(
                "SELECT id FROM batches WHERE status >= 4 AND has_lines LIMIT 1 FOR UPDATE SKIP LOCKED",
                &[],
                |row| Ok(row.try_get(0)?),
            )
            .await?;
        let Some(batch) = batch else { return Ok(0) };
        let lines = self
            .run(
                "WITH old AS MATERIALIZED (SELECT id FROM batch_lines WHERE batch = $1 LIMIT $2),
                 results AS (DELETE FROM batch_results r USING old WHERE r.id = old.id)
                 DELETE FROM batch_lines l USING old WHERE l.id = old.id",
                &[&batch, &stored(STEP)],
            )
            .await?;
        if lines < STEP {
            self.run("DELETE FROM batch_inputs WHERE batch = $1", &[&batch]).await?;
            self.run("UPDATE batches SET has_lines = false WHERE id = $1", &[&batch]).await?;
        }
        // There may be another one.
        Ok(STEP)
    }

    /// Forgets batches that ended long ago.
    pub(super) async fn sweep_batches(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT id FROM batches WHERE ended_at IS NOT NULL AND ended_at <= $1 AND NOT has_lines LIMIT $2
               FOR UPDATE SKIP LOCKED)
             DELETE FROM batches b USING old WHERE b.id = old.id",
            &[&seconds(now - BATCH_LIFETIME), &stored(STEP)],
        )
        .await
    }
}
