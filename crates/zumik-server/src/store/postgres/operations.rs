//! The operations of the store, each in one transaction.

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

use super::PostgresStore;
use super::answers::Found;
use super::append::Append;
use super::connect;
use super::responses::SealedGeneration;
use crate::domain::{CompactionKey, Prompt, ResponseObject};
use crate::store::durable::artifacts::SealedArtifact;
use crate::store::durable::conversations::SealedConversation;
use crate::store::durable::files::SealedFile;
use crate::store::durable::responses::{ResponseName, SealedResponse};
use crate::store::{
    Answer, Caller, Continued, EventPage, FilePage, Generation, Idempotency, KeyRecord, LEASE, Lease,
    NewFile, NewKey, Page, Project, ProjectCtx, PromptState, ProviderCache, Reserved, Result, Store,
    StoredResponse, Swept, Written,
};

#[async_trait]
impl Store for PostgresStore {
    async fn authenticate(&self, key_hash: &[u8; 32]) -> Result<Option<Caller>> {
        self.caller(key_hash).await
    }

    async fn ensure_project(&self, name: &str, now: DateTime<Utc>) -> Result<Project> {
        self.write(|db| Box::pin(db.ensure_project(name, now))).await
    }

    async fn find_project(&self, name: &str) -> Result<Option<Project>> {
        self.read(|db| Box::pin(db.find_project(name))).await
    }

    async fn create_key(&self, project: &ProjectId, key: NewKey, now: DateTime<Utc>) -> Result<KeyRecord> {
        let key = &key;
        self.write(|db| Box::pin(db.create_key(project, key, now))).await
    }

