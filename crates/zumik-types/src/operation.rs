//! What an operation of the API is. The table of all of them is generated: [`crate::operations`].

use std::fmt;

/// One operation of the API: where it goes, what it needs, and what may be done with it.
///
/// Retry rules, span names, scope checks, isolation tests and the coverage report all read this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The `operationId` of the OpenAPI document, for example `appendEvent`.
    pub id: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path template, for example `/v2/sessions/{session_id}`.
    pub path: &'static str,
    /// Resource group, for example `Artifacts`.
    pub group: &'static str,
    /// One line of what it does.
    pub summary: &'static str,
    /// Scope that a key needs for it.
    pub scope: Scope,
    /// What a blind repeat of it does.
    pub idempotency: Idempotency,
    /// It honors `Agent-Idempotency-Key`: every POST that needs a key, and no other method.
    pub accepts_key: bool,
    /// It may answer a stream of server-sent events.
    pub streams: bool,
    /// It answers pages (`after`, `limit`).
    pub paginated: bool,
    /// It calls a model, so its answer carries the execution headers.
    pub generation: bool,
    /// Whether method and path are documented or our decision.
    pub evidence: Evidence,
}

/// An HTTP method that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

impl Method {
    /// The method as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scope that a key must hold for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// No key at all.
    None,
    /// Any valid key.
    Read,
    /// A key with the scope `inference`.
    Inference,
    /// A key with the scope `admin`.
    Admin,
}

/// What a blind repeat of an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Nothing: the operation changes nothing.
    Safe,
    /// The effect happens again, unless both calls carry the same `Agent-Idempotency-Key`.
    Key,
    /// It leaves the same state.
    Replace,
    /// A compare-and-swap refuses it with 409 `branch_version_conflict`.
    Cas,
    /// It answers 404.
    Delete,
    /// It is recognized by the event id of the sender.
    Event,
}

/// How sure it is that an operation looks like this on the hosted service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Method and path are documented.
    Documented,
    /// The documentation names the capability only; method or path are our decision.
    Inferred,
}
