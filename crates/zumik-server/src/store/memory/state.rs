//! Everything the model holds: plain maps in the order of creation.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;
use zumik_receipt::SigningKey;
use zumik_types::{
    AgentHintsId, Artifact, ArtifactId, BatchId, BranchId, Bundle, BundleId, Conversation, ConversationId,
    Diagnostic, DiagnosticId, Event, EventId, File, FileId, KeyId, ModelAliasRelease, ProjectId, PurgeJob,
    PurgeJobId, PurgeReceipt, ResponseId, Session, SessionBranch, SessionId, Snapshot, SnapshotId,
    StoredAgentHints, UsageEvent, UsageEventId, V1ResponseId,
};

use super::batches::BatchEntry;
use crate::clock::Clock;
use crate::domain::CompactionKey;
use crate::mint::Mint;
use crate::store::{
    ANSWER_LIFETIME, Answer, Idempotency, KeyRecord, Project, ProjectCtx, ProviderCache, Result, StoreError,
    StoredResponse, Written,
};

/// Everything the model holds.
pub(super) struct State {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mint: Arc<dyn Mint>,
    pub(super) signing_key: SigningKey,
    pub(super) caches: Arc<[ProviderCache]>,
    pub(super) closed: bool,
    pub(super) projects: IndexMap<ProjectId, ProjectEntry>,
    pub(super) keys: IndexMap<KeyId, KeyEntry>,
    pub(super) answers: HashMap<[u8; 16], AnswerEntry>,
    pub(super) artifacts: IndexMap<ArtifactId, ArtifactEntry>,
    pub(super) bundles: IndexMap<BundleId, BundleEntry>,
    pub(super) sessions: IndexMap<SessionId, Session>,
    pub(super) branches: IndexMap<BranchId, BranchEntry>,
    pub(super) events: HashMap<EventId, Event>,
    pub(super) snapshots: IndexMap<SnapshotId, SnapshotEntry>,
    pub(super) responses: IndexMap<ResponseKey, ResponseEntry>,
    pub(super) conversations: IndexMap<ConversationId, (ProjectId, Conversation)>,
    pub(super) compaction_keys: HashMap<ProjectId, CompactionKey>,
    pub(super) files: IndexMap<FileId, FileEntry>,
    pub(super) usage: IndexMap<UsageEventId, UsageEvent>,
    pub(super) releases: Vec<(ProjectId, ModelAliasRelease)>,
    pub(super) hints: IndexMap<AgentHintsId, StoredAgentHints>,
    pub(super) batches: IndexMap<BatchId, BatchEntry>,
    /// Lines of batches so far; each is named by its number.
    pub(super) batch_lines: i64,
    pub(super) diagnostics: IndexMap<DiagnosticId, Diagnostic>,
    pub(super) purges: IndexMap<PurgeJobId, (PurgeJob, PurgeReceipt)>,
}

pub(super) struct ProjectEntry {
    pub(super) project: Project,
    pub(super) generation: u64,
}

pub(super) struct KeyEntry {
    pub(super) record: KeyRecord,
    pub(super) hash: [u8; 32],
}

/// A key of a POST: reserved while it has no answer.
pub(super) struct AnswerEntry {
    pub(super) fingerprint: [u8; 32],
    pub(super) epoch: u64,
    pub(super) lease_until: Option<DateTime<Utc>>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) answer: Option<Answer>,
    /// Artifacts whose purge drops the answer.
    pub(super) artifacts: Vec<ArtifactId>,
}

