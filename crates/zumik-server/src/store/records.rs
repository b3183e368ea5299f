//! What store operations take and give beside the models of the API.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use zumik_types::{
    ArtifactId, BranchId, BundleId, ConversationId, EventId, FileId, KeyId, NativeResponse, ProjectId,
    SessionId, SnapshotId, SortOrder, TraceId, V1ResponseId,
};

use super::Answer;
use crate::domain::{ResponseObject, Scopes};

/// Files that one project may hold (contract `v1.md`, "Files").
pub const MAX_FILES: u64 = 200;

/// Bytes that the files of one project may hold together.
pub const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Events that one rebase or fork may copy (contract `v2.md`, "Merges").
pub const MAX_MERGED_EVENTS: u64 = 10_000;

/// Who asks, for which project, when, and under which trace. Every operation on a project's state takes
/// one, so that an object of another project cannot even be named.
#[derive(Debug, Clone)]
pub struct ProjectCtx {
    /// The project of the key.
    pub project: ProjectId,
    /// The key that asks.
    pub key: KeyId,
    /// What the key may do.
    pub scopes: Scopes,
    /// Trace id of the request.
    pub trace: TraceId,
    /// When the request came in.
    pub now: DateTime<Utc>,
}

/// Whom a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The project of the key.
    pub project: ProjectId,
    /// The key.
    pub key: KeyId,
    /// What the key may do.
    pub scopes: Scopes,
}

/// A project: the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// `prj_…`
    pub id: ProjectId,
    /// Its name on this server, unique.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A key to be registered: everything but the secret.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What the operator calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// The secret with its middle left out, for people to recognize.
    pub masked: String,
}

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// `key_…`
    pub id: KeyId,
    /// Its project.
    pub project: ProjectId,
    /// What the operator calls it.
    pub name: String,
    /// The secret with its middle left out.
    pub masked: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked; it opens nothing since.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries, in the order asked for.
    pub data: Vec<T>,
    /// Whether more remain behind the last one.
    pub has_more: bool,
}

/// Which events of a branch to read.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// Begin behind this event of the history.
    pub after: Option<EventId>,
    /// At most so many, 1 to 1000.
    pub limit: u32,
    /// By `sequence`: rising unless it is `Desc`.
    pub order: SortOrder,
}

/// Which files to list.
#[derive(Debug, Clone)]
pub struct FilePage {
    /// Only those with this purpose.
    pub purpose: Option<String>,
    /// Begin behind this file.
    pub after: Option<FileId>,
    /// At most so many; all when absent.
    pub limit: Option<u32>,
    /// By creation: newest first unless it is `Asc`.
    pub order: SortOrder,
}

/// A file to be stored.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Name as uploaded.
    pub filename: String,
    /// What it is for.
    pub purpose: String,
    /// The bytes.
    pub content: Bytes,
    /// When it goes by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A response of either surface.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredResponse {
    /// `rsp_…`
    Native(Box<NativeResponse>),
    /// `resp_…`
    V1(Box<ResponseObject>),
}

/// What a request of `/v1` continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continued {
    /// `previous_response_id`: this response, and what it continued itself.
    Response(V1ResponseId),
    /// `conversation`: all of its responses that came to an output.
    Conversation(ConversationId),
}

impl Continued {
    /// The member of the request that says so.
    pub const fn param(&self) -> &'static str {
        match self {
            Self::Response(_) => "previous_response_id",
            Self::Conversation(_) => "conversation",
        }
    }
}

/// What a generation leaves behind, in one transaction.
#[derive(Debug, Clone)]
pub struct Generation {
    /// The response to keep; nothing for `store: false`.
    pub response: Option<StoredResponse>,
    /// Whether the response was kept when it began: then this is its end.
    pub begun: bool,
    /// Input items of a `/v1` response, in OpenAI's shape, to be kept with it: for a request in the privacy mode
    /// `encrypted_full_fidelity` only.
    pub input_items: Option<Vec<Value>>,
    /// When the response goes.
    pub expires_at: DateTime<Utc>,
    /// Artifacts whose text was in the prompt. A purge of one of them drops the kept answer, also one that
    /// comes while the generation runs.
    pub materialized: Vec<ArtifactId>,
    /// The answer, kept under the lease when there is one.
    pub answer: Answer,
}

/// The state that a generation reads, as the request names it.
#[derive(Debug, Clone, Default)]
pub struct PromptState {
    /// `session_id`, or `Agent-Session-Ref`.
    pub session_id: Option<SessionId>,
    /// `branch_id`.
    pub branch_id: Option<BranchId>,
    /// `bundle_id`.
    pub bundle_id: Option<BundleId>,
    /// `snapshot_id`.
    pub snapshot_id: Option<SnapshotId>,
}

/// How much a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ephemeral artifacts, a day after creation.
    pub artifacts: u64,
    /// Files past their expiry.
    pub files: u64,
    /// Responses past their retention.
    pub responses: u64,
    /// Deleted sessions, with all that was in them.
    pub sessions: u64,
    /// Batches, 30 days after their end.
    pub batches: u64,
    /// Stored answers after a day, and reservations whose holder is gone.
    pub answers: u64,
}
