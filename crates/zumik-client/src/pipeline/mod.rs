//! The way of one call: prepare it once, then send it until its answer, a refusal or its deadline comes.
//!
//! Nothing here is generic over the endpoint, so it is compiled once. What may be repeated is decided in
//! [`classify`], how long to wait in [`delay`], how often at all in [`budget`]: small pure parts, tested as tables.

mod answer;
mod budget;
mod classify;
pub(crate) mod delay;
mod prepare;
mod spans;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;

pub(crate) use self::answer::undecodable;
pub(crate) use self::budget::Budget;
pub(crate) use self::prepare::{Target, too_large};

use self::answer::Attempt;
use self::classify::{Pace, Verdict, classify};
use self::prepare::Prepared;
use crate::client::Zumik;
use crate::endpoint::{BuildError, RequestParts};
use crate::error::{Outcome, Result};
use crate::options::CallOptions;
use crate::response::Meta;
use crate::transport::BoxFuture;

/// A successful answer, not yet decoded.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) target: Target,
    pub(crate) meta: Meta,
    pub(crate) body: Bytes,
}

/// Carries a call out.
pub(crate) fn execute(
    client: &Zumik,
    target: Target,
    parts: Result<RequestParts, BuildError>,
    options: CallOptions,
) -> BoxFuture<'_, Result<RawResponse>> {
    Box::pin(async move {
        let call = Prepared::new(client, &target, parts, options)
            .map_err(|error| error.with_operation(target.name.clone()))?;
        let span = spans::call(client, &call);
        let result = run(client, &call).instrument(span.clone()).await;
        spans::record(&span, &call, &result);
        let (meta, body) = result.map_err(|error| error.with_operation(target.name.clone()))?;
        Ok(RawResponse { target, meta, body })
    })
}

async fn run(client: &Zumik, call: &Prepared) -> Result<(Meta, Bytes)> {
    let shared = client.shared();
    let mut past = Past::default();
    loop {
        past.attempts += 1;
        let attempt = attempt(client, call, past.attempts).await;
        let seen = attempt.seen();
        let verdict = classify(&call.facts, past.outcome == Outcome::Ambiguous, &seen);
        past.outcome = past.outcome.max(seen.outcome());
        let pace = match verdict {
            Verdict::Done => {
                shared.budget.deposit();
                return attempt.into_success(call, &past);
            }
            Verdict::AlreadyDeleted => return attempt.into_deletion(call),
            Verdict::Stop => return Err(attempt.into_error(call, &past, false)),
            Verdict::Retry(pace) => pace,
        };
        let Some(pause) = past.pause(client, call, pace, &attempt) else {
            return Err(attempt.into_error(call, &past, true));
        };
        tracing::debug!(pause_ms = pause.as_millis(), reason = seen.label(), "trying again");
        past.retries += u32::from(pace == Pace::Backoff);
        sleep(pause).await;
    }
}

/// Sends the request once, within the limit of an attempt and the deadline of the call.
async fn attempt(client: &Zumik, call: &Prepared, number: u32) -> Attempt {
    let shared = client.shared();
    let limit = call.deadline.min(delay::after(Instant::now(), call.attempt_timeout));
    let span = spans::attempt(call, number);
    let exchange = async {
        let answer = shared.transport.send(call.request.clone()).await?;
        Attempt::read(answer, number, shared.ambient.as_ref()).await
    };
    let attempt = match timeout_at(limit, exchange.instrument(span.clone())).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(error)) => Attempt::Failed(error),
        Err(_) => Attempt::TimedOut,
    };
    spans::record_attempt(&span, &attempt);
    attempt
}

/// What the call has been through.
#[derive(Debug)]
struct Past {
    attempts: u32,
    /// Repeats that count against the permitted number.
    retries: u32,
    /// The worst outcome of an attempt so far.
    outcome: Outcome,
}

impl Default for Past {
    fn default() -> Self {
        Self { attempts: 0, retries: 0, outcome: Outcome::NotSent }
    }
}

impl Past {
    /// How long to wait before the next attempt; `None` when there must not be one.
    fn pause(&self, client: &Zumik, call: &Prepared, pace: Pace, attempt: &Attempt) -> Option<Duration> {
        let permitted = match pace {
            Pace::Backoff => self.retries < call.max_retries,
            Pace::InFlight => call.max_retries > 0,
        };
        let shared = client.shared();
        let pause = delay::delay(self.attempts - 1, attempt.retry_after(), shared.ambient.jitter())?;
        let in_time = delay::after(Instant::now(), pause) < call.deadline;
        let affordable = || pace == Pace::InFlight || shared.budget.withdraw();
        (permitted && in_time && affordable()).then_some(pause)
    }
}
