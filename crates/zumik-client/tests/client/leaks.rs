//! Secrets and prompts leave the process in requests only: no `Debug`, no error, no span shows them.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use zumik_client::endpoint::{Body, Endpoint, RequestParts};
use zumik_client::testing::{Answer, FakeTransport};
use zumik_client::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use zumik_client::types::operations;
use zumik_client::{FilePart, Method, Result, Zumik};

use crate::common::*;

const KEY: &str = "zk_live_canary-of-the-key-0123456789abcdef";
const PROMPT: &str = "canary of the prompt";

/// Everything that was logged or printed.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn print(&self, value: &dyn Debug) {
        let mut bytes = self.0.lock().unwrap();
        bytes.extend_from_slice(format!("{value:?}\n{value:#?}\n").as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A transport that prints each request, as a careless one might.
struct Printing(FakeTransport, Output);

impl Transport for Printing {
    fn send(
        &self,
        request: HttpRequest,
    ) -> zumik_client::transport::BoxFuture<'_, Result<HttpResponse, TransportError>> {
        self.1.print(&request);
        self.0.send(request)
    }
}

#[tokio::test(start_paused = true)]
async fn neither_the_key_nor_a_prompt_is_printed_logged_or_said_by_an_error() {
    let output = Output::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = watch(subscriber);

    let fake = FakeTransport::new();
    let builder = Zumik::builder()
        .api_key(KEY)
        .base_url("http://localhost")
        .header("x-secret", KEY)
        .transport(Printing(fake.clone(), output.clone()));
    output.print(&builder);
    let client = builder.build().unwrap();
    output.print(&client);

    let call =
        || client.call(Generate).body_field("input", PROMPT).header("x-prompt", PROMPT).query("q", PROMPT);
    output.print(&call());
    output.print(&client.request(Method::POST, "/v2/x").json(&json!({ "input": PROMPT })).query("q", PROMPT));
    let parts =
        RequestParts::new(Generate::OPERATION, &[]).unwrap().json(&json!({ "input": PROMPT })).unwrap();
    output.print(&parts.query("q", &Some(PROMPT)).header("x-prompt", &Some(PROMPT)));
    output.print(&Body::Json(PROMPT.into()));
    output.print(&FilePart::bytes("f", PROMPT));

    let echo = || json!({ "output_text": PROMPT, "usage": { "input_tokens": 1, "output_tokens": 1 } });
    let answers = [
        Answer::json(echo()),
        Answer::json(echo()).header("agent-execution-mode", "placeholder"),
        Answer::json(echo()).breaking_off(),
        Answer::error(400, "invalid_request_error", "").error_member("detail", PROMPT.into()),
        Answer::error(500, "api_error", "internal_error").error_member("detail", PROMPT.into()),
        Answer::refused(),
        Answer::reset(),
        Answer::hang(),
    ];
    let strict = client.with(|o| o.max_retries(1).reject_placeholder(true));
    output.print(&strict);
    for answer in answers {
        fake.fallback(move |_| answer.clone());
        match strict.call(Generate).body_field("input", PROMPT).query("q", PROMPT).send().await {
            Ok(answer) => output.print(answer.meta()),
            Err(error) => {
                output.print(&error);
                output.print(&error.to_string());
                output.print(&error.cause());
            }
        }
    }

    // Of headers the names are shown, of a raw answer the size.
    let answer = || Answer::json(echo()).header("set-cookie", PROMPT);
    fake.answer(answer()).answer(answer());
    output.print(&client.request(Method::GET, "/v2/x").send().await.unwrap());
    output.print(client.request(Method::GET, "/v2/x").send().await.unwrap().meta());
    let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(PROMPT))]);
    output.print(&HttpResponse::new(StatusCode::OK, headers, PROMPT.into()));

    // So is what a fake server was asked, and what it answers.
    output.print(&fake.requests());
    output.print(&answer());
    output.print(&Answer::events([PROMPT]).header("set-cookie", PROMPT));

    // A value of the wrong type is a text of the model.
    fake.answer(Answer::json(PROMPT));
    let error = client.request(Method::GET, "/v2/x").send_as::<u64>().await.unwrap_err();
    output.print(&error);
    output.print(&error.to_string());
    output.print(&error.cause());

    // What is wrong with a request is said without it.
    let bad = client.call(Generate).header("x-prompt", &format!("{PROMPT}\n"));
    output.print(&bad.await.unwrap_err());
    output.print(&client.call(Generate).header("x-secret", &format!("{KEY}\n")).await.unwrap_err());
    output.print(&Zumik::builder().api_key(format!("{KEY}\u{7f}")).build().unwrap_err());
    output.print(&Zumik::builder().api_key(KEY).base_url(format!("http://me:{KEY}@localhost")));
    let bad = Zumik::builder().api_key(KEY).base_url(format!("http://me:{KEY}@localhost")).build();
    output.print(&bad.unwrap_err());

    let text = output.text();
    assert!(
        text.contains("zumik.call") && text.contains(operations::CREATE_RESPONSE.path),
        "spans were recorded"
    );
    for canary in [KEY, PROMPT, "canary"] {
        let line = text.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary:?} leaked");
    }
    let sent: Value = fake.requests()[0].json();
    assert_eq!(sent["input"], PROMPT, "the canary was in the request");
}
