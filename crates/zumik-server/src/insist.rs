//! Writing what must not be lost.

use std::time::Duration;

use crate::store::StoreError;

/// How often it is tried to write something while the store cannot be written.
const ATTEMPTS: u32 = 30;

/// The pause between two tries.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Writes again, each second and 30 times in all, for as long as the store is unavailable. What is written may have been
/// written already, by an attempt of which nobody knows what came.
///
/// # Errors
/// What is no lack of a store, at once; that lack after the last attempt.
pub(crate) async fn insist<T, F>(mut write: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match write().await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))) => {
                tracing::warn!(%error, "what came of a generation waits for the store");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
    write().await
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_store_that_cannot_be_written_is_asked_again() {
        let mut answers =
            vec![Ok(7), Err(StoreError::outcome_unknown("lost")), Err(StoreError::unavailable("full"))];
        assert_eq!(insist(|| std::future::ready(answers.pop().unwrap())).await.unwrap(), 7);
        let mut answers = vec![Ok(7), Err(StoreError::LeaseLost)];
        let refused = insist(|| std::future::ready(answers.pop().unwrap())).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");

        let (begun, mut asked) = (Instant::now(), 0);
        let refused: Result<(), _> = insist(|| {
            asked += 1;
            std::future::ready(Err(StoreError::unavailable("full")))
        })
        .await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!((asked, begun.elapsed()), (ATTEMPTS, PAUSE * (ATTEMPTS - 1)));
    }
}
