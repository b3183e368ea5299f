//! Responses that a provider makes: what it is asked, what a caller sees of it, and what stays.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use zumik_server::config::UpstreamSettings;
use zumik_server::{RunningServer, Server};
use zumik_tests::http::Http;
use zumik_tests::upstream::{Behaviour, Fault, Recorded, Upstream};
use zumik_tests::within;

/// A provider, and a server before it.
struct Rig {
    upstream: Upstream,
    http: Http,
    _server: RunningServer,
}

const FULL: (&str, &str) = ("Agent-Trace-Mode", "encrypted_full_fidelity");

/// What a server says that has no such path.
const NOT_FOUND: &str = r#"{"detail":"Not Found"}"#;

impl Rig {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With a provider that speaks chat completions only.
    async fn chat_only() -> Self {
        Self::with(|settings| settings.responses = Some(false)).await
    }

    async fn with(change: impl FnOnce(&mut UpstreamSettings)) -> Self {
        let upstream = Upstream::start().await;
        let mut settings = UpstreamSettings::new(upstream.url());
        settings.models = vec!["gpt-test".to_owned()];
        change(&mut settings);
        let server = Server::builder().upstream("test", settings).start().await.unwrap();
        let http = Http::new(server.url(), server.api_key());
        Self { upstream, http, _server: server }
    }

    async fn send(&self, body: &Value, headers: &[(&str, &str)]) -> Response {
        self.post("/v1/responses", body, headers).await
    }

