//! Responses as an engine would hand them to the store.

use serde_json::json;
use zumik_server::store::ProjectCtx;
use zumik_types::{NativeResponse, ResponseId};

/// A native response, running or complete.
pub(crate) fn native(ctx: &ProjectCtx, id: &ResponseId, open: bool) -> NativeResponse {
    let (status, completion) = if open { ("in_progress", None) } else { ("completed", Some("completed")) };
    serde_json::from_value(json!({
        "id": id,
        "object": "response",
        "project_id": ctx.project,
        "created_at": ctx.now,
        "status": status,
        "model": "code.fast",
        "session_id": null,
        "branch_id": null,
        "output_text": if open { None } else { Some("Because the fixture moved.") },
        "execution_profile": "managed_provider",
        "alias_release_id": null,
        "trace_id": ctx.trace,
        "usage": {
            "input_tokens": 10,
            "output_tokens": 2,
            "candidate_reuse_tokens": 0,
            "realized_reused_tokens": 0,
            "missed_opportunity_tokens": 0,
            "reuse_evidence_level": "unknown",
        },
        "qos_outcome": {
            "admission": "admitted",
            "completion": completion,
            "target_met": null,
            "ttft_ms": 1,
            "latency_ms": 2,
            "deadline_met": null,
            "degraded": false,
            "fallback_used": false,
            "reason_code": null,
        },
        "error": null,
    }))
    .unwrap()
}
