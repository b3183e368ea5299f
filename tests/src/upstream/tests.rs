//! The provider keeps to what it is told, so that what the tests conclude from it is true.

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::{Value, json};

use super::{Behaviour, Ended, Fault, Upstream};
use crate::http::bare;

async fn chat(upstream: &Upstream, body: Value) -> reqwest::Result<Response> {
    bare().post(format!("{}/chat/completions", upstream.url())).json(&body).send().await
}

fn question(stream: bool) -> Value {
    json!({ "model": "gpt-test", "messages": [{ "role": "user", "content": "Is this off by one?" }], "stream": stream })
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes() {
    let upstream = Upstream::start().await;
    for stream in [false, true] {
        let first = chat(&upstream, question(stream)).await.unwrap().bytes().await.unwrap();
        let again = chat(&upstream, question(stream)).await.unwrap().bytes().await.unwrap();
        assert_eq!(first, again);
        assert!(String::from_utf8_lossy(&first).contains("off "));
    }
}

#[tokio::test]
async fn what_it_was_asked_is_there_byte_for_byte_and_has_ended() {
    let upstream = Upstream::start().await;
    chat(&upstream, question(true)).await.unwrap().bytes().await.unwrap();
    let requests = upstream.until(|requests| requests.iter().all(|request| request.ended.is_some())).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, question(true).to_string());
    assert_eq!(requests[0].ended.unwrap().0, Ended::Sent);
}

#[tokio::test]
async fn a_peer_that_goes_away_in_any_moment_is_noticed() {
    let upstream = Upstream::start().await;
    for fault in [Fault::Silence, Fault::Stall(0), Fault::Stall(3)] {
        upstream.next(Behaviour::fault(fault));
        let before = upstream.requests().len();
        let asking = tokio::spawn({
            let request = bare().post(format!("{}/chat/completions", upstream.url())).json(&question(true));
            async move { request.send().await.unwrap().bytes().await }
        });
        upstream.until(|requests| requests.len() > before).await;
        asking.abort();
        upstream.until(|requests| requests[before].cancelled()).await;
    }
}

#[tokio::test]
async fn a_cut_stream_breaks_and_an_ended_one_does_not() {
    let upstream = Upstream::start().await;
    upstream.next(Behaviour::fault(Fault::Cut(2)));
    let chunks: Vec<_> = chat(&upstream, question(true)).await.unwrap().bytes_stream().collect().await;
    assert!(chunks.last().unwrap().is_err());

    upstream.next(Behaviour::fault(Fault::End(2)));
    let body = chat(&upstream, question(true)).await.unwrap().text().await.unwrap();
    assert_eq!(body.matches("data: ").count(), 2);
    assert!(!body.contains("[DONE]"));

    upstream.next(Behaviour::fault(Fault::HangUp));
    assert!(chat(&upstream, question(false)).await.is_err());
}

#[tokio::test]
async fn pieces_cut_through_frames_and_lose_nothing() {
    let upstream = Upstream::start().await;
    let whole = chat(&upstream, question(true)).await.unwrap().bytes().await.unwrap();
    upstream.next(Behaviour { pieces_of: Some(7), ..Behaviour::default() });
    let pieces = chat(&upstream, question(true)).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole, pieces);
}

#[tokio::test]
async fn the_name_of_the_model_and_the_control_path_say_how_it_answers() {
    let upstream = Upstream::start().await;
    let mut named = question(false);
    named["model"] = "gpt-test?status=429&retry_after=2".into();
    let answer = chat(&upstream, named).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "2"));

    let control = upstream.url().replace("/v1", "/control/next?status=503");
    assert_eq!(bare().post(control).send().await.unwrap().status(), 200);
    assert_eq!(chat(&upstream, question(false)).await.unwrap().status(), 503);
    assert_eq!(chat(&upstream, question(false)).await.unwrap().status(), 200);
}