    async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Response {
        let mut request = self.http.request(Method::POST, path).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// A response that must be made.
    async fn ask(&self, body: Value, headers: &[(&str, &str)]) -> Value {
        let answer = self.send(&body, headers).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The events of a stream, to its end.
    async fn stream(&self, mut body: Value, headers: &[(&str, &str)]) -> Vec<Value> {
        body["stream"] = json!(true);
        let answer = self.send(&body, headers).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        events(&answer.text().await.unwrap())
    }

    async fn refused(&self, body: Value, status: u16, param: &str) {
        let answer = self.send(&body, &[]).await;
        assert_eq!(answer.status(), status);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["param"], param, "{error}");
    }

    async fn retrieve(&self, response: &Value) -> Value {
        let id = response["id"].as_str().unwrap();
        self.http.get(&format!("/v1/responses/{id}")).await.json()
    }

    /// Waits until a kept response has this status.
    async fn until(&self, response: &Value, status: &str) -> Value {
        let found = async {
            loop {
                let found = self.retrieve(response).await;
                if found["status"] == status {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(&format!("a response that is {status}"), found).await
    }

    /// What the provider was asked last.
    fn asked(&self) -> Recorded {
        self.upstream.requests().pop().unwrap()
    }
}

/// The data of the events in a text.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn hi() -> Value {
    json!({ "model": "gpt-test", "input": "Why did CI fail?" })
}

/// Reads a stream up to its first text.
async fn first_text(
    answer: Response,
) -> (Value, impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>>) {
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    while !text.contains("output_text.delta") {
        text.push_str(std::str::from_utf8(&bytes.next().await.unwrap().unwrap()).unwrap());
    }
    (events(&text)[0]["response"].clone(), bytes)
}

#[tokio::test]
async fn a_provider_gets_the_request_as_it_was_sent_but_for_what_is_ours() {
    let rig = Rig::start().await;
    let body = r#"{"model":"gpt-test", "input":[{"role":"user","content":"Hi"}],"zeta":{"b":1.50,"a":2},"store":true,"metadata":{"run":"nightly"},"temperature":0.25}"#;
    let request = rig.http.request(Method::POST, "/v1/responses").header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.headers()["agent-resolved-provider"], "test");
    assert_eq!(answer.headers()["agent-execution-mode"], "live");
    let response: Value = answer.json().await.unwrap();
    let asked = String::from_utf8(rig.asked().body.to_vec()).unwrap();
    let expected = r#"{"model":"gpt-test", "input":[{"role":"user","content":"Hi"}],"zeta":{"b":1.50,"a":2},"store":false,"temperature":0.25}"#;
    assert_eq!(asked, expected);
    assert!(response["id"].as_str().unwrap().starts_with("resp_01"), "{response}");
    assert_eq!((&response["store"], &response["metadata"]), (&json!(true), &json!({ "run": "nightly" })));
    assert_eq!((&response["temperature"], &response["service_tier"]), (&json!(0.25), &json!("default")));
    assert_eq!(response["output"][0]["id"], "msg_upstream");
    assert_eq!(rig.retrieve(&response).await, response);
    let unstored = rig.ask(json!({ "model": "gpt-test", "input": "Hi", "store": false }), &[]).await;
    assert_eq!(rig.retrieve(&unstored).await["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_stream_is_passed_on_with_our_response_in_it() {
    let rig = Rig::start().await;
    let told = rig.stream(hi(), &[]).await;
    assert_eq!(kinds(&told)[..2], ["response.created", "response.in_progress"]);
    let last = &told.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let delta = told.iter().find(|event| event["type"] == "response.output_text.delta").unwrap();
    assert_eq!((&delta["item_id"], &delta["logprobs"]), (&json!("msg_upstream"), &json!([])));
    assert_eq!(told[0]["response"]["id"], last["response"]["id"]);
    assert_eq!(rig.retrieve(&last["response"]).await, last["response"]);
}

#[tokio::test]
async fn a_provider_without_the_api_is_asked_for_chat_completions_from_then_on() {
    let rig = Rig::start().await;
    let missing = Behaviour { body: Some(NOT_FOUND.to_owned()), ..Behaviour::status(404) };
    rig.upstream.next(missing);
    let response = rig.ask(hi(), &[]).await;
    assert_eq!(response["status"], "completed");
    assert!(response["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let told = rig.stream(hi(), &[]).await;
    let text = |response: &Value| response["output"][0]["content"][0]["text"].clone();
    assert_eq!(text(&told.last().unwrap()["response"]), text(&response));
    let paths: Vec<_> = rig.upstream.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]);
    let asked = rig.asked().json();
    assert_eq!(asked["messages"], json!([{ "role": "user", "content": "Why did CI fail?" }]));
    assert_eq!(asked.get("store"), None);
}

#[tokio::test]
async fn a_provider_without_the_api_tells_what_it_refuses() {
    let missing = || Behaviour { body: Some(NOT_FOUND.to_owned()), ..Behaviour::status(404) };
    for status in [400, 404] {
        let rig = Rig::start().await;
        rig.upstream.next(missing());
        rig.upstream.next(Behaviour::status(status));
        let answer = rig.send(&hi(), &[]).await;
        assert_eq!(answer.status(), status);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["message"], "The provider says so.", "{error}");
        assert_eq!(rig.upstream.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_model_that_a_provider_does_not_have_says_nothing_of_its_apis() {
    let rig = Rig::start().await;
    rig.upstream.next(Behaviour::status(404));
    let answer = rig.send(&hi(), &[]).await;
    assert_eq!(answer.status(), 404);
    rig.ask(hi(), &[]).await;
    assert_eq!(rig.asked().path, "/v1/responses");
}

#[tokio::test]
async fn an_item_that_a_provider_does_not_have_says_nothing_of_its_apis() {
    let rig = Rig::start().await;
    let missing = r#"{"error":{"message":"Item with id 'rs_1' not found.","type":"invalid_request_error","param":"input","code":null}}"#;
    rig.upstream.next(Behaviour { body: Some(missing.to_owned()), ..Behaviour::status(404) });
    rig.refused(hi(), 404, "input").await;
    rig.ask(hi(), &[]).await;
    let paths: Vec<_> = rig.upstream.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/responses"]);
}

#[tokio::test]
async fn tools_go_through_a_chat_completion_and_back() {
    let rig = Rig::chat_only().await;
    let tool = json!({ "type": "function", "name": "read_log", "parameters": { "type": "object", "properties": {} } });
    let body = json!({ "model": "gpt-test", "input": "Why?", "tools": [tool], "max_output_tokens": 64 });
    let whole = rig.ask(body.clone(), &[]).await;
    let call = &whole["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("read_log")));
    assert_eq!(whole["tools"], json!([tool]), "the request is repeated in its own form");
    let asked = rig.asked().json();
    assert_eq!(
        (&asked["tools"][0]["function"]["name"], &asked["max_tokens"]),
        (&json!("read_log"), &json!(64))
    );

    let told = rig.stream(body.clone(), &[]).await;
    let streamed = &told.last().unwrap()["response"]["output"][0];
    assert_eq!((&streamed["call_id"], &streamed["arguments"]), (&call["call_id"], &call["arguments"]));
    assert!(kinds(&told).contains(&"response.function_call_arguments.delta"), "{told:?}");

    // The call and its result, sent back as the stock clients do it.
    let result = json!({ "type": "function_call_output", "call_id": call["call_id"], "output": "exit 1" });
    let mut next = body;
    next["input"] = json!([{ "role": "user", "content": "Why?" }, call, result]);
    let answer = rig.ask(next, &[]).await;
    assert_eq!(answer["output"][0]["type"], "message");
    let messages = rig.asked().json()["messages"].clone();
    assert_eq!(messages[1]["tool_calls"][0]["id"], call["call_id"]);
    assert_eq!(messages[2], json!({ "role": "tool", "tool_call_id": call["call_id"], "content": "exit 1" }));
}

#[tokio::test]
async fn what_a_chat_completion_cannot_say_is_refused_by_name() {
    let rig = Rig::chat_only().await;
    for (member, value, param) in [
        ("truncation", json!("auto"), "truncation"),
        ("tools", json!([{ "type": "web_search" }]), "tools[0].type"),
        ("input", json!([{ "type": "item_reference", "id": "msg_1" }]), "input[0].type"),
    ] {
        let mut body = hi();
        body[member] = value;
        rig.refused(body, 400, param).await;
    }
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn earlier_items_come_before_the_input_without_the_ids_of_this_server() {
    for rig in [Rig::start().await, Rig::chat_only().await] {
        let first = rig.ask(hi(), &[FULL]).await;
        let said = first["output"][0]["content"][0]["text"].clone();
        let mut next = hi();
        next["input"] = json!("And now?");
        next["previous_response_id"] = first["id"].clone();
        let second = rig.ask(next, &[]).await;
        assert_eq!(second["previous_response_id"], first["id"]);
        let asked = rig.asked().json();
        let shown = if asked.get("messages").is_some() { &asked["messages"] } else { &asked["input"] };
        let shown = shown.as_array().unwrap().iter().map(|item| {
            assert_eq!(item.get("id"), None);
            let content = item["content"].as_str().or(item["content"][0]["text"].as_str());
            json!([item["role"], content])
        });
        let expected = json!([["user", "Why did CI fail?"], ["assistant", said], ["user", "And now?"]]);
        assert_eq!(shown.collect::<Value>(), expected);
        assert_eq!(asked.get("previous_response_id"), None);
    }
}

#[tokio::test]
async fn the_items_of_an_answer_can_be_sent_back_without_what_no_provider_has_kept() {
    let rig = Rig::start().await;
    let user = json!({ "role": "user", "content": "Why?" });
    let call = json!({ "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}" });
    let mut known = call.clone();
    known["id"] = json!("fc_1");
    let result = json!({ "type": "function_call_output", "call_id": "call_1", "output": "exit 1" });
    let thought = |sealed: Value| json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed });
    let ask = async |items: Value| {
        rig.ask(json!({ "model": "gpt-test", "input": items }), &[]).await;
        rig.asked().json()["input"].clone()
    };
    for unsealed in [thought(Value::Null), json!({ "type": "reasoning", "id": "rs_1", "summary": [] })] {
        assert_eq!(ask(json!([user, unsealed, known, result])).await, json!([user, call, result]));
    }
    let sealed = json!([user, thought(json!("gAAAA")), known, result]);
    assert_eq!(ask(sealed.clone()).await, sealed);
}

#[tokio::test]
async fn an_item_that_later_ones_refer_to_keeps_its_id() {
    let rig = Rig::start().await;
    let request = json!({ "type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "arguments": "{}", "server_label": "s" });
    let answer = json!({ "id": "resp_upstream", "status": "completed", "output": [request] });
    rig.upstream.next(Behaviour { body: Some(answer.to_string()), ..Behaviour::default() });
    let first = rig.ask(hi(), &[FULL]).await;
    let approval =
        json!({ "type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": true });
    let next = json!({ "model": "gpt-test", "previous_response_id": first["id"], "input": [approval] });
    rig.ask(next, &[]).await;
    assert_eq!(rig.asked().json()["input"].as_array().unwrap()[1..], [request, approval]);
}

#[tokio::test]
async fn the_state_of_a_session_comes_before_the_input() {
    let rig = Rig::start().await;
    let artifact =
        rig.http.post("/v2/artifacts", json!({ "artifact_type": "policy", "content": "Lint." })).await;
    let items = json!([{ "artifact_id": artifact["id"], "role": "system" }]);
    let bundle = rig.http.post("/v2/bundles", json!({ "items": items })).await;
    let session = rig.http.post("/v2/sessions", json!({ "base_bundle_ids": [bundle["id"]] })).await;
    rig.ask(hi(), &[("Agent-Session-Ref", session["id"].as_str().unwrap())]).await;
    let expected = json!([
        { "role": "system", "content": "Lint." },
        { "role": "user", "content": "Why did CI fail?" },
    ]);
    assert_eq!(rig.asked().json()["input"], expected);
}

#[tokio::test]
async fn a_stream_is_replayed_byte_for_byte_and_made_once() {
    for rig in [Rig::start().await, Rig::chat_only().await] {
        let key = [("Agent-Idempotency-Key", "once")];
        let mut body = hi();
        body["stream"] = json!(true);
        let first = rig.send(&body, &key).await.bytes().await.unwrap();
        let second = rig.send(&body, &key).await;
        assert_eq!(second.headers()["agent-idempotent-replay"], "true");
        assert_eq!(second.headers()["content-type"], "text/event-stream");
        assert_eq!(second.bytes().await.unwrap(), first);
        assert_eq!(rig.upstream.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_a_failed_response_and_may_be_repeated() {
    for rig in [Rig::start().await, Rig::chat_only().await] {
        let key = [("Agent-Idempotency-Key", "again")];
        rig.upstream.next(Behaviour::fault(Fault::Cut(5)));
        let told = rig.stream(hi(), &key).await;
        let last = told.last().unwrap();
        assert_eq!(last["type"], "response.failed", "{told:?}");
        let numbers: Vec<_> = told.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..told.len() as u64).collect::<Vec<_>>());
        assert_eq!(rig.retrieve(&last["response"]).await, last["response"]);
        let again = rig.stream(hi(), &key).await;
        assert_eq!(again.last().unwrap()["type"], "response.completed");
    }
}

#[tokio::test]
async fn a_failure_before_the_stream_is_a_plain_error_and_leaves_nothing() {
    let rig = Rig::start().await;
    rig.upstream.next(Behaviour { retry_after: Some(7), ..Behaviour::status(429) });
    let mut body = hi();
    body["stream"] = json!(true);
    let answer = rig.send(&body, &[]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(answer.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_call_and_the_response() {
    for rig in [Rig::start().await, Rig::chat_only().await] {
        rig.upstream.next(Behaviour::fault(Fault::Stall(6)));
        let mut body = hi();
        body["stream"] = json!(true);
        let (response, rest) = first_text(rig.send(&body, &[]).await).await;
        assert_eq!(rig.retrieve(&response).await["status"], "in_progress");
        drop(rest);
        rig.upstream.until(|requests| requests[0].cancelled()).await;
        let kept = rig.until(&response, "cancelled").await;
        assert_eq!((&kept["id"], &kept["usage"]), (&response["id"], &Value::Null));
    }
}

#[tokio::test]
async fn another_request_can_cancel_a_stream() {
    let rig = Rig::start().await;
    rig.upstream.next(Behaviour::fault(Fault::Stall(6)));
    let mut body = hi();
    body["stream"] = json!(true);
    let (response, mut rest) = first_text(rig.send(&body, &[]).await).await;
    let path = format!("/v1/responses/{}/cancel", response["id"].as_str().unwrap());
    assert_eq!(rig.http.post(&path, json!({})).await["status"], "cancelled");
    let mut text = String::new();
    while let Some(bytes) = rest.next().await {
        text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
    }
    let last = events(&text).pop().unwrap();
    assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("response_cancelled")));
    rig.upstream.until(|requests| requests[0].cancelled()).await;
    assert_eq!(rig.retrieve(&response).await["status"], "cancelled");
}

#[tokio::test]
async fn a_response_in_the_background_completes_fails_or_is_cancelled() {
    let rig = Rig::start().await;
    let mut body = hi();
    body["background"] = json!(true);
    let queued = rig.ask(body.clone(), &[]).await;
    assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)));
    let completed = rig.until(&queued, "completed").await;
    assert_eq!((&completed["background"], &completed["id"]), (&json!(true), &queued["id"]));
    assert_eq!(rig.asked().json().get("background"), None);

    rig.upstream.next(Behaviour::status(400));
    let failed = rig.ask(body.clone(), &[]).await;
    assert!(rig.until(&failed, "failed").await["error"]["message"].is_string());

    rig.upstream.next(Behaviour::fault(Fault::Silence));
    let endless = rig.ask(body, &[]).await;
    rig.upstream.until(|requests| requests.len() == 3).await;
    let path = format!("/v1/responses/{}/cancel", endless["id"].as_str().unwrap());
    assert_eq!(rig.http.post(&path, json!({})).await["status"], "cancelled");
    rig.upstream.until(|requests| requests[2].cancelled()).await;
    assert_eq!(rig.retrieve(&endless).await["status"], "cancelled");
}

#[tokio::test]
async fn deleting_a_response_that_is_worked_on_ends_the_call_of_the_provider() {
    let rig = Rig::start().await;
    rig.upstream.next(Behaviour::fault(Fault::Silence));
    let mut body = hi();
    body["background"] = json!(true);
    let endless = rig.ask(body, &[]).await;
    rig.upstream.until(|requests| requests.len() == 1).await;
    let path = format!("/v1/responses/{}", endless["id"].as_str().unwrap());
    assert_eq!(rig.http.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
    rig.upstream.until(|requests| requests[0].cancelled()).await;
}

#[tokio::test]
async fn a_compacted_context_comes_back_as_its_summary_for_this_project_only() {
    let rig = Rig::start().await;
    let input = json!([
        { "role": "user", "content": "Review the latest patch." },
        { "role": "assistant", "content": "The patch looks correct." },
        { "role": "user", "content": "Add that test." },
    ]);
    let body = json!({ "model": "gpt-test", "input": input, "instructions": "Keep file names." });
    let compacted: Value = rig.post("/v1/responses/compact", &body, &[]).await.json().await.unwrap();
    assert_eq!(compacted["object"], "response.compaction", "{compacted}");
    let asked = rig.asked().json();
    assert!(asked["instructions"].as_str().unwrap().ends_with("Keep file names."));
    let output = compacted["output"].as_array().unwrap();
    assert_eq!(output[0]["content"], json!([{ "type": "input_text", "text": "Add that test." }]));
    let sealed = output[1]["encrypted_content"].as_str().unwrap();
    assert_eq!((output.len(), &output[1]["type"]), (2, &json!("compaction")));
    // The provider repeats the last message of the user, so that is the summary.
    let summary = asked["input"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();

    let mut next = output.clone();
    next.push(json!({ "role": "user", "content": "Go on." }));
    rig.ask(json!({ "model": "gpt-test", "input": next }), &[]).await;
    let shown = &rig.asked().json()["input"][1];
    assert_eq!(shown["role"], "system");
    assert!(shown["content"].as_str().unwrap().starts_with("[checkpoint]\n"), "{shown}");
    assert!(shown["content"].as_str().unwrap().contains(summary), "{shown} holds {summary}");

    let altered = format!("B{}", &sealed[1..]);
    let item = json!([{ "type": "compaction", "id": "cmp_1", "encrypted_content": altered }]);
    rig.refused(json!({ "model": "gpt-test", "input": item }), 400, "input").await;
    let neither = rig.post("/v1/responses/compact", &json!({ "model": "gpt-test" }), &[]).await;
    assert_eq!(neither.status(), 400);
}

#[tokio::test]
async fn half_a_summary_is_none() {
    let rig = Rig::chat_only().await;
    let cut =
        r#"{"choices":[{"message":{"role":"assistant","content":"The task is"},"finish_reason":"length"}]}"#;
    rig.upstream.next(Behaviour { body: Some(cut.to_owned()), ..Behaviour::default() });
    let answer = rig.post("/v1/responses/compact", &hi(), &[]).await;
    assert_eq!(answer.status(), 502);
    assert_eq!(rig.post("/v1/responses/compact", &hi(), &[]).await.status(), 200);
}
