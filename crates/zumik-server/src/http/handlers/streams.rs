//! Answers that are streams: sent as they are made, and recorded whole under an idempotency key.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::generations::{Kept, commit};
use crate::app::App;
use crate::engine::Held;
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, ProjectCtx};

/// Most bytes of a stream that are recorded. A longer one is sent all the same and cannot be replayed: its key is freed.
const MOST_RECORDED: usize = 16 * 1024 * 1024;

/// A piece of a stream.
pub(super) enum Piece {
    /// More follows.
    Part(Bytes),
    /// The end of a stream that came to a good one, and what is kept of it. It is sent after it was kept.
    Last(Bytes, Kept),
    /// The end of one that did not, for example an error event. Nothing is kept, and a repeat runs.
    Broken(Bytes),
}

/// Answers with server-sent events.
///
/// `headers` are those of the generation. `fault` makes the last event of a stream that could not be kept. The stream is
/// dropped when the client goes away; the idempotency key is free then.
pub(super) fn reply<S>(
    call: &Call,
    held: Held,
    headers: Vec<(Cow<'static, str>, String)>,
    pieces: S,
    fault: fn(&ApiError) -> Bytes,
) -> Reply
where
    S: Stream<Item = Piece> + Send + 'static,
{
    let head = head(call, headers);
    let record = held.lease().is_some().then(BytesMut::new);
    let recorder = Recorder {
        app: Arc::clone(&call.app),
        ctx: call.ctx.clone(),
        head: head.clone(),
        held: Some(held),
        record,
        fault,
        _running: call.app.running.token(),
    };
    Reply::stream(head, Body::from_stream(events(pieces, recorder)))
}

/// The answer without its body.
fn head(call: &Call, mut headers: Vec<(Cow<'static, str>, String)>) -> Answer {
    headers.push(("content-type".into(), "text/event-stream".to_owned()));
    headers.push(("cache-control".into(), "no-cache".to_owned()));
    Answer { status: 200, trace: call.ctx.trace.clone(), headers, body: Bytes::new() }
}

fn events<S>(pieces: S, recorder: Recorder) -> impl Stream<Item = Result<Bytes, Infallible>> + Send
where
    S: Stream<Item = Piece> + Send + 'static,
{
    let state = Some((Box::pin(pieces), recorder));
    futures_util::stream::unfold(state, async |state| {
        let (mut pieces, mut recorder) = state?;
        match pieces.next().await? {
            Piece::Part(bytes) => {
                recorder.record(&bytes);
                Some((Ok(bytes), Some((pieces, recorder))))
            }
            Piece::Last(bytes, kept) => {
                // What made the stream is done, and its connection may serve another.
                drop(pieces);
                recorder.record(&bytes);
                Some((Ok(recorder.keep(bytes, kept).await), None))
            }
            Piece::Broken(bytes) => Some((Ok(bytes), None)),
        }
    })
}

/// What a stream leaves behind.
struct Recorder {
    app: Arc<App>,
    ctx: ProjectCtx,
    head: Answer,
    held: Option<Held>,
    /// What was sent so far, when it is to be kept.
    record: Option<BytesMut>,
    fault: fn(&ApiError) -> Bytes,
    /// A shutdown waits for the stream.
    _running: TaskTrackerToken,
}

impl Recorder {
    fn record(&mut self, bytes: &[u8]) {
        if let Some(record) = &mut self.record {
            if record.len() + bytes.len() > MOST_RECORDED {
                tracing::warn!(trace = %self.ctx.trace, "a stream is too long to be kept under its key");
                self.record = None;
                self.held = Some(Held::nothing(Arc::clone(&self.app.store)));
                return;
            }
            record.extend_from_slice(bytes);
        }
    }

    /// Keeps what the stream made, and gives its last bytes, or the event that says why they are missing.
    async fn keep(mut self, last: Bytes, kept: Kept) -> Bytes {
        let Some(held) = self.held.take() else { return last };
        let mut answer = self.head.clone();
        answer.body = self.record.take().unwrap_or_default().freeze();
        match commit(&self.app, &self.ctx, held, kept, &answer).await {
            Ok(()) => last,
            Err(error) => {
                if let Some(cause) = error.cause() {
                    tracing::error!(trace = %self.ctx.trace, cause, "a stream could not be kept");
                }
                (self.fault)(&error)
            }
        }
    }
}
