//! Usage events as accounts would hand them to the store.

use serde_json::json;
use ulid::Ulid;
use zumik_server::store::ProjectCtx;
use zumik_types::{UsageEvent, UsageEventId};

/// An event whose numbers follow from `n`; the same id for the same number.
pub(crate) fn event(ctx: &ProjectCtx, n: u64) -> UsageEvent {
    let pick = |from: [&str; 3]| from[(n % 3) as usize].to_owned();
    let foreign = u128::from(ctx.project.as_str().bytes().map(u64::from).sum::<u64>());
    let suffix = Ulid::from_parts(n, foreign << 32 | u128::from(n)).to_string().to_ascii_lowercase();
    let (input, realized) = (100 * n, 30 * (n % 3));
    let qos_outcome = json!({
        "admission": "admitted",
        "completion": "completed",
        "target_met": n.is_multiple_of(3).then_some(n.is_multiple_of(2)),
        "ttft_ms": (!n.is_multiple_of(5)).then_some(n * 17 % 1_000),
        "latency_ms": n * n,
        "deadline_met": null,
        "degraded": false,
        "fallback_used": false,
        "reason_code": null,
    });
    serde_json::from_value(json!({
        "id": UsageEventId::with_suffix(&suffix),
        "object": "usage_event",
        "project_id": ctx.project,
        "created_at": ctx.now,
        "trace_id": ctx.trace,
        "api_surface": "v2_responses",
        "request_id": "rsp_1",
        "api_key_id": n.is_multiple_of(2).then(|| ctx.key.clone()),
        "requested_model": "code.fast",
        "alias_release_id": null,
        "provider": (!n.is_multiple_of(7)).then(|| pick(["openai", "xai", "local"])),
        "resolved_model": pick(["gpt-4o", "grok", "qwen"]),
        "model_revision": null,
        "execution_profile": "managed_provider",
        "execution_mode": "live",
        "region": pick(["us", "eu", "us"]),
        "qos_class": if n.is_multiple_of(4) { "batch" } else { "standard" },
        "session_id": null,
        "branch_id": null,
        "prefix_family_id": null,
        "status": if n.is_multiple_of(6) { "failed" } else { "completed" },
        "input_tokens": input,
        "output_tokens": n,
        "eligible_reuse_tokens": 90 * n,
        "candidate_reuse_tokens": 70 * n,
        "realized_reused_tokens": realized,
        "missed_opportunity_tokens": (70 * n).saturating_sub(realized),
        "prefill_compute_tokens": input.saturating_sub(realized),
        "opportunity_reuse_ratio": 0.7,
        "realized_reuse_ratio": 0.0,
        "reuse_capture_rate": 0.0,
        "reuse_window_ms": 300_000,
        "cache_tier": "unknown",
        "reuse_evidence_level": "unknown",
        "qos_outcome": qos_outcome,
        "charged_micros": 3 * n,
    }))
    .unwrap()
}
