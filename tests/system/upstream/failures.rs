//! A model that fails: each row of the contract's table, and never a placeholder in the place of an answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zumik_tests::http::Answer;
use zumik_tests::server::configured;
use zumik_tests::upstream::{Behaviour, Fault, Upstream};

use super::{CHAT, NATIVE, RESPONSES, ask, header, input, question, served, streamed, usage};

/// Asks for the same on every surface, plain and streamed, with this behaviour of the model.
async fn everywhere(behaviour: &Behaviour) -> Vec<(String, Answer)> {
    let mut stream = input("gpt-test");
    stream["stream"] = true.into();
    let mut answers = Vec::new();
    for (path, body) in [
        (CHAT, question("gpt-test")),
        (CHAT, streamed("gpt-test")),
        (RESPONSES, input("gpt-test")),
        (RESPONSES, stream),
        (NATIVE, input("gpt-test")),
    ] {
        // A server of its own for each, so that none finds a breaker open that another one opened.
        let upstream = Upstream::start().await;
        upstream.always(behaviour.clone());
        let server = served(&upstream).await;
        answers.push((format!("{path} {body} with {behaviour:?}"), ask(&server.http(), path, &body).await));
    }
    answers
}

fn assert_error(what: &str, answer: &Answer, status: u16, kind: &str, code: &Value) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    let error = answer.error();
    assert_eq!((&error["type"], &error["code"]), (&json!(kind), code), "{what}");
    assert!(header(answer, "content-type").starts_with("application/json"), "{what}");
    assert_ne!(header(answer, "agent-execution-mode"), "placeholder", "{what}");
}

