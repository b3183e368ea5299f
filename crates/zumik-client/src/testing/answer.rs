//! What a fake server does with a request: an answer, or a fault.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::script::{StreamPart, play};
use crate::transport::{HttpResponse, ResponseBody, TransportError};

/// What the fake does with one request.
#[derive(Debug, Clone)]
#[must_use = "an answer is given when it was added to a fake transport"]
pub struct Answer {
    after: Duration,
    act: Act,
}

#[derive(Clone)]
enum Act {
    /// Answers, as far as the body goes.
    Reply { status: StatusCode, headers: HeaderMap, body: Bytes, breaks_off: bool },
    /// Answers a body that comes in parts.
    Stream { status: StatusCode, headers: HeaderMap, parts: Vec<StreamPart> },
    /// Accepts no connection.
    Refuse,
    /// Takes the request and closes the connection.
    Reset,
    /// Takes the request and says nothing.
    Hang,
}

impl fmt::Debug for Act {
    /// Headers by their names, a body by its size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { status, headers, body, breaks_off } => f
                .debug_struct("Reply")
                .field("status", status)
                .field("headers", &headers.keys().collect::<Vec<_>>())
                .field("body", &format_args!("{} bytes", body.len()))
                .field("breaks_off", breaks_off)
                .finish(),
            Self::Stream { status, headers, parts } => f
                .debug_struct("Stream")
                .field("status", status)
                .field("headers", &headers.keys().collect::<Vec<_>>())
                .field("parts", parts)
                .finish(),
            Self::Refuse => f.write_str("Refuse"),
            Self::Reset => f.write_str("Reset"),
            Self::Hang => f.write_str("Hang"),
        }
    }
}

impl Answer {
    /// Status 200 with a JSON body.
    pub fn json(body: impl Serialize) -> Self {
        // A value that does not serialize is a mistake of the test, which then sees `null`.
        let body = serde_json::to_value(body).unwrap_or_default();
        Self::reply("application/json", Bytes::from(body.to_string()))
    }

    /// Status 200 with a body of bytes.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::reply("text/plain", body.into())
    }

    /// Status 200 with a stream of server-sent events: each of `data` as one event that comes by itself, and no end of its
    /// own. A stream of chunks ends with `"[DONE]"`.
    pub fn events(data: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::stream(data.into_iter().map(StreamPart::event))
    }

    /// Status 200 with a stream of server-sent events as scripted, part by part.
    pub fn stream(parts: impl IntoIterator<Item = StreamPart>) -> Self {
        let headers = [(http::header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
        let act = Act::Stream {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter(headers),
            parts: parts.into_iter().collect(),
        };
        Self { after: Duration::ZERO, act }
    }

    /// An error in the API's envelope. An empty `code` is sent as `null`.
    pub fn error(status: u16, error_type: &str, code: &str) -> Self {
        let code = Some(code).filter(|code| !code.is_empty());
        let error = json!({ "message": "scripted", "type": error_type, "code": code, "param": null });
        Self::json(json!({ "error": error })).status(status)
    }

    /// A lost compare-and-swap: the branch is at `version` with the head `head_event_id`.
    pub fn branch_conflict(branch_id: &str, version: u64, head_event_id: &str) -> Self {
        let head = Some(head_event_id).filter(|head| !head.is_empty());
        Self::error(409, "invalid_request_error", "branch_version_conflict")
            .error_member("branch", json!({ "id": branch_id, "version": version, "head_event_id": head }))
    }

    /// No connection: nothing of the request is sent.
    pub fn refused() -> Self {
        Self { after: Duration::ZERO, act: Act::Refuse }
    }

    /// The request arrives, but the connection breaks before an answer.
    pub fn reset() -> Self {
        Self { after: Duration::ZERO, act: Act::Reset }
    }

    /// The request arrives, and nothing more happens.
    pub fn hang() -> Self {
        Self { after: Duration::ZERO, act: Act::Hang }
    }

    /// Sets the status. A number that is no status counts as 500.
    pub fn status(mut self, code: u16) -> Self {
        if let Act::Reply { status, .. } | Act::Stream { status, .. } = &mut self.act {
            *status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        self
    }

    /// Adds a header. One that HTTP does not allow is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Act::Reply { headers, .. } | Act::Stream { headers, .. }, Ok(name), Ok(value)) =
            (&mut self.act, name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        {
            headers.append(name, value);
        }
        self
    }

    /// Replaces the message of an error.
    pub fn message(self, message: &str) -> Self {
        self.error_member("message", message.into())
    }

    /// Sets a member of the error envelope.
    pub fn error_member(mut self, name: &str, value: Value) -> Self {
        if let Act::Reply { body, .. } = &mut self.act {
            let mut whole: Value = serde_json::from_slice(body).unwrap_or_default();
            whole["error"][name] = value;
            *body = Bytes::from(whole.to_string());
        }
        self
    }

    /// Lets the body end in the middle of itself with a broken connection.
    pub fn breaking_off(mut self) -> Self {
        if let Act::Reply { breaks_off, .. } = &mut self.act {
            *breaks_off = true;
        }
        self
    }

    /// Waits before it does anything.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    fn reply(content_type: &'static str, body: Bytes) -> Self {
        let headers = [(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let act = Act::Reply {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter(headers),
            body,
            breaks_off: false,
        };
        Self { after: Duration::ZERO, act }
    }

    pub(super) async fn give(self, open: Arc<AtomicUsize>) -> Result<HttpResponse, TransportError> {
        if !self.after.is_zero() {
            tokio::time::sleep(self.after).await;
        }
        match self.act {
            Act::Refuse => Err(TransportError::not_sent("connection refused")),
            Act::Reset => Err(TransportError::interrupted("connection reset by peer")),
            Act::Hang => std::future::pending().await,
            Act::Stream { status, headers, parts } => {
                Ok(HttpResponse::new(status, headers, ResponseBody::stream(play(parts, open))))
            }
            Act::Reply { status, headers, body, breaks_off: false } => {
                Ok(HttpResponse::new(status, headers, body.into()))
            }
            Act::Reply { status, headers, body, breaks_off: true } => {
                let half = body.slice(..body.len() / 2);
                let broken = TransportError::interrupted("connection reset by peer");
                let pieces = stream::iter([Ok(half), Err(broken)]);
                Ok(HttpResponse::new(status, headers, ResponseBody::stream(pieces)))
            }
        }
    }
}
