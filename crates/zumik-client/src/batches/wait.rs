//! Waiting for a batch.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use zumik_types::{Batch, BatchId};

use crate::api::v1::batches::Batches;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::response::Response;
use crate::transport::BoxFuture;

/// The pause before the second question.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause between two questions.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause that the server can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3600);
/// How long the questions may all fail before the wait fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// The same with those pauses: no batch runs longer.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Called with the batch each time the server was asked.
pub(super) type Progress<'c> = Box<dyn FnMut(&Batch) + Send + 'c>;

impl<'c> Batches<'c> {
    /// Waits until a batch has ended, in whatever way, and gives it. Ended already: at once.
    ///
    /// The server is asked seldom: after half a second, then ever later, up to every 30 seconds, at times that are a
    /// little random. A server that cannot be reached for 5 minutes does not end the wait; one that asks for a longer
    /// pause gets it, up to an hour. There is no deadline but the batch's own, 24 hours after it was created, unless
    /// [`timeout`](WaitForBatch::timeout) sets one. Dropping the future cancels nothing on the server;
    /// [`cancel`](Self::cancel) does.
    ///
    /// A batch with a status that this version does not know has ended when it says when it did
    /// ([`completed_at`](Batch::completed_at) and its like).
    ///
    /// ```no_run
    /// # async fn example(zk: &zumik_client::Zumik, id: &zumik_client::types::BatchId) -> zumik_client::Result<()> {
    /// let batch = zk.v1().batches().wait(id).on_progress(|batch| println!("{:?}", batch.request_counts)).await?;
    /// println!("{} is {}", batch.id, batch.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Timeout`](ErrorKind::Timeout) when the batch has not ended in the time that was set; it goes on. Whatever else a
    /// call can meet. A batch that failed, expired or was cancelled is no error here.
    pub fn wait(&self, batch_id: impl Into<BatchId>) -> WaitForBatch<'c> {
        WaitForBatch { batches: *self, batch_id: batch_id.into(), progress: None, limit: None }
    }
}

/// A wait that has not begun; see [`Batches::wait`]. Await it.
#[must_use = "a wait does nothing until it is awaited"]
pub struct WaitForBatch<'c> {
    batches: Batches<'c>,
    batch_id: BatchId,
    progress: Option<Progress<'c>>,
    limit: Option<Duration>,
}

impl<'c> WaitForBatch<'c> {
    /// Sets what is called with the batch each time the server was asked. Its
    /// [`request_counts`](Batch::request_counts) grow.
    pub fn on_progress(mut self, progress: impl FnMut(&Batch) + Send + 'c) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Sets the longest time to wait. Default: until the batch has ended.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl<'c> IntoFuture for WaitForBatch<'c> {
    type Output = Result<Batch>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { batches, batch_id, progress, limit } = self;
        Box::pin(async move {
            let mut progress = progress.unwrap_or_else(|| Box::new(|_| {}));
            until_ended(&batches, &batch_id, &mut progress, limit).await.map(Response::into_inner)
        })
    }
}

impl fmt::Debug for WaitForBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForBatch").field("batch_id", &self.batch_id).finish_non_exhaustive()
    }
}

/// Asks for a batch until it has ended, or for so long.
pub(super) async fn until_ended(
    batches: &Batches<'_>,
    id: &BatchId,
    progress: &mut Progress<'_>,
    limit: Option<Duration>,
) -> Result<Response<Batch>> {
    let ended = asked_until_ended(batches, id, progress);
    let Some(limit) = limit else { return ended.await };
    timeout(limit, ended).await.unwrap_or_else(|_| {
        let message = format!("the batch {id} has not ended within {} s", limit.as_secs_f64());
        Err(Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Ambiguous))
    })
}

async fn asked_until_ended(
    batches: &Batches<'_>,
    id: &BatchId,
    progress: &mut Progress<'_>,
) -> Result<Response<Batch>> {
    let (mut asked, mut away) = (0, None);
    loop {
        let mut pause = pause(asked, batches.client.shared().ambient.jitter());
        match batches.retrieve(id).send().await {
            Ok(batch) => {
                progress(&batch);
                if batch.has_ended() {
                    return Ok(batch);
                }
                away = None;
            }
            Err(error) if error.is_retryable() => {
                let now = Instant::now();
                let (first, since) = away.get_or_insert((now, now));
                if since.elapsed() > PATIENCE || first.elapsed() > LIFETIME {
                    return Err(error);
                }
                // A pause that the server asks for is no time without it.
                let asked_for = error.retry_after().unwrap_or_default().min(LONGEST_ASKED_FOR);
                *since += asked_for;
                pause = pause.max(asked_for);
            }
            Err(error) => return Err(error),
        }
        sleep(pause).await;
        asked += 1;
    }
}

/// Half of it is certain and half by chance, so that many programs do not ask at the same moment.
fn pause(asked: u32, jitter: f64) -> Duration {
    let longest = FIRST.saturating_mul(2_u32.saturating_pow(asked / 2)).min(LONGEST);
    longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_rarer_up_to_a_limit_and_are_spread_by_chance() {
        let pauses = |jitter| [0, 1, 2, 6, 12, 1000, u32::MAX].map(|asked| pause(asked, jitter).as_millis());
        assert_eq!(pauses(1.0), [500, 500, 1000, 4000, 30_000, 30_000, 30_000]);
        assert_eq!(pauses(0.0), [250, 250, 500, 2000, 15_000, 15_000, 15_000]);
    }
}
