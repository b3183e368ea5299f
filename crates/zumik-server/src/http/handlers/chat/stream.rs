//! A provider's stream on its way to the caller.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use zumik_types::{ArtifactId, TraceId};

use super::rewrite::Names;
use crate::chain::chain;
use crate::engine::{Choices, Failure, Frame, Gathered, Meter, ModelStream};
use crate::http::handlers::generations::Kept;
use crate::http::handlers::streams::Piece;
use crate::http::{ApiError, OpenStream};
use crate::openai::write_json;

/// What ends a stream that is complete.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream of chat completion chunks.
pub(super) struct ChatStream {
    pub(super) stream: ModelStream,
    /// Closed when the stream ends; a caller that goes away drops it.
    pub(super) meter: Meter,
    pub(super) names: Names,
    pub(super) include_usage: bool,
    /// Those that have come.
    pub(super) choices: Choices,
    /// Counts as one of the streams of the key.
    pub(super) _open: Option<OpenStream>,
    /// The trace and who answers, for the log.
    pub(super) trace: TraceId,
    pub(super) provider: Arc<str>,
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
        let mut out = Vec::new();
        loop {
            let taken = match self.stream.gather(out.len()).await {
                Ok(Gathered::Event(frame)) => self.take(&frame, &mut out),
                Ok(Gathered::Enough) => return Some((Piece::Part(out.into()), Some(self))),
                Ok(Gathered::End) => {
                    out.extend_from_slice(DONE);
                    self.meter.complete();
                    return Some((last(out.into(), self.materialized), None));
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = taken {
                return Some((self.broken(failure, out), None));
            }
        }
    }

    /// Adds an event to what goes out.
    fn take(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Failure> {
        let event = self.names.event(&frame.data, self.include_usage);
        let event = event.inspect_err(|error| self.stream.fail(error))?;
        if let Some(usage) = event.delta.usage {
            self.meter.usage(usage);
        }
        self.meter.delivered(&event.delta.text);
        self.meter.delivered(&event.delta.rest);
        self.choices.add(event.delta.choices);
        self.stream.may_end(self.choices.have_ended());
        if let Some(data) = event.data {
            write_json(out, None, &data);
        }
        Ok(())
    }

    /// The end of a stream that failed after it had begun: an event that says so, and no terminator.
    fn broken(self, failure: Failure, mut out: Vec<u8>) -> Piece {
        self.meter.fail(&failure);
        let (provider, cause) = (&*self.provider, chain(&failure));
        tracing::warn!(trace = %self.trace, provider, cause, "the stream of a provider broke off");
        write_json(&mut out, None, &ApiError::from(failure).envelope());
        Piece::Broken(out.into())
    }
}

/// One event with this data.
pub(super) fn event(data: &[u8]) -> Bytes {
    let mut out = Vec::new();
    write_json(&mut out, None, data);
    out.into()
}

/// The pieces of a stream that is known as a whole.
pub(super) fn known(
    events: Vec<Bytes>,
    materialized: Vec<ArtifactId>,
) -> impl Stream<Item = Piece> + Send + 'static {
    let last = std::iter::once(last(Bytes::from_static(DONE), materialized));
    futures_util::stream::iter(events.into_iter().map(Piece::Part).chain(last))
}

/// The end of a stream that came to a good one.
fn last(bytes: Bytes, materialized: Vec<ArtifactId>) -> Piece {
    let kept = Kept { materialized, ..Kept::default() };
    Piece::Last(bytes, kept, Arc::new(|error| event(&error.envelope())))
}
