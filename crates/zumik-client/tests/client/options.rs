//! Setting up a client and a call; what is refused before anything is sent.

use std::time::Duration;

use serde_json::{Value, json};
use zumik_client::endpoint::{BuildError, DecodeError, Endpoint, RequestParts};
use zumik_client::testing::{Answer, FakeTransport, RecordedRequest};
use zumik_client::types::{AgentHints, Operation, Qos, QosClass, operations};
use zumik_client::{Bytes, Call, Error, ErrorKind, Method, Outcome, Zumik};

use crate::common::*;

fn fake() -> FakeTransport {
    let fake = FakeTransport::new();
    fake.fallback(|_| done());
    fake
}

async fn request_of(change: impl FnOnce(Call<'_, Create>) -> Call<'_, Create>) -> RecordedRequest {
    let fake = fake();
    change(fake.client().call(Create)).await.unwrap();
    fake.requests().remove(0)
}

/// The error of a call that must not be sent.
async fn refused(change: impl FnOnce(Call<'_, Create>) -> Call<'_, Create>) -> Error {
    let fake = fake();
    let error = change(fake.client().call(Create)).await.unwrap_err();
    assert_eq!(fake.requests().len(), 0);
    assert_eq!((error.outcome(), error.attempts()), (Outcome::NotSent, 0));
    error
}

#[tokio::test]
async fn a_request_carries_key_agent_and_content_type() {
    let request = request_of(|call| call).await;
    assert_eq!(request.header("authorization"), Some("Bearer zk_test_0123456789abcdefghijklmnopqrstuv"));
    assert_eq!(request.header("user-agent"), Some(concat!("zumik-rust/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn an_operation_without_scope_carries_no_api_key_and_one_without_body_no_content_type() {
    let fake = fake();
    fake.client().call(Health).await.unwrap();
    let request = fake.requests().remove(0);
    assert_eq!((request.header("authorization"), request.header("content-type")), (None, None));
}

#[tokio::test]
async fn headers_queries_and_body_fields_can_be_added_to_a_call() {
    let request = request_of(|call| {
        call.header("x-team", "red")
            .header("user-agent", "mine")
            .query("dry run", "a&b")
            .query("n", 1)
            .body_field("metadata", json!({ "k": 1 }))
            .body_field("content", "replaced")
    })
    .await;
    assert_eq!((request.header("x-team"), request.header("user-agent")), (Some("red"), Some("mine")));
    assert_eq!(request.query, "dry%20run=a%26b&n=1");
    let expected = json!({ "artifact_type": "policy", "content": "replaced", "metadata": { "k": 1 } });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn a_body_field_makes_a_body_where_there_is_none() {
    let fake = fake();
    fake.client().call(Cancel).body_field("reason", "late").await.unwrap();
    assert_eq!(fake.requests()[0].json(), json!({ "reason": "late" }));
    assert_eq!(fake.requests()[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn headers_of_the_client_are_on_every_request_and_a_call_may_replace_them() {
    let fake = fake();
    let client = fake.builder().header("x-team", "red").build().unwrap();
    client.call(List).await.unwrap();
    client.call(List).header("x-team", "blue").await.unwrap();
    let teams: Vec<_> =
        fake.requests().iter().map(|request| request.header("x-team").unwrap().to_owned()).collect();
    assert_eq!(teams, ["red", "blue"]);
}

/// An endpoint with a header of its own, as one may be written by hand.
#[derive(Clone)]
struct Tagged(&'static str);

impl Endpoint for Tagged {
    const OPERATION: &'static Operation = &operations::LIST_ARTIFACTS;
    type Output = Value;

    fn parts(&self) -> Result<RequestParts, BuildError> {
        Ok(RequestParts::new(Self::OPERATION, &[])?
            .header(self.0, &Some("red"))
            .header("X-None", &None::<u8>))
    }

    fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
        zumik_client::endpoint::json(body)
    }
}

#[tokio::test]
async fn an_endpoint_may_have_headers_of_its_own_in_any_spelling() {
    let fake = fake();
    fake.client().call(Tagged("X-Team")).await.unwrap();
    assert_eq!(fake.requests()[0].header("x-team"), Some("red"));
    let error = fake.client().call(Tagged("x team")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Request, Outcome::NotSent));
}

#[tokio::test]
async fn hints_trace_mode_and_session_travel_in_headers() {
    let hints = AgentHints::new()
        .version("2026-06-01")
        .qos(Qos::new().class(QosClass::Interactive).target_ttft_ms(500_u64));
    let session: zumik_client::types::SessionId = "ses_1".parse().unwrap();
    let stored: zumik_client::types::AgentHintsId = "ah_1".parse().unwrap();
    let request =
        request_of(|call| call.hints(&hints).hints_ref(stored).trace_mode("tokenized").session_ref(&session))
            .await;
    assert_eq!(
        request.header("agent-hints"),
        Some(
            "eyJ2ZXJzaW9uIjoiMjAyNi0wNi0wMSIsInFvcyI6eyJjbGFzcyI6ImludGVyYWN0aXZlIiwidGFyZ2V0X3R0ZnRfbXMiOjUwMH19"
        )
    );
    assert_eq!(request.header("agent-hints-ref"), Some("ah_1"));
    assert_eq!(request.header("agent-trace-mode"), Some("tokenized"));
    assert_eq!(request.header("agent-session-ref"), Some("ses_1"));
}

#[tokio::test]
async fn what_http_or_the_contract_does_not_allow_is_refused_before_anything_is_sent() {
    for key in ["", "two words", "ключ", &"k".repeat(256)] {
        assert_eq!(refused(|call| call.idempotency_key(key)).await.kind(), ErrorKind::Request, "{key:?}");
    }
    assert_eq!(refused(|call| call.header("bad name", "x")).await.kind(), ErrorKind::Request);
    assert_eq!(refused(|call| call.header("x-team", "a\nb")).await.kind(), ErrorKind::Request);
    let hints = AgentHints::new().version("x".repeat(7000));
    assert!(refused(|call| call.hints(&hints)).await.message().contains("8192"));
    let list = fake().client().request(Method::POST, "/v2/x").json(&[1]).body_field("a", 1).send().await;
    assert_eq!(list.unwrap_err().message(), "the body is no JSON object, so no field can be set in it");
    // A map whose keys are no strings is no JSON.
    let field = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(refused(|call| call.body_field("metadata", &field)).await.kind(), ErrorKind::Request);
}

#[tokio::test]
async fn a_body_over_two_mebibytes_is_refused_before_anything_is_sent() {
    let error = refused(|call| call.body_field("content", "x".repeat(2 * 1024 * 1024))).await;
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    insta::assert_snapshot!(
        error,
        @"POST /v2/artifacts: the request body has 2097191 bytes; at most 2097152 (2 MiB) are allowed (not sent, 0 attempts)"
    );

    let overhead = json!({ "artifact_type": "policy", "content": "" }).to_string().len();
    let request = request_of(|call| call.body_field("content", "x".repeat(2 * 1024 * 1024 - overhead))).await;
    assert_eq!(request.body.len(), 2 * 1024 * 1024, "exactly 2 MiB is allowed");
}

#[tokio::test]
async fn a_path_that_would_reach_another_place_is_refused() {
    for path in [
        "",
        "v2/x",
        "/v2/../x",
        "/v2/%2E%2e/x",
        "/v2/./x",
        "/v2/x?a=b",
        "/v2/x#y",
        "//evil.example/x y",
        "/v2/x/..\\artifacts\\art_1",
        "/v2/\tx",
        "/v2/übersicht",
    ] {
        let fake = fake();
        let result = fake.client().request(Method::GET, path).send().await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Request, "{path}");
        assert_eq!(fake.requests().len(), 0);
    }
}

#[tokio::test]
async fn an_address_that_is_too_long_to_be_sent_is_refused() {
    let fake = fake();
    let zk = fake.client();
    let ask = |bytes| zk.request(Method::GET, format!("/v2/{}", "x".repeat(bytes))).send();
    let error = ask(65_536).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request, "{error}");
    assert!(error.to_string().contains("at most 65534"), "{error}");
    assert_eq!(fake.requests().len(), 0);
    ask(60_000).await.unwrap();
}

#[tokio::test]
async fn an_unknown_endpoint_can_be_called_with_everything_that_a_known_one_has() {
    let fake = fake();
    let zk = fake.client();
    let call =
        zk.request(Method::POST, "/v2/new-thing").json(&json!({ "a": 1 })).query("q", "1").body_field("b", 2);
    let answer = call.send_as::<Value>().await.unwrap();
    assert_eq!((answer["done"].clone(), answer.meta().attempts()), (json!(true), 1));
    let request = fake.requests().remove(0);
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/v2/new-thing", "q=1"));
    assert_eq!(request.json(), json!({ "a": 1, "b": 2 }));
    assert_eq!(request.idempotency_key(), Some("key-1"));

    let answer = zk.request(Method::GET, "/v2/new-thing").send().await.unwrap();
    assert_eq!(answer.into_inner().as_ref(), b"{\"done\":true}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_post_may_call_a_model_and_is_not_cut_off_after_a_minute() {
    let fake = fake();
    fake.fallback(|_| done().after(Duration::from_secs(300)));
    let zk = fake.client();
    zk.request(Method::POST, "/v1/images/generations").send().await.unwrap();
    assert_eq!(fake.requests().len(), 1);
    let error = zk.with(|o| o.max_retries(0)).request(Method::GET, "/v1/images").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "reading takes no minute: {error}");
}

#[tokio::test]
async fn a_placeholder_is_refused_unless_the_server_is_on_this_machine() {
    let placeholder =
        || done().header("agent-execution-mode", "placeholder").header("agent-trace-id", "trc_1");
    let fake = FakeTransport::new();
    fake.fallback(move |_| placeholder());

    fake.client().call(Generate).await.unwrap();
    let strict = fake.client().with(|o| o.reject_placeholder(true));
    let error = strict.call(Generate).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Placeholder, Outcome::Ambiguous));
    assert!(error.is_placeholder() && !error.is_retryable());
    assert_eq!(error.body().as_ref(), b"{\"done\":true}");
    assert!(fake.client().call(Generate).reject_placeholder(true).await.unwrap_err().is_placeholder());

    let hosted = fake.builder().base_url("https://api.zumik.ai").build().unwrap();
    assert!(hosted.call(Generate).await.unwrap_err().is_placeholder());
    hosted.call(Generate).reject_placeholder(false).await.unwrap();
    let lenient = hosted.with(|o| o.reject_placeholder(false));
    let answer = lenient.call(Generate).send().await.unwrap();
    assert_eq!(answer.meta().execution_mode().unwrap().as_str(), "placeholder");
}

#[tokio::test]
async fn an_answer_of_the_bridge_is_taken_unless_it_is_refused() {
    let fake = FakeTransport::new();
    fake.fallback(|_| done().header("agent-execution-mode", "openrouter_fallback"));
    let hosted = fake.builder().base_url("https://api.zumik.ai").build().unwrap();
    hosted.call(Generate).await.unwrap();
    let strict = hosted.with(|o| o.reject_openrouter_fallback(true));
    assert_eq!(strict.call(Generate).await.unwrap_err().kind(), ErrorKind::OpenrouterFallback);
    let call = hosted.call(Generate).reject_openrouter_fallback(true);
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::OpenrouterFallback);
}

#[tokio::test]
async fn a_variant_keeps_what_it_does_not_change() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::refused());
    let client = fake.builder().max_retries(4).header("x-team", "red").build().unwrap();
    let variant = client.with(|o| o.timeout(Duration::from_secs(5)));
    let error = variant.call(List).await.unwrap_err();
    assert!(error.attempts() > 1);
    assert_eq!(fake.requests()[0].header("x-team"), Some("red"));
}

#[test]
fn a_client_that_cannot_work_is_an_error_when_it_is_built() {
    let kind = |builder: zumik_client::Builder| builder.build().unwrap_err().kind();
    let builder = || Zumik::builder().api_key("zk_test_x").base_url("http://localhost");
    assert_eq!(kind(builder().api_key(" ")), ErrorKind::Config);
    assert_eq!(kind(builder().api_key("zk test")), ErrorKind::Config);
    assert_eq!(kind(builder().api_key("zk_\u{e9}")), ErrorKind::Config);
    assert_eq!(kind(builder().base_url("localhost")), ErrorKind::Config);
    assert_eq!(kind(builder().header("bad name", "x")), ErrorKind::Config);
    assert!(builder().api_key(" zk_test_x\n").build().is_ok(), "white space around a key is dropped");
}

#[test]
fn the_client_can_be_shared_and_its_futures_can_move_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn moves<T: Send>(_: T) {}
    shared::<Zumik>();
    let fake = fake();
    let client = fake.client();
    moves(client.call(Create).send());
    moves(client.call(Create).into_future());
    moves(client.request(Method::GET, "/v2/x").send_as::<Value>());
    assert_eq!(size_of::<Zumik>(), size_of::<usize>());
}
