//! One word as key, content, prompt, metadata and every other text that can be sent, through every operation: it is found
//! in no log line at any level, in no metric, and no error repeats a content.

use std::fs::{self, File};
use std::path::Path;

use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use zumik_client::types::operations;
use zumik_tests::http::{Http, bare};
use zumik_tests::operations::{Body, Request, World};
use zumik_tests::process::{ServeProcess, zumik};

/// In members that hold contents.
const CONTENT: &str = "canary7content7canary";
/// In all other texts: an error may name such a value, a log may not.
const VALUE: &str = "canary7value7canary";

/// Members whose texts are contents. Metadata and labels are not: an operator may see them in the store.
const CONTENTS: [&str; 8] =
    ["arguments", "content", "description", "input", "instructions", "output", "payload", "text"];

#[tokio::test]
async fn nothing_that_is_sent_is_found_in_a_log_a_metric_or_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let server = ServeProcess::start_logging(&zumik(), &data, File::create(&log).expect("a log file"));
    let http = Http::new(&server.url, &server.api_key);
    let world = World::create(&http).await;

    let mut sent = 0;
    for operation in operations::ALL {
        let request = world.request(operation);
        sent += send_texts(&http, &request).await;
        sent += send_garbage(&http, &request).await;
    }
    send_keys(&server.url).await;
    assert!(sent > 100, "only {sent} requests");

    let metrics = bare().get(&server.metrics).send().await.expect("metrics").text().await.expect("text");
    assert!(metrics.contains("http_requests_total"), "{metrics}");
    assert_clean(&metrics, "a metric");

    server.kill();
    let log = fs::read_to_string(&log).expect("the log");
    let requests = log.lines().filter(|line| line.contains("trc_") && line.contains("route=")).count();
    assert!(requests > sent, "the log tells of {requests} requests, {sent} were sent");
    assert_clean(&log, "the log");
    assert_sealed(&data);
}

/// Puts the word into each text of a body, one after the other. Gives how many requests that took.
async fn send_texts(http: &Http, request: &Request) -> usize {
    let Body::Json(body) = &request.body else { return 0 };
    let texts = texts(body);
    for (index, pointer) in texts.iter().enumerate() {
        let is_content = pointer.split('/').any(|step| CONTENTS.contains(&step));
        let word = if is_content { CONTENT } else { VALUE };
        let mut body = body.clone();
        *body.pointer_mut(pointer).expect("a place in the body") = Value::from(word);
        let changed = Request { body: Body::Json(body), ..request.clone() };
        let key = format!("{VALUE}-{}-{index}", request.operation.id);
        let hints = format!("{VALUE}{index}");
        let answer = http
            .send_with(&changed, |it| it.header("Agent-Idempotency-Key", key).header("Agent-Hints", hints))
            .await;
        if answer.status.as_u16() >= 400 {
            let body = String::from_utf8_lossy(&answer.body);
            assert!(!body.contains(CONTENT), "{} repeats {pointer}: {body}", request.operation.id);
        }
    }
    texts.len()
}

/// Bodies that end in the middle of a content, of wrong types and of a wrong media type.
async fn send_garbage(http: &Http, request: &Request) -> usize {
    let Body::Json(_) = &request.body else { return 0 };
    let id = request.operation.id;
    let bodies = [
        format!(r#"{{"content":"{CONTENT}"#),
        format!(r#"["{CONTENT}"]"#),
        format!(r#"{{"input":{{"{CONTENT}":1}},"content":["{CONTENT}"],"messages":"{CONTENT}"}}"#),
        CONTENT.to_owned(),
    ];
    for body in &bodies {
        for media_type in ["application/json", "text/plain"] {
            let answer = http.send_bytes(request, media_type, body.clone()).await;
            let body = String::from_utf8_lossy(&answer.body);
            assert!(answer.status.as_u16() < 500 && !body.contains(CONTENT), "{id}: {answer:?}");
        }
    }
    bodies.len() * 2
}

/// The word as a key, in each form in which a key may come.
async fn send_keys(url: &str) {
    for value in [format!("Bearer {CONTENT}"), format!("Bearer zk_live_{CONTENT}"), CONTENT.to_owned()] {
        let request = bare().get(format!("{url}/v2/artifacts")).header(AUTHORIZATION, value);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
        assert!(!answer.text().await.expect("a body").contains(CONTENT));
    }
}

/// The JSON pointers of all texts in a body.
fn texts(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::String(_) => return vec![String::new()],
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => return Vec::new(),
    };
    let below =
        |(step, child): (String, &Value)| texts(child).into_iter().map(move |rest| format!("/{step}{rest}"));
    children.into_iter().flat_map(|child| below(child).collect::<Vec<_>>()).collect()
}

fn assert_clean(text: &str, place: &str) {
    for line in text.lines() {
        assert!(!line.contains(CONTENT) && !line.contains(VALUE), "{place} holds it: {line}");
    }
}

/// Contents lie sealed in the data folder.
fn assert_sealed(data: &Path) {
    for entry in fs::read_dir(data).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = fs::read(&path).expect("a file");
            let held = bytes.windows(CONTENT.len()).any(|window| window == CONTENT.as_bytes());
            assert!(!held, "{} holds a content in the clear", path.display());
        }
    }
}
