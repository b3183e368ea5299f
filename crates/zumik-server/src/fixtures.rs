//! What tests of this crate begin with: a server without a model over a store of theirs, and what was kept in it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use chrono::TimeDelta;
use indexmap::IndexMap;
use serde_json::json;
use zumik_types::{KeyId, TraceId, V1ResponseId};

use crate::app::{App, Inference};
use crate::clock::{Clock, SystemClock};
use crate::config::LimitSettings;
use crate::domain::{ResponseObject, Scopes};
use crate::engine::{Models, Placeholder, Upstreams};
use crate::mint::RandomMint;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{Answer, Generation, ProjectCtx, Store, StoredResponse};

/// A store that keeps nothing.
pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::new(SystemClock), Arc::new(RandomMint::default())))
}

/// A store in a folder.
pub(crate) async fn sqlite(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(Options::new(folder)).await.unwrap())
}

/// A server over a store, and a request to it.
pub(crate) async fn app(store: Arc<dyn Store>) -> (Arc<App>, ProjectCtx) {
    app_at(store, Arc::new(SystemClock)).await
}

/// The same, by this clock.
pub(crate) async fn app_at(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> (Arc<App>, ProjectCtx) {
    let now = clock.now();
    let project = store.ensure_project("test", now).await.unwrap().id;
    let inference = Inference {
        local: Arc::new(Placeholder::default()),
        upstreams: Upstreams::new(&IndexMap::new(), &|_| None).unwrap(),
        models: Models::new(BTreeMap::new()),
    };
    let mint = Arc::new(RandomMint::default());
    let app = App::new(store, inference, clock, mint, &LimitSettings::default()).unwrap();
    let (key, trace) = (KeyId::with_suffix("1"), TraceId::with_suffix("1"));
    (Arc::new(app), ProjectCtx { project, key, scopes: Scopes::INFERENCE_ONLY, trace, now })
}

/// An answer without headers and body.
pub(crate) fn head(ctx: &ProjectCtx) -> Answer {
    Answer { status: 200, trace: ctx.trace.clone(), headers: Vec::new(), body: Bytes::new() }
}

/// A response in this status.
pub(crate) fn response(id: &V1ResponseId, status: &str) -> ResponseObject {
    let members = json!({ "status": status }).as_object().unwrap().clone();
    ResponseObject::new(id.clone(), members)
}

/// A response that was kept as it began.
pub(crate) async fn begun(app: &App, ctx: &ProjectCtx) -> ResponseObject {
    let response = response(&V1ResponseId::with_suffix(&app.mint.suffix(ctx.now)), "in_progress");
    let begun = Generation {
        response: Some(StoredResponse::V1(Box::new(response.clone()))),
        begun: false,
        input_items: None,
        expires_at: ctx.now + TimeDelta::days(1),
        materialized: Vec::new(),
        answer: head(ctx),
    };
    app.store.commit_generation(ctx, begun, None).await.unwrap();
    response
}

/// Waits for something like a client that goes away: it is polled so many times at most, and dropped.
pub(crate) async fn leave<F: Future>(awaited: F, mut polls: usize) {
    let mut awaited = pin!(awaited);
    poll_fn(|cx| {
        polls -= 1;
        let ready = awaited.as_mut().poll(cx).is_ready();
        if ready || polls == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
