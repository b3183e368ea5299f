//! The one error type of the HTTP side, and the contract's envelope that it becomes.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use zumik_types::{BranchState, ErrorBody, ErrorEnvelope, ErrorType, Extra};

use crate::blocking::BrokenOff;
use crate::store::{Kind, StoreError};

/// What a request is answered with when it is not answered with success.
///
/// It becomes the error envelope of the contract (common.md, "Errors"). A message names the value that was wrong
/// and what to do about it; it never holds a secret, contents, or what went wrong inside the server. An internal
/// cause travels in [`ApiError::cause`] as far as the log and no further.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    kind: ErrorType,
    code: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    branch: Option<BranchState>,
    retry_after: Option<u64>,
    unasked: bool,
    provider: Option<Arc<str>>,
    allow: Option<HeaderValue>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    fn new(status: StatusCode, kind: ErrorType, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            status,
            kind,
            code: None,
            message: message.into(),
            param: None,
            branch: None,
            retry_after: None,
            unasked: false,
            provider: None,
            allow: None,
            cause: None,
        }))
    }

    fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// 400: the field `param` (a path such as `items[0].role`, a query parameter or a header) is not as it must be.
    pub(crate) fn invalid(
        param: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut error = Self::malformed(message);
        error.0.param = Some(param.into());
        error
    }

    /// 400 that no single field is to blame for.
    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorType::InvalidRequestError, message)
    }

    /// 401: the key is missing, malformed, unknown or revoked; which of them is not told.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            ErrorType::InvalidRequestError,
            "Missing or invalid API key. Send it as 'Authorization: Bearer zk_live_…'.",
        )
        .code("invalid_api_key")
    }

    /// 403: the key lacks the scope `needed`.
    pub(crate) fn insufficient_scope(needed: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ErrorType::InvalidRequestError,
            format!("This API key lacks the scope '{needed}'."),
        )
        .code("insufficient_scope")
    }

    /// 404 for an id in the path that this project does not hold, whatever the reason.
    pub(crate) fn missing(what: Kind, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorType::InvalidRequestError,
            format!("No {what} with id '{}' exists in this project.", excerpt(id)),
        )
    }

    /// 404 for a path that is no operation.
    pub(crate) fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorType::InvalidRequestError,
            "No operation has this path. Paths start with /v1 or /v2 and have no trailing slash.",
        )
    }

    /// 404 for a model that cannot be resolved.
    pub(crate) fn model_not_found(model: &str) -> Self {
        let mut error = Self::new(
            StatusCode::NOT_FOUND,
            ErrorType::InvalidRequestError,
            format!("The model '{}' does not exist.", excerpt(model)),
        )
        .code("model_not_found");
        error.0.param = Some("model".into());
        error
    }

    /// 404 for a model that does not exist, where the documentation gives no code.
    pub(crate) fn no_such_model(model: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorType::InvalidRequestError,
            format!("The model '{}' does not exist.", excerpt(model)),
        )
    }

    /// 405: the path is known, the method is not; `allow` lists those that are.
    pub(crate) fn method_not_allowed(method: &http::Method, allow: HeaderValue) -> Self {
        let message = match allow.to_str() {
            Ok(methods) => {
                format!("This path does not take {}; it takes {methods}.", excerpt(method.as_str()))
            }
            Err(_) => "This path does not take this method.".to_owned(),
        };
        let mut error = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorType::InvalidRequestError, message)
            .code("method_not_allowed");
        error.0.allow = Some(allow);
        error
    }

    /// 409: the session is archived or tombstoned.
    pub(crate) fn session_not_active(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorType::InvalidRequestError, message).code("session_not_active")
    }

    /// 409: the batch has ended, and not by a cancel.
    pub(crate) fn batch_ended(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorType::InvalidRequestError, message)
    }

    /// 409: a guard of an append or merge is stale. `param` names it, `branch` is the present state.
    pub(crate) fn branch_version_conflict(
        param: &'static str,
        message: impl Into<Cow<'static, str>>,
        branch: BranchState,
    ) -> Self {
        let mut error = Self::new(StatusCode::CONFLICT, ErrorType::InvalidRequestError, message)
            .code("branch_version_conflict");
        error.0.param = Some(param.into());
        error.0.branch = Some(branch);
        error
    }

    /// 409: the first request with this idempotency key still runs.
    pub(crate) fn idempotency_in_flight() -> Self {
        let mut error = Self::new(
            StatusCode::CONFLICT,
            ErrorType::IdempotencyConflict,
            "A request with this Agent-Idempotency-Key is already in progress. Retry after it completes.",
        );
        error.0.retry_after = Some(1);
        error
    }

    /// 422: the idempotency key belongs to another request.
    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorType::IdempotencyConflict,
            "This Agent-Idempotency-Key was already used with a different request body.",
        )
        .code("idempotency_key_reused")
    }

    /// 413: the body is over the cap.
    pub(crate) fn too_large(cap: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorType::InvalidRequestError,
            format!("The request body is larger than {cap} bytes, the most that is accepted."),
        )
        .code("request_too_large")
    }

    /// 429: a rate limit; `seconds` is how long to wait. `of` says what the limit counts.
    pub(crate) fn rate_limited(of: &str, seconds: u64) -> Self {
        let plural = if seconds == 1 { "second" } else { "seconds" };
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorType::RateLimitError,
            format!("Rate limit reached for {of}. Retry after {seconds} {plural}."),
        )
        .code("rate_limit_exceeded");
        error.0.retry_after = Some(seconds);
        error
    }

    /// 500: a fault of the server. The cause goes to the log, the client sees only the trace id.
    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorType::ApiError,
            "The server failed to handle this request. Its log has the cause under the trace id of this answer.",
        )
        .code("internal_error")
        .caused_by(cause.into())
    }

    /// 500: whether the request was carried out is not known.
    fn outcome_unknown(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let mut error = Self::internal(cause);
        error.0.message =
            "The store was lost before it said whether this request was carried out. Repeat it with its \
                           Agent-Idempotency-Key, or look first."
                .into();
        error
    }

    /// 503: the server sheds load or shuts down.
    pub(crate) fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorType::ApiError, message).code("overloaded");
        error.0.retry_after = Some(1);
        error
    }

    /// 503: the server finishes what it has and takes nothing new.
    pub(crate) fn draining() -> Self {
        Self::overloaded("The server is shutting down.")
    }

    /// With what the log shall know and the client shall not.
    pub(crate) fn caused_by(mut self, cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        self.0.cause = Some(cause);
        self
    }

    /// 403: the region that a model is served in is not among those that the caller allows.
    pub(crate) fn region_not_allowed(region: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ErrorType::InvalidRequestError,
            format!("Region '{region}' is not allowed by the agent hints of this request."),
        )
        .code("region_not_allowed")
    }

    /// 504: the call passed its deadline of `deadline_ms` milliseconds and was aborted.
    pub(crate) fn deadline_exceeded(deadline_ms: u64) -> Self {
        let mut error = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            ErrorType::ApiError,
            format!(
                "The provider call passed the deadline of {deadline_ms} ms and was aborted. It was not charged."
            ),
        )
        .code("deadline_exceeded");
        error.0.param = Some("qos.deadline_ms".into());
        error
    }

    /// 502: no permitted provider answered; `message` says why, as far as it is the caller's business.
    pub(crate) fn provider(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, ErrorType::ApiError, message).code("provider_error")
    }

    /// A provider's own complaint about the request, with its status and its members.
    pub(crate) fn refused_by_provider(
        status: u16,
        message: String,
        code: Option<String>,
        param: Option<String>,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let kind =
            if status.is_server_error() { ErrorType::ApiError } else { ErrorType::InvalidRequestError };
        let mut error = Self::new(status, kind, message);
        error.0.code = code.map(Cow::Owned);
        error.0.param = param.map(Cow::Owned);
        error
    }

    /// A generation for which no model was asked, and for which one may be asked later.
    pub(crate) fn unasked(mut self) -> Self {
        self.0.unasked = true;
        self
    }

    /// Whether no model was asked, and one may be asked later.
    pub(crate) fn is_unasked(&self) -> bool {
        self.0.unasked
    }

    /// Whose failure it is, for the log.
    pub(crate) fn of(mut self, provider: Option<Arc<str>>) -> Self {
        self.0.provider = provider;
        self
    }

    /// The provider whose failure it is, if it is that of one: for the log.
    pub(crate) fn of_provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// How many seconds to wait before the request is sent again, if that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the log shall know and the client shall not.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// The code of the envelope, if it has one.
    pub(crate) fn machine_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The message of the envelope.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The field that is to blame.
    #[cfg(test)]
    pub(crate) fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The envelope as JSON: the body of the answer, and an error within a stream.
    pub(crate) fn envelope(&self) -> Vec<u8> {
        let parts = &self.0;
        let envelope = ErrorEnvelope {
            error: ErrorBody {
                message: parts.message.clone().into_owned(),
                error_type: parts.kind.clone(),
                code: parts.code.clone().map(Cow::into_owned),
                param: parts.param.clone().map(Cow::into_owned),
                branch: parts.branch.clone(),
                extra: Extra::new(),
            },
            extra: Extra::new(),
        };
        // Strings and integers only: this cannot fail, and an empty body would still carry the status.
        serde_json::to_vec(&envelope).unwrap_or_default()
    }

    /// The answer: status, envelope, and the headers that belong to this error.
    pub(crate) fn into_response(self) -> Response<Body> {
        let body = self.envelope();
        let parts = *self.0;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = parts.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if parts.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = parts.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = parts.allow {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = sentence(&error.to_string());
        match error {
            StoreError::NotFound { kind, id } => Self::missing(kind, &id),
            StoreError::Reference { param, problem } => {
                Self::invalid(param, cut(sentence(&problem), LONGEST))
            }
            StoreError::Conflict { guard, branch } => {
                Self::branch_version_conflict(guard.param(), message, *branch)
            }
            StoreError::SessionNotActive { .. } => Self::session_not_active(message),
            StoreError::BatchEnded { .. } => Self::batch_ended(message),
            StoreError::Limit { limit } => Self::invalid(limit.param(), message),
            StoreError::KeyReused => Self::idempotency_key_reused(),
            // Whoever took the key over is still running.
            StoreError::InFlight | StoreError::LeaseLost => Self::idempotency_in_flight(),
            StoreError::TooLong => Self::overloaded(message),
            StoreError::Unavailable(cause) => {
                Self::overloaded("The server cannot reach its store now. Retry later.").caused_by(cause)
            }
            StoreError::OutcomeUnknown(cause) => Self::outcome_unknown(cause),
            StoreError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<BrokenOff> for ApiError {
    fn from(error: BrokenOff) -> Self {
        Self::internal(error)
    }
}

/// A message of the inside, `lower case without full stop`, as a message to a caller.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(characters)
        .chain((!message.ends_with('.')).then_some('.'))
        .collect()
}

/// Most characters of a message that repeats what a caller sent.
const LONGEST: usize = 512;

/// The beginning of a value that a caller sent, short and printable enough to stand in a message.
pub(crate) fn excerpt(value: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    cut(value.chars().take(66).map(printable).collect(), 64)
}

/// The first `most` characters of a text, with an ellipsis when there are more.
fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt("art_1"), "art_1");
        assert_eq!(excerpt("a\0b\nc"), "a\u{fffd}b\u{fffd}c");
        let long = excerpt(&"ä".repeat(1_000));
        assert_eq!(long.chars().count(), 65);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn only_a_store_that_did_nothing_is_overloaded() {
        for (error, status, code) in [
            (StoreError::unavailable("away"), 503, "overloaded"),
            (StoreError::outcome_unknown("cut off"), 500, "internal_error"),
        ] {
            let error = ApiError::from(error);
            assert_eq!((error.status().as_u16(), error.machine_code()), (status, Some(code)));
            assert!(error.cause().is_some() && !error.message().contains("cut off"));
        }
    }

    #[test]
    fn a_rate_limit_counts_its_seconds_in_words_and_in_the_header() {
        let response = ApiError::rate_limited("this API key", 2).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(
            ApiError::rate_limited("this API key", 1).message(),
            "Rate limit reached for this API key. Retry after 1 second."
        );
    }
}
