//! A model behind the server: what is forwarded to it, what comes back, and what happens when it fails.

mod cancel;
mod discovery;
mod failures;
mod forwarded;
mod log;
mod purged;
mod reuse;
mod routing;
mod stream;
mod usage;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use zumik_tests::http::{Answer, Http, answer};
use zumik_tests::server::{TestServer, configured};
use zumik_tests::upstream::Upstream;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const NATIVE: &str = "/v2/responses";

/// A server over one provider, which is called `test`.
pub(crate) async fn served(upstream: &Upstream) -> TestServer {
    configured(&provider("test", upstream)).await
}

/// The settings of a provider.
fn provider(name: &str, upstream: &Upstream) -> String {
    format!("[upstreams.{name}]\nurl = \"{}\"\nmodels = [\"gpt-test\"]\nregion = \"eu\"\n", upstream.url())
}

/// A question for a model.
fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Is this off by one?" }] })
}

/// The same question, to be answered as a stream.
fn streamed(model: &str) -> Value {
    let mut body = question(model);
    body["stream"] = true.into();
    body
}

/// The same question as an input.
fn input(model: &str) -> Value {
    json!({ "model": model, "input": "Is this off by one?" })
}

fn post(http: &Http, path: &str, body: &Value) -> RequestBuilder {
    http.request(Method::POST, path).json(body)
}

/// A post whose quality of service is a hint, as `/v1` says it.
fn with_qos(request: RequestBuilder, qos: &Value) -> RequestBuilder {
    use base64::Engine as _;
    let hints = json!({ "version": "2026-06-01", "qos": qos }).to_string();
    request.header("Agent-Hints", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(hints))
}

async fn ask(http: &Http, path: &str, body: &Value) -> Answer {
    answer(post(http, path, body)).await
}

/// The text of a header; empty when it is not there.
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
}

/// The JSON of every `data:` frame of a stream, and whether it ended with `[DONE]`.
fn frames(answer: &Answer) -> (Vec<Value>, bool) {
    let text = String::from_utf8(answer.body.to_vec()).expect("a stream of text");
    let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let done = data.pop_if(|last| *last == "[DONE]").is_some();
    (data.into_iter().map(|frame| serde_json::from_str(frame).expect("a frame of JSON")).collect(), done)
}

/// The text that the frames of a chat put together.
fn text(frames: &[Value]) -> String {
    frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect()
}
