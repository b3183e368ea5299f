//! What the model gets is what the client sent.

use std::env;

use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};
use zumik_tests::http::{Http, answer};
use zumik_tests::server::configured;
use zumik_tests::upstream::Upstream;

use super::{CHAT, NATIVE, RESPONSES, ask, header, input, post, provider, question, served};

/// A variable that cargo sets for every test.
const KEY_ENV: &str = "CARGO_PKG_NAME";

#[tokio::test]
async fn members_go_through_byte_for_byte_and_in_order_known_or_not() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let members = [
        r#""x_unknown":{"b":1.0,"a":[1e2,"\u00e9",-0],"c":null}"#,
        r#""messages":[{"role":"user","content":"hi","x_part":[]}]"#,
        r#""seed":123456789012345678901234567890"#,
        r#""temperature":0.70"#,
        r#""metadata":{"z":"1","a":"2"}"#,
    ];
    let body = format!(r#"{{"model":"gpt-test",{}}}"#, members.join(","));
    let request = server.http().request(Method::POST, CHAT).header("content-type", "application/json");
    assert_eq!(answer(request.body(body)).await.status, 200);
    let forwarded = String::from_utf8(upstream.requests()[0].body.to_vec()).unwrap();
    let places =
        members.map(|member| forwarded.find(member).unwrap_or_else(|| panic!("{member} in {forwarded}")));
    assert!(places.is_sorted(), "{forwarded}");
}

#[tokio::test]
async fn unknown_members_of_responses_and_embeddings_go_through_as_well() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    for (path, mut body) in
        [(RESPONSES, input("gpt-test")), ("/v1/embeddings", json!({ "model": "gpt-test", "input": "hi" }))]
    {
        body["x_unknown"] = json!({ "deep": [1, { "a": null }] });
        body["user"] = "user-1".into();
        assert_eq!(ask(&server.http(), path, &body).await.status, 200);
        let asked = upstream.requests().pop().unwrap();
        assert_eq!(asked.path, path);
        for member in ["x_unknown", "user", "input"] {
            assert_eq!(asked.json()[member], body[member], "{path} {member}");
        }
    }
}

#[tokio::test]
async fn the_model_gets_the_key_of_its_provider_and_nothing_of_ours() {
    let upstream = Upstream::start().await;
    let server = configured(&format!("{}key_env = \"{KEY_ENV}\"\n", provider("test", &upstream))).await;
    let http = server.http();
    let request = post(&http, CHAT, &question("gpt-test"));
    let request = request.header("Agent-Idempotency-Key", "once").header("Agent-Trace-Mode", "metadata");
    assert_eq!(answer(request.header("Cookie", "a=b")).await.status, 200);
    let asked = upstream.requests().pop().unwrap();
    assert_eq!(asked.header("authorization").unwrap(), format!("Bearer {}", env::var(KEY_ENV).unwrap()));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let leaked = asked.headers.iter().filter(|(name, value)| {
        name.as_str().starts_with("agent-")
            || name.as_str() == "cookie"
            || String::from_utf8_lossy(value.as_bytes()).contains("zk_live_")
    });
    assert_eq!(leaked.count(), 0, "{:?}", asked.headers);
}

#[tokio::test]
async fn an_answer_is_the_model_s_under_our_id_and_the_requested_name() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let answer = ask(&server.http(), CHAT, &question("gpt-test?cached_tokens=2")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-rsp_"), "{body}");
    assert_eq!(body["model"], "gpt-test?cached_tokens=2");
    assert_eq!(body["choices"][0]["message"]["content"], "You said: Is this off by one?");
    assert_eq!(body["system_fingerprint"], "fp_upstream");
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    for (name, value) in [
        ("agent-resolved-provider", "test"),
        ("agent-execution-mode", "live"),
        ("agent-execution-profile", "managed_provider"),
        ("agent-region", "eu"),
        ("agent-qos-admission", "admitted"),
        ("agent-qos-degraded", "false"),
        ("agent-alias-release", ""),
    ] {
        assert_eq!(header(&answer, name), value, "{name}");
    }
    assert!(header(&answer, "agent-resolved-model").starts_with("gpt-test"));
    assert_eq!(header(&answer, "agent-trace-id"), header(&answer, "x-request-id"));
}

