//! A store under test: two projects, and a clock and ids of its own that go as those of the others.

use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;
use tempfile::TempDir;
use zumik_server::clock::{Clock, FixedClock};
use zumik_server::domain::{Scopes, key_hash};
use zumik_server::seal::MasterKey;
use zumik_server::store::memory::MemoryStore;
use zumik_server::store::postgres::{self, Address, PostgresStore};
use zumik_server::store::sqlite::backup::RestoreKey;
use zumik_server::store::sqlite::{self, SqliteStore};
use zumik_server::store::transfer::{self, transfer};
use zumik_server::store::{NewKey, ProjectCtx, Store};
use zumik_test_postgres::Postgres;
use zumik_types::TraceId;

use crate::mint::StepMint;
use crate::request::{self, Held, Request};

/// Idempotency keys that wait in memory at most, in a data folder: few, so that sequences fill the index of the others.
const WAITING_KEYS: usize = 4;

/// A store under test.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    clock: Arc<FixedClock>,
    mint: Arc<StepMint>,
    /// Of the own project, and of the other.
    projects: Vec<ProjectCtx>,
    held: Held,
    place: Place,
}

/// Where the state of a store is.
enum Place {
    Memory,
    Folder(TempDir),
    Schema(Box<Address>, String),
}

impl Subject {
    /// The model.
    pub(crate) async fn memory() -> Self {
        Self::at(Place::Memory).await
    }

    /// The durable store, on a folder that goes with it.
    pub(crate) async fn sqlite() -> Self {
        Self::at(Place::Folder(tempfile::tempdir().unwrap())).await
    }

    /// The durable store of several servers; nothing where PostgreSQL is not installed.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::at(Place::schema()?).await)
    }

    async fn at(place: Place) -> Self {
        let (clock, mint) = (clock(), Arc::new(StepMint::default()));
        let store = place.open(&clock, &mint).await;
        Self::new(store, clock, mint, place).await
    }

    async fn new(store: Arc<dyn Store>, clock: Arc<FixedClock>, mint: Arc<StepMint>, place: Place) -> Self {
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
            assert!(store.authenticate(&key_hash(name.as_bytes())).await.unwrap().is_some());
        }
        Self { store, clock, mint, projects, held: Held::default(), place }
    }

    /// Gives back all lines of batches that are held.
    pub(crate) async fn give_back_lines(&self) {
        let leases: Vec<_> = self.held.lines.iter().map(|line| line.lease.clone()).collect();
        self.store.release_batch_lines(leases).await.unwrap();
    }

    /// Closes the store and opens it again where its state is.
    pub(crate) async fn reopen(&mut self) {
        if !matches!(self.place, Place::Memory) {
            self.store.close().await;
            self.store = self.place.open(&self.clock, &self.mint).await;
        }
    }

    /// Closes the store and moves its state to another one of the other kind; nothing where PostgreSQL is not installed.
    pub(crate) async fn moved(self) -> Option<Self> {
        let Self { store, clock, mint, projects, held, place } = self;
        store.close().await;
        let to = match place {
            Place::Schema(..) => Place::Folder(tempfile::tempdir().unwrap()),
            _ => Place::schema()?,
        };
        transfer(place.of_transfer(), to.of_transfer(), RestoreKey::Given(master_key()), |_| {
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
        let store = to.open(&clock, &mint).await;
        Some(Self { store, clock, mint, projects, held, place: to })
    }

    /// A request of a project at this moment.
    pub(crate) fn ctx(&self, foreign: bool) -> ProjectCtx {
        ProjectCtx { now: self.clock.now(), ..self.projects[usize::from(foreign)].clone() }
    }

    /// Runs the request of a step.
    pub(crate) async fn run(&mut self, step: usize, foreign: bool, request: &Request) -> Value {
        self.mint.begin(step + 1);
        match request {
            Request::Advance(by) => self.clock.advance(*by),
            Request::Day => self.clock.advance(TimeDelta::hours(25)),
            _ => {}
        }
        let ctx = ProjectCtx { trace: TraceId::with_suffix(&step.to_string()), ..self.ctx(foreign) };
        request::run(&*self.store, &ctx, &*self.mint, request, foreign, &mut self.held).await
    }
}

impl Place {
    fn schema() -> Option<Self> {
        let server = Postgres::shared()?;
        let address = server.url("postgres").parse().unwrap();
        Some(Self::Schema(Box::new(address), server.name("model")))
    }

    fn of_transfer(&self) -> transfer::Place {
        match self {
            Self::Memory => unreachable!("the model is in no place"),
            Self::Folder(folder) => transfer::Place::Folder(folder.path().to_owned()),
            Self::Schema(address, schema) => {
                transfer::Place::Database { address: address.clone(), schema: schema.clone() }
            }
        }
    }

    async fn open(&self, clock: &Arc<FixedClock>, mint: &Arc<StepMint>) -> Arc<dyn Store> {
        match self {
            Self::Memory => Arc::new(MemoryStore::new(clock.clone(), mint.clone())),
            Self::Folder(folder) => {
                let options = sqlite::Options::new(folder.path())
                    .master_key(master_key())
                    .clock(clock.clone())
                    .mint(mint.clone())
                    .waiting_keys(WAITING_KEYS);
                Arc::new(SqliteStore::open(options).await.unwrap())
            }
            Self::Schema(address, schema) => {
                let options = postgres::Options::new(Address::clone(address))
                    .schema(schema)
                    .connections(2)
                    .master_key(master_key())
                    .clock(clock.clone())
                    .mint(mint.clone());
                Arc::new(PostgresStore::open(options).await.unwrap())
            }
        }
    }
}

fn master_key() -> MasterKey {
    MasterKey::parse(&"7".repeat(64)).unwrap()
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-06-15T16:04:10.250Z".parse().unwrap()))
}
