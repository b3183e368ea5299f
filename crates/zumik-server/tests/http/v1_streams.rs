//! Streams of responses.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zumik_server::config::UpstreamSettings;
use zumik_server::store::Store as _;
use zumik_server::store::sqlite::{Options, SqliteStore};
use zumik_server::{Drained, Server};

use crate::host::{Answer, Host, leave};

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

/// A provider that begins every response and ends none.
async fn endless() -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let event = json!({ "type": "response.created", "sequence_number": 0, "response": {} });
    let answer = format!("{head}event: response.created\ndata: {event}\n\n");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") && stream.read_buf(&mut asked).await? > 0 {}
                stream.write_all(answer.as_bytes()).await?;
                stream.read_to_end(&mut asked).await
            });
        }
    });
    url
}

#[tokio::test]
async fn a_client_that_goes_away_at_any_moment_leaves_no_open_response() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = UpstreamSettings::new(endless().await);
    settings.models = vec!["gpt-test".to_owned()];
    let server = Server::builder().data(folder.path()).upstream("test", settings).start().await.unwrap();
    let body = json!({ "model": "gpt-test", "input": "Hi", "stream": true }).to_string();
    for polls in 1..40 {
        let request = Request::builder().method(Method::POST).uri("/v1/responses");
        let request = request.header(AUTHORIZATION, format!("Bearer {}", server.api_key()));
        let request = request.header(CONTENT_TYPE, "application/json");
        leave(server.server().api(), request.body(Body::from(body.clone())).unwrap(), polls).await;
    }
    assert_eq!(server.shutdown().await, Drained::Completely);
    let store = SqliteStore::open(Options::new(folder.path())).await.unwrap();
    assert_eq!(store.fail_open_responses().await.unwrap(), 0);
}
