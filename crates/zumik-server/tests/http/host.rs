//! A server for one test, and what is sent to it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use chrono::Utc;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower_service::Service;
use zumik_server::clock::SystemClock;
use zumik_server::config::LimitSettings;
use zumik_server::domain::{Scopes, key_hash, masked_key, mint_key};
use zumik_server::mint::RandomMint;
use zumik_server::store::memory::MemoryStore;
use zumik_server::store::{NewKey, Store};
use zumik_server::{Api, Builder, Server};
use zumik_types::KeyId;

/// A server over memory, called without a socket.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: String,
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    /// A host whose placeholder takes its time.
    pub(crate) async fn slow(delay: Duration) -> Self {
        Self::with(|builder| builder.placeholder_delay(delay)).await
    }

    pub(crate) async fn limited(limits: LimitSettings) -> Self {
        Self::with(|builder| builder.limits(limits)).await
    }

    pub(crate) async fn with(set: impl FnOnce(Builder) -> Builder) -> Self {
        let store = MemoryStore::new(Arc::new(SystemClock), Arc::new(RandomMint::default()));
        Self::over(Arc::new(store), set).await
    }

    /// A host over another store.
    pub(crate) async fn over(store: Arc<dyn Store>, set: impl FnOnce(Builder) -> Builder) -> Self {
        let server = set(Server::builder().store(Arc::clone(&store))).build().await.unwrap();
        let key = server.api_key().to_owned();
        Self { server, store, key }
    }

    /// Another server on the same store.
    pub(crate) async fn beside(&self) -> Self {
        let store = Arc::clone(&self.store);
        let server = Server::builder().store(Arc::clone(&store)).build().await.unwrap();
        Self { server, store, key: self.key.clone() }
    }

    pub(crate) fn api(&self) -> Api {
        self.server.api()
    }

    /// A new key of a project with these scopes, and its id.
    pub(crate) async fn new_key(&self, project: &str, scopes: &[&str]) -> (String, KeyId) {
        let secret = mint_key(&RandomMint::default());
        let project = self.store.ensure_project(project, Utc::now()).await.unwrap();
        let key = NewKey {
            name: "test".to_owned(),
            scopes: Scopes::from_names(scopes.iter().copied()).unwrap(),
            hash: key_hash(secret.as_bytes()),
            masked: masked_key(&secret),
        };
        let record = self.store.create_key(&project.id, key, Utc::now()).await.unwrap();
        (secret, record.id)
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.api().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Sends a request and goes away when the server has gone on with it so many times.
    pub(crate) async fn leave(&self, request: Request<Body>, polls: usize) {
        leave(self.api(), request, polls).await;
    }

    /// A request with the host's key.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {}", self.key))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    /// A POST with further headers.
    pub(crate) async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Creates something and gives its JSON.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// An artifact with this text; gives its id.
    pub(crate) async fn artifact(&self, text: &str) -> String {
        let artifact =
            self.make("/v2/artifacts", json!({ "artifact_type": "document", "content": text })).await;
        artifact["id"].as_str().unwrap().to_owned()
    }

    /// A session over one bundle of these artifacts; gives its id and that of its branch.
    pub(crate) async fn session(&self, artifacts: &[&str]) -> (String, String) {
        let mut bundles = Vec::new();
        if !artifacts.is_empty() {
            let items: Vec<Value> =
                artifacts.iter().map(|id| json!({ "artifact_id": id, "role": "context" })).collect();
            bundles.push(self.make("/v2/bundles", json!({ "items": items })).await["id"].clone());
        }
        let session = self.make("/v2/sessions", json!({ "base_bundle_ids": bundles })).await;
        let id = |name: &str| session[name].as_str().unwrap().to_owned();
        (id("id"), id("default_branch_id"))
    }
}

/// Sends a request to a server and goes away when it has gone on with it so many times.
pub(crate) async fn leave(mut api: Api, request: Request<Body>, mut polls: usize) {
    let mut call = api.call(request);
    poll_fn(|cx| {
        polls -= 1;
        let ready = call.as_mut().poll(cx).is_ready();
        if ready || polls == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The error of the contract's envelope, after checking what every error has.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        assert!(
            self.status.is_client_error() || self.status.is_server_error(),
            "{}: {}",
            self.status,
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        let trace = self.header("agent-trace-id").expect("a trace id");
        assert!(trace.starts_with("trc_"), "{trace}");
        assert_eq!(self.header("x-request-id"), Some(trace));
        let envelope = self.json();
        let members: Vec<&String> = envelope.as_object().unwrap().keys().collect();
        assert_eq!(members, ["error"]);
        let error = envelope["error"].clone();
        for member in ["message", "type", "code", "param"] {
            assert!(error.get(member).is_some(), "no {member}: {error}");
        }
        error
    }

    /// Checks that this is an error with this status, code and param; an empty text stands for null.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, param: &str) {
        let error = self.error();
        let text = |value: &str| if value.is_empty() { Value::Null } else { Value::from(value) };
        assert_eq!(
            (self.status.as_u16(), &error["code"], &error["param"]),
            (status, &text(code), &text(param)),
            "{error}"
        );
    }
}
