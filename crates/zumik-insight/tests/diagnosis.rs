//! What the report says of small workloads, member by member, and laws that hold for all of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::{collection::vec, option, prelude::*, sample::Index};
use serde_json::json;
use zumik_insight::{REUSE_WINDOW_MS, UnsignedReport, action, band, diagnose};
use zumik_types::{DiagnosticTrace, ReuseAction, ReuseBand};

/// A trace of 1,000 tokens, none of them reusable, that belongs to nothing.
fn trace() -> DiagnosticTrace {
    serde_json::from_value(json!({
        "trace_id": "t",
        "privacy_mode": "metadata",
        "schedule": {},
        "observed": {
            "resolved_target": "openai/gpt-4o",
            "ttft_ms": 0,
            "latency_ms": 1000,
            "input_tokens": 1000,
            "candidate_reuse_tokens": 0,
            "realized_reused_tokens": 0,
            "output_tokens": 10
        }
    }))
    .unwrap()
}

fn in_family(family: &str, arrival_offset_ms: impl Into<Option<i64>>) -> DiagnosticTrace {
    let mut trace = trace();
    trace.prefix_family_id = Some(family.to_owned());
    set_arrival(&mut trace, arrival_offset_ms.into());
    trace
}

fn set_arrival(trace: &mut DiagnosticTrace, arrival_offset_ms: Option<i64>) {
    trace.schedule.get_or_insert_default().arrival_offset_ms = arrival_offset_ms;
}

fn report(traces: &[DiagnosticTrace]) -> UnsignedReport {
    diagnose(traces).unwrap()
}

#[test]
fn a_workload_without_reuse_scores_zero() {
    let report = report(&[trace(), trace()]);
    assert_eq!((report.workload_reuse_score, report.band), (0, ReuseBand::WeakFit));
    assert_eq!(report.waterfall.eligible_reuse_tokens, 0);
}

#[test]
fn a_workload_that_reuses_everything_scores_one_hundred() {
    let mut perfect = in_family("pf", 0);
    perfect.observed.candidate_reuse_tokens = 1000;
    perfect.observed.ttft_ms = 1000;
    perfect.schedule.as_mut().unwrap().session_id = Some("ses".to_owned());
    let mut first = perfect.clone();
    first.observed.input_tokens = 0;
    first.observed.candidate_reuse_tokens = 0;
    let report = report(&[first, perfect]);
    assert_eq!(report.workload_reuse_score, 100);
}

#[test]
fn one_trace_cannot_recur() {
    assert_eq!(report(&[in_family("pf", 0)]).components.recurrence_score, 0.0);
}

#[test]
fn recurrence_is_the_share_of_traces_but_the_first_whose_family_came_before() {
    let traces = ["a", "b", "a", "c", "b", "a", "d"].map(|family| in_family(family, None));
    assert_eq!(report(&traces).components.recurrence_score, 0.5);
}

#[test]
fn traces_without_a_family_never_recur() {
    assert_eq!(report(&[trace(), trace(), trace()]).components.recurrence_score, 0.0);
}

#[test]
fn a_recurrence_is_local_up_to_and_including_the_end_of_the_window() {
    let window = i64::try_from(REUSE_WINDOW_MS).unwrap();
    for (second, local) in [(window, 1.0), (window + 1, 0.0)] {
        assert_eq!(
            report(&[in_family("pf", 0), in_family("pf", second)]).components.retention_locality,
            local
        );
    }
    // What counts is the previous trace of the family, not the first.
    let chain = [in_family("pf", 0), in_family("pf", window), in_family("pf", 2 * window)];
    assert_eq!(report(&chain).components.retention_locality, 1.0);
}

#[test]
fn a_recurrence_of_unknown_arrival_is_not_local() {
    let report = report(&[in_family("pf", None), in_family("pf", 0), in_family("pf", 1)]);
    assert_eq!(report.components.recurrence_score, 1.0);
    assert_eq!(report.components.retention_locality, 0.5);
}

