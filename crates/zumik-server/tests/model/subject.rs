//! A store under test: two projects, and a clock and ids of its own that go as those of the others.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use zumik_server::clock::{Clock, FixedClock};
use zumik_server::domain::{Scopes, key_hash};
use zumik_server::store::memory::MemoryStore;
use zumik_server::store::sqlite::{Options, SqliteStore};
use zumik_server::store::{Lease, NewKey, ProjectCtx, Store};
use zumik_types::TraceId;

use crate::mint::StepMint;
use crate::request::{self, Request};

/// A store under test.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    clock: Arc<FixedClock>,
    mint: Arc<StepMint>,
    /// Of the own project, and of the other.
    projects: Vec<ProjectCtx>,
    leases: [Vec<Lease>; 2],
    folder: Option<TempDir>,
}

impl Subject {
    /// The model.
    pub(crate) async fn memory() -> Self {
        let (clock, mint) = (clock(), Arc::new(StepMint::default()));
        let store = MemoryStore::new(clock.clone(), mint.clone());
        Self::new(Arc::new(store), clock, mint, None).await
    }

    /// The durable store, on a folder that goes with it.
    pub(crate) async fn sqlite() -> Self {
        let (clock, mint) = (clock(), Arc::new(StepMint::default()));
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, &clock, &mint).await;
        Self::new(store, clock, mint, Some(folder)).await
    }

    async fn new(
        store: Arc<dyn Store>,
        clock: Arc<FixedClock>,
        mint: Arc<StepMint>,
        folder: Option<TempDir>,
    ) -> Self {
        let mut projects = Vec::new();
        for (number, name) in ["own", "other"].into_iter().enumerate() {
            mint.begin(usize::MAX - number);
            let now = clock.now();
            let project = store.ensure_project(name, now).await.unwrap();
            let (name, hash) = (name.to_owned(), key_hash(name.as_bytes()));
            let key = NewKey { name, hash, scopes: Scopes::INFERENCE_ONLY, masked: "zk_live_…".to_owned() };
            let key = store.create_key(&project.id, key, now).await.unwrap();
            let trace = TraceId::with_suffix("setup");
            projects.push(ProjectCtx { project: project.id, key: key.id, scopes: key.scopes, trace, now });
        }
        // The durable store learns of the projects by their keys.
        for name in ["own", "other"] {
            assert!(store.authenticate(&key_hash(name.as_bytes())).unwrap().is_some());
        }
        Self { store, clock, mint, projects, leases: [Vec::new(), Vec::new()], folder }
    }

    /// Closes the store and opens it again on its folder.
    pub(crate) async fn reopen(self) -> Self {
        let Some(folder) = &self.folder else { return self };
        self.store.close().await;
        let store = open(folder, &self.clock, &self.mint).await;
        Self { store, ..self }
    }

    /// A request of a project at this moment.
    pub(crate) fn ctx(&self, foreign: bool) -> ProjectCtx {
        ProjectCtx { now: self.clock.now(), ..self.projects[usize::from(foreign)].clone() }
    }

    /// Runs the request of a step.
    pub(crate) async fn run(&mut self, step: usize, foreign: bool, request: &Request) -> Value {
        self.mint.begin(step + 1);
        if let Request::Advance(by) = request {
            self.clock.advance(*by);
        }
        let ctx = ProjectCtx { trace: TraceId::with_suffix(&step.to_string()), ..self.ctx(foreign) };
        request::run(&*self.store, &ctx, &*self.mint, request, &mut self.leases[usize::from(foreign)]).await
    }
}

async fn open(folder: &TempDir, clock: &Arc<FixedClock>, mint: &Arc<StepMint>) -> Arc<dyn Store> {
    let options = Options::new(folder.path()).clock(clock.clone()).mint(mint.clone());
    Arc::new(SqliteStore::open(options).await.unwrap())
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-06-15T16:04:10.250Z".parse().unwrap()))
}
