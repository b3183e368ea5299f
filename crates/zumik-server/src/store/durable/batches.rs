//! Batches and what their lines came to, sealed ahead of the transaction that keeps them.

use bytes::Bytes;
use ulid::Ulid;
use zumik_types::{Batch, BatchId, BatchStatus, CreateBatchRequest, KeyId, ProjectId};

use super::ids::PublicId as _;
use super::place;
use crate::domain::{BatchInput, InputLine, Scopes};
use crate::mint::Mint;
use crate::seal::Vault;
use crate::store::batch_results::LineResult;
use crate::store::{ClaimedLine, LineLease, LineOutcome, ProjectCtx, Result, StoreError, batch_rules};

/// Bytes of input that are sealed together, about.
const PIECE: usize = 64 * 1024;

/// A batch ready to be inserted: its input read, checked and sealed ahead.
pub(in crate::store) struct SealedBatch {
    pub(in crate::store) batch: Batch,
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) metadata: Option<Vec<u8>>,
    pub(in crate::store) errors: Option<Vec<u8>>,
    pub(in crate::store) pieces: Vec<Vec<u8>>,
    pub(in crate::store) lines: Vec<SealedLine>,
}

/// Where the text of a line is.
pub(in crate::store) struct SealedLine {
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) piece: usize,
    pub(in crate::store) start: usize,
    pub(in crate::store) length: usize,
}

/// The numbers that stand for a status in the database.
pub(in crate::store) mod status {
    pub(in crate::store) const VALIDATING: i64 = 0;
    pub(in crate::store) const IN_PROGRESS: i64 = 1;
    pub(in crate::store) const FINALIZING: i64 = 2;
    pub(in crate::store) const CANCELLING: i64 = 3;
    pub(in crate::store) const COMPLETED: i64 = 4;
    pub(in crate::store) const FAILED: i64 = 5;
    pub(in crate::store) const CANCELLED: i64 = 6;
    pub(in crate::store) const EXPIRED: i64 = 7;
}

/// The numbers that stand for the state of a line in the database.
pub(in crate::store) mod line_state {
    pub(in crate::store) const WAITING: i64 = 0;
    pub(in crate::store) const COMPLETED: i64 = 2;
    pub(in crate::store) const FAILED: i64 = 3;

    /// Whether it has a result.
    pub(in crate::store) fn is_settled(state: i64) -> bool {
        matches!(state, COMPLETED | FAILED)
    }
}

/// A line that was claimed, its text not read yet.
pub(in crate::store) struct Claim {
    pub(in crate::store) line: i64,
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) input: i64,
    pub(in crate::store) start: usize,
    pub(in crate::store) length: usize,
    pub(in crate::store) epoch: u64,
    pub(in crate::store) attempts: u32,
    pub(in crate::store) batch: i64,
}

/// Where a claimed line belongs.
pub(in crate::store) struct Owner {
    pub(in crate::store) batch: BatchId,
    pub(in crate::store) project: ProjectId,
    pub(in crate::store) key: KeyId,
    pub(in crate::store) scopes: Scopes,
}

impl Claim {
    pub(in crate::store) fn lease(&self) -> LineLease {
        LineLease { line: self.line, epoch: self.epoch }
    }

    /// The line, read from its piece of the input.
    pub(in crate::store) fn read(&self, owner: &Owner, piece: &[u8]) -> Result<ClaimedLine> {
        let line = read_line(piece, self.start, self.length)?;
        Ok(ClaimedLine {
            lease: self.lease(),
            batch: owner.batch.clone(),
            project: owner.project.clone(),
            key: owner.key.clone(),
            scopes: owner.scopes,
            attempt: self.attempts,
            body: Bytes::copy_from_slice(line.body.as_bytes()),
            id: line_id(self.key),
            custom_id: line.custom_id,
        })
    }
}

