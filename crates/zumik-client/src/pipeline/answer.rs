//! What came back of an attempt, and the success or error that it becomes.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use zumik_types::{ErrorType, ExecutionMode, Idempotency, V1ResponseError};

use super::classify::{Facts, Seen, Verdict, classify, is_quota};
use super::limit::Limit;
use super::prepare::Prepared;
use super::take::{Take, Untaken, Unusable};
use super::{Past, delay};
use crate::ambient::Ambient;
use crate::endpoint::DecodeError;
use crate::error::{
    ApiError, BranchConflict, BranchPosition, Envelope, Error, ErrorKind, Outcome, Result, excerpt,
};
use crate::options::IDEMPOTENCY_KEY;
use crate::response::Meta;
use crate::transport::{HttpResponse, ResponseBody, TransportError, wrong_scheme};

/// What came back of one attempt: a success and its body as far as it is taken, or something else.
pub(crate) type Attempt<B> = Result<(Meta, B), Failure>;

/// An attempt without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another answer, with the beginning of its body.
    Answered(Answer),
    /// A success whose body is not what it should be.
    Unusable(Meta, Unusable),
    /// No answer, or half of one.
    Lost(TransportError),
    /// The time was over before the end of the answer.
    TimedOut(Limit),
}

/// An answer that is no success, with its error envelope.
#[derive(Debug)]
pub(crate) struct Answer {
    meta: Meta,
    body: Bytes,
    failure: Envelope,
}

/// Takes the body of a success before the limit of the attempt, or reads what else the server answered.
pub(super) async fn read<T: Take>(
    call: &Prepared,
    answer: HttpResponse,
    number: u32,
    limit: Limit,
    ambient: &dyn Ambient,
) -> Attempt<T::Body> {
    let HttpResponse { status, headers, body } = answer;
    let key = call.request.headers.get(IDEMPOTENCY_KEY);
    if status.is_success() {
        let meta = Meta::new(status, headers, number, None).under(key);
        let taken = pin!(take::<T>(call, meta, body));
        return limit.within(taken).await?;
    }
    let retry_after = delay::retry_after(&headers, ambient.now());
    let meta = Meta::new(status, headers, number, retry_after).under(key);
    // An error answer whose body breaks off, stalls or does not end still is an answer: its status says enough.
    let body = body.beginning(limit.until()).await;
    let failure = Envelope::read(&body);
    Err(Failure::Answered(Answer { meta, body, failure }))
}

async fn take<T: Take>(call: &Prepared, meta: Meta, body: ResponseBody) -> Attempt<T::Body> {
    match T::take(call, &meta, body).await {
        Ok(body) => Ok((meta, body)),
        Err(Untaken::Lost(error)) => Err(Failure::Lost(error)),
        Err(Untaken::Unusable(unusable)) => Err(Failure::Unusable(meta, unusable)),
    }
}

/// A success, unless the caller does not want answers of this execution mode.
pub(super) fn accept<T: Take>(call: &Prepared, meta: Meta, body: T::Body) -> Result<(Meta, T::Body)> {
    let refused = match meta.execution_mode() {
        Some(ExecutionMode::Placeholder) if call.reject_placeholder => Some((
            ErrorKind::Placeholder,
            "no model answered: the server has no upstream for this model and sent filler text",
        )),
        Some(ExecutionMode::OpenrouterFallback) if call.reject_openrouter_fallback => Some((
            ErrorKind::OpenrouterFallback,
            "the last-resort bridge answered, and this client does not take its answers",
        )),
        _ => None,
    };
    match refused {
        None => Ok((meta, body)),
        Some((kind, message)) => Err(Error::new(kind, message)
            .with_outcome(Outcome::Ambiguous)
            .with_attempts(meta.attempts())
            .with_answer(meta, T::bytes(body))),
    }
}

/// The answer that the lost one of an earlier DELETE must have been.
pub(super) async fn deletion<T: Take>(call: &Prepared, meta: Meta) -> Attempt<T::Body> {
    let id = call.request.url.path().rsplit('/').next().unwrap_or_default();
    let id = percent_decode_str(id).decode_utf8_lossy();
    take::<T>(call, meta, json!({ "id": id, "deleted": true }).to_string().into()).await
}

impl Failure {
    /// What the retry rules look at.
    pub(crate) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Answered(answer) => Seen::Answer {
                status: answer.meta.status(),
                error_type: answer.failure.api.error_type.as_ref(),
                code: answer.failure.api.code.as_deref(),
            },
            Self::Unusable(..) => Seen::Unusable,
            Self::Lost(error) if !error.may_have_been_sent() => Seen::NotSent,
            Self::Lost(_) | Self::TimedOut(_) => Seen::Lost,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.meta().and_then(Meta::retry_after)
    }

    /// The answer, if one came.
    pub(crate) fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Answered(answer) => Some(&answer.meta),
            Self::Unusable(meta, _) => Some(meta),
            Self::Lost(_) | Self::TimedOut(_) => None,
        }
    }

    /// How many bytes of body came, if an answer came.
    pub(crate) fn body_size(&self) -> Option<usize> {
        match self {
            Self::Answered(answer) => Some(answer.body.len()),
            Self::Unusable(_, unusable) => Some(unusable.body.len()),
            Self::Lost(_) | Self::TimedOut(_) => None,
        }
    }

    /// The error of a call that ends with this attempt.
    pub(super) fn into_error(self, call: &Prepared, past: &Past, retryable: bool) -> Error {
        let error = match self {
            Self::Answered(answer) => answer.into_error(call),
            Self::Unusable(meta, Unusable { kind, message, body }) => {
                Error::new(kind, message).with_answer(meta, body)
            }
            Self::Lost(error) => lost(&call.server, error),
            Self::TimedOut(limit) => {
                Error::new(ErrorKind::Timeout, format!("{} did not answer within {limit}", call.server))
            }
        };
        let error = error.with_idempotency_key(call.request.headers.get(IDEMPOTENCY_KEY));
        error.with_outcome(past.outcome).with_attempts(past.attempts).with_retryable(retryable)
    }
}

