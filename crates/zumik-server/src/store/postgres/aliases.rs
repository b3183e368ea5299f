//! Alias releases and stored hints.

use async_trait::async_trait;
use tokio_postgres::Row;
use zumik_types::{
    AgentHints, AgentHintsId, Extra, ModelAliasRelease, ModelAliasReleaseId, ModelAliasStatus, ObjectType,
    StoredAgentHints,
};

use super::PostgresStore;
use super::db::{Db, id, key, text};
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{new_release, stored_hints};
use crate::store::{
    AliasStore, HintStore, Idempotency, Kind, NewAliasRelease, ProjectCtx, Result, StoreError, Written,
};

#[async_trait]
impl AliasStore for PostgresStore {
    async fn create_alias_release(
        &self,
        ctx: &ProjectCtx,
        release: NewAliasRelease,
        key: Option<Idempotency>,
    ) -> Result<Written<ModelAliasRelease>> {
        let release = &release;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_alias_release(ctx, release))).await
    }

    async fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>> {
        self.read(|db| Box::pin(db.list_alias_releases(ctx))).await
    }
}

#[async_trait]
impl HintStore for PostgresStore {
    async fn create_agent_hints(
        &self,
        ctx: &ProjectCtx,
        hints: AgentHints,
        key: Option<Idempotency>,
    ) -> Result<Written<StoredAgentHints>> {
        let hints = &hints;
        self.keyed(ctx, key.as_ref(), &|db| Box::pin(db.create_agent_hints(ctx, hints))).await
    }

    async fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints> {
        self.read(|db| Box::pin(db.retrieve_agent_hints(ctx, id))).await
    }

    async fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()> {
        self.write(|db| Box::pin(db.delete_agent_hints(ctx, id))).await
    }
}

impl Db<'_, '_> {
    async fn create_alias_release(
        &self,
        ctx: &ProjectCtx,
        new: &NewAliasRelease,
    ) -> Result<ModelAliasRelease> {
        let project = self.project(ctx).await?;
        let before = self
            .one(
                "UPDATE alias_releases SET active = false WHERE project = $1 AND alias = $2 AND active
                 RETURNING policy_revision",
                &[&project, &new.alias.as_bytes()],
                |row| text(row, 0),
            )
            .await?;
        let (id, public_id) = self.mint::<ModelAliasReleaseId>(ctx);
        let release = new_release(id, new.clone(), before);
        // Of two that find no release before, the index refuses the later one.
        self.run(
            "INSERT INTO alias_releases
               (public_id, project, alias, policy_revision, capability_manifest_revision, targets, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &&public_id[..],
                &project,
                &release.alias.as_bytes(),
                &release.policy_revision.as_bytes(),
                &release.capability_manifest_revision.as_bytes(),
                &serde_json::to_string(&release.targets)?,
                &seconds(ctx.now),
            ],
        )
        .await?;
        Ok(release)
    }

    async fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>> {
        self.all(
            "SELECT public_id, alias, policy_revision, capability_manifest_revision, targets
             FROM alias_releases WHERE project = $1 AND active ORDER BY alias",
            &[&self.project(ctx).await?],
            read_release,
        )
        .await
    }

    async fn create_agent_hints(&self, ctx: &ProjectCtx, hints: &AgentHints) -> Result<StoredAgentHints> {
        let (id, public_id) = self.mint::<AgentHintsId>(ctx);
        self.run(
            "INSERT INTO agent_hints (public_id, project, created_at, hints) VALUES ($1, $2, $3, $4)",
            &[&&public_id[..], &self.project(ctx).await?, &seconds(ctx.now), &serde_json::to_string(hints)?],
        )
        .await?;
        Ok(stored_hints(id, ctx.project.clone(), ctx.now, hints.clone()))
    }

    async fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints> {
        self.one(
            "SELECT created_at, hints FROM agent_hints WHERE public_id = $1 AND project = $2",
            &[&key(id), &self.project(ctx).await?],
            |row| {
                let hints = serde_json::from_str(row.try_get(1)?)?;
                Ok(stored_hints(id.clone(), ctx.project.clone(), time(row.try_get(0)?), hints))
            },
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::AgentHints, id))
    }

    async fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()> {
        let sql = "DELETE FROM agent_hints WHERE public_id = $1 AND project = $2";
        match self.run(sql, &[&key(id), &self.project(ctx).await?]).await? {
            0 => Err(StoreError::not_found(Kind::AgentHints, id)),
            _ => Ok(()),
        }
    }
}

fn read_release(row: &Row) -> Result<ModelAliasRelease> {
    Ok(ModelAliasRelease {
        id: id(row, 0)?,
        object: ObjectType::ModelAliasRelease,
        alias: text(row, 1)?,
        status: ModelAliasStatus::Active,
        policy_revision: text(row, 2)?,
        capability_manifest_revision: text(row, 3)?,
        targets: serde_json::from_str(row.try_get(4)?)?,
        extra: Extra::new(),
    })
}
