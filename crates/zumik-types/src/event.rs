//! Events, one function for each type: `Event::user_message(&artifact.id)`.

use crate::{ArtifactId, Event, EventType, NewEvent};

impl Event {
    /// A message of the user. The payload is the artifact that holds its text.
    pub fn user_message(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::UserMessage, payload)
    }

    /// An answer of the model that the caller wants to keep in the history.
    pub fn assistant_message(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::AssistantMessage, payload)
    }

    /// What a tool gave back.
    pub fn tool_result(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::ToolResult, payload)
    }

    /// What a search found.
    pub fn retrieval_result(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::RetrievalResult, payload)
    }

    /// A state of the work that later turns can build on.
    pub fn checkpoint(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::Checkpoint, payload)
    }

    /// Anything worth remembering. A note without an artifact is `NewEvent::new(EventType::Note)`.
    pub fn note(payload: impl Into<ArtifactId>) -> NewEvent {
        with_payload(EventType::Note, payload)
    }
}

fn with_payload(event_type: EventType, payload: impl Into<ArtifactId>) -> NewEvent {
    NewEvent::new(event_type).payload_ref(payload.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_function_for_every_event_type() {
        let id: ArtifactId = "art_1".parse().unwrap();
        let all = [
            Event::user_message(&id),
            Event::assistant_message(&id),
            Event::tool_result(&id),
            Event::retrieval_result(&id),
            Event::checkpoint(&id),
            Event::note(&id),
        ];
        let types: Vec<_> = all.iter().map(|event| event.event_type.clone()).collect();
        assert_eq!(types, EventType::KNOWN);
        assert!(all.iter().all(|event| event.payload_ref.as_deref() == Some("art_1")));
    }
}
