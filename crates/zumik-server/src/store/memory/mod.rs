//! The store as a plain model: maps behind one lock. It is what the durable store is held to, and what a
//! server without a data folder keeps its state in.

mod aliases;
mod batch_lines;
mod batches;
mod branches;
mod conversations;
mod generations;
mod keys;
mod objects;
mod purge;
mod state;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use serde_json::Value;
use zeroize::Zeroizing;
use zumik_receipt::SigningKey;
use zumik_types::{
    AppendEventRequest, Artifact, ArtifactId, BranchId, BranchMerge, Bundle, BundleId, Conversation,
    ConversationId, CreateArtifactRequest, CreateBundleRequest, CreateConversationRequest,
    CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, Diagnostic, DiagnosticId,
    DiagnosticReport, Event, Extra, File, FileId, ForkBranchRequest, KeyId, MergeBranchRequest,
    NativeResponse, ProjectId, PurgeJob, PurgeJobId, PurgeReceipt, ReceiptKeyId, ReceiptKeySet, ResponseId,
    Session, SessionBranch, SessionId, Snapshot, SnapshotId, UpdateSessionRequest, V1ResponseId,
};

use self::state::{AnswerEntry, ResponseKey, State};
use super::{
    ANSWER_LIFETIME, Answer, Caller, Continued, EventPage, FilePage, Generation, Idempotency, KeyRecord,
    Kind, LEASE, Lease, NewFile, NewKey, Page, Project, ProjectCtx, PromptState, ProviderCache, Reserved,
    Result, Store, StoreError, StoredResponse, Swept, Written,
};
use crate::clock::Clock;
use crate::domain::{CompactionKey, Prompt, ResponseObject};
use crate::mint::Mint;

/// The store as a plain model. It forgets everything when it is dropped.
pub struct MemoryStore(Mutex<State>);

impl MemoryStore {
    /// An empty store with a signing key of its own.
    pub fn new(clock: Arc<dyn Clock>, mint: Arc<dyn Mint>) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        mint.fill(seed.as_mut_slice());
        let id = ReceiptKeyId::with_suffix(&mint.suffix(clock.now()));
        Self(Mutex::new(State::new(clock, mint, SigningKey::from_seed(id, &seed))))
    }

    /// Names these caches of providers in the receipts of purges.
    #[must_use]
    pub fn with_provider_caches(mut self, caches: Vec<ProviderCache>) -> Self {
        self.0.get_mut().caches = caches.into();
        self
    }

    fn state(&self) -> Result<MappedMutexGuard<'_, State>> {
        MutexGuard::try_map(self.0.lock(), |state| if state.closed { None } else { Some(state) })
            .map_err(|_| StoreError::unavailable("the store is closed"))
    }
}

impl State {
    fn held(&mut self, lease: &Lease) -> Result<&mut AnswerEntry> {
        self.answers
            .get_mut(&lease.lookup)
            .filter(|entry| entry.epoch == lease.epoch && entry.answer.is_none())
            .ok_or(StoreError::LeaseLost)
    }
}

/// With no artifact whose purge drops the answer.
fn plain<T>(result: Result<T>) -> Result<(T, Vec<ArtifactId>)> {
    result.map(|value| (value, Vec::new()))
}

#[async_trait]
impl Store for MemoryStore {
    async fn authenticate(&self, key_hash: &[u8; 32]) -> Result<Option<Caller>> {
        Ok(self.state()?.authenticate(key_hash))
    }

    async fn ensure_project(&self, name: &str, now: DateTime<Utc>) -> Result<Project> {
        Ok(self.state()?.ensure_project(name, now))
    }

    async fn find_project(&self, name: &str) -> Result<Option<Project>> {
        Ok(self.state()?.find_project(name))
    }

    async fn create_key(&self, project: &ProjectId, key: NewKey, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.state()?.create_key(project, key, now)
    }

