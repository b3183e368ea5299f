//! Ending a call early: by the client that goes away, and by its own deadline.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use zumik_tests::http::{Http, answer};
use zumik_tests::upstream::{Behaviour, Fault, Recorded, Upstream};

use super::{CHAT, NATIVE, RESPONSES, frames, header, input, post, question, served, streamed, with_qos};

/// How soon the model must be free again.
const BOUND: Duration = Duration::from_millis(250);

/// Tries for one moment: another program of this machine may delay one, a defect delays all.
const TRIES: usize = 3;

/// Sends until the model has it and, when `reads` is set, until so much of the answer is there; then goes away. Gives how
/// long the model took to notice.
async fn cancelled_after(upstream: &Upstream, request: RequestBuilder, reads: Option<&str>) -> Duration {
    let before = upstream.requests().len();
    let gone = match reads {
        None => {
            let asking = tokio::spawn(request.send());
            upstream.until(|requests| requests.len() > before).await;
            // What it sends of its answer is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let gone = Instant::now();
            asking.abort();
            gone
        }
        Some(wanted) => {
            let mut response = request.send().await.expect("an answer");
            let mut arrived = String::new();
            while !arrived.contains(wanted) {
                let chunk = response.chunk().await.expect("a stream").expect("it goes on");
                arrived.push_str(&String::from_utf8_lossy(&chunk));
            }
            let gone = Instant::now();
            drop(response);
            gone
        }
    };
    let requests = upstream.until(|requests| requests[before].ended.is_some()).await;
    let request = &requests[before];
    assert!(request.cancelled(), "{request:?}");
    request.ended.expect("it has ended").1.saturating_duration_since(gone)
}

/// Every surface in one moment.
async fn within_the_bound(fault: Fault, reads: Option<&str>, requests: &[(&str, Value)]) {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http: Http = server.http();
    for (path, body) in requests {
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            upstream.next(Behaviour::fault(fault));
            quickest = quickest.min(cancelled_after(&upstream, post(&http, path, body), reads).await);
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
    within_the_bound(Fault::Silence, None, &requests).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_token_frees_the_model() {
    let requests = [(CHAT, streamed("gpt-test")), (RESPONSES, streamed_input())];
    within_the_bound(Fault::Stall(0), None, &requests).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_frees_the_model() {
    within_the_bound(Fault::Stall(3), Some("said: "), &[(CHAT, streamed("gpt-test"))]).await;
    within_the_bound(Fault::Stall(6), Some("said: "), &[(RESPONSES, streamed_input())]).await;
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
