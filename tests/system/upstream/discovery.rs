//! Providers whose models are not in the settings: they are asked for them, and nobody waits longer for that than he must.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use zumik_tests::http::{Http, answer};
use zumik_tests::server::configured;
use zumik_tests::upstream::Upstream;

use super::usage::event;
use super::{CHAT, NATIVE, RESPONSES, ask, header, input, post, question, with_qos};

/// Sooner than a provider that does not tell its models is given up.
const SOON: Duration = Duration::from_secs(5);

/// A provider that takes connections and says nothing, and its settings.
async fn speechless(name: &str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });
    (format!("[upstreams.{name}]\nurl = \"{url}\"\n"), serving)
}

/// The same question on every surface.
fn everywhere(http: &Http, model: &str) -> Vec<(&'static str, RequestBuilder)> {
    let embedding = json!({ "model": model, "input": "Is this off by one?" });
    [
        (CHAT, question(model)),
        (RESPONSES, input(model)),
        (NATIVE, input(model)),
        ("/v1/embeddings", embedding),
    ]
    .map(|(path, body)| (path, post(http, path, &body)))
    .into()
}

#[tokio::test]
async fn a_deadline_holds_while_a_provider_is_asked_for_its_models() {
    let (settings, provider) = speechless("test").await;
    let server = configured(&settings).await;
    let http = server.http();
    for (path, request) in everywhere(&http, "auto") {
        let hints = json!({ "deadline_ms": 200 });
        let begun = Instant::now();
        let answer = answer(with_qos(request, &hints)).await;
        assert!(begun.elapsed() < SOON, "{path}: {:?}", begun.elapsed());
        assert_eq!(
            (answer.status.as_u16(), &answer.error()["code"]),
            (504, &json!("deadline_exceeded")),
            "{path}: {answer:?}"
        );
        let event = event(&http, header(&answer, "agent-trace-id")).await;
        assert_eq!((&event["status"], &event["provider"]), (&json!("expired"), &Value::Null), "{path}");
        let outcome = &event["qos_outcome"];
        assert_eq!(outcome["admission"], "expired_before_start", "{path}");
        assert_eq!(outcome["reason_code"], "customer_deadline_too_short", "{path}");
        for unknown in ["completion", "ttft_ms", "latency_ms"] {
            assert_eq!(outcome[unknown], Value::Null, "{path}: {unknown}");
        }
    }
    provider.abort();
}

#[tokio::test]
async fn a_provider_that_does_not_tell_its_models_keeps_nobody_from_those_of_another() {
    let upstream = Upstream::start().await;
    let (settings, provider) = speechless("a").await;
    let server = configured(&format!("{settings}[upstreams.b]\nurl = \"{}\"\n", upstream.url())).await;
    let begun = Instant::now();
    for (path, request) in everywhere(&server.http(), "gpt-test") {
        let answer = answer(request).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(header(&answer, "agent-resolved-provider"), "b", "{path}");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    provider.abort();
}

#[tokio::test]
async fn a_generation_whose_provider_tells_no_models_leaves_a_usage_event() {
    let upstream = Upstream::start().await;
    let server = configured(&format!("[upstreams.test]\nurl = \"{}\"\n", upstream.url())).await;
    let http = server.http();
    drop(upstream);
    for (path, request) in everywhere(&http, "auto") {
        let answer = answer(request).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.error()["code"]),
            (502, &json!("provider_error")),
            "{path}: {answer:?}"
        );
        assert_eq!(
            answer.error()["message"],
            "The provider of this model cannot be reached: the connection was refused.",
            "{path}"
        );
        let event = event(&http, header(&answer, "agent-trace-id")).await;
        assert_eq!(
            (&event["status"], &event["requested_model"]),
            (&json!("failed"), &json!("auto")),
            "{path}"
        );
        assert_eq!((&event["provider"], &event["resolved_model"]), (&Value::Null, &Value::Null), "{path}");
        assert_eq!(event["qos_outcome"]["reason_code"], "provider_unavailable", "{path}");
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_holds_up_the_list_of_models_only_once() {
    let (settings, provider) = speechless("a").await;
    let upstream = Upstream::start().await;
    let server = configured(&format!("{settings}[upstreams.b]\nurl = \"{}\"\n", upstream.url())).await;
    let http = server.http();
    let models = async || {
        let begun = Instant::now();
        let list = http.get("/v1/models").await.json();
        let ids = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone());
        assert!(ids.into_iter().any(|id| id == "gpt-test"), "{list}");
        begun.elapsed()
    };
    assert!(models().await > SOON, "the first answer of each provider is waited for");
    let again = models().await;
    assert!(again < SOON, "{again:?}");
    provider.abort();
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_no_generation() {
    let server = zumik_tests::server::durable().await;
    let http = server.http();
    assert_eq!(ask(&http, CHAT, &question("gpt-none")).await.status, 404);
    assert_eq!(http.get("/v2/usage").await.json()["data"], json!([]));
}
