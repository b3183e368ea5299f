//! The one error of the client: opaque, boxed, with a kind and accessors.

mod conflict;
mod display;
mod envelope;
mod kind;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use zumik_types::{ErrorType, PurgeJobId, TraceId};

pub use conflict::{BranchConflict, BranchPosition};
pub(crate) use display::excerpt;
pub(crate) use envelope::Envelope;
pub use kind::{ErrorKind, Outcome};

use crate::endpoint::BuildError;
use crate::response::Meta;

/// The result of everything that this crate does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a call.
///
/// Its [`Display`](fmt::Display) is one line that says everything: operation, status, code, message, trace id,
/// attempts, and the cause. Decide by [`kind`](Self::kind), [`outcome`](Self::outcome) and [`code`](Self::code), never
/// by the text. Neither `Display` nor `Debug` shows the API key or the body of the request.
///
/// ```
/// # async fn example(zk: &zumik_client::Zumik, id: &zumik_client::types::ArtifactId) -> zumik_client::Result<()> {
/// use zumik_client::ErrorKind;
///
/// match zk.artifacts().retrieve(id).await {
///     Ok(artifact) => println!("{}", artifact.artifact_type),
///     Err(error) if error.kind() == ErrorKind::NotFound => println!("purged, or never there"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    retryable: bool,
    attempts: u32,
    idempotency_key: Option<HeaderValue>,
    operation: Option<OperationName>,
    meta: Option<Meta>,
    api: ApiError,
    message: Cow<'static, str>,
    conflict: Option<BranchConflict>,
    purge_job: Option<PurgeJobId>,
    body: Bytes,
    decode_path: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// The members of the error envelope, as far as the server sent them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) error_type: Option<ErrorType>,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<String>,
}

