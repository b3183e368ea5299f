//! The operations on batches: reads on a reader, writes on the writer thread, sealing beside both.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use zumik_types::{Batch, BatchId, CreateBatchRequest};

use super::SqliteStore;
use crate::blocking::blocking;
use crate::store::durable::batches::{SealedBatch, SealedOutcome};
use crate::store::{
    Advanced, BatchPage, BatchStore, ClaimedLine, Idempotency, LineLease, LineOutcome, Page, ProjectCtx,
    Result, StoreError, Written,
};

#[async_trait]
impl BatchStore for SqliteStore {
    async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        let wanted = request.clone();
        let content = self.read(ctx, move |db, ctx| {
            db.batch_input_file(ctx, &wanted)?;
            db.retrieve_file_content(ctx, &wanted.input_file_id)
        });
        let new = match content.await {
            Ok(content) => {
                let request = request.clone();
                Some(
                    self.sealed(ctx, move |env, ctx| {
                        SealedBatch::new(&env.vault, &*env.mint, ctx, request, &content)
                    })
                    .await?,
                )
            }
            // Said below, where a known key comes first.
            Err(StoreError::Reference { .. } | StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        self.keyed(ctx, key, move |db, ctx| {
            db.batch_input_file(ctx, &request)?;
            // A file is never changed: what was read is what it holds.
            let new = new.as_ref().ok_or_else(|| StoreError::unavailable("a file appeared meanwhile"))?;
            db.create_batch(ctx, new)
        })
        .await
    }

    async fn list_batches(&self, ctx: &ProjectCtx, page: BatchPage) -> Result<Page<Batch>> {
        self.read(ctx, move |db, ctx| db.list_batches(ctx, &page)).await
    }

    async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_batch(ctx, &id)).await
    }

    async fn cancel_batch(
        &self,
        ctx: &ProjectCtx,
        id: &BatchId,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        let id = id.clone();
        self.keyed(ctx, key, move |db, ctx| db.cancel_batch(ctx, &id)).await
    }

    async fn advance_batches(&self, now: DateTime<Utc>) -> Result<Advanced> {
        self.advance(now).await
    }

    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        let claims = self.writer.write(move |db| db.claim_batch_lines(now, most)).await?;
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        self.readers.read(move |db| db.read_claims(&claims)).await
    }

    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>> {
        self.writer.write(move |db| db.renew_batch_lines(&leases, now)).await
    }

    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let (env, line) = (std::sync::Arc::clone(&self.env), line.clone());
        let sealed = blocking(move || SealedOutcome::new(&env.vault, &*env.mint, &line, &outcome));
        let sealed = sealed.await??;
        self.writer.write(move |db| db.settle_batch_line(&sealed, now)).await
    }

    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()> {
        self.writer.write(move |db| db.release_batch_lines(&leases)).await
    }

    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let millis = self.readers.read(move |db| db.next_batch_work(now)).await?;
        Ok(millis.and_then(DateTime::from_timestamp_millis))
    }
}
