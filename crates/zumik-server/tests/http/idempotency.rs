//! The idempotency key, from the header to the replay.

use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};
use tower_service::Service;

use crate::host::{Answer, Host};

const KEY: &str = "Agent-Idempotency-Key";

fn artifact(content: &str) -> Value {
    json!({ "artifact_type": "policy", "content": content })
}

/// An answer without the one header that tells a replay from a first answer.
fn without_flag(mut answer: Answer) -> (Option<String>, Answer) {
    let flag = answer.headers.remove("agent-idempotent-replay");
    (flag.map(|flag| flag.to_str().unwrap().to_owned()), answer)
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_byte_for_byte() {
    let host = Host::start().await;
    for (path, body) in [
        ("/v2/artifacts", artifact("a")),
        ("/v2/token-counts", json!({ "input": "Count me." })),
        ("/v2/responses", json!({ "model": "auto", "input": "Hi" })),
        ("/v1/responses", json!({ "model": "auto", "input": "Hi", "store": false })),
    ] {
        let first = host.post_with(path, body.clone(), &[(KEY, "k")]).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        let again = host.post_with(path, body, &[(KEY, "k")]).await;
        let ((ran, first), (replayed, again)) = (without_flag(first), without_flag(again));
        assert_eq!((ran.as_deref(), replayed.as_deref()), (Some("false"), Some("true")), "{path}");
        assert_eq!(first, again, "{path}");
    }
    assert_eq!(host.get("/v2/artifacts").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(host.post("/v2/artifacts", artifact("a")).await.header("agent-idempotent-replay"), None);
}

#[tokio::test]
async fn a_key_is_looked_at_before_the_body_is() {
    let host = Host::start().await;
    assert_eq!(host.post_with("/v2/artifacts", artifact("a"), &[(KEY, "k")]).await.status, 200);
    for body in [artifact(""), json!([]), artifact("b")] {
        let answer = host.post_with("/v2/artifacts", body, &[(KEY, "k")]).await;
        answer.refused(422, "idempotency_key_reused", "");
        assert_eq!(answer.error()["type"], "idempotency_conflict");
        assert_eq!(answer.header("agent-idempotent-replay"), Some("false"));
    }
    // Another path, another key.
    assert_eq!(host.post_with("/v2/sessions", json!({}), &[(KEY, "k")]).await.status, 200);
}

#[tokio::test]
async fn a_refused_request_frees_its_key() {
    let host = Host::start().await;
    for (path, bad, good) in [
        ("/v2/artifacts", artifact(""), artifact("a")),
        (
            "/v2/responses",
            json!({ "model": "none", "input": "Hi" }),
            json!({ "model": "auto", "input": "Hi" }),
        ),
    ] {
        let refused = host.post_with(path, bad, &[(KEY, "k")]).await;
        assert_eq!(refused.header("agent-idempotent-replay"), Some("false"));
        refused.error();
        // A lease is given back beside the answer: until then, the key is in flight.
        until(async || host.post_with(path, good.clone(), &[(KEY, "k")]).await, 200).await;
    }
}

/// Repeats a request until it is answered with this status.
async fn until(send: impl AsyncFn() -> Answer, status: u16) -> Answer {
    let repeated = async {
        loop {
            let answer = send().await;
            if answer.status == status {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), repeated).await.unwrap()
}

#[tokio::test]
async fn a_key_in_flight_is_a_conflict_and_a_client_that_goes_away_frees_it() {
    let host = Host::slow(Duration::from_secs(3_600)).await;
    let body = json!({ "model": "auto", "input": "Hi" });
    let request = || {
        Request::post("/v2/responses")
            .header(AUTHORIZATION, format!("Bearer {}", host.key))
            .header(CONTENT_TYPE, "application/json")
            .header(KEY, "k")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    let mut api = host.api();
    let first = tokio::spawn(api.call(request()));
    // A body that is wrong by itself is told so until the first request holds the key.
    let refused = until(async || host.post_with("/v2/responses", json!({}), &[(KEY, "k")]).await, 422).await;
    // Another body under a key in flight is refused for good; the same one may be repeated later.
    refused.refused(422, "idempotency_key_reused", "");
    let twin = host.send(request()).await;
    twin.refused(409, "", "");
    assert_eq!(twin.error()["type"], "idempotency_conflict");
    assert_eq!(
        (twin.header("retry-after"), twin.header("agent-idempotent-replay")),
        (Some("1"), Some("false"))
    );

    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    until(async || host.post_with("/v2/responses", json!({}), &[(KEY, "k")]).await, 400).await;
}

#[tokio::test]
async fn twins_of_a_count_need_not_wait_for_one_another() {
    let host = Host::start().await;
    let input = "a lot of words ".repeat(40_000);
    for path in ["/v2/token-counts", "/v1/responses/input_tokens"] {
        let ask = || host.post_with(path, json!({ "input": input }), &[(KEY, "k")]);
        let (one, two) = tokio::join!(ask(), ask());
        assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200), "{path}: {}", two.text());
        assert_eq!(one.body, two.body, "{path}");
        assert_ne!(one.header("agent-idempotent-replay"), two.header("agent-idempotent-replay"), "{path}");
        host.post_with(path, json!({ "input": "other" }), &[(KEY, "k")]).await.refused(
            422,
            "idempotency_key_reused",
            "",
        );
    }
}

#[tokio::test]
async fn a_client_that_goes_away_at_any_moment_leaves_its_key_free_or_answered() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::with(|builder| builder.data(folder.path())).await;
    let body = json!({ "model": "auto", "input": "Hi" });
    for path in ["/v2/token-counts", "/v2/responses"] {
        for polls in 1..12 {
            let number = polls.to_string();
            let request = host.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
            let request = request.header(KEY, &number).body(Body::from(body.to_string())).unwrap();
            host.leave(request, polls).await;
            until(async || host.post_with(path, body.clone(), &[(KEY, &*number)]).await, 200).await;
        }
    }
}

#[tokio::test]
async fn a_form_is_recognized_by_its_parts_and_not_by_its_boundary() {
    let host = Host::start().await;
    let upload = async |boundary: &str, content: &str| {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{content}\r\n--{boundary}--\r\n"
        );
        let request = host
            .request(Method::POST, "/v1/files")
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(KEY, "k");
        host.send(request.body(Body::from(body)).unwrap()).await
    };
    let first = upload("one", "x").await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = upload("two", "x").await;
    assert_eq!((again.header("agent-idempotent-replay"), &again.body), (Some("true"), &first.body));
    upload("two", "y").await.refused(422, "idempotency_key_reused", "");
    assert_eq!(host.get("/v1/files").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_a_post_has_a_key() {
    let host = Host::start().await;
    let request = host.request(Method::GET, "/v2/artifacts").header(KEY, "not a token");
    let answer = host.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("agent-idempotent-replay")), (200, None));
}
