//! Artifacts.

use std::collections::HashMap;

use tokio_postgres::Row;
use zumik_types::{Artifact, ArtifactId, ArtifactType, Extra, JsonObject, ObjectType};

use super::db::{Db, Param, bytes, id, key, text};
use crate::store::durable::artifacts::SealedArtifact;
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

const COLUMNS: &str = "public_id, artifact_type, media_type, created_at, retention_class, metadata
    FROM artifacts";

/// What an artifact must be to be shown or referenced.
const LIVE: &str = "project = $1 AND state = 0 AND (expires_at IS NULL OR expires_at > $2)";

impl Db<'_, '_> {
    pub(super) async fn create_artifact(&self, ctx: &ProjectCtx, new: &SealedArtifact) -> Result<Artifact> {
        let artifact = &new.artifact;
        let row = self
            .value(
                "INSERT INTO artifacts (public_id, project, artifact_type, media_type, retention_class,
                   created_at, content, metadata, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
                &[
                    &&new.key[..],
                    &self.project(ctx).await?,
                    &artifact.artifact_type.as_str().as_bytes(),
                    &artifact.content_media_type.as_bytes(),
                    &artifact.retention_class.as_str().as_bytes(),
                    &seconds(artifact.created_at),
                    &new.content,
                    &new.metadata,
                    &new.expires_at.map(seconds),
                ],
            )
            .await?;
        // Of the artifact the answer holds the metadata only.
        if new.metadata.is_some() {
            self.materialized.lock().push(row);
        }
        Ok(artifact.clone())
    }

    pub(super) async fn list_artifacts(&self, ctx: &ProjectCtx) -> Result<Vec<Artifact>> {
        let sql = format!("SELECT {COLUMNS} WHERE {LIVE} ORDER BY id");
        let project = self.project(ctx).await?;
        self.all(&sql, &[&project, &seconds(ctx.now)], |row| self.read_artifact(ctx, row)).await
    }

    pub(super) async fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        let sql = format!("SELECT {COLUMNS} WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        self.one(&sql, &[&project, &seconds(ctx.now), &key(id)], |row| self.read_artifact(ctx, row))
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Artifact, id))
    }

    pub(super) async fn delete_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        let sql = format!("UPDATE artifacts SET state = 1 WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        match self.run(&sql, &[&project, &seconds(ctx.now), &key(id)]).await? {
            0 => Err(StoreError::not_found(Kind::Artifact, id)),
            _ => Ok(()),
        }
    }

    /// The row of an artifact that can be referenced; until the transaction ends it stays so.
    pub(super) async fn live_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Option<i64>> {
        Ok(self.live_artifact_typed(ctx, id).await?.map(|(row, _)| row))
    }

    /// Holds artifacts until the transaction ends, those with these ids and those in these rows, one after the other in the
    /// order of their rows. Gives the rows of those that can be referenced.
    pub(super) async fn hold_artifacts(
        &self,
        ctx: &ProjectCtx,
        ids: &[ArtifactId],
        rows: &[i64],
    ) -> Result<HashMap<ArtifactId, i64>> {
        let sql = format!(
            "SELECT public_id, id, {LIVE} FROM artifacts
             WHERE id = ANY(ARRAY(SELECT id FROM artifacts WHERE public_id = ANY($3) AND project = $1) || $4)
             ORDER BY id FOR SHARE"
        );
        let keys: Vec<_> = ids.iter().map(key).collect();
        let params: &[Param<'_>] = &[&self.project(ctx).await?, &seconds(ctx.now), &keys, &rows];
        let held =
            self.all(&sql, params, |row| Ok((row.try_get(2)?, (id(row, 0)?, row.try_get(1)?)))).await?;
        Ok(held.into_iter().filter_map(|(live, artifact): (bool, _)| live.then_some(artifact)).collect())
    }

    /// As [`live_artifact`](Self::live_artifact), with its type.
    pub(super) async fn live_artifact_typed(
        &self,
        ctx: &ProjectCtx,
        id: &ArtifactId,
    ) -> Result<Option<(i64, ArtifactType)>> {
        let sql =
            format!("SELECT id, artifact_type FROM artifacts WHERE {LIVE} AND public_id = $3 FOR SHARE");
        let project = self.project(ctx).await?;
        self.one(&sql, &[&project, &seconds(ctx.now), &key(id)], |row| {
            Ok((row.try_get(0)?, text(row, 1)?.into()))
        })
        .await
    }

    fn read_artifact(&self, ctx: &ProjectCtx, row: &Row) -> Result<Artifact> {
        let key = bytes(row.try_get(0)?)?;
        let metadata = match row.try_get::<_, Option<&[u8]>>(5)? {
            None => JsonObject::new(),
            Some(sealed) => serde_json::from_slice(&self.env.vault.open(&place("metadata", &key), sealed)?)?,
        };
        Ok(Artifact {
            id: ArtifactId::from_key(key),
            object: ObjectType::Artifact,
            artifact_type: text(row, 1)?.into(),
            project_id: ctx.project.clone(),
            content_media_type: text(row, 2)?,
            created_at: time(row.try_get(3)?),
            retention_class: text(row, 4)?.into(),
            metadata,
            extra: Extra::new(),
        })
    }
}
