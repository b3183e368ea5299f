//! Clients that never read what they asked for hold no old moment of the database, so its log stays small.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use zumik_tests::http::answer;
use zumik_tests::server;

/// A file, and how often it is asked for on one connection: more than the buffers of a socket take.
const FILE: usize = 3 << 19;
const REQUESTS: usize = 6;

/// Bytes of an artifact, and how many are made.
const ARTIFACT: usize = 3 << 19;
const ARTIFACTS: usize = 24;

/// The log is written back when it holds 16 MiB, which is looked at every eight transactions.
const BOUND: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_never_read_do_not_let_the_log_grow() {
    let server = server::durable().await;
    let http = server.http();
    let form = Form::new()
        .text("purpose", "user_data")
        .part("file", Part::bytes(vec![b'x'; FILE]).file_name("large.txt"));
    let file = answer(http.request(Method::POST, "/v1/files").multipart(form)).await;
    assert_eq!(file.status, 200, "{file:?}");
    let path = format!("/v1/files/{}/content", file.json()["id"].as_str().expect("an id"));
    let address = server.url().strip_prefix("http://").expect("a URL").to_owned();
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(&address).expect("a connection");
        let key = server.api_key();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n");
        socket.write_all(request.repeat(REQUESTS).as_bytes()).expect("requests");
        // The answers have begun, and go no further than the buffers of the socket.
        let mut begin = [0; 12];
        socket.read_exact(&mut begin).expect("an answer");
        assert_eq!(&begin, b"HTTP/1.1 200");
        stalled.push(socket);
    }

    let log = server.data().join("zumik.db-wal");
    let session = http.post("/v2/sessions", json!({})).await;
    let [session, branch] = ["id", "default_branch_id"].map(|name| session[name].as_str().expect("an id"));
    let events = format!("/v2/sessions/{session}/branches/{branch}/events");
    let text = "y".repeat(ARTIFACT);
    let mut longest = 0;
    for version in 0..ARTIFACTS {
        http.post("/v2/artifacts", json!({"artifact_type": "document", "content": text})).await;
        let append = json!({"expected_version": version, "event": {"event_type": "note"}});
        http.post(&events, append).await;
        longest = longest.max(log.metadata().expect("a log").len());
    }
    assert!(longest < BOUND, "the log grew to {} MiB", longest >> 20);
    drop(stalled);
}
