//! The state that a generation reads, with its contents opened.

use rusqlite::params;
use zumik_types::{BranchId, BundleId, SessionId, SnapshotId};

use super::Db;
use super::branches::BranchRow;
use crate::domain::{Prompt, Source};
use crate::store::durable::ids::PublicId;
use crate::store::durable::prompts::{Content, Measured, Outline};
use crate::store::durable::times::seconds;
use crate::store::prompt_rules::deleted;
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

/// An event as a prompt needs it.
struct Turn {
    parent: Option<i64>,
    event_type: String,
    artifact: Option<i64>,
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
        let mut outline = Outline::default();
        if let Some(bundle) = bundle {
            self.outline_bundle(ctx, bundle, BUNDLE, &mut outline)?;
        }
        if let Some(session_id) = &session {
            let retrieved = self.retrieve_session(ctx, session_id)?;
            check_active(&retrieved.status)?;
            let branch_id = branch.get_or_insert(retrieved.default_branch_id);
            match &pinned {
                Some(pinned) => self.outline_manifest(ctx, &pinned.manifest, &mut outline)?,
                None => {
                    let param = if state.branch_id.is_some() { BRANCH } else { SESSION };
                    self.outline_session(ctx, &retrieved.base_bundle_ids, &mut outline)?;
                    let row = self.branch(ctx, session_id, branch_id)?;
                    self.outline_history(ctx, &row, param, &mut outline)?;
                }
            }
        }
        let blocks = outline.open(|content, place| self.open_content(content, place))?;
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

    fn outline_session(&self, ctx: &ProjectCtx, bundles: &[BundleId], outline: &mut Outline) -> Result<()> {
        for id in bundles {
            let bundle = self.live_bundle(ctx, id)?.ok_or_else(|| {
                StoreError::reference(SESSION, format!("its base bundle '{id}' has been deleted"))
            })?;
            self.outline_bundle(ctx, bundle, SESSION, outline)?;
        }
        Ok(())
    }

    fn outline_bundle(
        &self,
        ctx: &ProjectCtx,
        bundle: i64,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        let sql = "SELECT artifact, role FROM bundle_items WHERE bundle = ?1 ORDER BY position";
        self.for_each(sql, [bundle], |row| {
            self.outline(ctx, row.get(0)?, Source::Bundle(row.get(1)?), param, outline)
        })
    }

    /// The newest event first, so that a history that is too long is not walked to its begin.
    fn outline_history(
        &self,
        ctx: &ProjectCtx,
        branch: &BranchRow,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        let first = outline.len();
        let mut next = branch.head.map(|head| head.row);
        while let Some(event) = next {
            let turn = self.turn(event)?;
            next = turn.parent;
            self.outline_turn(ctx, turn, param, outline)?;
        }
        outline.reverse_from(first);
        Ok(())
    }

    fn outline_manifest(&self, ctx: &ProjectCtx, manifest: &[String], outline: &mut Outline) -> Result<()> {
        for entry in manifest {
            if let Some(id) = named_artifact(entry) {
                let artifact = self.live_artifact(ctx, &id)?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                self.outline(ctx, artifact, Source::Manifest, SNAPSHOT, outline)?;
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, id.key())?.ok_or_else(|| deleted(SNAPSHOT, entry))?;
                self.outline_turn(ctx, self.turn(event)?, SNAPSHOT, outline)?;
            }
        }
        Ok(())
    }

    fn turn(&self, event: i64) -> Result<Turn> {
        self.one("SELECT parent, event_type, artifact FROM events WHERE id = ?1", [event], |row| {
            Ok(Turn { parent: row.get(0)?, event_type: row.get(1)?, artifact: row.get(2)? })
        })?
        .ok_or_else(|| StoreError::internal("an event is missing"))
    }

    fn outline_turn(
        &self,
        ctx: &ProjectCtx,
        turn: Turn,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        match turn.artifact {
            Some(artifact) => {
                self.outline(ctx, artifact, Source::Event(turn.event_type.into()), param, outline)
            }
            None => Ok(()),
        }
    }

    fn outline(
        &self,
        ctx: &ProjectCtx,
        artifact: i64,
        source: Source,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        outline.push(artifact, source, param, || self.measured(ctx, artifact))
    }

    fn measured(&self, ctx: &ProjectCtx, artifact: i64) -> Result<Measured> {
        let (key, artifact_type, content) = self
            .one(
                "SELECT public_id, artifact_type,
                   iif(state = 0 AND (expires_at IS NULL OR expires_at > ?2), content, NULL)
                 FROM artifacts WHERE id = ?1",
                params![artifact, seconds(ctx.now)],
                |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?)),
            )?
            .ok_or_else(|| StoreError::internal("an artifact is missing"))?;
        let content = match content {
            Some(row) => Some(Content { row, bytes: self.content_length(row)? }),
            None => None,
        };
        Ok(Measured { key, artifact_type: artifact_type.into(), content })
    }
}
