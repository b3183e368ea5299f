//! The Workload Reuse Score: six components, each from 0 to 1, and their weighted sum (contract, `concepts.md`,
//! "Workload Reuse Score").

use std::collections::HashMap;

use zumik_types::{DiagnosticTrace, ReuseAction, ReuseBand, ReuseComponents};

use crate::share::{Share, round_to_four_decimals};

/// How long a provider's cache is taken to hold a prefix, in milliseconds.
pub const REUSE_WINDOW_MS: u64 = 300_000;

/// The components of a score, unrounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Components {
    opportunity_ratio: Share,
    recurrence_score: Share,
    retention_locality: Share,
    ttft_sensitivity: f64,
    session_continuity: Share,
    payload_redundancy: Share,
}

impl Components {
    pub(crate) fn of(traces: &[DiagnosticTrace]) -> Self {
        let traces = in_order_of_arrival(traces);
        let recurrences = recurrences(&traces);
        let count = traces.len() as u64;
        let input = sum(traces.iter().map(|trace| trace.observed.input_tokens));
        let candidate = sum(traces.iter().map(|trace| trace.observed.candidate_reuse_tokens));
        let sent_again = sum(recurrences.iter().map(|again| again.trace.observed.candidate_reuse_tokens));
        let recurrent = recurrences.len() as u64;
        let local = recurrences.iter().filter(|again| again.is_local()).count() as u64;
        Self {
            opportunity_ratio: Share::new(candidate, input),
            recurrence_score: Share::new(recurrent, count.saturating_sub(1)),
            retention_locality: Share::new(local, recurrent),
            ttft_sensitivity: ttft_sensitivity(&traces),
            session_continuity: Share::new(in_longer_sessions(&traces), count),
            payload_redundancy: Share::new(sent_again, input),
        }
    }

    /// The score: 0 to 100, rounded half up.
    pub(crate) fn score(&self) -> u64 {
        let score = 35.0 * self.opportunity_ratio.exact()
            + 20.0 * self.recurrence_score.exact()
            + 15.0 * self.retention_locality.exact()
            + 15.0 * self.ttft_sensitivity
            + 10.0 * self.session_continuity.exact()
            + 5.0 * self.payload_redundancy.exact();
        // The sum is off by some 1e-14, which would turn about every second half into less than one.
        let score = (score * 1e9).round() / 1e9;
        score.round() as u64
    }

    /// The components as reports show them: rounded to four decimals.
    pub(crate) fn rounded(&self) -> ReuseComponents {
        ReuseComponents {
            opportunity_ratio: self.opportunity_ratio.rounded(),
            recurrence_score: self.recurrence_score.rounded(),
            retention_locality: self.retention_locality.rounded(),
            ttft_sensitivity: round_to_four_decimals(self.ttft_sensitivity),
            session_continuity: self.session_continuity.rounded(),
            payload_redundancy: self.payload_redundancy.rounded(),
            extra: Default::default(),
        }
    }
}

/// The band of a score.
pub const fn band(score: u64) -> ReuseBand {
    match score {
        0..=19 => ReuseBand::WeakFit,
        20..=44 => ReuseBand::LimitedFit,
        45..=69 => ReuseBand::PlausibleFit,
        _ => ReuseBand::StrongFit,
    }
}

/// What is recommended for a score.
pub const fn action(score: u64) -> ReuseAction {
    match score {
        0..=19 => ReuseAction::NoCustomCaching,
        20..=44 => ReuseAction::ImprovePromptConstruction,
        45..=69 => ReuseAction::TuneProviders,
        _ => ReuseAction::PrioritizeOptimizationPilot,
    }
}

/// A trace whose prefix family occurred before.
struct Recurrence<'t> {
    trace: &'t DiagnosticTrace,
    previous: &'t DiagnosticTrace,
}

impl Recurrence<'_> {
    /// Whether it came while caches still held the prefix. Of unknown offsets nobody knows.
    fn is_local(&self) -> bool {
        match (arrival(self.previous), arrival(self.trace)) {
            (Some(previous), Some(this)) => this.abs_diff(previous) <= REUSE_WINDOW_MS,
            _ => false,
        }
    }
}

fn arrival(trace: &DiagnosticTrace) -> Option<i64> {
    trace.schedule.as_ref()?.arrival_offset_ms
}

/// By arrival, those of unknown arrival last, ties in the given order.
fn in_order_of_arrival(traces: &[DiagnosticTrace]) -> Vec<&DiagnosticTrace> {
    let mut traces: Vec<_> = traces.iter().collect();
    traces.sort_by_key(|trace| {
        let arrival = arrival(trace);
        (arrival.is_none(), arrival)
    });
    traces
}

fn recurrences<'t>(ordered: &[&'t DiagnosticTrace]) -> Vec<Recurrence<'t>> {
    let mut latest: HashMap<&str, &DiagnosticTrace> = HashMap::new();
    let recurrence = |&trace: &&'t DiagnosticTrace| {
        let previous = latest.insert(trace.prefix_family_id.as_deref()?, trace)?;
        Some(Recurrence { trace, previous })
    };
    ordered.iter().filter_map(recurrence).collect()
}

/// The mean share of the time to the first token in the latency; a trace without latency counts as 0.
fn ttft_sensitivity(traces: &[&DiagnosticTrace]) -> f64 {
    let shares =
        traces.iter().map(|trace| Share::new(trace.observed.ttft_ms, trace.observed.latency_ms).exact());
    if traces.is_empty() { 0.0 } else { shares.sum::<f64>() / traces.len() as f64 }
}

/// The number of traces whose session has at least two.
fn in_longer_sessions(traces: &[&DiagnosticTrace]) -> u64 {
    let mut lengths: HashMap<&str, u64> = HashMap::new();
    for session in traces.iter().filter_map(|trace| trace.schedule.as_ref()?.session_id.as_deref()) {
        *lengths.entry(session).or_default() += 1;
    }
    lengths.into_values().filter(|length| *length >= 2).sum()
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
