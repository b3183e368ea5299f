//! Sums, rates and medians over usage events, in memory that does not grow with their number.
//!
//! A median is exact and takes two passes over the selection: the first counts events by rough size, the second counts
//! those values that are as large as the middle one.

use std::collections::{BTreeMap, HashMap};

use zumik_insight::ReuseTokens;
use zumik_types::{Extra, UsageEvent, UsageGroup, UsageMetrics, UsageStatus};

/// Groups that a summary tells apart. Names of models are the callers' to invent.
const MOST_GROUPS: usize = 1_000;

/// Where events of further groups are gathered.
const OTHERS: &str = "other";

/// The numbers of one event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measure {
    /// It ended with an error. One that was cancelled did not.
    pub(crate) failed: bool,
    pub(crate) tokens: ReuseTokens,
    pub(crate) output_tokens: u64,
    pub(crate) charged_micros: i64,
    pub(crate) times: Times,
    /// Nothing when none was asked for.
    pub(crate) target_met: Option<bool>,
    /// Nothing when none was asked for.
    pub(crate) deadline_met: Option<bool>,
}

/// The times of one event, those that were measured, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) ttft: Option<u64>,
    pub(crate) latency: Option<u64>,
}

/// A summary in the making: of all events, and of each group.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    all: Tally,
    groups: HashMap<String, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    failed: u64,
    tokens: ReuseTokens,
    output_tokens: u64,
    charged_micros: i64,
    ttft: Median,
    latency: Median,
    target: Share,
    deadline: Share,
}

/// How many of those that asked for something got it.
#[derive(Debug, Default)]
struct Share {
    met: u64,
    asked: u64,
}

/// The value in the middle: of an even number, the lower of the two.
#[derive(Debug, Default)]
struct Median {
    /// Values by rough size.
    rough: BTreeMap<u16, u64>,
    count: u64,
    /// The rough size of the middle value, and which of that size it is, from 1.
    middle: Option<(u16, u64)>,
    /// The values of that size.
    fine: BTreeMap<u64, u64>,
}

impl Measure {
    /// The numbers of an event.
    pub(crate) fn of(event: &UsageEvent) -> Self {
        Self {
            failed: matches!(event.status, UsageStatus::Failed | UsageStatus::Expired),
            tokens: ReuseTokens::of_request(
                event.input_tokens,
                event.eligible_reuse_tokens,
                event.candidate_reuse_tokens,
                event.realized_reused_tokens,
            ),
            output_tokens: event.output_tokens,
            charged_micros: event.charged_micros,
            times: Times { ttft: event.qos_outcome.ttft_ms, latency: event.qos_outcome.latency_ms },
            target_met: event.qos_outcome.target_met,
            deadline_met: event.qos_outcome.deadline_met,
        }
    }
}

impl Summary {
    /// Takes an event in, in the first pass.
    pub(crate) fn add(&mut self, group: Option<&str>, event: &Measure) {
        self.all.add(event);
        let Some(group) = group else { return };
        let name = self.name(group);
        match self.groups.get_mut(name) {
            Some(tally) => tally.add(event),
            None => self.groups.entry(name.to_owned()).or_default().add(event),
        }
    }

    /// Ends the first pass.
    pub(crate) fn narrow(&mut self) {
        for tally in self.groups.values_mut().chain([&mut self.all]) {
            tally.ttft.narrow();
            tally.latency.narrow();
        }
    }

    /// Takes the times of an event in, in the second pass.
    pub(crate) fn refine(&mut self, group: Option<&str>, times: Times) {
        self.all.refine(times);
        let Some(group) = group else { return };
        let name = self.name(group);
        if let Some(tally) = self.groups.get_mut(name) {
            tally.refine(times);
        }
    }

    /// The metrics of all events, and of each group, the most expensive first.
    pub(crate) fn finish(self) -> (UsageMetrics, Vec<UsageGroup>) {
        let mut groups: Vec<_> =
            self.groups.into_iter().map(|(key, tally)| group(key, tally.finish())).collect();
        let rank = |group: &UsageGroup| (group.charged_micros, group.requests);
        groups.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.key.cmp(&b.key)));
        (self.all.finish(), groups)
    }

    fn name<'g>(&self, group: &'g str) -> &'g str {
        if self.groups.len() < MOST_GROUPS || self.groups.contains_key(group) { group } else { OTHERS }
    }
}

