//! Bundles.

use std::collections::HashMap;

use zumik_types::{Bundle, BundleId, BundleItem, CreateBundleRequest, Extra, ObjectType};

use super::db::{Db, id, key, text};
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{self, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError};

impl Db<'_, '_> {
    pub(super) async fn create_bundle(
        &self,
        ctx: &ProjectCtx,
        request: &CreateBundleRequest,
    ) -> Result<Bundle> {
        let named: Vec<_> = request.items.iter().map(|item| item.artifact_id.clone()).collect();
        let live = self.hold_artifacts(ctx, &named, &[]).await?;
        let mut artifacts = Vec::with_capacity(named.len());
        for (at, id) in named.iter().enumerate() {
            let missing = || rules::missing_artifact(format!("items[{at}].artifact_id"), id);
            artifacts.push(*live.get(id).ok_or_else(missing)?);
        }
        let (id, public_id) = self.mint::<BundleId>(ctx);
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
        let roles: Vec<&[u8]> = bundle.items.iter().map(|item| item.role.as_bytes()).collect();
        self.run(
            "WITH bundle AS (
               INSERT INTO bundles (public_id, project, bundle_type, created_at) VALUES ($1, $2, $3, $4)
               RETURNING id)
             INSERT INTO bundle_items (bundle, position, artifact, role)
             SELECT bundle.id, item.position, item.artifact, item.role
             FROM bundle, unnest($5::bigint[], $6::bytea[]) WITH ORDINALITY AS item (artifact, role, position)",
            &[
                &&public_id[..],
                &self.project(ctx).await?,
                &bundle.bundle_type.as_bytes(),
                &seconds(bundle.created_at),
                &artifacts,
                &roles,
            ],
        )
        .await?;
        Ok(bundle)
    }

    pub(super) async fn retrieve_bundle(&self, ctx: &ProjectCtx, bundle: &BundleId) -> Result<Bundle> {
        let missing = || StoreError::not_found(Kind::Bundle, bundle);
        let (row, bundle_type, created_at) = self
            .one(
                "SELECT id, bundle_type, created_at FROM bundles
                 WHERE public_id = $1 AND project = $2 AND state = 0",
                &[&key(bundle), &self.project(ctx).await?],
                |row| Ok((row.try_get::<_, i64>(0)?, text(row, 1)?, row.try_get(2)?)),
            )
            .await?
            .ok_or_else(missing)?;
        let items = self
            .all(
                "SELECT a.public_id, i.role FROM bundle_items i JOIN artifacts a ON a.id = i.artifact
                 WHERE i.bundle = $1 ORDER BY i.position",
                &[&row],
                |row| Ok(BundleItem { artifact_id: id(row, 0)?, role: text(row, 1)?, extra: Extra::new() }),
            )
            .await?;
        Ok(Bundle {
            id: bundle.clone(),
            object: ObjectType::Bundle,
            bundle_type,
            project_id: ctx.project.clone(),
            items,
            created_at: time(created_at),
            extra: Extra::new(),
        })
    }

    pub(super) async fn delete_bundle(&self, ctx: &ProjectCtx, bundle: &BundleId) -> Result<()> {
        // The items stay: a purge of one of them must still find the sessions that list the bundle.
        let sql = "UPDATE bundles SET state = 1 WHERE public_id = $1 AND project = $2 AND state = 0";
        match self.run(sql, &[&key(bundle), &self.project(ctx).await?]).await? {
            0 => Err(StoreError::not_found(Kind::Bundle, bundle)),
            _ => Ok(()),
        }
    }

    /// The row of a bundle that can be referenced.
    pub(super) async fn live_bundle(&self, ctx: &ProjectCtx, bundle: &BundleId) -> Result<Option<i64>> {
        let sql = "SELECT id FROM bundles WHERE public_id = $1 AND project = $2 AND state = 0";
        self.one(sql, &[&key(bundle), &self.project(ctx).await?], |row| Ok(row.try_get(0)?)).await
    }

    /// The rows of those of these bundles that can be referenced; until the transaction ends they stay so.
    pub(super) async fn hold_bundles(
        &self,
        ctx: &ProjectCtx,
        bundles: &[BundleId],
    ) -> Result<HashMap<BundleId, i64>> {
        let keys: Vec<_> = bundles.iter().map(key).collect();
        let held = self
            .all(
                "SELECT public_id, id FROM bundles WHERE public_id = ANY($1) AND project = $2 AND state = 0
                 ORDER BY id FOR SHARE",
                &[&keys, &self.project(ctx).await?],
                |row| Ok((id(row, 0)?, row.try_get(1)?)),
            )
            .await?;
        Ok(held.into_iter().collect())
    }
}
