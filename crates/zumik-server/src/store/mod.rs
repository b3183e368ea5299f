//! The store: whole operations on a project's state, each one transaction. `memory` is the plain model, `sqlite` the
//! durable store of one server, `postgres` that of several, and `durable` what these two have in common; `conformance`
//! holds all of them to the same laws. A handler knows the trait only.

mod aliases;
mod answer;
mod batch_results;
mod batch_rules;
mod batches;
#[cfg(test)]
mod conformance;
mod durable;
mod error;
mod hints;
pub mod memory;
pub mod postgres;
mod prompt_rules;
mod provider_cache;
mod receipt;
mod records;
mod rules;
pub mod sqlite;
pub mod transfer;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use zumik_types::{
    AppendEventRequest, Artifact, ArtifactId, BranchId, BranchMerge, Bundle, BundleId, Conversation,
    ConversationId, CreateArtifactRequest, CreateBundleRequest, CreateConversationRequest,
    CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, Diagnostic, DiagnosticId,
    DiagnosticReport, Event, File, FileId, ForkBranchRequest, KeyId, MergeBranchRequest, NativeResponse,
    ProjectId, PurgeJob, PurgeJobId, PurgeReceipt, ReceiptKeySet, ResponseId, Session, SessionBranch,
    SessionId, Snapshot, SnapshotId, UpdateSessionRequest, V1ResponseId,
};

#[cfg(test)]
pub(crate) use conformance::usage_event;

pub use aliases::{AliasStore, NewAliasRelease};
pub use answer::{ANSWER_LIFETIME, Answer, Idempotency, LEASE, Lease, Reserved, Written};
pub(crate) use batch_rules::OUTPUT_PURPOSE;
pub use batches::{
    Advanced, BATCH_LIFETIME, BatchPage, BatchStore, COMPLETION_WINDOW, ClaimedLine, LINE_LEASE, LineLease,
    LineOutcome, MOST_WAITING, OUTPUT_LIFETIME, SOON,
};
pub use error::{Guard, Kind, Limit, StoreError};
pub use hints::HintStore;
pub use prompt_rules::MAX_PROMPT_BYTES;
pub use provider_cache::ProviderCache;
pub use records::{
    Caller, Continued, EventPage, FilePage, Generation, KeyRecord, MAX_FILE_BYTES, MAX_FILES,
    MAX_MERGED_EVENTS, NewFile, NewKey, Page, Project, ProjectCtx, PromptState, StoredResponse, Swept,
};
pub use usage::{LATEST_EVENTS, REPORT_TIME, UsageQuery, UsageStore};

use crate::domain::{CompactionKey, Prompt, ResponseObject};

