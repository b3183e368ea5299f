//! Streams: forwarded as they come, whole or plainly broken, and replayed byte for byte.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zumik_tests::http::answer;
use zumik_tests::server::configured;
use zumik_tests::upstream::{Behaviour, Fault, Upstream};

use super::{CHAT, NATIVE, RESPONSES, ask, frames, header, input, post, question, served, streamed, text};

#[tokio::test]
async fn a_stream_is_the_plain_answer_in_the_contract_s_frames() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let plain = ask(&http, CHAT, &question("gpt-test")).await.json();
    let answer = ask(&http, CHAT, &streamed("gpt-test")).await;
    assert_eq!(header(&answer, "content-type").split(';').next(), Some("text/event-stream"));
    assert_eq!(header(&answer, "cache-control"), "no-cache");
    let (frames, done) = frames(&answer);
    assert!(done);
    assert_eq!(text(&frames), plain["choices"][0]["message"]["content"]);
    for frame in &frames {
        assert!(frame["id"].as_str().unwrap().starts_with("chatcmpl-rsp_"), "{frame}");
        for member in ["id", "created", "model", "object"] {
            assert_eq!(frame[member], frames[0][member]);
        }
        assert!(frame["usage"].is_null(), "usage was not asked for: {frame}");
        assert_eq!(frame["choices"].as_array().unwrap().len(), 1, "{frame}");
    }
    assert_eq!(
        (&frames[0]["model"], &frames[0]["object"]),
        (&json!("gpt-test"), &json!("chat.completion.chunk"))
    );
    assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(frames.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn the_usage_frame_comes_once_and_only_when_it_is_asked_for() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let mut body = streamed("gpt-test?cached_tokens=2");
    body["stream_options"] = json!({ "include_usage": true });
    let (mut frames, done) = frames(&ask(&server.http(), CHAT, &body).await);
    assert!(done);
    let last = frames.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    assert!(frames.iter().all(|frame| frame["usage"].is_null()));
}

#[tokio::test]
async fn it_does_not_matter_how_the_bytes_are_cut() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let (whole, _) = frames(&ask(&http, CHAT, &streamed("gpt-test")).await);
    for length in [1, 7, 100] {
        upstream.next(Behaviour { pieces_of: Some(length), ..Behaviour::default() });
        let (pieces, done) = frames(&ask(&http, CHAT, &streamed("gpt-test")).await);
        assert!(done);
        assert_eq!(text(&pieces), text(&whole));
        assert_eq!(pieces.len(), whole.len());
    }
}

#[tokio::test]
async fn huge_events_go_through() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let behaviour =
        Behaviour { chunks: Some(2), size: Some(900_000), pieces_of: Some(8_191), ..Behaviour::default() };
    upstream.next(behaviour);
    let (frames, done) = frames(&ask(&server.http(), CHAT, &streamed("gpt-test")).await);
    assert!(done);
    assert_eq!(text(&frames).len(), 1_800_000);
}

#[tokio::test]
async fn a_chat_that_breaks_off_ends_with_an_error_and_without_done() {
    for fault in [Fault::Cut(3), Fault::End(3), Fault::Error(3), Fault::Rubbish(3)] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        upstream.next(Behaviour::fault(fault));
        let (frames, done) = frames(&ask(&server.http(), CHAT, &streamed("gpt-test")).await);
        assert!(!done, "{fault:?}");
        let error = &frames.last().unwrap()["error"];
        assert!(error["message"].is_string() && error["type"].is_string(), "{fault:?}: {frames:?}");
        assert_eq!(text(&frames), "You said: ", "{fault:?}: what came is delivered");
    }
}

#[tokio::test]
async fn a_chat_that_ends_in_order_after_its_last_word_lacks_nothing() {
    for (fault, ends) in [(Fault::End(3), true), (Fault::Cut(3), false), (Fault::End(2), false)] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        let http = server.http();
        // The role, the text and the end of the answer, but neither usage nor terminator.
        upstream.always(Behaviour { chunks: Some(1), ..Behaviour::fault(fault) });
        let (_, done) = frames(&ask(&http, CHAT, &streamed("gpt-test")).await);
        assert_eq!(done, ends, "{fault:?}");
        let native = ask(&http, NATIVE, &input("gpt-test")).await;
        assert_eq!(native.status, if ends { 200 } else { 502 }, "{fault:?}");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_says_so_in_its_last_event() {
    for fault in [Fault::Cut(6), Fault::End(6), Fault::Rubbish(6)] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        upstream.next(Behaviour::fault(fault));
        let mut body = input("gpt-test");
        body["stream"] = true.into();
        let (events, _) = frames(&ask(&server.http(), RESPONSES, &body).await);
        let last = events.last().unwrap();
        assert!(last["type"] == "response.failed" || last["type"] == "error", "{fault:?}: {last}");
    }
}

