//! Batches whose files take long to be put together, while lines of others run.

use super::*;
use crate::store::{Advanced, BatchPage, ClaimedLine, Idempotency, LineLease, LineOutcome, Page, Result};

/// Longer than the lease of a line lasts.
const TAKES: Duration = Duration::from_secs(90);

/// A store that takes its time to move batches on.
struct SlowEnds(Arc<dyn Store>);

#[async_trait]
impl BatchStore for SlowEnds {
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
        tokio::time::sleep(TAKES).await;
        self.0.advance_batches(now).await
    }

    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        self.0.claim_batch_lines(now, most).await
    }

    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>> {
        self.0.renew_batch_lines(leases, now).await
    }

    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.0.settle_batch_line(line, outcome, now).await
    }

    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()> {
        self.0.release_batch_lines(leases).await
    }

    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        self.0.next_batch_work(now).await
    }
}

/// A worker whose two lines run, which take ten minutes, and which has begun to move batches on again.
async fn running() -> (World, BatchId, JoinHandle<()>, CancellationToken) {
    let world = World::new(Duration::from_secs(600), &[]).await;
    let store = Arc::new(SlowEnds(Arc::clone(&world.store)));
    let (worker, closing) = world.work_over(store, 2, || false);
    let batch = world.create(&["a", "b"]).await;
    while world.script.calls.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.bell.ring();
    tokio::time::sleep(Duration::from_secs(1)).await;
    (world, batch, worker, closing)
}

#[tokio::test(start_paused = true)]
async fn lines_are_held_while_batches_are_moved_on() {
    let (world, batch, _worker, _closing) = running().await;
    let (_other, _closing) = world.work(2);
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b"]);
    assert_eq!(world.script.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_closed_while_batches_are_moved_on_gives_its_lines_back_at_once() {
    let (world, _, worker, closing) = running().await;
    closing.cancel();
    tokio::time::timeout(Duration::from_millis(500), worker).await.expect("it ends").unwrap();
    let claimed = world.store.claim_batch_lines(world.clock.now(), 8).await.unwrap();
    assert_eq!(claimed.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 1]);
}
