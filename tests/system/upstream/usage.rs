//! What a generation leaves behind: one usage event, with the numbers that the model gave.

use serde_json::{Value, json};
use zumik_tests::http::{Http, answer};
use zumik_tests::server::{configured, durable};
use zumik_tests::upstream::{Behaviour, Fault, Upstream};
use zumik_tests::within;

use super::{
    CHAT, NATIVE, RESPONSES, ask, frames, header, input, post, provider, question, served, streamed, with_qos,
};

/// The newest usage event of a trace, once it is written.
pub(super) async fn event(http: &Http, trace: &str) -> Value {
    let written = async {
        loop {
            let usage = http.get("/v2/usage").await.json();
            let events = usage["data"].as_array().cloned().unwrap_or_default();
            if let Some(event) = events.into_iter().find(|event| event["trace_id"] == trace) {
                return event;
            }
            tokio::task::yield_now().await;
        }
    };
    within("a usage event of the trace", written).await
}

#[tokio::test]
async fn every_surface_writes_what_the_model_reported() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let model = "gpt-test?cached_tokens=3";
    let embedding = json!({ "model": "gpt-test", "input": "four words of text" });
    for (path, surface, body) in [
        (CHAT, "v1_chat_completions", question(model)),
        (CHAT, "v1_chat_completions", streamed(model)),
        (RESPONSES, "v1_responses", input(model)),
        (NATIVE, "v2_responses", input(model)),
        ("/v1/embeddings", "v1_embeddings", embedding),
    ] {
        let answer = ask(&http, path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let event = event(&http, header(&answer, "agent-trace-id")).await;
        assert_eq!(
            (&event["api_surface"], &event["status"]),
            (&json!(surface), &json!("completed")),
            "{event}"
        );
        assert_eq!((&event["provider"], &event["execution_mode"]), (&json!("test"), &json!("live")));
        assert_eq!(event["requested_model"], body["model"]);
        if path == "/v1/embeddings" {
            assert_eq!(event["input_tokens"], 4);
            continue;
        }
        assert_eq!(
            (&event["input_tokens"], &event["output_tokens"]),
            (&json!(5), &json!(7)),
            "{path}: {event}"
        );
        assert_eq!(event["realized_reused_tokens"], 3);
        assert_eq!(event["reuse_evidence_level"], "provider_reported");
    }
}

#[tokio::test]
async fn what_failed_expired_or_was_left_is_counted_as_such() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();

    let failed = ask(&http, CHAT, &question("gpt-test?status=400")).await;
    assert_eq!(event(&http, header(&failed, "agent-trace-id")).await["status"], "failed");

    upstream.next(Behaviour::fault(Fault::Silence));
    let late = with_qos(post(&http, CHAT, &question("gpt-test")), &json!({ "deadline_ms": 100 }));
    let late = answer(late).await;
    let event_of_late = event(&http, header(&late, "agent-trace-id")).await;
    assert_eq!(event_of_late["status"], "expired");
    assert_eq!(event_of_late["qos_outcome"]["completion"], "expired_during_execution");

    upstream.next(Behaviour::fault(Fault::Stall(3)));
    let response = post(&http, CHAT, &streamed("gpt-test")).send().await.unwrap();
    let trace = response.headers()["agent-trace-id"].to_str().unwrap().to_owned();
    drop(response);
    assert_eq!(event(&http, &trace).await["status"], "cancelled");
}

