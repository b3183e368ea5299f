//! Clients that never read what they asked for hold no old moment of the database: its log can be begun anew meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use rusqlite::Connection;
use serde_json::json;
use zumik_tests::http::answer;
use zumik_tests::server;

/// A file, and how often it is asked for on one connection: more than the buffers of a socket take.
const FILE: usize = 3 << 19;
const REQUESTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_never_read_do_not_hold_the_log() {
    let server = server::durable().await;
    let http = server.http();
    let form = Form::new()
        .text("purpose", "user_data")
        .part("file", Part::bytes(vec![b'x'; FILE]).file_name("large.txt"));
    let file = answer(http.request(Method::POST, "/v1/files").multipart(form)).await;
    assert_eq!(file.status, 200, "{file:?}");
    let path = format!("/v1/files/{}/content", file.json()["id"].as_str().expect("an id"));
    let address = server.url().strip_prefix("http://").expect("a URL").to_owned();
    let mut socket = TcpStream::connect(&address).expect("a connection");
    let key = server.api_key();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n");
    socket.write_all(request.repeat(REQUESTS).as_bytes()).expect("requests");
    // The answers have begun, and go no further than the buffers of the socket.
    let mut begin = [0; 12];
    socket.read_exact(&mut begin).expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 200");

    let text = json!({"artifact_type": "document", "content": "text"});
    http.post("/v2/artifacts", text).await;
    let conn = Connection::open(server.data().join("zumik.db")).expect("the database opens");
    conn.busy_timeout(Duration::from_secs(30)).expect("a setting");
    let emptied = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (busy, pages): (i64, i64) = emptied.expect("a checkpoint");
    assert_eq!((busy, pages), (0, 0), "a reader holds on to the log");
    drop(socket);
}