#[test]
fn traces_are_taken_by_arrival_those_without_one_last_and_ties_as_given() {
    let redundancy = |first: i64, second: Option<i64>| {
        let mut large = in_family("pf", second);
        large.observed.candidate_reuse_tokens = 1000;
        report(&[in_family("pf", first), large]).components.payload_redundancy
    };
    assert_eq!(redundancy(0, Some(1)), 0.5);
    assert_eq!(redundancy(1, Some(0)), 0.0);
    assert_eq!(redundancy(0, Some(0)), 0.5);
    assert_eq!(redundancy(i64::MAX, None), 0.5);
    assert_eq!(redundancy(i64::MAX, Some(i64::MIN)), 0.0);
}

#[test]
fn ttft_sensitivity_is_the_mean_share_of_each_trace() {
    let with_times = |ttft_ms, latency_ms| {
        let mut trace = trace();
        (trace.observed.ttft_ms, trace.observed.latency_ms) = (ttft_ms, latency_ms);
        trace
    };
    let sensitivity = |traces: &[DiagnosticTrace]| report(traces).components.ttft_sensitivity;
    assert_eq!(sensitivity(&[with_times(410, 2200), with_times(395, 2050), with_times(940, 3100)]), 0.2274);
    assert_eq!(sensitivity(&[with_times(5, 0), with_times(2000, 1000)]), 0.5);
}

#[test]
fn a_session_counts_from_its_second_trace_on() {
    let in_session = |session: Option<&str>| {
        let mut trace = trace();
        trace.schedule.as_mut().unwrap().session_id = session.map(str::to_owned);
        trace
    };
    let traces = [Some("a"), Some("b"), Some("a"), None, None].map(in_session);
    assert_eq!(report(&traces).components.session_continuity, 0.4);
}

#[test]
fn eligible_is_the_input_with_a_family_and_the_candidate_without() {
    let mut orphan = trace();
    orphan.observed.candidate_reuse_tokens = 300;
    assert_eq!(report(&[in_family("pf", 0), orphan]).waterfall.eligible_reuse_tokens, 1300);
}

#[test]
fn missed_tokens_are_counted_trace_by_trace() {
    let with_tokens = |candidate, realized| {
        let mut trace = trace();
        trace.observed.candidate_reuse_tokens = candidate;
        trace.observed.realized_reused_tokens = realized;
        trace
    };
    let waterfall = report(&[with_tokens(200, 900), with_tokens(800, 100)]).waterfall;
    assert_eq!((waterfall.realized_reused_tokens, waterfall.missed_opportunity_tokens), (1000, 700));
}

#[test]
fn a_score_of_exactly_one_half_is_rounded_up() {
    // The last four sums are a half in mathematics and a little less in floats.
    for (candidate, input, ttft_ms, latency_ms, score) in [
        (1, 70, 0, 1, 1),
        (5, 350, 1, 15, 2),
        (15, 26, 2, 13, 23),
        (1, 30, 8, 9, 15),
        (38, 60, 2, 9, 26),
        (47, 70, 1, 3, 29),
    ] {
        let mut one = trace();
        one.observed.input_tokens = input;
        one.observed.candidate_reuse_tokens = candidate;
        (one.observed.ttft_ms, one.observed.latency_ms) = (ttft_ms, latency_ms);
        assert_eq!(
            report(&[one]).workload_reuse_score,
            score,
            "{candidate} of {input}, {ttft_ms} of {latency_ms}"
        );
    }
}

#[test]
fn bands_and_actions_change_at_20_45_and_70() {
    use ReuseAction::{
        ImprovePromptConstruction, NoCustomCaching, PrioritizeOptimizationPilot, TuneProviders,
    };
    use ReuseBand::{LimitedFit, PlausibleFit, StrongFit, WeakFit};
    for (scores, expected_band, expected_action) in [
        ([0, 19], WeakFit, NoCustomCaching),
        ([20, 44], LimitedFit, ImprovePromptConstruction),
        ([45, 69], PlausibleFit, TuneProviders),
        ([70, 100], StrongFit, PrioritizeOptimizationPilot),
    ] {
        for score in scores {
            assert_eq!(
                (band(score), action(score)),
                (expected_band.clone(), expected_action.clone()),
                "{score}"
            );
        }
    }
}

