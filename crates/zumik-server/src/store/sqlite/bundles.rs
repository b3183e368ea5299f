//! Bundles.

use rusqlite::params;
use zumik_types::{ArtifactId, Bundle, BundleId, BundleItem, CreateBundleRequest, Extra, ObjectType};

use super::Db;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{self, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

impl Db<'_> {
    pub(super) fn create_bundle(&self, ctx: &ProjectCtx, request: &CreateBundleRequest) -> Result<Bundle> {
        let mut rows = Vec::with_capacity(request.items.len());
        for (at, item) in request.items.iter().enumerate() {
            let row = self.live_artifact(ctx, &item.artifact_id)?.ok_or_else(|| {
                rules::missing_artifact(format!("items[{at}].artifact_id"), &item.artifact_id)
            })?;
            rows.push(row);
        }
        let (id, key) = self.mint::<BundleId>(ctx);
        let bundle = Bundle {
            id,
            object: ObjectType::Bundle,
            bundle_type: request.bundle_type.clone().unwrap_or_else(|| rules::DEFAULT_BUNDLE_TYPE.to_owned()),
            project_id: ctx.project.clone(),
            items: request
                .items
                .iter()
                .map(|item| BundleItem {
                    artifact_id: item.artifact_id.clone(),
                    role: item.role.clone(),
                    extra: Extra::new(),
                })
                .collect(),
            created_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        let row = self.insert(
            "INSERT INTO bundles (public_id, project, bundle_type, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![key, self.project(ctx)?, bundle.bundle_type, seconds(bundle.created_at)],
        )?;
        for ((at, item), artifact) in bundle.items.iter().enumerate().zip(rows) {
            self.run(
                "INSERT INTO bundle_items (bundle, position, artifact, role) VALUES (?1, ?2, ?3, ?4)",
                params![row, at, artifact, item.role],
            )?;
        }
        Ok(bundle)
    }

    pub(super) fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle> {
        let row = self.live_bundle(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::Bundle, id))?;
        let items = self.all(
            "SELECT a.public_id, i.role FROM bundle_items i JOIN artifacts a ON a.id = i.artifact
             WHERE i.bundle = ?1 ORDER BY i.position",
            [row],
            |row| {
                Ok(BundleItem {
                    artifact_id: ArtifactId::from_key(row.get(0)?),
                    role: row.get(1)?,
                    extra: Extra::new(),
                })
            },
        )?;
        let (bundle_type, created_at) = self
            .one("SELECT bundle_type, created_at FROM bundles WHERE id = ?1", [row], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .ok_or_else(|| StoreError::not_found(Kind::Bundle, id))?;
        Ok(Bundle {
            id: id.clone(),
            object: ObjectType::Bundle,
            bundle_type,
            project_id: ctx.project.clone(),
            items,
            created_at: time(created_at),
            extra: Extra::new(),
        })
    }

    pub(super) fn delete_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<()> {
        let row = self.live_bundle(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::Bundle, id))?;
        // The items stay: a purge of one of them must still find the sessions that list the bundle.
        self.run("UPDATE bundles SET state = 1 WHERE id = ?1", [row])?;
        Ok(())
    }

    /// The row of a bundle that can be referenced.
    pub(super) fn live_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM bundles WHERE public_id = ?1 AND project = ?2 AND state = 0",
            params![id.key(), self.project(ctx)?],
            |row| row.get(0),
        )
    }
}
