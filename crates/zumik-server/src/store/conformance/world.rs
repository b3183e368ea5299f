//! What a law runs in: a store, a clock that stands still, two projects with a key each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use zumik_test_postgres::Postgres;
use zumik_types::{
    AppendEventRequest, ArtifactId, ArtifactType, BranchId, BundleId, BundleItem, CreateArtifactRequest,
    CreateBundleRequest, CreateSessionRequest, Event, EventType, ForkBranchRequest, NewEvent, Session,
    SessionBranch, SessionId, SortOrder, TraceId,
};

use crate::clock::{Clock, FixedClock};
use crate::domain::{Scopes, key_hash};
use crate::mint::RandomMint;
use crate::seal::MasterKey;
use crate::store::memory::MemoryStore;
use crate::store::postgres::{self, PostgresStore};
use crate::store::receipt::Erasure;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{
    EventPage, Guard, Idempotency, NewKey, ProjectCtx, ProviderCache, Result, Store, StoreError, Written,
};

/// What a law runs in.
#[derive(Clone)]
pub(in crate::store) struct World {
    pub(in crate::store) store: Arc<dyn Store>,
    pub(in crate::store) clock: Arc<FixedClock>,
    /// A project.
    own: ProjectCtx,
    /// Another one.
    foreign: ProjectCtx,
    /// What the store may say of a purge.
    pub(in crate::store) erasure: Erasure,
    traces: Arc<AtomicU64>,
    _folder: Option<Arc<TempDir>>,
}

impl World {
    pub(in crate::store) async fn memory() -> Self {
        let clock = clock();
        let store = MemoryStore::new(clock.clone(), Arc::new(RandomMint::default()));
        let store = store.with_provider_caches(vec![cache()]);
        Self::new(Arc::new(store), clock, None).await
    }

    pub(in crate::store) async fn sqlite() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = clock();
        let options = Options::new(folder.path()).clock(clock.clone()).provider_caches(vec![cache()]);
        let store = SqliteStore::open(options).await.unwrap();
        Self::new(Arc::new(store), clock, Some(folder)).await
    }

    /// Nothing where PostgreSQL is not installed.
    pub(in crate::store) async fn postgres() -> Option<Self> {
        let server = Postgres::shared()?;
        let clock = clock();
        let options = postgres::Options::new(server.url("postgres").parse().unwrap())
            .schema(server.name("laws"))
            .connections(8)
            .master_key(MasterKey::mint(&RandomMint::default()))
            .clock(clock.clone())
            .provider_caches(vec![cache()]);
        let store = PostgresStore::open(options).await.unwrap();
        let world = Self::new(Arc::new(store), clock, None).await;
        Some(Self { erasure: Erasure::OutOfReach, ..world })
    }

    pub(in crate::store) async fn new(
        store: Arc<dyn Store>,
        clock: Arc<FixedClock>,
        folder: Option<Arc<TempDir>>,
    ) -> Self {
        let own = ctx(&*store, "own", clock.now()).await;
        let foreign = ctx(&*store, "foreign", clock.now()).await;
        Self { store, clock, own, foreign, erasure: Erasure::Gone, traces: Arc::default(), _folder: folder }
    }

    /// A request to the project.
    pub(in crate::store) fn ctx(&self) -> ProjectCtx {
        self.request(&self.own)
    }

    /// A request to the other project.
    pub(in crate::store) fn foreign(&self) -> ProjectCtx {
        self.request(&self.foreign)
    }

    fn request(&self, project: &ProjectCtx) -> ProjectCtx {
        let trace = self.traces.fetch_add(1, Ordering::Relaxed);
        let trace = TraceId::with_suffix(&format!("{trace}"));
        ProjectCtx { trace, now: self.clock.now(), ..project.clone() }
    }

    pub(in crate::store) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    pub(in crate::store) async fn artifact(&self, kind: ArtifactType, text: &str) -> ArtifactId {
        let request = CreateArtifactRequest::new(kind, text);
        fresh(self.store.create_artifact(&self.ctx(), request, None).await).id
    }

    pub(in crate::store) async fn document(&self, text: &str) -> ArtifactId {
        self.artifact(ArtifactType::Document, text).await
    }

    pub(in crate::store) async fn bundle(&self, artifacts: &[&ArtifactId]) -> BundleId {
        let items = artifacts.iter().map(|id| BundleItem::new(*id, "context"));
        fresh(self.store.create_bundle(&self.ctx(), CreateBundleRequest::new(items), None).await).id
    }

    pub(in crate::store) async fn session(&self) -> Session {
        fresh(self.store.create_session(&self.ctx(), CreateSessionRequest::new(), None).await)
    }

    /// Appends an event with the right version.
    pub(in crate::store) async fn append(
        &self,
        session: &SessionId,
        branch: &BranchId,
        payload: Option<&ArtifactId>,
    ) -> Event {
        let version = self.branch(session, branch).await.version;
        let mut event = NewEvent::new(EventType::UserMessage);
        event.payload_ref = payload.map(String::from);
        let request = AppendEventRequest::new(version, event);
        fresh(self.store.append_event(&self.ctx(), session, branch, request, None).await)
    }

    /// A session whose root branch holds so many events.
    pub(in crate::store) async fn history(&self, events: usize) -> (Session, Vec<Event>) {
        let session = self.session().await;
        let mut history = Vec::new();
        for _ in 0..events {
            history.push(self.append(&session.id, &session.default_branch_id, None).await);
        }
        (session, history)
    }

    pub(in crate::store) async fn fork(&self, session: &SessionId, from: &BranchId) -> SessionBranch {
        let request = ForkBranchRequest::new(from);
        fresh(self.store.fork_branch(&self.ctx(), session, request, None).await)
    }

    pub(in crate::store) async fn branch(&self, session: &SessionId, branch: &BranchId) -> SessionBranch {
        self.store.retrieve_branch(&self.ctx(), session, branch).await.unwrap()
    }

    /// The whole history of a branch, rising.
    pub(in crate::store) async fn events(&self, session: &SessionId, branch: &BranchId) -> Vec<Event> {
        let page = EventPage { after: None, limit: 1000, order: SortOrder::Asc };
        self.store.list_events(&self.ctx(), session, branch, page).await.unwrap().data
    }
}

