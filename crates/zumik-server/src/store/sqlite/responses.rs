//! Responses of both surfaces, sealed whole: they hold what a model said.

use rusqlite::params;
use serde_json::Value;
use zumik_types::{ArtifactId, NativeResponse, ResponseId, V1ResponseId};

use super::Db;
use super::artifacts::PURGED;
use crate::domain::ResponseObject;
use crate::store::durable::ids::PublicId;
use crate::store::durable::place;
use crate::store::durable::responses::{INPUT_ITEMS, ResponseName, SealedResponse};
use crate::store::durable::times::seconds;
use crate::store::{Generation, Lease, ProjectCtx, Result, StoreError, StoredResponse};

struct Found {
    row: i64,
    content: i64,
    open: bool,
}

impl Db<'_> {
    /// Keeps the response of a generation, and its answer under the lease.
    pub(super) fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: &Generation,
        response: Option<&SealedResponse>,
        lease: Option<&Lease>,
    ) -> Result<()> {
        let held = lease.map(|lease| Ok::<_, StoreError>((self.leased_answer(lease)?, lease))).transpose()?;
        match response {
            Some(response) if generation.begun => self.end_response(ctx, response)?,
            Some(response) => self.insert_response(ctx, response, seconds(generation.expires_at))?,
            None => {}
        }
        let Some((row, lease)) = held else { return Ok(()) };
        match self.artifacts_in_prompt(ctx, &generation.materialized)? {
            Some(artifacts) => self.fill_answer(row, &lease.lookup, &generation.answer, &artifacts),
            // A purge overtook the call: what came out of the content is not kept for a repeat.
            None => self.release(lease),
        }
    }

    fn insert_response(&self, ctx: &ProjectCtx, response: &SealedResponse, expires_at: i64) -> Result<()> {
        let content = self.insert_content(&response.content)?;
        let items = response.input_items.as_ref().map(|items| self.insert_content(items)).transpose()?;
        let conversation = match &response.conversation {
            Some(id) => self.live_conversation(ctx, id)?,
            None => None,
        };
        self.run(
            "INSERT INTO responses
               (surface, public_id, project, open, content, input_items, expires_at, conversation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                response.name.surface(),
                response.key,
                self.project(ctx)?,
                response.open,
                content,
                items,
                expires_at,
                conversation,
            ],
        )?;
        Ok(())
    }

    /// Writes the end of a response that was kept when it began, unless it has ended or was deleted meanwhile.
    fn end_response(&self, ctx: &ProjectCtx, response: &SealedResponse) -> Result<()> {
        match self.find_response(ctx, &response.name) {
            Ok(found) if found.open => self.replace_response(&found, response),
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a response that has not ended; gives what is stored then.
    pub(super) fn finish_response(
        &self,
        ctx: &ProjectCtx,
        response: &StoredResponse,
        sealed: &SealedResponse,
    ) -> Result<StoredResponse> {
        let found = self.find_response(ctx, &sealed.name)?;
        if !found.open {
            return self.open_response(&sealed.name, found.content);
        }
        self.replace_response(&found, sealed)?;
        Ok(response.clone())
    }

    pub(super) fn cancel_response(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<StoredResponse> {
        let found = self.find_response(ctx, name)?;
        let mut response = self.open_response(name, found.content)?;
        if response.cancel() {
            self.replace_response(&found, &SealedResponse::new(self.env, &response)?)?;
        }
        Ok(response)
    }

    pub(super) fn retrieve_response(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<StoredResponse> {
        let found = self.find_response(ctx, name)?;
        self.open_response(name, found.content)
    }

    /// The input items of a response, if they were kept.
    pub(super) fn input_items(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<Option<Vec<Value>>> {
        let content: Option<i64> = self
            .one(
                "SELECT input_items FROM responses
                 WHERE public_id = ?1 AND surface = ?2 AND project = ?3 AND expires_at > ?4",
                params![name.key(), name.surface(), self.project(ctx)?, seconds(ctx.now)],
                |row| row.get(0),
            )?
            .ok_or_else(|| name.missing())?;
        content.map(|content| self.open_items(name, content)).transpose()
    }

    /// Opens the input items of a response.
    pub(super) fn open_items(&self, name: &ResponseName, content: i64) -> Result<Vec<Value>> {
        let key = name.key().ok_or_else(|| name.missing())?;
        Ok(serde_json::from_slice(&self.open_content(content, &place(INPUT_ITEMS, &key))?)?)
    }

    pub(super) fn delete_response(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<()> {
        let found = self.find_response(ctx, name)?;
        self.erase_response(found.row)
    }

    /// Removes a response with its text.
    pub(super) fn erase_response(&self, row: i64) -> Result<()> {
        let contents: Option<[Option<i64>; 2]> =
            self.one("SELECT content, input_items FROM responses WHERE id = ?1", [row], |row| {
                Ok([row.get(0)?, row.get(1)?])
            })?;
        for content in contents.into_iter().flatten() {
            self.erase_content(content)?;
        }
        self.run("DELETE FROM responses WHERE id = ?1", [row])?;
        Ok(())
    }

    /// Ends all open responses as failed.
    pub(super) fn fail_open_responses(&self) -> Result<u64> {
        let open =
            self.all("SELECT id, surface, public_id, content FROM responses WHERE open = 1", [], |row| {
                let key = row.get(2)?;
                let name = match row.get::<_, i64>(1)? {
                    0 => ResponseName::Native(ResponseId::from_key(key)),
                    _ => ResponseName::V1(V1ResponseId::from_key(key)),
                };
                Ok((name, Found { row: row.get(0)?, content: row.get(3)?, open: true }))
            })?;
        for (name, found) in &open {
            let mut response = self.open_response(name, found.content)?;
            response.abandon();
            self.replace_response(found, &SealedResponse::new(self.env, &response)?)?;
        }
        Ok(open.len() as u64)
    }

    /// Those that nobody has to work on any more.
    pub(super) fn ended_v1_responses(&self, ids: Vec<V1ResponseId>) -> Result<Vec<V1ResponseId>> {
        let mut ended = Vec::new();
        for id in ids {
            let name = ResponseName::V1(id);
            let open: Option<bool> = self.one(
                "SELECT open FROM responses WHERE public_id = ?1 AND surface = ?2",
                params![name.key(), name.surface()],
                |row| row.get(0),
            )?;
            if let (ResponseName::V1(id), None | Some(false)) = (name, open) {
                ended.push(id);
            }
        }
        Ok(ended)
    }

    fn find_response(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<Found> {
        self.one(
            "SELECT id, content, open FROM responses
             WHERE public_id = ?1 AND surface = ?2 AND project = ?3 AND expires_at > ?4",
            params![name.key(), name.surface(), self.project(ctx)?, seconds(ctx.now)],
            |row| Ok(Found { row: row.get(0)?, content: row.get(1)?, open: row.get(2)? }),
        )?
        .ok_or_else(|| name.missing())
    }

    fn replace_response(&self, found: &Found, sealed: &SealedResponse) -> Result<()> {
        self.erase_content(Some(found.content))?;
        let content = self.insert_content(&sealed.content)?;
        self.run(
            "UPDATE responses SET content = ?2, open = ?3 WHERE id = ?1",
            params![found.row, content, sealed.open],
        )?;
        Ok(())
    }

    pub(super) fn open_response(&self, name: &ResponseName, content: i64) -> Result<StoredResponse> {
        let key = name.key().ok_or_else(|| name.missing())?;
        let text = self.open_content(content, &place("response", &key))?;
        Ok(match name {
            ResponseName::Native(_) => {
                StoredResponse::Native(Box::new(serde_json::from_slice::<NativeResponse>(&text)?))
            }
            ResponseName::V1(_) => StoredResponse::V1(Box::new(ResponseObject::from_record(&text)?)),
        })
    }

    /// The rows of the artifacts that a prompt held, or nothing when one has been purged since.
    fn artifacts_in_prompt(&self, ctx: &ProjectCtx, ids: &[ArtifactId]) -> Result<Option<Vec<i64>>> {
        let project = self.project(ctx)?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            let row: Option<i64> = self.one(
                "SELECT id FROM artifacts WHERE public_id = ?1 AND project = ?2 AND state <> ?3",
                params![id.key(), project, PURGED],
                |row| row.get(0),
            )?;
            match row {
                Some(row) => rows.push(row),
                None => return Ok(None),
            }
        }
        Ok(Some(rows))
    }
}
