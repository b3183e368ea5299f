//! What a purge takes of the answers that are kept under keys, whatever way they were made.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use zumik_server::config::UpstreamSettings;
use zumik_server::{RunningServer, Server};
use zumik_tests::http::Http;
use zumik_tests::upstream::Upstream;

/// A server, with a provider behind it or without one.
struct Rig {
    http: Http,
    _server: RunningServer,
    _upstream: Option<Upstream>,
}

impl Rig {
    async fn local() -> Self {
        let server = Server::builder().start().await.unwrap();
        Self { http: Http::new(server.url(), server.api_key()), _server: server, _upstream: None }
    }

    /// `responses` says whether the provider has that API.
    async fn live(responses: bool) -> Self {
        let upstream = Upstream::start().await;
        let mut settings = UpstreamSettings::new(upstream.url());
        settings.models = vec!["auto".to_owned()];
        settings.responses = Some(responses);
        let server = Server::builder().upstream("test", settings).start().await.unwrap();
        let http = Http::new(server.url(), server.api_key());
        Self { http, _server: server, _upstream: Some(upstream) }
    }

    async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Response {
        let mut request = self.http.request(Method::POST, path).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Creates something and gives its id.
    async fn make(&self, path: &str, body: Value) -> String {
        let made: Value = self.post(path, &body, &[]).await.json().await.unwrap();
        made["id"].as_str().unwrap_or_else(|| panic!("{path}: {made}")).to_owned()
    }

    /// Generates over an artifact under a key, purges the artifact and repeats the key.
    async fn purged_answer_is_gone(&self, path: &str, body: &Value) {
        let artifact = json!({ "artifact_type": "document", "content": "The build runs on Tuesdays." });
        let artifact = self.make("/v2/artifacts", artifact).await;
        let items = json!({ "items": [{ "artifact_id": artifact, "role": "context" }] });
        let bundle = self.make("/v2/bundles", items).await;
        let session = self.make("/v2/sessions", json!({ "base_bundle_ids": [bundle] })).await;
        let mut body = body.clone();
        let mut headers = vec![("Agent-Idempotency-Key", session.as_str())];
        match path {
            "/v2/responses" => body["session_id"] = json!(session),
            _ => headers.push(("Agent-Session-Ref", session.as_str())),
        }
        let mut answers = Vec::new();
        for replay in ["false", "true"] {
            let answer = self.post(path, &body, &headers).await;
            assert_eq!(answer.headers()["agent-idempotent-replay"], replay, "{path} {body}");
            answers.push(answer.text().await.unwrap());
        }
        assert_eq!(answers[0], answers[1], "{path} {body}");
        self.make("/v2/purge-jobs", json!({ "artifact_ids": [artifact] })).await;
        let answer = self.post(path, &body, &headers).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        let error: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(
            (status.as_u16(), &error["error"]["code"]),
            (409, &json!("session_not_active")),
            "{path} {body}: {text}"
        );
    }
}

/// Every way to an answer.
fn ways() -> Vec<(&'static str, Value)> {
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let chat = json!({ "model": "auto", "messages": messages });
    let mut ways = vec![
        ("/v2/responses", json!({ "model": "auto", "input": "Hi" })),
        ("/v1/responses/compact", json!({ "model": "auto", "input": "Hi" })),
    ];
    for stream in [false, true] {
        let mut chat = chat.clone();
        chat["stream"] = json!(stream);
        ways.push(("/v1/chat/completions", chat));
        for store in [false, true] {
            let body = json!({ "model": "auto", "input": "Hi", "stream": stream, "store": store });
            ways.push(("/v1/responses", body));
        }
    }
    let background = json!({ "model": "auto", "input": "Hi", "background": true });
    ways.push(("/v1/responses", background));
    ways
}

#[tokio::test]
async fn no_answer_over_a_purged_content_is_replayed() {
    for rig in [Rig::local().await, Rig::live(true).await, Rig::live(false).await] {
        for (path, body) in ways() {
            rig.purged_answer_is_gone(path, &body).await;
        }
    }
}
