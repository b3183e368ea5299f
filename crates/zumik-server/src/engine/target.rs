//! What runs a generation: the resolution of a model name.

use std::sync::Arc;

use zumik_types::{ExecutionMode, ExecutionProfile, ModelAliasReleaseId};

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// `Agent-Resolved-Provider`: the name of the upstream.
    pub(crate) provider: Arc<str>,
    /// The model as the provider calls it.
    pub(crate) model: Arc<str>,
    /// The revision that the release names, if it does.
    pub(crate) revision: Option<Arc<str>>,
    /// `Agent-Region`
    pub(crate) region: Arc<str>,
    /// `Agent-Execution-Profile`
    pub(crate) profile: ExecutionProfile,
    /// `Agent-Execution-Mode`
    pub(crate) mode: ExecutionMode,
    /// The release that the alias led to; nothing for a name that is no alias.
    pub(crate) release: Option<ModelAliasReleaseId>,
}

impl Target {
    /// The target of a server without an upstream.
    pub(crate) fn placeholder(release: Option<ModelAliasReleaseId>) -> Self {
        Self {
            provider: "placeholder".into(),
            model: "placeholder".into(),
            revision: Some("1".into()),
            region: "local".into(),
            profile: ExecutionProfile::ManagedProvider,
            mode: ExecutionMode::Placeholder,
            release,
        }
    }

    /// Whether no model is behind it.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.mode == ExecutionMode::Placeholder
    }

    /// `Agent-Resolved-Model`: the model, and behind an `@` the revision if there is one.
    pub(crate) fn resolved_model(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{}@{revision}", self.model),
            None => self.model.to_string(),
        }
    }
}

/// Where a request goes: the target that was drawn, and the others of its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The model as the caller named it.
    pub(crate) requested: Arc<str>,
    /// The first choice.
    pub(crate) first: Target,
    /// Who may serve when the first choice cannot and the caller allows it, the likeliest first.
    pub(crate) others: Vec<Target>,
}

impl Route {
    /// Whether no model is there to answer: the server has no upstream.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.first.is_placeholder()
    }
}
