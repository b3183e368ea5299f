//! The state that a generation reads, with its contents opened.

use std::collections::HashMap;

use tokio_postgres::Row;
use zumik_types::{BranchId, BundleId, SessionId, SnapshotId};

use super::branches::BranchRow;
use super::db::{Db, Param, bytes, id, key, stored, text};
use super::events::segments;
use super::history::broken;
use crate::domain::{Prompt, Source};
use crate::seal::{SEAL_BYTES, Vault};
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

/// A prompt with its contents as they are stored.
pub(super) struct SealedPrompt {
    session_id: Option<SessionId>,
    branch_id: Option<BranchId>,
    outline: Outline,
    contents: HashMap<i64, Vec<u8>>,
}

impl SealedPrompt {
    /// Opens the contents.
    pub(super) fn open(mut self, vault: &Vault) -> Result<Prompt> {
        let blocks = self.outline.open(|row, place| {
            let sealed = self.contents.remove(&row);
            Ok(vault.open(place, &sealed.ok_or_else(|| StoreError::internal("a content is missing"))?)?)
        })?;
        Ok(Prompt { session_id: self.session_id, branch_id: self.branch_id, blocks })
    }
}

/// What is read of an artifact `a` at a time. The length of a content is known without reading it.
macro_rules! measured {
    ($now:literal) => {
        concat!(
            "a.id, a.public_id, a.artifact_type, CASE WHEN a.state = 0 AND (a.expires_at IS NULL OR a.expires_at > ",
            $now,
            ") THEN octet_length(a.content) END"
        )
    };
}

/// The events of a history with the artifacts that they name, the newest first.
const HISTORY: &str = concat!(
    segments!(),
    " SELECT ",
    measured!("$4"),
    ", e.event_type, e.artifact FROM segment s
      JOIN events e ON e.branch = s.branch AND e.sequence BETWEEN $3 AND s.top
      LEFT JOIN artifacts a ON a.id = e.artifact
      ORDER BY e.sequence DESC"
);

