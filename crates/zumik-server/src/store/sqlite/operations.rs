//! The operations of the store: reads on a reader, writes on the writer thread, each in one transaction.

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

use super::SqliteStore;
use super::answers::Found;
use super::purge::Begun;
use super::sweep::STEP;
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
impl Store for SqliteStore {
    async fn authenticate(&self, key_hash: &[u8; 32]) -> Result<Option<Caller>> {
        let found = self.readers.now(|db| db.authenticate(key_hash))?;
        Ok(found.map(|(caller, row)| {
            if !self.env.project_rows.read().contains_key(&caller.project) {
                self.env.project_rows.write().insert(caller.project.clone(), row);
            }
            caller
        }))
    }

    async fn ensure_project(&self, name: &str, now: DateTime<Utc>) -> Result<Project> {
        let name = name.to_owned();
        self.writer.write(move |db| db.ensure_project(&*db.env.mint, &name, now)).await
    }

    async fn find_project(&self, name: &str) -> Result<Option<Project>> {
        let name = name.to_owned();
        self.readers.read(move |db| db.find_project(&name)).await
    }

    async fn create_key(&self, project: &ProjectId, key: NewKey, now: DateTime<Utc>) -> Result<KeyRecord> {
        let project = project.clone();
        self.writer.write(move |db| db.create_key(&*db.env.mint, &project, &key, now)).await
    }

