//! Streams of responses.

use serde_json::{Value, json};

use crate::host::{Answer, Host};

/// The data of the events of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    assert!(text.ends_with("\n\n"), "{text}");
    let data = |frame: &str| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
        data
    };
    text.split("\n\n").filter(|frame| !frame.is_empty()).map(data).collect()
}

fn body() -> Value {
    json!({ "model": "auto", "input": "Hi", "stream": true })
}

#[tokio::test]
async fn a_stream_tells_a_response_that_is_kept() {
    let host = Host::start().await;
    let answer = host.post("/v1/responses", body()).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("agent-execution-mode"), Some("placeholder"));
    let events = events(&answer);
    let first = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ];
    let last = [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&first) && kinds.ends_with(&last), "{kinds:?}");
    let deltas = &kinds[first.len()..kinds.len() - last.len()];
    assert!(deltas.len() > 1 && deltas.iter().all(|kind| *kind == "response.output_text.delta"), "{kinds:?}");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let told = &events.last().unwrap()["response"];
    assert_eq!(
        (&events[0]["response"]["status"], &events[0]["response"]["usage"]),
        (&json!("in_progress"), &Value::Null)
    );
    let whole = host.make("/v1/responses", json!({ "model": "auto", "input": "Hi" })).await;
    let text = |response: &Value| response["output"][0]["content"][0]["text"].clone();
    assert_eq!((text(told), &told["usage"]), (text(&whole), &whole["usage"]), "the same as without a stream");
    let path = format!("/v1/responses/{}", told["id"].as_str().unwrap());
    assert_eq!(&host.get(&path).await.json(), told);
}

#[tokio::test]
async fn a_short_stream_ends_as_incomplete() {
    let host = Host::start().await;
    let mut body = body();
    body["max_output_tokens"] = json!(4);
    let last = events(&host.post("/v1/responses", body).await).pop().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.incomplete"), &json!("incomplete"))
    );
}

#[tokio::test]
async fn a_stream_is_replayed_byte_for_byte() {
    let host = Host::start().await;
    let key = [("Agent-Idempotency-Key", "k")];
    let first = host.post_with("/v1/responses", body(), &key).await;
    let second = host.post_with("/v1/responses", body(), &key).await;
    assert_eq!(first.body, second.body);
    for header in ["content-type", "cache-control", "agent-trace-id", "agent-execution-mode"] {
        assert_eq!(first.header(header), second.header(header), "{header}");
    }
    assert_eq!(second.header("agent-idempotent-replay"), Some("true"));
}
