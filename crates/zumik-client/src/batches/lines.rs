//! Lines of a file as they come, with an end to how long one may be.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use memchr::memchr;

use crate::pipeline::{Prepared, Take, Untaken};
use crate::response::Meta;
use crate::stream::{Fault, Silence};
use crate::transport::{ResponseBody, TransportError};

/// The lines of a body, without their ends and without blank ones.
pub(super) struct Lines {
    body: Option<BoxStream<'static, Result<Bytes, TransportError>>>,
    piece: Bytes,
    /// The beginning of a line whose end has not come.
    begun: BytesMut,
    limit: usize,
    silence: Silence,
}

impl Take for Lines {
    type Body = Self;

    async fn take(call: &Prepared, _meta: &Meta, body: ResponseBody) -> Result<Self, Untaken> {
        Ok(Self {
            body: Some(body.into_pieces()),
            piece: Bytes::new(),
            begun: BytesMut::new(),
            limit: call.max_event_bytes,
            silence: Silence::new(call.idle_timeout),
        })
    }
}

impl Lines {
    /// The next line that ends in the piece at hand; what is left of it begins the next one.
    fn cut(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(end) = memchr(b'\n', &self.piece) else {
            let rest = std::mem::take(&mut self.piece);
            self.check(self.begun.len() + rest.len())?;
            self.begun.extend_from_slice(&rest);
            return Ok(None);
        };
        self.check(self.begun.len() + end)?;
        let line = self.piece.split_to(end);
        self.piece.advance(1);
        if self.begun.is_empty() {
            return Ok(Some(line));
        }
        self.begun.extend_from_slice(&line);
        Ok(Some(self.begun.split().freeze()))
    }

    fn check(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.limit { Err(Fault::LineTooLong(self.limit)) } else { Ok(()) }
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        loop {
            while let Some(line) = self.cut()? {
                if !line.trim_ascii().is_empty() {
                    return Poll::Ready(Ok(Some(line)));
                }
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            let Poll::Ready(piece) = body.poll_next_unpin(cx) else {
                ready!(self.silence.poll(cx));
                return Poll::Ready(Err(Fault::Idle(self.silence.limit())));
            };
            self.silence.end();
            match piece.transpose().map_err(Fault::Broken)? {
                Some(piece) => self.piece = piece,
                None => {
                    self.body = None;
                    let last = self.begun.split().freeze();
                    return Poll::Ready(Ok(Some(last).filter(|line| !line.trim_ascii().is_empty())));
                }
            }
        }
    }
}

impl Stream for Lines {
    type Item = Result<Bytes, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let line = ready!(this.poll_line(cx));
        if line.is_err() {
            this.body = None;
            this.piece.clear();
            this.begun.clear();
        }
        Poll::Ready(line.transpose())
    }
}
