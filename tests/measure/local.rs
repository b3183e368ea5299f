//! The durable store in the process of the benchmark: no HTTP, no JSON, only its operations.

use std::path::Path;
use std::sync::Arc;

use zumik_client::types::{
    AppendEventRequest, BranchId, CreateSessionRequest, EventId, EventType, ForkBranchRequest,
    MergeBranchRequest, MergeStrategy, NewEvent, Patch, SessionId, SortOrder, TraceId,
};
use zumik_server::clock::{Clock, SystemClock};
use zumik_server::domain::Scopes;
use zumik_server::mint::RandomMint;
use zumik_server::seal::MasterKey;
use zumik_server::store::postgres::{self, PostgresStore};
use zumik_server::store::sqlite::{Options, SqliteStore};
use zumik_server::store::{EventPage, NewKey, ProjectCtx, Store, Written};

use crate::Result;

/// Events of the branch that longer ones are first merged from, one append each.
const SEED: u64 = 100;

/// The most that one merge copies.
const MERGED: u64 = 10_000;

/// An open store, and who asks.
#[derive(Clone)]
pub struct Local {
    store: Arc<dyn Store>,
    ctx: ProjectCtx,
}

/// A branch with its present state.
pub struct Branch {
    session: SessionId,
    id: BranchId,
    version: u64,
    head: Option<EventId>,
}

impl Local {
    /// Opens the store of a fresh folder, with a project and a key to ask with.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::over(Arc::new(SqliteStore::open(Options::new(folder)).await?)).await
    }

    /// The same of a fresh PostgreSQL database, by its URL.
    pub async fn open_database(url: &str) -> Result<Self> {
        let key = MasterKey::mint(&RandomMint::default());
        let options = postgres::Options::new(url.parse()?).master_key(key);
        Self::over(Arc::new(PostgresStore::open(options).await?)).await
    }

    async fn over(store: Arc<dyn Store>) -> Result<Self> {
        let now = SystemClock.now();
        let project = store.ensure_project("measure", now).await?.id;
        let scopes = Scopes::INFERENCE_ONLY;
        let key = NewKey { name: "measure".to_owned(), scopes, hash: [7; 32], masked: "none".to_owned() };
        let key = store.create_key(&project, key, now).await?.id;
        let ctx = ProjectCtx { project, key, scopes, trace: TraceId::with_suffix("measure"), now };
        Ok(Self { store, ctx })
    }

    /// A new session's root branch.
    pub async fn branch(&self) -> Result<Branch> {
        let made = self.store.create_session(&self.ctx, CreateSessionRequest::new(), None).await?;
        let session = fresh(made)?;
        Ok(Branch {
            session: session.id.clone(),
            id: session.default_branch_id.clone(),
            version: 0,
            head: None,
        })
    }

    /// One durable append.
    pub async fn append(&self, branch: &mut Branch) -> Result {
        let head = branch.head.clone().map_or(Patch::Null, Patch::Value);
        let request = AppendEventRequest::new(branch.version, NewEvent::new(EventType::Note));
        let request = request.expected_head_event_id(head);
        let event =
            fresh(self.store.append_event(&self.ctx, &branch.session, &branch.id, request, None).await?)?;
        branch.version = event.sequence;
        branch.head = Some(event.id);
        Ok(())
    }

    /// The newest hundred events.
    pub async fn newest_page(&self, branch: &Branch) -> Result {
        let page = EventPage { after: None, limit: 100, order: SortOrder::Desc };
        self.store.list_events(&self.ctx, &branch.session, &branch.id, page).await?;
        Ok(())
    }

    /// A branch with a history of `length` events, a multiple of the seed. Merges make it: they copy thousands at once.
    pub async fn branch_of(&self, length: u64) -> Result<Branch> {
        let mut branch = self.branch().await?;
        let mut seed = self.fork(&branch).await?;
        for _ in 0..SEED {
            self.append(&mut seed).await?;
        }
        let mut chunk = self.fork(&branch).await?;
        let size = length.min(MERGED);
        while chunk.version < size {
            self.merge(&seed, &mut chunk).await?;
        }
        while branch.version < length {
            self.merge(&chunk, &mut branch).await?;
        }
        Ok(branch)
    }

    /// The last of a chain of forks, `events` in all, spread evenly over the chain: all chains have the same history, and
    /// a page of a deep one crosses many of its branches.
    pub async fn fork_chain(&self, depth: u64, events: u64) -> Result<Branch> {
        let mut branch = self.branch().await?;
        for _ in 0..depth {
            for _ in 0..events / depth {
                self.append(&mut branch).await?;
            }
            branch = self.fork(&branch).await?;
        }
        Ok(branch)
    }

    async fn fork(&self, from: &Branch) -> Result<Branch> {
        let request = ForkBranchRequest::new(&from.id);
        let fork = fresh(self.store.fork_branch(&self.ctx, &from.session, request, None).await?)?;
        Ok(Branch { session: fork.session_id, id: fork.id, version: fork.version, head: fork.head_event_id })
    }

    async fn merge(&self, source: &Branch, target: &mut Branch) -> Result {
        let request = MergeBranchRequest::new(&source.id, MergeStrategy::Rebase, target.version);
        let made = self.store.merge_branch(&self.ctx, &target.session, &target.id, request, None).await?;
        let merged = fresh(made)?.target_branch;
        target.version = merged.version;
        target.head = merged.head_event_id;
        Ok(())
    }
}

/// What was written: without an idempotency key nothing is replayed.
fn fresh<T>(written: Written<T>) -> Result<T> {
    Ok(written.fresh().ok_or("a write without a key was replayed")?)
}
