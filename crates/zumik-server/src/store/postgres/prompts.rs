//! The state that a generation reads, with its contents opened.

use std::collections::HashMap;

use zumik_types::{ArtifactId, BranchId, BundleId, SessionId, SnapshotId};

use super::branches::BranchRow;
use super::db::{Db, bytes, id, key, text};
use crate::domain::{Block, Prompt, Source};
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::times::seconds;
use crate::store::rules::{check_active, named_artifact, named_event};
use crate::store::{ProjectCtx, PromptState, Result, StoreError};

const SESSION: &str = "session_id";
const BRANCH: &str = "branch_id";
const BUNDLE: &str = "bundle_id";
const SNAPSHOT: &str = "snapshot_id";

/// A snapshot that a prompt is made from.
struct Pinned {
    session: SessionId,
    branch: BranchId,
    manifest: Vec<String>,
}

/// A block whose content is not read yet.
struct Wanted {
    artifact: i64,
    source: Source,
    param: &'static str,
}

impl Db<'_, '_> {
    pub(super) async fn read_prompt(&self, ctx: &ProjectCtx, state: &PromptState) -> Result<Prompt> {
        let unknown = |param: &'static str, id: &str| {
            StoreError::reference(param, format!("nothing with id '{id}' exists in this project"))
        };
        let mut session = state.session_id.clone();
        let mut branch = state.branch_id.clone();
        if let Some(id) = &session {
            match self.session(ctx, id).await {
                Err(StoreError::NotFound { .. }) => return Err(unknown(SESSION, id.as_str())),
                found => found?,
            };
        }
        if let Some(id) = &branch {
            let of = self.session_of_branch(ctx, id).await?.ok_or_else(|| unknown(BRANCH, id.as_str()))?;
            if session.get_or_insert_with(|| of.clone()) != &of {
                return Err(StoreError::reference(BRANCH, "the branch is not of that session"));
            }
        }
        let bundle = match &state.bundle_id {
            None => None,
            Some(id) => Some(self.live_bundle(ctx, id).await?.ok_or_else(|| unknown(BUNDLE, id.as_str()))?),
        };
        let pinned = match &state.snapshot_id {
            None => None,
            Some(id) => {
                let pinned = self.pinned(ctx, id).await?.ok_or_else(|| unknown(SNAPSHOT, id.as_str()))?;
                check_pinned(state, &pinned)?;
                session = Some(pinned.session.clone());
                branch = Some(pinned.branch.clone());
                Some(pinned)
            }
        };
        let mut blocks = Vec::new();
        if let Some(bundle) = bundle {
            blocks.extend(self.blocks(ctx, self.bundle_items(bundle, BUNDLE).await?).await?);
        }
        if let Some(session_id) = &session {
            let retrieved = self.retrieve_session(ctx, session_id).await?;
            check_active(&retrieved.status)?;
            let branch_id = branch.get_or_insert(retrieved.default_branch_id);
            match &pinned {
                Some(pinned) => blocks.extend(self.manifest_blocks(ctx, &pinned.manifest).await?),
                None => {
                    let param = if state.branch_id.is_some() { BRANCH } else { SESSION };
                    blocks.extend(self.session_blocks(ctx, &retrieved.base_bundle_ids).await?);
                    let row = self.branch(ctx, session_id, branch_id).await?;
                    blocks.extend(self.history_blocks(ctx, session_id, &row, param).await?);
                }
            }
        }
        Ok(Prompt { session_id: session, branch_id: branch, blocks })
    }

    async fn session_of_branch(&self, ctx: &ProjectCtx, branch: &BranchId) -> Result<Option<SessionId>> {
        self.one(
            "SELECT s.public_id FROM branches b JOIN sessions s ON s.id = b.session
             WHERE b.public_id = $1 AND s.project = $2 AND s.status < 3",
            &[&key(branch), &self.project(ctx).await?],
            |row| id(row, 0),
        )
        .await
    }

    async fn pinned(&self, ctx: &ProjectCtx, snapshot: &SnapshotId) -> Result<Option<Pinned>> {
        self.one(
            "SELECT s.public_id, b.public_id, n.manifest FROM snapshots n
             JOIN branches b ON b.id = n.branch JOIN sessions s ON s.id = b.session
             WHERE n.public_id = $1 AND s.project = $2 AND s.status < 3 AND NOT n.invalid",
            &[&key(snapshot), &self.project(ctx).await?],
            |row| {
                Ok(Pinned {
                    session: id(row, 0)?,
                    branch: id(row, 1)?,
                    manifest: serde_json::from_str(row.try_get(2)?)?,
                })
            },
        )
        .await
    }

    async fn bundle_items(&self, bundle: i64, param: &'static str) -> Result<Vec<Wanted>> {
        self.all(
            "SELECT artifact, role FROM bundle_items WHERE bundle = $1 ORDER BY position",
            &[&bundle],
            |row| Ok(Wanted { artifact: row.try_get(0)?, source: Source::Bundle(text(row, 1)?), param }),
        )
        .await
    }

    async fn session_blocks(&self, ctx: &ProjectCtx, bundles: &[BundleId]) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for id in bundles {
            let bundle = self.live_bundle(ctx, id).await?.ok_or_else(|| {
                StoreError::reference(SESSION, format!("its base bundle '{id}' has been deleted"))
            })?;
            blocks.extend(self.blocks(ctx, self.bundle_items(bundle, SESSION).await?).await?);
        }
        Ok(blocks)
    }

    async fn history_blocks(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchRow,
        param: &'static str,
    ) -> Result<Vec<Block>> {
        let rows = self.event_rows_between(session, branch.head, 1, branch.state.version).await?;
        let wanted = rows.into_iter().filter_map(|row| {
            let source = Source::Event(row.event.event_type);
            row.artifact.map(|artifact| Wanted { artifact, source, param })
        });
        self.blocks(ctx, wanted.collect()).await
    }

    async fn manifest_blocks(&self, ctx: &ProjectCtx, manifest: &[String]) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for entry in manifest {
            let wanted = if let Some(id) = named_artifact(entry) {
                let artifact =
                    self.shown_artifact(ctx, &id).await?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                Some(Wanted { artifact, source: Source::Manifest, param: SNAPSHOT })
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, &id).await?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                let source = Source::Event(event.event_type.into());
                event.artifact.map(|artifact| Wanted { artifact, source, param: SNAPSHOT })
            } else {
                None
            };
            blocks.extend(self.blocks(ctx, wanted.into_iter().collect()).await?);
        }
        Ok(blocks)
    }

    /// The row of an artifact that can be referenced, for reading only.
    async fn shown_artifact(&self, ctx: &ProjectCtx, artifact: &ArtifactId) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM artifacts WHERE public_id = $1 AND project = $2 AND state = 0
               AND (expires_at IS NULL OR expires_at > $3)",
            &[&key(artifact), &self.project(ctx).await?, &seconds(ctx.now)],
            |row| Ok(row.try_get(0)?),
        )
        .await
    }

    /// Reads and opens the contents of blocks, all at once.
    async fn blocks(&self, ctx: &ProjectCtx, wanted: Vec<Wanted>) -> Result<Vec<Block>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<i64> = wanted.iter().map(|wanted| wanted.artifact).collect();
        let found = self
            .all(
                "SELECT id, public_id, artifact_type,
                   CASE WHEN state = 0 AND (expires_at IS NULL OR expires_at > $2) THEN content END
                 FROM artifacts WHERE id = ANY($1)",
                &[&rows, &seconds(ctx.now)],
                |row| {
                    let key: [u8; 16] = bytes(row.try_get(1)?)?;
                    let text_of = match row.try_get::<_, Option<&[u8]>>(3)? {
                        None => None,
                        Some(sealed) => Some(self.env.vault.open(&place("artifact", &key), sealed)?),
                    };
                    Ok((row.try_get::<_, i64>(0)?, (ArtifactId::from_key(key), text(row, 2)?, text_of)))
                },
            )
            .await?;
        let found: HashMap<_, _> = found.into_iter().collect();
        let open = |Wanted { artifact, source, param }| {
            let (artifact_id, artifact_type, content) =
                found.get(&artifact).ok_or_else(|| StoreError::internal("an artifact is missing"))?;
            let content = content.clone().ok_or_else(|| deleted(param, artifact_id.as_str()))?;
            let text = String::from_utf8(content).map_err(StoreError::internal)?;
            let (artifact_id, artifact_type) = (artifact_id.clone(), artifact_type.clone().into());
            Ok(Block { source, artifact_id, artifact_type, text, param })
        };
        wanted.into_iter().map(open).collect()
    }
}

fn check_pinned(state: &PromptState, pinned: &Pinned) -> Result<()> {
    let contradiction = |param| Err(StoreError::reference(param, "the snapshot is of another one"));
    if state.session_id.as_ref().is_some_and(|id| *id != pinned.session) {
        return contradiction(SESSION);
    }
    if state.branch_id.as_ref().is_some_and(|id| *id != pinned.branch) {
        return contradiction(BRANCH);
    }
    if state.bundle_id.is_some() {
        return Err(StoreError::reference(BUNDLE, "a snapshot cannot be combined with a bundle"));
    }
    Ok(())
}

fn deleted(param: &'static str, id: &str) -> StoreError {
    StoreError::reference(param, format!("the content of '{id}', which the prompt needs, has been deleted"))
}
