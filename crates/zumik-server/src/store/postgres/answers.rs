//! Idempotency keys: found before everything else, answered in the transaction of their effect.
//!
//! Of two transactions that use a free key at once, the one that inserts its row later is refused by the index, rolled
//! back with its effect, and run again; then it finds the other's answer.

use super::db::{Db, Env, bytes, count};
use super::fault::Race;
use crate::store::durable::answers::{decode, encode};
use crate::store::durable::place;
use crate::store::{
    ANSWER_LIFETIME, Answer, Idempotency, LEASE, Lease, ProjectCtx, Reserved, Result, StoreError,
};

/// A key that is free to be used.
pub(super) struct Free {
    pub(super) lookup: [u8; 16],
    pub(super) fingerprint: [u8; 32],
    /// The epoch of an earlier use that is over; its row is to be replaced.
    pub(super) stale: Option<u64>,
}

/// What a key gives.
pub(super) enum Found {
    Answered(Answer),
    Free(Free),
}

struct Row {
    fingerprint: [u8; 32],
    expires_at: i64,
    epoch: u64,
    lease_until: Option<i64>,
    sealed: Option<Vec<u8>>,
}

impl Env {
    /// Seals the answer of a key.
    pub(super) fn seal_answer(&self, lookup: &[u8; 16], answer: &Answer) -> Result<Vec<u8>> {
        Ok(self.vault.seal(&*self.mint, &place("answer", lookup), &encode(answer)?)?)
    }
}

impl Db<'_, '_> {
    /// Looks a key up, before anything else.
    pub(super) async fn find_answer(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Found> {
        let lookup = key.lookup(&ctx.project);
        let free = |stale| Found::Free(Free { lookup, fingerprint: key.fingerprint, stale });
        let row = self
            .one(
                "SELECT fingerprint, expires_at, epoch, lease_until, sealed FROM answers WHERE lookup = $1",
                &[&&lookup[..]],
                |row| {
                    Ok(Row {
                        fingerprint: bytes(row.try_get(0)?)?,
                        expires_at: row.try_get(1)?,
                        epoch: count(row, 2)?,
                        lease_until: row.try_get(3)?,
                        sealed: row.try_get(4)?,
                    })
                },
            )
            .await?;
        let Some(row) = row else { return Ok(free(None)) };
        let now = ctx.now.timestamp_millis();
        let live = match row.sealed {
            Some(_) => row.expires_at > now,
            None => row.lease_until.is_some_and(|end| end > now),
        };
        if !live {
            return Ok(free(Some(row.epoch)));
        }
        if row.fingerprint != key.fingerprint {
            return Err(StoreError::KeyReused);
        }
        let sealed = row.sealed.ok_or(StoreError::InFlight)?;
        Ok(Found::Answered(decode(&self.env.vault.open(&place("answer", &lookup), &sealed)?)?))
    }

    /// Keeps an answer under a key that is free. A purge of one of `artifacts` drops it.
    pub(super) async fn keep_answer(
        &self,
        ctx: &ProjectCtx,
        free: &Free,
        answer: &Answer,
        artifacts: &[i64],
    ) -> Result<()> {
        let sealed = self.env.seal_answer(&free.lookup, answer)?;
        self.insert_answer(ctx, free, None, Some(&sealed)).await?;
        self.link_answer(&free.lookup, artifacts).await
    }

    /// Puts the answer into the row that a lease holds. It is kept from now on, however long it was held.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    pub(super) async fn fill_answer(&self, lease: &Lease, sealed: &[u8], artifacts: &[i64]) -> Result<()> {
        let expires_at = (self.env.clock.now() + ANSWER_LIFETIME).timestamp_millis();
        self.leased(
            lease,
            "UPDATE answers SET lease_until = NULL, sealed = $3, expires_at = $4
             WHERE lookup = $1 AND epoch = $2 AND sealed IS NULL",
            &[&sealed, &expires_at],
        )
        .await?;
        self.link_answer(&lease.lookup, artifacts).await
    }

    async fn link_answer(&self, lookup: &[u8; 16], artifacts: &[i64]) -> Result<()> {
        if !artifacts.is_empty() {
            self.run(
                "INSERT INTO answer_artifacts (artifact, lookup) SELECT unnest($1::bigint[]), $2
                 ON CONFLICT DO NOTHING",
                &[&artifacts, &&lookup[..]],
            )
            .await?;
        }
        Ok(())
    }

    pub(super) async fn reserve(&self, ctx: &ProjectCtx, key: &Idempotency) -> Result<Reserved> {
        match self.find_answer(ctx, key).await? {
            Found::Answered(answer) => Ok(Reserved::Replayed(answer)),
            Found::Free(free) => {
                let until = (ctx.now + LEASE).timestamp_millis();
                let epoch = self.insert_answer(ctx, &free, Some(until), None).await?;
                Ok(Reserved::Held(Lease { lookup: free.lookup, epoch }))
            }
        }
    }

    pub(super) async fn renew(&self, lease: &Lease, until: i64) -> Result<()> {
        self.leased(
            lease,
            "UPDATE answers SET lease_until = $3 WHERE lookup = $1 AND epoch = $2 AND sealed IS NULL",
            &[&until],
        )
        .await
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<()> {
        // The row stays, with its epoch, so that whoever takes the key next fences this holder out.
        let released = self
            .leased(
                lease,
                "UPDATE answers SET lease_until = NULL WHERE lookup = $1 AND epoch = $2 AND sealed IS NULL",
                &[],
            )
            .await;
        match released {
            Err(StoreError::LeaseLost) => Ok(()),
            other => other,
        }
    }

    /// Changes the row that a lease holds; placeholders `$1` and `$2` are the lease.
    async fn leased(&self, lease: &Lease, sql: &str, more: &[super::db::Param<'_>]) -> Result<()> {
        let (lookup, epoch) = (&lease.lookup[..], super::db::stored(lease.epoch));
        let mut params: Vec<super::db::Param<'_>> = vec![&lookup, &epoch];
        params.extend_from_slice(more);
        if self.run(sql, &params).await? == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
    }

    /// Locks the row that a lease holds, so that it is held until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    pub(super) async fn check_lease(&self, lease: &Lease) -> Result<()> {
        let (lookup, epoch) = (&lease.lookup[..], super::db::stored(lease.epoch));
        let sql = "SELECT 1 FROM answers WHERE lookup = $1 AND epoch = $2 AND sealed IS NULL FOR UPDATE";
        self.one(sql, &[&lookup, &epoch], |_| Ok(())).await?.ok_or(StoreError::LeaseLost)
    }

    /// Inserts the row of a key; gives its epoch.
    async fn insert_answer(
        &self,
        ctx: &ProjectCtx,
        free: &Free,
        lease_until: Option<i64>,
        sealed: Option<&[u8]>,
    ) -> Result<u64> {
        let lookup = &free.lookup[..];
        if let Some(epoch) = free.stale {
            let sql = "DELETE FROM answers WHERE lookup = $1 AND epoch = $2";
            if self.run(sql, &[&lookup, &super::db::stored(epoch)]).await? == 0 {
                return Err(Race::lost());
            }
        }
        let epoch = free.stale.unwrap_or(0) + 1;
        let expires_at = (ctx.now + ANSWER_LIFETIME).timestamp_millis();
        self.run(
            "INSERT INTO answers (lookup, fingerprint, expires_at, epoch, lease_until, sealed)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&lookup, &&free.fingerprint[..], &expires_at, &super::db::stored(epoch), &lease_until, &sealed],
        )
        .await?;
        Ok(epoch)
    }
}
