//! Lines of batches as the workers see them: claimed, held, settled, given back. Workers of all replicas claim at the
//! same time; each takes lines that no other is taking.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};

use super::db::{Db, bytes, count, id, stored};
use crate::domain::Scopes;
use crate::store::durable::batches::{Claim, Owner, SealedOutcome, line_state, piece_place, result_place};
use crate::store::durable::times::seconds;
use crate::store::{ClaimedLine, LINE_LEASE, LineLease, MOST_WAITING, Result, SOON, StoreError};

impl Db<'_, '_> {
    /// Claims lines that are due, with their texts.
    pub(super) async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        let claims = self.take_batch_lines(now, most).await?;
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        // In one transaction: of lines that were claimed and could not be read nobody would know until their leases end.
        let lines = self.read_claims(&claims).await?;
        // Last: lines that are settled wait for these rows.
        let served: Vec<i64> = claims.iter().map(|claim| claim.batch).collect();
        let sql = "UPDATE batches SET served_at = $2 WHERE id = ANY($1)";
        self.run(sql, &[&served, &now.timestamp_millis()]).await?;
        Ok(lines)
    }

    /// Takes lines that are due; batches that were served longest ago come first and share what there is. The keys of these
    /// batches are shared until the transaction ends, so that none ends while a line of it is about to run.
    pub(super) async fn take_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<Claim>> {
        let (millis, near) = (now.timestamp_millis(), (now + SOON).timestamp_millis());
        let batches: Vec<i64> = self
            .all(
                "SELECT id FROM batches b WHERE status = 1 AND expires_at > $1
                   AND EXISTS (SELECT 1 FROM batch_lines l WHERE l.batch = b.id AND l.state < 2 AND l.due <= $2)
                   AND (SELECT count(*) FROM (SELECT 1 FROM batch_lines l WHERE l.batch = b.id
                          AND l.state = 0 AND l.due > $2 AND l.due <= $5 LIMIT $4) waiting) < $4
                 ORDER BY served_at, id LIMIT $3 FOR KEY SHARE OF b SKIP LOCKED",
                &[&seconds(now), &millis, &i64::from(most), &i64::from(MOST_WAITING), &near],
                |row| Ok(row.try_get(0)?),
            )
            .await?;
        let share = (most as usize).div_ceil(batches.len().max(1));
        let mut claims = Vec::new();
        for batch in &batches {
            let room = share.min(most as usize - claims.len());
            claims.extend(self.claim_lines_of(*batch, now, room).await?);
        }
        Ok(claims)
    }

    async fn claim_lines_of(&self, batch: i64, now: DateTime<Utc>, most: usize) -> Result<Vec<Claim>> {
        let until = (now + LINE_LEASE).timestamp_millis();
        let mut claims = self
            .all(
                "WITH due AS MATERIALIZED (
                   SELECT id FROM batch_lines WHERE batch = $1 AND state < 2 AND due <= $2
                   ORDER BY due, id LIMIT $4 FOR UPDATE SKIP LOCKED)
                 UPDATE batch_lines l SET state = 1, epoch = epoch + 1, attempts = attempts + 1, due = $3
                 FROM due WHERE l.id = due.id
                 RETURNING l.id, l.public_id, l.input, l.start, l.length, l.epoch, l.attempts",
                &[&batch, &now.timestamp_millis(), &until, &stored(most as u64)],
                |row| {
                    let size = |at| usize::try_from(row.try_get::<_, i64>(at)?).map_err(StoreError::internal);
                    Ok(Claim {
                        line: row.try_get(0)?,
                        key: bytes(row.try_get(1)?)?,
                        input: row.try_get(2)?,
                        start: size(3)?,
                        length: size(4)?,
                        epoch: count(row, 5)?,
                        attempts: row.try_get::<_, i64>(6)?.try_into().map_err(StoreError::internal)?,
                        batch,
                    })
                },
            )
            .await?;
        // RETURNING keeps no order.
        claims.sort_by_key(|claim| claim.line);
        Ok(claims)
    }

    /// Reads the texts of claimed lines. One that is damaged waits for its lease to end, for ever, and keeps no other.
    pub(super) async fn read_claims(&self, claims: &[Claim]) -> Result<Vec<ClaimedLine>> {
        let (mut owners, mut pieces) = (HashMap::new(), HashMap::new());
        let mut lines = Vec::with_capacity(claims.len());
        for claim in claims {
            match self.read_claim(claim, &mut owners, &mut pieces).await {
                Err(StoreError::Internal(error)) => {
                    tracing::error!(line = claim.line, %error, "a line of a batch cannot be read");
                }
                line => lines.push(line?),
            }
        }
        Ok(lines)
    }

    async fn read_claim(
        &self,
        claim: &Claim,
        owners: &mut HashMap<i64, Owner>,
        pieces: &mut HashMap<i64, Vec<u8>>,
    ) -> Result<ClaimedLine> {
        let owner = match owners.entry(claim.batch) {
            Entry::Occupied(owner) => owner.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.owner(claim.batch).await?),
        };
        let piece = match pieces.entry(claim.input) {
            Entry::Occupied(piece) => piece.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.open_piece(claim.input).await?),
        };
        claim.read(owner, piece)
    }

    async fn owner(&self, batch: i64) -> Result<Owner> {
        self.one(
            "SELECT b.public_id, p.public_id, k.public_id, k.scopes
             FROM batches b JOIN projects p ON p.id = b.project JOIN api_keys k ON k.id = b.api_key
             WHERE b.id = $1",
            &[&batch],
            |row| {
                let bits = row.try_get::<_, i64>(3)?.try_into().map_err(StoreError::internal)?;
                Ok(Owner {
                    batch: id(row, 0)?,
                    project: id(row, 1)?,
                    key: id(row, 2)?,
                    scopes: Scopes::from_bits(bits),
                })
            },
        )
        .await?
        .ok_or_else(|| StoreError::internal("a batch is gone"))
    }

    /// A piece of the input of a batch.
    pub(super) async fn open_piece(&self, input: i64) -> Result<Vec<u8>> {
        self.one(
            "SELECT b.public_id, i.piece, i.sealed FROM batch_inputs i JOIN batches b ON b.id = i.batch
             WHERE i.id = $1",
            &[&input],
            |row| {
                let number = usize::try_from(row.try_get::<_, i64>(1)?).map_err(StoreError::internal)?;
                let place = piece_place(&bytes(row.try_get(0)?)?, number);
                Ok(self.env.vault.open(&place, row.try_get(2)?)?)
            },
        )
        .await?
        .ok_or_else(|| StoreError::internal("the input of a batch is gone"))
    }

    /// Holds lines for another lease. Gives those that were held no more.
    pub(super) async fn renew_batch_lines(
        &self,
        leases: &[LineLease],
        now: DateTime<Utc>,
    ) -> Result<Vec<LineLease>> {
        let until = (now + LINE_LEASE).timestamp_millis();
        let mut lost = Vec::new();
        for lease in leases {
            let held = self
                .run(
                    "UPDATE batch_lines SET due = $3 WHERE id = $1 AND epoch = $2 AND state = 1",
                    &[&lease.line, &stored(lease.epoch), &until],
                )
                .await?;
            if held == 0 {
                lost.push(lease.clone());
            }
        }
        Ok(lost)
    }

    /// Gives lines back; the attempt does not count.
    pub(super) async fn release_batch_lines(&self, leases: &[LineLease]) -> Result<()> {
        for lease in leases {
            self.run(
                "UPDATE batch_lines SET state = 0, attempts = attempts - 1, due = 0
                 WHERE id = $1 AND epoch = $2 AND state = 1",
                &[&lease.line, &stored(lease.epoch)],
            )
            .await?;
        }
        Ok(())
    }

    /// Keeps what a line came to, with the counts of its batch.
    pub(super) async fn settle_batch_line(
        &self,
        outcome: &SealedOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let LineLease { line, epoch } = outcome.lease;
        let (batch, kept) = self
            .one(
                "SELECT b.id, b.result_bytes FROM batch_lines l JOIN batches b ON b.id = l.batch
                 WHERE l.id = $1 AND l.epoch = $2 AND l.state = 1 AND b.status < 4 FOR NO KEY UPDATE",
                &[&line, &stored(epoch)],
                |row| Ok((row.try_get::<_, i64>(0)?, count(row, 1)?)),
            )
            .await?
            .ok_or(StoreError::LeaseLost)?;
        match &outcome.result {
            None => {
                self.run(
                    "UPDATE batch_lines SET state = $2, due = $3, attempts = attempts - $4 WHERE id = $1",
                    &[&line, &line_state::WAITING, &outcome.due, &outcome.uncounted],
                )
                .await?;
            }
            Some((result, sealed)) => {
                match result.instead(kept, &outcome.id, &outcome.custom_id)? {
                    None => {
                        let length = result.text.len() as u64;
                        self.keep_result(line, batch, result.completed, sealed, length).await?;
                    }
                    Some(small) => {
                        let place = result_place(line);
                        let sealed = self.env.vault.seal(&*self.env.mint, &place, &small.text)?;
                        self.keep_result(line, batch, false, &sealed, small.text.len() as u64).await?;
                    }
                }
                self.run(
                    "UPDATE batches SET status = 2, finalizing_at = $2
                     WHERE id = $1 AND status = 1 AND completed + failed = total",
                    &[&batch, &seconds(now)],
                )
                .await?;
            }
        }
        self.may_end(batch, now).await
    }

    async fn keep_result(
        &self,
        line: i64,
        batch: i64,
        completed: bool,
        sealed: &[u8],
        length: u64,
    ) -> Result<()> {
        let state = if completed { line_state::COMPLETED } else { line_state::FAILED };
        self.run("UPDATE batch_lines SET state = $2 WHERE id = $1", &[&line, &state]).await?;
        self.run("INSERT INTO batch_results (id, sealed) VALUES ($1, $2)", &[&line, &sealed]).await?;
        self.run(
            "UPDATE batches SET completed = completed + $2, failed = failed + $3,
               result_bytes = result_bytes + $4 WHERE id = $1",
            &[&batch, &i64::from(completed), &i64::from(!completed), &stored(length)],
        )
        .await?;
        Ok(())
    }

    /// When the next line can be claimed or the next batch expires, in milliseconds.
    pub(super) async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<i64>> {
        self.value(
            "SELECT min(CASE status
               WHEN 1 THEN least(expires_at * 1000, coalesce(
                 (SELECT CASE WHEN count(*) < $2 THEN NULL ELSE min(due) END FROM
                    (SELECT due FROM batch_lines WHERE batch = b.id AND state = 0 AND due > $1
                     AND due <= $3 ORDER BY due LIMIT $2) waiting),
                 (SELECT min(due) FROM batch_lines WHERE batch = b.id AND state < 2)))
               WHEN 3 THEN least(expires_at * 1000,
                 (SELECT min(due) FROM batch_lines WHERE batch = b.id AND state = 1))
               ELSE 0 END)
             FROM batches b WHERE status < 4",
            &[&now.timestamp_millis(), &i64::from(MOST_WAITING), &(now + SOON).timestamp_millis()],
        )
        .await
    }
}
