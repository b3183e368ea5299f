//! Native responses and token counts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::host::Host;

fn generation(input: &str) -> Value {
    json!({ "model": "code.fast", "input": input })
}

#[tokio::test]
async fn a_placeholder_says_in_its_headers_what_it_is() {
    let host = Host::start().await;
    let answer = host.post("/v2/responses", generation("Hi")).await;
    for (name, value) in [
        ("agent-execution-mode", "placeholder"),
        ("agent-execution-profile", "managed_provider"),
        ("agent-resolved-provider", "placeholder"),
        ("agent-qos-admission", "admitted"),
        ("agent-qos-degraded", "false"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.header("agent-qos-target-met"), None, "no target was set");
    let response = answer.json();
    assert_eq!(answer.header("agent-alias-release"), response["alias_release_id"].as_str());
    assert_eq!(answer.header("agent-trace-id"), response["trace_id"].as_str());
    assert_eq!(response["usage"]["reuse_evidence_level"], "unknown");
    assert_eq!(response["qos_outcome"]["completion"], "completed");
    let id = response["id"].as_str().unwrap();
    assert_eq!(host.get(&format!("/v2/responses/{id}")).await.body, answer.body);
    let cancelled = host.post(&format!("/v2/responses/{id}/cancel"), json!({})).await;
    assert_eq!(
        (cancelled.status.as_u16(), cancelled.json()),
        (200, response),
        "it has ended: nothing changes"
    );
}

#[tokio::test]
async fn the_same_prompt_gets_the_same_text() {
    let host = Host::start().await;
    let text = async |input| host.make("/v2/responses", generation(input)).await["output_text"].clone();
    assert_eq!(text("Hi").await, text("Hi").await);
    assert_ne!(text("Hi").await, text("Ho").await);
}

#[tokio::test]
async fn an_unknown_model_is_not_found_after_its_state_is() {
    let host = Host::start().await;
    host.post("/v2/responses", json!({ "model": "gpt-4o", "input": "Hi" })).await.refused(
        404,
        "model_not_found",
        "model",
    );
    let dangling = json!({ "model": "gpt-4o", "input": "Hi", "session_id": "ses_none" });
    host.post("/v2/responses", dangling).await.refused(400, "", "session_id");
}

#[tokio::test]
async fn reuse_is_counted_from_the_longest_common_beginning() {
    let host = Host::start().await;
    let (first, second) = (host.artifact("Always run the linter.").await, host.artifact("Be terse.").await);
    let (session, branch) = host.session(&[&first, &second]).await;
    let count = async |text: &str| {
        host.make("/v2/token-counts", json!({ "input": text })).await["input_tokens"].as_u64()
    };
    let (a, b) = (count("Always run the linter.").await.unwrap(), count("Be terse.").await.unwrap());
    let hi = count("Hi").await.unwrap();
    let usage = async |body: Value| {
        let usage = host.make("/v2/responses", body).await["usage"].clone();
        let tokens = |name: &str| usage[name].as_u64().unwrap();
        assert_eq!(tokens("realized_reused_tokens"), 0);
        assert_eq!(tokens("missed_opportunity_tokens"), tokens("candidate_reuse_tokens"));
        (tokens("input_tokens"), tokens("candidate_reuse_tokens"))
    };
    let over =
        |input: &str| json!({ "model": "auto", "input": input, "session_id": session, "branch_id": branch });
    assert_eq!(usage(over("Hi")).await, (a + b + hi, 0), "nothing came before");
    assert_eq!(usage(over("Ho")).await.1, a + b, "the base bundles came before");
    assert_eq!(usage(over("Hi")).await, (a + b + hi, a + b), "the latest input is never a candidate");

    host.make("/v2/purge-jobs", json!({ "artifact_ids": [host.artifact("x").await] })).await;
    assert_eq!(usage(over("Hi")).await.1, 0, "a purge forgets");
    assert_eq!(usage(json!({ "model": "auto", "input": "Hi" })).await, (hi, 0));
}

#[tokio::test]
async fn a_purge_through_another_server_forgets_here_too() {
    let here = Host::start().await;
    let there = here.beside().await;
    let (session, branch) = here.session(&[&here.artifact("Always run the linter.").await]).await;
    let candidates = async |host: &Host| {
        let body = json!({ "model": "auto", "input": "Hi", "session_id": session, "branch_id": branch });
        host.make("/v2/responses", body).await["usage"]["candidate_reuse_tokens"].as_u64().unwrap()
    };
    assert_eq!(candidates(&here).await, 0);
    assert!(candidates(&here).await > 0);
    there.make("/v2/purge-jobs", json!({ "artifact_ids": [there.artifact("x").await] })).await;
    assert_eq!(candidates(&here).await, 0, "from before the purge");
    candidates(&here).await;
    assert!(candidates(&here).await > 0, "from after it");
}

#[tokio::test]
async fn a_deadline_aborts_the_call_and_keeps_nothing() {
    let host = Host::slow(Duration::from_secs(3_600)).await;
    let mut body = generation("Hi");
    body["qos"] = json!({ "deadline_ms": 20 });
    let answer = host.post("/v2/responses", body).await;
    answer.refused(504, "deadline_exceeded", "qos.deadline_ms");
    assert_eq!(answer.error()["type"], "api_error");
}

#[tokio::test]
async fn targets_are_reported_and_the_body_wins_over_hints() {
    let host = Host::slow(Duration::from_millis(30)).await;
    let hints = "eyJ2ZXJzaW9uIjoiMjAyNi0wNi0wMSIsInFvcyI6eyJjbGFzcyI6ImludGVyYWN0aXZlIiwidGFyZ2V0X3R0ZnRfbXMiOjUwMH19";
    let ask = async |body: Value| {
        let answer = host.post_with("/v2/responses", body, &[("Agent-Hints", hints)]).await;
        let outcome = answer.json()["qos_outcome"].clone();
        let header = |name: &str| answer.header(name).map(str::to_owned);
        (outcome, header("agent-qos-target-met"), header("agent-qos-reason"))
    };
    let (outcome, met, reason) = ask(generation("Hi")).await;
    assert_eq!((&outcome["target_met"], met.as_deref(), reason), (&json!(true), Some("true"), None));
    assert!(
        outcome["ttft_ms"].as_u64().unwrap() >= 30
            && outcome["ttft_ms"].as_u64() <= outcome["latency_ms"].as_u64()
    );

    let mut body = generation("Hi");
    body["agent_hints"] = json!({ "qos": { "target_ttft_ms": 1, "deadline_ms": 60_000 } });
    let (outcome, met, reason) = ask(body.clone()).await;
    assert_eq!(
        (outcome["target_met"].as_bool(), outcome["deadline_met"].as_bool()),
        (Some(false), Some(true))
    );
    assert_eq!((met.as_deref(), reason.as_deref()), (Some("false"), Some("target_ttft_missed")));

    body["qos"] = json!({ "target_ttft_ms": 60_000 });
    assert_eq!(ask(body).await.0["target_met"], true);
}

#[tokio::test]
async fn hints_that_cannot_be_read_are_ignored_and_a_trace_mode_is_not() {
    let host = Host::start().await;
    for headers in
        [[("Agent-Hints", "!")], [("Agent-Hints-Ref", "ah_none")], [("Agent-Trace-Mode", "tokenized")]]
    {
        assert_eq!(
            host.post_with("/v2/responses", generation("Hi"), &headers).await.status,
            200,
            "{headers:?}"
        );
    }
    for mode in ["everything", "synthetic", ""] {
        let answer = host.post_with("/v2/responses", generation("Hi"), &[("Agent-Trace-Mode", mode)]).await;
        answer.refused(400, "", "Agent-Trace-Mode");
    }
}

#[tokio::test]
async fn what_cannot_be_in_a_prompt_is_told_with_the_field_that_led_to_it() {
    let host = Host::start().await;
    let binary = json!({ "artifact_type": "binary_attachment", "content": "AAEC" });
    let binary = host.make("/v2/artifacts", binary).await["id"].as_str().unwrap().to_owned();
    let (session, branch) = host.session(&[]).await;
    let event = json!({ "expected_version": 0, "event": { "event_type": "note", "payload_ref": binary } });
    host.make(&format!("/v2/sessions/{session}/branches/{branch}/events"), event).await;
    let mut body = generation("Hi");
    body["branch_id"] = json!(branch);
    host.post("/v2/responses", body.clone()).await.refused(400, "", "branch_id");
    host.make(&format!("/v2/sessions/{session}"), json!({ "status": "archived" })).await;
    host.post("/v2/responses", body).await.refused(409, "session_not_active", "");
}

#[tokio::test]
async fn a_state_that_is_too_long_for_a_prompt_is_refused_whoever_names_it() {
    let host = Host::start().await;
    let artifact = host.artifact(&"x".repeat(1 << 20)).await;
    let (session, _) = host.session(&[artifact.as_str(); 8]).await;
    let body = json!({ "model": "auto", "input": "Hi", "session_id": session });
    host.post("/v2/responses", body).await.refused(400, "", "session_id");
    let attached = [("Agent-Session-Ref", session.as_str())];
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    for (path, body) in [
        ("/v1/responses", json!({ "model": "auto", "input": "Hi" })),
        ("/v1/chat/completions", json!({ "model": "auto", "messages": messages })),
    ] {
        host.post_with(path, body, &attached).await.refused(400, "", "Agent-Session-Ref");
    }
    let (session, _) = host.session(&[artifact.as_str(); 7]).await;
    host.make("/v2/responses", json!({ "model": "auto", "input": "Hi", "session_id": session })).await;
}
