//! Conversations, sealed ahead of the transaction that keeps them, and what their texts are sealed for.

use zumik_types::{Conversation, ConversationId, CreateConversationRequest, Extra, ObjectType};

use super::ids::PublicId as _;
use super::{Seal, place};
use crate::store::rules::whole_seconds;
use crate::store::{ProjectCtx, Result};

/// The kind of place that metadata are sealed for.
pub(in crate::store) const METADATA: &str = "conversation metadata";

/// The kind of place that the keys of summaries are sealed for.
const KEY: &str = "compaction key";

/// A conversation ready to be inserted: minted and sealed ahead.
pub(in crate::store) struct SealedConversation {
    pub(in crate::store) conversation: Conversation,
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) metadata: Option<Vec<u8>>,
}

impl SealedConversation {
    pub(in crate::store) fn new(
        env: &impl Seal,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
    ) -> Result<Self> {
        let key = env.mint().ulid(ctx.now).to_bytes();
        let conversation = Conversation {
            id: ConversationId::from_key(key),
            object: ObjectType::Conversation,
            created_at: whole_seconds(ctx.now),
            metadata: request.metadata.unwrap_or_default(),
            extra: Extra::new(),
        };
        let metadata = match conversation.metadata.is_empty() {
            true => None,
            false => Some(env.seal(&place(METADATA, &key), &serde_json::to_vec(&conversation.metadata)?)?),
        };
        Ok(Self { conversation, key, metadata })
    }
}

/// What the key of a project's summaries is sealed for.
pub(in crate::store) fn key_place(ctx: &ProjectCtx) -> Vec<u8> {
    place(KEY, ctx.project.as_str().as_bytes())
}