/// A session with a bundle and one message of the user.
async fn session(http: &Http) -> Value {
    let artifact = async |kind: &str, content: &str| {
        let body = json!({ "artifact_type": kind, "content": content });
        http.post("/v2/artifacts", body).await["id"].clone()
    };
    let policy = artifact("policy", "Be terse.").await;
    let message = artifact("text_context", "Here is the patch.").await;
    let items = json!({ "items": [{ "artifact_id": policy, "role": "system" }] });
    let bundle = http.post("/v2/bundles", items).await;
    let session = http.post("/v2/sessions", json!({ "base_bundle_ids": [bundle["id"]] })).await;
    let (id, branch) = (session["id"].as_str().unwrap(), session["default_branch_id"].as_str().unwrap());
    let append =
        json!({ "expected_version": 0, "event": { "event_type": "user_message", "payload_ref": message } });
    http.post(&format!("/v2/sessions/{id}/branches/{branch}/events"), append).await;
    session
}

#[tokio::test]
async fn a_session_is_compiled_in_front_of_what_the_request_says() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let session = session(&http).await;
    let id = session["id"].as_str().unwrap();
    let compiled = [("system", "Be terse."), ("user", "Here is the patch."), ("user", "Is this off by one?")];

    let chat = answer(post(&http, CHAT, &question("gpt-test")).header("Agent-Session-Ref", id)).await;
    assert_eq!(chat.status, 200, "{chat:?}");
    let mut native = input("gpt-test");
    native["session_id"] = id.into();
    let native = ask(&http, NATIVE, &native).await;
    assert_eq!(native.status, 200, "{native:?}");
    let response = answer(post(&http, RESPONSES, &input("gpt-test")).header("Agent-Session-Ref", id)).await;
    assert_eq!(response.status, 200, "{response:?}");
    for asked in upstream.requests() {
        let body = asked.json();
        let messages = if asked.path == RESPONSES { &body["input"] } else { &body["messages"] };
        let text =
            |content: &Value| content.as_str().or_else(|| content[0]["text"].as_str()).map(str::to_owned);
        let said: Vec<_> = messages
            .as_array()
            .unwrap_or_else(|| panic!("{body}"))
            .iter()
            .map(|message| (message["role"].as_str().unwrap().to_owned(), text(&message["content"]).unwrap()))
            .collect();
        assert_eq!(said, compiled.map(|(role, text)| (role.to_owned(), text.to_owned())), "{}", asked.path);
    }
    assert_eq!(upstream.requests().len(), 3);

    let unknown = post(&http, CHAT, &question("gpt-test")).header("Agent-Session-Ref", "ses_unknown");
    let refused = answer(unknown).await;
    assert_eq!((refused.status.as_u16(), &refused.error()["param"]), (400, &json!("Agent-Session-Ref")));
    assert_eq!(upstream.requests().len(), 3, "a refused request reaches no model");
}

#[tokio::test]
async fn what_the_contract_refuses_reaches_no_model() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let with = |member: &str, value: Value| {
        let mut body = question("gpt-test");
        body[member] = value;
        body
    };
    let refused = [
        (with("messages", json!([])), "messages"),
        (with("messages", json!("hi")), "messages"),
        (with("messages", json!([{ "role": "robot", "content": "hi" }])), "messages[0].role"),
        (with("messages", json!([{ "role": "user", "content": null }])), "messages[0].content"),
        (with("messages", json!([{ "role": "user" }])), "messages[0].content"),
        (with("model", json!(7)), "model"),
        (with("model", Value::Null), "model"),
        (with("temperature", json!(2.5)), "temperature"),
        (with("max_tokens", json!(0)), "max_tokens"),
        (with("stream", json!("yes")), "stream"),
        (with("stream_options", json!({ "include_usage": true })), "stream_options"),
    ];
    for (body, param) in refused {
        let answer = ask(&http, CHAT, &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert_eq!(answer.error()["param"], param, "{body}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn embeddings_come_in_the_form_that_was_asked_for() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let mut body = json!({ "model": "gpt-test", "input": ["first", "second"], "encoding_format": "base64" });
    let encoded = ask(&http, "/v1/embeddings", &body).await.json();
    body["encoding_format"] = "float".into();
    let plain = ask(&http, "/v1/embeddings", &body).await.json();
    for index in 0..2 {
        let bytes =
            base64::prelude::BASE64_STANDARD.decode(encoded["data"][index]["embedding"].as_str().unwrap());
        let numbers: Vec<f32> =
            bytes.unwrap().chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let expected: Vec<f32> = serde_json::from_value(plain["data"][index]["embedding"].clone()).unwrap();
        assert_eq!(numbers, expected);
    }
    assert_eq!(plain["model"], "gpt-test");
}
