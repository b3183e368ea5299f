//! Releases of model aliases that projects install for themselves.

use async_trait::async_trait;
use zumik_types::{ModelAliasRelease, ModelTarget};

use super::{Idempotency, ProjectCtx, Result, Written};

/// The state of model aliases. Releases of the server itself come from its configuration and are not kept here.
#[async_trait]
pub trait AliasStore: Send + Sync + 'static {
    /// Makes a release the active one of its alias in the project; the one before becomes `retired` with it.
    async fn create_alias_release(
        &self,
        ctx: &ProjectCtx,
        release: NewAliasRelease,
        key: Option<Idempotency>,
    ) -> Result<Written<ModelAliasRelease>>;

    /// The active releases of the project, by alias, compared byte by byte.
    async fn list_alias_releases(&self, ctx: &ProjectCtx) -> Result<Vec<ModelAliasRelease>>;
}

/// A release to be installed.
#[derive(Debug, Clone)]
pub struct NewAliasRelease {
    /// The alias.
    pub alias: String,
    /// Revision of the routing policy; that of the release before when absent.
    pub policy_revision: Option<String>,
    /// The revision where the project has no release before.
    pub first_policy_revision: String,
    /// Revision of the capability manifest.
    pub capability_manifest_revision: String,
    /// What the traffic is spread over.
    pub targets: Vec<ModelTarget>,
}
