//! From the events of a response to the response.

use std::fmt;

use crate::{V1Response, V1StreamEvent};

impl V1StreamEvent {
    /// The piece of the answer's text that this event adds.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::OutputTextDelta(delta) => Some(delta.delta.as_str()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// The response as it is with this event, for the events that tell it: its beginning, and its end.
    pub fn response(&self) -> Option<&V1Response> {
        match self {
            Self::Created(event)
            | Self::Queued(event)
            | Self::InProgress(event)
            | Self::Completed(event)
            | Self::Incomplete(event)
            | Self::Failed(event) => Some(&event.response),
            _ => None,
        }
    }

    /// Whether this is the last event of a response: it is completed, incomplete, or has failed.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Incomplete(_) | Self::Failed(_))
    }
}

/// Keeps of the events of a response what is wanted at the end: the whole response, and on the way to it the text.
#[derive(Debug, Clone, Default)]
pub struct V1ResponseAccumulator {
    text: Text,
    response: Option<V1Response>,
}

/// Text that `Debug` does not show.
#[derive(Clone, Default)]
struct Text(String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl V1ResponseAccumulator {
    /// Before the first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next event.
    pub fn push(&mut self, event: &V1StreamEvent) {
        self.text.0.push_str(event.text().unwrap_or_default());
        if let Some(response) = event.response().filter(|_| event.is_last()) {
            self.response = Some(response.clone());
        }
    }

    /// The text of the answer so far.
    pub fn text(&self) -> &str {
        &self.text.0
    }

    /// The response as the last event told it; its [`status`](V1Response::status) may be `incomplete` or `failed`. `None`
    /// when the last event did not come.
    pub fn finish(self) -> Option<V1Response> {
        self.response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::V1ResponseStatus;

    fn event(kind: &str, more: serde_json::Value) -> V1StreamEvent {
        let mut event = json!({ "type": kind, "sequence_number": 1 });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    fn response(status: &str) -> serde_json::Value {
        json!({ "response": {
            "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": [],
            "tool_choice": "auto",
        } })
    }

    #[test]
    fn the_text_grows_and_the_last_event_has_the_response() {
        let delta = |text: &str| {
            let delta = json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text });
            event("response.output_text.delta", delta)
        };
        let mut whole = V1ResponseAccumulator::new();
        let events = [event("response.created", response("in_progress")), delta("a"), delta("b")];
        for event in &events {
            whole.push(event);
            assert!(!event.is_last());
        }
        assert_eq!(whole.text(), "ab");
        assert!(whole.clone().finish().is_none(), "a response that has only begun is not whole");
        for (kind, status) in [
            ("response.completed", V1ResponseStatus::Completed),
            ("response.incomplete", V1ResponseStatus::Incomplete),
            ("response.failed", V1ResponseStatus::Failed),
        ] {
            let mut whole = whole.clone();
            whole.push(&event(kind, response(status.as_str())));
            assert_eq!(whole.finish().unwrap().status, status);
        }
    }

    #[test]
    fn the_text_is_not_printed() {
        let mut whole = V1ResponseAccumulator::new();
        let delta = json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "hush" });
        whole.push(&event("response.output_text.delta", delta));
        assert!(!format!("{whole:?}").contains("hush"));
    }
}
