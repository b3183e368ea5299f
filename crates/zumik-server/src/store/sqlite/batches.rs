//! Batches as callers see them: made, listed, read and cancelled.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};
use zumik_types::{
    Batch, BatchErrors, BatchId, BatchRequestCounts, BatchStatus, CreateBatchRequest, Extra, File,
    JsonObject, ObjectType,
};

use super::Db;
use crate::store::batch_rules::{self, check_batch_room};
use crate::store::durable::batches::{SealedBatch, status, status_of};
use crate::store::durable::ids::{PublicId, file_id, file_key};
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::missing_after;
use crate::store::{BatchPage, COMPLETION_WINDOW, Kind, Page, ProjectCtx, Result, StoreError};

const COLUMNS: &str =
    "public_id, endpoint, input_file, completion_window, status, created_at, metadata, total,
    completed, failed, output_file, error_file, errors, in_progress_at, finalizing_at, cancelling_at, ended_at
    FROM batches";

impl Db<'_> {
    /// The file that a batch is to be made of.
    pub(super) fn batch_input_file(&self, ctx: &ProjectCtx, request: &CreateBatchRequest) -> Result<File> {
        let id = &request.input_file_id;
        let file = match self.retrieve_file(ctx, id) {
            Err(StoreError::NotFound { .. }) => return Err(batch_rules::missing_input_file(id)),
            file => file?,
        };
        batch_rules::check_input_purpose(&file)?;
        Ok(file)
    }

    pub(super) fn create_batch(&self, ctx: &ProjectCtx, new: &SealedBatch) -> Result<Batch> {
        let project = self.project(ctx)?;
        let (files, bytes) = self.stored_files(project, ctx.now)?;
        check_batch_room(files, self.open_batches(project)?, bytes)?;
        let batch = &new.batch;
        let row = self.insert(
            "INSERT INTO batches (public_id, project, api_key, endpoint, completion_window, input_file, metadata,
               errors, total, created_at, expires_at, has_lines)
             VALUES (?1, ?2, (SELECT id FROM api_keys WHERE public_id = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                new.key,
                project,
                ctx.key.key(),
                batch.endpoint,
                batch.completion_window,
                file_key(&batch.input_file_id),
                new.metadata,
                new.errors,
                batch.request_counts.total,
                seconds(batch.created_at),
                seconds(batch.created_at + COMPLETION_WINDOW),
                !new.lines.is_empty(),
            ],
        )?;
        let mut pieces = Vec::with_capacity(new.pieces.len());
        for (number, sealed) in (0_i64..).zip(&new.pieces) {
            let sql = "INSERT INTO batch_inputs (batch, piece, sealed) VALUES (?1, ?2, ?3)";
            pieces.push(self.insert(sql, params![row, number, sealed])?);
        }
        for line in &new.lines {
            let id = self.env.newest_line.fetch_add(1, Ordering::Relaxed) + 1;
            self.run(
                "INSERT INTO batch_lines (id, public_id, batch, input, start, length)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, line.key, row, pieces.get(line.piece), line.start, line.length],
            )?;
        }
        // In use again: it stays until this batch has ended too.
        self.run(
            "UPDATE files SET expires_at = NULL WHERE public_id = ?1",
            params![file_key(&batch.input_file_id)],
        )?;
        Ok(batch.clone())
    }

    /// Batches of a project that have not ended.
    pub(super) fn open_batches(&self, project: i64) -> Result<u64> {
        self.value("SELECT count(*) FROM batches WHERE project = ?1 AND status < 4", [project])
    }

    pub(super) fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        let (row, _) = self.batch(ctx, id)?;
        self.read_batch(row)
    }

    pub(super) fn list_batches(&self, ctx: &ProjectCtx, page: &BatchPage) -> Result<Page<Batch>> {
        let after = match &page.after {
            None => None,
            Some(id) => match self.batch(ctx, id) {
                Err(StoreError::NotFound { .. }) => return Err(missing_after(Kind::Batch, id)),
                found => Some(found?.0),
            },
        };
        // One more than asked for tells whether more remain.
        let limit = page.limit.map_or(-1, |limit| i64::from(limit) + 1);
        let sql = format!(
            "SELECT {COLUMNS} WHERE project = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
        );
        let rows =
            self.all(&sql, params![self.project(ctx)?, after, limit], |row| Ok(self.open_batch(row)))?;
        let mut data = rows.into_iter().collect::<Result<Vec<_>>>()?;
        let wanted = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = data.len() > wanted;
        data.truncate(wanted);
        Ok(Page { data, has_more })
    }

    pub(super) fn cancel_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        let (row, status) = self.batch(ctx, id)?;
        if batch_rules::may_cancel(&status)? {
            self.run(
                "UPDATE batches SET status = ?2, cancelling_at = ?3 WHERE id = ?1",
                params![row, status::CANCELLING, seconds(ctx.now)],
            )?;
        }
        self.read_batch(row)
    }

    /// Row and status of a batch.
    fn batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<(i64, BatchStatus)> {
        let found = self.one(
            "SELECT id, status FROM batches WHERE public_id = ?1 AND project = ?2",
            params![id.key(), self.project(ctx)?],
            |row| Ok((row.get(0)?, status_of(row.get(1)?))),
        )?;
        found.ok_or_else(|| StoreError::not_found(Kind::Batch, id))
    }

    fn read_batch(&self, row: i64) -> Result<Batch> {
        let sql = format!("SELECT {COLUMNS} WHERE id = ?1");
        let batch = self.one(&sql, [row], |row| Ok(self.open_batch(row)))?;
        batch.ok_or_else(|| StoreError::internal("a batch is gone"))?
    }

    /// A batch from a row of [`COLUMNS`].
    fn open_batch(&self, row: &Row<'_>) -> Result<Batch> {
        let key: [u8; 16] = row.get(0)?;
        let metadata = match row.get::<_, Option<Vec<u8>>>(6)? {
            Some(sealed) => self.open_json::<JsonObject>("batch_metadata", &key, &sealed)?,
            None => JsonObject::new(),
        };
        let moment =
            |at: usize| -> Result<Option<DateTime<Utc>>> { Ok(row.get::<_, Option<i64>>(at)?.map(time)) };
        let file = |at: usize| -> Result<_> { Ok(row.get::<_, Option<[u8; 12]>>(at)?.map(file_id)) };
        let status = row.get(4)?;
        let mut batch = Batch {
            id: BatchId::from_key(key),
            object: ObjectType::Batch,
            endpoint: row.get(1)?,
            input_file_id: file_id(row.get(2)?),
            completion_window: row.get(3)?,
            status: status_of(status),
            created_at: time(row.get(5)?),
            metadata,
            request_counts: BatchRequestCounts {
                total: row.get(7)?,
                completed: row.get(8)?,
                failed: row.get(9)?,
                extra: Extra::new(),
            },
            output_file_id: file(10)?,
            error_file_id: file(11)?,
            errors: None,
            in_progress_at: moment(13)?,
            finalizing_at: moment(14)?,
            cancelling_at: moment(15)?,
            completed_at: None,
            failed_at: None,
            cancelled_at: None,
            expired_at: None,
            extra: Extra::new(),
        };
        if let Some(ended_at) = moment(16)? {
            batch_rules::end(&mut batch, status_of(status), ended_at);
        }
        if batch.status == BatchStatus::Failed
            && let Some(sealed) = row.get::<_, Option<Vec<u8>>>(12)?
        {
            batch.errors = Some(self.open_json::<BatchErrors>("batch_errors", &key, &sealed)?);
        }
        Ok(batch)
    }

    fn open_json<T: serde::de::DeserializeOwned>(&self, kind: &str, key: &[u8], sealed: &[u8]) -> Result<T> {
        Ok(serde_json::from_slice(&self.env.vault.open(&place(kind, key), sealed)?)?)
    }
}
