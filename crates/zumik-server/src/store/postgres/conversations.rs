//! Conversations, what a request continues, and the keys of summaries.

use serde_json::Value;
use tokio_postgres::Row;
use zumik_types::{Conversation, ConversationId, Extra, JsonObject, ObjectType, V1ResponseId};

use super::db::{Db, Param, bytes, key};
use crate::domain::CompactionKey;
use crate::store::durable::continued::{Kept, Turns};
use crate::store::durable::conversations::{METADATA, SealedConversation, key_place};
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::responses::ResponseName;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::nothing_to_continue;
use crate::store::{Continued, Kind, ProjectCtx, Result, StoreError};

/// Responses of a conversation that are read at one time.
const PAGE: u64 = 32;

/// What is read of a response that is continued.
const MEMBER: &str = "SELECT id, conversation, public_id, content, input_items FROM responses";

/// A response that is continued.
struct Member {
    row: i64,
    conversation: Option<i64>,
    kept: Kept,
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
        let mut turns = Turns::new(of, most);
        match of {
            Continued::Conversation(id) => {
                let row = self.live_conversation(ctx, id).await?.ok_or_else(|| nothing_to_continue(of))?;
                self.conversation_turns(ctx, row, i64::MAX, &mut turns).await?;
            }
            Continued::Response(id) => self.chain_turns(ctx, id, &mut turns).await?,
        }
        Ok(turns.items())
    }

    /// A response, the one that it continues, and so on.
    async fn chain_turns(&self, ctx: &ProjectCtx, id: &V1ResponseId, turns: &mut Turns<'_>) -> Result<()> {
        let sql =
            format!("{MEMBER} WHERE public_id = $1 AND surface = $2 AND project = $3 AND expires_at > $4");
        let mut next = Some(id.clone());
        while let Some(id) = next {
            let name = ResponseName::V1(id.clone());
            let params: &[Param<'_>] =
                &[&key(&id), &name.surface(), &self.project(ctx).await?, &seconds(ctx.now)];
            let member = self.one(&sql, params, |row| self.read_member(row)).await?;
            let tied = member.as_ref().and_then(|member| Some((member.conversation?, member.row)));
            next = turns.take_link(&id, member.map(|member| member.kept))?;
            if let Some((conversation, row)) = tied {
                self.conversation_turns(ctx, conversation, row, turns).await?;
            }
        }
        Ok(())
    }

    /// The responses of a conversation that come before a row and came to an output. They are read a few at a time: what
    /// was asked for and is too long comes all the same, and holds up the connection.
    async fn conversation_turns(
        &self,
        ctx: &ProjectCtx,
        conversation: i64,
        mut before: i64,
        turns: &mut Turns<'_>,
    ) -> Result<()> {
        let sql = format!(
            "{MEMBER} WHERE conversation = $1 AND (conversation, id) < ($1, $2) AND project = $3 AND worker IS NULL
               AND expires_at > $4 ORDER BY id DESC LIMIT {PAGE}"
        );
        let project = self.project(ctx).await?;
        loop {
            let mut read = 0;
            let last = before;
            let params: &[Param<'_>] = &[&conversation, &last, &project, &seconds(ctx.now)];
            self.for_each(&sql, params, |row| {
                let member = self.read_member(row)?;
                (read, before) = (read + 1, member.row);
                turns.take_member(member.kept)
            })
            .await?;
            if read < PAGE {
                return Ok(());
            }
        }
    }

    /// A response from a row of [`MEMBER`].
    fn read_member(&self, row: &Row) -> Result<Member> {
        let key = bytes(row.try_get(2)?)?;
        let name = ResponseName::V1(V1ResponseId::from_key(key));
        let response = self.open_response(&name, row.try_get(3)?)?.v1()?;
        let given = row.try_get::<_, Option<&[u8]>>(4)?;
        let given = given.map(|sealed| self.open_items(&key, sealed)).transpose()?;
        Ok(Member { row: row.try_get(0)?, conversation: row.try_get(1)?, kept: Kept { response, given } })
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
