//! Names of models: the aliases of the server, each with one release.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use ulid::Ulid;
use zumik_types::{ExecutionMode, ExecutionProfile, ModelAliasRelease, ModelAliasReleaseId, ModelTarget};

use super::Failure;
use super::target::Target;
use super::upstream::{Endpoint, Upstreams};
use crate::config::AliasSettings;

/// The aliases that a fresh server installs (contract `concepts.md`, "Model aliases").
const ALIASES: [&str; 14] = [
    "auto",
    "auto.balanced",
    "auto.best",
    "auto.cheapest",
    "auto.cost",
    "auto.fast",
    "auto.semantic",
    "batch.standard",
    "code.balanced",
    "code.best",
    "code.cheapest",
    "code.fast",
    "reasoning.best",
    "vision.balanced",
];

/// What an alias means now: immutable, a change makes another release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    /// `alr_…`
    pub(crate) id: ModelAliasReleaseId,
    /// The alias.
    pub(crate) alias: Arc<str>,
    /// At least one, with their weights, which add up to 100.
    pub(crate) targets: Vec<(Target, u32)>,
}

/// The aliases of a server.
///
/// Without an upstream, every alias has one target, the placeholder. With one, those that the settings mention have
/// their targets, and the others the first model of the first upstream that has one.
pub(crate) struct Models {
    configured: BTreeMap<String, AliasSettings>,
}

impl Models {
    /// The aliases of the settings, and those that every server has.
    pub(crate) fn new(configured: BTreeMap<String, AliasSettings>) -> Self {
        Self { configured }
    }

    /// The names of all aliases, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            ALIASES.into_iter().chain(self.configured.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The release of an alias; nothing when the name is none.
    ///
    /// # Errors
    /// The alias means the first model of an upstream, and no upstream tells one.
    pub(crate) async fn release(
        &self,
        alias: &str,
        upstreams: &Upstreams,
    ) -> Result<Option<Release>, Failure> {
        if let Some(settings) = self.configured.get(alias) {
            return Ok(Some(configured(alias, settings, upstreams)));
        }
        if ALIASES.binary_search(&alias).is_err() {
            return Ok(None);
        }
        if upstreams.is_empty() {
            let id = release_id(alias, &[]);
            let targets = vec![(Target::placeholder(Some(id.clone())), 100)];
            return Ok(Some(Release { id, alias: alias.into(), targets }));
        }
        let (endpoint, model) = upstreams.first_model().await?;
        Ok(Some(release(alias, vec![(live(&endpoint, model), 100)])))
    }
}

/// A model of an upstream that is no alias, or not yet a target of one.
pub(super) fn live(endpoint: &Endpoint, model: Arc<str>) -> Target {
    Target {
        provider: Arc::clone(&endpoint.name),
        model,
        revision: None,
        region: Arc::clone(&endpoint.region),
        profile: ExecutionProfile::ManagedProvider,
        mode: ExecutionMode::Live,
        release: None,
    }
}

fn configured(alias: &str, settings: &AliasSettings, upstreams: &Upstreams) -> Release {
    let targets = settings.targets.iter().filter_map(|target| {
        let endpoint = upstreams.endpoint(&target.upstream)?;
        Some((live(endpoint, target.model.as_str().into()), target.weight.map_or(100, u32::from)))
    });
    release(alias, targets.collect())
}

/// A release that a project has installed. Targets on providers that this server does not have, or has no more, are left
/// out; without an upstream all of them are the placeholder.
pub(super) fn own(installed: &ModelAliasRelease, upstreams: &Upstreams) -> Release {
    let id = Some(installed.id.clone());
    let target = |target: &ModelTarget| {
        if upstreams.is_empty() {
            return Some(Target::placeholder(id.clone()));
        }
        let endpoint = upstreams.endpoint(&target.provider)?;
        let revision = target.model_revision.as_deref().map(Arc::from);
        Some(Target { revision, release: id.clone(), ..live(endpoint, target.model.as_str().into()) })
    };
    let weighted = |installed: &ModelTarget| {
        Some((target(installed)?, u32::try_from(installed.weight).unwrap_or(u32::MAX)))
    };
    Release {
        id: installed.id.clone(),
        alias: installed.alias.as_str().into(),
        targets: installed.targets.iter().filter_map(weighted).collect(),
    }
}

