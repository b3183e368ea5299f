//! Counts and times the client's calls, by the spans that the client opens for every call and attempt.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Names and fields of the client's spans (its page "Watching it").
const CALL: &str = "zumik.call";
const ATTEMPT: &str = "zumik.attempt";
const RESENT: &str = "http.request.resend_count";
const SENT: &str = "http.request.body.size";
const RECEIVED: &str = "http.response.body.size";

/// What the calls of a client cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Calls {
    pub calls: usize,
    /// Attempts beyond the first one of each call.
    pub retries: u64,
    /// Bytes of all request bodies, repeated ones included.
    pub bytes_sent: u64,
    /// Bytes of all answers.
    pub bytes_received: u64,
    /// Time of a call with all its attempts, in milliseconds: half of them took at most this,
    pub median_ms: f64,
    /// and 99 of 100 at most this.
    pub p99_ms: f64,
}

/// The sums so far. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Sums>>);

#[derive(Debug, Default)]
struct Sums {
    times: Vec<Duration>,
    retries: u64,
    sent: u64,
    received: u64,
}

impl Meter {
    /// The layer that sees the spans, and only those of the client.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        MeterLayer(self.clone()).with_filter(Targets::new().with_target("zumik_client", Level::DEBUG))
    }

    pub(crate) fn calls(&self) -> Calls {
        self.with(|sums| {
            let mut times = sums.times.clone();
            times.sort_unstable();
            Calls {
                calls: times.len(),
                retries: sums.retries,
                bytes_sent: sums.sent,
                bytes_received: sums.received,
                median_ms: percentile(&times, 50),
                p99_ms: percentile(&times, 99),
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Sums) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The nearest-rank percentile of sorted times, in milliseconds with three decimals.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    let time = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
    (time.as_secs_f64() * 1e6).round() / 1e3
}

struct MeterLayer(Meter);

/// What is known of an open span.
struct Open {
    began: Instant,
    numbers: Numbers,
}

#[derive(Default)]
struct Numbers {
    resent: u64,
    sent: u64,
    received: u64,
}

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            RESENT => self.resent = value,
            SENT => self.sent = value,
            RECEIVED => self.received = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for MeterLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut open = Open { began: Instant::now(), numbers: Numbers::default() };
        attributes.record(&mut open.numbers);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.numbers);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { began, numbers }) = span.extensions_mut().remove::<Open>() else { return };
        self.0.with(|sums| match span.name() {
            CALL => {
                sums.times.push(began.elapsed());
                sums.retries += numbers.resent;
            }
            ATTEMPT => {
                sums.sent += numbers.sent;
                sums.received += numbers.received;
            }
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn calls_retries_and_bytes_are_summed_from_the_spans() {
        let meter = Meter::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(meter.layer()), || {
            for _ in 0..2 {
                let call = tracing::info_span!(
                    target: "zumik_client::pipeline",
                    "zumik.call",
                    http.request.resend_count = tracing::field::Empty
                );
                for size in [10_u64, 20] {
                    tracing::debug_span!(
                        target: "zumik_client::pipeline",
                        parent: &call,
                        "zumik.attempt",
                        http.request.body.size = size,
                        http.response.body.size = 1_u64
                    );
                }
                call.record("http.request.resend_count", 1_u64);
            }
            tracing::info_span!(target: "someone_else", "zumik.call");
        });
        let calls = meter.calls();
        assert_eq!((calls.calls, calls.retries), (2, 2));
        assert_eq!((calls.bytes_sent, calls.bytes_received), (60, 4));
        assert!(calls.median_ms <= calls.p99_ms);
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), 100.0);
        assert_eq!(percentile(&times, 99), 198.0);
        assert_eq!(percentile(&times[..1], 99), 1.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