impl SealedBatch {
    pub(in crate::store) fn new(
        vault: &Vault,
        mint: &dyn Mint,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        content: &Bytes,
    ) -> Result<Self> {
        let key = mint.ulid(ctx.now).to_bytes();
        let input = BatchInput::read(content, &request.endpoint);
        let batch = batch_rules::new_batch(BatchId::from_key(key), request, input.total, ctx.now);
        let seal = |kind, text: &[u8]| vault.seal(mint, &place(kind, &key), text);
        let mut sealed = Self {
            metadata: match batch.metadata.is_empty() {
                true => None,
                false => Some(seal("batch_metadata", &serde_json::to_vec(&batch.metadata)?)?),
            },
            batch,
            key,
            errors: None,
            pieces: Vec::new(),
            lines: Vec::new(),
        };
        if !input.faults.is_empty() {
            let errors = batch_rules::batch_errors(input.faults);
            sealed.errors = Some(seal("batch_errors", &serde_json::to_vec(&errors)?)?);
            return Ok(sealed);
        }
        let mut piece = Vec::new();
        for range in input.lines {
            let line = &content[range];
            if !piece.is_empty() && piece.len() + line.len() > PIECE {
                sealed.seal_piece(vault, mint, &std::mem::take(&mut piece))?;
            }
            sealed.lines.push(SealedLine {
                key: mint.ulid(ctx.now).to_bytes(),
                piece: sealed.pieces.len(),
                start: piece.len(),
                length: line.len(),
            });
            piece.extend_from_slice(line);
        }
        sealed.seal_piece(vault, mint, &piece)?;
        Ok(sealed)
    }

    fn seal_piece(&mut self, vault: &Vault, mint: &dyn Mint, piece: &[u8]) -> Result<()> {
        let place = piece_place(&self.key, self.pieces.len());
        self.pieces.push(vault.seal(mint, &place, piece)?);
        Ok(())
    }
}

/// What a piece of input is sealed for.
pub(in crate::store) fn piece_place(batch: &[u8; 16], piece: usize) -> Vec<u8> {
    place("batch_input", &[&batch[..], &(piece as u64).to_be_bytes()].concat())
}

/// The status that a number stands for.
pub(in crate::store) fn status_of(number: i64) -> BatchStatus {
    match number {
        status::VALIDATING => BatchStatus::Validating,
        status::IN_PROGRESS => BatchStatus::InProgress,
        status::FINALIZING => BatchStatus::Finalizing,
        status::CANCELLING => BatchStatus::Cancelling,
        status::COMPLETED => BatchStatus::Completed,
        status::FAILED => BatchStatus::Failed,
        status::CANCELLED => BatchStatus::Cancelled,
        _ => BatchStatus::Expired,
    }
}

/// What a claimed line came to, sealed ahead.
pub(in crate::store) struct SealedOutcome {
    pub(in crate::store) lease: LineLease,
    pub(in crate::store) id: String,
    pub(in crate::store) custom_id: String,
    /// Nothing when the line is to be run again, from `due` in milliseconds.
    pub(in crate::store) result: Option<(LineResult, Vec<u8>)>,
    pub(in crate::store) due: i64,
    /// How much the attempts of the line are more than those that count: 1 when no model was asked, else 0.
    pub(in crate::store) uncounted: i64,
}

/// A line's place, for sealing what it came to.
pub(in crate::store) fn result_place(line: i64) -> Vec<u8> {
    place("batch_result", &line.to_be_bytes())
}

/// The id of a line in output and error files.
pub(in crate::store) fn line_id(key: [u8; 16]) -> String {
    batch_rules::line_id(&Ulid::from_bytes(key).to_string().to_ascii_lowercase())
}

impl SealedOutcome {
    pub(in crate::store) fn new(
        vault: &Vault,
        mint: &dyn Mint,
        line: &ClaimedLine,
        outcome: &LineOutcome,
    ) -> Result<Self> {
        let result = match LineResult::of(&line.id, &line.custom_id, outcome)? {
            None => None,
            Some(result) => {
                let sealed = vault.seal(mint, &result_place(line.lease.line), &result.text)?;
                Some((result, sealed))
            }
        };
        Ok(Self {
            lease: line.lease.clone(),
            id: line.id.clone(),
            custom_id: line.custom_id.clone(),
            result,
            due: outcome.again().map_or(0, |at| at.timestamp_millis()),
            uncounted: i64::from(matches!(outcome, LineOutcome::Rests(_))),
        })
    }
}

/// A line in a piece of input.
pub(in crate::store) fn read_line(piece: &[u8], start: usize, length: usize) -> Result<InputLine<'_>> {
    piece
        .get(start..start.saturating_add(length))
        .and_then(InputLine::read)
        .ok_or_else(|| StoreError::internal("a line of a batch is damaged"))
}
