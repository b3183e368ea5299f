//! Conversations, what a request continues, and the keys of summaries.

use rusqlite::{Row, params};
use serde_json::Value;
use zumik_types::{Conversation, ConversationId, Extra, JsonObject, ObjectType, V1ResponseId};

use super::Db;
use crate::domain::CompactionKey;
use crate::store::durable::continued::{Kept, Turns};
use crate::store::durable::conversations::{METADATA, SealedConversation, key_place};
use crate::store::durable::ids::PublicId;
use crate::store::durable::place;
use crate::store::durable::responses::ResponseName;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::nothing_to_continue;
use crate::store::{Continued, Kind, ProjectCtx, Result, StoreError};

/// A response that is continued, and where its texts are.
struct Member {
    row: i64,
    conversation: Option<i64>,
    id: V1ResponseId,
    content: i64,
    input_items: Option<i64>,
}

/// The columns of [`read_member`].
const MEMBER: &str = "SELECT id, conversation, public_id, content, input_items FROM responses";

impl Db<'_> {
    pub(super) fn create_conversation(
        &self,
        ctx: &ProjectCtx,
        new: &SealedConversation,
    ) -> Result<Conversation> {
        let metadata = new.metadata.as_ref().map(|record| self.insert_content(record)).transpose()?;
        let created_at = seconds(new.conversation.created_at);
        self.run(
            "INSERT INTO conversations (public_id, project, created_at, metadata) VALUES (?1, ?2, ?3, ?4)",
            params![new.key, self.project(ctx)?, created_at, metadata],
        )?;
        Ok(new.conversation.clone())
    }

    pub(super) fn retrieve_conversation(
        &self,
        ctx: &ProjectCtx,
        id: &ConversationId,
    ) -> Result<Conversation> {
        let missing = || StoreError::not_found(Kind::Conversation, id);
        let key = id.key().ok_or_else(missing)?;
        let found: Option<(i64, Option<i64>)> = self.one(
            "SELECT created_at, metadata FROM conversations
             WHERE public_id = ?1 AND project = ?2 AND deleted = 0",
            params![key, self.project(ctx)?],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (created_at, metadata) = found.ok_or_else(missing)?;
        let metadata = match metadata {
            Some(content) => serde_json::from_slice(&self.open_content(content, &place(METADATA, &key))?)?,
            None => JsonObject::default(),
        };
        Ok(Conversation {
            id: id.clone(),
            object: ObjectType::Conversation,
            created_at: time(created_at),
            metadata,
            extra: Extra::new(),
        })
    }

    pub(super) fn delete_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<()> {
        let row =
            self.live_conversation(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::Conversation, id))?;
        self.erase_content(self.value("SELECT metadata FROM conversations WHERE id = ?1", [row])?)?;
        self.run("UPDATE conversations SET deleted = 1, metadata = NULL WHERE id = ?1", [row])?;
        Ok(())
    }

    /// The row of a conversation that has not been deleted.
    pub(super) fn live_conversation(&self, ctx: &ProjectCtx, id: &ConversationId) -> Result<Option<i64>> {
        self.one(
            "SELECT id FROM conversations WHERE public_id = ?1 AND project = ?2 AND deleted = 0",
            params![id.key(), self.project(ctx)?],
            |row| row.get(0),
        )
    }

    pub(super) fn read_history(&self, ctx: &ProjectCtx, of: &Continued, most: usize) -> Result<Vec<Value>> {
        let mut turns = Turns::new(of, most);
        match of {
            Continued::Conversation(id) => {
                let row = self.live_conversation(ctx, id)?.ok_or_else(|| nothing_to_continue(of))?;
                self.conversation_turns(ctx, row, i64::MAX, &mut turns)?;
            }
            Continued::Response(id) => self.chain_turns(ctx, id, &mut turns)?,
        }
        Ok(turns.items())
    }

    /// A response, the one that it continues, and so on.
    fn chain_turns(&self, ctx: &ProjectCtx, id: &V1ResponseId, turns: &mut Turns<'_>) -> Result<()> {
        let sql =
            format!("{MEMBER} WHERE public_id = ?1 AND surface = ?2 AND project = ?3 AND expires_at > ?4");
        let mut next = Some(id.clone());
        while let Some(id) = next {
            let surface = ResponseName::V1(id.clone()).surface();
            let params = params![id.key(), surface, self.project(ctx)?, seconds(ctx.now)];
            let member = self.one(&sql, params, read_member)?;
            next =
                turns.take_link(&id, member.as_ref().map(|member| self.open_member(member)).transpose()?)?;
            if let Some(Member { row, conversation: Some(conversation), .. }) = member {
                self.conversation_turns(ctx, conversation, row, turns)?;
            }
        }
        Ok(())
    }

    /// The responses of a conversation that come before a row and came to an output.
    fn conversation_turns(
        &self,
        ctx: &ProjectCtx,
        conversation: i64,
        before: i64,
        turns: &mut Turns<'_>,
    ) -> Result<()> {
        let sql = format!(
            "{MEMBER} WHERE conversation = ?1 AND id < ?2 AND project = ?3 AND open = 0 AND expires_at > ?4
             ORDER BY id DESC"
        );
        let params = params![conversation, before, self.project(ctx)?, seconds(ctx.now)];
        let members = self.all(&sql, params, read_member)?;
        members.iter().try_for_each(|member| turns.take_member(self.open_member(member)?))
    }

    fn open_member(&self, member: &Member) -> Result<Kept> {
        let name = ResponseName::V1(member.id.clone());
        let response = self.open_response(&name, member.content)?.v1()?;
        let given = member.input_items.map(|content| self.open_items(&name, content)).transpose()?;
        Ok(Kept { response, given })
    }

    pub(super) fn compaction_key(&self, ctx: &ProjectCtx) -> Result<Option<CompactionKey>> {
        let content: Option<i64> = self.one(
            "SELECT content FROM compaction_keys WHERE project = ?1",
            [self.project(ctx)?],
            |row| row.get(0),
        )?;
        let Some(content) = content else { return Ok(None) };
        let bytes = zeroize::Zeroizing::new(self.open_content(content, &key_place(ctx))?);
        let key = CompactionKey::from_bytes(&bytes);
        key.map(Some).ok_or_else(|| StoreError::internal("a compaction key is damaged"))
    }

    /// The key of a project, made now unless another call was faster.
    pub(super) fn make_compaction_key(&self, ctx: &ProjectCtx) -> Result<CompactionKey> {
        if let Some(key) = self.compaction_key(ctx)? {
            return Ok(key);
        }
        let key = CompactionKey::mint(&*self.env.mint);
        let content = self.seal_content(&key_place(ctx), key.as_bytes())?;
        self.run(
            "INSERT INTO compaction_keys (project, content) VALUES (?1, ?2)",
            params![self.project(ctx)?, content],
        )?;
        Ok(key)
    }
}

fn read_member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        row: row.get(0)?,
        conversation: row.get(1)?,
        id: V1ResponseId::from_key(row.get(2)?),
        content: row.get(3)?,
        input_items: row.get(4)?,
    })
}
