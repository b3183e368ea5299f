//! A request to a store, complete: the same for every store, and repeatable.

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};
use zumik_server::domain::key_hash;
use zumik_server::mint::Mint;
use zumik_server::store::{
    Answer, EventPage, FilePage, Generation, Idempotency, Lease, NewFile, ProjectCtx, PromptState, Reserved,
    Store, StoredResponse,
};
use zumik_types::{
    AppendEventRequest, ArtifactId, BranchId, BundleId, CreateArtifactRequest, CreateBundleRequest,
    CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, FileId, ForkBranchRequest,
    MergeBranchRequest, ResponseId, SessionId, UpdateSessionRequest,
};

use crate::outcome;
use crate::responses;

/// A write that takes an idempotency key.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Artifact(CreateArtifactRequest),
    Bundle(CreateBundleRequest),
    Session(CreateSessionRequest),
    Status(SessionId, UpdateSessionRequest),
    Fork(SessionId, ForkBranchRequest),
    Append(SessionId, BranchId, AppendEventRequest),
    Merge(SessionId, BranchId, MergeBranchRequest),
    Snapshot(SessionId, BranchId, CreateSnapshotRequest),
    File { name: String, content: Vec<u8>, hours: Option<i64> },
    Purge(CreatePurgeJobRequest),
    Cancel(ResponseId),
}

/// A request to a store, complete.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A write, with its key.
    Write(Write, Option<String>),
    DeleteArtifact(ArtifactId),
    DeleteBundle(BundleId),
    DeleteSession(SessionId),
    DeleteFile(FileId),
    ReadEvents(SessionId, BranchId, EventPage),
    ReadPrompt(PromptState),
    ListFiles(FilePage),
    /// Takes a key for a generation.
    Reserve(String),
    Renew(usize),
    Release(usize),
    /// Keeps the response of a generation, under a lease or not.
    Generate {
        lease: Option<usize>,
        open: bool,
        materialized: Vec<ArtifactId>,
    },
    Finish(ResponseId),
    FailOpenResponses,
    Sweep,
    Advance(TimeDelta),
    /// Its object does not exist yet.
    Nothing,
}

/// The path that keys count for; a few, so that keys meet.
fn path(write: &Write) -> &'static str {
    match write {
        Write::Artifact(_) => "/v2/artifacts",
        Write::Purge(_) => "/v2/purge-jobs",
        Write::File { .. } => "/v1/files",
        _ => "/v2/sessions",
    }
}

/// A key as the server hands it to the store.
fn key(path: &str, key: &str, request: &dyn std::fmt::Debug) -> Idempotency {
    let fingerprint = key_hash(format!("{request:?}").as_bytes());
    Idempotency { path: path.to_owned(), key: key.to_owned(), fingerprint }
}

/// The key of a generation.
pub(crate) fn generation_key(name: &str) -> Idempotency {
    key("/v2/responses", name, &"")
}

/// Runs a write.
pub(crate) async fn write(store: &dyn Store, ctx: &ProjectCtx, write: &Write, name: Option<&str>) -> Value {
    let key = name.map(|name| key(path(write), name, write));
    match write.clone() {
        Write::Artifact(request) => outcome::written(store.create_artifact(ctx, request, key).await),
        Write::Bundle(request) => outcome::written(store.create_bundle(ctx, request, key).await),
        Write::Session(request) => outcome::written(store.create_session(ctx, request, key).await),
        Write::Status(id, request) => outcome::written(store.update_session(ctx, &id, request, key).await),
        Write::Fork(session, request) => {
            outcome::written(store.fork_branch(ctx, &session, request, key).await)
        }
        Write::Append(session, branch, request) => {
            outcome::written(store.append_event(ctx, &session, &branch, request, key).await)
        }
        Write::Merge(session, branch, request) => {
            outcome::written(store.merge_branch(ctx, &session, &branch, request, key).await)
        }
        Write::Snapshot(session, branch, request) => {
            outcome::written(store.create_snapshot(ctx, &session, &branch, request, key).await)
        }
        Write::File { name, content, hours } => {
            let expires_at = hours.map(|hours| ctx.now + TimeDelta::hours(hours));
            let file = NewFile {
                filename: name,
                purpose: "batch".to_owned(),
                content: Bytes::from(content),
                expires_at,
            };
            outcome::written(store.upload_file(ctx, file, key).await)
        }
        Write::Purge(request) => outcome::written(store.create_purge_job(ctx, request, key).await),
        Write::Cancel(id) => outcome::written(store.cancel_response(ctx, &id, key).await),
    }
}

/// Runs any other request; `leases` are those that this store gave to the project.
pub(crate) async fn run(
    store: &dyn Store,
    ctx: &ProjectCtx,
    mint: &dyn Mint,
    request: &Request,
    leases: &mut Vec<Lease>,
) -> Value {
    match request.clone() {
        Request::Write(operation, name) => write(store, ctx, &operation, name.as_deref()).await,
        Request::DeleteArtifact(id) => outcome::read(store.delete_artifact(ctx, &id).await),
        Request::DeleteBundle(id) => outcome::read(store.delete_bundle(ctx, &id).await),
        Request::DeleteSession(id) => outcome::read(store.delete_session(ctx, &id).await),
        Request::DeleteFile(id) => outcome::read(store.delete_file(ctx, &id).await),
        Request::ReadEvents(session, branch, page) => {
            outcome::page(store.list_events(ctx, &session, &branch, page).await)
        }
        Request::ReadPrompt(state) => outcome::prompt(store.read_prompt(ctx, state).await),
        Request::ListFiles(page) => outcome::page(store.list_files(ctx, page).await),
        Request::Reserve(name) => match store.reserve(ctx, &generation_key(&name)).await {
            Ok(Reserved::Held(lease)) => {
                leases.push(lease);
                json!({ "lease": "held" })
            }
            Ok(Reserved::Replayed(answer)) => json!({ "replayed": outcome::kept(&answer) }),
            Err(error) => outcome::refusal(&error),
        },
        Request::Renew(lease) => outcome::read(store.renew(&leases[lease], ctx.now).await),
        Request::Release(lease) => outcome::read(store.release(leases[lease].clone()).await),
        Request::Generate { lease, open, materialized } => {
            let id = ResponseId::with_suffix(&mint.suffix(ctx.now));
            let response = responses::native(ctx, &id, open);
            let generation = Generation {
                answer: Answer::json(&ctx.trace, &response).unwrap(),
                response: Some(StoredResponse::Native(Box::new(response.clone()))),
                begun: false,
                input_items: None,
                expires_at: ctx.now + TimeDelta::days(2),
                materialized,
            };
            let lease = lease.map(|lease| leases[lease].clone());
            outcome::read(store.commit_generation(ctx, generation, lease).await.map(|()| response))
        }
        Request::Finish(id) => {
            let response = StoredResponse::Native(Box::new(responses::native(ctx, &id, false)));
            outcome::read(store.finish_response(ctx, response).await.map(|response| match response {
                StoredResponse::Native(response) => json!(response),
                StoredResponse::V1(response) => json!(response),
            }))
        }
        Request::FailOpenResponses => outcome::read(store.fail_open_responses().await),
        // Rows of deleted sessions are swept by the stores that keep them for later; the model keeps none.
        Request::Sweep => outcome::read(
            store
                .sweep(ctx.now)
                .await
                .map(|swept| json!([swept.artifacts, swept.files, swept.responses, swept.answers])),
        ),
        Request::Advance(_) | Request::Nothing => Value::Null,
    }
}
