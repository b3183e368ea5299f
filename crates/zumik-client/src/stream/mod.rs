//! Answers that come as server-sent events.
//!
//! A generation that can stream is a [`StreamEndpoint`]; generated code implements it. [`Call::stream`](crate::Call::stream)
//! sends it and gives its [`EventStream`].

mod decode;
mod event_stream;
mod events;
mod fault;
mod whole;

use serde::de::DeserializeOwned;

pub use self::decode::{StreamError, event};
pub use self::event_stream::EventStream;
pub(crate) use self::events::Events;
pub(crate) use self::fault::{Fault, Silence};
pub use self::whole::{Part, TextDeltas};
use crate::endpoint::{DecodeError, Endpoint};
use crate::sse::SseEvent;

/// An endpoint that answers a stream of events when it is asked to.
pub trait StreamEndpoint: Endpoint {
    /// What one event decodes to.
    type Event: DeserializeOwned + Send + 'static;

    /// The same request, asking for a stream: `stream: true` in its body; and for its usage, where the body can ask for it
    /// and does not say what the stream contains.
    #[must_use]
    fn streaming(self) -> Self;

    /// Reads one event.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the event is not what the contract says.
    fn decode_event(sse: &SseEvent<'_>) -> Result<StreamItem<Self::Event>, DecodeError> {
        event(sse)
    }
}

/// What one server-sent event means for the stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamItem<T> {
    /// An event, and more to come.
    Event(T),
    /// An event with which the stream may end: `response.completed`, `response.incomplete`, `response.failed`.
    Last(T),
    /// The end: `[DONE]`.
    End,
    /// The server says that it failed in the middle of the answer.
    Error(StreamError),
}
