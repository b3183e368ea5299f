//! A provider's stream on its way to the caller.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use zumik_types::{ArtifactId, TraceId};

use super::rewrite::Names;
use crate::engine::{Failure, Frame, Meter, ModelStream};
use crate::http::handlers::generations::Kept;
use crate::http::handlers::streams::Piece;
use crate::http::{ApiError, OpenStream};

/// What ends a stream that is complete.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Most bytes that are gathered before they are sent on, although more have come.
const GATHER: usize = 64 * 1024;

/// A stream of chat completion chunks.
pub(super) struct ChatStream {
    pub(super) stream: ModelStream,
    /// Closed when the stream ends; a caller that goes away drops it.
    pub(super) meter: Meter,
    pub(super) names: Names,
    pub(super) include_usage: bool,
    /// Counts as one of the streams of the key.
    pub(super) _open: Option<OpenStream>,
    /// The trace, for the log.
    pub(super) trace: TraceId,
    /// Artifacts whose text was in the prompt.
    pub(super) materialized: Vec<ArtifactId>,
}

impl ChatStream {
    /// The pieces, as they come from the provider.
    pub(super) fn pieces(self) -> impl Stream<Item = Piece> + Send + 'static {
        futures_util::stream::unfold(Some(self), async |stream| stream?.next().await)
    }

    /// What has come, rewritten, and the stream if it goes on.
    async fn next(mut self) -> Option<(Piece, Option<Self>)> {
        let mut out = BytesMut::new();
        loop {
            let read = if out.is_empty() {
                self.stream.next().await
            } else {
                match self.stream.ready() {
                    Some(read) if out.len() < GATHER => read,
                    // It stays with the stream: nothing is read ahead before it is asked for.
                    Some(Ok(Some(frame))) => match self.take(&frame, &mut out) {
                        Ok(()) => return Some((Piece::Part(out.freeze()), Some(self))),
                        Err(failure) => Err(failure),
                    },
                    Some(end) => end,
                    None => return Some((Piece::Part(out.freeze()), Some(self))),
                }
            };
            match read {
                Ok(Some(frame)) => {
                    if let Err(failure) = self.take(&frame, &mut out) {
                        return Some((self.broken(failure, out), None));
                    }
                }
                Ok(None) => {
                    out.put_slice(DONE);
                    self.meter.complete();
                    return Some((Piece::Last(out.freeze(), kept(self.materialized)), None));
                }
                Err(failure) => return Some((self.broken(failure, out), None)),
            }
        }
    }

    /// Adds an event to what goes out.
    fn take(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), Failure> {
        let event = self.names.event(&frame.data, self.include_usage);
        let event = event.inspect_err(|error| self.stream.fail(error))?;
        if let Some(usage) = event.delta.usage {
            self.meter.usage(usage);
        }
        self.meter.delivered(&event.delta.text);
        if let Some(data) = event.data {
            put_event(out, &data);
        }
        Ok(())
    }

    /// The end of a stream that failed after it had begun: an event that says so, and no terminator.
    fn broken(self, failure: Failure, mut out: BytesMut) -> Piece {
        self.meter.fail(&failure);
        tracing::warn!(trace = %self.trace, error = %failure, "a stream broke off");
        out.put_slice(&fault(&failure.into()));
        Piece::Broken(out.freeze())
    }
}

/// The event that tells an error.
pub(super) fn fault(error: &ApiError) -> Bytes {
    event(&error.envelope())
}

/// One event with this data, which has no line breaks.
pub(super) fn event(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 8);
    put_event(&mut out, data);
    out.freeze()
}

fn put_event(out: &mut BytesMut, data: &[u8]) {
    out.reserve(data.len() + 8);
    // JSON may stand on several lines, with white space only in between.
    for (index, line) in data.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
        if index > 0 {
            out.put_u8(b'\n');
        }
        out.put_slice(b"data: ");
        out.put_slice(line);
    }
    out.put_slice(b"\n\n");
}

/// The pieces of a stream that is known as a whole.
pub(super) fn known(
    events: Vec<Bytes>,
    materialized: Vec<ArtifactId>,
) -> impl Stream<Item = Piece> + Send + 'static {
    let last = std::iter::once(Piece::Last(Bytes::from_static(DONE), kept(materialized)));
    futures_util::stream::iter(events.into_iter().map(Piece::Part).chain(last))
}

fn kept(materialized: Vec<ArtifactId>) -> Kept {
    Kept { materialized, ..Kept::default() }
}
