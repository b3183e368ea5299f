//! A stream of typed events.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{FusedStream, Stream};
use serde::Deserialize;
use serde_json::Value;
use tracing::Span;

use super::decode::contains;
use super::events::Events;
use super::fault::Fault;
use super::{StreamError, StreamItem};
use crate::endpoint::DecodeError;
use crate::error::{Error, ErrorKind, OperationName, Outcome, Result};
use crate::pipeline::{self, RawResponse};
use crate::response::Meta;
use crate::sse::SseEvent;

/// The events of one answer, as they come. Made by [`Call::stream`](crate::Call::stream).
///
/// It is pulled: without somebody asking for the [next](Self::next) event nothing is read, and the server is held back.
/// Dropping it closes the connection; a self-hosted server then stops the generation.
///
/// It ends after the event that the contract names as the last. Everything else that ends it is one error, and then it
/// is over: a server that says it failed, a connection that breaks, an answer that stops
/// [without its end](ErrorKind::StreamTruncated), silence for longer than the
/// [`idle_timeout`](crate::Options::idle_timeout), an event that cannot be read.
///
/// After its first event a stream is never repeated silently. To get it once more, send the same request under the same
/// [`idempotency_key`](crate::Call::idempotency_key), which [`meta`](Self::meta) and an error
/// [have](crate::Error::idempotency_key): what was stored is sent again from its beginning.
#[must_use = "a stream does nothing until its events are asked for"]
pub struct EventStream<T> {
    events: Events,
    decode: fn(&SseEvent<'_>) -> Result<StreamItem<T>, DecodeError>,
    operation: OperationName,
    meta: Meta,
    server: Arc<str>,
    span: Span,
    state: State,
    /// An event was given to the caller.
    taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// An event was given with which the stream may end.
    MayEnd,
    /// Ended as it should.
    Closed,
    /// Ended with an error.
    Failed,
}

impl<T> EventStream<T> {
    pub(crate) fn new(
        answer: RawResponse<Events>,
        server: Arc<str>,
        decode: fn(&SseEvent<'_>) -> Result<StreamItem<T>, DecodeError>,
    ) -> Self {
        let RawResponse { operation, meta, body: events, span } = answer;
        Self { events, decode, operation, meta, server, span, state: State::Open, taken: false }
    }

    /// Status, trace id and every `Agent-*` header of the answer. They came before the first event.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The next event; `None` after the last one, and after an error.
    ///
    /// The stream is a [`Stream`] as well. This method is here so that you need no other crate to use it.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        if self.state == State::MayEnd {
            self.close(cx);
        }
        if self.is_over() {
            return Poll::Ready(None);
        }
        let event = match ready!(self.events.poll_event(cx)) {
            Ok(true) => self.events.event(),
            Ok(false) => None,
            Err(fault) => return self.fail(cx, |stream| stream.broken(fault)),
        };
        let Some(event) = event else { return self.fail(cx, Self::truncated) };
        if !self.span.is_disabled() {
            record_usage(&self.span, event.data());
        }
        match (self.decode)(&event) {
            Ok(StreamItem::Event(item)) => Poll::Ready(Some(Ok(item))),
            Ok(StreamItem::Last(item)) => {
                self.state = State::MayEnd;
                Poll::Ready(Some(Ok(item)))
            }
            Ok(StreamItem::End) => {
                self.close(cx);
                Poll::Ready(None)
            }
            Ok(StreamItem::Error(error)) => self.fail(cx, |stream| stream.refused(error)),
            Err(error) => {
                let data = Bytes::copy_from_slice(event.data());
                self.fail(cx, |stream| stream.undecodable(data, error))
            }
        }
    }

    /// From now on the events are kept, and have a limit.
    pub(super) fn kept(mut self) -> Self {
        self.events.keep();
        self
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Failed)
    }

    /// Whether it has given an event.
    pub(super) fn was_begun(&self) -> bool {
        self.taken
    }

    /// Whether it has given an error.
    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.events.finish(cx);
        self.state = State::Closed;
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: impl FnOnce(&Self) -> Error) -> Poll<Option<Result<T>>> {
        self.close(cx);
        self.state = State::Failed;
        let error = error(self);
        pipeline::record_end(&self.span, &error);
        Poll::Ready(Some(Err(error)))
    }
}

/// What ends a stream before its end. The generation has begun, so none of it is certain.
impl<T> EventStream<T> {
    fn error(&self, error: Error, data: Bytes) -> Error {
        error
            .with_outcome(Outcome::Ambiguous)
            .with_attempts(self.meta.attempts())
            .with_answer(self.meta.clone(), data)
            .with_operation(self.operation.clone())
    }

    fn broken(&self, fault: Fault) -> Error {
        self.error(fault.into_error(&self.server), Bytes::new())
    }

    pub(super) fn truncated(&self) -> Error {
        let message = "the stream ended without its end: the answer is not whole";
        self.error(Error::new(ErrorKind::StreamTruncated, message), Bytes::new())
    }

    fn refused(&self, error: StreamError) -> Error {
        let (api, message) = error.into_parts();
        let kind = pipeline::kind_in_stream(&api);
        let message = message.unwrap_or_else(|| "an error without a message".to_owned());
        let error = Error::new(kind, format!("the server failed in the stream: {message}"));
        self.error(error.with_api(api), Bytes::new())
    }

    fn undecodable(&self, data: Bytes, error: DecodeError) -> Error {
        let message = format!("an event of the stream is not what the contract says {error}");
        let path = error.path().to_owned();
        let error = Error::new(ErrorKind::Decode, message).with_decode_path(path).with_cause(error);
        self.error(error, data)
    }

    /// An error of an answer whose events were all read.
    pub(super) fn incomplete(&self, error: Error) -> Error {
        let body = error.body().clone();
        let error = self.error(error, body);
        pipeline::record_end(&self.span, &error);
        error
    }
}

impl<T> Stream for EventStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let span = this.span.clone();
        let _entered = span.enter();
        let item = ready!(this.poll_item(cx));
        this.taken |= matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<T> FusedStream for EventStream<T> {
    fn is_terminated(&self) -> bool {
        self.is_over()
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("meta", &self.meta)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Writes down the usage where an event tells it: a chunk by itself, a final event in its response.
fn record_usage(span: &Span, data: &[u8]) {
    #[derive(Deserialize)]
    struct Event {
        usage: Option<Value>,
        response: Option<Response>,
    }

    #[derive(Deserialize)]
    struct Response {
        usage: Option<Value>,
    }

    if !contains(data, b"\"usage\"") {
        return;
    }
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    let usage = event.usage.or(event.response.and_then(|response| response.usage));
    if let Some(usage) = usage.filter(Value::is_object) {
        pipeline::record_usage(span, &usage);
    }
}
