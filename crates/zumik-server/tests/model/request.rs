//! A request to a store, complete: the same for every store, and repeatable.

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};
use zumik_server::domain::{ResponseObject, key_hash};
use zumik_server::mint::Mint;
use zumik_server::store::{
    Answer, BatchPage, ClaimedLine, Continued, EventPage, FilePage, Generation, Idempotency, Lease,
    LineLease, LineOutcome, NewAliasRelease, NewFile, ProjectCtx, PromptState, Reserved, Store,
    StoredResponse, UsageQuery,
};
use zumik_types::{
    AgentHints, AgentHintsId, AppendEventRequest, ArtifactId, BatchId, BranchId, BundleId, ConversationId,
    CreateArtifactRequest, CreateBatchRequest, CreateBundleRequest, CreateConversationRequest,
    CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, FileId, ForkBranchRequest,
    MergeBranchRequest, ResponseId, SessionId, UpdateSessionRequest, UsageDimension, V1ResponseId,
    V1ResponseStatus,
};

use crate::outcome;
use crate::{responses, usage};

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
    Release(NewAliasRelease),
    Hints(Box<AgentHints>),
    Conversation(CreateConversationRequest),
    CancelV1(V1ResponseId),
    Batch(CreateBatchRequest),
    CancelBatch(BatchId),
}

/// What a claimed line comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LineEnd {
    /// It is answered with this status.
    Answered(u16),
    Failed,
    /// It is to be run again after so many seconds.
    Again(i64),
    /// So is it, and the attempt does not count.
    Rests(i64),
}

/// What a store gave to whoever works with it: to be used in later requests.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Leases of keys, of the own project and of the other.
    pub(crate) leases: [Vec<Lease>; 2],
    /// Lines of batches.
    pub(crate) lines: Vec<ClaimedLine>,
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
    /// A day passes, and what it left behind is swept.
    Day,
    Advance(TimeDelta),
    DeleteHints(AgentHintsId),
    RecordUsage(Vec<u64>),
    Usage {
        hours: i64,
        group: Option<UsageDimension>,
    },
    DeleteConversation(ConversationId),
    /// Keeps a response of `/v1`, under a lease or not.
    Respond {
        after: Option<Continued>,
        status: V1ResponseStatus,
        items: bool,
        lease: Option<usize>,
    },
    /// Ends one: with its generation, or by itself.
    EndV1 {
        id: V1ResponseId,
        begun: bool,
    },
    DeleteV1(V1ResponseId),
    History {
        of: Continued,
        most: usize,
    },
    ListBatches(BatchPage),
    AdvanceBatches,
    Claim(u32),
    Settle(usize, LineEnd),
    RenewLines(Vec<usize>),
    ReleaseLines(Vec<usize>),
    NextBatchWork,
    /// Its object does not exist yet.
    Nothing,
}

/// The path that keys count for; a few, so that keys meet.
fn path(write: &Write) -> &'static str {
    match write {
        Write::Artifact(_) => "/v2/artifacts",
        Write::Purge(_) => "/v2/purge-jobs",
        Write::File { .. } => "/v1/files",
        Write::Batch(_) | Write::Conversation(_) => "/v1/batches",
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
        Write::Release(release) => outcome::written(store.create_alias_release(ctx, release, key).await),
        Write::Hints(hints) => outcome::written(store.create_agent_hints(ctx, *hints, key).await),
        Write::Conversation(request) => outcome::written(store.create_conversation(ctx, request, key).await),
        Write::CancelV1(id) => outcome::written(store.cancel_v1_response(ctx, &id, key).await),
        Write::Batch(request) => outcome::written(store.create_batch(ctx, request, key).await),
        Write::CancelBatch(id) => outcome::written(store.cancel_batch(ctx, &id, key).await),
    }
}

