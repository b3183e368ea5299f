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
    is_deadline: bool,
}

impl Limit {
    /// The limit of an attempt that begins now and may take so long.
    pub(super) fn of_attempt(call: &Prepared, after: Duration) -> Self {
        let until = delay::after(Instant::now(), after);
        if call.deadline <= until {
            Self { until: call.deadline, after: call.timeout, is_deadline: true }
        } else {
            Self { until, after, is_deadline: false }
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
        let of = if self.is_deadline { "the timeout of the call" } else { "the limit of one attempt" };
        write!(f, "{} s, {of}", self.after.as_secs_f64())
    }
}
