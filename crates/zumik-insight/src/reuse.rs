//! Reuse of tokens: what could have come from a cache, and what did (contract, `concepts.md`, "Reuse metrics").

use std::{
    iter::Sum,
    ops::{Add, AddAssign},
};

use crate::share::Share;

/// The token counts of one request or, added up, of several.
///
/// For one request 0 ≤ candidate ≤ eligible ≤ input and 0 ≤ realized ≤ input hold: [`ReuseTokens::of_request`] cuts
/// what it is given. Missed tokens are counted request by request, because a provider may report more than was
/// expected for one and less for another; so the missed tokens of a sum are the sum of the missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReuseTokens {
    input: u64,
    eligible: u64,
    candidate: u64,
    realized: u64,
    missed: u64,
}

impl ReuseTokens {
    /// The counts of one request: `input` tokens of the compiled prompt, of which `eligible` could be cached at all,
    /// `candidate` were in a compatible earlier request too, and `realized` were read from a cache.
    pub fn of_request(input: u64, eligible: u64, candidate: u64, realized: u64) -> Self {
        let eligible = eligible.min(input);
        let candidate = candidate.min(eligible);
        let realized = realized.min(input);
        Self { input, eligible, candidate, realized, missed: candidate.saturating_sub(realized) }
    }

    /// `input_tokens`: tokens of the compiled prompt.
    pub const fn input(&self) -> u64 {
        self.input
    }

    /// `eligible_reuse_tokens`: tokens that could be cached at all, those of the stable part of the prompt.
    pub const fn eligible(&self) -> u64 {
        self.eligible
    }

    /// `candidate_reuse_tokens`: tokens that a compatible earlier request contained as a prefix.
    pub const fn candidate(&self) -> u64 {
        self.candidate
    }

    /// `realized_reused_tokens`: tokens that the provider or runtime reports as read from cache.
    pub const fn realized(&self) -> u64 {
        self.realized
    }

    /// `missed_opportunity_tokens`: candidates that were computed again.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// `prefill_compute_tokens`: tokens that had to be computed.
    pub const fn prefill_compute(&self) -> u64 {
        self.input.saturating_sub(self.realized)
    }

    /// `opportunity_reuse_ratio`: candidate / input, from 0 to 1 with four decimals.
    pub fn opportunity_ratio(&self) -> f64 {
        Share::new(self.candidate, self.input).rounded()
    }

    /// `realized_reuse_ratio`: realized / input, from 0 to 1 with four decimals.
    pub fn realized_ratio(&self) -> f64 {
        Share::new(self.realized, self.input).rounded()
    }

    /// `reuse_capture_rate`: realized / candidate, from 0 to 1 with four decimals. It is 1 also when a provider reports
    /// more than was expected, and 0 when nothing was.
    pub fn capture_rate(&self) -> f64 {
        Share::new(self.realized, self.candidate).rounded()
    }
}

impl Add for ReuseTokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            eligible: self.eligible.saturating_add(other.eligible),
            candidate: self.candidate.saturating_add(other.candidate),
            realized: self.realized.saturating_add(other.realized),
            missed: self.missed.saturating_add(other.missed),
        }
    }
}

impl AddAssign for ReuseTokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for ReuseTokens {
    fn sum<I: Iterator<Item = Self>>(requests: I) -> Self {
        requests.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usage_sample_of_the_contract_is_reproduced() {
        let tokens = ReuseTokens::of_request(18_240, 17_800, 17_100, 14_980);
        assert_eq!((tokens.missed(), tokens.prefill_compute()), (2_120, 3_260));
        assert_eq!(
            (tokens.opportunity_ratio(), tokens.realized_ratio(), tokens.capture_rate()),
            (0.9375, 0.8213, 0.876)
        );
    }

    #[test]
    fn missed_tokens_of_a_sum_are_not_made_up_for_by_another_request() {
        let unexpected = ReuseTokens::of_request(100, 100, 20, 90);
        let missed = ReuseTokens::of_request(100, 100, 80, 10);
        let sum = unexpected + missed;
        assert_eq!((sum.candidate(), sum.realized(), sum.missed()), (100, 100, 70));
    }

    proptest! {
        #[test]
        fn the_counts_of_a_request_are_ordered(input: u64, eligible: u64, candidate: u64, realized: u64) {
            let tokens = ReuseTokens::of_request(input, eligible, candidate, realized);
            prop_assert!(tokens.candidate() <= tokens.eligible() && tokens.eligible() <= tokens.input());
            prop_assert!(tokens.realized() <= tokens.input());
            prop_assert_eq!(tokens.prefill_compute() + tokens.realized(), tokens.input());
            prop_assert!(tokens.missed() <= tokens.candidate());
            for rate in [tokens.opportunity_ratio(), tokens.realized_ratio(), tokens.capture_rate()] {
                prop_assert!((0.0..=1.0).contains(&rate));
            }
        }
    }
}
