//! The default transport against real sockets on the loopback interface.

use std::time::Duration;

use httpmock::MockServer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zumik_client::transport::{ReqwestError, TransportError};
use zumik_client::{Error, ErrorKind, Outcome, Zumik};

use crate::common::*;

fn client(base_url: &str) -> Zumik {
    Zumik::builder().api_key("zk_test_x").base_url(base_url).max_retries(0).build().unwrap()
}

/// Serves each connection with `serve`; gives the base URL.
async fn listen<F, S>(serve: F) -> String
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

/// Reads a request up to the end of its head.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"done\":true}";

async fn failure(base_url: &str) -> Error {
    client(base_url).call(Create).await.unwrap_err()
}

#[tokio::test]
async fn a_call_goes_over_the_wire_as_it_was_built() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|when, then| {
            when.method("POST")
                .path("/v2/artifacts")
                .query_param("q", "a b")
                .header("authorization", "Bearer zk_test_x")
                .header("content-type", "application/json")
                .header_exists("agent-idempotency-key")
                .json_body(json!({ "artifact_type": "policy", "content": "x" }));
            then.status(200).header("agent-trace-id", "trc_1").json_body(json!({ "done": true }));
        })
        .await;
    let client = client(&server.base_url());
    let answer = client.call(Create).query("q", "a b").send().await.unwrap();
    assert_eq!(answer["done"], true);
    assert_eq!(answer.meta().trace_id().unwrap().as_str(), "trc_1");
    mock.assert_async().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_the_key_stays_with_its_host() {
    let elsewhere = MockServer::start_async().await;
    let caught = elsewhere.mock_async(|_, then| drop(then.status(200).json_body(json!({})))).await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start_async().await;
        server
            .mock_async(|_, then| {
                drop(then.status(status).header("location", elsewhere.url("/v2/artifacts")))
            })
            .await;
        let error = failure(&server.base_url()).await;
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Status, status));
        let error = client(&server.base_url()).call(List).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status);
    }
    assert_eq!(caught.calls_async().await, 0);
}

#[tokio::test]
async fn retry_after_is_obeyed_between_real_attempts() {
    let server = MockServer::start_async().await;
    let mock = server
        .mock_async(|_, then| {
            let error = json!({ "error": { "message": "slow", "type": "rate_limit_error", "code": "rate_limit_exceeded" } });
            then.status(429).header("retry-after", "0.05").json_body(error);
        })
        .await;
    let error = client(&server.base_url()).call(List).max_retries(1).await.unwrap_err();
    assert_eq!((error.attempts(), error.retry_after()), (2, Some(Duration::from_millis(50))));
    assert_eq!(mock.calls_async().await, 2);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = failure(&url).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotSent));
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    let lost = error.cause().unwrap().downcast_ref::<TransportError>().unwrap();
    assert!(lost.cause().downcast_ref::<ReqwestError>().unwrap().is_connect());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_sent() {
    let error = failure("http://nobody.invalid").await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotSent));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_sent() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let url = listen(move |mut stream| async move {
            // Unread bytes would make the end of the connection a reset.
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let error = failure(&url.replace("http://", "https://")).await;
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotSent), "{error}");
        assert!(error.to_string().contains("may have to begin with http://"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_tls_alone_is_told_by_its_alert() {
    let url = listen(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x02\x46").await;
    })
    .await;
    let error = failure(&url).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Interrupted, Outcome::Ambiguous), "{error}");
    assert!(error.to_string().contains("may have to begin with https://"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_ambiguous() {
    let url = listen(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let error = failure(&url).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Interrupted, Outcome::Ambiguous), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_ambiguous() {
    let url = listen(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(&OK[..OK.len() - 3]).await.unwrap();
    })
    .await;
    let error = failure(&url).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Interrupted, Outcome::Ambiguous), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_ambiguous() {
    let url = listen(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"220 smtp.example ready\r\n").await.unwrap();
    })
    .await;
    assert_eq!(failure(&url).await.outcome(), Outcome::Ambiguous);
}

#[tokio::test]
async fn a_slow_body_is_bounded_by_the_limit_of_an_attempt() {
    let url = listen(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(&OK[..OK.len() - 3]).await.unwrap();
        std::future::pending().await
    })
    .await;
    let error = client(&url).call(Create).attempt_timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Ambiguous));
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_replaced_when_the_server_has_closed_it() {
    let url = listen(|mut stream| async move {
        // Two requests on a connection, then the server goes away without a word.
        for _ in 0..2 {
            let head = read_head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            let peer = stream.peer_addr().unwrap().port().to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{peer}", peer.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = client(&url);
    let mut ports = Vec::new();
    for _ in 0..4 {
        ports.push(client.call(List).await.unwrap());
    }
    assert_eq!(ports[0], ports[1]);
    assert_eq!(ports[2], ports[3]);
    assert_ne!(ports[0], ports[2]);
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let server = MockServer::start_async().await;
    let large = "ä".repeat(500_000);
    let answer = json!({ "text": large });
    server.mock_async(|_, then| drop(then.status(200).json_body(answer.clone()))).await;
    let client = client(&server.base_url());
    let received = client.call(Create).body_field("content", &large).await.unwrap();
    assert_eq!(received, answer);
}
