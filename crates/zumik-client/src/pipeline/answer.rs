//! What came back of an attempt, and the success or error that it becomes.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use zumik_types::{ErrorType, ExecutionMode};

use super::classify::{Seen, is_quota};
use super::prepare::Prepared;
use super::{Past, RawResponse, delay};
use crate::ambient::Ambient;
use crate::endpoint::DecodeError;
use crate::error::{
    ApiError, BranchConflict, BranchPosition, Envelope, Error, ErrorKind, Outcome, Result, excerpt,
};
use crate::response::Meta;
use crate::transport::{HttpResponse, TransportError};

/// What came back of one attempt.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly always the large variant")]
#[derive(Debug)]
pub(crate) enum Attempt {
    /// An answer, whole.
    Answered(Answer),
    /// No answer, or half of one.
    Failed(TransportError),
    /// The time was over before the end of the answer.
    TimedOut,
}

/// An answer with its error envelope, if it is no success.
#[derive(Debug)]
pub(crate) struct Answer {
    meta: Meta,
    body: Bytes,
    failure: Envelope,
}

impl Attempt {
    /// Reads the body. An error answer whose body breaks off still is an answer: its status says enough.
    pub(crate) async fn read(
        answer: HttpResponse,
        number: u32,
        ambient: &dyn Ambient,
    ) -> Result<Self, TransportError> {
        let success = answer.status.is_success();
        let body = match answer.body.collect().await {
            Ok(body) => body,
            Err((_, error)) if success => return Err(TransportError::interrupted(error)),
            Err((read, _)) => read,
        };
        let retry_after = if success { None } else { delay::retry_after(&answer.headers, ambient.now()) };
        let failure = if success { Envelope::default() } else { Envelope::read(&body) };
        let meta = Meta::new(answer.status, answer.headers, number, retry_after);
        Ok(Self::Answered(Answer { meta, body, failure }))
    }

    /// What the retry rules look at.
    pub(crate) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Answered(answer) => Seen::Answer {
                status: answer.meta.status(),
                error_type: answer.failure.api.error_type.as_ref(),
                code: answer.failure.api.code.as_deref(),
            },
            Self::Failed(error) if !error.may_have_been_sent() => Seen::NotSent,
            Self::Failed(_) | Self::TimedOut => Seen::Lost,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered(answer) => answer.meta.retry_after(),
            Self::Failed(_) | Self::TimedOut => None,
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(answer) => Some(answer.meta.status()),
            Self::Failed(_) | Self::TimedOut => None,
        }
    }

    /// How many bytes of body came, if an answer came.
    pub(crate) fn body_size(&self) -> Option<usize> {
        match self {
            Self::Answered(answer) => Some(answer.body.len()),
            Self::Failed(_) | Self::TimedOut => None,
        }
    }

    /// The answer of a success, unless the caller does not want answers of this execution mode.
    pub(super) fn into_success(self, call: &Prepared, past: &Past) -> Result<(Meta, Bytes)> {
        let Self::Answered(Answer { meta, body, .. }) = self else {
            return Err(self.into_error(call, past, false));
        };
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
                .with_attempts(past.attempts)
                .with_answer(meta, body)),
        }
    }

    /// The answer that the lost one of an earlier DELETE must have been.
    pub(super) fn into_deletion(self, call: &Prepared) -> Result<(Meta, Bytes)> {
        let Self::Answered(Answer { meta, .. }) = self else {
            return Err(Error::new(ErrorKind::Interrupted, "no answer"));
        };
        let id = call.request.uri.path().rsplit('/').next().unwrap_or_default();
        let id = percent_decode_str(id).decode_utf8_lossy();
        Ok((meta, Bytes::from(json!({ "id": id, "deleted": true }).to_string())))
    }

    /// The error of a call that ends with this attempt.
    pub(super) fn into_error(self, call: &Prepared, past: &Past, retryable: bool) -> Error {
        let error = match self {
            Self::Answered(answer) => answer.into_error(call),
            Self::Failed(error) => {
                let kind =
                    if error.may_have_been_sent() { ErrorKind::Interrupted } else { ErrorKind::Connect };
                let message = match kind {
                    ErrorKind::Connect => format!("cannot connect to {}: {error}", call.server),
                    _ => format!("the connection to {} broke: {error}", call.server),
                };
                Error::new(kind, message).with_cause(error)
            }
            Self::TimedOut => {
                Error::new(ErrorKind::Timeout, format!("{} did not answer in time", call.server))
            }
        };
        error.with_outcome(past.outcome).with_attempts(past.attempts).with_retryable(retryable)
    }
}

impl Answer {
    fn into_error(self, call: &Prepared) -> Error {
        let Self { meta, body, failure } = self;
        let kind = kind(meta.status(), &failure.api);
        let message = failure.message.unwrap_or_else(|| match excerpt(&body) {
            text if text.is_empty() => "the answer has no body".to_owned(),
            text => format!("the answer is not an error of the API: {text}"),
        });
        let error = Error::new(kind, message).with_api(failure.api).with_answer(meta, body);
        match (kind, guards(&call.request.body)) {
            (ErrorKind::BranchConflict, Some(expected)) => {
                error.with_conflict(BranchConflict { expected, current: failure.branch })
            }
            _ => error,
        }
    }
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

/// A success whose body cannot be read. The operation was carried out.
pub(crate) fn undecodable(answer: RawResponse, error: DecodeError) -> Error {
    let RawResponse { target, meta, body } = answer;
    let attempts = meta.attempts();
    Error::new(ErrorKind::Decode, format!("the answer is not what the contract says {error}"))
        .with_decode_path(error.path().to_owned())
        .with_cause(error)
        .with_outcome(Outcome::Ambiguous)
        .with_attempts(attempts)
        .with_answer(meta, body)
        .with_operation(target.name)
}
