//! From the events of a response to the response.

use std::fmt;

use crate::{V1Response, V1StreamEvent};

impl V1StreamEvent {
    /// The piece of the answer's text that this event adds.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::OutputTextDelta(delta) => {
                Some(&delta.delta).map(String::as_str).filter(|text| !text.is_empty())
            }
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

    /// The response as the last event told it; its [`status`](V1Response::status) may be
    /// [incomplete](crate::V1ResponseStatus::Incomplete) or [failed](crate::V1ResponseStatus::Failed). `None` when the last event did
    /// not come.
    pub fn finish(self) -> Option<V1Response> {
        self.response
    }
}
