//! A server in this process, with one object of each kind, and a call of it without a socket.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_service::Service as _;
use zumik_server::{Api, RunningServer, Server};
use zumik_tests::http::Http;
use zumik_tests::operations::World;

/// Requests after which there is another server: what they made is kept in memory.
const MOST: usize = 2_000;

/// A server and what it holds.
pub(crate) struct Rig {
    runtime: Runtime,
    api: Api,
    key: String,
    /// What paths and bodies can name.
    pub(crate) world: World,
    calls: usize,
    _server: RunningServer,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

thread_local! {
    static RIG: RefCell<Option<Rig>> = const { RefCell::new(None) };
}

/// Works with the server of this thread.
pub(crate) fn with<T>(work: impl FnOnce(&mut Rig) -> T) -> T {
    RIG.with_borrow_mut(|rig| {
        if rig.as_ref().is_some_and(|rig| rig.calls > MOST) {
            *rig = None;
        }
        work(rig.get_or_insert_with(Rig::start))
    })
}

impl Rig {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (server, world) = runtime.block_on(async {
            // The world has a batch that is cancelled before it ends: its line must take a moment.
            let server = Server::builder().placeholder_delay(Duration::from_millis(5));
            let server = server.start().await.expect("the server starts");
            let world = World::create(&Http::new(server.url(), server.api_key())).await;
            (server, world)
        });
        let (api, key) = (server.server().api(), server.api_key().to_owned());
        Self { runtime, api, key, world, calls: 0, _server: server }
    }

    /// Calls the server with the key of the world's owner.
    ///
    /// # Panics
    /// When it fails, or an error is not the envelope of the contract.
    pub(crate) fn call(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(AUTHORIZATION, format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // What is no request for HTTP never reaches the server.
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).ok()?;
        self.calls += 1;
        let answer = self.runtime.block_on(async {
            let Ok(response) = self.api.call(request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
            Answer { status: head.status, content_type: content_type.unwrap_or_default().to_owned(), body }
        });
        answer.check(method, path);
        Some(answer)
    }
}

impl Answer {
    fn check(&self, method: &Method, path: &str) {
        let shown = String::from_utf8_lossy(&self.body);
        assert!(!self.status.is_server_error(), "{method} {path}: {} {shown}", self.status);
        if !self.status.is_success() {
            let envelope: Value = serde_json::from_slice(&self.body).unwrap_or_default();
            let error = &envelope["error"];
            let is_whole = error["message"].is_string()
                && error["type"].is_string()
                && error.get("code").is_some()
                && error.get("param").is_some();
            assert!(is_whole, "{method} {path}: {} {shown}", self.status);
        } else if self.content_type == "application/json" {
            let read = serde_json::from_slice::<Value>(&self.body);
            assert!(read.is_ok(), "{method} {path}: an answer that is not JSON");
        }
    }
}