/// Runs any other request of a project; `held` is what this store gave before.
pub(crate) async fn run(
    store: &dyn Store,
    ctx: &ProjectCtx,
    mint: &dyn Mint,
    request: &Request,
    foreign: bool,
    held: &mut Held,
) -> Value {
    let leases = &mut held.leases[usize::from(foreign)];
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
        Request::Sweep | Request::Day => outcome::read(store.sweep(ctx.now).await.map(|swept| {
            json!([swept.artifacts, swept.files, swept.responses, swept.batches, swept.answers])
        })),
        Request::DeleteHints(id) => outcome::read(store.delete_agent_hints(ctx, &id).await),
        Request::RecordUsage(numbers) => {
            let events = numbers.into_iter().map(|n| usage::event(ctx, n)).collect();
            outcome::read(store.record_usage(events).await)
        }
        Request::Usage { hours, group } => {
            let mut query = UsageQuery::between(ctx.now - TimeDelta::hours(hours), ctx.now);
            query.group_by = group;
            outcome::read(store.usage(ctx, query).await)
        }
        Request::DeleteConversation(id) => outcome::read(store.delete_conversation(ctx, &id).await),
        Request::Respond { after, status, items, lease } => {
            let id = V1ResponseId::with_suffix(&mint.suffix(ctx.now));
            let response = responses::v1(ctx, &id, &status, after.as_ref());
            let lease = lease.map(|lease| leases[lease].clone());
            let items = items.then(|| vec![json!({ "role": "user", "content": id })]);
            let generation = v1_generation(ctx, &response, false, items);
            outcome::read(store.commit_generation(ctx, generation, lease).await.map(|()| response))
        }
        Request::EndV1 { id, begun } => {
            let response = responses::v1(ctx, &id, &V1ResponseStatus::Completed, None);
            if begun {
                let generation = v1_generation(ctx, &response, true, None);
                return outcome::read(store.commit_generation(ctx, generation, None).await);
            }
            let ended = store.finish_response(ctx, StoredResponse::V1(Box::new(response))).await;
            outcome::read(ended.map(|response| match response {
                StoredResponse::Native(response) => json!(response),
                StoredResponse::V1(response) => json!(response),
            }))
        }
        Request::DeleteV1(id) => outcome::read(store.delete_v1_response(ctx, &id).await),
        Request::History { of, most } => outcome::read(store.read_history(ctx, of, most).await),
        Request::ListBatches(page) => outcome::page(store.list_batches(ctx, page).await),
        Request::Advance(_) | Request::Nothing => Value::Null,
        request => work(store, ctx, request, &mut held.lines).await,
    }
}

/// A response of `/v1` as a handler keeps it.
fn v1_generation(
    ctx: &ProjectCtx,
    response: &ResponseObject,
    begun: bool,
    input_items: Option<Vec<Value>>,
) -> Generation {
    Generation {
        answer: Answer::json(&ctx.trace, response).unwrap(),
        response: Some(StoredResponse::V1(Box::new(response.clone()))),
        begun,
        input_items,
        expires_at: ctx.now + TimeDelta::days(2),
        materialized: Vec::new(),
    }
}

/// Runs what the worker of batches asks for; `held` are the lines that this store gave to it.
async fn work(store: &dyn Store, ctx: &ProjectCtx, request: Request, held: &mut Vec<ClaimedLine>) -> Value {
    let leases = |lines: &[usize], held: &[ClaimedLine]| -> Vec<LineLease> {
        lines.iter().map(|line| held[*line].lease.clone()).collect()
    };
    match request {
        Request::AdvanceBatches => outcome::read(
            store.advance_batches(ctx.now).await.map(|advanced| json!([advanced.started, advanced.ended])),
        ),
        Request::Claim(most) => match store.claim_batch_lines(ctx.now, most).await {
            Ok(lines) => {
                let shown: Vec<_> = lines.iter().map(outcome::line).collect();
                held.extend(lines);
                json!({ "claimed": shown })
            }
            Err(error) => outcome::refusal(&error),
        },
        Request::Settle(line, end) => {
            let outcome = match end {
                LineEnd::Answered(status) => LineOutcome::Answered {
                    status,
                    request_id: ctx.trace.clone(),
                    body: format!("{{\n\"status\":{status}}}").into(),
                },
                LineEnd::Failed => LineOutcome::Failed { message: "The line got no answer.".to_owned() },
                LineEnd::Again(seconds) => LineOutcome::Again(ctx.now + TimeDelta::seconds(seconds)),
                LineEnd::Rests(seconds) => LineOutcome::Rests(ctx.now + TimeDelta::seconds(seconds)),
            };
            outcome::read(store.settle_batch_line(&held[line], outcome, ctx.now).await)
        }
        Request::RenewLines(lines) => {
            let lost = store.renew_batch_lines(leases(&lines, held), ctx.now).await;
            outcome::read(
                lost.map(|lost| {
                    lines.iter().map(|line| lost.contains(&held[*line].lease)).collect::<Vec<_>>()
                }),
            )
        }
        Request::ReleaseLines(lines) => outcome::read(store.release_batch_lines(leases(&lines, held)).await),
        Request::NextBatchWork => outcome::read(store.next_batch_work(ctx.now).await),
        _ => Value::Null,
    }
}
