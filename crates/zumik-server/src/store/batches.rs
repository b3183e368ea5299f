//! Batches: what callers ask for, and what the worker that runs the lines asks for.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use zumik_types::{Batch, BatchId, CreateBatchRequest, KeyId, ProjectId, TraceId};

use super::{Idempotency, Page, ProjectCtx, Result, Written};
use crate::domain::Scopes;

/// How long a batch may run: its completion window, the only one there is.
pub const COMPLETION_WINDOW: TimeDelta = TimeDelta::hours(24);

/// How long output files, and the input file with them, outlive the end of their batch.
pub const OUTPUT_LIFETIME: TimeDelta = TimeDelta::days(1);

/// How long a batch can be retrieved after its end, as a stored response is.
pub const BATCH_LIFETIME: TimeDelta = TimeDelta::days(30);

/// How long a claim holds a line before it must be renewed.
pub const LINE_LEASE: TimeDelta = TimeDelta::seconds(60);

/// Lines of one batch that wait for an attempt that is [near](SOON), at most: with so many, no other line of it is begun. What
/// keeps them waiting mostly keeps the others too, and each attempt is a transaction.
pub const MOST_WAITING: u32 = 256;

/// What waits for longer costs nothing meanwhile, and does not hold its batch up.
pub const SOON: TimeDelta = TimeDelta::seconds(60);

/// The state of batches. A batch is a row for each line of its input: whoever claims a line holds it by a lease, and
/// what a line came to is kept together with the counts of its batch, fenced by the epoch of the claim.
#[async_trait]
pub trait BatchStore: Send + Sync + 'static {
    /// Starts a batch over a file of purpose `batch`. Its lines are read, checked and counted here; what is wrong with
    /// them makes the batch `failed` when it is advanced.
    ///
    /// # Errors
    /// [`StoreError::Reference`](super::StoreError::Reference) for `input_file_id`;
    /// [`StoreError::Limit`](super::StoreError::Limit) when the project has no room for two more files.
    async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>>;

    /// Batches, newest first. An `after` that names none gives
    /// [`StoreError::Reference`](super::StoreError::Reference).
    async fn list_batches(&self, ctx: &ProjectCtx, page: BatchPage) -> Result<Page<Batch>>;

    /// One batch.
    async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch>;

    /// Lets no further line of a batch start. A batch whose end is under way is given unchanged.
    ///
    /// # Errors
    /// [`StoreError::BatchEnded`](super::StoreError::BatchEnded) when it completed, failed or expired.
    async fn cancel_batch(
        &self,
        ctx: &ProjectCtx,
        id: &BatchId,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>>;

    /// Moves every batch on that waits for nothing: from `validating`, and to its end once no line of it runs any
    /// more. Output and error file are written in the transaction that ends the batch.
    async fn advance_batches(&self, now: DateTime<Utc>) -> Result<Advanced>;

    /// Claims lines that are due, for [`LINE_LEASE`]. Batches take turns; one of which [`MOST_WAITING`] lines wait has none.
    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>>;

    /// Holds lines for another [`LINE_LEASE`]. Gives those that were held no more.
    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>>;

    /// Keeps what a claimed line came to. Gives whether no line of its batch is left to run.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`](super::StoreError::LeaseLost); then nothing was kept.
    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool>;

    /// Gives lines back that were not run to an end: they are due again, and the attempt does not count.
    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()>;

    /// When the next line can be claimed or the next batch expires, if anything waits at all.
    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;
}

/// Which batches to list.
#[derive(Debug, Clone)]
pub struct BatchPage {
    /// Begin behind this batch.
    pub after: Option<BatchId>,
    /// At most so many; all when absent.
    pub limit: Option<u32>,
}

/// What advancing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advanced {
    /// Batches whose lines may run now.
    pub started: u64,
    /// Batches that ended, in whatever way.
    pub ended: u64,
}

/// The right to say what a line came to, for a while: fenced by an epoch that each claim raises.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LineLease {
    pub(super) line: i64,
    pub(super) epoch: u64,
}

/// A line that the caller holds and runs.
#[derive(Clone)]
pub struct ClaimedLine {
    /// The right to settle it.
    pub lease: LineLease,
    /// Its batch.
    pub batch: BatchId,
    /// The project that it runs for.
    pub project: ProjectId,
    /// The key that created the batch, in whose name it runs.
    pub key: KeyId,
    /// What that key may do.
    pub scopes: Scopes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The request body.
    pub body: Bytes,
    pub(super) id: String,
    pub(super) custom_id: String,
}

/// What a line came to.
#[derive(Clone)]
pub enum LineOutcome {
    /// It was answered, for good.
    Answered {
        /// HTTP status.
        status: u16,
        /// Trace id of the call.
        request_id: TraceId,
        /// The answer's body, JSON.
        body: Bytes,
    },
    /// It got no answer and gets none.
    Failed {
        /// Why, for the caller.
        message: String,
    },
    /// It is to be run again, from this time.
    Again(DateTime<Utc>),
    /// No model was asked: it is to be run again, from this time, and the attempt does not count.
    Rests(DateTime<Utc>),
}

impl LineOutcome {
    /// From when the line is to be run again; nothing when this is its end.
    pub fn again(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Again(at) | Self::Rests(at) => Some(*at),
            Self::Answered { .. } | Self::Failed { .. } => None,
        }
    }
}

impl std::fmt::Debug for ClaimedLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedLine")
            .field("lease", &self.lease)
            .field("batch", &self.batch)
            .field("attempt", &self.attempt)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LineOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { status, request_id, body } => f
                .debug_struct("Answered")
                .field("status", status)
                .field("request_id", request_id)
                .field("body", &format_args!("[{} bytes]", body.len()))
                .finish(),
            Self::Failed { message } => f.debug_struct("Failed").field("message", message).finish(),
            Self::Again(at) => f.debug_tuple("Again").field(at).finish(),
            Self::Rests(at) => f.debug_tuple("Rests").field(at).finish(),
        }
    }
}
