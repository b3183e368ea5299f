//! A stream of a provider, event by event.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::error::ProviderError;
use super::sse::{Frame, Frames};
use super::times::Times;
use crate::engine::Failure;
use crate::engine::call::Api;
use crate::engine::members::Members;

/// How long the end of a body is waited for after the last event, so that the connection can be used again.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// A provider's server-sent events. Dropped, it closes the connection: that is how a call is cancelled.
#[derive(Debug)]
pub(crate) struct ModelStream {
    api: Api,
    body: Option<Incoming>,
    frames: Frames,
    /// The first event, which has been read ahead.
    first: Option<Frame>,
    times: Times,
    breaker: Breaker,
    circuit: Arc<str>,
    /// Whether the event that ends a stream of this API has come.
    complete: bool,
}

impl ModelStream {
    /// Reads up to the first event, so that a failure before it can still be answered as one.
    ///
    /// # Errors
    /// The first event does not come in time, is an error or not JSON.
    pub(super) async fn open(
        api: Api,
        body: Incoming,
        times: Times,
        breaker: Breaker,
        circuit: Arc<str>,
    ) -> Result<Self, Failure> {
        let frames = Frames::default();
        let mut stream =
            Self { api, body: Some(body), frames, first: None, times, breaker, circuit, complete: false };
        let first = stream.read().await?.ok_or(ProviderError::Malformed("the stream is empty"))?;
        let members = Members::of(&first.data).map_err(|_| NOT_JSON)?;
        if members.value("error").is_some() && (api == Api::ChatCompletions || members.get("type").is_none())
        {
            return Err(ProviderError::in_stream(&first.data).into());
        }
        stream.first = Some(first);
        Ok(stream)
    }

    /// The next event; nothing at the end. The terminator `[DONE]` is not given.
    ///
    /// What an event says is not looked at: an error within the stream is for the caller to see. See
    /// [`ModelStream::fail`].
    ///
    /// # Errors
    /// The stream breaks off before its end, falls silent, has no end or an event beyond all measure; or the caller's
    /// deadline passes. Nothing comes after that.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let read = self.read().await;
        if let Err(Failure::Provider(error)) = &read {
            self.body = None;
            self.fail(error);
        }
        read
    }

    /// The next event if it has come already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn ready(&mut self) -> Option<Result<Option<Frame>, Failure>> {
        self.next().now_or_never()
    }

    /// Tells that what came in the stream cannot be used: it counts against the provider, as what [`next`](Self::next)
    /// itself finds wrong does.
    pub(crate) fn fail(&self, error: &ProviderError) {
        if error.is_fault() {
            self.breaker.fault(&self.circuit, Instant::now());
        }
    }

    async fn read(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = self.frames.next() {
                if &frame.data[..] == b"[DONE]" {
                    self.complete = true;
                    self.finish();
                    return Ok(None);
                }
                self.complete |= self.api == Api::Responses && ends_response(&frame);
                return Ok(Some(frame));
            }
            let Some(body) = &mut self.body else { return Ok(None) };
            match self.times.within(body.frame()).await? {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.frames
                            .push(bytes)
                            .map_err(|_| ProviderError::Malformed("an event is too long"))?;
                    }
                }
                Some(Err(error)) => return Err(ProviderError::BrokeOff(Some(error.into())).into()),
                None if self.complete => return Ok(None),
                None => return Err(ProviderError::BrokeOff(None).into()),
            }
        }
    }

    /// Lets the body come to its end, if that does not take long: a connection is used again only then.
    fn finish(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        if body.frame().now_or_never().is_none() {
            tokio::spawn(async move { tokio::time::timeout(LAST_BYTES, body.frame()).await.is_ok() });
        }
    }
}

const NOT_JSON: ProviderError = ProviderError::Malformed("an event is no JSON object");

/// Whether an event is the last one of a response. A provider may or may not send `[DONE]` after it.
fn ends_response(frame: &Frame) -> bool {
    const LAST: [&str; 4] = ["response.completed", "response.incomplete", "response.failed", "error"];
    let is_last = |name: &str| LAST.contains(&name);
    match &frame.event {
        Some(event) => std::str::from_utf8(event).is_ok_and(is_last),
        None => Members::of(&frame.data)
            .ok()
            .and_then(|members| members.read::<std::borrow::Cow<'_, str>>("type"))
            .is_some_and(|name| is_last(&name)),
    }
}