#[test]
fn traces_that_contradict_themselves_are_refused_with_the_member() {
    let refused = |change: fn(&mut DiagnosticTrace)| {
        let mut bad = trace();
        change(&mut bad);
        diagnose(&[trace(), bad]).unwrap_err().to_string()
    };
    assert_eq!(diagnose(&[]).unwrap_err().to_string(), "`traces` must not be empty");
    assert_eq!(
        refused(|trace| trace.observed.candidate_reuse_tokens = 1001),
        "`traces[1].observed.candidate_reuse_tokens` must not exceed `input_tokens`"
    );
    assert_eq!(
        refused(|trace| trace.observed.realized_reused_tokens = 1001),
        "`traces[1].observed.realized_reused_tokens` must not exceed `input_tokens`"
    );
    assert_eq!(
        refused(|trace| trace.observed.attempt_count = Some(0)),
        "`traces[1].observed.attempt_count` must be at least 1"
    );
    assert_eq!(
        refused(|trace| trace.privacy_mode = "anything".into()),
        "`traces[1].privacy_mode` is not a privacy mode"
    );
    assert_eq!(
        refused(|trace| drop(trace.extra.insert("prompt".to_owned(), json!("Hello")))),
        "`traces[1].prompt` would carry prompt text, which a diagnostic does not accept"
    );
}

prop_compose! {
    fn any_trace()(
        family in option::of(prop_oneof![Just("pf_a"), Just("pf_b"), Just("pf_c")]),
        session in option::of(prop_oneof![Just("ses_a"), Just("ses_b")]),
        arrival in option::of(0..2_000_000_i64),
        input in 0..50_000_u64,
        candidate in 0.0..=1.0_f64,
        realized in 0.0..=1.0_f64,
        ttft_ms in 0..5_000_u64,
        latency_ms in 0..20_000_u64,
    ) -> DiagnosticTrace {
        let mut trace = trace();
        trace.prefix_family_id = family.map(str::to_owned);
        set_arrival(&mut trace, arrival);
        trace.schedule.get_or_insert_default().session_id = session.map(str::to_owned);
        trace.observed.input_tokens = input;
        trace.observed.candidate_reuse_tokens = (input as f64 * candidate) as u64;
        trace.observed.realized_reused_tokens = (input as f64 * realized) as u64;
        trace.observed.ttft_ms = ttft_ms;
        trace.observed.latency_ms = latency_ms;
        trace
    }
}

fn workload() -> impl Strategy<Value = Vec<DiagnosticTrace>> {
    vec(any_trace(), 1..20)
}

