//! Sessions.

use rusqlite::params;
use zumik_types::{
    BranchId, BundleId, CreateSessionRequest, Extra, ObjectType, Session, SessionId, SessionStatus,
    UpdateSessionRequest,
};

use super::Db;
use crate::store::durable::ids::PublicId;
use crate::store::durable::sessions::{DELETED, status};
use crate::store::durable::times::{seconds, time};
use crate::store::rules::whole_seconds;
use crate::store::{Kind, ProjectCtx, Result, StoreError};

/// A session as its children need it.
pub(super) struct SessionRow {
    pub(super) id: i64,
    pub(super) status: SessionStatus,
}

impl Db<'_> {
    pub(super) fn create_session(&self, ctx: &ProjectCtx, request: &CreateSessionRequest) -> Result<Session> {
        let bundles = request.base_bundle_ids.as_deref().unwrap_or_default();
        let mut rows = Vec::with_capacity(bundles.len());
        for (at, id) in bundles.iter().enumerate() {
            rows.push(self.live_bundle(ctx, id)?.ok_or_else(|| {
                let problem = format!("no bundle with id '{id}' exists in this project");
                StoreError::reference(format!("base_bundle_ids[{at}]"), problem)
            })?);
        }
        let (id, key) = self.mint::<SessionId>(ctx);
        let (default_branch_id, root) = self.mint::<BranchId>(ctx);
        let created_at = whole_seconds(ctx.now);
        let session = self.insert(
            "INSERT INTO sessions (public_id, project, root, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![key, self.project(ctx)?, root, seconds(created_at)],
        )?;
        self.run("INSERT INTO branches (public_id, session) VALUES (?1, ?2)", params![root, session])?;
        for (at, bundle) in rows.into_iter().enumerate() {
            self.run(
                "INSERT INTO session_bundles (session, position, bundle) VALUES (?1, ?2, ?3)",
                params![session, at, bundle],
            )?;
        }
        Ok(Session {
            id,
            object: ObjectType::Session,
            project_id: ctx.project.clone(),
            default_branch_id,
            status: SessionStatus::Active,
            base_bundle_ids: bundles.to_vec(),
            created_at,
            extra: Extra::new(),
        })
    }

    pub(super) fn retrieve_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Session> {
        let row = self.session(ctx, id)?;
        let (root, created_at) = self
            .one("SELECT root, created_at FROM sessions WHERE id = ?1", [row.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .ok_or_else(|| StoreError::not_found(Kind::Session, id))?;
        let base_bundle_ids = self.all(
            "SELECT b.public_id FROM session_bundles s JOIN bundles b ON b.id = s.bundle
             WHERE s.session = ?1 ORDER BY s.position",
            [row.id],
            |row| row.get(0).map(BundleId::from_key),
        )?;
        Ok(Session {
            id: id.clone(),
            object: ObjectType::Session,
            project_id: ctx.project.clone(),
            default_branch_id: BranchId::from_key(root),
            status: row.status,
            base_bundle_ids,
            created_at: time(created_at),
            extra: Extra::new(),
        })
    }

    pub(super) fn update_session(
        &self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: &UpdateSessionRequest,
    ) -> Result<Session> {
        let row = self.session(ctx, id)?;
        if row.status == SessionStatus::Tombstoned {
            return Err(StoreError::SessionNotActive { status: row.status });
        }
        let archived = request.status == SessionStatus::Archived;
        self.run("UPDATE sessions SET status = ?2 WHERE id = ?1", params![row.id, archived])?;
        self.retrieve_session(ctx, id)
    }

    pub(super) fn delete_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<()> {
        let row = self.session(ctx, id)?;
        self.run("UPDATE sessions SET status = ?2 WHERE id = ?1", params![row.id, DELETED])?;
        Ok(())
    }

    /// The row of a session.
    pub(super) fn session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<SessionRow> {
        self.find_session(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::Session, id))
    }

    pub(super) fn find_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<Option<SessionRow>> {
        self.one(
            "SELECT id, status FROM sessions WHERE public_id = ?1 AND project = ?2 AND status < 3",
            params![id.key(), self.project(ctx)?],
            |row| Ok(SessionRow { id: row.get(0)?, status: status(row.get(1)?) }),
        )
    }
}