    async fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        let project = project.cloned();
        self.readers.read(move |db| db.list_keys(project.as_ref())).await
    }

    async fn revoke_key(&self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        let key = key.clone();
        self.writer.write(move |db| db.revoke_key(&key, now)).await
    }

    async fn recall(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Option<Answer>> {
        let key = key.clone();
        let found = self.read(ctx, move |db, ctx| db.find_answer(ctx, &key)).await?;
        Ok(match found {
            Found::Answered(answer) => Some(answer),
            Found::Free(_) => None,
        })
    }

    async fn keep_value(&self, ctx: &ProjectCtx, value: Value, key: Idempotency) -> Result<Written<Value>> {
        self.keyed(ctx, Some(key), move |_, _| Ok(value.clone())).await
    }

    async fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved> {
        let key = key.clone();
        self.write(ctx, move |db, ctx| db.reserve(ctx, &key)).await
    }

    async fn renew(&self, lease: &Lease, now: DateTime<Utc>) -> Result<()> {
        let lease = lease.clone();
        self.writer.write(move |db| db.renew(&lease, (now + LEASE).timestamp_millis())).await
    }

    async fn release(&self, lease: Lease) -> Result<()> {
        self.writer.write(move |db| db.release(&lease)).await
    }

    async fn create_artifact(
        &self,
        ctx: &ProjectCtx,
        request: CreateArtifactRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Artifact>> {
        let new = self.sealed(ctx, |env, ctx| SealedArtifact::new(env, ctx, request)).await?;
        self.keyed_erasable(ctx, key, move |db, ctx| {
            let (artifact, row) = db.create_artifact(ctx, &new)?;
            // Of the artifact the answer holds the metadata only.
            let erasable = if artifact.metadata.is_empty() { Vec::new() } else { vec![row] };
            Ok((artifact, erasable))
        })
        .await
    }

    async fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>> {
        self.read(ctx, |db, ctx| db.list_artifacts(ctx)).await
    }

    async fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_artifact(ctx, &id)).await
    }

    async fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_artifact(ctx, &id)).await
    }

    async fn create_bundle(
        &self,
        ctx: &ProjectCtx,
        request: CreateBundleRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Bundle>> {
        self.keyed(ctx, key, move |db, ctx| db.create_bundle(ctx, &request)).await
    }

    async fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_bundle(ctx, &id)).await
    }

    async fn delete_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_bundle(ctx, &id)).await
    }

    async fn create_session(
        &self,
        ctx: &ProjectCtx,
        request: CreateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        self.keyed(ctx, key, move |db, ctx| db.create_session(ctx, &request)).await
    }

    async fn retrieve_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Session> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_session(ctx, &id)).await
    }

    async fn update_session(
        &self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: UpdateSessionRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Session>> {
        let id = id.clone();
        self.keyed(ctx, key, move |db, ctx| db.update_session(ctx, &id, &request)).await
    }

    async fn delete_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_session(ctx, &id)).await
    }

    async fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: ForkBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<SessionBranch>> {
        let session = session.clone();
        self.keyed(ctx, key, move |db, ctx| db.fork_branch(ctx, &session, &request)).await
    }

    async fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>> {
        let session = session.clone();
        self.read(ctx, move |db, ctx| db.list_branches(ctx, &session)).await
    }

    async fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<SessionBranch> {
        let (session, branch) = (session.clone(), branch.clone());
        self.read(ctx, move |db, ctx| db.retrieve_branch(ctx, &session, &branch)).await
    }

    async fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: AppendEventRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Event>> {
        let (session, branch) = (session.clone(), branch.clone());
        self.keyed(ctx, key, move |db, ctx| db.append_event(ctx, &session, &branch, &request)).await
    }

    async fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: EventPage,
    ) -> Result<Page<Event>> {
        let (session, branch) = (session.clone(), branch.clone());
        self.read(ctx, move |db, ctx| db.list_events(ctx, &session, &branch, &page)).await
    }

    async fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: MergeBranchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<BranchMerge>> {
        let (session, target) = (session.clone(), target.clone());
        self.keyed(ctx, key, move |db, ctx| db.merge_branch(ctx, &session, &target, &request)).await
    }

    async fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: CreateSnapshotRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Snapshot>> {
        let (session, branch) = (session.clone(), branch.clone());
        self.keyed(ctx, key, move |db, ctx| db.create_snapshot(ctx, &session, &branch, &request)).await
    }

    async fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        let (session, branch) = (session.clone(), branch.clone());
        self.read(ctx, move |db, ctx| db.list_snapshots(ctx, &session, &branch)).await
    }

    async fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        id: &SnapshotId,
    ) -> Result<Snapshot> {
        let (session, branch, id) = (session.clone(), branch.clone(), id.clone());
        self.read(ctx, move |db, ctx| db.retrieve_snapshot(ctx, &session, &branch, &id)).await
    }

    async fn read_prompt(&self, ctx: &ProjectCtx, state: PromptState) -> Result<Prompt> {
        self.read(ctx, move |db, ctx| db.read_prompt(ctx, &state)).await
    }

    async fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: Generation,
        lease: Option<Lease>,
    ) -> Result<()> {
        let (generation, sealed) = self
            .sealed(ctx, move |env, _| {
                let sealed = generation.response.as_ref().map(|response| {
                    SealedResponse::new(env, response)?.with_items(env, generation.input_items.as_deref())
                });
                let sealed = sealed.transpose()?;
                Ok((generation, sealed))
            })
            .await?;
        self.write(ctx, move |db, ctx| {
            db.commit_generation(ctx, &generation, sealed.as_ref(), lease.as_ref())
        })
        .await
    }

    async fn finish_response(&self, ctx: &ProjectCtx, response: StoredResponse) -> Result<StoredResponse> {
        let sealed = SealedResponse::new(&*self.env, &response)?;
        self.write(ctx, move |db, ctx| db.finish_response(ctx, &response, &sealed)).await
    }

    async fn fail_open_responses(&self) -> Result<u64> {
        self.writer.write(|db| db.fail_open_responses()).await
    }

    async fn ended_v1_responses(&self, ids: Vec<V1ResponseId>) -> Result<Vec<V1ResponseId>> {
        self.readers.read(move |db| db.ended_v1_responses(ids)).await
    }

    async fn retrieve_response(&self, ctx: &ProjectCtx, id: &ResponseId) -> Result<NativeResponse> {
        let name = ResponseName::Native(id.clone());
        self.read(ctx, move |db, ctx| db.retrieve_response(ctx, &name)).await?.native()
    }

    async fn cancel_response(
        &self,
        ctx: &ProjectCtx,
        id: &ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<NativeResponse>> {
        let name = ResponseName::Native(id.clone());
        self.keyed(ctx, key, move |db, ctx| db.cancel_response(ctx, &name)?.native()).await
    }

    async fn retrieve_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<ResponseObject> {
        let name = ResponseName::V1(id.clone());
        self.read(ctx, move |db, ctx| db.retrieve_response(ctx, &name)).await?.v1()
    }

    async fn retrieve_input_items(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<Option<Vec<Value>>> {
        let name = ResponseName::V1(id.clone());
        self.read(ctx, move |db, ctx| db.input_items(ctx, &name)).await
    }

    async fn cancel_v1_response(
        &self,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
        key: Option<Idempotency>,
    ) -> Result<Written<ResponseObject>> {
        let name = ResponseName::V1(id.clone());
        self.keyed(ctx, key, move |db, ctx| db.cancel_response(ctx, &name)?.v1()).await
    }

    async fn delete_v1_response(&self, ctx: &ProjectCtx, id: &V1ResponseId) -> Result<()> {
        let name = ResponseName::V1(id.clone());
        self.write(ctx, move |db, ctx| db.delete_response(ctx, &name)).await
    }

    async fn read_history(&self, ctx: &ProjectCtx, of: Continued, most: usize) -> Result<Vec<Value>> {
        self.read(ctx, move |db, ctx| db.read_history(ctx, &of, most)).await
    }

    async fn compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey> {
        match self.read(ctx, |db, ctx| db.compaction_key(ctx)).await? {
            Some(key) => Ok(key),
            None => self.write(ctx, |db, ctx| db.make_compaction_key(ctx)).await,
        }
    }

    async fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Conversation>> {
        let new = self.sealed(ctx, |env, ctx| SealedConversation::new(env, ctx, request)).await?;
        self.keyed(ctx, key, move |db, ctx| db.create_conversation(ctx, &new)).await
    }

    async fn retrieve_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<Conversation> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_conversation(ctx, &id)).await
    }

    async fn delete_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_conversation(ctx, &id)).await
    }

    async fn upload_file(
        &self,
        ctx: &ProjectCtx,
        file: NewFile,
        key: Option<Idempotency>,
    ) -> Result<Written<File>> {
        let new = self.sealed(ctx, |env, ctx| SealedFile::new(env, ctx.now, file)).await?;
        self.keyed(ctx, key, move |db, ctx| db.upload_file(ctx, &new)).await
    }

    async fn list_files(&self, ctx: &ProjectCtx, page: FilePage) -> Result<Page<File>> {
        self.read(ctx, move |db, ctx| db.list_files(ctx, &page)).await
    }

    async fn retrieve_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<File> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_file(ctx, &id)).await
    }

    async fn retrieve_file_content(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Bytes> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_file_content(ctx, &id)).await
    }

    async fn delete_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_file(ctx, &id)).await
    }

    async fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: DiagnosticReport,
        key: Option<Idempotency>,
    ) -> Result<Written<Diagnostic>> {
        self.keyed(ctx, key, move |db, ctx| db.create_diagnostic(ctx, &report)).await
    }

    async fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_diagnostic(ctx, &id)).await
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
        let begun = self.write(ctx, move |db, ctx| db.begin_purge(ctx, &request, key.as_ref())).await?;
        let job = match begun {
            Begun::Replayed(answer) => return Ok(Written::Replayed(answer)),
            Begun::Running(job) => job,
        };
        // Where this fails the job stays running: the contents are gone, the receipt follows with the sweep.
        if let Err(error) = self.complete_purges_until(job).await {
            tracing::error!(%error, "a purge is not completed yet");
        }
        let value = self.readers.read(move |db| db.purge_job(job)).await?;
        let answer = Answer::json(&ctx.trace, &value)?;
        Ok(Written::Fresh { value, answer })
    }

    async fn retrieve_purge_job(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeJob> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_purge_job(ctx, &id)).await
    }

    async fn retrieve_purge_receipt(&self, ctx: &ProjectCtx, id: &PurgeJobId) -> Result<PurgeReceipt> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_purge_receipt(ctx, &id)).await
    }

    async fn purge_generation(&self, project: &ProjectId) -> Result<u64> {
        self.readers.now(|db| db.purge_generation(project))
    }

    async fn list_receipt_keys(&self) -> Result<ReceiptKeySet> {
        self.readers.read(|db| db.list_receipt_keys()).await
    }

    async fn sweep(&self, now: DateTime<Utc>) -> Result<Swept> {
        let mut swept = Swept {
            artifacts: self.sweep_all(move |db| db.sweep_artifacts(now)).await?,
            files: self.sweep_all(move |db| db.sweep_files(now)).await?,
            responses: self.sweep_all(move |db| db.sweep_responses(now)).await?,
            answers: self.sweep_all(move |db| db.sweep_answers(now)).await?,
            batches: self.sweep_all(move |db| db.sweep_batches(now)).await?,
            sessions: 0,
        };
        self.sweep_all(|db| db.clear_batches()).await?;
        self.sweep_all(move |db| db.sweep_index(now, STEP)).await?;
        loop {
            let (more, gone) = self.writer.write(|db| db.sweep_session()).await?;
            swept.sessions += u64::from(gone);
            if !more {
                break;
            }
        }
        self.complete_purges().await?;
        Ok(swept)
    }

    async fn check_ready(&self) -> Result<()> {
        self.readers.read(|db| db.list_receipt_keys()).await?;
        self.writer.write(|db| db.probe_disk()).await
    }

    async fn close(&self) {
        let writer = Arc::clone(&self.writer);
        if tokio::task::spawn_blocking(move || writer.close()).await.is_err() {
            tracing::error!("the writer could not be closed");
        }
        self.readers.close();
        self.lock.lock().take();
    }
}