fn release(alias: &str, mut targets: Vec<(Target, u32)>) -> Release {
    let parts: Vec<_> =
        targets.iter().map(|(target, weight)| (&*target.provider, &*target.model, *weight)).collect();
    let id = release_id(alias, &parts);
    for (target, _) in &mut targets {
        target.release = Some(id.clone());
    }
    Release { id, alias: alias.into(), targets }
}

/// The id of a release of the server: a function of what it says.
///
/// So a restart or another replica with the same settings has the same release, and another target is another release.
/// Without targets it is the one that leads to the placeholder, which is the same on every server.
fn release_id(alias: &str, targets: &[(&str, &str, u32)]) -> ModelAliasReleaseId {
    let mut hash = Sha256::new_with_prefix(format!("zumik first release of {alias}"));
    for (provider, model, weight) in targets {
        for part in [provider, model] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(weight.to_be_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // The largest ULID begins with a 7.
    bytes[0] &= 0x7f;
    ModelAliasReleaseId::with_suffix(&Ulid::from_bytes(bytes).to_string().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::UpstreamSettings;

    fn upstreams(names: &[(&str, &[&str])]) -> Upstreams {
        let settings = names.iter().map(|(name, models)| {
            let mut settings = UpstreamSettings::new(format!("http://{name}/v1"));
            settings.models = models.iter().map(|model| (*model).to_owned()).collect();
            ((*name).to_owned(), settings)
        });
        Upstreams::new(&settings.collect(), &|_| None).unwrap()
    }

    async fn id(models: &Models, alias: &str, upstreams: &Upstreams) -> String {
        models.release(alias, upstreams).await.unwrap().unwrap().id.to_string()
    }

    #[tokio::test]
    async fn every_alias_has_one_release_of_its_own_that_never_changes() {
        let (models, none) = (Models::new(BTreeMap::new()), upstreams(&[]));
        let mut releases = BTreeSet::new();
        for alias in ALIASES {
            let release = models.release(alias, &none).await.unwrap().unwrap();
            assert_eq!(release.targets[0].0.mode, ExecutionMode::Placeholder);
            releases.insert(release.id.to_string());
        }
        assert_eq!(releases.len(), ALIASES.len());
        let release = id(&models, "auto", &none).await;
        assert_eq!((release.len(), &release[..4]), (30, "alr_"));
        assert_eq!(release, id(&Models::new(BTreeMap::new()), "auto", &none).await);
    }

    #[tokio::test]
    async fn any_other_name_is_no_alias() {
        let models = Models::new(BTreeMap::new());
        for name in ["", "code", "code.unknown", "CODE.FAST", "gpt-4o", "auto ", "openai/gpt-4o@2025-01-01"] {
            assert_eq!(models.release(name, &upstreams(&[])).await.unwrap(), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_release_names_the_targets_of_the_settings_and_changes_with_them() {
        let upstreams = upstreams(&[("b", &["o"]), ("a", &["m", "n"])]);
        let models = |weight| {
            let settings = AliasSettings::new([("a", "n", weight), ("b", "o", 100 - weight)]);
            Models::new(BTreeMap::from([("code.fast".to_owned(), settings)]))
        };
        let release = models(60).release("code.fast", &upstreams).await.unwrap().unwrap();
        let targets: Vec<_> =
            release.targets.iter().map(|(t, weight)| (&*t.provider, &*t.model, *weight)).collect();
        assert_eq!(targets, [("a", "n", 60), ("b", "o", 40)]);
        assert!(release.targets.iter().all(|(target, _)| target.release.as_ref() == Some(&release.id)));
        assert_eq!(id(&models(60), "code.fast", &upstreams).await, release.id.to_string());
        assert_ne!(id(&models(50), "code.fast", &upstreams).await, release.id.to_string());
        let other = models(60).release("auto", &upstreams).await.unwrap().unwrap();
        assert_eq!(
            (&*other.targets[0].0.provider, &*other.targets[0].0.model),
            ("b", "o"),
            "the first one's"
        );
    }
}
