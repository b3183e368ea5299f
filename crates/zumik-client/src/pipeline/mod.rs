//! The way of one call: prepare it once, then send it until its answer, a refusal or its deadline comes.
//!
//! Nothing here is generic over the endpoint, so it is compiled once for each way to [take](Take) a body: whole, as a
//! stream of events, as a download. What may be repeated is decided in
//! [`classify`], how long to wait in [`delay`], how often at all in [`budget`]: small pure parts, tested as tables.

mod answer;
mod budget;
mod classify;
pub(crate) mod delay;
mod limit;
mod prepare;
mod spans;
mod take;

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, Span};

pub(crate) use self::answer::{kind_in_stream, refused, undecodable};
pub(crate) use self::budget::Budget;
pub(crate) use self::delay::after as later;
pub(crate) use self::limit::Limit;
pub(crate) use self::prepare::{Prepared, Target, too_large};
pub(crate) use self::spans::{record_end, record_usage};
pub(crate) use self::take::{Take, Untaken, Unusable, Whole};

use self::answer::{Attempt, Failure};
use self::classify::{Pace, Verdict, classify};
use crate::client::Zumik;
use crate::endpoint::{BuildError, RequestParts};
use crate::error::{OperationName, Outcome, Result};
use crate::options::CallOptions;
use crate::response::Meta;
use crate::transport::BoxFuture;

/// A successful answer, not yet decoded.
#[derive(Debug)]
pub(crate) struct RawResponse<B> {
    pub(crate) operation: OperationName,
    pub(crate) meta: Meta,
    pub(crate) body: B,
    /// The span of the call, for bodies that go on.
    pub(crate) span: Span,
}

/// Carries a call out, up to a body that is taken as `T` says.
pub(crate) fn execute<T: Take>(
    client: &Zumik,
    target: Target,
    parts: Result<RequestParts, BuildError>,
    options: CallOptions,
) -> BoxFuture<'_, Result<RawResponse<T::Body>>> {
    let operation = target.name.clone();
    // Outside of the future, which then has no room for what the call is made of.
    let mut prepared = Prepared::new(client, target, parts, options, T::ACCEPT);
    Box::pin(async move {
        let result = match prepared {
            Ok(ref mut call) => {
                call.begin();
                let span = spans::call(client, call);
                // Pinned, so that what wraps it moves a pointer and not the whole future.
                let calling = pin!(run::<T>(client, call));
                let result = calling.instrument(span.clone()).await;
                spans::record::<T>(&span, call, &result);
                result.map(|(meta, body)| (meta, body, span))
            }
            Err(error) => Err(error),
        };
        match result {
            Ok((meta, body, span)) => Ok(RawResponse { operation, meta, body, span }),
            Err(error) => Err(error.with_operation(operation)),
        }
    })
}

async fn run<T: Take>(client: &Zumik, call: &Prepared) -> Result<(Meta, T::Body)> {
    let shared = client.shared();
    let mut past = Past::default();
    loop {
        past.attempts += 1;
        let failure = match attempt::<T>(client, call, past.attempts).await {
            Ok((meta, body)) => {
                shared.budget.deposit();
                return answer::accept::<T>(call, meta, body);
            }
            Err(failure) => failure,
        };
        let seen = failure.seen();
        let verdict = classify(&call.facts, past.outcome == Outcome::Ambiguous, &seen);
        past.outcome = past.outcome.max(seen.outcome());
        let pace = match (verdict, failure.meta()) {
            (Verdict::AlreadyDeleted, Some(meta)) => {
                let deleted = answer::deletion::<T>(call, meta.clone()).await;
                return deleted.map_err(|failure| failure.into_error(call, &past, false));
            }
            (Verdict::Retry(pace), _) => pace,
            (Verdict::Stop | Verdict::AlreadyDeleted, _) => {
                return Err(failure.into_error(call, &past, false));
            }
        };
        let Some(pause) = past.pause(client, call, pace, &failure) else {
            return Err(failure.into_error(call, &past, true));
        };
        tracing::debug!(pause_ms = pause.as_millis(), reason = seen.label(), "trying again");
        past.retries += u32::from(pace == Pace::Backoff);
        sleep(pause).await;
    }
}

/// Sends the request once, within the limit of an attempt and the deadline of the call.
async fn attempt<T: Take>(client: &Zumik, call: &Prepared, number: u32) -> Attempt<T::Body> {
    let shared = client.shared();
    let limit = T::limit(call);
    let span = spans::attempt(call, number);
    let exchange = pin!(async {
        let sent = limit.within(shared.transport.send(call.request.clone())).await?;
        let answer = sent.map_err(Failure::Lost)?;
        answer::read::<T>(call, answer, number, limit, shared.ambient.as_ref()).await
    });
    let attempt = exchange.instrument(span.clone()).await;
    spans::record_attempt::<T>(&span, &attempt);
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
    fn pause(&self, client: &Zumik, call: &Prepared, pace: Pace, failure: &Failure) -> Option<Duration> {
        let permitted = match pace {
            Pace::Backoff => self.retries < call.max_retries,
            Pace::InFlight => call.max_retries > 0,
        };
        let shared = client.shared();
        let pause = delay::delay(self.attempts - 1, failure.retry_after(), shared.ambient.jitter())?;
        let in_time = delay::after(Instant::now(), pause) < call.deadline;
        let affordable = || pace == Pace::InFlight || shared.budget.withdraw();
        (permitted && in_time && affordable()).then_some(pause)
    }
}
