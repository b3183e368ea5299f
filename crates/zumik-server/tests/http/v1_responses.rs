//! Responses in OpenAI's shape.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::host::Host;

#[tokio::test]
async fn a_response_has_exactly_the_documented_members() {
    let host = Host::start().await;
    let body = json!({
        "model": "code.balanced", "instructions": "Be terse.", "store": true, "metadata": { "run": "nightly" },
        "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "Review the latest patch." }] }],
    });
    let answer = host.post("/v1/responses", body).await;
    let response = answer.json();
    let text = response["output"][0]["content"][0]["text"].clone();
    let output = json!([{
        "type": "message", "id": response["output"][0]["id"], "status": "completed", "role": "assistant",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }],
    }]);
    let count = async |text: &str| {
        host.make("/v2/token-counts", json!({ "input": text })).await["input_tokens"].as_u64().unwrap()
    };
    let input = count("Be terse.").await + count("Review the latest patch.").await;
    let written = count(text.as_str().unwrap()).await;
    let expected = json!({
        "id": response["id"], "object": "response", "created_at": response["created_at"], "status": "completed",
        "background": false, "error": null, "incomplete_details": null, "instructions": "Be terse.",
        "max_output_tokens": null, "model": "code.balanced", "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "conversation": null, "store": true, "temperature": 1.0,
        "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
            "output_tokens": written, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + written,
        },
        "metadata": { "run": "nightly" },
    });
    assert_eq!(response, expected);
    assert!(response["id"].as_str().unwrap().starts_with("resp_") && response["created_at"].is_u64());
    assert_eq!(answer.header("agent-execution-mode"), Some("placeholder"));

    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.body, answer.body);
    assert_eq!(host.post(&format!("{path}/cancel"), json!({})).await.body, answer.body);
    let deleted = host.delete(&path).await.json();
    assert_eq!(deleted, json!({ "id": response["id"], "object": "response.deleted", "deleted": true }));
    host.get(&path).await.refused(404, "", "");
    host.delete(&path).await.refused(404, "", "");
}

