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
use crate::engine::Held;
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, ProjectCtx, StoredResponse};

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
            if record.len() + bytes.len() > MOST_KEPT {
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
        let begun = match &kept.response {
            Some(StoredResponse::V1(response)) if kept.begun => Some(response.id().clone()),
            _ => None,
        };
        match self.commit(held, kept, answer).await {
            Ok(()) => last,
            Err(error) => {
                if let Some(cause) = error.cause() {
                    tracing::error!(trace = %self.ctx.trace, cause, "a stream could not be kept");
                }
                let last = (self.fault)(&error);
                if let Some(id) = begun {
                    let Self { app, ctx, .. } = self;
                    app.running.clone().spawn(async move { give_up(&app, &ctx, &id, &error).await });
                }
                last
            }
        }
    }

    async fn commit(&self, held: Held, kept: Kept, answer: Answer) -> Result<(), ApiError> {
        if !kept.begun {
            return commit(&self.app, &self.ctx, held, kept, &answer).await;
        }
        // A client that goes away now must not leave a response as it began.
        let (app, ctx) = (Arc::clone(&self.app), self.ctx.clone());
        let kept = self.app.running.spawn(async move { commit(&app, &ctx, held, kept, &answer).await });
        kept.await.unwrap_or_else(|_| Err(ApiError::internal("keeping a response panicked")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::poll_fn;
    use std::task::Poll;

    use serde_json::json;
    use zumik_types::{KeyId, TraceId, V1ResponseId};

    use super::*;
    use crate::app::Inference;
    use crate::clock::SystemClock;
    use crate::config::LimitSettings;
    use crate::domain::{ResponseObject, Scopes};
    use crate::engine::{Models, Placeholder, Upstreams};
    use crate::mint::RandomMint;
    use crate::store::sqlite::{Options, SqliteStore};
    use crate::store::{Generation, Store};

    async fn app(store: Arc<dyn Store>) -> (Arc<App>, ProjectCtx) {
        let now = chrono::Utc::now();
        let project = store.ensure_project("test", now).await.unwrap().id;
        let inference = Inference {
            local: Arc::new(Placeholder::default()),
            upstreams: Upstreams::new(&BTreeMap::new(), &|_| None).unwrap(),
            models: Models::new(BTreeMap::new()),
        };
        let (clock, mint) = (Arc::new(SystemClock), Arc::new(RandomMint::default()));
        let app = App::new(store, inference, clock, mint, &LimitSettings::default()).unwrap();
        let (key, trace) = (KeyId::with_suffix("1"), TraceId::with_suffix("1"));
        (Arc::new(app), ProjectCtx { project, key, scopes: Scopes::INFERENCE_ONLY, trace, now })
    }

    fn response(id: &V1ResponseId, status: &str) -> StoredResponse {
        let members = json!({ "status": status }).as_object().unwrap().clone();
        StoredResponse::V1(Box::new(ResponseObject::new(id.clone(), members)))
    }

    /// A response that was kept as it began.
    async fn begun(app: &App, ctx: &ProjectCtx) -> V1ResponseId {
        let id = V1ResponseId::with_suffix(&app.mint.suffix(ctx.now));
        let begun = Generation {
            response: Some(response(&id, "in_progress")),
            begun: false,
            input_items: None,
            expires_at: ctx.now + super::super::generations::RETENTION,
            materialized: Vec::new(),
            answer: head(ctx),
        };
        app.store.commit_generation(ctx, begun, None).await.unwrap();
        id
    }

    fn head(ctx: &ProjectCtx) -> Answer {
        Answer { status: 200, trace: ctx.trace.clone(), headers: Vec::new(), body: Bytes::new() }
    }

    /// The end of the stream of a response.
    fn end(
        app: &Arc<App>,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        let kept = Kept { response: Some(response(id, "completed")), begun: true, ..Kept::default() };
        let recorder = Recorder {
            app: Arc::clone(app),
            ctx: ctx.clone(),
            head: head(ctx),
            held: Some(Held::nothing(Arc::clone(&app.store))),
            record: None,
            fault: |error| error.envelope().into(),
            _running: app.running.token(),
        };
        events(futures_util::stream::iter([Piece::Last(Bytes::new(), kept)]), recorder)
    }

    #[tokio::test]
    async fn a_client_that_goes_away_while_the_end_is_kept_leaves_no_open_response() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(Options::new(folder.path())).await.unwrap());
        let (app, ctx) = app(store).await;
        for polls in 1..8 {
            let id = begun(&app, &ctx).await;
            let mut events = Box::pin(end(&app, &ctx, &id));
            let mut left = polls;
            poll_fn(|cx| {
                left -= 1;
                let ready = events.poll_next_unpin(cx).is_ready();
                if ready || left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            drop(events);
            app.running.close();
            app.running.wait().await;
            let found = app.store.retrieve_v1_response(&ctx, &id).await.unwrap();
            assert!(found.is_complete(), "gone after {polls} polls: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_response_whose_end_cannot_be_written_fails_as_soon_as_the_store_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(Options::new(folder.path())).await.unwrap());
        let (app, ctx) = app(store).await;
        let id = begun(&app, &ctx).await;
        // The store waits some seconds for its turn to write, and is unavailable then.
        let other = rusqlite::Connection::open(folder.path().join("zumik.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let told: Vec<_> = end(&app, &ctx, &id).collect().await;
        assert!(String::from_utf8_lossy(told[0].as_ref().unwrap()).contains("error"), "{told:?}");
        other.execute_batch("ROLLBACK").unwrap();
        app.running.close();
        app.running.wait().await;
        let found = app.store.retrieve_v1_response(&ctx, &id).await.unwrap();
        assert_eq!(found.members().get("status"), Some(&json!("failed")), "{found:?}");
    }
}