impl Tally {
    fn add(&mut self, event: &Measure) {
        self.requests += 1;
        self.failed += u64::from(event.failed);
        self.tokens += event.tokens;
        self.output_tokens = self.output_tokens.saturating_add(event.output_tokens);
        self.charged_micros = self.charged_micros.saturating_add(event.charged_micros);
        self.ttft.add(event.times.ttft);
        self.latency.add(event.times.latency);
        self.target.add(event.target_met);
        self.deadline.add(event.deadline_met);
    }

    fn refine(&mut self, times: Times) {
        self.ttft.refine(times.ttft);
        self.latency.refine(times.latency);
    }

    fn finish(self) -> UsageMetrics {
        let tokens = self.tokens;
        UsageMetrics {
            requests: self.requests,
            failed_requests: self.failed,
            input_tokens: tokens.input(),
            output_tokens: self.output_tokens,
            eligible_reuse_tokens: tokens.eligible(),
            candidate_reuse_tokens: tokens.candidate(),
            realized_reused_tokens: tokens.realized(),
            missed_opportunity_tokens: tokens.missed(),
            opportunity_reuse_ratio: tokens.opportunity_ratio(),
            realized_reuse_ratio: tokens.realized_ratio(),
            reuse_capture_rate: tokens.capture_rate(),
            charged_micros: self.charged_micros,
            ttft_ms_p50: self.ttft.value(),
            latency_ms_p50: self.latency.value(),
            target_met_rate: self.target.rate(),
            deadline_met_rate: self.deadline.rate(),
            extra: Extra::new(),
        }
    }
}

impl Share {
    fn add(&mut self, met: Option<bool>) {
        if let Some(met) = met {
            self.asked += 1;
            self.met += u64::from(met);
        }
    }

    /// With four decimals; nothing when nobody asked.
    fn rate(&self) -> Option<f64> {
        // Rounded half up, on integers: as a float, many a half is a little less than one.
        (self.asked > 0).then(|| {
            let (met, asked) = (u128::from(self.met), u128::from(self.asked));
            ((met * 20_000 + asked) / (2 * asked)) as f64 / 10_000.0
        })
    }
}

impl Median {
    fn add(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            *self.rough.entry(size(value)).or_default() += 1;
            self.count += 1;
        }
    }

    fn narrow(&mut self) {
        let mut rank = self.count.div_ceil(2);
        for (size, count) in std::mem::take(&mut self.rough) {
            if rank <= count {
                self.middle = (rank > 0).then_some((size, rank));
                return;
            }
            rank -= count;
        }
    }

    fn refine(&mut self, value: Option<u64>) {
        if let (Some(value), Some((middle, _))) = (value, self.middle)
            && size(value) == middle
        {
            *self.fine.entry(value).or_default() += 1;
        }
    }

    fn value(&self) -> Option<u64> {
        let (_, mut rank) = self.middle?;
        for (value, count) in &self.fine {
            if rank <= *count {
                return Some(*value);
            }
            rank -= count;
        }
        None
    }
}

/// The rough size of a value: exact up to 255, then in steps of less than a hundredth. It rises with the value.
fn size(value: u64) -> u16 {
    const EXACT: u32 = 8;
    let magnitude = value.checked_ilog2().unwrap_or(0);
    let size = if magnitude < EXACT {
        value
    } else {
        (u64::from(magnitude) << 7) | ((value >> (magnitude - 7)) & 127)
    };
    u16::try_from(size).unwrap_or(u16::MAX)
}

