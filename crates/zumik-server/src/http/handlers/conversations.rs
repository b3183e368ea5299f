//! Conversations (contract `v1.md`, "Conversations").

use zumik_types::{ConversationId, CreateConversationRequest, DeletedConversation, Extra, ObjectType};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// `POST /v1/conversations`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let body = call.optional_json()?;
    let metadata = Fields::of(&body).optional_map("metadata")?;
    let request = CreateConversationRequest { metadata, extra: Extra::new() };
    Ok(call.app.store.create_conversation(&call.ctx, request, call.key.take()).await?.into())
}

/// `GET /v1/conversations/{conversation_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Conversation)?;
    let conversation = call.app.store.retrieve_conversation(&call.ctx, &id).await?;
    call.reply(&conversation)
}

/// `DELETE /v1/conversations/{conversation_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: ConversationId = call.path_id(0, Kind::Conversation)?;
    call.app.store.delete_conversation(&call.ctx, &id).await?;
    call.reply(&DeletedConversation {
        id,
        object: ObjectType::ConversationDeleted,
        deleted: true,
        extra: Extra::new(),
    })
}