/// A provider that keeps prompts for a day.
pub(super) fn cache() -> ProviderCache {
    ProviderCache::new("provider", Duration::from_secs(86_400))
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()))
}

async fn ctx(store: &dyn Store, name: &str, now: DateTime<Utc>) -> ProjectCtx {
    let project = store.ensure_project(name, now).await.unwrap().id;
    let key = new_key(name);
    let hash = key.hash;
    store.create_key(&project, key, now).await.unwrap();
    let caller = store.authenticate(&hash).await.unwrap().unwrap();
    let trace = TraceId::with_suffix("0");
    ProjectCtx { project: caller.project, key: caller.key, scopes: caller.scopes, trace, now }
}

/// A key to be registered.
pub(super) fn new_key(secret: &str) -> NewKey {
    NewKey {
        name: secret.to_owned(),
        scopes: Scopes::INFERENCE_ONLY,
        hash: key_hash(secret.as_bytes()),
        masked: "zk_live_…".to_owned(),
    }
}

/// An idempotency key for a request whose body is `body`.
pub(super) fn key(path: &str, key: &str, body: &str) -> Option<Idempotency> {
    Some(Idempotency { path: path.to_owned(), key: key.to_owned(), fingerprint: key_hash(body.as_bytes()) })
}

/// What was written now.
#[track_caller]
pub(in crate::store) fn fresh<T: std::fmt::Debug>(written: Result<Written<T>>) -> T {
    match written {
        Ok(Written::Fresh { value, .. }) => value,
        other => panic!("expected a fresh answer, found {other:?}"),
    }
}

/// Expects an id of a path to be missing.
#[track_caller]
pub(super) fn not_found<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "expected not found, found {result:?}");
}

/// Expects a field of the body to name something missing or wrong.
#[track_caller]
pub(super) fn reference<T: std::fmt::Debug>(result: Result<T>, expected: &str) {
    match result {
        Err(StoreError::Reference { param, .. }) => assert_eq!(param, expected),
        other => panic!("expected an error of '{expected}', found {other:?}"),
    }
}

/// Expects the session not to be active.
#[track_caller]
pub(super) fn not_active<T: std::fmt::Debug>(result: Result<T>) {
    assert!(
        matches!(result, Err(StoreError::SessionNotActive { .. })),
        "expected not active, found {result:?}"
    );
}

/// Expects a conflict of this guard; gives the branch as it is.
#[track_caller]
pub(super) fn conflict<T: std::fmt::Debug>(result: Result<T>, expected: Guard) -> zumik_types::BranchState {
    match result {
        Err(StoreError::Conflict { guard, branch }) => {
            assert_eq!(guard, expected);
            *branch
        }
        other => panic!("expected a conflict, found {other:?}"),
    }
}
