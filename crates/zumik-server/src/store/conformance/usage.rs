use chrono::TimeDelta;
use zumik_types::{
    ApiSurface, CacheTier, ExecutionMode, ExecutionProfile, Extra, KeyId, ObjectType, QosAdmission, QosClass,
    QosCompletion, QosOutcome, ReuseEvidenceLevel, TraceId, UsageDimension, UsageEvent, UsageEventId,
    UsageReport, UsageStatus,
};

use super::world::World;
use crate::clock::Clock as _;
use crate::store::{LATEST_EVENTS, ProjectCtx, UsageQuery};

/// An event whose numbers follow from `n`.
pub(crate) fn event(ctx: &ProjectCtx, n: u64) -> UsageEvent {
    let pick = |from: [&str; 3]| from[(n % 3) as usize].to_owned();
    let (input, eligible, candidate, realized) = (100 * n, 90 * n, 70 * n, 50 * (n % 5) * (n / 5));
    let realized = realized.min(input);
    UsageEvent {
        id: UsageEventId::with_suffix(&ulid::Ulid::from_parts(n, n.into()).to_string().to_ascii_lowercase()),
        object: ObjectType::UsageEvent,
        project_id: ctx.project.clone(),
        created_at: ctx.now,
        trace_id: TraceId::with_suffix("1"),
        api_surface: ApiSurface::V2Responses,
        request_id: "rsp_1".to_owned(),
        api_key_id: n.is_multiple_of(2).then(|| ctx.key.clone()),
        requested_model: Some("code.fast".to_owned()),
        alias_release_id: None,
        provider: (!n.is_multiple_of(7)).then(|| pick(["openai", "xai", "local"])),
        resolved_model: Some(pick(["gpt-4o", "grok", "qwen"])),
        model_revision: None,
        execution_profile: ExecutionProfile::ManagedProvider,
        execution_mode: ExecutionMode::Live,
        region: pick(["us", "eu", "us"]),
        qos_class: if n.is_multiple_of(4) { QosClass::Batch } else { QosClass::Standard },
        session_id: None,
        branch_id: None,
        prefix_family_id: None,
        status: match n % 12 {
            0 => UsageStatus::Failed,
            3 => UsageStatus::Cancelled,
            6 => UsageStatus::Expired,
            _ => UsageStatus::Completed,
        },
        input_tokens: input,
        output_tokens: n,
        eligible_reuse_tokens: eligible,
        candidate_reuse_tokens: candidate,
        realized_reused_tokens: realized,
        missed_opportunity_tokens: candidate.saturating_sub(realized),
        prefill_compute_tokens: input - realized,
        opportunity_reuse_ratio: 0.7,
        realized_reuse_ratio: 0.0,
        reuse_capture_rate: 0.0,
        reuse_window_ms: 300_000,
        cache_tier: CacheTier::Unknown,
        reuse_evidence_level: ReuseEvidenceLevel::Unknown,
        qos_outcome: QosOutcome {
            admission: QosAdmission::Admitted,
            completion: Some(QosCompletion::Completed),
            target_met: n.is_multiple_of(3).then_some(n.is_multiple_of(2)),
            ttft_ms: (!n.is_multiple_of(5)).then_some(n * 17 % 1_000),
            latency_ms: Some(n * n),
            deadline_met: None,
            degraded: false,
            fallback_used: false,
            reason_code: None,
            extra: Extra::new(),
        },
        charged_micros: 3 * n as i64,
        extra: Extra::new(),
    }
}

async fn record(world: &World, numbers: std::ops::Range<u64>) -> Vec<UsageEvent> {
    let events: Vec<_> = numbers.map(|n| event(&world.ctx(), n)).collect();
    world.store.record_usage(events.clone()).await.unwrap();
    events
}

fn now(world: &World) -> UsageQuery {
    UsageQuery::between(world.clock.now() - TimeDelta::days(1), world.clock.now())
}

async fn ask(world: &World, query: UsageQuery) -> UsageReport {
    world.store.usage(&world.ctx(), query).await.unwrap()
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get((values.len().max(1) - 1) / 2).copied()
}

/// Compares the summary with sums made the plain way.
#[track_caller]
fn assert_sums(report: &UsageReport, events: &[&UsageEvent]) {
    let sum = |of: fn(&UsageEvent) -> u64| events.iter().map(|event| of(event)).sum::<u64>();
    let found = &report.summary;
    assert_eq!(found.requests, events.len() as u64);
    // Who cancels a generation gets no error.
    let failed = |event: &UsageEvent| [UsageStatus::Failed, UsageStatus::Expired].contains(&event.status);
    assert_eq!(found.failed_requests, events.iter().filter(|event| failed(event)).count() as u64);
    assert_eq!(found.input_tokens, sum(|event| event.input_tokens));
    assert_eq!(found.output_tokens, sum(|event| event.output_tokens));
    assert_eq!(found.eligible_reuse_tokens, sum(|event| event.eligible_reuse_tokens));
    assert_eq!(found.candidate_reuse_tokens, sum(|event| event.candidate_reuse_tokens));
    assert_eq!(found.realized_reused_tokens, sum(|event| event.realized_reused_tokens));
    assert_eq!(found.missed_opportunity_tokens, sum(|event| event.missed_opportunity_tokens));
    assert_eq!(found.charged_micros, events.iter().map(|event| event.charged_micros).sum::<i64>());
    let ttft = events.iter().filter_map(|event| event.qos_outcome.ttft_ms).collect();
    let latency = events.iter().filter_map(|event| event.qos_outcome.latency_ms).collect();
    assert_eq!((found.ttft_ms_p50, found.latency_ms_p50), (median(ttft), median(latency)));
    let targets: Vec<_> = events.iter().filter_map(|event| event.qos_outcome.target_met).collect();
    let met = targets.iter().filter(|met| **met).count() as f64;
    let rate = (!targets.is_empty()).then(|| (met / targets.len() as f64 * 10_000.0).round() / 10_000.0);
    assert_eq!((found.target_met_rate, found.deadline_met_rate), (rate, None));
}

