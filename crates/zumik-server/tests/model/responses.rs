//! Responses as an engine would hand them to the store.

use serde_json::{Value, json};
use zumik_server::domain::ResponseObject;
use zumik_server::store::{Continued, ProjectCtx};
use zumik_types::{NativeResponse, ResponseId, V1ResponseId, V1ResponseStatus};

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

/// A response of `/v1` that continues something.
pub(crate) fn v1(
    ctx: &ProjectCtx,
    id: &V1ResponseId,
    status: &V1ResponseStatus,
    after: Option<&Continued>,
) -> ResponseObject {
    let (previous, conversation) = match after {
        Some(Continued::Response(id)) => (json!(id), Value::Null),
        Some(Continued::Conversation(id)) => (Value::Null, json!({ "id": id })),
        None => (Value::Null, Value::Null),
    };
    serde_json::from_value(json!({
        "id": id,
        "object": "response",
        "created_at": ctx.now.timestamp(),
        "status": status,
        "model": "code.balanced",
        "output": [{ "type": "message", "id": "msg_1", "role": "assistant", "content": id }],
        "previous_response_id": previous,
        "conversation": conversation,
        "zeta": 1.0,
    }))
    .unwrap()
}
