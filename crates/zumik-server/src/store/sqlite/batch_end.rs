//! How batches move on and end: their files are put together beside the writer and written in the transaction that
//! ends the batch.

use chrono::{DateTime, Utc};
use rusqlite::params;
use zumik_types::BatchId;

use super::sweep::STEP;
use super::{Db, SqliteStore};
use crate::store::batch_results::Unanswered;
use crate::store::durable::batch_end::{Files, State, Texts};
use crate::store::durable::batches::{line_state, read_line, result_place};
use crate::store::durable::files::SealedFile;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::seconds;
use crate::store::{Advanced, BATCH_LIFETIME, OUTPUT_LIFETIME, Result, StoreError};

/// Batches that one step moves on at most.
const BATCHES: u32 = 64;

/// Whether a batch can end at a time, `?1` in seconds and `?2` in milliseconds: nothing of it runs any more, and nothing
/// more may.
const MAY_END: &str = "CASE
    WHEN status = 0 THEN errors IS NOT NULL
    WHEN status = 2 THEN 1
    WHEN status = 3 OR (status = 1 AND expires_at <= ?1) THEN NOT EXISTS
      (SELECT 1 FROM batch_lines WHERE batch = batches.id AND state = 1 AND due > ?2)
    ELSE 0 END";

/// Batches that can end, oldest first. Their order is found by sorting the few that are open: a walk in that order would
/// pass all that have ended.
pub(super) fn may_end_sql() -> String {
    format!(
        "SELECT id FROM batches WHERE status < 4 AND (status <> 1 OR expires_at <= ?1) AND {MAY_END}
         ORDER BY +id LIMIT ?3"
    )
}

/// A batch that can end, with its files sealed.
pub(super) struct Ending {
    batch: i64,
    was: State,
    becomes: i64,
    files: Files<SealedFile>,
}

impl SqliteStore {
    /// Moves every batch on that waits for nothing.
    pub(super) async fn advance(&self, now: DateTime<Utc>) -> Result<Advanced> {
        let mut advanced = Advanced::default();
        if self.readers.read(|db| db.has_batch_to_start()).await? {
            advanced.started = self.writer.write(move |db| db.start_batches(now)).await?;
        }
        let mut failed = Ok(());
        for batch in self.readers.read(move |db| db.batches_that_may_end(now)).await? {
            // What keeps one from its end keeps no other from it.
            match self.end_if_it_may(batch, now).await {
                Ok(ended) => advanced.ended += u64::from(ended),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed.map(|()| advanced)
    }

    async fn end_if_it_may(&self, batch: i64, now: DateTime<Utc>) -> Result<bool> {
        let ending = self.readers.read(move |db| db.assemble_batch(batch, now)).await?;
        let Some(ending) = ending else { return Ok(false) };
        self.writer.write(move |db| db.end_batch(&ending, now)).await
    }
}

impl Db<'_> {
    fn has_batch_to_start(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM batches WHERE status = 0 AND status < 4 AND errors IS NULL)";
        self.value(sql, [])
    }

    /// Lets the lines of new batches run. Gives how many batches those were.
    fn start_batches(&self, now: DateTime<Utc>) -> Result<u64> {
        let started = self.run(
            "UPDATE batches SET status = 1, in_progress_at = ?1
             WHERE status = 0 AND status < 4 AND errors IS NULL",
            [seconds(now)],
        )?;
        Ok(started as u64)
    }

    /// Batches that can end, oldest first.
    fn batches_that_may_end(&self, now: DateTime<Utc>) -> Result<Vec<i64>> {
        self.all(&may_end_sql(), params![seconds(now), now.timestamp_millis(), BATCHES], |row| row.get(0))
    }

    /// Whether a batch can end now.
    pub(super) fn may_end(&self, batch: i64, now: DateTime<Utc>) -> Result<bool> {
        let sql = format!("SELECT {MAY_END} FROM batches WHERE id = ?3");
        self.value(&sql, params![seconds(now), now.timestamp_millis(), batch])
    }

    /// Puts the files of a batch together; nothing when it cannot end after all.
    fn assemble_batch(&self, batch: i64, now: DateTime<Utc>) -> Result<Option<Ending>> {
        let Some((id, was)) = self.batch_state(batch)? else { return Ok(None) };
        let Some((becomes, why)) = was.end() else { return Ok(None) };
        if !self.may_end(batch, now)? {
            return Ok(None);
        }
        let files = self.batch_texts(batch, why)?.files(&id, now);
        let files = files.seal(|file| SealedFile::new(self.env, now, file))?;
        Ok(Some(Ending { batch, was, becomes, files }))
    }