pub(super) async fn sums_equal_the_events_and_the_latest_are_listed(world: World) {
    assert_sums(&ask(&world, now(&world)).await, &[]);
    let mut events = record(&world, 1..150).await;
    world.advance(TimeDelta::seconds(1));
    events.extend(record(&world, 150..260).await);
    let report = ask(&world, now(&world)).await;
    assert_sums(&report, &events.iter().collect::<Vec<_>>());
    let latest: Vec<_> = events.iter().rev().take(LATEST_EVENTS).cloned().collect();
    assert_eq!(report.data, latest);
    assert_eq!((report.has_more, report.groups.len()), (false, 0));
}

pub(super) async fn an_event_that_is_sent_twice_counts_once(world: World) {
    let events = record(&world, 1..10).await;
    record(&world, 5..12).await;
    let report = ask(&world, now(&world)).await;
    assert_eq!((report.summary.requests, report.data.len()), (11, 11));
    assert_eq!(report.data[10], events[0]);
}

pub(super) async fn a_selection_is_by_period_and_exact_values(world: World) {
    let mut events = record(&world, 1..40).await;
    world.advance(TimeDelta::seconds(10));
    events.extend(record(&world, 40..80).await);
    let (first, second) = (events[0].created_at, events[79 - 1].created_at);
    let between = |start, end| UsageQuery::between(start, end);
    for (query, count) in [
        (between(first, second), 79),
        (between(first, first), 39),
        (between(first + TimeDelta::seconds(1), second), 40),
        (between(first, second - TimeDelta::seconds(1)), 39),
        (between(second + TimeDelta::seconds(1), second + TimeDelta::days(1)), 0),
    ] {
        assert_eq!(ask(&world, query).await.summary.requests, count);
    }
    let selected = async |change: fn(&mut UsageQuery), fits: fn(&UsageEvent) -> bool| {
        let mut query = between(first, second);
        change(&mut query);
        let expected: Vec<_> = events.iter().filter(|event| fits(event)).collect();
        assert!(!expected.is_empty());
        assert_sums(&ask(&world, query).await, &expected);
    };
    selected(|q| q.provider = Some("xai".into()), |e| e.provider.as_deref() == Some("xai")).await;
    selected(|q| q.model = Some("qwen".into()), |e| e.resolved_model.as_deref() == Some("qwen")).await;
    selected(|q| q.region = Some("eu".into()), |e| e.region == "eu").await;
    selected(|q| q.qos_class = Some("batch".into()), |e| e.qos_class == QosClass::Batch).await;
    selected(|q| q.profile = Some("managed_provider".into()), |_| true).await;
    let mut query = between(first, second);
    query.key = Some(world.ctx().key);
    query.provider = Some("openai".to_owned());
    let fits = |e: &&UsageEvent| e.api_key_id.is_some() && e.provider.as_deref() == Some("openai");
    assert_sums(&ask(&world, query.clone()).await, &events.iter().filter(fits).collect::<Vec<_>>());
    for key in ["none", "01jy7naa12b3c4d5e6f7g8h9jk"] {
        query.key = Some(KeyId::with_suffix(key));
        assert_eq!(ask(&world, query.clone()).await.summary.requests, 0);
    }
    assert_eq!(world.store.usage(&world.foreign(), between(first, second)).await.unwrap().data, []);
}

pub(super) async fn groups_split_the_sums(world: World) {
    let events = record(&world, 1..60).await;
    for by in UsageDimension::KNOWN {
        let query = UsageQuery { group_by: Some(by.clone()), ..now(&world) };
        let report = ask(&world, query).await;
        assert_eq!(report.groups.iter().map(|group| group.requests).sum::<u64>(), 59, "{by}");
        assert!(report.groups.is_sorted_by(|a, b| a.charged_micros >= b.charged_micros), "{by}");
    }
    let query = UsageQuery { group_by: Some(UsageDimension::Provider), ..now(&world) };
    let groups = ask(&world, query).await.groups;
    let mut keys: Vec<_> = groups.iter().map(|group| group.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["local", "openai", "unknown", "xai"]);
    let unknown = groups.iter().find(|group| group.key == "unknown").unwrap();
    let none: Vec<_> = events.iter().filter(|event| event.provider.is_none()).collect();
    assert_eq!(unknown.requests, none.len() as u64);
    let latency = none.iter().filter_map(|event| event.qos_outcome.latency_ms).collect();
    assert_eq!(unknown.latency_ms_p50, median(latency));
    let query = UsageQuery { group_by: Some(UsageDimension::Key), ..now(&world) };
    let keys = ask(&world, query).await.groups.into_iter().map(|group| group.key).collect::<Vec<_>>();
    assert!(keys.contains(&world.ctx().key.to_string()), "{keys:?}");
}

pub(super) async fn forgotten_events_are_gone(world: World) {
    record(&world, 1..300).await;
    world.advance(TimeDelta::days(2));
    let kept = record(&world, 300..310).await;
    let before = world.clock.now() - TimeDelta::days(1);
    assert_eq!(world.store.forget_usage(before).await.unwrap(), 299);
    assert_eq!(world.store.forget_usage(before).await.unwrap(), 0);
    let query = UsageQuery::between(before - TimeDelta::days(9), world.clock.now());
    assert_sums(&ask(&world, query).await, &kept.iter().collect::<Vec<_>>());
}
