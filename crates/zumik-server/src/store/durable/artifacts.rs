//! Artifacts, sealed ahead of the transaction that keeps them.

use chrono::{DateTime, Utc};
use zumik_types::{Artifact, ArtifactId, CreateArtifactRequest, Extra, ObjectType, RetentionClass};

use super::ids::PublicId as _;
use super::{Seal, place};
use crate::store::rules::{DEFAULT_MEDIA_TYPE, artifact_expiry, whole_seconds};
use crate::store::{ProjectCtx, Result};

/// An artifact ready to be inserted: minted and sealed ahead.
pub(in crate::store) struct SealedArtifact {
    pub(in crate::store) artifact: Artifact,
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) content: Vec<u8>,
    pub(in crate::store) metadata: Option<Vec<u8>>,
    pub(in crate::store) expires_at: Option<DateTime<Utc>>,
}

impl SealedArtifact {
    pub(in crate::store) fn new(
        env: &impl Seal,
        ctx: &ProjectCtx,
        request: CreateArtifactRequest,
    ) -> Result<Self> {
        let key = env.mint().ulid(ctx.now).to_bytes();
        let retention_class = request.retention_class.unwrap_or(RetentionClass::Standard);
        let metadata = request.metadata.unwrap_or_default();
        let sealed_metadata = match metadata.is_empty() {
            true => None,
            false => Some(env.seal(&place("metadata", &key), &serde_json::to_vec(&metadata)?)?),
        };
        Ok(Self {
            content: env.seal(&place("artifact", &key), request.content.as_bytes())?,
            metadata: sealed_metadata,
            expires_at: artifact_expiry(&retention_class, ctx.now),
            artifact: Artifact {
                id: ArtifactId::from_key(key),
                object: ObjectType::Artifact,
                artifact_type: request.artifact_type,
                project_id: ctx.project.clone(),
                content_media_type: request
                    .content_media_type
                    .unwrap_or_else(|| DEFAULT_MEDIA_TYPE.to_owned()),
                created_at: whole_seconds(ctx.now),
                retention_class,
                metadata,
                extra: Extra::new(),
            },
            key,
        })
    }
}
