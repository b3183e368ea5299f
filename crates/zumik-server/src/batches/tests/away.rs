//! A store that is away for a while, or does what it is asked and does not come to say so.

use std::sync::atomic::AtomicBool;

use super::reached::{Between, Call, Reached};
use super::*;
use crate::store::{LINE_LEASE, Result, StoreError};

/// A store that answers nobody while this is set.
#[derive(Default)]
struct Away(AtomicBool);

impl Between for Away {
    async fn make<T: Send>(&self, _: Call, made: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(StoreError::unavailable("away")),
            false => made.await,
        }
    }
}

/// A store whose answers to the first calls of a kind are lost.
struct Mute(Call, AtomicUsize);

impl Between for Mute {
    async fn make<T: Send>(&self, call: Call, made: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let answer = made.await?;
        let left = |left: usize| (call == self.0).then(|| left.checked_sub(1)).flatten();
        match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(StoreError::unavailable("the answer was lost")),
            Err(_) => Ok(answer),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_runs_while_the_store_is_away_for_longer_than_a_lease_runs_once() {
    let world = World::new(Duration::from_secs(300), &[]).await;
    let away = Arc::new(Away::default());
    let store = Arc::new(Reached(Arc::clone(&world.store), Arc::clone(&away)));
    let (_worker, _closing) = world.work_over(store, 4, || false);
    let batch = world.create(&["a", "b"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    away.0.store(true, Ordering::SeqCst);
    tokio::time::sleep(LINE_LEASE.to_std().unwrap() * 2).await;
    away.0.store(false, Ordering::SeqCst);
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b"]);
    assert_eq!(world.script.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_kept_although_the_store_did_not_say_so_is_looked_for_at_once() {
    let world = World::new(Duration::ZERO, &[]).await;
    let mute = Mute(Call::Settle, AtomicUsize::new(2));
    let store = Arc::new(Reached(Arc::clone(&world.store), mute));
    let (_worker, _closing) = world.work_over(store, 4, || false);
    let (batch, created) = (world.create(&["a", "b"]).await, Instant::now());
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b"]);
    assert!(created.elapsed() < Duration::from_secs(3), "{:?}", created.elapsed());
    assert_eq!(world.script.calls.lock().unwrap().len(), 2);
}