#[tokio::test]
async fn chunks_come_while_the_model_is_still_at_it() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    upstream.next(Behaviour::fault(Fault::Stall(3)));
    let mut response = post(&server.http(), CHAT, &streamed("gpt-test")).send().await.unwrap();
    let mut arrived = String::new();
    while !arrived.contains("said: ") {
        arrived.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(upstream.requests()[0].ended.is_none(), "the model has not ended");
}

#[tokio::test]
async fn a_stream_under_a_key_is_replayed_byte_for_byte() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let mut responses = input("gpt-test");
    responses["stream"] = true.into();
    for (path, body) in [(CHAT, streamed("gpt-test")), (RESPONSES, responses)] {
        let asked = upstream.requests().len();
        let keyed = |body: &Value| post(&http, path, body).header("Agent-Idempotency-Key", "once");
        let first = answer(keyed(&body)).await;
        let again = answer(keyed(&body)).await;
        assert_eq!(
            (header(&first, "agent-idempotent-replay"), header(&again, "agent-idempotent-replay")),
            ("false", "true")
        );
        assert_eq!(first.body, again.body);
        for name in ["content-type", "agent-trace-id", "agent-resolved-model", "agent-execution-mode"] {
            assert_eq!(header(&first, name), header(&again, name), "{name}");
        }
        assert_eq!(upstream.requests().len(), asked + 1, "the model is asked once");
    }
}

#[tokio::test]
async fn a_stream_that_broke_off_frees_its_key() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    upstream.next(Behaviour::fault(Fault::Cut(3)));
    let keyed = || post(&http, CHAT, &streamed("gpt-test")).header("Agent-Idempotency-Key", "once");
    let (_, done) = frames(&answer(keyed()).await);
    assert!(!done);
    let again = answer(keyed()).await;
    assert_eq!(header(&again, "agent-idempotent-replay"), "false", "{again:?}");
    assert!(frames(&again).1);
}

/// A provider whose chats are streams of more than 128 MiB, with two words between a lot of comments.
async fn wordless() -> (String, tokio::task::JoinHandle<()>) {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "choices": [choice] }))
    };
    let first = HEAD.to_owned() + &chunk(json!({ "content": "Hi " }), Value::Null);
    let last = chunk(json!({ "content": "you" }), "stop".into()) + "data: [DONE]\n\n";
    let comment = format!(":{}\n\n", " ".repeat(8 << 20));
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") && !asked.starts_with(b"GET ") {
                assert!(stream.read_buf(&mut asked).await.unwrap() > 0, "a request");
            }
            // It has no list of models: the connection ends.
            if asked.starts_with(b"GET ") {
                continue;
            }
            for part in [&first].into_iter().chain([&comment; 17]).chain([&last]) {
                // The server goes away once it has had enough.
                if stream.write_all(part.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    (url, serving)
}

#[tokio::test]
async fn an_answer_that_is_kept_has_an_end_and_one_that_is_passed_on_has_none() {
    let (url, provider) = wordless().await;
    let settings = format!("[upstreams.test]\nurl = \"{url}\"\nmodels = [\"gpt-test\"]\nresponses = false\n");
    let server = configured(&settings).await;
    let http = server.http();
    let (passed_on, done) = frames(&ask(&http, CHAT, &streamed("gpt-test")).await);
    assert!(done, "{passed_on:?}");
    assert_eq!(text(&passed_on), "Hi you");
    let native = ask(&http, NATIVE, &input("gpt-test")).await;
    assert_eq!((native.status.as_u16(), &native.error()["code"]), (502, &json!("provider_error")));
    let mut body = input("gpt-test");
    body["stream"] = true.into();
    let (events, _) = frames(&ask(&http, RESPONSES, &body).await);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed", "{last}");
    assert_eq!(last["response"]["error"]["code"], "provider_error", "{last}");
    provider.abort();
}
