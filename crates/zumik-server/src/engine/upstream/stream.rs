//! A stream of a provider, event by event.

use std::time::Duration;

use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use super::breaker::Permit;
use super::error::{ProviderError, ProviderFailure};
use super::forward::LONGEST;
use super::sse::{Frame, Frames};
use super::times::Times;
use crate::engine::Failure;
use crate::engine::call::Api;
use crate::engine::members::Members;

/// How long the end of a body is waited for after the last event, so that its connection can be used again.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// Most bytes that are gathered before they are sent on, although more have come.
const GATHER: usize = 64 * 1024;

/// What comes next for whoever sends on what has come.
pub(crate) enum Gathered {
    /// One more event.
    Event(Frame),
    /// What is gathered is to be sent on first.
    Enough,
    /// Nothing more.
    End,
}

/// A provider's server-sent events. Dropped before their end, it closes the connection: that is how a call is cancelled.
///
/// What becomes of it is told to the circuit of its target: it succeeds by coming to its end, fails by a fault on the way,
/// and tells nothing when it is left before either.
#[derive(Debug)]
pub(crate) struct ModelStream {
    api: Api,
    body: Option<Incoming>,
    frames: Frames,
    /// The first event, which has been read ahead.
    first: Option<Frame>,
    times: Times,
    /// Nothing once the circuit was told.
    permit: Option<Permit>,
    /// Whether the event that ends a stream of this API has come.
    complete: bool,
    /// Whether nothing is missing but that event.
    may_end: bool,
    /// Bytes that may still come.
    left: usize,
}

impl ModelStream {
    /// Reads up to the first event, so that a failure before it can still be answered as one.
    ///
    /// The stream may be as long as an answer that is no stream: whoever reads it may keep all of it. See
    /// [`passed_on`](Self::passed_on).
    ///
    /// # Errors
    /// The first event does not come in time, is an error or not JSON.
    pub(super) async fn open(api: Api, body: Incoming, times: Times) -> Result<Self, Failure> {
        let mut stream = Self {
            api,
            body: Some(body),
            frames: Frames::default(),
            first: None,
            times,
            permit: None,
            complete: false,
            may_end: false,
            left: LONGEST,
        };
        let first = stream.read().await?.ok_or(ProviderError::Malformed("the stream is empty"))?;
        let members = Members::of(&first.data).map_err(|_| NOT_JSON)?;
        if members.value("error").is_some() && (api == Api::ChatCompletions || members.get("type").is_none())
        {
            return Err(ProviderError::in_answer(&first.data).into());
        }
        stream.first = Some(first);
        Ok(stream)
    }

    /// Tells the circuit of the target that the stream has begun, and how it ends.
    pub(super) fn reports(&mut self, permit: Permit) {
        permit.begin();
        self.permit = Some(permit);
    }

    /// The same stream for whoever passes on what comes and keeps none of it: time alone ends it.
    pub(crate) fn passed_on(mut self) -> Self {
        self.left = usize::MAX;
        self
    }

