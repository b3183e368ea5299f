//! Artifacts.

use rusqlite::{Row, params};
use zumik_types::{Artifact, ArtifactId, ArtifactType, Extra, JsonObject, ObjectType};

use super::Db;
use crate::store::durable::artifacts::SealedArtifact;
use crate::store::durable::ids::PublicId;
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

/// The state of an artifact whose handle is revoked.
pub(super) const REVOKED: i64 = 1;

/// The state of an artifact that a purge has removed.
pub(super) const PURGED: i64 = 2;

struct Found {
    key: [u8; 16],
    artifact: Artifact,
    metadata: Option<i64>,
}

const COLUMNS: &str = "public_id, artifact_type, media_type, created_at, retention_class, metadata
    FROM artifacts";

impl Db<'_> {
    /// Inserts an artifact; gives its row too.
    pub(super) fn create_artifact(&self, ctx: &ProjectCtx, new: &SealedArtifact) -> Result<(Artifact, i64)> {
        let artifact = &new.artifact;
        let content = self.insert_content(&new.content)?;
        let metadata = new.metadata.as_deref().map(|record| self.insert_content(record)).transpose()?;
        let row = self.insert(
            "INSERT INTO artifacts (public_id, project, artifact_type, media_type, retention_class,
               created_at, content, metadata, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                new.key,
                self.project(ctx)?,
                artifact.artifact_type.as_str(),
                artifact.content_media_type,
                artifact.retention_class.as_str(),
                seconds(artifact.created_at),
                content,
                metadata,
                new.expires_at.map(seconds),
            ],
        )?;
        Ok((artifact.clone(), row))
    }

    pub(super) fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE project = ?1 AND state = 0 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id"
        );
        let found = self.all(&sql, params![self.project(ctx)?, seconds(ctx.now)], |row| read(ctx, row))?;
        found.into_iter().map(|found| self.with_metadata(found)).collect()
    }

    pub(super) fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE public_id = ?1 AND project = ?2 AND state = 0 AND (expires_at IS NULL OR expires_at > ?3)"
        );
        let found = self
            .one(&sql, params![id.key(), self.project(ctx)?, seconds(ctx.now)], |row| read(ctx, row))?
            .ok_or_else(|| StoreError::not_found(Kind::Artifact, id))?;
        self.with_metadata(found)
    }

    pub(super) fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        let row = self.live_artifact(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::Artifact, id))?;
        self.run("UPDATE artifacts SET state = ?2 WHERE id = ?1", [row, REVOKED])?;
        Ok(())
    }

    /// The row of an artifact that can be referenced.
    pub(super) fn live_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM artifacts WHERE public_id = ?1 AND project = ?2 AND state = 0
               AND (expires_at IS NULL OR expires_at > ?3)",
            params![id.key(), self.project(ctx)?, seconds(ctx.now)],
            |row| row.get(0),
        )
    }

    /// The type of an artifact.
    pub(super) fn artifact_type(&self, row: i64) -> Result<ArtifactType> {
        let text: String = self.value("SELECT artifact_type FROM artifacts WHERE id = ?1", [row])?;
        Ok(text.into())
    }

    /// Removes content and metadata for good; the row stays, so that nothing takes the id again.
    pub(super) fn erase_artifact(&self, row: i64, state: i64) -> Result<()> {
        let contents = self.one("SELECT content, metadata FROM artifacts WHERE id = ?1", [row], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        if let Some((content, metadata)) = contents {
            self.erase_content(content)?;
            self.erase_content(metadata)?;
        }
        self.run(
            "UPDATE artifacts SET state = ?2, content = NULL, metadata = NULL, expires_at = NULL WHERE id = ?1",
            [row, state],
        )?;
        Ok(())
    }

    fn with_metadata(&self, found: Found) -> Result<Artifact> {
        let Found { key, mut artifact, metadata } = found;
        if let Some(content) = metadata {
            artifact.metadata =
                serde_json::from_slice(&self.open_content(content, &place("metadata", &key))?)?;
        }
        Ok(artifact)
    }
}

fn read(ctx: &ProjectCtx, row: &Row<'_>) -> rusqlite::Result<Found> {
    let key = row.get(0)?;
    Ok(Found {
        key,
        artifact: Artifact {
            id: ArtifactId::from_key(key),
            object: ObjectType::Artifact,
            artifact_type: row.get::<_, String>(1)?.into(),
            project_id: ctx.project.clone(),
            content_media_type: row.get(2)?,
            created_at: time(row.get(3)?),
            retention_class: row.get::<_, String>(4)?.into(),
            metadata: JsonObject::new(),
            extra: Extra::new(),
        },
        metadata: row.get(5)?,
    })
}