    fn batch_state(&self, batch: i64) -> Result<Option<(BatchId, State)>> {
        self.one("SELECT public_id, status, completed, failed FROM batches WHERE id = ?1", [batch], |row| {
            let state = State { status: row.get(1)?, completed: row.get(2)?, failed: row.get(3)? };
            Ok((BatchId::from_key(row.get(0)?), state))
        })
    }

    /// The texts of the files, out of all lines in the order of the input.
    fn batch_texts(&self, batch: i64, why: Unanswered) -> Result<Texts> {
        let mut texts = Texts::new(why);
        let mut piece = (0, Vec::new());
        self.for_each(
            "SELECT l.id, l.public_id, l.state, l.input, l.start, l.length, r.sealed
             FROM batch_lines l LEFT JOIN batch_results r ON r.id = l.id WHERE l.batch = ?1 ORDER BY l.id",
            [batch],
            |row| {
                let state: i64 = row.get(2)?;
                if line_state::is_settled(state) {
                    let sealed = row.get_ref(6)?.as_blob().map_err(StoreError::internal)?;
                    texts.add_result(state, &self.env.vault.open(&result_place(row.get(0)?), sealed)?);
                    return Ok(());
                }
                let input: i64 = row.get(3)?;
                if piece.0 != input {
                    piece = (input, self.open_piece(input)?);
                }
                texts.add_unanswered(row.get(1)?, &read_line(&piece.1, row.get(4)?, row.get(5)?)?)
            },
        )?;
        Ok(texts)
    }

    /// Ends a batch and writes its files, unless something of it has changed since they were put together.
    fn end_batch(&self, ending: &Ending, now: DateTime<Utc>) -> Result<bool> {
        let batch = ending.batch;
        let unchanged = self.batch_state(batch)?.is_some_and(|(_, state)| state == ending.was);
        if !unchanged || !self.may_end(batch, now)? {
            return Ok(false);
        }
        let project: i64 = self.value("SELECT project FROM batches WHERE id = ?1", [batch])?;
        let write = |file: &Option<SealedFile>| -> Result<Option<[u8; 12]>> {
            let Some(file) = file else { return Ok(None) };
            self.insert_file(project, file)?;
            Ok(Some(file.key))
        };
        let (output, errors) = (write(&ending.files.output)?, write(&ending.files.errors)?);
        self.run(
            "UPDATE batches SET output_file = ?2, error_file = ?3 WHERE id = ?1",
            params![batch, output, errors],
        )?;
        self.note_end(batch, ending.becomes, now)?;
        Ok(true)
    }

    /// Notes the end of a batch. Its input file goes with its outputs, unless another batch still needs it.
    fn note_end(&self, batch: i64, status: i64, now: DateTime<Utc>) -> Result<()> {
        self.run(
            "UPDATE batches SET status = ?2, ended_at = ?3 WHERE id = ?1",
            params![batch, status, seconds(now)],
        )?;
        self.run(
            "UPDATE files SET expires_at = ?2
             WHERE public_id = (SELECT input_file FROM batches WHERE id = ?1)
               AND NOT EXISTS (SELECT 1 FROM batches o WHERE o.project = files.project
                               AND o.input_file = files.public_id AND o.status < 4)",
            params![batch, seconds(now + OUTPUT_LIFETIME)],
        )?;
        Ok(())
    }

    /// Removes lines, results and input of batches that have ended: a few at a time.
    pub(super) fn clear_batches(&self) -> Result<u64> {
        let batch: Option<i64> =
            self.one("SELECT id FROM batches WHERE status >= 4 AND has_lines = 1 LIMIT 1", [], |row| {
                row.get(0)
            })?;
        let Some(batch) = batch else { return Ok(0) };
        let lines = self.all(
            "DELETE FROM batch_lines WHERE id IN (SELECT id FROM batch_lines WHERE batch = ?1 LIMIT ?2)
             RETURNING id",
            params![batch, STEP],
            |row| row.get::<_, i64>(0),
        )?;
        for line in &lines {
            self.run("DELETE FROM batch_results WHERE id = ?1", [line])?;
        }
        if (lines.len() as u64) < STEP {
            self.run("DELETE FROM batch_inputs WHERE batch = ?1", [batch])?;
            self.run("UPDATE batches SET has_lines = 0 WHERE id = ?1", [batch])?;
        }
        // There may be another one.
        Ok(STEP)
    }

    /// Forgets batches that ended long ago.
    pub(super) fn sweep_batches(&self, now: DateTime<Utc>) -> Result<u64> {
        let removed = self.run(
            "DELETE FROM batches WHERE id IN
               (SELECT id FROM batches WHERE ended_at IS NOT NULL AND ended_at <= ?1 AND has_lines = 0 LIMIT ?2)",
            params![seconds(now - BATCH_LIFETIME), STEP],
        )?;
        Ok(removed as u64)
    }
}
