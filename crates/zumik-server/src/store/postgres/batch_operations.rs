//! The operations on batches, each in one transaction, sealing beside them.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use zumik_types::{Batch, BatchId, CreateBatchRequest};

use super::PostgresStore;
use crate::blocking::blocking;
use crate::store::durable::batches::{SealedBatch, SealedOutcome};
use crate::store::{
    Advanced, BatchPage, BatchStore, ClaimedLine, Idempotency, LineLease, LineOutcome, Page, ProjectCtx,
    Result, StoreError, Written,
};

#[async_trait]
impl BatchStore for PostgresStore {
    async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        let request = &request;
        let content = self.read(|db| {
            Box::pin(async move {
                db.batch_input_file(ctx, request).await?;
                db.file_content(ctx, &request.input_file_id).await
            })
        });
        let new = match content.await {
            Ok(content) => {
                let request = request.clone();
                let sealed = self.sealed(ctx, move |env, ctx| {
                    SealedBatch::new(&env.vault, &*env.mint, ctx, request, &content.open(env)?)
                });
                Some(sealed.await?)
            }
            // Said below, where a known key comes first.
            Err(StoreError::Reference { .. } | StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let new = new.as_ref();
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_batch(ctx, request, new))).await
    }

    async fn list_batches(&self, ctx: &ProjectCtx, page: BatchPage) -> Result<Page<Batch>> {
        let page = &page;
        self.read(|db| Box::pin(db.list_batches(ctx, page))).await
    }

    async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        self.read(|db| Box::pin(db.retrieve_batch(ctx, id))).await
    }

    async fn cancel_batch(
        &self,
        ctx: &ProjectCtx,
        id: &BatchId,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.cancel_batch(ctx, id))).await
    }

    async fn advance_batches(&self, now: DateTime<Utc>) -> Result<Advanced> {
        self.advance(now).await
    }

    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        self.write(|db| Box::pin(db.claim_batch_lines(now, most))).await
    }

    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>> {
        let leases = &leases;
        self.write(|db| Box::pin(db.renew_batch_lines(leases, now))).await
    }

    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let (env, line) = (Arc::clone(&self.env), line.clone());
        let sealed = blocking(move || SealedOutcome::new(&env.vault, &*env.mint, &line, &outcome));
        let sealed = &sealed.await??;
        self.write(|db| Box::pin(db.settle_batch_line(sealed, now))).await
    }

    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()> {
        let leases = &leases;
        self.write(|db| Box::pin(db.release_batch_lines(leases))).await
    }

    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let millis = self.read(|db| Box::pin(db.next_batch_work(now))).await?;
        Ok(millis.and_then(DateTime::from_timestamp_millis))
    }
}