    /// The next event; nothing at the end. The terminator `[DONE]` is not given.
    ///
    /// What an event says is not looked at: an error within the stream is for the caller to see. See
    /// [`ModelStream::fail`].
    ///
    /// # Errors
    /// The stream breaks off before its end, falls silent, has no end, or is beyond all measure, as a whole or in one
    /// event; or the caller's deadline passes. Nothing comes after that.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let read = self.read().await;
        if let Err(Failure::Provider(ProviderFailure { error, .. })) = &read {
            self.body = None;
            self.fail(error);
        }
        read
    }

    /// The next event for whoever sends on what has come, and has gathered so many bytes of it: waited for when that is
    /// nothing, else taken if it is there already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) async fn gather(&mut self, gathered: usize) -> Result<Gathered, Failure> {
        let next = match gathered {
            0 => Some(self.next().await?),
            1..GATHER => self.next().now_or_never().transpose()?,
            _ => None,
        };
        Ok(match next {
            Some(Some(frame)) => Gathered::Event(frame),
            Some(None) => Gathered::End,
            None => Gathered::Enough,
        })
    }

    /// Tells that what came in the stream cannot be used: it counts against the provider, as what [`next`](Self::next)
    /// itself finds wrong does.
    pub(crate) fn fail(&mut self, error: &ProviderError) {
        if let Some(permit) = self.permit.take() {
            permit.end(error.trouble());
        }
    }

    /// Tells whether all of the answer has come, as far as it has begun: then a body that ends in order needs no terminator.
    /// One that breaks off does.
    pub(crate) fn may_end(&mut self, may_end: bool) {
        self.may_end = may_end;
    }

    async fn read(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = self.frames.next() {
                if is_done(&frame) {
                    self.complete = true;
                    self.finish();
                    return Ok(None);
                }
                self.complete |= self.api == Api::Responses && ends_response(&frame);
                return Ok(Some(frame));
            }
            let Some(body) = &mut self.body else { return Ok(None) };
            if self.times.is_over() {
                // Nobody was waiting for the provider when the time ran out: who reads was slow.
                self.permit = None;
            }
            match self.times.within(body.frame()).await? {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        let left = self.left.checked_sub(bytes.len());
                        self.left = left.ok_or(ProviderError::Malformed("it is too long"))?;
                        self.frames
                            .push(bytes)
                            .map_err(|_| ProviderError::Malformed("an event is too long"))?;
                    }
                }
                Some(Err(error)) => return Err(ProviderError::BrokeOff(Some(error.into())).into()),
                None => {
                    self.complete |= self.may_end || self.ends_with_done();
                    return if self.complete { Ok(None) } else { Err(ProviderError::BrokeOff(None).into()) };
                }
            }
        }
    }

    /// Whether the body ends with `[DONE]` and only the blank line behind it is missing. Any other event without one may be
    /// cut off.
    fn ends_with_done(&mut self) -> bool {
        self.frames.push(b"\n\n").is_ok() && self.frames.next().is_some_and(|frame| is_done(&frame))
    }

    /// Lets the body come to its end, if that does not take long: a connection is used again only then.
    fn finish(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        if let Some(None | Some(Err(_))) = body.frame().now_or_never() {
            return;
        }
        // Without a runtime the process ends, and its connections with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                tokio::time::timeout(LAST_BYTES, rest).await.is_ok()
            });
        }
    }
}

impl Drop for ModelStream {
    fn drop(&mut self) {
        if self.complete {
            if let Some(permit) = self.permit.take() {
                permit.succeed();
            }
            self.finish();
        }
    }
}

const NOT_JSON: ProviderError = ProviderError::Malformed("an event is no JSON object");

