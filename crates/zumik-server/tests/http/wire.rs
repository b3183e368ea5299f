//! Bytes on a socket, where a well-behaved client would not do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zumik_server::{RunningServer, Server};

const CAP: usize = 2 * 1024 * 1024;

/// Sends bytes and reads until the server closes.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read(&mut stream).await
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap()
}

/// A POST with a JSON body, on a connection of its own.
pub(crate) fn post(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn start() -> RunningServer {
    Server::builder().start().await.unwrap()
}

fn head(key: &str, framing: &str) -> String {
    format!(
        "POST /v2/artifacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\n{framing}\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_chunked_body_over_the_cap_is_refused_to_a_client_that_sends_before_it_reads() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head(server.api_key(), "Transfer-Encoding: chunked").as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    for _ in 0..4 * CAP / 0x1_0000 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("request_too_large"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_length_that_claims_too_much_is_refused_before_the_body_is_there() {
    let server = start().await;
    for length in [CAP as u64 + 1, 1 << 40] {
        let request = head(server.api_key(), &format!("Content-Length: {length}"));
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_taken() {
    let server = start().await;
    let frame = r#"{"artifact_type":"document","content":""}"#;
    let body = frame.replace("\"\"}", &format!("\"{}\"}}", "x".repeat(CAP - frame.len())));
    assert_eq!(body.len(), CAP);
    let answer = exchange(server.address(), &post("/v2/artifacts", server.api_key(), &body)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(server.address(), &post("/v2/artifacts", server.api_key(), &(body + " "))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_http_does_not_disturb_the_server() {
    let server = start().await;
    for garbage in ["\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(garbage.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // It may also simply close.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{garbage:?}");
    }
    // A body that breaks off leaves nothing behind.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request =
        head(server.api_key(), "Content-Length: 100") + r#"{"artifact_type":"policy","content":"a"}"#;
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    let list = format!(
        "GET /v2/artifacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        server.api_key()
    );
    let answer = exchange(server.address(), &list).await;
    assert!(answer.contains("\"data\":[]"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_head_request_gets_the_headers_of_a_get_and_no_body() {
    let server = start().await;
    let answer =
        exchange(server.address(), "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(headers.starts_with("HTTP/1.1 200") && headers.contains("content-length: 15"), "{headers}");
    assert_eq!(body, "");
    server.shutdown().await;
}
