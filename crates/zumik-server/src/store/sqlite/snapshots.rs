//! Snapshots.

use rusqlite::{Row, params};
use zumik_types::{BranchId, CreateSnapshotRequest, Extra, ObjectType, SessionId, Snapshot, SnapshotId};

use super::Db;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{self, check_active, missing_artifact, named_artifact, named_event, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

const COLUMNS: &str =
    "public_id, branch_version, prompt_compiler_revision, manifest, created_at FROM snapshots";

impl Db<'_> {
    pub(super) fn create_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: &CreateSnapshotRequest,
    ) -> Result<Snapshot> {
        let row = self.branch(ctx, session, branch)?;
        let manifest = request.ordered_block_manifest.clone().unwrap_or_default();
        let mut artifacts = Vec::new();
        for (at, entry) in manifest.iter().enumerate() {
            let param = || format!("ordered_block_manifest[{at}]");
            if let Some(id) = named_artifact(entry) {
                let artifact = self.live_artifact(ctx, &id)?.ok_or_else(|| missing_artifact(param(), &id))?;
                artifacts.push(artifact);
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, id.key())?.ok_or_else(|| {
                    StoreError::reference(param(), format!("no event with id '{id}' exists in this project"))
                })?;
                artifacts.extend(self.event_row(event)?.artifact);
            }
        }
        check_active(&row.session_status)?;
        let (id, key) = self.mint::<SnapshotId>(ctx);
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
        let stored = self.insert(
            "INSERT INTO snapshots (public_id, branch, branch_version, prompt_compiler_revision, manifest,
               created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                key,
                row.id,
                snapshot.branch_version,
                snapshot.prompt_compiler_revision,
                serde_json::to_string(&snapshot.ordered_block_manifest)?,
                seconds(snapshot.created_at),
            ],
        )?;
        for artifact in artifacts {
            self.run(
                "INSERT OR IGNORE INTO snapshot_artifacts (artifact, snapshot) VALUES (?1, ?2)",
                params![artifact, stored],
            )?;
        }
        Ok(snapshot)
    }

    pub(super) fn list_snapshots(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
    ) -> Result<Vec<Snapshot>> {
        let row = self.branch(ctx, session, branch)?;
        let sql = format!("SELECT {COLUMNS} WHERE branch = ?1 AND invalid = 0 ORDER BY id");
        let found = self.all(&sql, [row.id], read)?;
        found.into_iter().map(|found| snapshot(session, branch, found)).collect()
    }

    pub(super) fn retrieve_snapshot(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        id: &SnapshotId,
    ) -> Result<Snapshot> {
        let row = self.branch(ctx, session, branch)?;
        let sql = format!("SELECT {COLUMNS} WHERE public_id = ?1 AND branch = ?2 AND invalid = 0");
        let found = self
            .one(&sql, params![id.key(), row.id], read)?
            .ok_or_else(|| StoreError::not_found(Kind::Snapshot, id))?;
        snapshot(session, branch, found)
    }

    /// The row of an event of the project.
    pub(super) fn project_event(&self, ctx: &ProjectCtx, key: Option<[u8; 16]>) -> Result<Option<i64>> {
        self.one(
            "SELECT e.id FROM events e JOIN branches b ON b.id = e.branch JOIN sessions s ON s.id = b.session
             WHERE e.public_id = ?1 AND s.project = ?2 AND s.status < 3",
            params![key, self.project(ctx)?],
            |row| row.get(0),
        )
    }
}

struct Found {
    key: [u8; 16],
    branch_version: u64,
    prompt_compiler_revision: String,
    manifest: String,
    created_at: i64,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        key: row.get(0)?,
        branch_version: row.get(1)?,
        prompt_compiler_revision: row.get(2)?,
        manifest: row.get(3)?,
        created_at: row.get(4)?,
    })
}

fn snapshot(session: &SessionId, branch: &BranchId, found: Found) -> Result<Snapshot> {
    Ok(Snapshot {
        id: SnapshotId::from_key(found.key),
        object: ObjectType::Snapshot,
        session_id: session.clone(),
        branch_id: branch.clone(),
        branch_version: found.branch_version,
        prompt_compiler_revision: found.prompt_compiler_revision,
        ordered_block_manifest: serde_json::from_str(&found.manifest)?,
        created_at: time(found.created_at),
        extra: Extra::new(),
    })
}
