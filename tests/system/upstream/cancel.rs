//! Ending a call early: by the client that goes away, and by its own deadline.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use zumik_tests::http::answer;
use zumik_tests::upstream::{Behaviour, Fault, Recorded, Upstream};

use super::{CHAT, NATIVE, RESPONSES, frames, header, input, post, question, served, streamed, with_qos};

/// How soon the model must be free again.
const BOUND: Duration = Duration::from_millis(250);

/// Tries for one moment: another program of this machine may delay one, a defect delays all.
const TRIES: usize = 3;

/// When the client goes away.
#[derive(Clone, Copy)]
enum Leaves {
    /// The model has the request.
    Asked,
    /// The model has sent the head of its answer.
    Begun,
    /// So much of the answer is there.
    Reading(&'static str),
}

impl Leaves {
    /// Sends a request, and goes away; the model was asked `before` times. Gives when that was.
    async fn send(self, upstream: &Upstream, before: usize, request: RequestBuilder) -> Instant {
        match self {
            Self::Asked | Self::Begun => {
                let asking = tokio::spawn(request.send());
                let so_far = |asked: &Recorded| asked.begun || matches!(self, Self::Asked);
                upstream.until(|requests| requests.get(before).is_some_and(so_far)).await;
                let gone = Instant::now();
                asking.abort();
                gone
            }
            Self::Reading(text) => {
                let mut response = request.send().await.expect("an answer");
                let mut arrived = String::new();
                while !arrived.contains(text) {
                    let chunk = response.chunk().await.expect("a stream").expect("it goes on");
                    arrived.push_str(&String::from_utf8_lossy(&chunk));
                }
                Instant::now()
            }
        }
    }
}

/// How long the model takes to notice that the client of a request went away.
async fn cancelled_after(upstream: &Upstream, leaves: Leaves, request: RequestBuilder) -> Duration {
    let before = upstream.requests().len();
    let gone = leaves.send(upstream, before, request).await;
    let requests = upstream.until(|requests| requests[before].ended.is_some()).await;
    let request = &requests[before];
    assert!(request.cancelled(), "{request:?}");
    request.ended.expect("it has ended").1.saturating_duration_since(gone)
}

/// On every surface the model is free within the bound.
async fn frees_the_model(fault: Fault, leaves: Leaves, requests: &[(&str, Value)]) {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    for (path, body) in requests {
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            upstream.next(Behaviour::fault(fault));
            quickest = quickest.min(cancelled_after(&upstream, leaves, post(&http, path, body)).await);
            if quickest < BOUND {
                break;
            }
        }
        assert!(quickest < BOUND, "{path} {fault:?}: {quickest:?}");
    }
}

fn streamed_input() -> Value {
    let mut body = input("gpt-test");
    body["stream"] = true.into();
    body
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_frees_the_model() {
    let requests = [
        (CHAT, question("gpt-test")),
        (CHAT, streamed("gpt-test")),
        (RESPONSES, input("gpt-test")),
        (RESPONSES, streamed_input()),
        (NATIVE, input("gpt-test")),
    ];
    frees_the_model(Fault::Silence, Leaves::Asked, &requests).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_token_frees_the_model() {
    let requests = [(CHAT, streamed("gpt-test")), (RESPONSES, streamed_input())];
    frees_the_model(Fault::Stall(0), Leaves::Begun, &requests).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_frees_the_model() {
    frees_the_model(Fault::Stall(3), Leaves::Reading("said: "), &[(CHAT, streamed("gpt-test"))]).await;
    frees_the_model(Fault::Stall(6), Leaves::Reading("said: "), &[(RESPONSES, streamed_input())]).await;
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_is_named() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let qos = json!({ "deadline_ms": 500 });
    let mut native = input("gpt-test");
    native["qos"] = qos.clone();
    let requests = [
        with_qos(post(&http, CHAT, &question("gpt-test")), &qos),
        with_qos(post(&http, CHAT, &streamed("gpt-test")), &qos),
        with_qos(post(&http, RESPONSES, &input("gpt-test")), &qos),
        post(&http, NATIVE, &native),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        upstream.next(Behaviour::fault(Fault::Silence));
        let answer = answer(request).await;
        let error = answer.error();
        assert_eq!(
            (answer.status.as_u16(), &error["code"]),
            (504, &json!("deadline_exceeded")),
            "{answer:?}"
        );
        assert_eq!((&error["type"], &error["param"]), (&json!("api_error"), &json!("qos.deadline_ms")));
        upstream.until(|requests| requests.get(number).is_some_and(Recorded::cancelled)).await;
    }
}

#[tokio::test]
async fn a_deadline_in_mid_stream_ends_it_with_an_error() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    upstream.next(Behaviour::fault(Fault::Stall(3)));
    let request = post(&server.http(), CHAT, &streamed("gpt-test"));
    let answer = answer(with_qos(request, &json!({ "deadline_ms": 300 }))).await;
    assert_eq!(answer.status, 200, "it had begun");
    let (frames, done) = frames(&answer);
    assert!(!done);
    assert_eq!(frames.last().unwrap()["error"]["code"], "deadline_exceeded", "{frames:?}");
    upstream.until(|requests| requests[0].cancelled()).await;
}

#[tokio::test]
async fn a_target_for_the_first_token_is_reported_and_aborts_nothing() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    for (delay, target, met) in [(0, 10_000, "true"), (60, 1, "false")] {
        upstream.next(Behaviour { delay: Duration::from_millis(delay), ..Behaviour::default() });
        let request =
            with_qos(post(&http, CHAT, &question("gpt-test")), &json!({ "target_ttft_ms": target }));
        let answer = answer(request).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "agent-qos-target-met")), (200, met));
    }
}