#[tokio::test]
async fn a_stream_whose_usage_was_not_reported_counts_towards_the_tokens_of_its_key() {
    let long = Behaviour { size: Some(400), chunks: Some(9), ..Behaviour::default() };
    let cut_short = Behaviour { fault: Some(Fault::Stall(9)), ..long.clone() };
    let silent = Behaviour { without_usage: true, ..long };
    for behaviour in [cut_short, silent] {
        let upstream = Upstream::start().await;
        let limits = "[limits]\ntokens_per_minute = 50\n";
        let server = configured(&format!("{}{limits}", provider("test", &upstream))).await;
        let http = server.http();
        upstream.next(behaviour.clone());
        let mut response = post(&http, CHAT, &streamed("gpt-test")).send().await.unwrap();
        let trace = response.headers()["agent-trace-id"].to_str().unwrap().to_owned();
        let mut read = 0;
        while read < 2_000 {
            read += response.chunk().await.unwrap().expect("it goes on").len();
        }
        if behaviour.fault.is_none() {
            while response.chunk().await.unwrap().is_some() {}
        }
        drop(response);
        let event = event(&http, &trace).await;
        assert!(event["output_tokens"].as_u64() > Some(50), "{event}");
        let refused = ask(&http, CHAT, &question("gpt-test")).await;
        assert_eq!(refused.status, 429, "{behaviour:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_usage_beyond_all_bounds_spends_all_tokens_of_its_key_and_breaks_nothing() {
    let usage = json!({ "prompt_tokens": u64::MAX, "completion_tokens": 1, "total_tokens": 9 });
    let message = json!({ "role": "assistant", "content": "No." });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let answer =
        json!({ "id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": usage });
    for (path, body) in [(CHAT, question("gpt-test")), (RESPONSES, input("gpt-test"))] {
        let upstream = Upstream::start().await;
        let more = "responses = false\n[limits]\ntokens_per_minute = 50\n";
        let server = configured(&format!("{}{more}", provider("test", &upstream))).await;
        let http = server.http();
        upstream.next(Behaviour { body: Some(answer.to_string()), ..Behaviour::default() });
        let answered = ask(&http, path, &body).await;
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        let event = event(&http, header(&answered, "agent-trace-id")).await;
        assert_eq!((&event["status"], &event["input_tokens"]), (&json!("completed"), &json!(u64::MAX)));
        assert_eq!(ask(&http, path, &body).await.status, 429, "{path}");
    }
}

#[tokio::test]
async fn a_response_that_came_whole_is_complete_although_its_stream_breaks_off() {
    let upstream = Upstream::start().await;
    let server = configured(&format!("{}responses = false\n", provider("test", &upstream))).await;
    let http = server.http();
    // The role, the text and the end of the answer, but neither usage nor terminator.
    upstream.next(Behaviour { chunks: Some(1), ..Behaviour::fault(Fault::End(3)) });
    let mut body = input("gpt-test");
    body["stream"] = json!(true);
    let answer = ask(&http, RESPONSES, &body).await;
    assert_eq!(frames(&answer).0.last().unwrap()["type"], "response.completed");
    let event = event(&http, header(&answer, "agent-trace-id")).await;
    assert_eq!(event["status"], "completed", "{event}");
    assert!(event["output_tokens"].as_u64() > Some(0), "{event}");
}

#[tokio::test]
async fn a_call_whose_usage_was_not_reported_is_counted() {
    let function = json!({ "name": "run_tests", "parameters": { "type": "object" } });
    let mut chat = question("gpt-test?usage=false");
    chat["tools"] = json!([{ "type": "function", "function": function }]);
    let mut response = input("gpt-test?usage=false");
    response["tools"] =
        json!([{ "type": "function", "name": "run_tests", "parameters": { "type": "object" } }]);
    for (more, path, body) in
        [("", CHAT, &chat), ("", RESPONSES, &response), ("responses = false\n", RESPONSES, &response)]
    {
        let upstream = Upstream::start().await;
        let server = configured(&format!("{}{more}", provider("test", &upstream))).await;
        let http = server.http();
        for stream in [false, true] {
            let mut body = body.clone();
            body["stream"] = stream.into();
            let answer = ask(&http, path, &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let event = event(&http, header(&answer, "agent-trace-id")).await;
            // `run_tests` and `{"path":"tests/"}`
            assert!(event["output_tokens"].as_u64() >= Some(6), "{more}{path}, stream {stream}: {event}");
        }
    }
}

#[tokio::test]
async fn finding_out_that_a_provider_has_no_responses_counts_as_one_generation() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let missing =
        || Behaviour { body: Some(r#"{"detail":"Not Found"}"#.to_owned()), ..Behaviour::status(404) };
    upstream.next(missing());
    upstream.next(Behaviour::status(500));
    upstream.next(Behaviour::status(500));
    upstream.next(Behaviour::status(500));
    let failed = ask(&http, RESPONSES, &input("gpt-test")).await;
    assert_eq!(failed.status, 502);
    upstream.next(missing());
    let answer = ask(&http, RESPONSES, &input("gpt-test")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    event(&http, header(&answer, "agent-trace-id")).await;
    let usage = http.get("/v2/usage").await.json();
    let statuses: Vec<_> = usage["data"].as_array().unwrap().iter().map(|event| &event["status"]).collect();
    assert_eq!(statuses, ["completed", "failed"], "{usage}");
}

#[tokio::test]
async fn a_placeholder_is_counted_and_claims_nothing() {
    let server = durable().await;
    let http = server.http();
    let answer = ask(&http, CHAT, &question("code.fast")).await;
    let event = event(&http, header(&answer, "agent-trace-id")).await;
    assert_eq!(event["execution_mode"], "placeholder");
    assert_eq!((&event["realized_reused_tokens"], &event["charged_micros"]), (&json!(0), &json!(0)));
    assert_eq!(event["reuse_evidence_level"], "unknown");
}

#[tokio::test]
async fn a_repeated_prefix_is_an_opportunity() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let mut body = question("gpt-test");
    body["messages"] = json!([
        { "role": "system", "content": "Follow the house rules. ".repeat(50) },
        { "role": "user", "content": "Is this off by one?" },
    ]);
    let first = ask(&http, CHAT, &body).await;
    let first = event(&http, header(&first, "agent-trace-id")).await;
    let again = ask(&http, CHAT, &body).await;
    let again = event(&http, header(&again, "agent-trace-id")).await;
    assert_eq!(first["candidate_reuse_tokens"], 0, "{first}");
    assert!(again["candidate_reuse_tokens"].as_u64() > Some(100), "{again}");
    assert_eq!(first["prefix_family_id"], again["prefix_family_id"]);
}
