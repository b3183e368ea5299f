//! Alias releases and stored hints of the model.

use async_trait::async_trait;
use zumik_types::{
    AgentHints, AgentHintsId, ModelAliasRelease, ModelAliasReleaseId, ModelAliasStatus, StoredAgentHints,
};

use super::state::State;
use super::{MemoryStore, plain};
use crate::store::rules::{new_release, stored_hints};
use crate::store::{
    AliasStore, HintStore, Idempotency, Kind, NewAliasRelease, ProjectCtx, Result, StoreError, Written,
};

#[async_trait]
impl AliasStore for MemoryStore {
    async fn create_alias_release(
        &self,
        ctx: &ProjectCtx,
        release: NewAliasRelease,
        key: Option<Idempotency>,
    ) -> Result<Written<ModelAliasRelease>> {
        self.state()?.keyed(ctx, key, |state| plain(Ok(state.create_alias_release(ctx, release))))
    }

    async fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>> {
        Ok(self.state()?.list_alias_releases(ctx))
    }
}

#[async_trait]
impl HintStore for MemoryStore {
    async fn create_agent_hints(
        &self,
        ctx: &ProjectCtx,
        hints: AgentHints,
        key: Option<Idempotency>,
    ) -> Result<Written<StoredAgentHints>> {
        self.state()?.keyed(ctx, key, |state| plain(Ok(state.create_agent_hints(ctx, hints))))
    }

    async fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints> {
        self.state()?.agent_hints(ctx, id).cloned()
    }

    async fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()> {
        let mut state = self.state()?;
        state.agent_hints(ctx, id)?;
        state.hints.shift_remove(id);
        Ok(())
    }
}

impl State {
    fn create_alias_release(&mut self, ctx: &ProjectCtx, new: NewAliasRelease) -> ModelAliasRelease {
        let id = ModelAliasReleaseId::with_suffix(&self.mint.suffix(ctx.now));
        let before = self
            .releases
            .iter_mut()
            .filter(|(project, _)| *project == ctx.project)
            .map(|(_, release)| release)
            .find(|release| release.alias == new.alias && release.status == ModelAliasStatus::Active);
        let release = new_release(id, new, before.as_ref().map(|before| before.policy_revision.clone()));
        if let Some(before) = before {
            before.status = ModelAliasStatus::Retired;
        }
        self.releases.push((ctx.project.clone(), release.clone()));
        release
    }

    fn list_alias_releases(&self, ctx: &ProjectCtx) -> Vec<ModelAliasRelease> {
        let mut releases: Vec<_> = self
            .releases
            .iter()
            .filter(|(project, release)| {
                *project == ctx.project && release.status == ModelAliasStatus::Active
            })
            .map(|(_, release)| release.clone())
            .collect();
        releases.sort_by(|a, b| a.alias.cmp(&b.alias));
        releases
    }

    fn create_agent_hints(&mut self, ctx: &ProjectCtx, hints: AgentHints) -> StoredAgentHints {
        let id = AgentHintsId::with_suffix(&self.mint.suffix(ctx.now));
        let stored = stored_hints(id.clone(), ctx.project.clone(), ctx.now, hints);
        self.hints.insert(id, stored.clone());
        stored
    }

    fn agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<&StoredAgentHints> {
        self.hints
            .get(id)
            .filter(|hints| hints.project_id == ctx.project)
            .ok_or_else(|| StoreError::not_found(Kind::AgentHints, id))
    }
}
