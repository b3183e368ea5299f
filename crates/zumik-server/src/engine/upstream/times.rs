//! How long a call may take: the caller's deadline, the upstream's silence, and an end to everything.

use std::time::Duration;

use tokio::time::Instant;
use zumik_types::Qos;

use super::error::ProviderError;
use crate::engine::Failure;

/// A deadline beyond this, in milliseconds (a year), is none; it would overflow the timer.
const FAR: u64 = 366 * 24 * 60 * 60 * 1_000;

/// The moment of a deadline that counts from `started`, and the milliseconds it was asked for with.
pub(crate) fn deadline(qos: &Qos, started: Instant) -> Option<(Instant, u64)> {
    qos.deadline_ms.map(|millis| (started + Duration::from_millis(millis.min(FAR)), millis))
}

/// The limits of one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    deadline: Option<(Instant, u64)>,
    idle: Duration,
    total: Duration,
    end: Instant,
}

impl Times {
    pub(super) fn new(deadline: Option<(Instant, u64)>, idle: Duration, total: Duration) -> Self {
        Self { deadline, idle, total, end: Instant::now() + total }
    }

    /// Whether the end has passed.
    pub(super) fn is_over(&self) -> bool {
        self.end <= Instant::now()
    }

    /// Waits for the next sign of life. Past the end there is none, although it may have come.
    ///
    /// # Errors
    /// [`Failure::Deadline`], or a provider that is silent or endless.
    pub(super) async fn within<F: Future>(&self, next: F) -> Result<F::Output, Failure> {
        let mut until = (Instant::now() + self.idle).min(self.end);
        if let Some((deadline, _)) = self.deadline {
            until = until.min(deadline);
        }
        if self.is_over() {
            return Err(self.passed(until));
        }
        tokio::time::timeout_at(until, next).await.map_err(|_| self.passed(until))
    }

    /// Which limit it was.
    fn passed(&self, until: Instant) -> Failure {
        match self.deadline {
            Some((deadline, millis)) if deadline <= until => Failure::Deadline(millis),
            _ if self.end <= until => ProviderError::Endless(self.total).into(),
            _ => ProviderError::Silent(self.idle).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::super::error::ProviderFailure;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_that_passes_is_the_one_that_is_told() {
        let seconds = Duration::from_secs;
        let deadline = |after: u64| Some((Instant::now() + seconds(after), after * 1_000));
        let cut = async |times: Times| times.within(pending::<()>()).await.unwrap_err();
        let failure = cut(Times::new(deadline(1), seconds(5), seconds(60))).await;
        assert!(matches!(failure, Failure::Deadline(1_000)), "{failure:?}");
        let failure = cut(Times::new(deadline(10), seconds(5), seconds(60))).await;
        assert!(
            matches!(failure, Failure::Provider(ProviderFailure { error: ProviderError::Silent(_), .. })),
            "{failure:?}"
        );
        let times = Times::new(None, seconds(5), seconds(8));
        tokio::time::advance(seconds(4)).await;
        let failure = cut(times).await;
        assert!(
            matches!(failure, Failure::Provider(ProviderFailure { error: ProviderError::Endless(_), .. })),
            "{failure:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_end_is_not_taken_although_it_is_there() {
        let times = Times::new(None, Duration::from_secs(5), Duration::from_secs(8));
        tokio::time::advance(Duration::from_millis(7_999)).await;
        assert!(times.within(std::future::ready(())).await.is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        let failure = times.within(std::future::ready(())).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Provider(ProviderFailure { error: ProviderError::Endless(_), .. })),
            "{failure:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_passed_before_the_end_is_told_after_both() {
        let deadline = Some((Instant::now() + Duration::from_secs(1), 1_000));
        let times = Times::new(deadline, Duration::from_secs(5), Duration::from_secs(8));
        tokio::time::advance(Duration::from_secs(8)).await;
        let failure = times.within(std::future::ready(())).await.unwrap_err();
        assert!(matches!(failure, Failure::Deadline(1_000)), "{failure:?}");
    }

    #[test]
    fn a_deadline_in_the_far_future_does_not_overflow() {
        let qos = Qos { deadline_ms: Some(u64::MAX), ..Qos::default() };
        assert!(deadline(&qos, Instant::now()).is_some());
    }
}
