//! Merges.

use zumik_types::{
    ArtifactType, BranchId, BranchMerge, EventId, EventType, Extra, MergeBranchRequest, MergeStrategy,
    ObjectType, SessionId,
};

use super::branches::BranchRow;
use super::db::Db;
use super::events::NewRow;
use crate::store::rules::{check_active, check_guards, missing_artifact};
use crate::store::{MAX_MERGED_EVENTS, ProjectCtx, Result, StoreError};

impl Db<'_, '_> {
    pub(super) async fn merge_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        target: &BranchId,
        request: &MergeBranchRequest,
    ) -> Result<BranchMerge> {
        self.branch(ctx, session, target).await?;
        self.merge_source(ctx, session, target, request).await?;
        let artifact = self.merge_payload(ctx, request).await?;
        self.hold_session(ctx, session).await?;
        let mut branch = self.branch_to_write(ctx, session, target).await?;
        let source = self.merge_source(ctx, session, target, request).await?;
        let base = self.common_sequence(branch.head, source.head).await?;
        let new = source.state.version - base;
        if new == 0 {
            return Err(StoreError::reference("source_branch_id", "the branch has nothing new to merge"));
        }
        if artifact.is_none() && new > MAX_MERGED_EVENTS {
            let problem = format!("{new} events would be copied, more than {MAX_MERGED_EVENTS}");
            return Err(StoreError::reference("source_branch_id", problem));
        }
        check_active(&branch.session_status)?;
        check_guards(&branch.state, request.expected_version, &request.expected_head_event_id)?;

        if request.strategy == MergeStrategy::Fork {
            branch.id = self.insert_fork(ctx, &branch, branch.head, None).await?;
        }
        let before = branch.state.version;
        match artifact {
            Some(artifact) => self.push_summary(ctx, &mut branch, &source, request, artifact).await?,
            None => self.push_copies(ctx, session, &mut branch, &source, base).await?,
        }
        Ok(BranchMerge {
            object: ObjectType::BranchMerge,
            strategy: request.strategy.clone(),
            target_branch: self.branch_record(session, branch.id).await?,
            source_branch_id: request.source_branch_id.clone(),
            appended: self.events_between(session, branch.head, before + 1, branch.state.version).await?,
            extra: Extra::new(),
        })
    }

    async fn merge_source(
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
        self.find_branch(ctx, session, id).await?.ok_or_else(|| {
            StoreError::reference("source_branch_id", format!("the session has no branch with id '{id}'"))
        })
    }

    /// The artifact that stands for the source's events, with the strategies that need one.
    async fn merge_payload(&self, ctx: &ProjectCtx, request: &MergeBranchRequest) -> Result<Option<i64>> {
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
        let found = self.live_artifact_typed(ctx, id).await?;
        let (artifact, found) = found.ok_or_else(|| missing_artifact("payload_ref", id))?;
        if found != needed {
            return Err(wrong(format!("the artifact is of type '{found}', not '{needed}'")));
        }
        Ok(Some(artifact))
    }

    async fn push_summary(
        &self,
        ctx: &ProjectCtx,
        branch: &mut BranchRow,
        source: &BranchRow,
        request: &MergeBranchRequest,
        artifact: i64,
    ) -> Result<()> {
        let new = NewRow {
            key: self.mint::<EventId>(ctx).1,
            event_type: EventType::Checkpoint.as_str(),
            payload_ref: request.payload_ref.as_ref().map(|id| id.as_str()),
            artifact: Some(artifact),
            merged_from: source.head.map(|head| (source.id, head.row)),
        };
        self.push_events(ctx, branch, &[new]).await
    }

    async fn push_copies(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &mut BranchRow,
        source: &BranchRow,
        base: u64,
    ) -> Result<()> {
        let rows = self.event_rows_between(session, source.head, base + 1, source.state.version).await?;
        let new: Vec<_> = rows
            .iter()
            .map(|row| NewRow {
                key: self.mint::<EventId>(ctx).1,
                event_type: row.event.event_type.as_str(),
                payload_ref: row.event.payload_ref.as_deref(),
                artifact: row.artifact,
                merged_from: Some((source.id, row.row)),
            })
            .collect();
        self.push_events(ctx, branch, &new).await
    }
}