    async fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        self.read(|db| Box::pin(db.list_keys(project))).await
    }

    async fn revoke_key(&self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.revoke(key, now).await
    }

    async fn recall(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Option<Answer>> {
        Ok(match self.read(|db| Box::pin(db.find_answer(ctx, key))).await? {
            Found::Answered(answer) => Some(answer),
            Found::Free(_) => None,
        })
    }

    async fn keep_value(&self, ctx: &ProjectCtx, value: Value, key: Idempotency) -> Result<Written<Value>> {
        let value = &value;
        self.keyed(ctx, Some(&key), &|_| Box::pin(async move { Ok(value.clone()) })).await
    }

    async fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved> {
        self.write(|db| Box::pin(db.reserve(ctx, key))).await
    }

    async fn renew(&self, lease: &Lease, now: DateTime<Utc>) -> Result<()> {
        let until = (now + LEASE).timestamp_millis();
        self.write(|db| Box::pin(db.renew(lease, until))).await
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        let lease = &lease;
        self.write(|db| Box::pin(db.release(lease))).await
    }

    async fn create_artifact(
        &self,
        ctx: &ProjectCtx,
        request: CreateArtifactRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Artifact>> {
        let new = &self.sealed(ctx, |env, ctx| SealedArtifact::new(env, ctx, request)).await?;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_artifact(ctx, new))).await
    }

    async fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>> {
        self.read(|db| Box::pin(db.list_artifacts(ctx))).await
    }

    async fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        self.read(|db| Box::pin(db.retrieve_artifact(ctx, id))).await
    }

    async fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_artifact(ctx, id))).await
    }

    async fn create_bundle(
        &self,
        ctx: &ProjectCtx,
        request: CreateBundleRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Bundle>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_bundle(ctx, request))).await
    }

    async fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle> {
        self.read(|db| Box::pin(db.retrieve_bundle(ctx, id))).await
    }

    async fn delete_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_bundle(ctx, id))).await
    }

    async fn create_session(
        &self,
        ctx: &ProjectCtx,
        request: CreateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_session(ctx, request))).await
    }

    async fn retrieve_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Session> {
        self.read(|db| Box::pin(db.retrieve_session(ctx, id))).await
    }

    async fn update_session(
        &self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: UpdateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.update_session(ctx, id, request))).await
    }

    async fn delete_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_session(ctx, id))).await
    }

    async fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: ForkBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<SessionBranch>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.fork_branch(ctx, session, request))).await
    }

    async fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>> {
        self.read(|db| Box::pin(db.list_branches(ctx, session))).await
    }

    async fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<SessionBranch> {
        self.read(|db| Box::pin(db.retrieve_branch(ctx, session, branch))).await
    }

    async fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: AppendEventRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Event>> {
        self.append(&Append { ctx, session, branch, request: &request, key: key.as_ref() }).await
    }

    async fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: EventPage,
    ) -> Result<Page<Event>> {
        let page = &page;
        self.read(|db| Box::pin(db.list_events(ctx, session, branch, page))).await
    }

    async fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: MergeBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<BranchMerge>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.merge_branch(ctx, session, target, request))).await
    }

    async fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: CreateSnapshotRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Snapshot>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_snapshot(ctx, session, branch, request))).await
    }

    async fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        self.read(|db| Box::pin(db.list_snapshots(ctx, session, branch))).await
    }

    async fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        id: &SnapshotId,
    ) -> Result<Snapshot> {
        self.read(|db| Box::pin(db.retrieve_snapshot(ctx, session, branch, id))).await
    }

    async fn read_prompt(&self, ctx: &ProjectCtx, state: PromptState) -> Result<Prompt> {
        let state = &state;
        let sealed = self.read(|db| Box::pin(db.sealed_prompt(ctx, state))).await?;
        self.opened(move |env| sealed.open(&env.vault)).await
    }

    async fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: Generation,
        lease: Option<Lease>,
    ) -> Result<()> {
        let generation = &self.opened(move |env| SealedGeneration::new(env, generation, lease)).await?;
        if generation.is_open() {
            self.env.presence.announce(&self.pool).await?;
        }
        self.write(|db| Box::pin(db.commit_generation(ctx, generation))).await
    }

    async fn finish_response(&self, ctx: &ProjectCtx, response: StoredResponse) -> Result<StoredResponse> {
        let (sealed, response) =
            &self.opened(move |env| Ok((SealedResponse::new(env, &response)?, response))).await?;
        self.write(|db| Box::pin(db.finish_response(ctx, response, sealed))).await
    }

    async fn fail_open_responses(&self) -> Result<u64> {
        let own = self.env.presence.number();
        let failed = self.write(|db| Box::pin(db.fail_responses_of(own))).await?;
        Ok(failed + self.fail_abandoned_responses().await?)
    }

    async fn ended_v1_responses(&self, ids: Vec<V1ResponseId>) -> Result<Vec<V1ResponseId>> {
        // It is asked for as long as there is such work: who lost the connection that says so takes another.
        self.env.presence.announce(&self.pool).await?;
        let ids = &ids;
        self.read(|db| Box::pin(db.ended_v1_responses(ids))).await
    }

    async fn retrieve_response(&self, ctx: &ProjectCtx, id: &ResponseId) -> Result<NativeResponse> {
        let name = &ResponseName::Native(id.clone());
        self.read(|db| Box::pin(db.retrieve_response(ctx, name))).await?.native()
    }

    async fn cancel_response(
        &self,
        ctx: &ProjectCtx,
        id: &ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<NativeResponse>> {
        let name = &ResponseName::Native(id.clone());
        self.keyed(ctx, key.as_ref(), &|db| {
            Box::pin(async move { db.cancel_response(ctx, name).await?.native() })
        })
        .await
    }

    async fn retrieve_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<ResponseObject> {
        let name = &ResponseName::V1(id.clone());
        self.read(|db| Box::pin(db.retrieve_response(ctx, name))).await?.v1()
    }

    async fn retrieve_input_items(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<Option<Vec<Value>>> {
        let name = &ResponseName::V1(id.clone());
        self.read(|db| Box::pin(db.input_items(ctx, name))).await
    }

    async fn cancel_v1_response(
        &self,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<ResponseObject>> {
        let name = &ResponseName::V1(id.clone());
        self.keyed(ctx, key.as_ref(), &|db| {
            Box::pin(async move { db.cancel_response(ctx, name).await?.v1() })
        })
        .await
    }

    async fn delete_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<()> {
        let name = &ResponseName::V1(id.clone());
        self.write(|db| Box::pin(db.delete_response(ctx, name))).await
    }

    async fn read_history(&self, ctx: &ProjectCtx, of: Continued, most: usize) -> Result<Vec<Value>> {
        let of = &of;
        self.read(|db| Box::pin(db.read_history(ctx, of, most))).await
    }

    async fn compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey> {
        match self.read(|db| Box::pin(db.compaction_key(ctx))).await? {
            Some(key) => Ok(key),
            None => self.write(|db| Box::pin(db.make_compaction_key(ctx))).await,
        }
    }

    async fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Conversation>> {
        let new = &self.sealed(ctx, |env, ctx| SealedConversation::new(env, ctx, request)).await?;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_conversation(ctx, new))).await
    }

    async fn retrieve_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<Conversation> {
        self.read(|db| Box::pin(db.retrieve_conversation(ctx, id))).await
    }

    async fn delete_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_conversation(ctx, id))).await
    }

    async fn upload_file(
        &self,
        ctx: &ProjectCtx,
        file: NewFile,
        key: Option<Idempotency>,
    ) -> Result<Written<File>> {
        let new = &self.sealed(ctx, |env, ctx| SealedFile::new(env, ctx.now, file)).await?;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.upload_file(ctx, new))).await
    }

    async fn list_files(&self, ctx: &ProjectCtx, page: FilePage) -> Result<Page<File>> {
        let page = &page;
        self.read(|db| Box::pin(db.list_files(ctx, page))).await
    }

    async fn retrieve_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<File> {
        self.read(|db| Box::pin(db.retrieve_file(ctx, id))).await
    }

    async fn retrieve_file_content(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Bytes> {
        let content = self.read(|db| Box::pin(db.file_content(ctx, id))).await?;
        self.opened(move |env| content.open(env)).await
    }

    async fn delete_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_file(ctx, id))).await
    }

    async fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: DiagnosticReport,
        key: Option<Idempotency>,
    ) -> Result<Written<Diagnostic>> {
        let report = &report;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_diagnostic(ctx, report))).await
    }

    async fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic> {
        self.read(|db| Box::pin(db.retrieve_diagnostic(ctx, id))).await
    }

    fn provider_caches(&self) -> Arc<[ProviderCache]> {
        Arc::clone(&self.env.caches)
    }

    async fn create_purge_job(
        &self,
        ctx: &ProjectCtx,
        request: CreatePurgeJobRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<PurgeJob>> {
        let request = &request;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_purge_job(ctx, request))).await
    }

    async fn retrieve_purge_job(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeJob> {
        self.read(|db| Box::pin(db.retrieve_purge_job(ctx, id))).await
    }

    async fn retrieve_purge_receipt(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeReceipt> {
        self.read(|db| Box::pin(db.retrieve_purge_receipt(ctx, id))).await
    }

    async fn purge_generation(&self, project: &ProjectId) -> Result<u64> {
        self.generation(project).await
    }

    async fn list_receipt_keys(&self) -> Result<ReceiptKeySet> {
        self.read(|db| Box::pin(db.list_receipt_keys())).await
    }

    async fn sweep(&self, now: DateTime<Utc>) -> Result<Swept> {
        let mut swept = Swept {
            artifacts: self.sweep_all(|db| Box::pin(db.sweep_artifacts(now))).await?,
            files: self.sweep_all(|db| Box::pin(db.sweep_files(now))).await?,
            responses: self.sweep_all(|db| Box::pin(db.sweep_responses(now))).await?,
            answers: self.sweep_all(|db| Box::pin(db.sweep_answers(now))).await?,
            batches: self.sweep_all(|db| Box::pin(db.sweep_batches(now))).await?,
            sessions: 0,
        };
        self.sweep_all(|db| Box::pin(db.clear_batches())).await?;
        loop {
            let (more, gone) = self.write(|db| Box::pin(db.sweep_session())).await?;
            swept.sessions += u64::from(gone);
            if !more {
                break;
            }
        }
        self.fail_abandoned_responses().await?;
        Ok(swept)
    }

    async fn check_ready(&self) -> Result<()> {
        connect::check(&self.pool).await
    }

    async fn close(&self) {
        self.pool.close();
        self.env.presence.leave().await;
    }
}

impl PostgresStore {
    /// Ends the open responses of replicas that are gone.
    async fn fail_abandoned_responses(&self) -> Result<u64> {
        let own = self.env.presence.number();
        let workers = self.read(|db| Box::pin(db.workers())).await?;
        let mut failed = 0;
        for worker in workers.into_iter().filter(|worker| *worker != own) {
            failed += self
                .write(|db| {
                    Box::pin(async move {
                        if db.is_gone(worker).await? { db.fail_responses_of(worker).await } else { Ok(0) }
                    })
                })
                .await?;
        }
        Ok(failed)
    }
}
