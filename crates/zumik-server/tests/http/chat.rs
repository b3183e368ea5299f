//! Chat completions, embeddings and models of a server without an upstream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::host::{Answer, Host};

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

fn question() -> Value {
    json!({ "model": "code.fast", "messages": [{ "role": "user", "content": "Is this loop off by one?" }] })
}

fn with(member: &str, value: Value) -> Value {
    let mut body = question();
    body[member] = value;
    body
}

/// The data of a stream's events; the last one must be the terminator, which is left out.
#[track_caller]
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let text = answer.text();
    let mut data: Vec<&str> = text.split("\n\n").filter(|event| !event.is_empty()).collect();
    assert_eq!(data.pop(), Some("data: [DONE]"), "{text}");
    data.into_iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_placeholder_has_the_shape_of_an_answer_and_says_what_it_is() {
    let host = Host::start().await;
    let answer = host.post(CHAT, question()).await;
    assert_eq!(answer.header("agent-execution-mode"), Some("placeholder"));
    assert!(answer.header("agent-alias-release").unwrap().starts_with("alr_"));
    let body = answer.json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-rsp_"), "{body}");
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("code.fast")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    let again = host.post(CHAT, question()).await.json();
    assert_eq!(again["choices"], body["choices"], "the same question, the same answer");

    let cut = host.post(CHAT, with("max_tokens", json!(2))).await.json();
    assert_eq!(
        (&cut["choices"][0]["finish_reason"], &cut["usage"]["completion_tokens"]),
        (&json!("length"), &json!(2))
    );
}

#[tokio::test]
async fn a_placeholder_stream_has_its_frames_in_the_documented_order() {
    let host = Host::start().await;
    let whole = host.post(CHAT, question()).await.json();
    let mut body = with("stream", json!(true));
    body["stream_options"] = json!({ "include_usage": true });
    let events = events(&host.post(CHAT, body).await);
    let [role, content @ .., finish, usage] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        role["choices"],
        json!([{ "index": 0, "delta": { "role": "assistant" }, "finish_reason": null }])
    );
    let text: String =
        content.iter().map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(finish["choices"], json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]));
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    for event in &events {
        for member in ["id", "object", "created", "model"] {
            assert_eq!(event[member], role[member]);
        }
    }
    assert!(events[..events.len() - 1].iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn a_stream_under_a_key_is_recorded_and_replayed() {
    let host = Host::start().await;
    let keyed = async |body: Value| host.post_with(CHAT, body, &[("Agent-Idempotency-Key", "k")]).await;
    let first = keyed(with("stream", json!(true))).await;
    let again = keyed(with("stream", json!(true))).await;
    assert_eq!(first.header("agent-idempotent-replay"), Some("false"));
    assert_eq!(again.header("agent-idempotent-replay"), Some("true"));
    assert_eq!((&first.body, first.header("agent-trace-id")), (&again.body, again.header("agent-trace-id")));
    events(&again);
    keyed(question()).await.refused(422, "idempotency_key_reused", "");
}

#[tokio::test]
async fn what_a_placeholder_cannot_honor_is_refused() {
    let host = Host::start().await;
    let image =
        json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:," } }] }]);
    for (body, param) in [
        (with("tool_choice", json!("required")), "tool_choice"),
        (with("tool_choice", json!({ "type": "function", "function": { "name": "f" } })), "tool_choice"),
        (with("response_format", json!({ "type": "json_object" })), "response_format"),
        (with("n", json!(2)), "n"),
        (with("n", json!(0)), "n"),
        (with("n", json!("2")), "n"),
        (with("logprobs", json!(true)), "logprobs"),
        (with("modalities", json!(["text", "audio"])), "modalities"),
        (with("messages", image), "messages[0].content[0].type"),
    ] {
        host.post(CHAT, body).await.refused(400, "", param);
    }
    let honored = json!({
        "model": "auto", "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Hi" }] }],
        "tool_choice": "auto", "tools": [{ "type": "function", "function": { "name": "f" } }],
        "response_format": { "type": "text" }, "n": 1, "logprobs": false, "modalities": ["text"], "temperature": 2, "seed": 7,
    });
    assert_eq!(host.post(CHAT, honored).await.status, 200);
    host.post(CHAT, with("model", json!("gpt-4o"))).await.refused(404, "model_not_found", "model");
}

