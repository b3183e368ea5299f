//! Sending an answer frame by frame, with what goes wrong on the way.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::answer::{Answer, Body};
use super::record::Ticket;
use super::service::Broken;
use super::{Behaviour, Fault};

/// The body of an answer.
pub(super) type PlayBody = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Broken>>>;

/// A frame of a stream that tells of an error.
const ERROR_FRAME: &[u8] =
    b"data: {\"error\":{\"message\":\"The model broke down.\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

/// A frame of a stream that tells of an error of the request.
const TOO_LONG_FRAME: &[u8] =
    b"data: {\"error\":{\"message\":\"Too long.\",\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}\n\n";

/// A frame that nobody can read.
const RUBBISH_FRAME: &[u8] = b"data: {\"id\":\"chatcmpl-\n\n";

/// An answer on its way.
pub(super) struct Play {
    frames: VecDeque<Bytes>,
    breaks: bool,
    stalls: bool,
    pause: Duration,
    ticket: Ticket,
}

impl Play {
    /// The frames that the behaviour lets through, and how they end.
    pub(super) fn new(answer: Answer, behaviour: &Behaviour, ticket: Ticket) -> Self {
        let mut frames: VecDeque<Bytes> = match answer.body {
            Body::Plain(mut body) => {
                let second = body.split_off(body.len() / 2);
                [body, second].into_iter().filter(|half| !half.is_empty()).collect()
            }
            Body::Stream(frames) => frames.into(),
        };
        let (mut breaks, mut stalls) = (false, false);
        match behaviour.fault {
            None | Some(Fault::Silence | Fault::HangUp) => {}
            Some(Fault::Stall(after)) => {
                frames.truncate(after);
                stalls = true;
            }
            Some(Fault::Cut(after)) => {
                frames.truncate(after);
                breaks = true;
            }
            Some(Fault::End(after)) => frames.truncate(after),
            Some(Fault::Error(after)) => {
                frames.truncate(after);
                frames.push_back(Bytes::from_static(ERROR_FRAME));
            }
            Some(Fault::TooLong(after)) => {
                frames.truncate(after);
                frames.push_back(Bytes::from_static(TOO_LONG_FRAME));
            }
            Some(Fault::Rubbish(after)) => {
                let after = after.min(frames.len());
                frames.insert(after, Bytes::from_static(RUBBISH_FRAME));
            }
        }
        if let Some(length) = behaviour.pieces_of {
            let bytes: Vec<u8> = frames.iter().flatten().copied().collect();
            frames = bytes.chunks(length.max(1)).map(Bytes::copy_from_slice).collect();
        }
        Self { frames, breaks, stalls, pause: behaviour.pause, ticket }
    }

    pub(super) fn body(mut self) -> PlayBody {
        self.ticket.begun();
        self.end_if_sent();
        StreamBody::new(unfold(self, Self::step).boxed())
    }

    async fn step(mut self) -> Option<(Result<Frame<Bytes>, Broken>, Self)> {
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        match self.frames.pop_front() {
            Some(frame) => {
                self.end_if_sent();
                Some((Ok(Frame::data(frame)), self))
            }
            None if self.stalls => pending().await,
            None if self.breaks => {
                self.breaks = false;
                // The connection writes what it has while it waits for more; it would not after an error.
                tokio::task::yield_now().await;
                self.ticket.sent();
                Some((Err(Broken), self))
            }
            None => None,
        }
    }

    /// Tells of the end with the last frame: nobody asks for more once the promised length is there.
    fn end_if_sent(&mut self) {
        if self.frames.is_empty() && !self.stalls && !self.breaks {
            self.ticket.sent();
        }
    }
}
