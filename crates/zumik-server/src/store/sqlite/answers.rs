//! Idempotency keys: found before everything else, answered in the transaction of their effect.

use rusqlite::params;

use super::Db;
use super::lookups::Lookup;
use crate::store::durable::answers::{decode, encode};
use crate::store::durable::place;
use crate::store::{
    ANSWER_LIFETIME, Answer, Idempotency, LEASE, Lease, ProjectCtx, Reserved, Result, StoreError,
};

/// A key that is free to be used.
pub(super) struct Free {
    lookup: Lookup,
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

/// Where an answer is kept.
struct Kept {
    sealed: Option<Vec<u8>>,
    content: Option<i64>,
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
        let kept = self.seal_answer(&free.lookup, answer, artifacts)?;
        let id = self.insert_answer(ctx, free, None, Some((answer.status, &kept)))?;
        self.link_answer(id, artifacts)
    }

    /// Holds a key until the lease ends; gives the row.
    pub(super) fn hold_answer(&self, ctx: &ProjectCtx, free: &Free, lease: chrono::TimeDelta) -> Result<i64> {
        self.insert_answer(ctx, free, Some((ctx.now + lease).timestamp_millis()), None)
    }

    /// Puts the answer into a row that was held for it. It is kept from now on, however long it was held.
    pub(super) fn fill_answer(
        &self,
        id: i64,
        lookup: &Lookup,
        answer: &Answer,
        artifacts: &[i64],
    ) -> Result<()> {
        let kept = self.seal_answer(lookup, answer, artifacts)?;
        self.run(
            "UPDATE answers SET lease_until = NULL, status = ?2, sealed = ?3, content = ?4, expires_at = ?5
             WHERE id = ?1",
            params![
                id,
                answer.status,
                kept.sealed,
                kept.content,
                (self.env.clock.now() + ANSWER_LIFETIME).timestamp_millis()
            ],
        )?;
        self.link_answer(id, artifacts)
    }

    /// Seals an answer: beside its row, or in `contents` when a purge must be able to erase it.
    fn seal_answer(&self, lookup: &Lookup, answer: &Answer, artifacts: &[i64]) -> Result<Kept> {
        let place = place("answer", lookup);
        let bytes = encode(answer)?;
        Ok(if artifacts.is_empty() {
            Kept { sealed: Some(self.env.vault.seal(&*self.env.mint, &place, &bytes)?), content: None }
        } else {
            Kept { sealed: None, content: Some(self.seal_content(&place, &bytes)?) }
        })
    }

    fn link_answer(&self, id: i64, artifacts: &[i64]) -> Result<()> {
        for artifact in artifacts {
            self.run(
                "INSERT OR IGNORE INTO answer_artifacts (artifact, answer) VALUES (?1, ?2)",
                params![artifact, id],
            )?;
        }
        Ok(())
    }

    /// Removes an answer with all that belongs to it. A purge that still runs fills it no more.
    pub(super) fn erase_answer(&self, id: i64) -> Result<()> {
        let content: Option<Option<i64>> =
            self.one("SELECT content FROM answers WHERE id = ?1", [id], |row| row.get(0))?;
        self.erase_content(content.flatten())?;
        self.run("DELETE FROM answer_artifacts WHERE answer = ?1", [id])?;
        self.run("UPDATE purge_jobs SET answer = NULL WHERE running = 1 AND answer = ?1", [id])?;
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
        let row = self.leased_answer(lease)?;
        self.run("UPDATE answers SET lease_until = ?2 WHERE id = ?1", [row, until])?;
        Ok(())
    }

    pub(super) fn release(&self, lease: &Lease) -> Result<()> {
        match self.leased_answer(lease) {
            // The row stays, with its epoch, so that whoever takes the key next fences this holder out.
            Ok(row) => self.run("UPDATE answers SET lease_until = NULL WHERE id = ?1", [row]).map(drop),
            Err(StoreError::LeaseLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The row that a lease still holds.
    pub(super) fn leased_answer(&self, lease: &Lease) -> Result<i64> {
        let row = self.answer_row(&lease.lookup)?;
        let held = row.filter(|row| !row.answered && u64::try_from(row.epoch) == Ok(lease.epoch));
        held.map(|row| row.id).ok_or(StoreError::LeaseLost)
    }

    fn insert_answer(
        &self,
        ctx: &ProjectCtx,
        free: &Free,
        lease_until: Option<i64>,
        kept: Option<(u16, &Kept)>,
    ) -> Result<i64> {
        if let Some(stale) = free.stale {
            self.erase_answer(stale)?;
        }
        let expires_at = (ctx.now + ANSWER_LIFETIME).timestamp_millis();
        let row = self.env.lookups.lock().file(free.lookup, expires_at);
        self.run(
            "INSERT INTO answers
               (id, lookup, fingerprint, expires_at, epoch, lease_until, status, sealed, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                row,
                free.lookup,
                free.fingerprint,
                expires_at,
                free.epoch + 1,
                lease_until,
                kept.map(|(status, _)| status),
                kept.and_then(|(_, kept)| kept.sealed.as_deref()),
                kept.and_then(|(_, kept)| kept.content),
            ],
        )?;
        Ok(row)
    }

    fn answer_row(&self, lookup: &Lookup) -> Result<Option<Row>> {
        for id in self.rows_of_key(lookup)? {
            let row = self.one(
                "SELECT fingerprint, expires_at, epoch, lease_until, status IS NOT NULL, sealed, content
                 FROM answers WHERE id = ?1 AND lookup = ?2",
                params![id, lookup],
                |row| {
                    Ok(Row {
                        id,
                        fingerprint: row.get(0)?,
                        expires_at: row.get(1)?,
                        epoch: row.get(2)?,
                        lease_until: row.get(3)?,
                        answered: row.get(4)?,
                        sealed: row.get(5)?,
                        content: row.get(6)?,
                    })
                },
            )?;
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }
}
