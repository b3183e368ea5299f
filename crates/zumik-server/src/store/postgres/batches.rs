//! Batches as callers see them: made, listed, read and cancelled.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use zumik_types::{
    Batch, BatchErrors, BatchId, BatchRequestCounts, BatchStatus, CreateBatchRequest, Extra, File, FileId,
    JsonObject, ObjectType,
};

use super::db::{Db, bytes, count, key, stored, text};
use crate::store::batch_rules::{self, check_batch_room};
use crate::store::durable::batches::{SealedBatch, status, status_of};
use crate::store::durable::ids::{PublicId as _, file_id, file_key};
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::missing_after;
use crate::store::{BatchPage, COMPLETION_WINDOW, Kind, Page, ProjectCtx, Result, StoreError};

const COLUMNS: &str =
    "public_id, endpoint, input_file, completion_window, status, created_at, metadata, total,
    completed, failed, output_file, error_file, errors, in_progress_at, finalizing_at, cancelling_at, ended_at
    FROM batches";

/// A page of the batches of project `$1`: `$3` of those before row `$2`, newest first. Project and row are compared as one:
/// else the planner may walk the batches of all projects.
pub(super) fn page_sql() -> String {
    format!(
        "SELECT {COLUMNS} WHERE (project, id) > ($1, 0) AND (project, id) < ($1, $2)
         ORDER BY project DESC, id DESC LIMIT $3"
    )
}

impl Db<'_, '_> {
    /// The file that a batch is to be made of.
    pub(super) async fn batch_input_file(
        &self,
        ctx: &ProjectCtx,
        request: &CreateBatchRequest,
    ) -> Result<File> {
        let id = &request.input_file_id;
        let file = match self.retrieve_file(ctx, id).await {
            Err(StoreError::NotFound { .. }) => return Err(batch_rules::missing_input_file(id)),
            file => file?,
        };
        batch_rules::check_input_purpose(&file)?;
        Ok(file)
    }