#[tokio::test]
async fn a_session_comes_before_the_messages() {
    let host = Host::start().await;
    let artifact = host.artifact("Always run the linter.").await;
    let (session, _) = host.session(&[&artifact]).await;
    let tokens = async |headers: &[(&str, &str)]| {
        let answer = host.post_with(CHAT, question(), headers).await;
        answer.json()["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    assert!(tokens(&[("Agent-Session-Ref", &session)]).await > tokens(&[]).await);
    for session in ["ses_none", "nonsense", ""] {
        let answer = host.post_with(CHAT, question(), &[("Agent-Session-Ref", session)]).await;
        answer.refused(400, "", "Agent-Session-Ref");
    }
}

#[tokio::test]
async fn local_vectors_are_a_function_of_the_text() {
    let host = Host::start().await;
    let body = json!({ "model": "auto.cheapest", "input": ["first chunk", "second chunk"] });
    let answer = host.post(EMBEDDINGS, body).await;
    assert_eq!(answer.header("agent-execution-mode"), Some("placeholder"));
    let plain = answer.json();
    assert_eq!((&plain["object"], plain.get("has_more")), (&json!("list"), None));
    assert_eq!(plain["usage"]["prompt_tokens"], plain["usage"]["total_tokens"]);
    let vector = |embeddings: &Value, index: usize| -> Vec<f32> {
        serde_json::from_value(embeddings["data"][index]["embedding"].clone()).unwrap()
    };
    assert_eq!((vector(&plain, 0).len(), &plain["data"][1]["index"]), (256, &json!(1)));

    let one = json!({ "model": "auto", "input": "second chunk" });
    assert_eq!(vector(&host.post(EMBEDDINGS, one).await.json(), 0), vector(&plain, 1));

    let encoded =
        json!({ "model": "auto", "input": "second chunk", "encoding_format": "base64", "dimensions": 8 });
    let encoded = host.post(EMBEDDINGS, encoded).await.json();
    let bytes = STANDARD.decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> =
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(decoded.len(), 8);
    let short = json!({ "model": "auto", "input": "second chunk", "dimensions": 8 });
    assert_eq!(vector(&host.post(EMBEDDINGS, short).await.json(), 0), decoded);

    let unknown = host.post(EMBEDDINGS, json!({ "model": "text-embedding-3", "input": "a" })).await;
    unknown.refused(404, "", "");
}

#[tokio::test]
async fn embeddings_can_be_attached_to_a_session_that_takes_them() {
    let host = Host::start().await;
    let (session, branch) = host.session(&[]).await;
    let body = json!({ "model": "auto", "input": "a chunk" });
    let ask = async |session: &str| {
        host.post_with(EMBEDDINGS, body.clone(), &[("Agent-Session-Ref", session)]).await
    };
    assert_eq!(ask(&session).await.status, 200);
    let event = host.get("/v2/usage").await.json()["data"][0].clone();
    assert_eq!((&event["session_id"], &event["branch_id"]), (&json!(session), &json!(branch)));
    for session in ["ses_none", "nonsense", ""] {
        ask(session).await.refused(400, "", "Agent-Session-Ref");
    }
    host.make(&format!("/v2/sessions/{session}"), json!({ "status": "archived" })).await;
    ask(&session).await.refused(409, "session_not_active", "");
}

#[tokio::test]
async fn models_are_the_aliases_in_order() {
    let host = Host::start().await;
    let list = host.get("/v1/models").await.json();
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.contains(&"code.fast"), "{ids:?}");
    let one = host.get("/v1/models/code.fast").await.json();
    let expected =
        json!({ "id": "code.fast", "object": "model", "created": 1_750_000_000, "owned_by": "zumik" });
    assert_eq!(one, expected);
    for path in ["/v1/models/code.unknown", "/v1/models/accounts/fireworks/models/llama", "/v1/models/a%2Fb"]
    {
        host.get(path).await.refused(404, "", "");
    }
}
