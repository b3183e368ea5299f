//! Events as they come over the wire, not yet decoded.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use http::header::CONTENT_TYPE;

use super::decode::is_done;
use super::fault::{Fault, Silence};
use crate::error::ErrorKind;
use crate::pipeline::{Limit, Prepared, Take, Untaken, Unusable};
use crate::response::Meta;
use crate::sse::{SseEvent, SseParser};
use crate::transport::{ResponseBody, TransportError};

/// A body of server-sent events. It has begun: its first event is there.
pub(crate) struct Events {
    body: Option<BoxStream<'static, Result<Bytes, TransportError>>>,
    parser: SseParser,
    silence: Silence,
    /// The event at hand has not been given yet.
    waiting: bool,
    /// How many bytes of events may still come, where all of them are kept.
    room: Option<usize>,
    max_body_bytes: usize,
}

impl Take for Events {
    type Body = Self;
    const ACCEPT: Option<&'static str> = Some("text/event-stream");

    fn limit(call: &Prepared) -> Limit {
        Limit::of_first_event(call)
    }

    async fn take(call: &Prepared, meta: &Meta, body: ResponseBody) -> Result<Self, Untaken> {
        if !is_event_stream(meta) {
            return Err(no_stream(call, meta, body).await);
        }
        let mut events = Self {
            body: Some(body.into_pieces()),
            parser: SseParser::with_max_event_bytes(call.max_event_bytes),
            silence: Silence::new(call.idle_timeout),
            waiting: false,
            room: None,
            max_body_bytes: call.max_body_bytes,
        };
        match std::future::poll_fn(|cx| events.poll_first(cx)).await {
            Ok(true) => Ok(events),
            Ok(false) => {
                let ended = "the stream ended before its first event";
                Err(TransportError::interrupted(ended).into())
            }
            Err(Fault::Broken(error)) => Err(TransportError::interrupted(error).into()),
            Err(fault) => Err(Untaken::Unusable(Unusable {
                kind: fault.kind(),
                message: fault.to_string(),
                body: Bytes::new(),
            })),
        }
    }
}

impl Events {
    /// Waits for the first event, which stays. The limit of the attempt is what ends the wait.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let found = ready!(self.poll_read(cx))?;
        self.waiting = found;
        Poll::Ready(Ok(found))
    }

    /// Waits for the next event, which is then [at hand](Self::event). `false` at the end of the body.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        if !std::mem::take(&mut self.waiting) {
            match self.poll_read(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {
                    return self.silence.poll(cx).map(|()| Err(Fault::Idle(self.silence.limit())));
                }
            }
        }
        Poll::Ready(self.count().map(|()| true))
    }

    /// From now on the events are kept: they have room for as much as an answer that is taken whole.
    pub(crate) fn keep(&mut self) {
        self.room = Some(self.max_body_bytes);
    }

    fn count(&mut self) -> Result<(), Fault> {
        let Some(room) = &mut self.room else { return Ok(()) };
        let bytes = self.parser.event().map_or(0, |event| event.data().len());
        *room = room.checked_sub(bytes).ok_or(Fault::TooLong(self.max_body_bytes))?;
        Ok(())
    }

    /// The event at hand.
    pub(crate) fn event(&self) -> Option<SseEvent<'_>> {
        self.parser.event()
    }

    /// Looks once whether the body is at its end, so that its connection can be used again; closes it otherwise.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut body) = self.body.take() {
            let _ = body.poll_next_unpin(cx);
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        loop {
            if self.parser.next_event().map_err(Fault::EventTooLarge)?.is_some() {
                return Poll::Ready(Ok(true));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(piece)) => {
                    self.silence.end();
                    self.parser.push(piece);
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Poll::Ready(Err(Fault::Broken(error)));
                }
                None => {
                    self.body = None;
                    return Poll::Ready(Ok(self.ends_with_done()));
                }
            }
        }
    }

    /// Whether the body ends with `[DONE]` and only the blank line behind it is missing. Other events count when they
    /// are complete.
    fn ends_with_done(&mut self) -> bool {
        self.parser.push(Bytes::from_static(b"\n\n"));
        matches!(self.parser.next_event(), Ok(Some(event)) if is_done(event.data()))
    }
}

fn is_event_stream(meta: &Meta) -> bool {
    let content_type =
        meta.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/event-stream")
}

/// A success that is no stream, with the beginning of what it is instead for whoever looks into the error: it may be the
/// answer itself, so it is not printed.
async fn no_stream(call: &Prepared, meta: &Meta, body: ResponseBody) -> Untaken {
    let body = body.beginning(call.deadline).await;
    let content_type = meta.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("without a content type");
    let message = format!("the answer is {content_type}, not a stream of events");
    Untaken::Unusable(Unusable { kind: ErrorKind::Decode, message, body })
}
