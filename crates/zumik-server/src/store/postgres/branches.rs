//! Branches: pointers into the tree of events.

use tokio_postgres::Row;
use zumik_types::{
    BranchId, BranchState, EventId, Extra, ForkBranchRequest, ObjectType, SessionBranch, SessionId,
    SessionStatus,
};

use super::db::{Db, count, id, key, optional_id, optional_text, stored};
use super::history::Node;
use crate::store::durable::sessions::status;
use crate::store::rules::check_active;
use crate::store::{Kind, ProjectCtx, Result, StoreError};

/// A branch as appends, forks and merges need it.
pub(super) struct BranchRow {
    pub(super) id: i64,
    pub(super) session: i64,
    pub(super) session_status: SessionStatus,
    pub(super) head: Option<Node>,
    /// What the API shows of it: id, version and head.
    pub(super) state: BranchState,
}

const COLUMNS: &str = "b.public_id, p.public_id, f.public_id, h.public_id, b.version, b.label
    FROM branches b
    LEFT JOIN branches p ON p.id = b.parent
    LEFT JOIN events f ON f.id = b.forked_from
    LEFT JOIN events h ON h.id = b.head";

impl Db<'_, '_> {
    pub(super) async fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: &ForkBranchRequest,
    ) -> Result<SessionBranch> {
        let row = self.hold_session(ctx, session).await?;
        let from = &request.fork_from_branch_id;
        let source = self.find_branch(ctx, session, from).await?.ok_or_else(|| {
            let problem = format!("the session has no branch with id '{from}'");
            StoreError::reference("fork_from_branch_id", problem)
        })?;
        let point = match &request.fork_from_event_id {
            None => source.head,
            Some(event) => Some(self.reachable(&source, event).await?.ok_or_else(|| {
                let problem = format!("no event with id '{event}' is on that branch");
                StoreError::reference("fork_from_event_id", problem)
            })?),
        };
        check_active(&row.status)?;
        let branch = self.insert_fork(ctx, &source, point, request.label.as_deref()).await?;
        self.branch_record(session, branch).await
    }

    /// Inserts a branch whose head is `point`, an event of `source`. The session must be held.
    pub(super) async fn insert_fork(
        &self,
        ctx: &ProjectCtx,
        source: &BranchRow,
        point: Option<Node>,
        label: Option<&str>,
    ) -> Result<i64> {
        let (_, public_id) = self.mint::<BranchId>(ctx);
        let row = point.map(|node| node.row);
        self.value(
            "INSERT INTO branches (public_id, session, parent, forked_from, head, version, label)
             VALUES ($1, $2, $3, $4, $4, $5, $6) RETURNING id",
            &[
                &&public_id[..],
                &source.session,
                &source.id,
                &row,
                &stored(point.map_or(0, |node| node.sequence)),
                &label.map(str::as_bytes),
            ],
        )
        .await
    }

    pub(super) async fn list_branches(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
    ) -> Result<Vec<SessionBranch>> {
        let row = self.session(ctx, session).await?;
        let sql = format!("SELECT {COLUMNS} WHERE b.session = $1 ORDER BY b.id");
        self.all(&sql, &[&row.id], |row| read(session, row)).await
    }

    pub(super) async fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<SessionBranch> {
        let row = self.branch(ctx, session, branch).await?;
        self.branch_record(session, row.id).await
    }

    /// The branch as the API shows it.
    pub(super) async fn branch_record(&self, session: &SessionId, row: i64) -> Result<SessionBranch> {
        let sql = format!("SELECT {COLUMNS} WHERE b.id = $1");
        self.one(&sql, &[&row], |row| read(session, row))
            .await?
            .ok_or_else(|| StoreError::internal("a branch is missing"))
    }

    /// The branch that a path names.
    pub(super) async fn branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<BranchRow> {
        match self.find_branch(ctx, session, branch).await? {
            Some(row) => Ok(row),
            None => {
                self.session(ctx, session).await?;
                Err(StoreError::not_found(Kind::Branch, branch))
            }
        }
    }

    /// The branch that a path names, to be written: until the transaction ends nobody else writes to it.
    pub(super) async fn branch_to_write(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<BranchRow> {
        self.run("SELECT 1 FROM branches WHERE public_id = $1 FOR UPDATE", &[&key(branch)]).await?;
        // In a statement of its own, which sees what was committed while the lock was waited for.
        self.branch(ctx, session, branch).await
    }

    /// A branch of a session of the project.
    pub(super) async fn find_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Option<BranchRow>> {
        self.one(
            "SELECT b.id, s.id, s.status, b.version, b.head, h.public_id
             FROM sessions s JOIN branches b ON b.session = s.id LEFT JOIN events h ON h.id = b.head
             WHERE b.public_id = $1 AND s.public_id = $2 AND s.project = $3 AND s.status < 3",
            &[&key(branch), &key(session), &self.project(ctx).await?],
            |row| {
                let version = count(row, 3)?;
                let head: Option<i64> = row.try_get(4)?;
                Ok(BranchRow {
                    id: row.try_get(0)?,
                    session: row.try_get(1)?,
                    session_status: status(row.try_get(2)?),
                    head: head.map(|row| Node { row, sequence: version }),
                    state: BranchState {
                        id: branch.clone(),
                        version,
                        head_event_id: optional_id(row, 5)?,
                        extra: Extra::new(),
                    },
                })
            },
        )
        .await
    }

    /// The event of this id, when it is on the branch or inherited by it.
    pub(super) async fn reachable(&self, branch: &BranchRow, event: &EventId) -> Result<Option<Node>> {
        let node = self
            .one("SELECT id, sequence FROM events WHERE public_id = $1", &[&key(event)], |row| {
                Ok(Node { row: row.try_get(0)?, sequence: count(row, 1)? })
            })
            .await?;
        match node {
            Some(node) if self.reaches(branch.head, node).await? => Ok(Some(node)),
            _ => Ok(None),
        }
    }
}

fn read(session: &SessionId, row: &Row) -> Result<SessionBranch> {
    Ok(SessionBranch {
        id: id(row, 0)?,
        object: ObjectType::SessionBranch,
        session_id: session.clone(),
        parent_branch_id: optional_id(row, 1)?,
        forked_from_event_id: optional_id(row, 2)?,
        head_event_id: optional_id(row, 3)?,
        version: count(row, 4)?,
        label: optional_text(row, 5)?,
        extra: Extra::new(),
    })
}
