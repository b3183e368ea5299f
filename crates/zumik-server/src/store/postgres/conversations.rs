//! Conversations, what a request continues, and the keys of summaries.

use serde_json::Value;
use zumik_types::{
    Conversation, ConversationId, CreateConversationRequest, Extra, JsonObject, ObjectType, V1ResponseId,
};

use super::db::{Db, Env, id, key};
use crate::domain::CompactionKey;
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::responses::ResponseName;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{broken_chain, nothing_to_continue, still_open, turn, whole_seconds};
use crate::store::{Continued, Kind, ProjectCtx, Result, StoreError};

/// The kinds of place that metadata and keys are sealed for.
const METADATA: &str = "conversation metadata";
const KEY: &str = "compaction key";

/// A conversation ready to be inserted: minted and sealed ahead.
pub(super) struct SealedConversation {
    conversation: Conversation,
    key: [u8; 16],
    metadata: Option<Vec<u8>>,
}

impl SealedConversation {
    pub(super) fn new(env: &Env, ctx: &ProjectCtx, request: CreateConversationRequest) -> Result<Self> {
        let key = env.mint.ulid(ctx.now).to_bytes();
        let conversation = Conversation {
            id: ConversationId::from_key(key),
            object: ObjectType::Conversation,
            created_at: whole_seconds(ctx.now),
            metadata: request.metadata.unwrap_or_default(),
            extra: Extra::new(),
        };
        let metadata = if conversation.metadata.is_empty() {
            None
        } else {
            let text = serde_json::to_vec(&conversation.metadata)?;
            Some(env.vault.seal(&*env.mint, &place(METADATA, &key), &text)?)
        };
        Ok(Self { conversation, key, metadata })
    }
}

/// The turns of a history as they are collected, newest first.
struct Turns<'a> {
    of: &'a Continued,
    found: Vec<Vec<Value>>,
    left: usize,
}

