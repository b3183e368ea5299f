//! Plain HTTP with a key: for what the client would never send, and for answers byte by byte.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::operations::{Body, Request, file_form};
use crate::{PATIENCE, within};

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `error.code` of the contract's envelope, after checking that it is one.
    ///
    /// # Panics
    /// When the body is not the envelope.
    pub fn error(&self) -> Value {
        let error = &self.json()["error"];
        for member in ["message", "type"] {
            assert!(error[member].is_string(), "no error.{member}: {self:?}");
        }
        for member in ["code", "param"] {
            assert!(error.get(member).is_some(), "no error.{member}: {self:?}");
        }
        assert!(self.headers.contains_key("agent-trace-id"), "no trace id: {self:?}");
        error.clone()
    }
}

/// A bare reqwest client.
pub fn bare() -> reqwest::Client {
    provide_cryptography();
    reqwest::Client::new()
}

/// The same with a limit of time for each call.
///
/// # Errors
/// It cannot be set up.
pub fn bare_within(limit: Duration) -> reqwest::Result<reqwest::Client> {
    provide_cryptography();
    reqwest::Client::builder().timeout(limit).build()
}

/// The workspace builds reqwest without a provider of cryptography. One that is installed already serves as well.
fn provide_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client of one server with one key.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    base_url: String,
    key: String,
}

impl Http {
    /// For a base URL and a key. An answer that does not come, or does not end, is an error in the end: later than
    /// whoever waits for what follows from the request has failed.
    ///
    /// # Panics
    /// When the client cannot be set up.
    pub fn new(base_url: &str, key: &str) -> Self {
        let client = bare_within(2 * PATIENCE).expect("a client");
        Self { client, base_url: base_url.to_owned(), key: key.to_owned() }
    }

    /// A request to this server.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.key)
    }

    /// Sends a request of the table with changes by `change`.
    pub async fn send_with(
        &self,
        request: &Request,
        change: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let method = request.operation.method.as_str().parse().expect("a method of HTTP");
        let builder = self.request(method, &request.path);
        let builder = match &request.body {
            Body::Empty => builder,
            Body::Json(body) => builder.json(body),
            Body::File => builder.multipart(file_form()),
        };
        answer(change(builder)).await
    }

    /// Sends a request of the table.
    pub async fn send(&self, request: &Request) -> Answer {
        self.send_with(request, |builder| builder).await
    }

    /// Sends raw bytes as JSON.
    pub async fn send_bytes(&self, request: &Request, media_type: &str, body: impl Into<Bytes>) -> Answer {
        let method = request.operation.method.as_str().parse().expect("a method of HTTP");
        let builder = self.request(method, &request.path);
        answer(builder.header(CONTENT_TYPE, media_type).body(body.into())).await
    }

    /// Gets an answer.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// Posts JSON and reads the answer, which must be a success.
    ///
    /// # Panics
    /// When it is not.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = answer(self.request(Method::POST, path).json(&body)).await;
        assert_eq!(answer.status, 200, "POST {path}: {answer:?}");
        answer.json()
    }

    /// Waits until `/readyz` has this status.
    ///
    /// # Panics
    /// When it has another one for a minute.
    pub async fn until_ready(&self, status: u16) {
        let asked = async {
            while self.get("/readyz").await.status != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(&format!("{status} of {}/readyz", self.base_url), asked).await;
    }

    /// The batch at this path, at its end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub async fn ended_batch(&self, path: &str) -> Value {
        let ended = async {
            loop {
                let batch = self.get(path).await.json();
                match batch["status"].as_str() {
                    Some("validating" | "in_progress" | "finalizing" | "cancelling") => {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    _ => return batch,
                }
            }
        };
        within(&format!("the end of {path}"), ended).await
    }

    /// Uploads a small file.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn upload(&self) -> Value {
        let answer = answer(self.request(Method::POST, "/v1/files").multipart(file_form())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// Sends a request and reads the whole answer.
///
/// # Panics
/// When the connection breaks before its end.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.expect("a whole body") }
}
