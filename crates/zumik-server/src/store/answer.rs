//! Answers that are kept under an idempotency key, and what a write comes to because of them.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zumik_types::{ProjectId, TraceId};

use super::StoreError;

/// How long a stored answer is replayed (contract `common.md`, "Idempotency").
pub const ANSWER_LIFETIME: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// How long a reservation holds a key before it must be renewed.
pub const LEASE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// What a POST with an `Agent-Idempotency-Key` is recognized by. The project is that of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Request path, without the query.
    pub path: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of method, path and body; of a multipart body, of its parts.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// What the key is looked up by: project, path and key are one triple.
    pub(super) fn lookup(&self, project: &ProjectId) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [project.as_str(), &self.path, &self.key] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        std::array::from_fn(|at| digest[at])
    }
}

/// An answer as it goes out, and as it is replayed byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; only 2xx are kept.
    pub status: u16,
    /// Trace id of the request that ran: `Agent-Trace-Id` and `x-request-id`.
    pub trace: TraceId,
    /// Further headers to repeat: `content-type` when it is not `application/json`, and `Agent-*`.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The 200 answer of a JSON operation without headers of its own.
    ///
    /// # Errors
    /// [`StoreError::Internal`] when the value has no JSON form.
    pub fn json<T: Serialize>(trace: &TraceId, value: &T) -> Result<Self, StoreError> {
        let body = serde_json::to_vec(value).map_err(StoreError::internal)?;
        Ok(Self { status: 200, trace: trace.clone(), headers: Vec::new(), body: body.into() })
    }
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// It ran now. `answer` is `value` rendered; with a key it was kept in the same transaction.
    Fresh {
        /// What was written.
        value: T,
        /// The answer to send.
        answer: Answer,
    },
    /// The key was known: this is the answer of the first call. Nothing was written.
    Replayed(Answer),
}

impl<T> Written<T> {
    /// The answer to send, whichever way it came.
    pub fn answer(&self) -> &Answer {
        match self {
            Self::Fresh { answer, .. } | Self::Replayed(answer) => answer,
        }
    }

    /// Whether this is a replay: the value of `Agent-Idempotent-Replay`.
    pub fn is_replay(&self) -> bool {
        matches!(self, Self::Replayed(_))
    }

    /// What was written now, or nothing when the answer is a replay.
    pub fn fresh(self) -> Option<T> {
        match self {
            Self::Fresh { value, .. } => Some(value),
            Self::Replayed(_) => None,
        }
    }
}

/// The right to give the answer of a key, for a while: fenced by an epoch that each holder raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(super) lookup: [u8; 16],
    pub(super) epoch: u64,
}

/// What asking for a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The caller holds the key now and runs.
    Held(Lease),
    /// The key was known: this is the answer of the first call.
    Replayed(Answer),
}
