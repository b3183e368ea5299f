//! Sessions.

use std::collections::HashMap;

use zumik_types::{
    BranchId, CreateSessionRequest, Extra, ObjectType, Session, SessionId, SessionStatus,
    UpdateSessionRequest,
};

use super::db::{Db, id, key};
use crate::store::durable::sessions::{DELETED, status};
use crate::store::durable::times::{seconds, time};
use crate::store::rules::whole_seconds;
use crate::store::{Kind, ProjectCtx, Result, StoreError};

/// A session as its children need it.
pub(super) struct SessionRow {
    pub(super) id: i64,
    pub(super) status: SessionStatus,
}

/// How long a session that was read stays as it is.
#[derive(Clone, Copy)]
enum Hold {
    /// It may change at once.
    No,
    /// Until the transaction ends.
    Shared,
    /// Until the transaction ends, which is to change it.
    Alone,
}

impl Db<'_, '_> {
    pub(super) async fn create_session(
        &self,
        ctx: &ProjectCtx,
        request: &CreateSessionRequest,
    ) -> Result<Session> {
        let bundles = request.base_bundle_ids.as_deref().unwrap_or_default();
        let held = match bundles {
            [] => HashMap::new(),
            bundles => self.hold_bundles(ctx, bundles).await?,
        };
        let mut rows = Vec::with_capacity(bundles.len());
        for (at, id) in bundles.iter().enumerate() {
            rows.push(*held.get(id).ok_or_else(|| {
                let problem = format!("no bundle with id '{id}' exists in this project");
                StoreError::reference(format!("base_bundle_ids[{at}]"), problem)
            })?);
        }
        let (id, public_id) = self.mint::<SessionId>(ctx);
        let (default_branch_id, root) = self.mint::<BranchId>(ctx);
        let created_at = whole_seconds(ctx.now);
        self.run(
            "WITH session AS (
               INSERT INTO sessions (public_id, project, root, created_at) VALUES ($1, $2, $3, $4)
               RETURNING id),
             branch AS (INSERT INTO branches (public_id, session) SELECT $3, id FROM session)
             INSERT INTO session_bundles (session, position, bundle)
             SELECT session.id, base.position, base.bundle
             FROM session, unnest($5::bigint[]) WITH ORDINALITY AS base (bundle, position)",
            &[&&public_id[..], &self.project(ctx).await?, &&root[..], &seconds(created_at), &rows],
        )
        .await?;
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

    pub(super) async fn retrieve_session(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<Session> {
        let missing = || StoreError::not_found(Kind::Session, session);
        let (row, number, default_branch_id, created_at) = self
            .one(
                "SELECT id, status, root, created_at FROM sessions
                 WHERE public_id = $1 AND project = $2 AND status < 3",
                &[&key(session), &self.project(ctx).await?],
                |row| {
                    Ok((row.try_get::<_, i64>(0)?, row.try_get(1)?, id::<BranchId>(row, 2)?, row.try_get(3)?))
                },
            )
            .await?
            .ok_or_else(missing)?;
        let base_bundle_ids = self
            .all(
                "SELECT b.public_id FROM session_bundles s JOIN bundles b ON b.id = s.bundle
                 WHERE s.session = $1 ORDER BY s.position",
                &[&row],
                |row| id(row, 0),
            )
            .await?;
        Ok(Session {
            id: session.clone(),
            object: ObjectType::Session,
            project_id: ctx.project.clone(),
            default_branch_id,
            status: status(number),
            base_bundle_ids,
            created_at: time(created_at),
            extra: Extra::new(),
        })
    }

    pub(super) async fn update_session(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        request: &UpdateSessionRequest,
    ) -> Result<Session> {
        let row = self.session_to_change(ctx, session).await?;
        if row.status == SessionStatus::Tombstoned {
            return Err(StoreError::SessionNotActive { status: row.status });
        }
        let archived = request.status == SessionStatus::Archived;
        self.set_status(&[row.id], i64::from(archived)).await?;
        self.retrieve_session(ctx, session).await
    }

    pub(super) async fn delete_session(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<()> {
        let row = self.session_to_change(ctx, session).await?;
        self.set_status(&[row.id], DELETED).await
    }

    /// Writes the status of sessions that this transaction holds, and its copy in their branches. Appends in flight
    /// come before it; those that come later find the new status.
    pub(super) async fn set_status(&self, sessions: &[i64], status: i64) -> Result<()> {
        self.run("UPDATE sessions SET status = $2 WHERE id = ANY($1)", &[&sessions, &status]).await?;
        self.run("UPDATE branches SET status = $2 WHERE session = ANY($1)", &[&sessions, &status]).await?;
        Ok(())
    }

    /// The row of a session.
    pub(super) async fn session(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<SessionRow> {
        self.find_session(ctx, session, Hold::No).await
    }

    /// The row of a session; until the transaction ends its status stays.
    pub(super) async fn hold_session(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<SessionRow> {
        self.find_session(ctx, session, Hold::Shared).await
    }

    async fn session_to_change(&self, ctx: &ProjectCtx, session: &SessionId) -> Result<SessionRow> {
        self.find_session(ctx, session, Hold::Alone).await
    }

    async fn find_session(&self, ctx: &ProjectCtx, session: &SessionId, hold: Hold) -> Result<SessionRow> {
        let sql = match hold {
            Hold::No => {
                "SELECT id, status FROM sessions WHERE public_id = $1 AND project = $2 AND status < 3"
            }
            Hold::Shared => {
                "SELECT id, status FROM sessions WHERE public_id = $1 AND project = $2 AND status < 3 FOR SHARE"
            }
            Hold::Alone => {
                "SELECT id, status FROM sessions WHERE public_id = $1 AND project = $2 AND status < 3
                 FOR NO KEY UPDATE"
            }
        };
        self.one(sql, &[&key(session), &self.project(ctx).await?], |row| {
            Ok(SessionRow { id: row.try_get(0)?, status: status(row.try_get(1)?) })
        })
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Session, session))
    }
}
