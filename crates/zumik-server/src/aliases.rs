//! The alias releases of projects, kept in memory for a short time: every generation asks for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use zumik_types::{ModelAliasRelease, ProjectId};

use crate::store::{ProjectCtx, Store, StoreError};

/// How long they are kept: so late does this server learn what another one of the same store installed.
const LIFETIME: Duration = Duration::from_secs(5);

/// Projects that are kept at a time.
const MOST_PROJECTS: usize = 4_096;

/// The active releases of one project, by alias.
type Releases = Arc<[Arc<ModelAliasRelease>]>;

/// The alias releases of projects.
pub(crate) struct ProjectAliases {
    store: Arc<dyn Store>,
    kept: Mutex<HashMap<ProjectId, (Instant, Releases)>>,
    /// Raised when a release is installed: what was read before must not be kept after.
    changes: AtomicU64,
}

impl ProjectAliases {
    /// Those of this store.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, kept: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// The release that an alias has in the project; nothing when the project has none of its own.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn release(
        &self,
        ctx: &ProjectCtx,
        alias: &str,
    ) -> Result<Option<Arc<ModelAliasRelease>>, StoreError> {
        let releases = self.releases(ctx).await?;
        let found = releases.binary_search_by(|release| release.alias.as_str().cmp(alias));
        Ok(found.ok().and_then(|at| releases.get(at).cloned()))
    }

    /// All active releases of the project, by alias.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn releases(&self, ctx: &ProjectCtx) -> Result<Releases, StoreError> {
        if let Some((read_at, releases)) = self.kept.lock().get(&ctx.project)
            && read_at.elapsed() < LIFETIME
        {
            return Ok(Arc::clone(releases));
        }
        let changes = self.changes.load(Ordering::Acquire);
        let read_at = Instant::now();
        let releases: Releases =
            self.store.list_alias_releases(ctx).await?.into_iter().map(Arc::new).collect();
        let mut kept = self.kept.lock();
        if self.changes.load(Ordering::Acquire) == changes {
            if kept.len() >= MOST_PROJECTS {
                kept.retain(|_, (read_at, _)| read_at.elapsed() < LIFETIME);
            }
            if kept.len() < MOST_PROJECTS {
                kept.insert(ctx.project.clone(), (read_at, Arc::clone(&releases)));
            }
        }
        Ok(releases)
    }

    /// A release was installed in the project: what was read before does not count any more.
    pub(crate) fn forget(&self, project: &ProjectId) {
        let mut kept = self.kept.lock();
        self.changes.fetch_add(1, Ordering::AcqRel);
        kept.remove(project);
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use zumik_types::{ExecutionProfile, Extra, KeyId, ModelTarget, TraceId};

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::Scopes;
    use crate::mint::RandomMint;
    use crate::store::NewAliasRelease;
    use crate::store::memory::MemoryStore;

    async fn install(aliases: &ProjectAliases, ctx: &ProjectCtx, alias: &str, model: &str) {
        let target = ModelTarget {
            execution_profile: ExecutionProfile::ManagedProvider,
            provider: "a".to_owned(),
            model: model.to_owned(),
            model_revision: None,
            weight: 100,
            extra: Extra::new(),
        };
        let release = NewAliasRelease {
            alias: alias.to_owned(),
            policy_revision: None,
            first_policy_revision: "policy_1".to_owned(),
            capability_manifest_revision: "cap_1".to_owned(),
            targets: vec![target],
        };
        aliases.store.create_alias_release(ctx, release, None).await.unwrap();
    }

    async fn model(aliases: &ProjectAliases, ctx: &ProjectCtx, alias: &str) -> Option<String> {
        let release = aliases.release(ctx, alias).await.unwrap();
        release.map(|release| release.targets[0].model.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_counts_when_it_is_told_or_a_little_later() {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock), Arc::new(RandomMint::default())));
        let now = Utc::now();
        let ctx = |project| ProjectCtx {
            project,
            key: KeyId::with_suffix("1"),
            scopes: Scopes::INFERENCE_ONLY,
            trace: TraceId::with_suffix("1"),
            now,
        };
        let own = ctx(store.ensure_project("own", now).await.unwrap().id);
        let other = ctx(store.ensure_project("other", now).await.unwrap().id);
        let aliases = ProjectAliases::new(store);
        assert_eq!(model(&aliases, &own, "x").await, None);
        install(&aliases, &own, "x", "1").await;
        assert_eq!(model(&aliases, &own, "x").await, None, "nobody told");
        aliases.forget(&own.project);
        assert_eq!(model(&aliases, &own, "x").await.as_deref(), Some("1"));
        assert_eq!(model(&aliases, &own, "y").await, None);
        assert_eq!(model(&aliases, &other, "x").await, None);
        install(&aliases, &own, "x", "2").await;
        tokio::time::advance(LIFETIME).await;
        assert_eq!(model(&aliases, &own, "x").await.as_deref(), Some("2"));
    }
}