#[tokio::test]
async fn a_refusal_of_the_model_is_passed_on_with_its_members() {
    let refusal = r#"{"error":{"message":"Too long.","type":"tokens","param":"messages","code":"context_length_exceeded"}}"#;
    for status in [400, 404, 409, 413, 422] {
        let behaviour =
            Behaviour { status: Some(status), body: Some(refusal.to_owned()), ..Behaviour::default() };
        for (what, answer) in everywhere(&behaviour).await {
            assert_error(&what, &answer, status, "invalid_request_error", &json!("context_length_exceeded"));
            assert_eq!(answer.error()["message"], "Too long.", "{what}");
            assert_eq!(answer.error()["param"], "messages", "{what}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_the_provider_refuses_is_never_passed_on() {
    for status in [401, 403] {
        for (what, answer) in everywhere(&Behaviour::status(status)).await {
            assert_error(&what, &answer, 502, "api_error", &json!("provider_error"));
            assert!(!String::from_utf8_lossy(&answer.body).contains("The provider says so."), "{what}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_the_provider_is_ours_with_its_time_to_wait() {
    for (retry_after, expected) in [(None, "1"), (Some(7), "7")] {
        let behaviour = Behaviour { retry_after, ..Behaviour::status(429) };
        for (what, answer) in everywhere(&behaviour).await {
            assert_error(&what, &answer, 429, "rate_limit_error", &json!("rate_limit_exceeded"));
            assert_eq!(header(&answer, "retry-after"), expected, "{what}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_fails_or_talks_rubbish_is_a_bad_gateway() {
    let rubbish = Behaviour { body: Some("<html>It works!</html>".to_owned()), ..Behaviour::default() };
    let half = Behaviour { body: Some("{\"id\":".to_owned()), ..Behaviour::default() };
    for behaviour in [
        Behaviour::status(500),
        Behaviour::status(503),
        Behaviour::fault(Fault::HangUp),
        Behaviour::fault(Fault::Cut(0)),
        rubbish,
        half,
    ] {
        for (what, answer) in everywhere(&behaviour).await {
            assert_error(&what, &answer, 502, "api_error", &json!("provider_error"));
        }
    }
}

#[tokio::test]
async fn an_error_in_the_place_of_the_first_event_is_answered_as_one() {
    let upstream = Upstream::start().await;
    upstream.always(Behaviour::fault(Fault::Error(0)));
    let server = served(&upstream).await;
    for path in [CHAT, RESPONSES] {
        let mut body = if path == CHAT { question("gpt-test") } else { input("gpt-test") };
        body["stream"] = true.into();
        let answer = ask(&server.http(), path, &body).await;
        assert_eq!(answer.status, 502, "{path}: {answer:?}");
        assert_eq!(answer.error()["type"], "api_error", "{path}");
    }
}

/// A whole response with this status, and an error with this code.
fn ended(status: &str, code: &Value) -> Behaviour {
    let error = json!({ "code": code, "message": "It says why." });
    let response = json!({ "id": "resp_upstream", "status": status, "error": error, "output": [] });
    Behaviour { body: Some(response.to_string()), ..Behaviour::default() }
}

#[tokio::test]
async fn a_response_that_failed_at_the_provider_is_answered_as_an_error() {
    for (behaviour, status, code, message) in [
        (ended("failed", &json!("server_error")), 502, "server_error", "It says why."),
        (ended("failed", &Value::Null), 502, "provider_error", "It says why."),
        (ended("cancelled", &Value::Null), 502, "provider_error", "It says why."),
        (ended("failed", &json!("invalid_prompt")), 400, "invalid_prompt", "It says why."),
        (
            ended("in_progress", &Value::Null),
            502,
            "provider_error",
            "The provider of this model gave an answer that is not valid: the response has not ended.",
        ),
        (
            Behaviour { body: Some("{}".to_owned()), ..Behaviour::default() },
            502,
            "provider_error",
            "The provider of this model gave an answer that is not valid: it has no output.",
        ),
    ] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        upstream.always(behaviour.clone());
        let answer = ask(&server.http(), RESPONSES, &input("gpt-test")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.error()["code"]),
            (status, &json!(code)),
            "{behaviour:?}"
        );
        assert_eq!(answer.error()["message"], message, "{behaviour:?}");
        let event = usage::event(&server.http(), header(&answer, "agent-trace-id")).await;
        assert_eq!(
            (&event["status"], &event["qos_outcome"]["completion"]),
            (&json!("failed"), &json!("failed")),
            "{behaviour:?}"
        );
    }
}

#[tokio::test]
async fn responses_that_failed_count_against_the_provider_unless_the_request_is_to_blame() {
    for (code, is_left_alone) in [("server_error", true), ("invalid_prompt", false)] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        upstream.always(ended("failed", &json!(code)));
        for _ in 0..6 {
            ask(&server.http(), RESPONSES, &input("gpt-test")).await.error();
        }
        assert_eq!(upstream.requests().len(), if is_left_alone { 5 } else { 6 }, "{code}");
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_and_says_nothing_of_the_provider() {
    let mut response = input("gpt-test");
    response["stream"] = true.into();
    for (path, body) in [(CHAT, streamed("gpt-test")), (RESPONSES, response), (NATIVE, input("gpt-test"))] {
        for after in [0, 3] {
            let upstream = Upstream::start().await;
            let server = served(&upstream).await;
            let http = server.http();
            upstream.always(Behaviour::fault(Fault::TooLong(after)));
            for _ in 0..6 {
                let answer = ask(&http, path, &body).await;
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(
                    said.contains("Too long.") && said.contains("context_length_exceeded"),
                    "{path}: {said}"
                );
                if after == 0 || path == NATIVE {
                    let code = json!("context_length_exceeded");
                    assert_error(path, &answer, 400, "invalid_request_error", &code);
                    assert_eq!(answer.error()["param"], "messages", "{path}");
                }
            }
            upstream.always(Behaviour::default());
            assert_eq!(ask(&http, path, &body).await.status, 200, "{path}, after {after} events");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_bad_gateway() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    drop(upstream);
    let refused = "The provider of this model cannot be reached: the connection was refused.";
    let alone = format!("{refused} It has failed several times in a row and is left alone for a while.");
    let mut told = Vec::new();
    // Each asks twice, so that the third is the first to be told that it is left alone.
    for _ in 0..4 {
        let answer = ask(&server.http(), CHAT, &question("gpt-test")).await;
        assert_error("nobody listens", &answer, 502, "api_error", &json!("provider_error"));
        told.push(answer.error()["message"].clone());
    }
    assert_eq!(told, [refused, refused, &alone, &alone]);
}

#[tokio::test]
async fn a_base_url_that_cannot_work_is_told_from_a_provider_that_is_down() {
    let (upstream, alert) = (Upstream::start().await, alert().await);
    let plain = upstream.url();
    // No resolver is asked for a name that cannot be one.
    let nowhere = format!("http://{}.invalid/v1", "a".repeat(64));
    for (url, said) in [
        (
            plain.replace("http:", "https:"),
            "TLS was not answered there; its URL may have to begin with http://",
        ),
        (alert, "if the provider takes TLS alone, its URL begins with https://"),
        (nowhere, "the name of its host is not known"),
    ] {
        let server = configured(&format!("[upstreams.test]\nurl = \"{url}\"\nmodels = [\"m\"]\n")).await;
        let answer = ask(&server.http(), CHAT, &question("m")).await;
        assert_error(&url, &answer, 502, "api_error", &json!("provider_error"));
        let message = answer.error()["message"].to_string();
        assert!(message.contains(said), "{url}: {message}");
    }
}

/// The base URL of a server that answers whatever is no TLS with an alert of it.
async fn alert() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Unread bytes would make the end of the connection a reset.
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x02\x46").await;
        }
    });
    format!("http://{address}/v1")
}

#[tokio::test]
async fn what_failed_before_anything_came_is_tried_again() {
    for behaviour in [Behaviour::status(500), Behaviour::status(503), Behaviour::fault(Fault::HangUp)] {
        for body in [question("gpt-test"), streamed("gpt-test")] {
            let upstream = Upstream::start().await;
            let server = served(&upstream).await;
            upstream.next(behaviour.clone());
            let answer = ask(&server.http(), CHAT, &body).await;
            assert_eq!(answer.status, 200, "{behaviour:?}: {answer:?}");
            let requests = upstream.requests();
            assert_eq!(requests.len(), 2);
            assert_eq!(requests[0].body, requests[1].body, "the same question again");
        }
    }
}

#[tokio::test]
async fn what_the_model_refused_or_began_to_answer_is_not_tried_again() {
    for (behaviour, body) in [
        (Behaviour::status(400), question("gpt-test")),
        (Behaviour::status(401), question("gpt-test")),
        (Behaviour::fault(Fault::Cut(3)), streamed("gpt-test")),
        (Behaviour::fault(Fault::Error(3)), streamed("gpt-test")),
    ] {
        let upstream = Upstream::start().await;
        let server = served(&upstream).await;
        upstream.next(behaviour.clone());
        let request = super::post(&server.http(), CHAT, &body);
        // The end of a stream that was cut may be one as well.
        let _ = request.send().await.unwrap().bytes().await;
        assert_eq!(upstream.requests().len(), 1, "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_counts_once() {
    for fault in [Fault::Cut(3), Fault::Error(3), Fault::Rubbish(3)] {
        let upstream = Upstream::start().await;
        upstream.always(Behaviour { pause: Duration::from_millis(50), ..Behaviour::fault(fault) });
        let server = served(&upstream).await;
        let http = server.http();
        // All of them begin before the first breaks, or they would not be in a row.
        let (body, native) = (streamed("gpt-test"), input("gpt-test"));
        tokio::join!(
            ask(&http, CHAT, &body),
            ask(&http, CHAT, &body),
            ask(&http, CHAT, &body),
            ask(&http, NATIVE, &native)
        );
        upstream.always(Behaviour::default());
        let answer = ask(&http, CHAT, &question("gpt-test")).await;
        assert_eq!(answer.status, 200, "four failures are not five ({fault:?}): {answer:?}");
    }
}

#[tokio::test]
async fn a_provider_that_breaks_every_stream_off_is_left_alone() {
    let mut response = input("gpt-test");
    response["stream"] = true.into();
    for (path, body, after) in
        [(CHAT, streamed("gpt-test"), 3), (RESPONSES, response, 6), (NATIVE, input("gpt-test"), 3)]
    {
        for fault in [Fault::Cut(after), Fault::Rubbish(after)] {
            let upstream = Upstream::start().await;
            upstream.always(Behaviour::fault(fault));
            let server = served(&upstream).await;
            let http = server.http();
            for _ in 0..6 {
                ask(&http, path, &body).await;
            }
            assert_eq!(upstream.requests().len(), 5, "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone() {
    let upstream = Upstream::start().await;
    upstream.always(Behaviour::status(500));
    let server = served(&upstream).await;
    let http = server.http();
    for _ in 0..100 {
        let before = upstream.requests().len();
        let answer = ask(&http, CHAT, &question("gpt-test")).await;
        assert_error("a broken provider", &answer, 502, "api_error", &json!("provider_error"));
        if upstream.requests().len() == before {
            return;
        }
    }
    panic!("a hundred failures, and each request still goes there");
}