    async fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        Ok(self.state()?.list_keys(project))
    }

    async fn revoke_key(&self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.state()?.revoke_key(key, now)
    }

    async fn recall(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Option<Answer>> {
        self.state()?.find_answer(ctx, key)
    }

    async fn keep_value(&self, ctx: &ProjectCtx, value: Value, key: Idempotency) -> Result<Written<Value>> {
        self.state()?.keyed(ctx, Some(key), |_| plain(Ok(value)))
    }

    async fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved> {
        let mut state = self.state()?;
        if let Some(answer) = state.find_answer(ctx, key)? {
            return Ok(Reserved::Replayed(answer));
        }
        let epoch = state.next_epoch(ctx, key);
        let entry = AnswerEntry {
            fingerprint: key.fingerprint,
            epoch,
            lease_until: Some(ctx.now + LEASE),
            expires_at: ctx.now + ANSWER_LIFETIME,
            answer: None,
            artifacts: Vec::new(),
        };
        let lookup = key.lookup(&ctx.project);
        state.answers.insert(lookup, entry);
        Ok(Reserved::Held(Lease { lookup, epoch }))
    }

    async fn renew(&self, lease: &Lease, now: DateTime<Utc>) -> Result<()> {
        self.state()?.held(lease)?.lease_until = Some(now + LEASE);
        Ok(())
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        if let Ok(entry) = self.state()?.held(&lease) {
            entry.lease_until = None;
        }
        Ok(())
    }

    async fn create_artifact(
        &self,
        ctx: &ProjectCtx,
        request: CreateArtifactRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Artifact>> {
        self.state()?.keyed(ctx, key, |state| {
            let artifact = state.create_artifact(ctx, request);
            // Of the artifact the answer holds the metadata only.
            let erasable = (!artifact.metadata.is_empty()).then(|| artifact.id.clone());
            Ok((artifact, Vec::from_iter(erasable)))
        })
    }

    async fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>> {
        Ok(self.state()?.list_artifacts(ctx))
    }

    async fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        self.state()?.retrieve_artifact(ctx, id)
    }

    async fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        self.state()?.delete_artifact(ctx, id)
    }

    async fn create_bundle(
        &self,
        ctx: &ProjectCtx,
        request: CreateBundleRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Bundle>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_bundle(ctx, request)))
    }

    async fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle> {
        self.state()?.retrieve_bundle(ctx, id)
    }

    async fn delete_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<()> {
        self.state()?.delete_bundle(ctx, id)
    }

    async fn create_session(
        &self,
        ctx: &ProjectCtx,
        request: CreateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_session(ctx, request)))
    }

    async fn retrieve_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Session> {
        self.state()?.session(ctx, id).cloned()
    }

    async fn update_session(
        &self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: UpdateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        self.state()?.keyed(ctx, key, |state| plain(state.update_session(ctx, id, request)))
    }

    async fn delete_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<()> {
        self.state()?.delete_session(ctx, id)
    }

    async fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: ForkBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<SessionBranch>> {
        self.state()?.keyed(ctx, key, |state| plain(state.fork_branch(ctx, session, request)))
    }

    async fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>> {
        self.state()?.list_branches(ctx, session)
    }

    async fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<SessionBranch> {
        Ok(self.state()?.branch(ctx, session, branch)?.branch.clone())
    }

    async fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: AppendEventRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Event>> {
        self.state()?.keyed(ctx, key, |state| plain(state.append_event(ctx, session, branch, request)))
    }

    async fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: EventPage,
    ) -> Result<Page<Event>> {
        self.state()?.list_events(ctx, session, branch, &page)
    }

    async fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: MergeBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<BranchMerge>> {
        self.state()?.keyed(ctx, key, |state| plain(state.merge_branch(ctx, session, target, request)))
    }

    async fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: CreateSnapshotRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Snapshot>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_snapshot(ctx, session, branch, request)))
    }

    async fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        self.state()?.list_snapshots(ctx, session, branch)
    }

    async fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        id: &SnapshotId,
    ) -> Result<Snapshot> {
        let mut snapshots = self.state()?.list_snapshots(ctx, session, branch)?.into_iter();
        snapshots.find(|snapshot| snapshot.id == *id).ok_or_else(|| StoreError::not_found(Kind::Snapshot, id))
    }

    async fn read_prompt(&self, ctx: &ProjectCtx, state: PromptState) -> Result<Prompt> {
        self.state()?.read_prompt(ctx, state)
    }

    async fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: Generation,
        lease: Option<Lease>,
    ) -> Result<()> {
        self.state()?.commit_generation(ctx, generation, lease)
    }

    async fn finish_response(&self, ctx: &ProjectCtx, response: StoredResponse) -> Result<StoredResponse> {
        self.state()?.finish_response(ctx, response)
    }

    async fn fail_open_responses(&self) -> Result<u64> {
        Ok(self.state()?.fail_open_responses())
    }

    async fn ended_v1_responses(&self, ids: Vec<V1ResponseId>) -> Result<Vec<V1ResponseId>> {
        Ok(self.state()?.ended_v1_responses(ids))
    }

    async fn retrieve_response(&self, ctx: &ProjectCtx, id: &ResponseId) -> Result<NativeResponse> {
        self.state()?.response(ctx, &ResponseKey::Native(id.clone()))?.native()
    }

    async fn cancel_response(
        &self,
        ctx: &ProjectCtx,
        id: &ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<NativeResponse>> {
        let name = ResponseKey::Native(id.clone());
        self.state()?.keyed(ctx, key, |state| plain(state.cancel_response(ctx, &name)?.native()))
    }

    async fn retrieve_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<ResponseObject> {
        self.state()?.response(ctx, &ResponseKey::V1(id.clone()))?.v1()
    }

    async fn retrieve_input_items(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<Option<Vec<Value>>> {
        self.state()?.input_items(ctx, &ResponseKey::V1(id.clone()))
    }

    async fn cancel_v1_response(
        &self,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<ResponseObject>> {
        let name = ResponseKey::V1(id.clone());
        self.state()?.keyed(ctx, key, |state| plain(state.cancel_response(ctx, &name)?.v1()))
    }

    async fn delete_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<()> {
        self.state()?.delete_response(ctx, &ResponseKey::V1(id.clone()))
    }

    async fn read_history(&self, ctx: &ProjectCtx, of: Continued, most: usize) -> Result<Vec<Value>> {
        self.state()?.read_history(ctx, &of, most)
    }

    async fn compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey> {
        Ok(self.state()?.compaction_key(ctx))
    }

    async fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Conversation>> {
        self.state()?.keyed(ctx, key, |state| plain(Ok(state.create_conversation(ctx, request))))
    }

    async fn retrieve_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<Conversation> {
        self.state()?.conversation(ctx, id).cloned()
    }

    async fn delete_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()> {
        self.state()?.delete_conversation(ctx, id)
    }

    async fn upload_file(
        &self,
        ctx: &ProjectCtx,
        file: NewFile,
        key: Option<Idempotency>,
    ) -> Result<Written<File>> {
        self.state()?.keyed(ctx, key, |state| plain(state.upload_file(ctx, file)))
    }

    async fn list_files(&self, ctx: &ProjectCtx, page: FilePage) -> Result<Page<File>> {
        self.state()?.list_files(ctx, &page)
    }

    async fn retrieve_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<File> {
        Ok(self.state()?.file(ctx, id)?.file.clone())
    }

    async fn retrieve_file_content(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Bytes> {
        Ok(self.state()?.file(ctx, id)?.content.clone())
    }

    async fn delete_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<()> {
        self.state()?.delete_file(ctx, id)
    }

    async fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: DiagnosticReport,
        key: Option<Idempotency>,
    ) -> Result<Written<Diagnostic>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_diagnostic(ctx, report)))
    }

    async fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic> {
        self.state()?.retrieve_diagnostic(ctx, id)
    }

    fn provider_caches(&self) -> Arc<[ProviderCache]> {
        Arc::clone(&self.0.lock().caches)
    }

    async fn create_purge_job(
        &self,
        ctx: &ProjectCtx,
        request: CreatePurgeJobRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<PurgeJob>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_purge_job(ctx, request)))
    }

    async fn retrieve_purge_job(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeJob> {
        Ok(self.state()?.retrieve_purge(ctx, id, Kind::PurgeJob)?.0.clone())
    }

    async fn retrieve_purge_receipt(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeReceipt> {
        Ok(self.state()?.retrieve_purge(ctx, id, Kind::PurgeReceipt)?.1.clone())
    }

    async fn purge_generation(&self, project: &ProjectId) -> Result<u64> {
        self.state()?.purge_generation(project)
    }

    async fn list_receipt_keys(&self) -> Result<ReceiptKeySet> {
        let keys = vec![self.state()?.signing_key.public_key()];
        Ok(ReceiptKeySet { keys, extra: Extra::new() })
    }

    async fn sweep(&self, now: DateTime<Utc>) -> Result<Swept> {
        Ok(self.state()?.sweep(now))
    }

    async fn check_ready(&self) -> Result<()> {
        self.state().map(drop)
    }

    async fn close(&self) {
        self.0.lock().closed = true;
    }
}
