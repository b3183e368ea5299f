//! A store that something comes between and its worker.

use super::*;
use crate::store::{Advanced, BatchPage, ClaimedLine, Idempotency, LineLease, LineOutcome, Page, Result};

/// What a worker asks of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Advance,
    Claim,
    Renew,
    Settle,
    Release,
    Next,
}

/// What comes between.
pub(super) trait Between: Send + Sync + 'static {
    /// Makes a call, or lets it fail, or both.
    fn make<T: Send>(
        &self,
        call: Call,
        made: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;
}

impl<B: Between> Between for Arc<B> {
    async fn make<T: Send>(&self, call: Call, made: impl Future<Output = Result<T>> + Send) -> Result<T> {
        (**self).make(call, made).await
    }
}

/// The store behind it.
pub(super) struct Reached<B>(pub(super) Arc<dyn Store>, pub(super) B);

#[async_trait]
impl<B: Between> BatchStore for Reached<B> {
    async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        self.0.create_batch(ctx, request, key).await
    }

    async fn list_batches(&self, ctx: &ProjectCtx, page: BatchPage) -> Result<Page<Batch>> {
        self.0.list_batches(ctx, page).await
    }

    async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        self.0.retrieve_batch(ctx, id).await
    }

    async fn cancel_batch(
        &self,
        ctx: &ProjectCtx,
        id: &BatchId,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        self.0.cancel_batch(ctx, id, key).await
    }

    async fn advance_batches(&self, now: DateTime<Utc>) -> Result<Advanced> {
        self.1.make(Call::Advance, self.0.advance_batches(now)).await
    }

    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        self.1.make(Call::Claim, self.0.claim_batch_lines(now, most)).await
    }

    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>> {
        self.1.make(Call::Renew, self.0.renew_batch_lines(leases, now)).await
    }

    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.1.make(Call::Settle, self.0.settle_batch_line(line, outcome, now)).await
    }

    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()> {
        self.1.make(Call::Release, self.0.release_batch_lines(leases)).await
    }

    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        self.1.make(Call::Next, self.0.next_batch_work(now)).await
    }
}
