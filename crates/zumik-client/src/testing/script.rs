//! A body that comes in parts, as a test wants them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};

use crate::transport::TransportError;

/// One part of a scripted body. A body without a [`reset`](Self::reset) or [`hang`](Self::hang) ends after its last one.
#[derive(Clone)]
pub struct StreamPart(Part);

#[derive(Debug, Clone)]
enum Part {
    Bytes(Bytes),
    Pause(Duration),
    Reset,
    Hang,
}

impl StreamPart {
    /// A server-sent event with this data, in a piece of its own.
    pub fn event(data: impl AsRef<str>) -> Self {
        let lines: String = data.as_ref().split('\n').map(|line| format!("data: {line}\n")).collect();
        Self::bytes(format!("{lines}\n"))
    }

    /// A piece of the body as it is.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Part::Bytes(bytes.into()))
    }

    /// Nothing, for this long, on tokio's clock.
    pub fn pause(duration: Duration) -> Self {
        Self(Part::Pause(duration))
    }

    /// The connection breaks.
    pub fn reset() -> Self {
        Self(Part::Reset)
    }

    /// Nothing more comes, and the connection stays.
    pub fn hang() -> Self {
        Self(Part::Hang)
    }
}

impl fmt::Debug for StreamPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Part::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Counts a body as open until it is dropped, read to its end or not.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Plays the parts in their order. `open` is one higher for as long as the body is there.
pub(super) fn play(
    parts: Vec<StreamPart>,
    open: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, TransportError>> {
    stream::unfold((parts.into_iter(), Open::new(open)), |(mut parts, open)| async move {
        loop {
            let piece = match parts.next()?.0 {
                Part::Bytes(bytes) => Ok(bytes),
                Part::Reset => Err(TransportError::interrupted("connection reset by peer")),
                Part::Pause(duration) => {
                    tokio::time::sleep(duration).await;
                    continue;
                }
                Part::Hang => std::future::pending().await,
            };
            return Some((piece, (parts, open)));
        }
    })
}
