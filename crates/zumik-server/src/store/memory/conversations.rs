//! Conversations of the model, and what a request continues.

use serde_json::Value;
use zumik_types::{Conversation, ConversationId, CreateConversationRequest, Extra, ObjectType, V1ResponseId};

use super::generations::is_kept;
use super::state::{ResponseEntry, ResponseKey, State};
use crate::domain::{CompactionKey, ResponseObject};
use crate::store::rules::{broken_chain, nothing_to_continue, still_open, turn, whole_seconds};
use crate::store::{Continued, Kind, ProjectCtx, Result, StoreError, StoredResponse};

impl State {
    pub(super) fn create_conversation(
        &mut self,
        ctx: &ProjectCtx,
        request: CreateConversationRequest,
    ) -> Conversation {
        let conversation = Conversation {
            id: ConversationId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Conversation,
            created_at: whole_seconds(ctx.now),
            metadata: request.metadata.unwrap_or_default(),
            extra: Extra::new(),
        };
        let entry = (ctx.project.clone(), conversation.clone());
        self.conversations.insert(conversation.id.clone(), entry);
        conversation
    }

    pub(super) fn conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<&Conversation> {
        let found = self.conversations.get(id).filter(|(project, _)| *project == ctx.project);
        found.map(|(_, found)| found).ok_or_else(|| StoreError::not_found(Kind::Conversation, id))
    }

    pub(super) fn delete_conversation(&mut self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()> {
        self.conversation(ctx, id)?;
        self.conversations.shift_remove(id);
        Ok(())
    }

    /// The conversation that a new response is tied to, if it is still there.
    pub(super) fn conversation_of(
        &self,
        ctx: &ProjectCtx,
        response: &StoredResponse,
    ) -> Option<ConversationId> {
        let StoredResponse::V1(response) = response else { return None };
        let id = response.conversation()?;
        self.conversation(ctx, &id).is_ok().then_some(id)
    }

    pub(super) fn compaction_key(&mut self, ctx: &ProjectCtx) -> CompactionKey {
        let mint = &*self.mint;
        self.compaction_keys.entry(ctx.project.clone()).or_insert_with(|| CompactionKey::mint(mint)).clone()
    }

    pub(super) fn read_history(&self, ctx: &ProjectCtx, of: &Continued, most: usize) -> Result<Vec<Value>> {
        let mut turns = Vec::new();
        let mut left = most;
        match of {
            Continued::Conversation(id) => {
                self.conversation(ctx, id).map_err(|_| nothing_to_continue(of))?;
                self.turns_before(ctx, of, id, self.responses.len(), &mut turns, &mut left)?;
            }
            Continued::Response(id) => {
                let mut next = Some(id.clone());
                while let Some(id) = next {
                    let (place, entry, response) =
                        self.continued(ctx, &id).ok_or_else(|| match turns.len() {
                            0 => nothing_to_continue(of),
                            _ => broken_chain(of, &id),
                        })?;
                    if response.is_open() {
                        return Err(still_open(of, &id));
                    }
                    turns.push(turn(of, response, entry.input_items.clone(), &mut left)?);
                    if let Some(conversation) = &entry.conversation {
                        self.turns_before(ctx, of, conversation, place, &mut turns, &mut left)?;
                    }
                    next = response.previous();
                }
            }
        }
        Ok(turns.into_iter().rev().flatten().collect())
    }

    /// Adds the turns of a conversation, newest first, of those responses that come before a place.
    fn turns_before(
        &self,
        ctx: &ProjectCtx,
        of: &Continued,
        id: &ConversationId,
        before: usize,
        turns: &mut Vec<Vec<Value>>,
        left: &mut usize,
    ) -> Result<()> {
        for (_, entry) in self.responses[..before].iter().rev() {
            let tied = entry.conversation.as_ref() == Some(id) && is_kept(entry, ctx);
            if let StoredResponse::V1(response) = &entry.response
                && tied
                && response.is_complete()
            {
                turns.push(turn(of, response, entry.input_items.clone(), left)?);
            }
        }
        Ok(())
    }

    fn continued(
        &self,
        ctx: &ProjectCtx,
        id: &V1ResponseId,
    ) -> Option<(usize, &ResponseEntry, &ResponseObject)> {
        let (place, _, entry) = self.responses.get_full(&ResponseKey::V1(id.clone()))?;
        match &entry.response {
            StoredResponse::V1(response) if is_kept(entry, ctx) => Some((place, entry, response)),
            _ => None,
        }
    }
}
