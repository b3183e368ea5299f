//! What an event means, for all surfaces alike.

use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zumik_types::ErrorType;

use super::StreamItem;
use crate::endpoint::{DecodeError, json};
use crate::error::{ApiError, Envelope};
use crate::sse::SseEvent;

/// The data of the event that ends a stream of chunks.
const DONE: &[u8] = b"[DONE]";

/// Event types with which a stream of response events may end.
const LAST: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Reads an event of either surface: `[DONE]` is the end, an `error` member or an event of the type `error` is an error,
/// everything else is JSON. As the contract says (`v1.md`, "Streaming"), both endings are known everywhere.
///
/// # Errors
///
/// [`DecodeError`] when the data is no JSON, or not a `T`.
pub fn event<T: DeserializeOwned>(sse: &SseEvent<'_>) -> Result<StreamItem<T>, DecodeError> {
    let data = sse.data();
    if is_done(data) {
        return Ok(StreamItem::End);
    }
    // A quote inside of a JSON text is escaped, so what an answer says cannot look like a member.
    let probe = if contains(data, b"\"error\"") || contains(data, b"\"response.") {
        serde_json::from_slice::<Probe>(data).unwrap_or_default()
    } else {
        Probe::default()
    };
    let kind = probe.kind.as_ref().and_then(Value::as_str).or(sse.name()).unwrap_or_default();
    let envelope = match &probe.error {
        Some(Value::Object(_) | Value::String(_)) => true,
        _ if kind == "error" => true,
        _ => false,
    };
    if envelope {
        return Ok(StreamItem::Error(StreamError(Envelope::read(data))));
    }
    let value = json(data)?;
    Ok(if LAST.contains(&kind) { StreamItem::Last(value) } else { StreamItem::Event(value) })
}

/// Whether this is the data of the event that ends a stream.
pub(super) fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == DONE
}

pub(super) fn contains(data: &[u8], needle: &[u8]) -> bool {
    memmem::find(data, needle).is_some()
}

/// The members that tell what an event is.
#[derive(Default, Deserialize)]
struct Probe {
    #[serde(rename = "type")]
    kind: Option<Value>,
    error: Option<Value>,
}

/// An error that came as an event of a stream.
#[derive(Clone, PartialEq)]
pub struct StreamError(Envelope);

impl StreamError {
    /// `error.type`, if the server said it.
    pub fn error_type(&self) -> Option<&ErrorType> {
        self.0.api.error_type.as_ref()
    }

    /// `error.code`, if the server said it: the stable code to decide by.
    pub fn code(&self) -> Option<&str> {
        self.0.api.code.as_deref()
    }

    /// `error.param`, if the server said it.
    pub fn param(&self) -> Option<&str> {
        self.0.api.param.as_deref()
    }

    /// What went wrong, for a developer, if the server said it.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Its members.
    pub(crate) fn into_parts(self) -> (ApiError, Option<String>) {
        (self.0.api, self.0.message)
    }
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamError").field(&self.0.api).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> StreamItem<Value> {
        event(&SseEvent::new(data.as_bytes())).unwrap()
    }

    #[test]
    fn done_is_the_end() {
        assert_eq!(read("[DONE]"), StreamItem::End);
        assert_eq!(read(" [DONE] "), StreamItem::End);
    }

    #[test]
    fn a_response_ends_with_its_final_event() {
        for kind in LAST {
            let data = format!(r#"{{"type":"{kind}","response":{{"error":null}}}}"#);
            assert!(matches!(read(&data), StreamItem::Last(_)), "{kind}");
        }
        assert!(matches!(read(r#"{"type":"response.created"}"#), StreamItem::Event(_)));
    }

    #[test]
    fn an_error_is_read_in_both_of_its_forms() {
        let nested = r#"{"error":{"message":"m","type":"api_error","code":"provider_error","param":null}}"#;
        let flat =
            r#"{"type":"error","code":"provider_error","message":"m","param":"p","sequence_number":3}"#;
        for (data, param) in [(nested, None), (flat, Some("p"))] {
            let StreamItem::Error(error) = read(data) else { panic!("{data}") };
            assert_eq!((error.code(), error.param()), (Some("provider_error"), param));
            assert_eq!(error.message(), Some("m"));
            assert_eq!(error.error_type().is_some(), param.is_none());
        }
    }

    #[test]
    fn an_answer_that_speaks_of_errors_is_no_error() {
        for data in [
            r#"{"choices":[{"delta":{"content":"{\"error\":{\"code\":1}}"}}]}"#,
            r#"{"choices":[],"error":null}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#,
        ] {
            assert!(!matches!(read(data), StreamItem::Error(_)), "{data}");
        }
    }

    #[test]
    fn what_is_no_json_does_not_decode() {
        assert!(event::<Value>(&SseEvent::new(b"{\"choices\":")).is_err());
    }
}