#[tokio::test]
async fn what_is_not_stored_cannot_be_retrieved() {
    let host = Host::start().await;
    let response =
        host.make("/v1/responses", json!({ "model": "auto", "input": "Hi", "store": false })).await;
    host.get(&format!("/v1/responses/{}", response["id"].as_str().unwrap())).await.refused(404, "", "");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_incomplete() {
    let host = Host::start().await;
    let body = json!({ "model": "auto", "input": "Hi", "max_output_tokens": 4 });
    let response = host.make("/v1/responses", body).await;
    assert_eq!((&response["status"], &response["usage"]["output_tokens"]), (&json!("incomplete"), &json!(4)));
    assert_eq!(response["incomplete_details"], json!({ "reason": "max_output_tokens" }));
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[tokio::test]
async fn what_a_placeholder_cannot_honor_is_refused() {
    let host = Host::start().await;
    for (member, value, param) in [
        ("stream", json!("yes"), "stream"),
        ("store", json!(1), "store"),
        ("previous_response_id", json!("resp_none"), "previous_response_id"),
        ("previous_response_id", json!(""), "previous_response_id"),
        ("conversation", json!("conv_none"), "conversation"),
        ("conversation", json!({ "id": "conv_none" }), "conversation"),
        ("conversation", json!({}), "conversation.id"),
        ("metadata", json!([]), "metadata"),
        ("temperature", json!("hot"), "temperature"),
        ("temperature", json!(2.5), "temperature"),
        ("max_output_tokens", json!(0), "max_output_tokens"),
        ("tools", json!([{}]), "tools[0].type"),
        ("tools", json!([{ "type": "function" }]), "tools[0]"),
        ("tool_choice", json!("required"), "tool_choice"),
        ("tool_choice", json!({ "type": "function", "name": "f" }), "tool_choice"),
        ("text", json!({ "format": { "type": "json_object" } }), "text.format"),
        ("text", json!({ "format": {} }), "text.format.type"),
        ("include", json!([1]), "include[0]"),
    ] {
        let mut body = json!({ "model": "auto", "input": "Hi" });
        body[member] = value.clone();
        let answer = host.post("/v1/responses", body).await;
        assert_eq!(answer.status.as_u16(), 400, "{member}: {value}");
        answer.refused(400, "", param);
    }
    let both =
        json!({ "model": "auto", "input": "Hi", "previous_response_id": "resp_1", "conversation": "conv_1" });
    host.post("/v1/responses", both).await.refused(400, "", "conversation");
    for (member, value) in [("store", false), ("stream", true)] {
        let unkept = json!({ "model": "auto", "input": "Hi", "background": true, member: value });
        host.post("/v1/responses", unkept).await.refused(400, "", "background");
    }
}

#[tokio::test]
async fn members_that_mean_nothing_to_a_placeholder_are_taken() {
    let host = Host::start().await;
    let tool = json!({ "type": "function", "name": "f", "parameters": {}, "strict": false });
    let body = json!({
        "model": "auto", "input": "Hi", "temperature": 0.2, "top_p": 0.5, "tools": [tool], "tool_choice": "none",
        "parallel_tool_calls": false, "text": { "format": { "type": "text" }, "verbosity": "low" },
        "reasoning": { "effort": "low" }, "truncation": "auto", "include": ["x"], "service_tier": "auto", "user": "u",
        "safety_identifier": "s", "metadata": null, "instructions": null,
    });
    let response = host.make("/v1/responses", body).await;
    for (member, value) in [
        ("temperature", json!(0.2)),
        ("top_p", json!(0.5)),
        ("tools", json!([tool])),
        ("tool_choice", json!("none")),
        ("parallel_tool_calls", json!(false)),
        ("text", json!({ "format": { "type": "text" }, "verbosity": "low" })),
        ("truncation", json!("auto")),
        ("metadata", json!({})),
    ] {
        assert_eq!(response[member], value, "{member}");
    }
}

#[tokio::test]
async fn an_earlier_response_comes_before_the_input_when_its_items_were_kept() {
    let host = Host::start().await;
    let full = ("Agent-Trace-Mode", "encrypted_full_fidelity");
    let ask = async |input: Value, previous: Option<&str>, headers: &[(&str, &str)]| {
        let body = json!({ "model": "auto", "input": input, "previous_response_id": previous });
        let answer = host.post_with("/v1/responses", body, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let tokens = |response: &Value| response["usage"]["input_tokens"].as_u64().unwrap();
    let id = |response: &Value| response["id"].as_str().unwrap().to_owned();
    let first = ask(json!("Hi"), None, &[full]).await;
    let items = json!([{ "role": "user", "content": "Ho" }]);
    let second = ask(items.clone(), Some(&id(&first)), &[full]).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let alone = tokens(&ask(items, None, &[]).await);
    let given = first["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&second), given + alone);
    let third = ask(json!("Hi"), Some(&id(&second)), &[]).await;
    let given = second["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&third), given + tokens(&first), "a chain is as long as it is");

    for previous in [id(&third), "resp_none".to_owned()] {
        let body = json!({ "model": "auto", "input": "Hi", "previous_response_id": previous });
        host.post("/v1/responses", body).await.refused(400, "", "previous_response_id");
    }
    host.delete(&format!("/v1/responses/{}", id(&first))).await;
    for previous in [id(&first), id(&second)] {
        let body = json!({ "model": "auto", "input": "Hi", "previous_response_id": previous });
        host.post("/v1/responses", body).await.refused(400, "", "previous_response_id");
    }
}

/// Polls until a response has this status.
async fn ended(host: &Host, path: &str, status: &str) -> Value {
    let polled = async {
        loop {
            let response = host.get(path).await.json();
            if response["status"] == status {
                return response;
            }
            assert!(["queued", "in_progress"].contains(&response["status"].as_str().unwrap()), "{response}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polled).await.unwrap()
}

#[tokio::test]
async fn a_background_response_is_queued_at_once_and_completed_later() {
    let host = Host::slow(Duration::from_millis(20)).await;
    let answer =
        host.post("/v1/responses", json!({ "model": "auto", "input": "Hi", "background": true })).await;
    let queued = answer.json();
    assert_eq!(
        (&queued["status"], &queued["output"], &queued["usage"]),
        (&json!("queued"), &json!([]), &Value::Null)
    );
    assert_eq!(answer.header("agent-qos-admission"), Some("queued"));
    let completed =
        ended(&host, &format!("/v1/responses/{}", queued["id"].as_str().unwrap()), "completed").await;
    assert_eq!((&completed["created_at"], &completed["background"]), (&queued["created_at"], &json!(true)));
    assert!(completed["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_background_response_can_be_cancelled_again_and_again() {
    let host = Host::slow(Duration::from_secs(3_600)).await;
    let queued =
        host.make("/v1/responses", json!({ "model": "auto", "input": "Hi", "background": true })).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    let cancelled = host.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(cancelled.json()["status"], "cancelled");
    assert_eq!(host.post(&format!("{path}/cancel"), json!({})).await.body, cancelled.body);
    assert_eq!(host.get(&path).await.body, cancelled.body);
}

#[tokio::test]
async fn a_background_response_that_is_kept_is_worked_on_although_its_client_went_away() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::with(|builder| builder.data(folder.path())).await;
    let body = json!({ "model": "auto", "input": "Hi", "background": true });
    let mut kept = 0;
    for polls in 1..12 {
        let number = polls.to_string();
        let key = [("Agent-Idempotency-Key", &*number)];
        let request = host.request(Method::POST, "/v1/responses").header("content-type", "application/json");
        let request = request.header(key[0].0, key[0].1).body(Body::from(body.to_string())).unwrap();
        host.leave(request, polls).await;
        let answer = host.post_with("/v1/responses", body.clone(), &key).await;
        // It may be in flight still, or have come to nothing.
        if answer.status == 200 {
            kept += usize::from(answer.header("agent-idempotent-replay") == Some("true"));
            let path = format!("/v1/responses/{}", answer.json()["id"].as_str().unwrap());
            ended(&host, &path, "completed").await;
        }
    }
    assert!(kept > 0, "no client was gone late enough");
}

#[tokio::test]
async fn a_background_response_fails_at_its_deadline() {
    let host = Host::slow(Duration::from_secs(3_600)).await;
    // {"qos":{"deadline_ms":20}}
    let hints = [("Agent-Hints", "eyJxb3MiOnsiZGVhZGxpbmVfbXMiOjIwfX0")];
    let body = json!({ "model": "auto", "input": "Hi", "background": true });
    let queued = host.post_with("/v1/responses", body, &hints).await.json();
    let failed = ended(&host, &format!("/v1/responses/{}", queued["id"].as_str().unwrap()), "failed").await;
    assert_eq!(failed["error"]["code"], "deadline_exceeded");
}

#[tokio::test]
async fn a_session_in_the_header_comes_before_the_input() {
    let host = Host::start().await;
    let artifact = host.artifact("Always run the linter.").await;
    let (session, _) = host.session(&[&artifact]).await;
    let tokens = async |headers: &[(&str, &str)]| {
        let answer =
            host.post_with("/v1/responses", json!({ "model": "auto", "input": "Hi" }), headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["usage"]["input_tokens"].as_u64().unwrap()
    };
    assert!(tokens(&[("Agent-Session-Ref", &session)]).await > tokens(&[]).await);
    for unknown in ["ses_none", "br_x", "", "ses_\u{e4}"] {
        let body = json!({ "model": "auto", "input": "Hi" });
        let answer = host.post_with("/v1/responses", body, &[("Agent-Session-Ref", unknown)]).await;
        answer.refused(400, "", "Agent-Session-Ref");
    }
    host.make(&format!("/v2/sessions/{session}"), json!({ "status": "archived" })).await;
    for path in ["/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"] {
        for (session, status, code, param) in
            [("ses_none", 400, "", "Agent-Session-Ref"), (session.as_str(), 409, "session_not_active", "")]
        {
            let body = json!({ "model": "auto", "input": "Hi" });
            let answer = host.post_with(path, body, &[("Agent-Session-Ref", session)]).await;
            answer.refused(status, code, param);
        }
    }
}
