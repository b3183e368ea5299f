//! Names of models: aliases, each with one release.

use sha2::{Digest, Sha256};
use ulid::Ulid;
use zumik_types::{ExecutionMode, ExecutionProfile, ModelAliasReleaseId};

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

/// What runs a generation: the resolution of a model name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// `Agent-Resolved-Provider`
    pub(crate) provider: &'static str,
    /// `Agent-Resolved-Model`
    pub(crate) model: &'static str,
    /// `Agent-Region`
    pub(crate) region: &'static str,
    /// `Agent-Execution-Profile`
    pub(crate) profile: ExecutionProfile,
    /// `Agent-Execution-Mode`
    pub(crate) mode: ExecutionMode,
    /// The release that the alias led to.
    pub(crate) release: ModelAliasReleaseId,
}

/// Resolves model names. Without an upstream, every alias has one release with one target, the placeholder, and any
/// other name is unknown.
#[derive(Debug)]
pub(crate) struct Models {
    /// Sorted by alias.
    releases: Vec<(&'static str, ModelAliasReleaseId)>,
}

impl Models {
    /// The aliases of a fresh server.
    pub(crate) fn seeded() -> Self {
        Self { releases: ALIASES.iter().map(|alias| (*alias, first_release(alias))).collect() }
    }

    /// What a name means; nothing when no one knows it.
    pub(crate) fn resolve(&self, name: &str) -> Option<Target> {
        let index = self.releases.binary_search_by_key(&name, |(alias, _)| alias).ok()?;
        let (_, release) = self.releases.get(index)?;
        Some(Target {
            provider: "placeholder",
            model: "placeholder@1",
            region: "local",
            profile: ExecutionProfile::ManagedProvider,
            mode: ExecutionMode::Placeholder,
            release: release.clone(),
        })
    }
}

/// The id of the release that a fresh server installs for an alias.
///
/// These releases are the same on every server, as what they say is the same: one target, the placeholder. So their
/// ids are too, and a restart or another replica cannot make a request look as if it had run on another release.
fn first_release(alias: &str) -> ModelAliasReleaseId {
    let digest = Sha256::digest(format!("zumik first release of {alias}"));
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

    #[test]
    fn every_alias_has_one_release_of_its_own_that_never_changes() {
        let models = Models::seeded();
        let releases: BTreeSet<_> =
            ALIASES.iter().map(|alias| models.resolve(alias).unwrap().release.to_string()).collect();
        assert_eq!(releases.len(), ALIASES.len());
        assert_eq!(models.resolve("code.fast"), Models::seeded().resolve("code.fast"));
        let release = models.resolve("auto").unwrap().release.to_string();
        assert_eq!((release.len(), &release[..4]), (30, "alr_"));
    }

    #[test]
    fn any_other_name_is_unknown() {
        for name in ["", "code", "code.unknown", "CODE.FAST", "gpt-4o", "auto ", "openai/gpt-4o@2025-01-01"] {
            assert_eq!(Models::seeded().resolve(name), None, "{name}");
        }
    }
}
