//! Merges. They append by the same path as an append does.

use zumik_types::{
    ArtifactType, BranchId, BranchMerge, Event, EventType, Extra, MergeBranchRequest, MergeStrategy,
    ObjectType, SessionId,
};

use super::Db;
use super::branches::BranchRow;
use super::events::NewRow;
use crate::store::rules::{check_active, check_guards, missing_artifact};
use crate::store::{MAX_MERGED_EVENTS, ProjectCtx, Result, StoreError};

impl Db<'_> {
    pub(super) fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: &MergeBranchRequest,
    ) -> Result<BranchMerge> {
        let mut branch = self.branch(ctx, session, target)?;
        let source = self.merge_source(ctx, session, target, request)?;
        let artifact = self.merge_payload(ctx, request)?;
        let base = self.common_ancestor(branch.head, source.head)?.map_or(0, |node| node.sequence);
        let new = source.state.version - base;
        let copies = artifact.is_none();
        if new == 0 {
            return Err(StoreError::reference("source_branch_id", "the branch has nothing new to merge"));
        }
        if copies && new > MAX_MERGED_EVENTS {
            let problem = format!("{new} events would be copied, more than {MAX_MERGED_EVENTS}");
            return Err(StoreError::reference("source_branch_id", problem));
        }
        check_active(&branch.session_status)?;
        check_guards(&branch.state, request.expected_version, &request.expected_head_event_id)?;

        if request.strategy == MergeStrategy::Fork {
            let fork = self.insert_fork(ctx, &branch, branch.head, None)?;
            branch.id = fork;
        }
        let before = branch.state.version;
        match artifact {
            Some(artifact) => self.push_summary(ctx, &mut branch, &source, request, artifact)?,
            None => self.push_copies(ctx, &mut branch, &source, base)?,
        }
        self.move_head(&branch)?;
        Ok(BranchMerge {
            object: ObjectType::BranchMerge,
            strategy: request.strategy.clone(),
            target_branch: self.branch_record(session, branch.id)?,
            source_branch_id: request.source_branch_id.clone(),
            appended: self.appended(session, &branch, before)?,
            extra: Extra::new(),
        })
    }

    fn merge_source(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: &MergeBranchRequest,
    ) -> Result<BranchRow> {
        let id = &request.source_branch_id;
        if id == target {
            let problem = "a branch cannot be merged into itself";
            return Err(StoreError::reference("source_branch_id", problem));
        }
        self.find_branch(ctx, session, id)?.ok_or_else(|| {
            StoreError::reference("source_branch_id", format!("the session has no branch with id '{id}'"))
        })
    }

    /// The artifact that stands for the source's events, with the strategies that need one.
    fn merge_payload(&self, ctx: &ProjectCtx, request: &MergeBranchRequest) -> Result<Option<i64>> {
        let wrong = |problem: String| StoreError::reference("payload_ref", problem);
        let strategy = &request.strategy;
        let needed = match strategy {
            MergeStrategy::Checkpoint => ArtifactType::Checkpoint,
            MergeStrategy::Compact => ArtifactType::CompactionSummary,
            _ if request.payload_ref.is_some() => {
                return Err(wrong(format!("the strategy '{strategy}' takes no payload")));
            }
            _ => return Ok(None),
        };
        let Some(id) = &request.payload_ref else {
            return Err(wrong(format!("the strategy '{strategy}' needs an artifact of type '{needed}'")));
        };
        let artifact = self.live_artifact(ctx, id)?.ok_or_else(|| missing_artifact("payload_ref", id))?;
        let found = self.artifact_type(artifact)?;
        if found != needed {
            return Err(wrong(format!("the artifact is of type '{found}', not '{needed}'")));
        }
        Ok(Some(artifact))
    }

    fn push_summary(
        &self,
        ctx: &ProjectCtx,
        branch: &mut BranchRow,
        source: &BranchRow,
        request: &MergeBranchRequest,
        artifact: i64,
    ) -> Result<()> {
        let new = NewRow {
            event_type: EventType::Checkpoint.as_str(),
            payload_ref: request.payload_ref.as_ref().map(|id| id.as_str()),
            artifact: Some(artifact),
            merged_from: source.head.map(|head| (source.id, head.row)),
        };
        self.push_event(ctx, branch, &new).map(drop)
    }

    fn push_copies(
        &self,
        ctx: &ProjectCtx,
        branch: &mut BranchRow,
        source: &BranchRow,
        base: u64,
    ) -> Result<()> {
        for event in self.event_rows_between(source.head, base + 1, source.state.version)? {
            let new = NewRow {
                event_type: &event.event_type,
                payload_ref: event.payload_ref.as_deref(),
                artifact: event.artifact,
                merged_from: Some((source.id, event.row)),
            };
            self.push_event(ctx, branch, &new)?;
        }
        Ok(())
    }

    fn appended(&self, session: &SessionId, branch: &BranchRow, before: u64) -> Result<Vec<Event>> {
        self.events_between(session, branch.head, before + 1, branch.state.version)
    }
}
