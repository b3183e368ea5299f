//! What a handler answers with.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use zumik_types::TraceId;

use super::{ApiError, idempotency};
use crate::store::{Answer, Written};

const TRACE_ID: HeaderName = HeaderName::from_static("agent-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A success: an answer, and whether it is one that was given before.
#[derive(Debug)]
pub(crate) struct Reply {
    answer: Answer,
    /// What is sent instead of the answer's own body: a stream that is being made.
    stream: Option<Body>,
    replay: bool,
}

impl Reply {
    /// An answer given now.
    pub(crate) fn fresh(answer: Answer) -> Self {
        Self { answer, stream: None, replay: false }
    }

    /// The answer of an earlier request under the same idempotency key.
    pub(crate) fn replayed(answer: Answer) -> Self {
        Self { answer, stream: None, replay: true }
    }

    /// An answer whose body comes in pieces.
    pub(crate) fn stream(head: Answer, body: Body) -> Self {
        Self { answer: head, stream: Some(body), replay: false }
    }

    /// 200 with a value as JSON.
    pub(crate) fn json<T: Serialize>(trace: &TraceId, value: &T) -> Result<Self, ApiError> {
        Ok(Self::fresh(Answer::json(trace, value)?))
    }

    /// Whether this answer was given before.
    pub(crate) fn is_replay(&self) -> bool {
        self.replay
    }

    /// The HTTP answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let Answer { status, trace, headers, body } = self.answer;
        let mut response = Response::new(self.stream.unwrap_or_else(|| Body::from(body)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let map = response.headers_mut();
        map.insert(CONTENT_TYPE, JSON);
        for (name, value) in headers {
            // Names and values come from this server; one that does not fit into HTTP is left out.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
                map.insert(name, value);
            }
        }
        stamp_trace(map, &trace);
        response
    }
}

impl<T> From<Written<T>> for Reply {
    fn from(written: Written<T>) -> Self {
        match written {
            Written::Fresh { answer, .. } => Self::fresh(answer),
            Written::Replayed(answer) => Self::replayed(answer),
        }
    }
}

/// Adds the trace id in both of its headers.
pub(crate) fn stamp_trace(headers: &mut HeaderMap, trace: &TraceId) {
    if let Ok(value) = HeaderValue::from_str(trace.as_str()) {
        headers.insert(TRACE_ID, value.clone());
        headers.insert(REQUEST_ID, value);
    }
}

/// Tells on the answer of a POST with a key whether it is a replay.
pub(crate) fn stamp_replay(headers: &mut HeaderMap, replay: bool) {
    headers.insert(idempotency::REPLAY, HeaderValue::from_static(if replay { "true" } else { "false" }));
}