proptest! {
    #[test]
    fn the_score_and_its_components_are_in_range(traces in workload()) {
        let report = report(&traces);
        prop_assert!(report.workload_reuse_score <= 100);
        prop_assert_eq!(report.band.clone(), band(report.workload_reuse_score));
        prop_assert_eq!(report.trace_count, traces.len() as u64);
        let components = &report.components;
        for component in [
            components.opportunity_ratio,
            components.recurrence_score,
            components.retention_locality,
            components.ttft_sensitivity,
            components.session_continuity,
            components.payload_redundancy,
        ] {
            prop_assert!((0.0..=1.0).contains(&component));
            prop_assert!((component * 10_000.0 - (component * 10_000.0).round()).abs() < 1e-9, "four decimals");
        }
        prop_assert!(components.payload_redundancy <= components.opportunity_ratio);
    }

    #[test]
    fn the_score_is_the_weighted_sum_of_the_components(traces in workload()) {
        let report = report(&traces);
        let components = &report.components;
        let sum = 100.0
            * (0.35 * components.opportunity_ratio
                + 0.20 * components.recurrence_score
                + 0.15 * components.retention_locality
                + 0.15 * components.ttft_sensitivity
                + 0.10 * components.session_continuity
                + 0.05 * components.payload_redundancy);
        // Components are shown rounded, so the sum may be off by 100 · 0.00005.
        prop_assert!((sum - report.workload_reuse_score as f64).abs() <= 0.5 + 0.005 + 1e-9, "{sum}");
    }

    #[test]
    fn the_waterfall_falls(traces in workload()) {
        let waterfall = report(&traces).waterfall;
        prop_assert!(waterfall.input_tokens >= waterfall.eligible_reuse_tokens);
        prop_assert!(waterfall.eligible_reuse_tokens >= waterfall.candidate_reuse_tokens);
        prop_assert!(waterfall.candidate_reuse_tokens >= waterfall.missed_opportunity_tokens);
        prop_assert!(
            waterfall.missed_opportunity_tokens
                >= waterfall.candidate_reuse_tokens.saturating_sub(waterfall.realized_reused_tokens)
        );
    }

    #[test]
    fn traces_with_different_arrivals_may_come_in_any_order(
        (traces, shuffled) in workload().prop_flat_map(|mut traces| {
            for (offset, trace) in traces.iter_mut().enumerate() {
                let near = (offset as i64) * 200_000 + trace.observed.ttft_ms as i64;
                set_arrival(trace, Some(near));
            }
            (Just(traces.clone()), Just(traces).prop_shuffle())
        })
    ) {
        prop_assert_eq!(report(&traces), report(&shuffled));
    }

    #[test]
    fn names_of_families_and_sessions_do_not_matter(traces in workload()) {
        let mut renamed = traces.clone();
        for trace in &mut renamed {
            trace.prefix_family_id = trace.prefix_family_id.take().map(|family| format!("{family}_renamed"));
            let schedule = trace.schedule.get_or_insert_default();
            schedule.session_id = schedule.session_id.take().map(|session| format!("{session}_renamed"));
        }
        prop_assert_eq!(report(&traces), report(&renamed));
    }

    #[test]
    fn time_may_begin_anywhere(traces in workload(), start in -1_000_000_000..1_000_000_000_i64) {
        let mut moved = traces.clone();
        for trace in &mut moved {
            let arrival = trace.schedule.as_ref().and_then(|schedule| schedule.arrival_offset_ms);
            set_arrival(trace, arrival.map(|offset| offset + start));
        }
        prop_assert_eq!(report(&traces), report(&moved));
    }

    #[test]
    fn more_opportunity_never_lowers_the_score(traces in workload(), which: Index) {
        let mut better = traces.clone();
        let observed = &mut better[which.index(traces.len())].observed;
        observed.candidate_reuse_tokens = observed.input_tokens;
        prop_assert!(report(&better).workload_reuse_score >= report(&traces).workload_reuse_score);
    }

    #[test]
    fn a_slower_first_token_never_lowers_the_score(traces in workload(), which: Index, more in 0..10_000_u64) {
        let mut slower = traces.clone();
        slower[which.index(traces.len())].observed.ttft_ms += more;
        prop_assert!(report(&slower).workload_reuse_score >= report(&traces).workload_reuse_score);
    }

    #[test]
    fn what_was_realized_does_not_change_the_score(traces in workload(), which: Index) {
        let mut realized = traces.clone();
        let observed = &mut realized[which.index(traces.len())].observed;
        observed.realized_reused_tokens = observed.input_tokens;
        let (before, after) = (report(&traces), report(&realized));
        prop_assert_eq!(after.workload_reuse_score, before.workload_reuse_score);
        prop_assert!(after.waterfall.missed_opportunity_tokens <= before.waterfall.missed_opportunity_tokens);
    }

    #[test]
    fn huge_counts_do_not_overflow(mut traces in workload()) {
        for trace in &mut traces {
            let observed = &mut trace.observed;
            (observed.input_tokens, observed.candidate_reuse_tokens) = (u64::MAX, u64::MAX);
            (observed.ttft_ms, observed.latency_ms) = (u64::MAX, u64::MAX);
        }
        prop_assert_eq!(report(&traces).components.opportunity_ratio, 1.0);
    }
}
