//! Bodies and parameters that nobody should send: the contract's 400 with the field that is to blame, never a fault.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::host::{Answer, Host};

/// A host with one session, and the path of its events.
async fn with_events() -> (Host, String) {
    let host = Host::start().await;
    let (session, branch) = host.session(&[]).await;
    let path = format!("/v2/sessions/{session}/branches/{branch}/events");
    (host, path)
}

#[tokio::test]
async fn the_first_field_in_the_order_of_the_table_is_named() {
    let (host, events) = with_events().await;
    let merges = events.replace("/events", "/merges");
    let snapshots = events.replace("/events", "/snapshots");
    let branches = events.split("/br_").next().unwrap().to_owned();
    let session = branches.replace("/branches", "");
    let observed = json!({
        "resolved_target": "openai/gpt-4o", "ttft_ms": 1, "latency_ms": 2, "input_tokens": 3,
        "candidate_reuse_tokens": 3, "realized_reused_tokens": 4, "output_tokens": 1,
    });
    let trace = json!({ "trace_id": "t", "privacy_mode": "metadata", "observed": observed });
    let with = |member: &str, value: Value| {
        let mut trace = trace.clone();
        trace[member] = value;
        json!({ "traces": [trace] })
    };
    let too_many = |entry: Value, count: usize| Value::Array(vec![entry; count]);
    let rows: Vec<(&str, Value, &str)> = vec![
        ("/v2/artifacts", json!({ "artifact_type": 1, "content": 2 }), "artifact_type"),
        ("/v2/artifacts", json!({ "artifact_type": "policy", "content": ["a"] }), "content"),
        (
            "/v2/artifacts",
            json!({ "artifact_type": "policy", "content": "a", "metadata": "b", "retention_class": "c" }),
            "retention_class",
        ),
        (
            "/v2/artifacts",
            json!({
                "artifact_type": "policy", "content": "a", "content_media_type": format!("text/{}", "x".repeat(251))
            }),
            "content_media_type",
        ),
        ("/v2/bundles", json!({ "bundle_type": 1, "items": [] }), "bundle_type"),
        ("/v2/bundles", json!({ "items": [{ "artifact_id": "bnd_x", "role": 1 }] }), "items[0].artifact_id"),
        ("/v2/bundles", json!({ "items": [null] }), "items[0]"),
        ("/v2/sessions", json!({ "base_bundle_ids": ["bnd_x", 1] }), "base_bundle_ids[1]"),
        (&session, json!({ "status": "tombstoned" }), "status"),
        (&session, json!({}), "status"),
        (&branches, json!({ "label": 1 }), "fork_from_branch_id"),
        (&branches, json!({ "fork_from_branch_id": "br_none" }), "fork_from_branch_id"),
        (
            &branches,
            json!({ "fork_from_branch_id": "br_x", "fork_from_event_id": "", "label": 1 }),
            "fork_from_event_id",
        ),
        (&branches, json!({ "fork_from_branch_id": "br_x", "label": "x".repeat(129) }), "label"),
        (&events, json!({ "expected_version": 1.5, "expected_head_event_id": 1 }), "expected_version"),
        (&events, json!({ "expected_version": 0, "expected_head_event_id": "" }), "expected_head_event_id"),
        (&events, json!({ "expected_version": 0, "event": [] }), "event"),
        (&events, json!({ "expected_version": 0, "event": { "payload_ref": 1 } }), "event.event_type"),
        (&merges, json!({ "source_branch_id": "br_x", "strategy": "squash" }), "strategy"),
        (
            &merges,
            json!({ "source_branch_id": "br_x", "strategy": "checkpoint", "expected_version": 0 }),
            "payload_ref",
        ),
        (
            &merges,
            json!({
                "source_branch_id": "br_x", "strategy": "rebase", "expected_version": 0, "payload_ref": "art_x"
            }),
            "payload_ref",
        ),
        (&snapshots, json!({ "ordered_block_manifest": ["blk_a", {}] }), "ordered_block_manifest[1]"),
        (&snapshots, json!({ "ordered_block_manifest": ["art_none"] }), "ordered_block_manifest[0]"),
        ("/v2/responses", json!({ "model": "", "input": "" }), "model"),
        ("/v2/responses", json!({ "model": "auto", "input": "a", "qos": [] }), "qos"),
        (
            "/v2/responses",
            json!({ "model": "auto", "input": "a", "qos": { "degrade_policy": "always" } }),
            "qos.degrade_policy",
        ),
        (
            "/v2/responses",
            json!({ "model": "auto", "input": "a", "agent_hints": { "reuse": { "preference": "never" } } }),
            "agent_hints.reuse.preference",
        ),
        (
            "/v2/responses",
            json!({ "model": "auto", "input": "a", "agent_hints": { "qos": { "deadline_ms": -1 } } }),
            "agent_hints.qos.deadline_ms",
        ),
        (
            "/v2/responses",
            json!({ "model": "auto", "input": "a", "bundle_id": "bnd_x", "snapshot_id": "snp_x" }),
            "snapshot_id",
        ),
        ("/v2/responses", json!({ "model": "auto", "input": "a", "bundle": "bnd_none" }), "bundle_id"),
        ("/v2/diagnostics", json!({ "traces": [{}] }), "traces[0].trace_id"),
        (
            "/v2/diagnostics",
            json!({ "traces": [trace.clone()] }),
            "traces[0].observed.realized_reused_tokens",
        ),
        ("/v2/diagnostics", with("privacy_mode", json!("secret")), "traces[0].privacy_mode"),
        (
            "/v2/diagnostics",
            with("schedule", json!({ "arrival_offset_ms": 0.5 })),
            "traces[0].schedule.arrival_offset_ms",
        ),
        ("/v2/diagnostics", json!({ "traces": too_many(trace.clone(), 5_001) }), "traces"),
        ("/v2/purge-jobs", json!({ "artifact_ids": too_many(json!("art_none"), 1_001) }), "artifact_ids"),
        ("/v2/bundles", json!({ "items": too_many(json!({ "artifact_id": "art_none" }), 1_001) }), "items"),
        ("/v2/sessions", json!({ "base_bundle_ids": too_many(json!("bnd_none"), 101) }), "base_bundle_ids"),
        (
            &snapshots,
            json!({ "ordered_block_manifest": too_many(json!("blk_a"), 10_001) }),
            "ordered_block_manifest",
        ),
        ("/v2/token-counts", json!({ "input": ["a"] }), "input"),
        ("/v1/responses", json!({ "model": "auto", "input": { "a": 1 } }), "input"),
    ];
    for (path, body, param) in rows {
        let answer = host.post(path, body).await;
        answer.refused(400, "", param);
    }
    assert_eq!(host.get(&events).await.json()["data"], json!([]));
    assert_eq!(host.get(&branches).await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(host.get("/v2/artifacts").await.json()["data"], json!([]));
}

#[tokio::test]
async fn an_optional_body_may_be_missing_empty_or_an_empty_object() {
    let (host, events) = with_events().await;
    for path in ["/v2/sessions".to_owned(), events.replace("/events", "/snapshots")] {
        let bare = host.request(Method::POST, &path).body(Body::empty()).unwrap();
        assert_eq!(host.send(bare).await.status, 200, "{path}");
        let typed = host.request(Method::POST, &path).header(CONTENT_TYPE, "text/plain");
        assert_eq!(host.send(typed.body(Body::empty()).unwrap()).await.status, 200, "{path}");
        assert_eq!(host.post(&path, json!({})).await.status, 200, "{path}");
        assert_eq!(host.post(&path, json!({ "unknown": [1] })).await.status, 200, "{path}");
        host.post(&path, json!([])).await.refused(400, "", "");
    }
}

#[tokio::test]
async fn paging_parameters_are_checked() {
    let (host, events) = with_events().await;
    for (path, query, param) in [
        (&*events, "limit=0", "limit"),
        (&events, "limit=1001", "limit"),
        (&events, "limit=%00", "limit"),
        (&events, "order=up&limit=0", "limit"),
        (&events, "order=ASC", "order"),
        (&events, "after=evt_none", "after"),
        (&events, "after=x", "after"),
        ("/v1/files", "limit=10001", "limit"),
        ("/v1/files", "after=file-none", "after"),
        ("/v1/files", "order=1", "order"),
    ] {
        host.get(&format!("{path}?{query}")).await.refused(400, "", param);
    }
    assert_eq!(host.get(&format!("{events}?unknown=1&limit=&after=")).await.status, 200);
}

async fn upload(host: &Host, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = host.request(Method::POST, "/v1/files").header(CONTENT_TYPE, content_type);
    host.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_form_must_hold_a_file_and_a_fitting_purpose() {
    let host = Host::start().await;
    let form = "multipart/form-data; boundary=b";
    let part = |disposition: &str, content: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    };
    let end = "--b--\r\n";
    let file = part("name=\"file\"; filename=\"f\"", "x");
    let purpose = |text: &str| part("name=\"purpose\"", text) + &file + end;
    for (body, param) in [
        (end.to_owned(), "file"),
        (part("name=\"purpose\"", "batch") + end, "file"),
        (part("name=\"file\"; filename=\"f\"", "") + end, "file"),
        (purpose(""), "purpose"),
        (purpose(&"x".repeat(65)), "purpose"),
        (purpose("batch_output"), "purpose"),
        (file.clone(), ""),
        ("no form at all".to_owned(), ""),
        (String::new(), ""),
    ] {
        upload(&host, form, body).await.refused(400, "", param);
    }
    upload(&host, "application/json", "{}").await.refused(400, "", "");
    upload(&host, "multipart/form-data", file.clone() + end).await.refused(400, "", "");
    assert_eq!(host.get("/v1/files").await.json()["data"], json!([]));

    let unnamed = part("name=\"other\"", "y") + &part("name=\"file\"", "x") + end;
    let stored = upload(&host, form, unnamed).await.json();
    assert_eq!(
        (&stored["filename"], &stored["purpose"], &stored["bytes"]),
        (&json!("file"), &json!("batch"), &json!(1))
    );
}

#[tokio::test]
async fn a_message_shows_what_was_wrong_and_no_more() {
    let host = Host::start().await;
    let long = "x".repeat(100_000);
    let answer = host.post("/v2/artifacts", json!({ "artifact_type": long, "content": "canary" })).await;
    answer.refused(400, "", "artifact_type");
    assert!(answer.body.len() < 1_000, "{}", answer.text());
    assert!(!answer.text().contains("canary"));
    let answer = host.post("/v2/artifacts", json!({ "artifact_type": "poli\u{0}cy", "content": "a" })).await;
    let message = answer.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("'policy'") && !message.contains('\u{0}'), "{message}");
    let request = Request::get("/v2/artifacts").header("Authorization", "Bearer zk_live_canary");
    let answer = host.send(request.body(Body::empty()).unwrap()).await;
    assert!(!answer.text().contains("canary"));
}