impl Db<'_, '_> {
    /// Reads what a prompt is made of, once it is known that it is not too long.
    pub(super) async fn sealed_prompt(&self, ctx: &ProjectCtx, state: &PromptState) -> Result<SealedPrompt> {
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
        let mut outline = Outline::default();
        if let Some(bundle) = bundle {
            self.outline_bundle(ctx, bundle, BUNDLE, &mut outline).await?;
        }
        if let Some(session_id) = &session {
            let retrieved = self.retrieve_session(ctx, session_id).await?;
            check_active(&retrieved.status)?;
            let branch_id = branch.get_or_insert(retrieved.default_branch_id);
            match &pinned {
                Some(pinned) => self.outline_manifest(ctx, &pinned.manifest, &mut outline).await?,
                None => {
                    let param = if state.branch_id.is_some() { BRANCH } else { SESSION };
                    self.outline_session(ctx, &retrieved.base_bundle_ids, &mut outline).await?;
                    let row = self.branch(ctx, session_id, branch_id).await?;
                    self.outline_history(ctx, &row, param, &mut outline).await?;
                }
            }
        }
        let contents = self.contents(&outline).await?;
        Ok(SealedPrompt { session_id: session, branch_id: branch, outline, contents })
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

    async fn outline_session(
        &self,
        ctx: &ProjectCtx,
        bundles: &[BundleId],
        outline: &mut Outline,
    ) -> Result<()> {
        for id in bundles {
            let bundle = self.live_bundle(ctx, id).await?.ok_or_else(|| {
                StoreError::reference(SESSION, format!("its base bundle '{id}' has been deleted"))
            })?;
            self.outline_bundle(ctx, bundle, SESSION, outline).await?;
        }
        Ok(())
    }

    async fn outline_bundle(
        &self,
        ctx: &ProjectCtx,
        bundle: i64,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        let sql = concat!(
            "SELECT ",
            measured!("$2"),
            ", i.role FROM bundle_items i JOIN artifacts a ON a.id = i.artifact
              WHERE i.bundle = $1 ORDER BY i.position"
        );
        self.for_each(sql, &[&bundle, &seconds(ctx.now)], |row| {
            let source = Source::Bundle(text(row, 4)?);
            outline.push(row.try_get(0)?, source, param, || measured(row))
        })
        .await
    }

    /// The newest event first, so that of a history that is too long no more is kept than a prompt may have.
    async fn outline_history(
        &self,
        ctx: &ProjectCtx,
        branch: &BranchRow,
        param: &'static str,
        outline: &mut Outline,
    ) -> Result<()> {
        let Some(head) = branch.head else { return Ok(()) };
        let (first, mut events) = (outline.len(), 0);
        self.for_each(HISTORY, &[&head.row, &stored(head.sequence), &1_i64, &seconds(ctx.now)], |row| {
            events += 1;
            match row.try_get::<_, Option<i64>>(5)? {
                Some(artifact) => {
                    outline.push(artifact, Source::Event(text(row, 4)?.into()), param, || measured(row))
                }
                None => Ok(()),
            }
        })
        .await?;
        outline.reverse_from(first);
        // The net under the walk: no gaps.
        if events == head.sequence { Ok(()) } else { Err(broken()) }
    }

    async fn outline_manifest(
        &self,
        ctx: &ProjectCtx,
        manifest: &[String],
        outline: &mut Outline,
    ) -> Result<()> {
        let artifacts = self.named_artifacts(ctx, manifest).await?;
        let events = self.named_events(ctx, manifest).await?;
        for entry in manifest {
            let gone = || deleted(SNAPSHOT, entry);
            let (source, artifact) = if let Some(id) = named_artifact(entry) {
                let artifact = id.key().and_then(|key| artifacts.get(&key)).ok_or_else(gone)?;
                (Source::Manifest, Some(artifact))
            } else if let Some(id) = named_event(entry) {
                let event = id.key().and_then(|key| events.get(&key)).ok_or_else(gone)?;
                (Source::Event(event.event_type.clone().into()), event.artifact.as_ref())
            } else {
                continue;
            };
            if let Some((row, measured)) = artifact {
                outline.push(*row, source, SNAPSHOT, || Ok(measured.clone()))?;
            }
        }
        Ok(())
    }

    async fn named_artifacts(
        &self,
        ctx: &ProjectCtx,
        manifest: &[String],
    ) -> Result<HashMap<[u8; 16], (i64, Measured)>> {
        let keys = keys(manifest, named_artifact);
        let sql = concat!(
            "SELECT ",
            measured!("$3"),
            " FROM artifacts a WHERE a.public_id = ANY($1) AND a.project = $2"
        );
        let (project, now) = (self.project(ctx).await?, seconds(ctx.now));
        let params: [Param<'_>; 3] = [&keys, &project, &now];
        let found = self.all(sql, &params, |row| {
            let measured = measured(row)?;
            Ok((measured.key, (row.try_get(0)?, measured)))
        });
        Ok(found.await?.into_iter().collect())
    }

    async fn named_events(
        &self,
        ctx: &ProjectCtx,
        manifest: &[String],
    ) -> Result<HashMap<[u8; 16], NamedEvent>> {
        let keys = keys(manifest, named_event);
        let sql = concat!(
            "SELECT ",
            measured!("$3"),
            ", e.event_type, e.artifact, e.public_id FROM events e
              JOIN branches b ON b.id = e.branch JOIN sessions s ON s.id = b.session
              LEFT JOIN artifacts a ON a.id = e.artifact
              WHERE e.public_id = ANY($1) AND s.project = $2 AND s.status < 3"
        );
        let (project, now) = (self.project(ctx).await?, seconds(ctx.now));
        let params: [Param<'_>; 3] = [&keys, &project, &now];
        let found = self.all(sql, &params, |row| {
            let artifact = match row.try_get::<_, Option<i64>>(5)? {
                Some(artifact) => Some((artifact, measured(row)?)),
                None => None,
            };
            Ok((bytes(row.try_get(6)?)?, NamedEvent { event_type: text(row, 4)?, artifact }))
        });
        Ok(found.await?.into_iter().collect())
    }

    /// Reads the contents of a prompt, each once.
    async fn contents(&self, outline: &Outline) -> Result<HashMap<i64, Vec<u8>>> {
        let sql = "SELECT id, content FROM artifacts WHERE id = ANY($1)";
        let found =
            self.all(sql, &[&outline.contents()], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
        Ok(found.into_iter().collect())
    }
}

/// An event that a manifest names.
struct NamedEvent {
    event_type: String,
    artifact: Option<(i64, Measured)>,
}

/// What the database keeps of the ids of one kind in a manifest.
pub(super) fn keys<T: PublicId>(manifest: &[String], named: fn(&str) -> Option<T>) -> Vec<Vec<u8>> {
    manifest.iter().filter_map(|entry| key(&named(entry)?)).collect()
}

/// The columns of `measured!`.
fn measured(row: &Row) -> Result<Measured> {
    let content = match row.try_get::<_, Option<i32>>(3)? {
        None => None,
        Some(sealed) => {
            let sealed = usize::try_from(sealed).map_err(StoreError::internal)?;
            let short = || StoreError::internal("a content is shorter than its seal");
            Some(Content { row: row.try_get(0)?, bytes: sealed.checked_sub(SEAL_BYTES).ok_or_else(short)? })
        }
    };
    Ok(Measured { key: bytes(row.try_get(1)?)?, artifact_type: text(row, 2)?.into(), content })
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