    pub(super) async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: &CreateBatchRequest,
        new: Option<&SealedBatch>,
    ) -> Result<Batch> {
        let project = self.project(ctx).await?;
        self.hold_files(project).await?;
        self.batch_input_file(ctx, request).await?;
        // A file is never changed: what was read is what it holds.
        let new = new.ok_or_else(|| StoreError::unavailable("a file appeared meanwhile"))?;
        let (files, bytes) = self.stored_files(project, ctx.now).await?;
        check_batch_room(files, self.open_batches(project).await?, bytes)?;
        let batch = &new.batch;
        let input_file = file_key(&batch.input_file_id).map(|key| key.to_vec());
        let row: i64 = self
            .value(
                "INSERT INTO batches (public_id, project, api_key, endpoint, completion_window, input_file, metadata,
                   errors, total, created_at, expires_at, has_lines)
                 VALUES ($1, $2, (SELECT id FROM api_keys WHERE public_id = $3), $4, $5, $6, $7, $8, $9, $10, $11,
                   $12)
                 RETURNING id",
                &[
                    &&new.key[..],
                    &project,
                    &key(&ctx.key),
                    &batch.endpoint.as_bytes(),
                    &batch.completion_window.as_bytes(),
                    &input_file,
                    &new.metadata,
                    &new.errors,
                    &stored(batch.request_counts.total),
                    &seconds(batch.created_at),
                    &seconds(batch.created_at + COMPLETION_WINDOW),
                    &!new.lines.is_empty(),
                ],
            )
            .await?;
        self.insert_lines(row, new).await?;
        // In use again: it stays until this batch has ended too.
        self.run("UPDATE files SET expires_at = NULL WHERE public_id = $1", &[&input_file]).await?;
        Ok(batch.clone())
    }

    async fn insert_lines(&self, batch: i64, new: &SealedBatch) -> Result<()> {
        let mut pieces: Vec<i64> = Vec::with_capacity(new.pieces.len());
        for (number, sealed) in (0_i64..).zip(&new.pieces) {
            let sql = "INSERT INTO batch_inputs (batch, piece, sealed) VALUES ($1, $2, $3) RETURNING id";
            pieces.push(self.value(sql, &[&batch, &number, sealed]).await?);
        }
        let keys: Vec<&[u8]> = new.lines.iter().map(|line| &line.key[..]).collect();
        let inputs: Vec<Option<i64>> = new.lines.iter().map(|line| pieces.get(line.piece).copied()).collect();
        let starts: Vec<i64> = new.lines.iter().map(|line| stored(line.start as u64)).collect();
        let lengths: Vec<i64> = new.lines.iter().map(|line| stored(line.length as u64)).collect();
        self.run(
            "INSERT INTO batch_lines (public_id, batch, input, start, length)
             SELECT n.public_id, $1, n.input, n.start, n.length
             FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY
               AS n (public_id, input, start, length, at)
             ORDER BY n.at",
            &[&batch, &keys, &inputs, &starts, &lengths],
        )
        .await?;
        Ok(())
    }

    /// Batches of a project that have not ended.
    pub(super) async fn open_batches(&self, project: i64) -> Result<u64> {
        let open: i64 =
            self.value("SELECT count(*) FROM batches WHERE project = $1 AND status < 4", &[&project]).await?;
        u64::try_from(open).map_err(StoreError::internal)
    }

    pub(super) async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        let (row, _) = self.batch(ctx, id).await?;
        self.read_batch(row).await
    }

    pub(super) async fn list_batches(&self, ctx: &ProjectCtx, page: &BatchPage) -> Result<Page<Batch>> {
        let before = match &page.after {
            None => i64::MAX,
            Some(id) => match self.batch(ctx, id).await {
                Err(StoreError::NotFound { .. }) => return Err(missing_after(Kind::Batch, id)),
                found => found?.0,
            },
        };
        // One more than asked for tells whether more remain.
        let limit = page.limit.map(|limit| i64::from(limit) + 1);
        let project = self.project(ctx).await?;
        let mut data =
            self.all(&page_sql(), &[&project, &before, &limit], |row| self.open_batch(row)).await?;
        let wanted = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = data.len() > wanted;
        data.truncate(wanted);
        Ok(Page { data, has_more })
    }

    pub(super) async fn cancel_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        self.run("SELECT 1 FROM batches WHERE public_id = $1 FOR NO KEY UPDATE", &[&key(id)]).await?;
        let (row, status) = self.batch(ctx, id).await?;
        if batch_rules::may_cancel(&status)? {
            self.run(
                "UPDATE batches SET status = $2, cancelling_at = $3 WHERE id = $1",
                &[&row, &status::CANCELLING, &seconds(ctx.now)],
            )
            .await?;
        }
        self.read_batch(row).await
    }

    /// Row and status of a batch.
    async fn batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<(i64, BatchStatus)> {
        self.one(
            "SELECT id, status FROM batches WHERE public_id = $1 AND project = $2",
            &[&key(id), &self.project(ctx).await?],
            |row| Ok((row.try_get(0)?, status_of(row.try_get(1)?))),
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Batch, id))
    }

    async fn read_batch(&self, row: i64) -> Result<Batch> {
        let sql = format!("SELECT {COLUMNS} WHERE id = $1");
        let batch = self.one(&sql, &[&row], |row| self.open_batch(row)).await?;
        batch.ok_or_else(|| StoreError::internal("a batch is gone"))
    }

    /// A batch from a row of [`COLUMNS`].
    fn open_batch(&self, row: &Row) -> Result<Batch> {
        let key: [u8; 16] = bytes(row.try_get(0)?)?;
        let metadata = match row.try_get::<_, Option<&[u8]>>(6)? {
            Some(sealed) => self.open_json::<JsonObject>("batch_metadata", &key, sealed)?,
            None => JsonObject::new(),
        };
        let number = row.try_get(4)?;
        let mut batch = Batch {
            id: BatchId::from_key(key),
            object: ObjectType::Batch,
            endpoint: text(row, 1)?,
            input_file_id: file_id(bytes(row.try_get(2)?)?),
            completion_window: text(row, 3)?,
            status: status_of(number),
            created_at: time(row.try_get(5)?),
            metadata,
            request_counts: BatchRequestCounts {
                total: count(row, 7)?,
                completed: count(row, 8)?,
                failed: count(row, 9)?,
                extra: Extra::new(),
            },
            output_file_id: optional_file(row, 10)?,
            error_file_id: optional_file(row, 11)?,
            errors: None,
            in_progress_at: moment(row, 13)?,
            finalizing_at: moment(row, 14)?,
            cancelling_at: moment(row, 15)?,
            completed_at: None,
            failed_at: None,
            cancelled_at: None,
            expired_at: None,
            extra: Extra::new(),
        };
        if let Some(ended_at) = moment(row, 16)? {
            batch_rules::end(&mut batch, status_of(number), ended_at);
        }
        if batch.status == BatchStatus::Failed
            && let Some(sealed) = row.try_get::<_, Option<&[u8]>>(12)?
        {
            batch.errors = Some(self.open_json::<BatchErrors>("batch_errors", &key, sealed)?);
        }
        Ok(batch)
    }

    fn open_json<T: serde::de::DeserializeOwned>(&self, kind: &str, key: &[u8], sealed: &[u8]) -> Result<T> {
        Ok(serde_json::from_slice(&self.env.vault.open(&place(kind, key), sealed)?)?)
    }
}

fn moment(row: &Row, at: usize) -> Result<Option<DateTime<Utc>>> {
    Ok(row.try_get::<_, Option<i64>>(at)?.map(time))
}

fn optional_file(row: &Row, at: usize) -> Result<Option<FileId>> {
    row.try_get::<_, Option<&[u8]>>(at)?.map(|key| Ok(file_id(bytes(key)?))).transpose()
}
