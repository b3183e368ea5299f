//! What a trace shows of a call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use zumik_client::Method;
use zumik_client::testing::{Answer, FakeTransport, StreamPart};

use crate::common::*;
use crate::streams::Talk;

/// A span as it was when it closed.
#[derive(Debug, Clone, Default)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

impl Seen {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map(|parent| parent.name());
        let mut seen = Seen { name: span.name(), parent, ..Seen::default() };
        attributes.record(&mut seen);
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(context.span(id).unwrap().extensions_mut().get_mut::<Seen>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let seen = context.span(&id).unwrap().extensions().get::<Seen>().unwrap().clone();
        self.0.lock().unwrap().push(seen);
    }
}

/// The spans of what `run` does, in the order in which they closed.
async fn spans<F: IntoFuture>(run: F) -> Vec<Seen> {
    let recorder = Recorder::default();
    let guard = watch(Registry::default().with(recorder.clone()));
    run.await;
    drop(guard);
    let spans = recorder.0.lock().unwrap();
    spans.iter().filter(|span| span.name.starts_with("zumik.")).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_and_each_attempt_a_child_of_it() {
    let fake = FakeTransport::new();
    fake.answer(limited());
    fake.answer(done().header("agent-trace-id", "trc_1"));
    let client = fake.client();
    let spans = spans(client.call(Append).query("secret", "x")).await;

    let [first, second, call] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((call.name, call.parent), ("zumik.call", None));
    let template = "/v2/sessions/{session_id}/branches/{branch_id}/events";
    assert_eq!(call.get("otel.name"), Some(format!("POST {template}").as_str()));
    assert_eq!(call.get("otel.kind"), Some("client"));
    assert_eq!(call.get("http.request.method"), Some("POST"));
    assert_eq!(call.get("url.template"), Some(template));
    assert_eq!(call.get("server.address"), Some("localhost"));
    assert_eq!(call.get("http.response.status_code"), Some("200"));
    assert_eq!(call.get("http.request.resend_count"), Some("1"));
    assert_eq!(call.get("zumik.trace_id"), Some("trc_1"));
    assert_eq!(call.get("error.type"), None);

    assert_eq!((first.name, first.parent), ("zumik.attempt", Some("zumik.call")));
    assert_eq!(first.get("http.request.resend_count"), None);
    assert_eq!(first.get("http.response.status_code"), Some("429"));
    assert_eq!(first.get("error.type"), Some("rate_limit_exceeded"));
    let size = fake.requests()[0].body.len().to_string();
    assert_eq!(first.get("http.request.body.size"), Some(size.as_str()));
    assert_eq!(second.get("http.response.body.size"), Some("13"));
    assert_eq!(second.get("http.request.resend_count"), Some("1"));
    assert_eq!(second.get("http.response.status_code"), Some("200"));
    assert_eq!(second.get("error.type"), None);
}

#[tokio::test(start_paused = true)]
async fn a_generation_tells_its_model_and_its_tokens() {
    let fake = FakeTransport::new();
    fake.answer(Answer::json(
        json!({ "usage": { "input_tokens": 12, "output_tokens": 3, "cached_tokens": 0 } }),
    ));
    let client = fake.client();
    let spans = spans(client.call(Generate)).await;
    let call = spans.last().unwrap();
    assert_eq!(call.get("gen_ai.request.model"), Some("code.fast"));
    assert_eq!(call.get("gen_ai.usage.input_tokens"), Some("12"));
    assert_eq!(call.get("gen_ai.usage.output_tokens"), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_tells_the_code_or_the_kind() {
    let fake = FakeTransport::new();
    fake.answer(Answer::error(404, "invalid_request_error", ""));
    let client = fake.client();
    let spans = spans(client.call(List)).await;
    assert_eq!(spans.last().unwrap().get("error.type"), Some("not_found"));
    assert_eq!(spans.last().unwrap().get("http.response.status_code"), Some("404"));
}

#[tokio::test(start_paused = true)]
async fn the_path_of_an_unknown_endpoint_is_not_shown_for_it_may_hold_ids() {
    let fake = FakeTransport::new();
    fake.answer(done());
    let client = fake.client();
    let spans = spans(client.request(Method::GET, "/v2/things/id_1").send()).await;
    let call = spans.last().unwrap();
    assert_eq!((call.get("otel.name"), call.get("url.template")), (Some("GET"), None));
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_stream_lasts_until_its_end_and_tells_its_tokens() {
    let (second, usage) = (Duration::from_secs(1), json!({ "prompt_tokens": 12, "completion_tokens": 3 }));
    let fake = FakeTransport::new();
    fake.answer(Answer::stream([
        StreamPart::pause(second),
        StreamPart::event(r#"{"n":1,"usage":null}"#),
        StreamPart::pause(second),
        StreamPart::event(json!({ "n": 2, "usage": usage }).to_string()),
        StreamPart::event("[DONE]"),
    ]));
    let client = fake.client();
    let spans = spans(async {
        let mut stream = client.call(Talk::default()).stream().await.unwrap();
        while let Some(event) = stream.next().await {
            event.unwrap();
        }
    })
    .await;
    let [attempt, call] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((attempt.name, attempt.get("http.response.status_code")), ("zumik.attempt", Some("200")));
    assert_eq!(call.get("http.response.status_code"), Some("200"));
    assert_eq!(call.get("gen_ai.request.model"), Some("code.fast"));
    assert_eq!(call.get("zumik.time_to_first_event_ms"), Some("1000"));
    assert_eq!(call.get("gen_ai.usage.input_tokens"), Some("12"));
    assert_eq!(call.get("gen_ai.usage.output_tokens"), Some("3"));
    assert_eq!(call.get("error.type"), None);
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_stream_tells_what_it_failed_with_and_the_usage_of_a_response() {
    let completed =
        r#"{"type":"response.in_progress","response":{"usage":{"input_tokens":7,"output_tokens":1}}}"#;
    let fake = FakeTransport::new();
    fake.answer(Answer::events([completed]));
    let client = fake.client();
    let spans = spans(async {
        let mut stream = client.call(Talk::default()).stream().await.unwrap();
        while stream.next().await.is_some() {}
    })
    .await;
    let call = spans.last().unwrap();
    assert_eq!(call.get("error.type"), Some("stream_truncated"));
    assert_eq!(call.get("gen_ai.usage.input_tokens"), Some("7"));
}