pub(super) struct ArtifactEntry {
    pub(super) artifact: Artifact,
    /// Nothing once it is removed.
    pub(super) content: Option<Zeroizing<String>>,
    pub(super) revoked: bool,
    pub(super) purged: bool,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

pub(super) struct BundleEntry {
    pub(super) bundle: Bundle,
    pub(super) live: bool,
}

pub(super) struct BranchEntry {
    /// Version and head are those of `history`.
    pub(super) branch: SessionBranch,
    /// Every event of it, inherited ones included.
    pub(super) history: Vec<EventId>,
}

pub(super) struct SnapshotEntry {
    pub(super) snapshot: Snapshot,
    /// The artifacts that the manifest names, directly or through an event.
    pub(super) artifacts: Vec<ArtifactId>,
    pub(super) valid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ResponseKey {
    Native(ResponseId),
    V1(V1ResponseId),
}

pub(super) struct ResponseEntry {
    pub(super) project: ProjectId,
    pub(super) response: StoredResponse,
    pub(super) input_items: Option<Vec<Value>>,
    /// The conversation it is tied to, which may have been deleted since.
    pub(super) conversation: Option<ConversationId>,
    pub(super) expires_at: DateTime<Utc>,
}

pub(super) struct FileEntry {
    pub(super) project: ProjectId,
    /// As it is shown: only of outputs it is told when they go.
    pub(super) file: File,
    pub(super) content: Bytes,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl State {
    pub(super) fn new(clock: Arc<dyn Clock>, mint: Arc<dyn Mint>, signing_key: SigningKey) -> Self {
        Self {
            clock,
            mint,
            signing_key,
            caches: Arc::from([]),
            closed: false,
            projects: IndexMap::new(),
            keys: IndexMap::new(),
            answers: HashMap::new(),
            artifacts: IndexMap::new(),
            bundles: IndexMap::new(),
            sessions: IndexMap::new(),
            branches: IndexMap::new(),
            events: HashMap::new(),
            snapshots: IndexMap::new(),
            responses: IndexMap::new(),
            conversations: IndexMap::new(),
            compaction_keys: HashMap::new(),
            files: IndexMap::new(),
            usage: IndexMap::new(),
            releases: Vec::new(),
            hints: IndexMap::new(),
            batches: IndexMap::new(),
            batch_lines: 0,
            diagnostics: IndexMap::new(),
            purges: IndexMap::new(),
        }
    }

    /// Runs a write under its key, if it has one. `effect` also names the artifacts whose purge drops the
    /// kept answer, and changes nothing when it fails.
    pub(super) fn keyed<T: Serialize>(
        &mut self,
        ctx: &ProjectCtx,
        key: Option<Idempotency>,
        effect: impl FnOnce(&mut Self) -> Result<(T, Vec<ArtifactId>)>,
    ) -> Result<Written<T>> {
        if let Some(answer) = key.as_ref().map(|key| self.find_answer(ctx, key)).transpose()?.flatten() {
            return Ok(Written::Replayed(answer));
        }
        let (value, artifacts) = effect(self)?;
        let answer = Answer::json(&ctx.trace, &value)?;
        if let Some(key) = key {
            let entry = AnswerEntry {
                fingerprint: key.fingerprint,
                epoch: self.next_epoch(ctx, &key),
                lease_until: None,
                expires_at: ctx.now + ANSWER_LIFETIME,
                answer: Some(answer.clone()),
                artifacts,
            };
            self.answers.insert(key.lookup(&ctx.project), entry);
        }
        Ok(Written::Fresh { value, answer })
    }

    /// The answer of a key, or nothing when the key is free.
    pub(super) fn find_answer(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Option<Answer>> {
        let Some(entry) = self.answers.get(&key.lookup(&ctx.project)) else { return Ok(None) };
        let live = match &entry.answer {
            Some(_) => entry.expires_at > ctx.now,
            None => entry.lease_until.is_some_and(|end| end > ctx.now),
        };
        match (live, entry.fingerprint == key.fingerprint, &entry.answer) {
            (false, ..) => Ok(None),
            (true, false, _) => Err(StoreError::KeyReused),
            (true, true, None) => Err(StoreError::InFlight),
            (true, true, Some(answer)) => Ok(Some(answer.clone())),
        }
    }

    pub(super) fn next_epoch(&self, ctx: &ProjectCtx, key: &Idempotency) -> u64 {
        self.answers.get(&key.lookup(&ctx.project)).map_or(1, |entry| entry.epoch + 1)
    }
}
