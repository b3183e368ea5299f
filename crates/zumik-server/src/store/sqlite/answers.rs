//! Idempotency keys: found before everything else, answered in the transaction of their effect.

use rusqlite::params;
use serde::{Deserialize, Serialize};
use zumik_types::TraceId;

use super::Db;
use super::contents::place;
use crate::store::{
    ANSWER_LIFETIME, Answer, Idempotency, LEASE, Lease, ProjectCtx, Reserved, Result, StoreError,
};

/// A key that is free to be used.
pub(super) struct Free {
    lookup: [u8; 16],
    fingerprint: [u8; 32],
    /// A row of an earlier use that is over: to be replaced.
    stale: Option<i64>,
    epoch: i64,
}

/// What a key gives.
pub(super) enum Found {
    Answered(Answer),
    Free(Free),
}

struct Row {
    id: i64,
    fingerprint: [u8; 32],
    expires_at: i64,
    epoch: i64,
    lease_until: Option<i64>,
    answered: bool,
    sealed: Option<Vec<u8>>,
    content: Option<i64>,
}

/// What is kept of an answer beside its body.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    trace: TraceId,
    headers: Vec<(String, String)>,
}

impl Db<'_> {
    /// Looks a key up, before anything else.
    pub(super) fn find_answer(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Found> {
        let lookup = key.lookup(&ctx.project);
        let free = |stale: Option<&Row>| Free {
            lookup,
            fingerprint: key.fingerprint,
            stale: stale.map(|row| row.id),
            epoch: stale.map_or(0, |row| row.epoch),
        };
        let Some(row) = self.answer_row(&lookup)? else {
            return Ok(Found::Free(free(None)));
        };
        let now = ctx.now.timestamp_millis();
        let live =
            if row.answered { row.expires_at > now } else { row.lease_until.is_some_and(|end| end > now) };
        if !live {
            return Ok(Found::Free(free(Some(&row))));
        }
        if row.fingerprint != key.fingerprint {
            return Err(StoreError::KeyReused);
        }
        if !row.answered {
            return Err(StoreError::InFlight);
        }
        let place = place("answer", &lookup);
        let bytes = match (row.sealed, row.content) {
            (Some(sealed), _) => self.env.vault.open(&place, &sealed)?,
            (None, Some(content)) => self.open_content(content, &place)?,
            (None, None) => return Err(StoreError::internal("a stored answer has no body")),
        };
        Ok(Found::Answered(decode(&bytes)?))
    }

    /// Keeps an answer under a key that is free. A purge of one of `artifacts` drops it.
    pub(super) fn keep_answer(
        &self,
        ctx: &ProjectCtx,
        free: &Free,
        answer: &Answer,
        artifacts: &[i64],
    ) -> Result<()> {
        let id = self.insert_answer(ctx, free, None)?;
        self.fill_answer(id, &free.lookup, answer, artifacts)
    }

    /// Holds a key until the lease ends; gives the row.
    pub(super) fn hold_answer(&self, ctx: &ProjectCtx, free: &Free, lease: chrono::TimeDelta) -> Result<i64> {
        self.insert_answer(ctx, free, Some((ctx.now + lease).timestamp_millis()))
    }

    /// Puts the answer into a row that was held for it.
    pub(super) fn fill_answer(
        &self,
        id: i64,
        lookup: &[u8; 16],
        answer: &Answer,
        artifacts: &[i64],
    ) -> Result<()> {
        let place = place("answer", lookup);
        let bytes = encode(answer)?;
        let (sealed, content) = if artifacts.is_empty() {
            (Some(self.env.vault.seal(&*self.env.mint, &place, &bytes)?), None)
        } else {
            (None, Some(self.seal_content(&place, &bytes)?))
        };
        self.run(
            "UPDATE answers SET lease_until = NULL, status = ?2, sealed = ?3, content = ?4 WHERE id = ?1",
            params![id, answer.status, sealed, content],
        )?;
        for artifact in artifacts {
            self.run(
                "INSERT OR IGNORE INTO answer_artifacts (artifact, answer) VALUES (?1, ?2)",
                params![artifact, id],
            )?;
        }
        Ok(())
    }

    /// Removes an answer with all that belongs to it.
    pub(super) fn erase_answer(&self, id: i64) -> Result<()> {
        let content: Option<Option<i64>> =
            self.one("SELECT content FROM answers WHERE id = ?1", [id], |row| row.get(0))?;
        self.erase_content(content.flatten())?;
        self.run("DELETE FROM answer_artifacts WHERE answer = ?1", [id])?;
        self.run("DELETE FROM answers WHERE id = ?1", [id])?;
        Ok(())
    }

    pub(super) fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved> {
        match self.find_answer(ctx, key)? {
            Found::Answered(answer) => Ok(Reserved::Replayed(answer)),
            Found::Free(free) => {
                self.hold_answer(ctx, &free, LEASE)?;
                let epoch = u64::try_from(free.epoch + 1).map_err(StoreError::internal)?;
                Ok(Reserved::Held(Lease { lookup: free.lookup, epoch }))
            }
        }
    }

    pub(super) fn renew(&self, lease: &Lease, until: i64) -> Result<()> {
        let changed = self.run(
            "UPDATE answers SET lease_until = ?3 WHERE lookup = ?1 AND epoch = ?2 AND status IS NULL",
            params![lease.lookup, lease.epoch, until],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    pub(super) fn release(&self, lease: &Lease) -> Result<()> {
        // The row stays, with its epoch, so that whoever takes the key next fences this holder out.
        self.run(
            "UPDATE answers SET lease_until = NULL WHERE lookup = ?1 AND epoch = ?2 AND status IS NULL",
            params![lease.lookup, lease.epoch],
        )?;
        Ok(())
    }

    /// The row that a lease still holds.
    pub(super) fn leased_answer(&self, lease: &Lease) -> Result<i64> {
        self.one(
            "SELECT id FROM answers WHERE lookup = ?1 AND epoch = ?2 AND status IS NULL",
            params![lease.lookup, lease.epoch],
            |row| row.get(0),
        )?
        .ok_or(StoreError::LeaseLost)
    }

    fn insert_answer(&self, ctx: &ProjectCtx, free: &Free, lease_until: Option<i64>) -> Result<i64> {
        if let Some(stale) = free.stale {
            self.erase_answer(stale)?;
        }
        self.insert(
            "INSERT INTO answers (lookup, fingerprint, expires_at, epoch, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                free.lookup,
                free.fingerprint,
                (ctx.now + ANSWER_LIFETIME).timestamp_millis(),
                free.epoch + 1,
                lease_until
            ],
        )
    }

    fn answer_row(&self, lookup: &[u8; 16]) -> Result<Option<Row>> {
        self.one(
            "SELECT id, fingerprint, expires_at, epoch, lease_until, status IS NOT NULL, sealed, content
             FROM answers WHERE lookup = ?1",
            [lookup],
            |row| {
                Ok(Row {
                    id: row.get(0)?,
                    fingerprint: row.get(1)?,
                    expires_at: row.get(2)?,
                    epoch: row.get(3)?,
                    lease_until: row.get(4)?,
                    answered: row.get(5)?,
                    sealed: row.get(6)?,
                    content: row.get(7)?,
                })
            },
        )
    }
}

/// A line of JSON, then the body.
fn encode(answer: &Answer) -> Result<Vec<u8>> {
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let mut bytes =
        serde_json::to_vec(&Head { status: answer.status, trace: answer.trace.clone(), headers })?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&answer.body);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Answer> {
    let damaged = || StoreError::internal("a stored answer is damaged");
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let head: Head = serde_json::from_slice(&bytes[..end])?;
    let headers = head.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let body = bytes[end + 1..].to_vec().into();
    Ok(Answer { status: head.status, trace: head.trace, headers, body })
}
