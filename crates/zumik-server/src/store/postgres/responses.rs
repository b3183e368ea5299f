//! Responses of both surfaces, sealed whole: they hold what a model said.

use serde_json::Value;
use zumik_types::{ArtifactId, NativeResponse, ResponseId, V1ResponseId};

use super::db::{Db, Env, bytes, id, key};
use crate::domain::ResponseObject;
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::responses::{INPUT_ITEMS, ResponseName, SealedResponse};
use crate::store::durable::times::seconds;
use crate::store::{Generation, Lease, ProjectCtx, Result, StoreError, StoredResponse};

/// A generation ready to be kept: sealed ahead.
pub(super) struct SealedGeneration {
    response: Option<SealedResponse>,
    begun: bool,
    expires_at: i64,
    materialized: Vec<ArtifactId>,
    /// The answer, and the lease that it is kept under.
    answer: Option<(Lease, Vec<u8>)>,
}

impl SealedGeneration {
    pub(super) fn new(env: &Env, generation: Generation, lease: Option<Lease>) -> Result<Self> {
        let items = generation.input_items.as_deref();
        let seal = |response| SealedResponse::new(env, response)?.with_items(env, items);
        let response = generation.response.as_ref().map(seal).transpose()?;
        let answer = match lease {
            Some(lease) => {
                let sealed = env.seal_answer(&lease.lookup, &generation.answer)?;
                Some((lease, sealed))
            }
            None => None,
        };
        Ok(Self {
            response,
            begun: generation.begun,
            expires_at: seconds(generation.expires_at),
            materialized: generation.materialized,
            answer,
        })
    }

    /// Whether someone still has to work on its response.
    pub(super) fn is_open(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.open)
    }
}

struct Found {
    row: i64,
    open: bool,
    content: Vec<u8>,
}

/// How long a response that was read stays as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It may change at once.
    No,
    /// Until the transaction ends, which is to change it.
    Alone,
}

impl Db<'_, '_> {
    /// Keeps the response of a generation, and its answer under the lease.
    pub(super) async fn commit_generation(
        &self,
        ctx: &ProjectCtx,
        generation: &SealedGeneration,
    ) -> Result<()> {
        let SealedGeneration { response, begun, expires_at, materialized, answer } = generation;
        // Artifacts before answers, as everywhere.
        let artifacts = match answer {
            Some(_) => self.artifacts_in_prompt(ctx, materialized).await?,
            None => None,
        };
        if let Some((lease, _)) = answer {
            self.check_lease(lease).await?;
        }
        match response {
            Some(response) if *begun => self.end_response(ctx, response).await?,
            Some(response) => self.insert_response(ctx, response, *expires_at).await?,
            None => {}
        }
        let Some((lease, sealed)) = answer else { return Ok(()) };
        match artifacts {
            Some(artifacts) => self.fill_answer(lease, sealed, &artifacts).await,
            // A purge overtook the call: what came out of the content is not kept for a repeat.
            None => self.release(lease).await,
        }
    }

