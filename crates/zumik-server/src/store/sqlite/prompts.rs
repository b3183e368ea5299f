//! The state that a generation reads, with its contents opened.

use rusqlite::params;
use zumik_types::{ArtifactId, BranchId, BundleId, SessionId, SnapshotId};

use super::Db;
use super::branches::BranchRow;
use super::events::EventRow;
use crate::domain::{Block, Prompt, Source};
use crate::store::durable::ids::PublicId;
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

impl Db<'_> {
    pub(super) fn read_prompt(&self, ctx: &ProjectCtx, state: &PromptState) -> Result<Prompt> {
        let unknown = |param: &'static str, id: &str| {
            StoreError::reference(param, format!("nothing with id '{id}' exists in this project"))
        };
        let mut session = state.session_id.clone();
        let mut branch = state.branch_id.clone();
        if let Some(id) = &session {
            self.find_session(ctx, id)?.ok_or_else(|| unknown(SESSION, id.as_str()))?;
        }
        if let Some(id) = &branch {
            let of = self.session_of_branch(ctx, id)?.ok_or_else(|| unknown(BRANCH, id.as_str()))?;
            if session.get_or_insert_with(|| of.clone()) != &of {
                return Err(StoreError::reference(BRANCH, "the branch is not of that session"));
            }
        }
        let bundle = match &state.bundle_id {
            None => None,
            Some(id) => Some(self.live_bundle(ctx, id)?.ok_or_else(|| unknown(BUNDLE, id.as_str()))?),
        };
        let pinned = match &state.snapshot_id {
            None => None,
            Some(id) => {
                let pinned = self.pinned(ctx, id)?.ok_or_else(|| unknown(SNAPSHOT, id.as_str()))?;
                self.check_pinned(state, &pinned)?;
                session = Some(pinned.session.clone());
                branch = Some(pinned.branch.clone());
                Some(pinned)
            }
        };
        let mut blocks = Vec::new();
        if let Some(bundle) = bundle {
            self.bundle_blocks(ctx, bundle, BUNDLE, &mut blocks)?;
        }
        if let Some(session_id) = &session {
            let retrieved = self.retrieve_session(ctx, session_id)?;
            check_active(&retrieved.status)?;
            let branch_id = branch.get_or_insert(retrieved.default_branch_id);
            match &pinned {
                Some(pinned) => self.manifest_blocks(ctx, &pinned.manifest, &mut blocks)?,
                None => {
                    let param = if state.branch_id.is_some() { BRANCH } else { SESSION };
                    self.session_blocks(ctx, &retrieved.base_bundle_ids, &mut blocks)?;
                    let row = self.branch(ctx, session_id, branch_id)?;
                    self.history_blocks(ctx, &row, param, &mut blocks)?;
                }
            }
        }
        Ok(Prompt { session_id: session, branch_id: branch, blocks })
    }

    fn check_pinned(&self, state: &PromptState, pinned: &Pinned) -> Result<()> {
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

    fn session_of_branch(&self, ctx: &ProjectCtx, id: &BranchId) -> Result<Option<SessionId>> {
        self.one(
            "SELECT s.public_id FROM branches b JOIN sessions s ON s.id = b.session
             WHERE b.public_id = ?1 AND s.project = ?2 AND s.status < 3",
            params![id.key(), self.project(ctx)?],
            |row| row.get(0).map(SessionId::from_key),
        )
    }

    fn pinned(&self, ctx: &ProjectCtx, id: &SnapshotId) -> Result<Option<Pinned>> {
        let found = self.one(
            "SELECT s.public_id, b.public_id, n.manifest FROM snapshots n
             JOIN branches b ON b.id = n.branch JOIN sessions s ON s.id = b.session
             WHERE n.public_id = ?1 AND s.project = ?2 AND s.status < 3 AND n.invalid = 0",
            params![id.key(), self.project(ctx)?],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
        )?;
        found
            .map(|(session, branch, manifest)| {
                Ok(Pinned {
                    session: SessionId::from_key(session),
                    branch: BranchId::from_key(branch),
                    manifest: serde_json::from_str(&manifest)?,
                })
            })
            .transpose()
    }

    fn session_blocks(&self, ctx: &ProjectCtx, bundles: &[BundleId], blocks: &mut Vec<Block>) -> Result<()> {
        for id in bundles {
            let bundle = self.live_bundle(ctx, id)?.ok_or_else(|| {
                StoreError::reference(SESSION, format!("its base bundle '{id}' has been deleted"))
            })?;
            self.bundle_blocks(ctx, bundle, SESSION, blocks)?;
        }
        Ok(())
    }

    fn bundle_blocks(
        &self,
        ctx: &ProjectCtx,
        bundle: i64,
        param: &'static str,
        blocks: &mut Vec<Block>,
    ) -> Result<()> {
        let items = self.all(
            "SELECT artifact, role FROM bundle_items WHERE bundle = ?1 ORDER BY position",
            [bundle],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (artifact, role) in items {
            blocks.push(self.block(ctx, artifact, Source::Bundle(role), param)?);
        }
        Ok(())
    }

    fn history_blocks(
        &self,
        ctx: &ProjectCtx,
        branch: &BranchRow,
        param: &'static str,
        blocks: &mut Vec<Block>,
    ) -> Result<()> {
        for event in self.event_rows_between(branch.head, 1, branch.state.version)? {
            blocks.extend(self.event_block(ctx, event, param)?);
        }
        Ok(())
    }

    fn manifest_blocks(&self, ctx: &ProjectCtx, manifest: &[String], blocks: &mut Vec<Block>) -> Result<()> {
        for entry in manifest {
            if let Some(id) = named_artifact(entry) {
                let artifact = self.live_artifact(ctx, &id)?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                blocks.push(self.block(ctx, artifact, Source::Manifest, SNAPSHOT)?);
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, id.key())?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                blocks.extend(self.event_block(ctx, self.event_row(event)?, SNAPSHOT)?);
            }
        }
        Ok(())
    }

    fn event_block(&self, ctx: &ProjectCtx, event: EventRow, param: &'static str) -> Result<Option<Block>> {
        event
            .artifact
            .map(|artifact| self.block(ctx, artifact, Source::Event(event.event_type.into()), param))
            .transpose()
    }

    fn block(&self, ctx: &ProjectCtx, artifact: i64, source: Source, param: &'static str) -> Result<Block> {
        let (key, artifact_type, content) = self
            .one(
                "SELECT public_id, artifact_type,
                   iif(state = 0 AND (expires_at IS NULL OR expires_at > ?2), content, NULL)
                 FROM artifacts WHERE id = ?1",
                params![artifact, seconds(ctx.now)],
                |row| {
                    let content: Option<i64> = row.get(2)?;
                    Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?, content))
                },
            )?
            .ok_or_else(|| StoreError::internal("an artifact is missing"))?;
        let artifact_id = ArtifactId::from_key(key);
        let content = content.ok_or_else(|| deleted(param, artifact_id.as_str()))?;
        let text = self.open_content(content, &place("artifact", &key))?;
        let text = String::from_utf8(text).map_err(StoreError::internal)?;
        Ok(Block { source, artifact_id, artifact_type: artifact_type.into(), text, param })
    }
}

fn deleted(param: &'static str, id: &str) -> StoreError {
    StoreError::reference(param, format!("the content of '{id}', which the prompt needs, has been deleted"))
}
