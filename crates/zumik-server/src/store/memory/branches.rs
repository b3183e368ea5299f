//! Branches, events, merges and snapshots of the model: a branch holds its whole history, a fork copies it.

use zumik_types::{
    AppendEventRequest, ArtifactId, ArtifactType, BranchId, BranchMerge, BranchState, CreateSnapshotRequest,
    Event, EventId, EventType, Extra, ForkBranchRequest, MergeBranchRequest, MergeStrategy, MergedFrom,
    ObjectType, SessionBranch, SessionId, Snapshot, SnapshotId, SortOrder,
};

use super::state::{BranchEntry, SnapshotEntry, State};
use crate::store::rules::{
    self, check_active, check_guards, missing_artifact, named_artifact, named_event, whole_seconds,
};
use crate::store::{EventPage, Kind, MAX_MERGED_EVENTS, Page, ProjectCtx, Result, StoreError};

impl State {
    pub(super) fn find_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        id: &BranchId,
    ) -> Option<&BranchEntry> {
        self.find_session(ctx, session)?;
        self.branches.get(id).filter(|entry| entry.branch.session_id == *session)
    }

    pub(super) fn branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        id: &BranchId,
    ) -> Result<&BranchEntry> {
        self.session(ctx, session)?;
        self.find_branch(ctx, session, id).ok_or_else(|| StoreError::not_found(Kind::Branch, id))
    }

    pub(super) fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>> {
        self.session(ctx, session)?;
        let branches = self.branches.values().map(|entry| &entry.branch);
        Ok(branches.filter(|branch| branch.session_id == *session).cloned().collect())
    }

    pub(super) fn fork_branch(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: ForkBranchRequest,
    ) -> Result<SessionBranch> {
        let status = self.session(ctx, session)?.status.clone();
        let id = &request.fork_from_branch_id;
        let source = self.find_branch(ctx, session, id).ok_or_else(|| {
            StoreError::reference("fork_from_branch_id", format!("the session has no branch with id '{id}'"))
        })?;
        let length = match &request.fork_from_event_id {
            None => source.history.len(),
            Some(event) => {
                source.history.iter().position(|id| id == event).map(|at| at + 1).ok_or_else(|| {
                    let problem = format!("no event with id '{event}' is on that branch");
                    StoreError::reference("fork_from_event_id", problem)
                })?
            }
        };
        check_active(&status)?;
        let history = source.history[..length].to_vec();
        let parent = id.clone();
        let id = self.insert_fork(ctx, session, parent, history, request.label);
        Ok(self.branches[&id].branch.clone())
    }

    fn insert_fork(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        parent: BranchId,
        history: Vec<EventId>,
        label: Option<String>,
    ) -> BranchId {
        let branch = SessionBranch {
            id: BranchId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::SessionBranch,
            session_id: session.clone(),
            parent_branch_id: Some(parent),
            forked_from_event_id: history.last().cloned(),
            head_event_id: history.last().cloned(),
            version: history.len() as u64,
            label,
            extra: Extra::new(),
        };
        let id = branch.id.clone();
        self.branches.insert(id.clone(), BranchEntry { branch, history });
        id
    }

    pub(super) fn append_event(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: AppendEventRequest,
    ) -> Result<Event> {
        let state = state(self.branch(ctx, session, branch)?);
        if let Some(id) = request.event.payload_ref.as_deref().and_then(named_artifact) {
            self.live_artifact(ctx, &id).ok_or_else(|| missing_artifact("event.payload_ref", &id))?;
        }
        check_active(&self.session(ctx, session)?.status)?;
        check_guards(&state, request.expected_version, &request.expected_head_event_id)?;
        let event = request.event;
        Ok(self.push_event(ctx, session, branch, event.event_type, event.payload_ref, None))
    }

    fn push_event(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        event_type: EventType,
        payload_ref: Option<String>,
        merged_from: Option<MergedFrom>,
    ) -> Event {
        let entry = &mut self.branches[branch];
        let event = Event {
            id: EventId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Event,
            session_id: session.clone(),
            branch_id: branch.clone(),
            parent_event_id: entry.history.last().cloned(),
            sequence: entry.history.len() as u64 + 1,
            event_type,
            payload_ref,
            created_at: whole_seconds(ctx.now),
            merged_from,
            extra: Extra::new(),
        };
        entry.history.push(event.id.clone());
        entry.branch.head_event_id = Some(event.id.clone());
        entry.branch.version = event.sequence;
        self.events.insert(event.id.clone(), event.clone());
        event
    }

    pub(super) fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: &EventPage,
    ) -> Result<Page<Event>> {
        let mut history: Vec<_> = self.branch(ctx, session, branch)?.history.iter().collect();
        if page.order == SortOrder::Desc {
            history.reverse();
        }
        let start = match &page.after {
            None => 0,
            Some(id) => history.iter().position(|event| *event == id).map(|at| at + 1).ok_or_else(|| {
                StoreError::reference("after", format!("no event with id '{id}' is in this history"))
            })?,
        };
        let data: Vec<_> =
            history[start..].iter().take(page.limit as usize).map(|id| self.events[*id].clone()).collect();
        let has_more = !data.is_empty() && start + data.len() < history.len();
        Ok(Page { data, has_more })
    }

    pub(super) fn merge_branch(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: MergeBranchRequest,
    ) -> Result<BranchMerge> {
        let branch = self.branch(ctx, session, target)?;
        let source_id = &request.source_branch_id;
        if source_id == target {
            let problem = "a branch cannot be merged into itself";
            return Err(StoreError::reference("source_branch_id", problem));
        }
        let source = self.find_branch(ctx, session, source_id).ok_or_else(|| {
            let problem = format!("the session has no branch with id '{source_id}'");
            StoreError::reference("source_branch_id", problem)
        })?;
        let summary = self.merge_payload(ctx, &request)?;
        let common = branch.history.iter().zip(&source.history).take_while(|(one, other)| one == other);
        let new = source.history[common.count()..].to_vec();
        if new.is_empty() {
            return Err(StoreError::reference("source_branch_id", "the branch has nothing new to merge"));
        }
        if summary.is_none() && new.len() as u64 > MAX_MERGED_EVENTS {
            let problem = format!("{} events would be copied, more than {MAX_MERGED_EVENTS}", new.len());
            return Err(StoreError::reference("source_branch_id", problem));
        }
        let (state, history) = (state(branch), branch.history.clone());
        check_active(&self.session(ctx, session)?.status)?;
        check_guards(&state, request.expected_version, &request.expected_head_event_id)?;

        let receiving = match request.strategy {
            MergeStrategy::Fork => self.insert_fork(ctx, session, target.clone(), history, None),
            _ => target.clone(),
        };
        let from = |event_id: &EventId| {
            let branch_id = source_id.clone();
            Some(MergedFrom { branch_id, event_id: event_id.clone(), extra: Extra::new() })
        };
        let appended = match summary {
            Some(artifact) => {
                let (kind, payload) = (EventType::Checkpoint, Some(String::from(artifact)));
                vec![self.push_event(ctx, session, &receiving, kind, payload, new.last().and_then(from))]
            }
            None => new
                .iter()
                .map(|id| {
                    let Event { event_type, payload_ref, .. } = self.events[id].clone();
                    self.push_event(ctx, session, &receiving, event_type, payload_ref, from(id))
                })
                .collect(),
        };
        Ok(BranchMerge {
            object: ObjectType::BranchMerge,
            strategy: request.strategy.clone(),
            target_branch: self.branches[&receiving].branch.clone(),
            source_branch_id: source_id.clone(),
            appended,
            extra: Extra::new(),
        })
    }

    fn merge_payload(&self, ctx: &ProjectCtx, request: &MergeBranchRequest) -> Result<Option<ArtifactId>> {
        let wrong = |problem: String| Err(StoreError::reference("payload_ref", problem));
        let strategy = &request.strategy;
        let needed = match strategy {
            MergeStrategy::Checkpoint => ArtifactType::Checkpoint,
            MergeStrategy::Compact => ArtifactType::CompactionSummary,
            _ if request.payload_ref.is_some() => {
                return wrong(format!("the strategy '{strategy}' takes no payload"));
            }
            _ => return Ok(None),
        };
        let Some(id) = &request.payload_ref else {
            return wrong(format!("the strategy '{strategy}' needs an artifact of type '{needed}'"));
        };
        let entry = self.live_artifact(ctx, id).ok_or_else(|| missing_artifact("payload_ref", id))?;
        let found = &entry.artifact.artifact_type;
        if *found != needed {
            return wrong(format!("the artifact is of type '{found}', not '{needed}'"));
        }
        Ok(Some(id.clone()))
    }

    pub(super) fn create_snapshot(
        &mut self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: CreateSnapshotRequest,
    ) -> Result<Snapshot> {
        let branch_version = self.branch(ctx, session, branch)?.branch.version;
        let manifest = request.ordered_block_manifest.unwrap_or_default();
        let mut artifacts = Vec::new();
        for (at, entry) in manifest.iter().enumerate() {
            let param = || format!("ordered_block_manifest[{at}]");
            if let Some(id) = named_artifact(entry) {
                self.live_artifact(ctx, &id).ok_or_else(|| missing_artifact(param(), &id))?;
                artifacts.push(id);
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, &id).ok_or_else(|| {
                    StoreError::reference(param(), format!("no event with id '{id}' exists in this project"))
                })?;
                artifacts.extend(event.payload_ref.as_deref().and_then(named_artifact));
            }
        }
        check_active(&self.session(ctx, session)?.status)?;
        let snapshot = Snapshot {
            id: SnapshotId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Snapshot,
            session_id: session.clone(),
            branch_id: branch.clone(),
            branch_version,
            prompt_compiler_revision: request
                .prompt_compiler_revision
                .unwrap_or_else(|| rules::DEFAULT_COMPILER.to_owned()),
            ordered_block_manifest: manifest,
            created_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        let entry = SnapshotEntry { snapshot: snapshot.clone(), artifacts, valid: true };
        self.snapshots.insert(snapshot.id.clone(), entry);
        Ok(snapshot)
    }

    pub(super) fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        self.branch(ctx, session, branch)?;
        let valid = self.snapshots.values().filter(|entry| entry.valid).map(|entry| &entry.snapshot);
        Ok(valid.filter(|snapshot| snapshot.branch_id == *branch).cloned().collect())
    }

    pub(super) fn project_event(&self, ctx: &ProjectCtx, id: &EventId) -> Option<&Event> {
        let event = self.events.get(id)?;
        self.find_session(ctx, &event.session_id).map(|_| event)
    }
}

fn state(entry: &BranchEntry) -> BranchState {
    BranchState {
        id: entry.branch.id.clone(),
        version: entry.branch.version,
        head_event_id: entry.branch.head_event_id.clone(),
        extra: Extra::new(),
    }
}
