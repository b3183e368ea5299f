//! Alias releases and stored hints.

use async_trait::async_trait;
use rusqlite::{Row, params};
use zumik_types::{
    AgentHints, AgentHintsId, Extra, ModelAliasRelease, ModelAliasReleaseId, ModelAliasStatus, ObjectType,
    StoredAgentHints,
};

use super::{Db, SqliteStore};
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{new_release, stored_hints};
use crate::store::{
    AliasStore, HintStore, Idempotency, Kind, NewAliasRelease, ProjectCtx, Result, StoreError, Written,
};

#[async_trait]
impl AliasStore for SqliteStore {
    async fn create_alias_release(
        &self,
        ctx: &ProjectCtx,
        release: NewAliasRelease,
        key: Option<Idempotency>,
    ) -> Result<Written<ModelAliasRelease>> {
        self.keyed(ctx, key, move |db, ctx| db.create_alias_release(ctx, &release)).await
    }

    async fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>> {
        self.read(ctx, |db, ctx| db.list_alias_releases(ctx)).await
    }
}

#[async_trait]
impl HintStore for SqliteStore {
    async fn create_agent_hints(
        &self,
        ctx: &ProjectCtx,
        hints: AgentHints,
        key: Option<Idempotency>,
    ) -> Result<Written<StoredAgentHints>> {
        self.keyed(ctx, key, move |db, ctx| db.create_agent_hints(ctx, &hints)).await
    }

    async fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints> {
        let id = id.clone();
        self.read(ctx, move |db, ctx| db.retrieve_agent_hints(ctx, &id)).await
    }

    async fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()> {
        let id = id.clone();
        self.write(ctx, move |db, ctx| db.delete_agent_hints(ctx, &id)).await
    }
}

impl Db<'_> {
    fn create_alias_release(&self, ctx: &ProjectCtx, new: &NewAliasRelease) -> Result<ModelAliasRelease> {
        let project = self.project(ctx)?;
        let before = self.one(
            "UPDATE alias_releases SET active = 0 WHERE project = ?1 AND alias = ?2 AND active = 1
             RETURNING policy_revision",
            params![project, new.alias],
            |row| row.get::<_, String>(0),
        )?;
        let (id, key) = self.mint::<ModelAliasReleaseId>(ctx);
        let release = new_release(id, new.clone(), before);
        self.run(
            "INSERT INTO alias_releases
               (public_id, project, alias, policy_revision, capability_manifest_revision, targets, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                key,
                project,
                release.alias,
                release.policy_revision,
                release.capability_manifest_revision,
                serde_json::to_string(&release.targets)?,
                seconds(ctx.now),
            ],
        )?;
        Ok(release)
    }

    fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>> {
        let releases = self.all(
            "SELECT public_id, alias, policy_revision, capability_manifest_revision, targets
             FROM alias_releases WHERE project = ?1 AND active = 1 ORDER BY alias",
            [self.project(ctx)?],
            |row| Ok(read_release(row)),
        )?;
        releases.into_iter().collect()
    }

    fn create_agent_hints(&self, ctx: &ProjectCtx, hints: &AgentHints) -> Result<StoredAgentHints> {
        let (id, key) = self.mint::<AgentHintsId>(ctx);
        self.run(
            "INSERT INTO agent_hints (public_id, project, created_at, hints) VALUES (?1, ?2, ?3, ?4)",
            params![key, self.project(ctx)?, seconds(ctx.now), serde_json::to_string(hints)?],
        )?;
        Ok(stored_hints(id, ctx.project.clone(), ctx.now, hints.clone()))
    }

    fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints> {
        let found = self.one(
            "SELECT created_at, hints FROM agent_hints WHERE public_id = ?1 AND project = ?2",
            params![id.key(), self.project(ctx)?],
            |row| Ok((row.get(0)?, row.get::<_, String>(1)?)),
        )?;
        let (created_at, hints) = found.ok_or_else(|| StoreError::not_found(Kind::AgentHints, id))?;
        Ok(stored_hints(id.clone(), ctx.project.clone(), time(created_at), serde_json::from_str(&hints)?))
    }

    fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()> {
        let removed = self.run(
            "DELETE FROM agent_hints WHERE public_id = ?1 AND project = ?2",
            params![id.key(), self.project(ctx)?],
        )?;
        if removed == 0 { Err(StoreError::not_found(Kind::AgentHints, id)) } else { Ok(()) }
    }
}

fn read_release(row: &Row<'_>) -> Result<ModelAliasRelease> {
    Ok(ModelAliasRelease {
        id: ModelAliasReleaseId::from_key(row.get(0)?),
        object: ObjectType::ModelAliasRelease,
        alias: row.get(1)?,
        status: ModelAliasStatus::Active,
        policy_revision: row.get(2)?,
        capability_manifest_revision: row.get(3)?,
        targets: serde_json::from_str(&row.get::<_, String>(4)?)?,
        extra: Extra::new(),
    })
}
