//! Batches whose files take long to be put together, while lines of others run.

use super::reached::{Between, Call, Reached};
use super::*;
use crate::store::Result;

/// Longer than the lease of a line lasts.
const TAKES: Duration = Duration::from_secs(90);

/// A store that takes its time to move batches on.
struct SlowEnds;

impl Between for SlowEnds {
    async fn make<T: Send>(&self, call: Call, made: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if call == Call::Advance {
            tokio::time::sleep(TAKES).await;
        }
        made.await
    }
}

/// A worker whose two lines run, which take ten minutes, and which has begun to move batches on again.
async fn running() -> (World, BatchId, JoinHandle<()>, CancellationToken) {
    let world = World::new(Duration::from_secs(600), &[]).await;
    let store = Arc::new(Reached(Arc::clone(&world.store), SlowEnds));
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
