//! Snapshots.

use std::collections::HashMap;

use tokio_postgres::Row;
use zumik_types::{
    BranchId, CreateSnapshotRequest, EventId, Extra, ObjectType, SessionId, Snapshot, SnapshotId,
};

use super::db::{Db, count, id, key, stored, text};
use super::prompts::keys;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{self, check_active, missing_artifact, named_artifact, named_event, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

const COLUMNS: &str =
    "public_id, branch_version, prompt_compiler_revision, manifest, created_at FROM snapshots";

impl Db<'_, '_> {
    pub(super) async fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: &CreateSnapshotRequest,
    ) -> Result<Snapshot> {
        self.branch(ctx, session, branch).await?;
        let manifest = request.ordered_block_manifest.clone().unwrap_or_default();
        let artifacts = self.manifest_artifacts(ctx, &manifest).await?;
        let held = self.hold_session(ctx, session).await?;
        check_active(&held.status)?;
        let row = self.branch(ctx, session, branch).await?;
        let (id, public_id) = self.mint::<SnapshotId>(ctx);
        let snapshot = Snapshot {
            id,
            object: ObjectType::Snapshot,
            session_id: session.clone(),
            branch_id: branch.clone(),
            branch_version: row.state.version,
            prompt_compiler_revision: request
                .prompt_compiler_revision
                .clone()
                .unwrap_or_else(|| rules::DEFAULT_COMPILER.to_owned()),
            ordered_block_manifest: manifest,
            created_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        self.run(
            "WITH snapshot AS (
               INSERT INTO snapshots (public_id, branch, branch_version, prompt_compiler_revision, manifest,
                 created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id)
             INSERT INTO snapshot_artifacts (artifact, snapshot)
             SELECT DISTINCT artifact, snapshot.id FROM snapshot, unnest($7::bigint[]) AS artifact",
            &[
                &&public_id[..],
                &row.id,
                &stored(snapshot.branch_version),
                &snapshot.prompt_compiler_revision.as_bytes(),
                &serde_json::to_string(&snapshot.ordered_block_manifest)?,
                &seconds(snapshot.created_at),
                &artifacts,
            ],
        )
        .await?;
        Ok(snapshot)
    }

    /// The artifacts that a manifest names, directly or through an event; the latter need not be live. No purge takes one
    /// while this transaction lasts.
    async fn manifest_artifacts(&self, ctx: &ProjectCtx, manifest: &[String]) -> Result<Vec<i64>> {
        let events = self.manifest_events(ctx, manifest).await?;
        let named: Vec<_> = manifest.iter().filter_map(|entry| named_artifact(entry)).collect();
        let of_events: Vec<_> = events.values().flatten().copied().collect();
        let live = match (&named[..], &of_events[..]) {
            ([], []) => HashMap::new(),
            (named, of_events) => self.hold_artifacts(ctx, named, of_events).await?,
        };
        let mut artifacts = Vec::new();
        for (at, entry) in manifest.iter().enumerate() {
            let param = || format!("ordered_block_manifest[{at}]");
            if let Some(id) = named_artifact(entry) {
                artifacts.push(*live.get(&id).ok_or_else(|| missing_artifact(param(), &id))?);
            } else if let Some(id) = named_event(entry) {
                artifacts.extend(events.get(&id).ok_or_else(|| {
                    StoreError::reference(param(), format!("no event with id '{id}' exists in this project"))
                })?);
            }
        }
        Ok(artifacts)
    }

    /// The events of the project that a manifest names, each with the row of its artifact.
    async fn manifest_events(
        &self,
        ctx: &ProjectCtx,
        manifest: &[String],
    ) -> Result<HashMap<EventId, Option<i64>>> {
        let keys = keys(manifest, named_event);
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let events = self
            .all(
                "SELECT e.public_id, e.artifact FROM events e
                 JOIN branches b ON b.id = e.branch JOIN sessions s ON s.id = b.session
                 WHERE e.public_id = ANY($1) AND s.project = $2 AND s.status < 3",
                &[&keys, &self.project(ctx).await?],
                |row| Ok((id(row, 0)?, row.try_get(1)?)),
            )
            .await?;
        Ok(events.into_iter().collect())
    }

    pub(super) async fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        let row = self.branch(ctx, session, branch).await?;
        let sql = format!("SELECT {COLUMNS} WHERE branch = $1 AND NOT invalid ORDER BY id");
        self.all(&sql, &[&row.id], |row| read(session, branch, row)).await
    }

    pub(super) async fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        snapshot: &SnapshotId,
    ) -> Result<Snapshot> {
        let row = self.branch(ctx, session, branch).await?;
        let sql = format!("SELECT {COLUMNS} WHERE public_id = $1 AND branch = $2 AND NOT invalid");
        self.one(&sql, &[&key(snapshot), &row.id], |row| read(session, branch, row))
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Snapshot, snapshot))
    }
}

fn read(session: &SessionId, branch: &BranchId, row: &Row) -> Result<Snapshot> {
    Ok(Snapshot {
        id: id(row, 0)?,
        object: ObjectType::Snapshot,
        session_id: session.clone(),
        branch_id: branch.clone(),
        branch_version: count(row, 1)?,
        prompt_compiler_revision: text(row, 2)?,
        ordered_block_manifest: serde_json::from_str(row.try_get(3)?)?,
        created_at: time(row.try_get(4)?),
        extra: Extra::new(),
    })
}