/// Method and path template of an operation, for messages and spans.
#[derive(Debug, Clone)]
pub(crate) struct OperationName {
    pub(crate) method: http::Method,
    pub(crate) template: Cow<'static, str>,
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether anything may have happened on the server, over all attempts of the call.
    ///
    /// True to the cautious side: it is [`Outcome::Ambiguous`] as soon as one attempt may have had its effect, even if
    /// a later one was refused.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The HTTP status, if a server answered.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.meta.as_ref().map(Meta::status)
    }

    /// `error.type` of the answer.
    pub fn error_type(&self) -> Option<&ErrorType> {
        self.0.api.error_type.as_ref()
    }

    /// `error.code` of the answer: the stable code to decide by. `None` for plain validation errors and for 404.
    pub fn code(&self) -> Option<&str> {
        self.0.api.code.as_deref()
    }

    /// `error.param` of the answer: the path of the field, or the name of the query parameter or header, at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.api.param.as_deref()
    }

    /// What went wrong, for a developer: the server's message, or the client's own. May be reworded at any time.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The trace id of the answer, to name in a support request.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.meta.as_ref().and_then(Meta::trace_id)
    }

    /// How long the server asks to wait before the next attempt.
    ///
    /// The client obeys it by itself up to 60 seconds; a longer one is not slept but reported here.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.meta.as_ref().and_then(Meta::retry_after)
    }

    /// How many times the request was tried. 0 when the call was refused before the first attempt.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The idempotency key of the request, the client's own one too. `None` for a request without.
    ///
    /// For 24 hours the same request under this key finishes what was begun, or gives the stored answer: send it so after
    /// an [`Ambiguous`](Outcome::Ambiguous) outcome. Answers that are too large for a server to keep are made again.
    pub fn idempotency_key(&self) -> Option<&str> {
        match &self.0.idempotency_key {
            Some(key) => key.to_str().ok(),
            None => self.0.meta.as_ref()?.idempotency_key(),
        }
    }

    /// Method and path template of the operation, for example `POST /v2/artifacts`. `None` for errors of building a
    /// client.
    pub fn operation(&self) -> Option<String> {
        self.0.operation.as_ref().map(ToString::to_string)
    }

    /// Status and headers of the answer, if a server answered.
    pub fn meta(&self) -> Option<&Meta> {
        self.0.meta.as_ref()
    }

    /// The body of the answer as it came, of an error answer the first 64 KiB. Empty when there was none.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Where in the body of a successful answer reading stopped, for example `data[3].created_at`.
    pub fn decode_path(&self) -> Option<&str> {
        self.0.decode_path.as_deref()
    }

    /// The version and head that an append or merge lost against, when the error is a
    /// [`BranchConflict`](ErrorKind::BranchConflict).
    pub fn branch_conflict(&self) -> Option<&BranchConflict> {
        self.0.conflict.as_ref()
    }

    /// The job of a purge that has begun, and whose proof is missing. With its id,
    /// [`proof`](crate::api::purge_jobs::PurgeJobs::proof) goes on.
    pub fn purge_job_id(&self) -> Option<&PurgeJobId> {
        self.0.purge_job.as_ref()
    }

    /// The underlying failure, to be downcast: a [`TransportError`](crate::transport::TransportError), a
    /// [`BuildError`], an [`std::io::Error`].
    ///
    /// [`source`](StdError::source) is empty, because [`Display`](fmt::Display) already says what the cause says.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// True when the same call may succeed later and repeating it cannot do harm, but the client stopped: no retries
    /// left, the deadline too near, the retry budget empty, or the server asks for more than 60 seconds.
    ///
    /// # Troubleshooting
    ///
    /// Queue the work and repeat it after [`retry_after`](Self::retry_after), or after some seconds. To repeat a POST
    /// without doing it twice, set [`idempotency_key`](crate::Call::idempotency_key) to the
    /// [one](Self::idempotency_key) that this error has. Where it happens often, raise
    /// [`max_retries`](crate::Call::max_retries) or [`timeout`](crate::Call::timeout).
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// True when time ran out: the total deadline of the call, the last attempt's own time limit, or the idle time of a
    /// stream.
    ///
    /// # Troubleshooting
    ///
    /// Look at [`outcome`](Self::outcome): an ambiguous one may have had its effect. Give slow operations more time
    /// with [`timeout`](crate::Call::timeout) and [`attempt_timeout`](crate::Call::attempt_timeout). A 504
    /// `deadline_exceeded` is not this: that is the server obeying `qos.deadline_ms`.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), ErrorKind::Timeout | ErrorKind::StreamIdle)
    }

    /// True when no connection could be opened: name resolution, TCP or TLS failed. Nothing was sent.
    ///
    /// # Troubleshooting
    ///
    /// Check the base URL, that the server runs, and the proxy variables (`HTTPS_PROXY`, `NO_PROXY`). A TLS failure
    /// names the certificate problem; a private certificate authority must be in the system's store.
    pub fn is_connect(&self) -> bool {
        self.kind() == ErrorKind::Connect
    }

    /// True for a 404: the id is unknown in this project, or the path is unknown.
    ///
    /// # Troubleshooting
    ///
    /// An id of another project answers exactly as one that never existed: check which project the key belongs to.
    /// Deleted and purged objects answer 404 too, and so does a bundle or snapshot that a purge has invalidated.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// True for a 401: the key is missing, malformed, unknown or revoked.
    ///
    /// # Troubleshooting
    ///
    /// Check `ZUMIK_API_KEY`, and that key and base URL belong together: a key of a self-hosted server is unknown to
    /// the hosted service. A revoked key stops working at once.
    pub fn is_authentication(&self) -> bool {
        self.kind() == ErrorKind::Authentication
    }

    /// True when an append or merge lost a compare-and-swap: somebody else moved the branch. Nothing was written,
    /// unless [`outcome`](Self::outcome) is ambiguous.
    ///
    /// # Troubleshooting
    ///
    /// Nothing is resolved silently. Read what happened ([`branch_conflict`](Self::branch_conflict),
    /// [`BranchCursor::history`](crate::BranchCursor::history)), then append again at the new position, fork, or give
    /// up; [`append_with`](crate::BranchCursor::append_with) asks you each time.
    pub fn is_branch_conflict(&self) -> bool {
        self.kind() == ErrorKind::BranchConflict
    }

    /// True for a 429 of throughput: too many requests, tokens or streams at once.
    ///
    /// # Troubleshooting
    ///
    /// The client has already waited and repeated. Wait for [`retry_after`](Self::retry_after), send less at once, or
    /// ask for a higher limit. Several processes with one key share its limit.
    pub fn is_rate_limited(&self) -> bool {
        self.kind() == ErrorKind::RateLimited
    }

    /// True when money is the reason: 402 `credits_required` (balance empty) or 429 `quota_exceeded` (budget used up).
    ///
    /// # Troubleshooting
    ///
    /// Waiting does not help, so this is never repeated. Add credits, or raise the budget of the project or of the
    /// key, which the message names.
    pub fn is_out_of_funds(&self) -> bool {
        matches!(self.kind(), ErrorKind::CreditsRequired | ErrorKind::QuotaExceeded)
    }

    /// True when the answer was refused because no model made it, and
    /// [`reject_placeholder`](crate::Options::reject_placeholder) is on.
    ///
    /// # Troubleshooting
    ///
    /// The server has no upstream for the model: connect a provider. To work with the filler text on purpose, turn
    /// `reject_placeholder` off.
    pub fn is_placeholder(&self) -> bool {
        self.kind() == ErrorKind::Placeholder
    }
}

/// How errors are made, inside the crate.
impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            outcome: Outcome::NotSent,
            retryable: false,
            attempts: 0,
            idempotency_key: None,
            operation: None,
            meta: None,
            api: ApiError::default(),
            message: message.into(),
            conflict: None,
            purge_job: None,
            body: Bytes::new(),
            decode_path: None,
            cause: None,
        }))
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_idempotency_key(mut self, key: Option<&HeaderValue>) -> Self {
        self.0.idempotency_key = key.cloned();
        self
    }

    pub(crate) fn with_operation(mut self, operation: OperationName) -> Self {
        self.0.operation = Some(operation);
        self
    }

    pub(crate) fn with_answer(mut self, meta: Meta, body: Bytes) -> Self {
        self.0.meta = Some(meta);
        self.0.body = body;
        self
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.0.body = body;
        self
    }

    pub(crate) fn with_api(mut self, api: ApiError) -> Self {
        self.0.api = api;
        self
    }

    pub(crate) fn with_decode_path(mut self, path: String) -> Self {
        self.0.decode_path = Some(path);
        self
    }

    pub(crate) fn with_conflict(mut self, conflict: BranchConflict) -> Self {
        self.0.conflict = Some(conflict);
        self
    }

    pub(crate) fn with_purge_job(mut self, id: PurgeJobId) -> Self {
        self.0.purge_job = Some(id);
        self
    }

    pub(crate) fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::new(ErrorKind::Request, error.to_string()).with_cause(error)
    }
}

impl StdError for Error {}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}
