//! The time that an attempt has.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::answer::Failure;
use super::delay;
use super::prepare::Prepared;

/// Until when an attempt may take: for so long, and not beyond the deadline of its call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    until: Instant,
    after: Duration,
    of: Of,
}

/// What a limit is of.
#[derive(Debug, Clone, Copy)]
enum Of {
    Call,
    Attempt,
    FirstEvent,
}

impl Limit {
    /// The limit of an attempt that begins now.
    pub(crate) fn of_attempt(call: &Prepared) -> Self {
        Self::of(call, call.attempt_timeout, Of::Attempt)
    }

    /// The limit of an attempt that begins now and whose first event ends the wait.
    pub(crate) fn of_first_event(call: &Prepared) -> Self {
        let own = call.first_event_timeout.map(|after| Self::of(call, after, Of::FirstEvent));
        own.unwrap_or_else(|| Self::of_attempt(call))
    }

    fn of(call: &Prepared, after: Duration, of: Of) -> Self {
        let until = delay::after(Instant::now(), after);
        if call.deadline <= until {
            Self { until: call.deadline, after: call.timeout, of: Of::Call }
        } else {
            Self { until, after, of }
        }
    }

    pub(super) fn until(self) -> Instant {
        self.until
    }

    /// Waits for it until then.
    pub(super) async fn within<F: Future>(self, future: F) -> Result<F::Output, Failure> {
        timeout_at(self.until, future).await.map_err(|_| Failure::TimedOut(self))
    }
}

/// How long it was, and what to set for more.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Of::Call => "the timeout of the call",
            Of::Attempt => "the limit of one attempt",
            Of::FirstEvent => "the limit until the first event",
        };
        write!(f, "{} s, {of}", self.after.as_secs_f64())
    }
}