/// The error of a connection that could not be opened, or that broke.
fn lost(server: &str, error: TransportError) -> Error {
    let (kind, message) = if error.may_have_been_sent() {
        (ErrorKind::Interrupted, format!("the connection to {server} broke: {error}"))
    } else {
        (ErrorKind::Connect, format!("cannot connect to {server}: {error}"))
    };
    let message = match wrong_scheme(&error) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    };
    Error::new(kind, message).with_cause(error)
}

impl Answer {
    fn into_error(self, call: &Prepared) -> Error {
        let Self { meta, body, failure: Envelope { api, message, branch } } = self;
        let error = refusal(meta, body, api, message);
        match (error.kind(), guards(&call.request.body)) {
            (ErrorKind::BranchConflict, Some(expected)) => {
                error.with_conflict(BranchConflict { expected, current: branch })
            }
            _ => error,
        }
    }
}

/// The error of an answer that is no success, as far as the answer tells it.
fn refusal(meta: Meta, body: Bytes, api: ApiError, message: Option<String>) -> Error {
    let message = message.unwrap_or_else(|| match excerpt(&body) {
        text if text.is_empty() => "the answer has no body".to_owned(),
        text => format!("the answer is not an error of the API: {text}"),
    });
    Error::new(kind(meta.status(), &api), message).with_api(api).with_answer(meta, body)
}

/// The error of an answer that was given to somebody else: the line of a batch.
pub(crate) fn refused(meta: Meta, body: Bytes) -> Error {
    let Envelope { api, message, .. } = Envelope::read(&body);
    let (error_type, code) = (api.error_type.clone(), api.code.clone());
    let seen = Seen::Answer { status: meta.status(), error_type: error_type.as_ref(), code: code.as_deref() };
    let facts = Facts { idempotency: Idempotency::Key, has_key: true };
    let retryable = matches!(classify(&facts, false, &seen), Verdict::Retry(_));
    let error = refusal(meta, body, api, message);
    error.with_outcome(seen.outcome()).with_retryable(retryable).with_attempts(1)
}

/// What an append or merge expected of its branch, read from the request that was sent.
fn guards(request: &[u8]) -> Option<BranchPosition> {
    let request: Value = serde_json::from_slice(request).ok()?;
    BranchPosition::read(&request, "expected_version", "expected_head_event_id")
}

/// The kind of an error answer: by its code where it has one, else by its status.
fn kind(status: StatusCode, api: &ApiError) -> ErrorKind {
    let error_type = api.error_type.as_ref();
    match api.code.as_deref() {
        Some("branch_version_conflict") => return ErrorKind::BranchConflict,
        Some("idempotency_key_reused") => return ErrorKind::KeyReused,
        Some("credits_required") => return ErrorKind::CreditsRequired,
        Some("deadline_exceeded") => return ErrorKind::DeadlineExceeded,
        _ => {}
    }
    match status.as_u16() {
        400 | 422 => ErrorKind::BadRequest,
        401 => ErrorKind::Authentication,
        402 => ErrorKind::CreditsRequired,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        409 if error_type == Some(&ErrorType::IdempotencyConflict) => ErrorKind::KeyInFlight,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 if is_quota(error_type, api.code.as_deref()) => ErrorKind::QuotaExceeded,
        429 => ErrorKind::RateLimited,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Status,
    }
}

/// The kind of an error that came in a stream, where no status tells it: by its type, or where it has none, its code.
pub(crate) fn kind_in_stream(api: &ApiError) -> ErrorKind {
    let status = match (&api.error_type, api.code.as_deref()) {
        (Some(ErrorType::InvalidRequestError), _) => 400,
        (Some(ErrorType::RateLimitError | ErrorType::InsufficientQuota), _) => 429,
        (Some(ErrorType::IdempotencyConflict), _) => 409,
        (None, Some("rate_limit_exceeded" | "quota_exceeded")) => 429,
        (None, Some(code)) if code.starts_with("invalid_") || V1ResponseError::blames_request(code) => 400,
        _ => 500,
    };
    kind(StatusCode::from_u16(status).unwrap_or_default(), api)
}

/// A success whose body cannot be read. The operation was carried out.
pub(crate) fn undecodable(meta: Meta, body: Bytes, error: DecodeError) -> Error {
    let attempts = meta.attempts();
    Error::new(ErrorKind::Decode, format!("the answer is not what the contract says {error}"))
        .with_decode_path(error.path().to_owned())
        .with_cause(error)
        .with_outcome(Outcome::Ambiguous)
        .with_attempts(attempts)
        .with_answer(meta, body)
}
