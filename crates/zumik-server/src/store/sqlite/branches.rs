//! Branches: pointers into the tree of events.

use rusqlite::{Row, params};
use zumik_types::{
    BranchId, BranchState, EventId, Extra, ForkBranchRequest, ObjectType, SessionBranch, SessionId,
    SessionStatus,
};

use super::Db;
use super::history::Node;
use crate::store::durable::ids::PublicId;
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

impl Db<'_> {
    pub(super) fn fork_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: &ForkBranchRequest,
    ) -> Result<SessionBranch> {
        let row = self.session(ctx, session)?;
        let missing = |param: &str, problem: String| StoreError::reference(param, problem);
        let source = self.find_branch(ctx, session, &request.fork_from_branch_id)?.ok_or_else(|| {
            let problem = format!("the session has no branch with id '{}'", request.fork_from_branch_id);
            missing("fork_from_branch_id", problem)
        })?;
        let point = match &request.fork_from_event_id {
            None => source.head,
            Some(event) => Some(self.reachable(&source, event)?.ok_or_else(|| {
                missing("fork_from_event_id", format!("no event with id '{event}' is on that branch"))
            })?),
        };
        check_active(&row.status)?;
        let branch = self.insert_fork(ctx, &source, point, request.label.as_deref())?;
        self.branch_record(session, branch)
    }

    /// Inserts a branch whose head is `point`, an event of `source`.
    pub(super) fn insert_fork(
        &self,
        ctx: &ProjectCtx,
        source: &BranchRow,
        point: Option<Node>,
        label: Option<&str>,
    ) -> Result<i64> {
        let (_, key) = self.mint::<BranchId>(ctx);
        let row = point.map(|node| node.row);
        self.insert(
            "INSERT INTO branches (public_id, session, parent, forked_from, head, version, label)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
            params![key, source.session, source.id, row, point.map_or(0, |node| node.sequence), label],
        )
    }

    pub(super) fn list_branches(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Vec<SessionBranch>> {
        let row = self.session(ctx, session)?;
        let sql = format!("SELECT {COLUMNS} WHERE b.session = ?1 ORDER BY b.id");
        self.all(&sql, [row.id], |row| read(session, row))
    }

    pub(super) fn retrieve_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        id: &BranchId,
    ) -> Result<SessionBranch> {
        let row = self.branch(ctx, session, id)?;
        self.branch_record(session, row.id)
    }

    /// The branch as the API shows it.
    pub(super) fn branch_record(&self, session: &SessionId, row: i64) -> Result<SessionBranch> {
        let sql = format!("SELECT {COLUMNS} WHERE b.id = ?1");
        self.one(&sql, [row], |row| read(session, row))?
            .ok_or_else(|| StoreError::internal("a branch is missing"))
    }

    /// The branch that a path names.
    pub(super) fn branch(&self, ctx: &ProjectCtx, session: &SessionId, id: &BranchId) -> Result<BranchRow> {
        match self.find_branch(ctx, session, id)? {
            Some(branch) => Ok(branch),
            None => {
                self.session(ctx, session)?;
                Err(StoreError::not_found(Kind::Branch, id))
            }
        }
    }

    /// A branch of a session of the project.
    pub(super) fn find_branch(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        id: &BranchId,
    ) -> Result<Option<BranchRow>> {
        self.one(
            "SELECT b.id, s.id, s.status, b.version, b.head, h.public_id
             FROM sessions s JOIN branches b ON b.session = s.id LEFT JOIN events h ON h.id = b.head
             WHERE b.public_id = ?1 AND s.public_id = ?2 AND s.project = ?3 AND s.status < 3",
            params![id.key(), session.key(), self.project(ctx)?],
            |row| {
                let version = row.get(3)?;
                let head = row.get::<_, Option<i64>>(4)?;
                Ok(BranchRow {
                    id: row.get(0)?,
                    session: row.get(1)?,
                    session_status: status(row.get(2)?),
                    head: head.map(|row| Node { row, sequence: version }),
                    state: BranchState {
                        id: id.clone(),
                        version,
                        head_event_id: row.get::<_, Option<_>>(5)?.map(EventId::from_key),
                        extra: Extra::new(),
                    },
                })
            },
        )
    }

    /// The event of this id, when it is on the branch or inherited by it.
    pub(super) fn reachable(&self, branch: &BranchRow, id: &EventId) -> Result<Option<Node>> {
        let node = self.one("SELECT id, sequence FROM events WHERE public_id = ?1", [id.key()], |row| {
            Ok(Node { row: row.get(0)?, sequence: row.get(1)? })
        })?;
        match node {
            Some(node) if self.reaches(branch.head, node)? => Ok(Some(node)),
            _ => Ok(None),
        }
    }
}

fn read(session: &SessionId, row: &Row<'_>) -> rusqlite::Result<SessionBranch> {
    Ok(SessionBranch {
        id: BranchId::from_key(row.get(0)?),
        object: ObjectType::SessionBranch,
        session_id: session.clone(),
        parent_branch_id: row.get::<_, Option<_>>(1)?.map(BranchId::from_key),
        forked_from_event_id: row.get::<_, Option<_>>(2)?.map(EventId::from_key),
        head_event_id: row.get::<_, Option<_>>(3)?.map(EventId::from_key),
        version: row.get(4)?,
        label: row.get(5)?,
        extra: Extra::new(),
    })
}
