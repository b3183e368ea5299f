use serde_json::json;
use zumik_types::DiagnosticReport;

use super::world::{World, fresh, key};

fn report() -> DiagnosticReport {
    serde_json::from_value(json!({
        "object": "diagnostic_report", "trace_count": 3, "workload_reuse_score": 85, "band": "strong_fit",
        "components": {
            "opportunity_ratio": 0.958, "recurrence_score": 1.0, "retention_locality": 1.0,
            "ttft_sensitivity": 0.2274, "session_continuity": 1.0, "payload_redundancy": 0.656
        },
        "waterfall": {
            "input_tokens": 56630, "eligible_reuse_tokens": 56630, "candidate_reuse_tokens": 54250,
            "realized_reused_tokens": 31080, "missed_opportunity_tokens": 23170
        },
        "recommendation": {
            "action": "prioritize_optimization_pilot", "execution_profile": "managed_provider", "summary": "…"
        },
        "evidence_level": "trace_estimated", "digest": "",
        "signature": {"algorithm": "", "key_id": "rk_1", "value": ""}
    }))
    .unwrap()
}

pub(super) async fn a_report_is_signed_and_kept_as_it_was_answered(world: World) {
    let k = || key("/v2/diagnostics", "k", "");
    let written = world.store.create_diagnostic(&world.ctx(), report(), k()).await;
    let body = written.as_ref().unwrap().answer().body.clone();
    let diagnostic = fresh(written);
    let keys = world.store.list_receipt_keys().await.unwrap();

    zumik_receipt::verify_report(&diagnostic.report, &keys).unwrap();
    let stored = world.store.retrieve_diagnostic(&world.ctx(), &diagnostic.id).await.unwrap();
    assert_eq!(serde_json::to_vec(&stored).unwrap(), body);
    let again = world.store.create_diagnostic(&world.ctx(), report(), k()).await.unwrap();
    assert_eq!((again.is_replay(), &again.answer().body), (true, &body));
}
