//! Why a store operation did not do what it was asked.

use std::error::Error;

use thiserror::Error;
use zumik_types::{BatchStatus, BranchState, SessionStatus};

use super::REPORT_TIME;
use crate::blocking::BrokenOff;

/// Why a store operation did not do what it was asked. Nothing was written, whatever the reason but one:
/// [`StoreError::OutcomeUnknown`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An id of the path names nothing in this project: 404.
    #[error("no {kind} with id '{id}' exists in this project")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id as it was given.
        id: String,
    },
    /// A field of the body names something that does not exist here, or that cannot stand there: 400.
    #[error("{param}: {problem}")]
    Reference {
        /// Path of the field, for example `items[1].artifact_id`.
        param: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A guard of a compare-and-swap is stale: 409 `branch_version_conflict`.
    #[error("{}", conflict_message(*.guard, .branch))]
    Conflict {
        /// The guard that failed; the version is checked first.
        guard: Guard,
        /// The branch as it is now.
        branch: Box<BranchState>,
    },
    /// The session takes no writes and no generations: 409 `session_not_active`.
    #[error("{}", not_active_message(.status))]
    SessionNotActive {
        /// Its status.
        status: SessionStatus,
    },
    /// The batch completed, failed or expired, and cannot be cancelled: 409.
    #[error("the batch is {status}")]
    BatchEnded {
        /// Its status.
        status: BatchStatus,
    },
    /// A limit of the project would be exceeded: 400.
    #[error("{limit}")]
    Limit {
        /// Which.
        limit: Limit,
    },
    /// The idempotency key was used with another request: 422 `idempotency_key_reused`.
    #[error("this Agent-Idempotency-Key was already used with a different request body")]
    KeyReused,
    /// A request with this idempotency key is running: 409, retry after a second.
    #[error("a request with this Agent-Idempotency-Key is already in progress")]
    InFlight,
    /// The lease ran out and another request took the key over; its answer is the one that counts.
    #[error("the lease of the idempotency key was lost")]
    LeaseLost,
    /// A report was not ready in time: 503.
    #[error(
        "the report was not ready within {} seconds; ask for a shorter period, or retry later", REPORT_TIME.as_secs()
    )]
    TooLong,
    /// The store cannot answer now: it is shutting down, locked for too long, or its disk is full: 503.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store was lost while the operation committed, so it may have been carried out or not: 500, which says that, and
    /// not 503, which says that nothing was done.
    #[error("the store was lost before it said what came of the operation")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
    /// A fault: 500. The source is for the log, never for the client.
    #[error("internal store error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `art_…`
    Artifact,
    /// `bnd_…`
    Bundle,
    /// `ses_…`
    Session,
    /// `br_…`
    Branch,
    /// `snp_…`
    Snapshot,
    /// `rsp_…` and `resp_…`
    Response,
    /// `conv_…`
    Conversation,
    /// `dgn_…`
    Diagnostic,
    /// `pjb_…`
    PurgeJob,
    /// The receipt of a purge job, named by the job's id.
    PurgeReceipt,
    /// `file-…`
    File,
    /// `batch_…`
    Batch,
    /// The name of a model alias.
    ModelAlias,
    /// `ah_…`
    AgentHints,
    /// `key_…`
    Key,
    /// `prj_…`
    Project,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Artifact => "artifact",
            Self::Bundle => "bundle",
            Self::Session => "session",
            Self::Branch => "branch",
            Self::Snapshot => "snapshot",
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Diagnostic => "diagnostic",
            Self::PurgeJob => "purge job",
            Self::PurgeReceipt => "purge receipt",
            Self::File => "file",
            Self::Batch => "batch",
            Self::ModelAlias => "model alias",
            Self::AgentHints => "agent hints",
            Self::Key => "API key",
            Self::Project => "project",
        })
    }
}

/// A guard of a compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// `expected_version`
    Version(u64),
    /// `expected_head_event_id`
    Head,
}

impl Guard {
    /// The field of the request that holds it.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Version(_) => "expected_version",
            Self::Head => "expected_head_event_id",
        }
    }
}

impl Limit {
    /// The field of the request that has no room.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Files(_) | Self::FileBytes(_) => "file",
            Self::BatchFiles(_) | Self::BatchBytes(_) => "input_file_id",
        }
    }
}

/// A limit of what one project may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Limit {
    /// Too many files.
    #[error("a project holds at most {0} files; delete one first")]
    Files(u64),
    /// Too many files, with those that open batches will write.
    #[error("a project holds at most {0} files, two for each open batch included; wait or delete one first")]
    BatchFiles(u64),
    /// Too many bytes in files.
    #[error("the files of a project hold at most {0} bytes; delete one first")]
    FileBytes(u64),
    /// Too many bytes in files to begin a batch, which will write more.
    #[error("the files of a project hold at most {0} bytes, so no batch can be created; delete one first")]
    BatchBytes(u64),
}

fn conflict_message(guard: Guard, branch: &BranchState) -> String {
    match guard {
        Guard::Version(expected) => format!("the branch is at version {}, not {expected}", branch.version),
        Guard::Head => match &branch.head_event_id {
            Some(head) => format!("the head of the branch is '{head}', not the expected one"),
            None => "the branch is empty, it has no head".to_owned(),
        },
    }
}

fn not_active_message(status: &SessionStatus) -> String {
    match status {
        SessionStatus::Archived => "the session is archived; set its status to active first".to_owned(),
        other => format!("the session is {other}"),
    }
}

impl From<BrokenOff> for StoreError {
    fn from(error: BrokenOff) -> Self {
        Self::internal(error)
    }
}

impl StoreError {
    /// A fault with its cause.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The store cannot answer now, because of this.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// It is not known what came of the operation, because of this.
    pub(crate) fn outcome_unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::OutcomeUnknown(source.into())
    }

    pub(crate) fn not_found(kind: Kind, id: impl ToString) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    pub(crate) fn reference(param: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Reference { param: param.into(), problem: problem.into() }
    }
}
