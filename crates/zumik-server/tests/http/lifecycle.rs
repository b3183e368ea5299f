//! Starting, draining, ending.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tower_service::Service;
use zumik_server::{Drained, RunningServer, Server, StartError};

use crate::wire::{exchange, post};

async fn start(data: &TempDir) -> RunningServer {
    Server::builder().data(data.path()).start().await.unwrap()
}

#[tokio::test]
async fn a_key_is_made_once_and_a_given_one_is_accepted() {
    let data = tempfile::tempdir().unwrap();
    let server = start(&data).await;
    let first = server.api_key().to_owned();
    assert!(first.starts_with("zk_live_"));
    let project = server.project_id().clone();
    assert_eq!(server.shutdown().await, Drained::Completely);

    let server = start(&data).await;
    assert_eq!((server.api_key(), server.project_id()), ("", &project));
    let answer = exchange(server.address(), &post("/v2/sessions", &first, "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.shutdown().await;

    let given = "zk_test_0123456789abcdef";
    let server = Server::builder().data(data.path()).api_key(given).start().await.unwrap();
    assert_eq!(server.api_key(), given);
    for key in [given, &first] {
        let answer = exchange(server.address(), &post("/v2/sessions", key, "{}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_malformed_key_a_used_folder_and_a_used_port_are_told() {
    let data = tempfile::tempdir().unwrap();
    for key in ["", "secret", "zk_live_short", "zk_live_0123456789abcde\u{e4}", "zk_live_0123456789abcdef "] {
        let refused = Server::builder().data(data.path()).api_key(key).start().await;
        assert!(matches!(refused, Err(StartError::ApiKey)), "{key}");
    }
    let server = start(&data).await;
    let refused = Server::builder().data(data.path()).start().await;
    assert!(matches!(refused, Err(StartError::Open(_))));
    let other = tempfile::tempdir().unwrap();
    let refused = Server::builder().data(other.path()).listen(server.address()).start().await;
    assert!(matches!(refused, Err(StartError::Listen { .. })));
    assert_eq!(
        std::fs::read_dir(other.path()).unwrap().count(),
        0,
        "a port that is taken leaves nothing behind"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_lets_running_requests_finish_and_refuses_new_ones() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder().data(data.path()).placeholder_delay(Duration::from_millis(300));
    let server = server.start().await.unwrap();
    let (address, key) = (server.address(), server.api_key().to_owned());
    let mut api = server.server().api();

    let mut running = TcpStream::connect(address).await.unwrap();
    let request = post("/v2/responses", &key, &json!({ "model": "auto", "input": "Hi" }).to_string());
    running.write_all(request.as_bytes()).await.unwrap();
    // A second one is counted in flight once the first is.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let probe = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    idle.write_all(probe.as_bytes()).await.unwrap();
    idle.read_exact(&mut [0; 15]).await.unwrap();

    let ending = tokio::spawn(server.shutdown());
    let refusing = async {
        loop {
            let response = api.call(Request::get("/healthz").body(Body::empty()).unwrap()).await.unwrap();
            if response.status() == 503 {
                return response;
            }
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(60), refusing).await.expect("a refusal");
    assert_eq!(refused.headers()["retry-after"], "1");
    let answer = exchange(address, &post("/v2/sessions", &key, "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded"), "{answer}");

    let mut finished = String::new();
    running.read_to_string(&mut finished).await.unwrap();
    assert!(finished.starts_with("HTTP/1.1 200"), "{finished}");
    assert_eq!(ending.await.unwrap(), Drained::Completely);
    assert!(TcpStream::connect(address).await.is_err());
}

/// Asks for an answer that no socket takes whole, on a connection that takes little, and reads its first bytes.
async fn begin_to_read(server: &RunningServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut reader = socket.connect(server.address()).await.unwrap();
    let texts = vec!["a"; 128];
    let body = json!({ "model": "auto", "input": texts, "dimensions": 4_096 }).to_string();
    reader.write_all(post("/v1/embeddings", server.api_key(), &body).as_bytes()).await.unwrap();
    let mut status = [0; 15];
    reader.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    reader
}

#[tokio::test]
async fn a_shutdown_waits_for_an_answer_that_is_read_slowly() {
    let server = Server::builder().start().await.unwrap();
    let mut reader = begin_to_read(&server).await;
    let mut ending = tokio::spawn(server.shutdown());
    let early = tokio::time::timeout(Duration::from_secs(1), &mut ending).await;
    assert!(early.is_err(), "{early:?}");
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() > 5 << 20 && answer.ends_with(b"}}"), "{} bytes", answer.len());
    assert_eq!(ending.await.unwrap(), Drained::Completely);
}

#[tokio::test]
async fn an_answer_that_is_not_read_within_the_drain_time_is_told() {
    let server = Server::builder().drain(Duration::from_millis(50)).start().await.unwrap();
    let _reader = begin_to_read(&server).await;
    assert_eq!(server.shutdown().await, Drained::Partly);
}

#[tokio::test]
async fn a_connection_that_never_asked_for_anything_holds_no_shutdown_up() {
    let server = Server::builder().drain(Duration::MAX).start().await.unwrap();
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    // A second one is served once the first is.
    let probe = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(exchange(server.address(), probe).await.starts_with("HTTP/1.1 200"));
    let ended = tokio::time::timeout(Duration::from_secs(10), server.shutdown()).await;
    assert_eq!(ended.expect("an end"), Drained::Completely);
}

#[tokio::test]
async fn what_outlasts_the_drain_time_is_broken_off() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder()
        .data(data.path())
        .placeholder_delay(Duration::from_secs(3_600))
        .drain(Duration::from_millis(50))
        .start()
        .await
        .unwrap();
    let key = server.api_key().to_owned();
    let queued = json!({ "model": "auto", "input": "Hi", "background": true }).to_string();
    let answer = exchange(server.address(), &post("/v1/responses", &key, &queued)).await;
    assert!(answer.contains("\"queued\""), "{answer}");
    assert_eq!(server.shutdown().await, Drained::Partly);

    // What was broken off has failed for whoever polls it.
    let server = start(&data).await;
    let id = answer.split("\"resp_").nth(1).unwrap().split('"').next().unwrap();
    let get = format!(
        "GET /v1/responses/resp_{id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(server.address(), &get).await;
    assert!(answer.contains("\"status\":\"failed\""), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder().data(data.path()).metrics("127.0.0.1:0".parse().unwrap());
    let server = server.start().await.unwrap();
    let key = server.api_key().to_owned();
    exchange(
        server.address(),
        &post("/v2/artifacts", &key, r#"{"artifact_type":"policy","content":"canary"}"#),
    )
    .await;
    exchange(server.address(), &post("/v2/responses", &key, r#"{"model":"auto","input":"canary"}"#)).await;
    let metrics = server.metrics_address().unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let page = exchange(metrics, &get("/metrics")).await;
    for line in [
        "http_requests_total{operation=\"createArtifact\",status=\"200\"} 1",
        "http_request_duration_ms_bucket{le=\"10000.0\",operation=\"createArtifact\"} 1",
        "zumik_inference_requests_total{provider=\"placeholder\",profile=\"managed_provider\",region=\"local\"} 1",
        "zumik_inference_charged_micros_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    for secret in [&*key, "canary", "art_", "prj_", "key_"] {
        assert!(!page.contains(secret), "{secret}");
    }
    assert!(exchange(metrics, &get("/v2/artifacts")).await.starts_with("HTTP/1.1 404"));
    assert!(exchange(server.address(), &get("/metrics")).await.starts_with("HTTP/1.1 404"));
    server.shutdown().await;
}

#[tokio::test]
async fn metrics_with_a_token_are_for_whoever_has_it() {
    let server = Server::builder().metrics("127.0.0.1:0".parse().unwrap()).metrics_token("s3cret");
    let server = server.start().await.unwrap();
    let metrics = server.metrics_address().unwrap();
    let get = |path: &str, header: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n")
    };
    for header in ["Authorization: Bearer s3cret\r\n", "authorization: bearer s3cret\r\n"] {
        assert!(exchange(metrics, &get("/metrics", header)).await.starts_with("HTTP/1.1 200"), "{header}");
    }
    for header in [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer s3cre\r\n",
        "Authorization: Bearer s3cret2\r\n",
        "Authorization: Basic s3cret\r\n",
        "Authorization: s3cret\r\n",
    ] {
        for path in ["/metrics", "/"] {
            let answer = exchange(metrics, &get(path, header)).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{header}{answer}");
            assert!(!answer.contains("http_requests"), "{answer}");
        }
    }
    server.shutdown().await;
}

#[tokio::test]
async fn the_router_can_be_mounted_into_another_one() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder().data(data.path()).build().await.unwrap();
    let mut router = axum::Router::new().nest_service("/zumik", server.router());
    let request = Request::get("/zumik/healthz").body(Body::empty()).unwrap();
    assert_eq!(router.call(request).await.unwrap().status(), 200);
}
