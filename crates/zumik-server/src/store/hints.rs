//! Agent hints that requests refer to by id.

use async_trait::async_trait;
use zumik_types::{AgentHints, AgentHintsId, StoredAgentHints};

use super::{Idempotency, ProjectCtx, Result, Written};

/// The state of stored hints. They never change.
#[async_trait]
pub trait HintStore: Send + Sync + 'static {
    /// Stores hints under a new id.
    async fn create_agent_hints(
        &self,
        ctx: &ProjectCtx,
        hints: AgentHints,
        key: Option<Idempotency>,
    ) -> Result<Written<StoredAgentHints>>;

    /// Stored hints.
    async fn retrieve_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<StoredAgentHints>;

    /// Removes stored hints.
    async fn delete_agent_hints(&self, ctx: &ProjectCtx, id: &AgentHintsId) -> Result<()>;
}
