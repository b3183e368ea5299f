//! Answers that are streams: sent as they are made, and recorded whole under an idempotency key.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::generations::{Kept, MOST_KEPT, commit};
use super::v1_responses::give_up;
use crate::app::App;
use crate::chain::chain;
use crate::engine::Held;
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, ProjectCtx, StoredResponse};

/// A piece of a stream.
pub(super) enum Piece {
    /// More follows.
    Part(Bytes),
    /// The end of a stream that came to a good one, what is kept of it, and the end when it cannot be kept. It is sent after
    /// it was kept.
    Last(Bytes, Kept, Fault),
    /// The end of one that did not, for example an error event. Nothing is kept, and a repeat runs.
    Broken(Bytes),
}

/// Makes the last event of a stream that could not be kept.
pub(super) type Fault = Arc<dyn Fn(&ApiError) -> Bytes + Send + Sync>;

/// Answers with server-sent events.
///
/// `headers` are those of the generation. The stream is dropped when the client goes away; the idempotency key is free then.
pub(super) fn reply<S>(call: &Call, held: Held, headers: Vec<(Cow<'static, str>, String)>, pieces: S) -> Reply
where
    S: Stream<Item = Piece> + Send + 'static,
{
    let head = head(call, headers);
    let record = held.lease().is_some().then(BytesMut::new);
    let recorder = Recorder {
        app: Arc::clone(&call.app),
        ctx: call.ctx.clone(),
        head: head.clone(),
        held,
        record,
        _running: call.app.running.token(),
    };
    Reply::stream(head, Body::from_stream(events(pieces, recorder)))
}

/// The answer without its body.
fn head(call: &Call, mut headers: Vec<(Cow<'static, str>, String)>) -> Answer {
    headers.extend(event_stream());
    Answer { status: 200, trace: call.ctx.trace.clone(), headers, body: Bytes::new() }
}

/// The headers of server-sent events.
pub(super) fn event_stream() -> [(Cow<'static, str>, String); 2] {
    [("content-type".into(), "text/event-stream".to_owned()), ("cache-control".into(), "no-cache".to_owned())]
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
            Piece::Last(bytes, kept, fault) => {
                // What made the stream is done, and its connection may serve another.
                drop(pieces);
                recorder.record(&bytes);
                Some((Ok(recorder.keep(bytes, kept, fault).await), None))
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
    held: Held,
    /// What was sent so far, when it is to be kept.
    record: Option<BytesMut>,
    /// A shutdown waits for the stream.
    _running: TaskTrackerToken,
}

impl Recorder {
    fn record(&mut self, bytes: &[u8]) {
        if let Some(record) = &mut self.record {
            if record.len() + bytes.len() > MOST_KEPT {
                tracing::warn!(trace = %self.ctx.trace, "a stream is too long to be kept under its key");
                self.record = None;
                self.held = Held::nothing();
                return;
            }
            record.extend_from_slice(bytes);
        }
    }

    /// Keeps what the stream made, and gives its last bytes, or the event that says why they are missing.
    async fn keep(self, last: Bytes, kept: Kept, fault: Fault) -> Bytes {
        if !kept.begun {
            return self.commit(last, kept, &fault).await;
        }
        // A client that goes away now must not leave a response as it began.
        let (running, told) = (self.app.running.clone(), Arc::clone(&fault));
        let kept = running.see_through(async move { Ok(self.commit(last, kept, &told).await) });
        kept.await.unwrap_or_else(|error: ApiError| fault(&error))
    }

    async fn commit(self, last: Bytes, kept: Kept, fault: &Fault) -> Bytes {
        let Self { app, ctx, head, held, record, .. } = self;
        let answer = Answer { body: record.unwrap_or_default().freeze(), ..head };
        let begun = match &kept.response {
            Some(StoredResponse::V1(response)) if kept.begun => Some(response.id().clone()),
            _ => None,
        };
        let Err(error) = commit(&app, &ctx, held, kept, &answer).await else { return last };
        if let Some(cause) = error.cause() {
            tracing::error!(trace = %ctx.trace, cause = chain(cause), "a stream could not be kept");
        }
        let told = fault(&error);
        if let Some(id) = begun {
            // Whoever still listens need not wait for a store that cannot be written.
            app.running.clone().begin(async move { give_up(&app, &ctx, &id, &error).await });
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use serde_json::json;
    use zumik_types::V1ResponseId;

    use super::*;
    use crate::engine::Reservation;
    use crate::fixtures::{app, begun, head, leave, response};
    use crate::store::Idempotency;
    use crate::store::sqlite::{Options, SqliteStore};

    /// The end of the stream of a response.
    fn end(
        app: &Arc<App>,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
        held: Held,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        let response = Some(StoredResponse::V1(Box::new(response(id, "completed"))));
        let kept = Kept { response, begun: true, ..Kept::default() };
        let recorder = Recorder {
            app: Arc::clone(app),
            ctx: ctx.clone(),
            head: head(ctx),
            held,
            record: None,
            _running: app.running.token(),
        };
        let fault: Fault = Arc::new(|error| error.envelope().into());
        events(futures_util::stream::iter([Piece::Last(Bytes::new(), kept, fault)]), recorder)
    }

    async fn open(folder: &std::path::Path) -> (Arc<App>, ProjectCtx) {
        app(Arc::new(SqliteStore::open(Options::new(folder)).await.unwrap())).await
    }

    #[tokio::test]
    async fn a_client_that_goes_away_while_the_end_is_kept_leaves_no_open_response() {
        let folder = tempfile::tempdir().unwrap();
        let (app, ctx) = open(folder.path()).await;
        for polls in 1..8 {
            let response = begun(&app, &ctx).await;
            leave(pin!(end(&app, &ctx, response.id(), Held::nothing())).next(), polls).await;
            app.running.end().await;
            let found = app.store.retrieve_v1_response(&ctx, response.id()).await.unwrap();
            assert!(found.is_complete(), "gone after {polls} polls: {found:?}");
        }
    }

    #[tokio::test]
    async fn an_end_that_cannot_be_kept_fails_the_response_although_the_client_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (app, ctx) = open(folder.path()).await;
        for polls in 1..8 {
            let response = begun(&app, &ctx).await;
            let key = Idempotency { path: "/".to_owned(), key: polls.to_string(), fingerprint: [0; 32] };
            let reserved = Held::reserve(&app, &ctx, Some(key.clone())).await;
            let Ok(Reservation::Held(held)) = reserved else { panic!("the key is free") };
            // Another request has taken the key over.
            app.store.release(held.lease().unwrap().clone()).await.unwrap();
            app.store.reserve(&ctx, &key).await.unwrap();
            leave(pin!(end(&app, &ctx, response.id(), held)).next(), polls).await;
            app.running.end().await;
            let found = app.store.retrieve_v1_response(&ctx, response.id()).await.unwrap();
            assert_eq!(found.members()["status"], "failed", "gone after {polls} polls");
        }
    }

    #[tokio::test]
    async fn a_response_whose_end_cannot_be_written_fails_as_soon_as_the_store_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let (app, ctx) = open(folder.path()).await;
        let response = begun(&app, &ctx).await;
        // The store waits some seconds for its turn to write, and is unavailable then.
        let other = rusqlite::Connection::open(folder.path().join("zumik.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let told: Vec<_> = end(&app, &ctx, response.id(), Held::nothing()).collect().await;
        assert!(String::from_utf8_lossy(told[0].as_ref().unwrap()).contains("error"), "{told:?}");
        other.execute_batch("ROLLBACK").unwrap();
        app.running.end().await;
        let found = app.store.retrieve_v1_response(&ctx, response.id()).await.unwrap();
        assert_eq!(found.members().get("status"), Some(&json!("failed")), "{found:?}");
    }
}