fn is_done(frame: &Frame) -> bool {
    &frame.data[..] == b"[DONE]"
}

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use hyper::client::conn::http1::{SendRequest, handshake};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::Instant;

    use super::super::breaker::Breaker;
    use super::*;

    const EVENTS: &str = "data: {\"a\":1}\n\n: a comment\n\ndata: {\"a\":2}\n\ndata: [DONE]\n\n";

    /// A stream of [`EVENTS`], opened.
    async fn opened() -> ModelStream {
        let (stream, mut provider, _) = begun(Api::ChatCompletions, EVENTS, EVENTS.len()).await;
        provider.write_all(rest(EVENTS).as_bytes()).await.unwrap();
        stream
    }

    /// All but the first event.
    fn rest(events: &str) -> &str {
        &events[events.find("\n\n").unwrap() + 2..]
    }

    /// A stream whose first event has come of an answer of so many bytes, its provider, and the connection to it.
    async fn begun(
        api: Api,
        events: &str,
        length: usize,
    ) -> (ModelStream, DuplexStream, SendRequest<Full<Bytes>>) {
        let (client, mut server) = tokio::io::duplex(64 * 1024);
        let (mut requests, connection) = handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(connection);
        let first = &events[..events.len() - rest(events).len()];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{first}");
        let answering = async {
            assert!(server.read(&mut [0; 1024]).await.unwrap() > 0, "a request");
            server.write_all(head.as_bytes()).await.unwrap();
        };
        let (asked, ()) =
            tokio::join!(requests.send_request(Request::new(Full::<Bytes>::default())), answering);
        let body = asked.unwrap().into_body();
        let times = Times::new(None, Duration::from_secs(10), Duration::from_secs(10));
        let stream = ModelStream::open(api, body, times).await.unwrap();
        assert_eq!(stream.left, LONGEST - first.len());
        (stream, server, requests)
    }

    async fn events_of(mut stream: ModelStream) -> Result<usize, Failure> {
        let mut events = 0;
        while stream.next().await?.is_some() {
            events += 1;
        }
        Ok(events)
    }

    #[tokio::test]
    async fn a_stream_that_may_be_kept_has_an_end() {
        for (short_by, fits) in [(0, true), (1, false)] {
            let mut stream = opened().await;
            let left = EVENTS.len() - (LONGEST - stream.left);
            stream.left = left - short_by;
            assert_eq!(events_of(stream).await.ok(), fits.then_some(2), "{short_by}");
        }
        assert_eq!(events_of(opened().await.passed_on()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_body_that_ends_in_order_ends_the_stream_when_nothing_is_missing() {
        let chunk = "data: {\"a\":1}\n\n";
        for (rest, may_end, ends) in [
            ("data: [DONE]\n\n", false, true),
            ("data: [DONE]\n", false, true),
            ("data: [DONE]", false, true),
            ("data: [DONE", false, false),
            ("data: {}", false, false),
            ("", false, false),
            ("", true, true),
            ("data: {}", true, true),
        ] {
            let events = format!("{chunk}{rest}");
            let (mut stream, mut provider, _connection) =
                begun(Api::ChatCompletions, &events, events.len()).await;
            stream.may_end(may_end);
            provider.write_all(rest.as_bytes()).await.unwrap();
            assert_eq!(events_of(stream).await.is_ok(), ends, "{rest} {may_end}");
            let (mut stream, provider, _connection) =
                begun(Api::ChatCompletions, &events, events.len() + 1).await;
            stream.may_end(true);
            drop(provider);
            assert!(events_of(stream).await.is_err(), "what breaks off has not ended");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_no_stream_beyond_its_time_and_does_not_discredit_the_provider() {
        let (breaker, target) = (Breaker::default(), Arc::from("provider/model"));
        for _ in 0..10 {
            let mut stream = opened().await;
            stream.reports(breaker.admit(&target, Instant::now()).expect("its circuit is closed"));
            assert!(stream.next().await.unwrap().is_some());
            tokio::time::advance(Duration::from_secs(10)).await;
            let failure = stream.next().await.unwrap_err();
            let Failure::Provider(ProviderFailure { error, .. }) = &failure else { panic!("{failure:?}") };
            assert!(matches!(error, ProviderError::Endless(_)), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_used_again_when_its_stream_has_come_to_the_last_event() {
        const EVENTS: &str =
            "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.completed\"}\n\n";
        for (reads, again) in [(2, true), (1, false)] {
            let more = "data: [DONE]\n\n";
            let (mut stream, mut provider, mut connection) =
                begun(Api::Responses, EVENTS, EVENTS.len() + more.len()).await;
            provider.write_all(rest(EVENTS).as_bytes()).await.unwrap();
            for _ in 0..reads {
                assert!(stream.next().await.unwrap().is_some());
            }
            drop(stream);
            // The connection has seen that nobody reads from it before its answer ends.
            tokio::task::yield_now().await;
            assert_eq!(provider.write_all(more.as_bytes()).await.is_ok(), again);
            assert_eq!(connection.ready().await.is_ok(), again);
        }
    }
}