fn group(key: String, metrics: UsageMetrics) -> UsageGroup {
    UsageGroup {
        key,
        requests: metrics.requests,
        failed_requests: metrics.failed_requests,
        input_tokens: metrics.input_tokens,
        output_tokens: metrics.output_tokens,
        eligible_reuse_tokens: metrics.eligible_reuse_tokens,
        candidate_reuse_tokens: metrics.candidate_reuse_tokens,
        realized_reused_tokens: metrics.realized_reused_tokens,
        missed_opportunity_tokens: metrics.missed_opportunity_tokens,
        opportunity_reuse_ratio: metrics.opportunity_reuse_ratio,
        realized_reuse_ratio: metrics.realized_reuse_ratio,
        reuse_capture_rate: metrics.reuse_capture_rate,
        charged_micros: metrics.charged_micros,
        ttft_ms_p50: metrics.ttft_ms_p50,
        latency_ms_p50: metrics.latency_ms_p50,
        target_met_rate: metrics.target_met_rate,
        deadline_met_rate: metrics.deadline_met_rate,
        extra: Extra::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn summary(events: &[(Option<&str>, Measure)]) -> (UsageMetrics, Vec<UsageGroup>) {
        let mut summary = Summary::default();
        events.iter().for_each(|(group, event)| summary.add(*group, event));
        summary.narrow();
        events.iter().for_each(|(group, event)| summary.refine(*group, event.times));
        summary.finish()
    }

    fn took(latency: Option<u64>) -> Measure {
        Measure { times: Times { ttft: None, latency }, ..Measure::default() }
    }

    fn median(values: &[Option<u64>]) -> Option<u64> {
        let events: Vec<_> = values.iter().map(|value| (None, took(*value))).collect();
        summary(&events).0.latency_ms_p50
    }

    proptest! {
        #[test]
        fn the_median_is_the_one_of_the_sorted_values(
            values in vec(prop_oneof![0..40_u64, 0..100_000_u64, any::<u64>()], 0..60),
        ) {
            let found = median(&values.iter().copied().map(Some).collect::<Vec<_>>());
            let mut sorted = values;
            sorted.sort_unstable();
            let expected = sorted.get((sorted.len().max(1) - 1) / 2).copied();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_rough_size_rises_with_the_value(one: u64, other: u64) {
            prop_assert_eq!(size(one.min(other)).min(size(one.max(other))), size(one.min(other)));
        }
    }

    #[test]
    fn what_was_not_measured_does_not_count() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[None, None]), None);
        assert_eq!(median(&[None, Some(7), None]), Some(7));
        assert_eq!(median(&[Some(9), Some(7)]), Some(7));
    }

    #[test]
    fn a_median_needs_little_memory_however_many_values_there_are() {
        let mut median = Median::default();
        (0..200_000).for_each(|value| median.add(Some(value * 3)));
        assert!(median.rough.len() < 2_000, "{}", median.rough.len());
        median.narrow();
        (0..200_000).for_each(|value| median.refine(Some(value * 3)));
        assert!(median.fine.len() < 2_000, "{}", median.fine.len());
        assert_eq!(median.value(), Some(99_999 * 3));
    }

    #[test]
    fn rates_are_over_those_that_asked() {
        let met = |met| Measure { target_met: met, ..Measure::default() };
        let events = [Some(true), Some(true), Some(false), None].map(|asked| (None, met(asked)));
        let (metrics, _) = summary(&events);
        assert_eq!((metrics.target_met_rate, metrics.deadline_met_rate), (Some(0.6667), None));
        assert_eq!(summary(&[]).0.opportunity_reuse_ratio, 0.0);
    }

    #[test]
    fn groups_are_listed_by_cost_and_do_not_grow_without_end() {
        let cost = |charged_micros| Measure { charged_micros, ..Measure::default() };
        let (_, groups) = summary(&[(Some("a"), cost(1)), (Some("b"), cost(5)), (Some("a"), cost(2))]);
        let found: Vec<_> = groups.iter().map(|g| (g.key.as_str(), g.requests, g.charged_micros)).collect();
        assert_eq!(found, [("b", 1, 5), ("a", 2, 3)]);

        let names: Vec<_> = (0..MOST_GROUPS + 500).map(|n| n.to_string()).collect();
        let events: Vec<_> = names.iter().map(|name| (Some(name.as_str()), took(Some(1)))).collect();
        let (all, groups) = summary(&events);
        assert_eq!(groups.len(), MOST_GROUPS + 1);
        let others = groups.iter().find(|group| group.key == OTHERS).unwrap();
        assert_eq!((others.requests, others.latency_ms_p50), (500, Some(1)));
        assert_eq!(groups.iter().map(|group| group.requests).sum::<u64>(), all.requests);
    }
}
