//! Stored agent hints (contract `v2.md`, "Agent hints").

use zumik_types::{AgentHintsId, DeletedAgentHints, Extra, ObjectType};

use super::hints;
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// The version of hints that name none.
const VERSION: &str = "2026-06-01";

/// `POST /v2/agent-hints`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let mut hints = hints::read(&Fields::of(&call.json()?))?;
    hints.version.get_or_insert_with(|| VERSION.to_owned());
    Ok(call.app.store.create_agent_hints(&call.ctx, hints, call.key.take()).await?.into())
}

/// `GET /v2/agent-hints/{agent_hints_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::AgentHints)?;
    let hints = call.app.store.retrieve_agent_hints(&call.ctx, &id).await?;
    call.reply(&hints)
}

/// `DELETE /v2/agent-hints/{agent_hints_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: AgentHintsId = call.path_id(0, Kind::AgentHints)?;
    call.app.store.delete_agent_hints(&call.ctx, &id).await?;
    call.reply(&DeletedAgentHints {
        id,
        object: ObjectType::AgentHintsDeleted,
        deleted: true,
        extra: Extra::new(),
    })
}