/// What every operation gives.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The state of all projects. Requests have been checked by themselves (types, ranges, lengths) before
/// they come here; what needs the state is checked inside the transaction.
///
/// Writes that a POST makes take an optional [`Idempotency`]: the key is looked at before everything
/// else, and the answer is kept in the same transaction as the effect. Each id of a path that names
/// nothing in the project gives [`StoreError::NotFound`], each of a body [`StoreError::Reference`].
#[async_trait]
pub trait Store: AliasStore + BatchStore + HintStore + UsageStore + Send + Sync + 'static {
    // Projects and keys. They name no `ProjectCtx`: they are what one is made from.

    /// Whom the key with this SHA-256 belongs to. A key that was made counts at once, whoever made it. One that was
    /// revoked stops at once, or on the other replicas of a PostgreSQL database within a second.
    async fn authenticate(&self, key_hash: &[u8; 32]) -> Result<Option<Caller>>;

    /// The project of this name, made when there is none.
    async fn ensure_project(&self, name: &str, now: DateTime<Utc>) -> Result<Project>;

    /// The project of this name.
    async fn find_project(&self, name: &str) -> Result<Option<Project>>;

    /// Registers a key. One whose hash is registered already, for the same project, is left as it is, revoked ones too.
    async fn create_key(&self, project: &ProjectId, key: NewKey, now: DateTime<Utc>) -> Result<KeyRecord>;

    /// All keys of a project, or of the server, oldest first, revoked ones included.
    async fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>>;

    /// Revokes a key: it stops working at once, for good. Its hash is kept, by which it is recognized when it is
    /// registered again. Revoking again changes nothing.
    async fn revoke_key(&self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord>;

    // Idempotency outside of the writes below.

    /// What a key would give now: the kept answer, or nothing. For requests that fail before they reach
    /// a write.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`], [`StoreError::InFlight`].
    async fn recall(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Option<Answer>>;

    /// Keeps under its key what was made of a request without the store. Of two that did so at once, the first counts.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`], [`StoreError::InFlight`].
    async fn keep_value(&self, ctx: &ProjectCtx, value: Value, key: Idempotency) -> Result<Written<Value>>;

    /// Takes a key for a call that outlives one transaction, for [`LEASE`].
    ///
    /// # Errors
    /// [`StoreError::KeyReused`], [`StoreError::InFlight`].
    async fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved>;

    /// Holds the key for another [`LEASE`] from `now`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    async fn renew(&self, lease: &Lease, now: DateTime<Utc>) -> Result<()>;

    /// Frees the key without an answer: a repeat runs. Nothing happens when the lease is lost.
    async fn release(&self, lease: Lease) -> Result<()>;

    // Artifacts

    /// Stores content under a new id, sealed.
    async fn create_artifact(
        &self,
        ctx: &ProjectCtx,
        request: CreateArtifactRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Artifact>>;

    /// All artifacts, oldest first.
    async fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>>;

    /// One artifact.
    async fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact>;

    /// Revokes the handle. The content stays until a purge removes it.
    async fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()>;

    // Bundles

    /// Stores an ordered set of artifacts.
    async fn create_bundle(
        &self,
        ctx: &ProjectCtx,
        request: CreateBundleRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Bundle>>;

    /// One bundle.
    async fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle>;

    /// Removes a bundle; its artifacts stay.
    async fn delete_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<()>;

    // Sessions

    /// Opens a session with an empty root branch.
    async fn create_session(
        &self,
        ctx: &ProjectCtx,
        request: CreateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>>;

    /// One session.
    async fn retrieve_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Session>;

    /// Archives a session or makes it active again.
    ///
    /// # Errors
    /// [`StoreError::SessionNotActive`] for a tombstoned one.
    async fn update_session(
        &self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: UpdateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>>;

    /// Removes a session with its branches, events and snapshots.
    async fn delete_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<()>;

    // Branches

    /// Forks a branch at an event, or at its head. Copies nothing.
    async fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: ForkBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<SessionBranch>>;

    /// All branches of a session, oldest first, the root first.
    async fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>>;

    /// One branch: version and head.
    async fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<SessionBranch>;

    // Events

    /// Appends an event when the guards match, by compare-and-swap.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with the branch as it is, [`StoreError::SessionNotActive`].
    async fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: AppendEventRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Event>>;

    /// A page of a branch's history, inherited events included. It costs what the page costs, whatever
    /// the length of the history and the depth of forks.
    async fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: EventPage,
    ) -> Result<Page<Event>>;

    // Merges

    /// Merges another branch of the session into this one, by one of the four strategies.
    ///
    /// # Errors
    /// As [`append_event`](Self::append_event).
    async fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: MergeBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<BranchMerge>>;

    // Snapshots

    /// Pins the logical state of a branch.
    async fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: CreateSnapshotRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Snapshot>>;

    /// All snapshots of a branch, oldest first.
    async fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>>;

    /// One snapshot.
    async fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        id: &SnapshotId,
    ) -> Result<Snapshot>;

    // Generations

    /// The state that a generation reads, its contents opened, as of one moment. An unknown, contradictory
    /// or deleted part gives [`StoreError::Reference`] with the field of [`PromptState`] that led to it, as does what would
    /// make the prompt longer than [`MAX_PROMPT_BYTES`]; then no content was opened.
    ///
    /// # Errors
    /// [`StoreError::SessionNotActive`].
    async fn read_prompt(&self, ctx: &ProjectCtx, state: PromptState) -> Result<Prompt>;

    /// Keeps a generation's response, or the end of one that was kept when it began, and its answer under the lease,
    /// together. Of a response that has ended or was deleted meanwhile only the answer is kept.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]; then nothing was kept.
    async fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: Generation,
        lease: Option<Lease>,
    ) -> Result<()>;

    /// Writes the end of a response that was answered early. One that has ended meanwhile (it was
    /// cancelled) stays as it is. Gives the response as it is then.
    async fn finish_response(&self, ctx: &ProjectCtx, response: StoredResponse) -> Result<StoredResponse>;

    /// Ends every response that no one works on any more as `failed`; to be called at start. Gives how many.
    async fn fail_open_responses(&self) -> Result<u64>;

    /// Which of these `/v1` responses nobody has to work on any more: they have ended, or are gone. Another server of the
    /// same store may have cancelled or deleted them.
    async fn ended_v1_responses(&self, ids: Vec<V1ResponseId>) -> Result<Vec<V1ResponseId>>;

    /// One native response.
    async fn retrieve_response(&self, ctx: &ProjectCtx, id: &ResponseId) -> Result<NativeResponse>;

    /// Stops a native response that has not ended; one that has is given unchanged.
    async fn cancel_response(
        &self,
        ctx: &ProjectCtx,
        id: &ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<NativeResponse>>;

    /// One `/v1` response.
    async fn retrieve_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<ResponseObject>;

    /// The input items of a `/v1` response, if they were kept.
    async fn retrieve_input_items(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<Option<Vec<Value>>>;

    /// Stops a `/v1` response that has not ended; one that has is given unchanged.
    async fn cancel_v1_response(
        &self,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<ResponseObject>>;

    /// Removes a `/v1` response and its input items.
    async fn delete_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<()>;

    /// The items of the responses that a request continues, oldest response first: of each the items it was given,
    /// then those it gave.
    ///
    /// # Errors
    /// [`StoreError::Reference`] of `previous_response_id` or `conversation`: it names nothing, the input items of one
    /// of the responses were not kept, or the items have more than `most` bytes as JSON.
    async fn read_history(&self, ctx: &ProjectCtx, of: Continued, most: usize) -> Result<Vec<Value>>;

    /// The key under which the summaries of a project are sealed, made when there is none.
    async fn compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey>;

    // Conversations

    /// Opens a conversation, to which responses can be tied.
    async fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Conversation>>;

    /// One conversation.
    async fn retrieve_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<Conversation>;

    /// Removes a conversation; the responses tied to it stay.
    async fn delete_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()>;

    // Files

    /// Stores a file, sealed, unless the project would hold more than [`MAX_FILES`] or [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// [`StoreError::Limit`].
    async fn upload_file(
        &self,
        ctx: &ProjectCtx,
        file: NewFile,
        key: Option<Idempotency>,
    ) -> Result<Written<File>>;

    /// Files, by creation. An `after` that names no file gives [`StoreError::Reference`].
    async fn list_files(&self, ctx: &ProjectCtx, page: FilePage) -> Result<Page<File>>;

    /// One file, unless it has expired.
    async fn retrieve_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<File>;

    /// The bytes of a file, unless it has expired.
    async fn retrieve_file_content(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Bytes>;

    /// Removes a file and its bytes.
    async fn delete_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<()>;

    // Diagnostics

    /// Signs a report and keeps it. Its `digest` and `signature` are made here.
    async fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: DiagnosticReport,
        key: Option<Idempotency>,
    ) -> Result<Written<Diagnostic>>;

    /// One diagnostic with its report, as it was signed.
    async fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic>;

    // Purge

    /// The caches of providers that the receipts of this store name.
    fn provider_caches(&self) -> Arc<[ProviderCache]>;

    /// Removes artifacts for good and signs a receipt. The answer comes when the content is gone, also
    /// from the log of the database; if that takes too long, the job is given as `running`.
    async fn create_purge_job(
        &self,
        ctx: &ProjectCtx,
        request: CreatePurgeJobRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<PurgeJob>>;

    /// One purge job.
    async fn retrieve_purge_job(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeJob>;

    /// The receipt of a purge job that is completed.
    async fn retrieve_purge_receipt(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeReceipt>;

    /// The purge generation of a project: how often something of it was purged. It is raised in the transaction that
    /// erases, so it is the newest when this is called, on every server.
    async fn purge_generation(&self, project: &ProjectId) -> Result<u64>;

    /// The public keys that verify receipts and reports, retired ones included, newest first.
    async fn list_receipt_keys(&self) -> Result<ReceiptKeySet>;

    // Service

    /// Removes what is past its time. Repeating it changes nothing.
    async fn sweep(&self, now: DateTime<Utc>) -> Result<Swept>;

    /// Whether the store can read and write.
    async fn check_ready(&self) -> Result<()>;

    /// Finishes what is queued and closes. Operations that come later give [`StoreError::Unavailable`].
    async fn close(&self);
}
