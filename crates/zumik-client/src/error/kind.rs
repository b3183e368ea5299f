//! What kind of failure an error is, and what it means for the state of the server.

use std::fmt;

/// What kind of failure an [`Error`](crate::Error) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built: no key, a key or base URL that cannot be used, no TLS.
    Config,
    /// The request cannot be made: a header, id or field that HTTP or the contract does not allow, a file that cannot
    /// be read. Nothing was sent.
    Request,
    /// The body is over 2 MiB: refused by the client before anything is sent, or by the server with 413.
    TooLarge,
    /// No connection could be opened. Nothing was sent.
    Connect,
    /// The connection broke after the request was on its way.
    Interrupted,
    /// Time ran out: the deadline of the call or the limit of an attempt. For a stream, up to its first event.
    Timeout,
    /// 400: a field is malformed, missing, out of range, or names an object that does not exist in the project.
    /// [`param`](crate::Error::param) names it.
    BadRequest,
    /// 401: the key is missing, malformed, unknown or revoked.
    Authentication,
    /// 402 `credits_required`: the prepaid balance is empty.
    CreditsRequired,
    /// 403: the key lacks the scope, or the region is not allowed.
    Permission,
    /// 404: the id is unknown in this project, or the path is unknown.
    NotFound,
    /// 409 `branch_version_conflict`: a guard of an append or merge is stale.
    BranchConflict,
    /// 409 `idempotency_conflict`: a call with the same idempotency key is still running.
    KeyInFlight,
    /// 422 `idempotency_key_reused`: the idempotency key was used with another body.
    KeyReused,
    /// Another 409, for example `session_not_active`.
    Conflict,
    /// 429 `rate_limit_exceeded`: too much at once; also of a response that failed for it in the midst of its stream.
    RateLimited,
    /// 429 `quota_exceeded`: the budget of the project or of the key is used up.
    QuotaExceeded,
    /// 504 `deadline_exceeded`: the caller's own `qos.deadline_ms` has passed.
    DeadlineExceeded,
    /// 5xx: the server, a provider or something between failed.
    Server,
    /// Another status that is no success, redirects included: they are never followed.
    Status,
    /// The answer was successful but its body is not what the contract says, or longer than
    /// [`max_body_bytes`](crate::Options::max_body_bytes). [`body`](crate::Error::body) has the bytes,
    /// [`decode_path`](crate::Error::decode_path) the place.
    Decode,
    /// The answer is deterministic filler: no model made it.
    Placeholder,
    /// The answer was made by the last-resort bridge, and the client was told to refuse those.
    OpenrouterFallback,
    /// A stream ended without the event that ends it, or a whole was asked for of what is left of one: the answer is not
    /// whole.
    StreamTruncated,
    /// A stream or a download was silent for longer than the
    /// [`idle_timeout`](crate::Options::idle_timeout).
    StreamIdle,
    /// The server refused the input of a batch; no request of it ran. [`body`](crate::Error::body) has the batch with
    /// all that was found.
    BatchFailed,
    /// A batch has not ended, so there are no results.
    BatchUnfinished,
    /// A request of a batch never ran, because the batch was cancelled or expired before.
    BatchLineNotRun,
    /// A purge job ended as failed: not everything is gone.
    PurgeFailed,
}

impl ErrorKind {
    /// A stable, short name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Request => "request",
            Self::TooLarge => "too_large",
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::BadRequest => "bad_request",
            Self::Authentication => "authentication",
            Self::CreditsRequired => "credits_required",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::BranchConflict => "branch_conflict",
            Self::KeyInFlight => "key_in_flight",
            Self::KeyReused => "key_reused",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Server => "server",
            Self::Status => "status",
            Self::Decode => "decode",
            Self::Placeholder => "placeholder",
            Self::OpenrouterFallback => "openrouter_fallback",
            Self::StreamTruncated => "stream_truncated",
            Self::StreamIdle => "stream_idle",
            Self::BatchFailed => "batch_failed",
            Self::BatchUnfinished => "batch_unfinished",
            Self::BatchLineNotRun => "batch_line_not_run",
            Self::PurgeFailed => "purge_failed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed call may have done on the server. The order is from certain to uncertain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Not a byte of the request left the machine.
    NotSent,
    /// The server answered that it did not do it.
    Rejected,
    /// The server may have done it, or has done it: the answer was lost, unreadable, refused by the client, or came
    /// from a fault in the middle.
    Ambiguous,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "not sent",
            Self::Rejected => "rejected",
            Self::Ambiguous => "ambiguous",
        })
    }
}
