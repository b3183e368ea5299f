//! Lines of batches as the worker sees them: claimed, held, settled, given back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, Utc};
use rusqlite::params;
use zumik_types::{BatchId, KeyId, ProjectId};

use super::Db;
use crate::domain::Scopes;
use crate::store::durable::batches::{Claim, Owner, SealedOutcome, line_state, piece_place, result_place};
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::seconds;
use crate::store::{ClaimedLine, LINE_LEASE, LineLease, MOST_WAITING, Result, SOON, StoreError};

impl Db<'_> {
    /// Claims lines that are due; batches that were served longest ago come first and share what there is.
    pub(super) fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<Claim>> {
        let (millis, near) = (now.timestamp_millis(), (now + SOON).timestamp_millis());
        let batches = self.all(
            "SELECT id FROM batches WHERE status = 1 AND expires_at > ?1
               AND EXISTS (SELECT 1 FROM batch_lines WHERE batch = batches.id AND state < 2 AND due <= ?2)
               AND (SELECT count(*) FROM (SELECT 1 FROM batch_lines WHERE batch = batches.id
                      AND state < 2 AND state = 0 AND due > ?2 AND due <= ?5 LIMIT ?4)) < ?4
             ORDER BY served_at, id LIMIT ?3",
            params![seconds(now), millis, most, MOST_WAITING, near],
            |row| row.get::<_, i64>(0),
        )?;
        let share = (most as usize).div_ceil(batches.len().max(1));
        let mut claims = Vec::new();
        for batch in batches {
            let room = share.min(most as usize - claims.len());
            claims.extend(self.claim_lines_of(batch, now, room)?);
            self.run("UPDATE batches SET served_at = ?2 WHERE id = ?1", params![batch, millis])?;
        }
        Ok(claims)
    }

    fn claim_lines_of(&self, batch: i64, now: DateTime<Utc>, most: usize) -> Result<Vec<Claim>> {
        let until = (now + LINE_LEASE).timestamp_millis();
        let mut claims = self.all(
            "UPDATE batch_lines SET state = 1, epoch = epoch + 1, attempts = attempts + 1, due = ?3
             WHERE id IN (SELECT id FROM batch_lines WHERE batch = ?1 AND state < 2 AND due <= ?2
                          ORDER BY due, id LIMIT ?4)
             RETURNING id, public_id, input, start, length, epoch, attempts",
            params![batch, now.timestamp_millis(), until, most],
            |row| {
                Ok(Claim {
                    line: row.get(0)?,
                    key: row.get(1)?,
                    input: row.get(2)?,
                    start: row.get(3)?,
                    length: row.get(4)?,
                    epoch: row.get(5)?,
                    attempts: row.get(6)?,
                    batch,
                })
            },
        )?;
        // RETURNING keeps no order.
        claims.sort_by_key(|claim| claim.line);
        Ok(claims)
    }

    /// Reads the texts of claimed lines. One that is damaged waits for its lease to end, for ever, and keeps no other.
    pub(super) fn read_claims(&self, claims: &[Claim]) -> Result<Vec<ClaimedLine>> {
        let (mut owners, mut pieces) = (HashMap::new(), HashMap::new());
        let mut lines = Vec::with_capacity(claims.len());
        for claim in claims {
            match self.read_claim(claim, &mut owners, &mut pieces) {
                Err(StoreError::Internal(error)) => {
                    tracing::error!(line = claim.line, %error, "a line of a batch cannot be read");
                }
                line => lines.push(line?),
            }
        }
        Ok(lines)
    }

    fn read_claim(
        &self,
        claim: &Claim,
        owners: &mut HashMap<i64, Owner>,
        pieces: &mut HashMap<i64, Vec<u8>>,
    ) -> Result<ClaimedLine> {
        let owner = match owners.entry(claim.batch) {
            Entry::Occupied(owner) => owner.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.owner(claim.batch)?),
        };
        let piece = match pieces.entry(claim.input) {
            Entry::Occupied(piece) => piece.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.open_piece(claim.input)?),
        };
        claim.read(owner, piece)
    }

    fn owner(&self, batch: i64) -> Result<Owner> {
        let owner = self.one(
            "SELECT b.public_id, p.public_id, k.public_id, k.scopes
             FROM batches b JOIN projects p ON p.id = b.project JOIN api_keys k ON k.id = b.api_key
             WHERE b.id = ?1",
            [batch],
            |row| {
                Ok(Owner {
                    batch: BatchId::from_key(row.get(0)?),
                    project: ProjectId::from_key(row.get(1)?),
                    key: KeyId::from_key(row.get(2)?),
                    scopes: Scopes::from_bits(row.get(3)?),
                })
            },
        )?;
        owner.ok_or_else(|| StoreError::internal("a batch is gone"))
    }

    /// A piece of the input of a batch.
    pub(super) fn open_piece(&self, input: i64) -> Result<Vec<u8>> {
        let piece = self.one(
            "SELECT b.public_id, i.piece, i.sealed FROM batch_inputs i JOIN batches b ON b.id = i.batch
             WHERE i.id = ?1",
            [input],
            |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, usize>(1)?, row.get::<_, Vec<u8>>(2)?)),
        )?;
        let (batch, number, sealed) =
            piece.ok_or_else(|| StoreError::internal("the input of a batch is gone"))?;
        Ok(self.env.vault.open(&piece_place(&batch, number), &sealed)?)
    }

    /// Holds lines for another lease. Gives those that were held no more.
    pub(super) fn renew_batch_lines(
        &self,
        leases: &[LineLease],
        now: DateTime<Utc>,
    ) -> Result<Vec<LineLease>> {
        let until = (now + LINE_LEASE).timestamp_millis();
        let mut lost = Vec::new();
        for lease in leases {
            let held = self.run(
                "UPDATE batch_lines SET due = ?3 WHERE id = ?1 AND epoch = ?2 AND state = 1",
                params![lease.line, lease.epoch, until],
            )?;
            if held == 0 {
                lost.push(lease.clone());
            }
        }
        Ok(lost)
    }

    /// Gives lines back; the attempt does not count.
    pub(super) fn release_batch_lines(&self, leases: &[LineLease]) -> Result<()> {
        for lease in leases {
            self.run(
                "UPDATE batch_lines SET state = 0, attempts = attempts - 1, due = 0
                 WHERE id = ?1 AND epoch = ?2 AND state = 1",
                params![lease.line, lease.epoch],
            )?;
        }
        Ok(())
    }

    /// Keeps what a line came to, with the counts of its batch.
    pub(super) fn settle_batch_line(&self, outcome: &SealedOutcome, now: DateTime<Utc>) -> Result<bool> {
        let LineLease { line, epoch } = outcome.lease;
        let (batch, stored) = self
            .one(
                "SELECT b.id, b.result_bytes FROM batch_lines l JOIN batches b ON b.id = l.batch
                 WHERE l.id = ?1 AND l.epoch = ?2 AND l.state = 1 AND b.status < 4",
                params![line, epoch],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)),
            )?
            .ok_or(StoreError::LeaseLost)?;
        match &outcome.result {
            None => {
                self.run(
                    "UPDATE batch_lines SET state = ?2, due = ?3, attempts = attempts - ?4 WHERE id = ?1",
                    params![line, line_state::WAITING, outcome.due, outcome.uncounted],
                )?;
            }
            Some((result, sealed)) => {
                let length = result.text.len() as u64;
                match result.instead(stored, &outcome.id, &outcome.custom_id)? {
                    None => self.keep_result(line, batch, result.completed, sealed, length)?,
                    Some(small) => {
                        let place = result_place(line);
                        let sealed = self.env.vault.seal(&*self.env.mint, &place, &small.text)?;
                        self.keep_result(line, batch, false, &sealed, small.text.len() as u64)?;
                    }
                }
                self.run(
                    "UPDATE batches SET status = 2, finalizing_at = ?2
                     WHERE id = ?1 AND status = 1 AND completed + failed = total",
                    params![batch, seconds(now)],
                )?;
            }
        }
        self.may_end(batch, now)
    }

    fn keep_result(&self, line: i64, batch: i64, completed: bool, sealed: &[u8], length: u64) -> Result<()> {
        let state = if completed { line_state::COMPLETED } else { line_state::FAILED };
        self.run("UPDATE batch_lines SET state = ?2 WHERE id = ?1", params![line, state])?;
        self.run("INSERT INTO batch_results (id, sealed) VALUES (?1, ?2)", params![line, sealed])?;
        self.run(
            "UPDATE batches SET completed = completed + ?2, failed = failed + ?3,
               result_bytes = result_bytes + ?4 WHERE id = ?1",
            params![batch, completed, !completed, length],
        )?;
        Ok(())
    }

    /// When the next line can be claimed or the next batch expires.
    pub(super) fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<i64>> {
        self.value(
            "SELECT min(CASE status
               WHEN 1 THEN min(expires_at * 1000, coalesce(
                 (SELECT CASE WHEN count(*) < ?2 THEN NULL ELSE min(due) END FROM
                    (SELECT due FROM batch_lines WHERE batch = batches.id AND state < 2 AND state = 0 AND due > ?1
                     AND due <= ?3 ORDER BY due LIMIT ?2)),
                 (SELECT min(due) FROM batch_lines WHERE batch = batches.id AND state < 2), expires_at * 1000))
               WHEN 3 THEN min(expires_at * 1000, coalesce(
                 (SELECT min(due) FROM batch_lines WHERE batch = batches.id AND state = 1), expires_at * 1000))
               ELSE 0 END)
             FROM batches WHERE status < 4",
            params![now.timestamp_millis(), MOST_WAITING, (now + SOON).timestamp_millis()],
        )
    }
}

/// Makes lines due that a process of this folder ran when it ended: it held the folder alone.
pub(super) fn free_batch_lines(conn: &rusqlite::Connection) -> rusqlite::Result<usize> {
    conn.execute("UPDATE batch_lines SET due = 0 WHERE state = 1", [])
}

/// The newest line of all batches; 0 without any.
pub(super) fn newest_batch_line(conn: &rusqlite::Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT coalesce(max(id), 0) FROM batch_lines", [], |row| row.get(0))
}