impl Db<'_, '_> {
    pub(super) async fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        new: &SealedConversation,
    ) -> Result<Conversation> {
        self.run(
            "INSERT INTO conversations (public_id, project, created_at, metadata) VALUES ($1, $2, $3, $4)",
            &[&&new.key[..], &self.project(ctx).await?, &seconds(new.conversation.created_at), &new.metadata],
        )
        .await?;
        Ok(new.conversation.clone())
    }

    pub(super) async fn retrieve_conversation(
        &self,
        ctx: &ProjectCtx,
        conversation: &ConversationId,
    ) -> Result<Conversation> {
        let missing = || StoreError::not_found(Kind::Conversation, conversation);
        let key = conversation.key().ok_or_else(missing)?;
        self.one(
            "SELECT created_at, metadata FROM conversations WHERE public_id = $1 AND project = $2 AND NOT deleted",
            &[&&key[..], &self.project(ctx).await?],
            |row| {
                let metadata = match row.try_get::<_, Option<&[u8]>>(1)? {
                    Some(sealed) => {
                        serde_json::from_slice(&self.env.vault.open(&place(METADATA, &key), sealed)?)?
                    }
                    None => JsonObject::default(),
                };
                Ok(Conversation {
                    id: conversation.clone(),
                    object: ObjectType::Conversation,
                    created_at: time(row.try_get(0)?),
                    metadata,
                    extra: Extra::new(),
                })
            },
        )
        .await?
        .ok_or_else(missing)
    }

    pub(super) async fn delete_conversation(
        &self,
        ctx: &ProjectCtx,
        conversation: &ConversationId,
    ) -> Result<()> {
        let deleted = self
            .run(
                "UPDATE conversations SET deleted = true, metadata = NULL
                 WHERE public_id = $1 AND project = $2 AND NOT deleted",
                &[&key(conversation), &self.project(ctx).await?],
            )
            .await?;
        if deleted == 0 { Err(StoreError::not_found(Kind::Conversation, conversation)) } else { Ok(()) }
    }

    /// The row of a conversation that has not been deleted.
    pub(super) async fn live_conversation(
        &self,
        ctx: &ProjectCtx,
        conversation: &ConversationId,
    ) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM conversations WHERE public_id = $1 AND project = $2 AND NOT deleted",
            &[&key(conversation), &self.project(ctx).await?],
            |row| Ok(row.try_get(0)?),
        )
        .await
    }

    pub(super) async fn read_history(
        &self,
        ctx: &ProjectCtx,
        of: &Continued,
        most: usize,
    ) -> Result<Vec<Value>> {
        let mut turns = Turns { of, found: Vec::new(), left: most };
        match of {
            Continued::Conversation(id) => {
                let row = self.live_conversation(ctx, id).await?.ok_or_else(|| nothing_to_continue(of))?;
                self.conversation_turns(ctx, row, i64::MAX, &mut turns).await?;
            }
            Continued::Response(id) => self.chain_turns(ctx, id, &mut turns).await?,
        }
        Ok(turns.found.into_iter().rev().flatten().collect())
    }

    /// A response, the one that it continues, and so on.
    async fn chain_turns(&self, ctx: &ProjectCtx, id: &V1ResponseId, turns: &mut Turns<'_>) -> Result<()> {
        let mut next = Some(id.clone());
        while let Some(id) = next {
            let name = ResponseName::V1(id.clone());
            let response = match self.retrieve_response(ctx, &name).await {
                Ok(response) => response.v1()?,
                Err(StoreError::NotFound { .. }) if turns.found.is_empty() => {
                    return Err(nothing_to_continue(turns.of));
                }
                Err(StoreError::NotFound { .. }) => return Err(broken_chain(turns.of, &id)),
                Err(error) => return Err(error),
            };
            if response.is_open() {
                return Err(still_open(turns.of, &id));
            }
            let given = self.input_items(ctx, &name).await?;
            turns.found.push(turn(turns.of, &response, given, &mut turns.left)?);
            let tied = self
                .one(
                    "SELECT id, conversation FROM responses
                     WHERE public_id = $1 AND surface = $2 AND conversation IS NOT NULL",
                    &[&key(&id), &name.surface()],
                    |row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?)),
                )
                .await?;
            if let Some((row, conversation)) = tied {
                self.conversation_turns(ctx, conversation, row, turns).await?;
            }
            next = response.previous();
        }
        Ok(())
    }

    /// The responses of a conversation that come before a row and came to an output.
    async fn conversation_turns(
        &self,
        ctx: &ProjectCtx,
        conversation: i64,
        before: i64,
        turns: &mut Turns<'_>,
    ) -> Result<()> {
        let ids: Vec<V1ResponseId> = self
            .all(
                "SELECT public_id FROM responses
                 WHERE conversation = $1 AND id < $2 AND worker IS NULL AND expires_at > $3 ORDER BY id DESC",
                &[&conversation, &before, &seconds(ctx.now)],
                |row| id(row, 0),
            )
            .await?;
        for id in ids {
            let name = ResponseName::V1(id);
            let response = self.retrieve_response(ctx, &name).await?.v1()?;
            if response.is_complete() {
                let given = self.input_items(ctx, &name).await?;
                turns.found.push(turn(turns.of, &response, given, &mut turns.left)?);
            }
        }
        Ok(())
    }

    pub(super) async fn compaction_key(&self, ctx: &ProjectCtx) -> Result<Option<CompactionKey>> {
        self.one(
            "SELECT sealed FROM compaction_keys WHERE project = $1",
            &[&self.project(ctx).await?],
            |row| {
                let bytes = self.env.vault.open(&key_place(ctx), row.try_get(0)?)?;
                CompactionKey::from_bytes(&zeroize::Zeroizing::new(bytes))
                    .ok_or_else(|| StoreError::internal("a compaction key is damaged"))
            },
        )
        .await
    }

    /// The key of a project, made now unless another call was faster.
    pub(super) async fn make_compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey> {
        if let Some(key) = self.compaction_key(ctx).await? {
            return Ok(key);
        }
        let key = CompactionKey::mint(&*self.env.mint);
        let sealed = self.env.vault.seal(&*self.env.mint, &key_place(ctx), key.as_bytes())?;
        let sql = "INSERT INTO compaction_keys (project, sealed) VALUES ($1, $2)";
        self.run(sql, &[&self.project(ctx).await?, &sealed]).await?;
        Ok(key)
    }
}

fn key_place(ctx: &ProjectCtx) -> Vec<u8> {
    place(KEY, ctx.project.as_str().as_bytes())
}