    async fn insert_response(
        &self,
        ctx: &ProjectCtx,
        response: &SealedResponse,
        expires_at: i64,
    ) -> Result<()> {
        let worker = response.open.then_some(self.env.presence.number());
        let conversation = match &response.conversation {
            Some(id) => self.live_conversation(ctx, id).await?,
            None => None,
        };
        self.run(
            "INSERT INTO responses
               (surface, public_id, project, worker, content, input_items, expires_at, conversation)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &response.name.surface(),
                &&response.key[..],
                &self.project(ctx).await?,
                &worker,
                &response.content,
                &response.input_items,
                &expires_at,
                &conversation,
            ],
        )
        .await?;
        Ok(())
    }

    /// Writes the end of a response that was kept when it began, unless it has ended or was deleted meanwhile.
    async fn end_response(&self, ctx: &ProjectCtx, response: &SealedResponse) -> Result<()> {
        match self.find_response(ctx, &response.name, Hold::Alone).await {
            Ok(found) if found.open => self.replace_response(found.row, response).await,
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a response that has not ended; gives what is stored then.
    pub(super) async fn finish_response(
        &self,
        ctx: &ProjectCtx,
        response: &StoredResponse,
        sealed: &SealedResponse,
    ) -> Result<StoredResponse> {
        let found = self.find_response(ctx, &sealed.name, Hold::Alone).await?;
        if !found.open {
            return self.open_response(&sealed.name, &found.content);
        }
        self.replace_response(found.row, sealed).await?;
        Ok(response.clone())
    }

    pub(super) async fn cancel_response(
        &self,
        ctx: &ProjectCtx,
        name: &ResponseName,
    ) -> Result<StoredResponse> {
        let found = self.find_response(ctx, name, Hold::Alone).await?;
        let mut response = self.open_response(name, &found.content)?;
        if response.cancel() {
            self.replace_response(found.row, &SealedResponse::new(self.env, &response)?).await?;
        }
        Ok(response)
    }

    pub(super) async fn retrieve_response(
        &self,
        ctx: &ProjectCtx,
        name: &ResponseName,
    ) -> Result<StoredResponse> {
        let found = self.find_response(ctx, name, Hold::No).await?;
        self.open_response(name, &found.content)
    }

    /// The input items of a response, if they were kept.
    pub(super) async fn input_items(
        &self,
        ctx: &ProjectCtx,
        name: &ResponseName,
    ) -> Result<Option<Vec<Value>>> {
        let key = name.key().ok_or_else(|| name.missing())?;
        let sealed = self
            .one(
                "SELECT input_items FROM responses
                 WHERE public_id = $1 AND surface = $2 AND project = $3 AND expires_at > $4",
                &[&&key[..], &name.surface(), &self.project(ctx).await?, &seconds(ctx.now)],
                |row| Ok(row.try_get::<_, Option<Vec<u8>>>(0)?),
            )
            .await?
            .ok_or_else(|| name.missing())?;
        sealed.map(|sealed| self.open_items(&key, &sealed)).transpose()
    }

    /// Opens the input items of the response with this key.
    pub(super) fn open_items(&self, key: &[u8; 16], sealed: &[u8]) -> Result<Vec<Value>> {
        Ok(serde_json::from_slice(&self.env.vault.open(&place(INPUT_ITEMS, key), sealed)?)?)
    }

    pub(super) async fn delete_response(&self, ctx: &ProjectCtx, name: &ResponseName) -> Result<()> {
        let found = self.find_response(ctx, name, Hold::Alone).await?;
        self.run("DELETE FROM responses WHERE id = $1", &[&found.row]).await?;
        Ok(())
    }

    /// The replicas that have responses to work on.
    pub(super) async fn workers(&self) -> Result<Vec<i64>> {
        self.all("SELECT DISTINCT worker FROM responses WHERE worker IS NOT NULL", &[], |row| {
            Ok(row.try_get(0)?)
        })
        .await
    }

    /// Ends the open responses of a replica as failed.
    pub(super) async fn fail_responses_of(&self, worker: i64) -> Result<u64> {
        let open = self
            .all(
                "SELECT id, surface, public_id, content FROM responses WHERE worker = $1 FOR UPDATE SKIP LOCKED",
                &[&worker],
                |row| {
                    let key = bytes(row.try_get(2)?)?;
                    let name = match row.try_get::<_, i64>(1)? {
                        0 => ResponseName::Native(ResponseId::from_key(key)),
                        _ => ResponseName::V1(V1ResponseId::from_key(key)),
                    };
                    Ok((row.try_get::<_, i64>(0)?, name, row.try_get::<_, Vec<u8>>(3)?))
                },
            )
            .await?;
        for (row, name, content) in &open {
            let mut response = self.open_response(name, content)?;
            response.abandon();
            self.replace_response(*row, &SealedResponse::new(self.env, &response)?).await?;
        }
        Ok(open.len() as u64)
    }

    /// Those that nobody has to work on any more.
    pub(super) async fn ended_v1_responses(&self, ids: &[V1ResponseId]) -> Result<Vec<V1ResponseId>> {
        const SURFACE: i64 = 1;
        let keys: Vec<_> = ids.iter().filter_map(key).collect();
        self.all(
            "SELECT public_id FROM unnest($1::bytea[]) AS listed (public_id) WHERE NOT EXISTS
               (SELECT FROM responses WHERE responses.public_id = listed.public_id AND surface = $2
                AND worker IS NOT NULL)",
            &[&keys, &SURFACE],
            |row| id(row, 0),
        )
        .await
    }

    async fn find_response(&self, ctx: &ProjectCtx, name: &ResponseName, hold: Hold) -> Result<Found> {
        const FIND: &str = "SELECT id, worker IS NOT NULL, content FROM responses
             WHERE public_id = $1 AND surface = $2 AND project = $3 AND expires_at > $4";
        let sql = match hold {
            Hold::No => FIND.to_owned(),
            Hold::Alone => format!("{FIND} FOR UPDATE"),
        };
        let params: [super::db::Param<'_>; 4] = [
            &name.key().map(|key| key.to_vec()),
            &name.surface(),
            &self.project(ctx).await?,
            &seconds(ctx.now),
        ];
        self.one(&sql, &params, |row| {
            Ok(Found { row: row.try_get(0)?, open: row.try_get(1)?, content: row.try_get(2)? })
        })
        .await?
        .ok_or_else(|| name.missing())
    }

    async fn replace_response(&self, row: i64, sealed: &SealedResponse) -> Result<()> {
        self.run(
            "UPDATE responses SET content = $2, worker = CASE WHEN $3 THEN worker END WHERE id = $1",
            &[&row, &sealed.content, &sealed.open],
        )
        .await?;
        Ok(())
    }

    pub(super) fn open_response(&self, name: &ResponseName, sealed: &[u8]) -> Result<StoredResponse> {
        let key = name.key().ok_or_else(|| name.missing())?;
        let text = self.env.vault.open(&place("response", &key), sealed)?;
        Ok(match name {
            ResponseName::Native(_) => {
                StoredResponse::Native(Box::new(serde_json::from_slice::<NativeResponse>(&text)?))
            }
            ResponseName::V1(_) => StoredResponse::V1(Box::new(ResponseObject::from_record(&text)?)),
        })
    }

    /// The rows of the artifacts that a prompt held, or nothing when one has been purged since. No purge takes one
    /// while this transaction lasts.
    async fn artifacts_in_prompt(&self, ctx: &ProjectCtx, ids: &[ArtifactId]) -> Result<Option<Vec<i64>>> {
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut keys: Vec<_> = ids.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        let rows = self
            .all(
                "SELECT id FROM artifacts WHERE public_id = ANY($1) AND project = $2 AND state <> 2
                 ORDER BY id FOR SHARE",
                &[&keys, &self.project(ctx).await?],
                |row| Ok(row.try_get(0)?),
            )
            .await?;
        Ok((rows.len() == keys.len()).then_some(rows))
    }
}
