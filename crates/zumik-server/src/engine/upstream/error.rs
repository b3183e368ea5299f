//! What can go wrong with a provider, and what a caller is told of it (contract `common.md`, "Errors").

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, RETRY_AFTER};
use thiserror::Error;
use zumik_types::V1ResponseError;

use super::refusal::Refusal;
use super::trouble::{Obstacle, Trouble};

/// Why a provider gave no answer. What it sent is in here only where it is meant for the caller, never in the log.
#[derive(Debug, Error)]
pub(crate) enum ProviderError {
    /// No connection could be opened.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(Obstacle, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke off before the answer was complete.
    #[error("the provider broke its answer off")]
    BrokeOff(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// Nothing came for so long.
    #[error("the provider sent nothing for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// It sent something all the time and came to no end.
    #[error("the provider's answer took longer than {} seconds", .0.as_secs())]
    Endless(Duration),
    /// What came is not what was asked for.
    #[error("the provider's answer is not valid: {0}")]
    Malformed(&'static str),
    /// A status that is not the request's fault, and no limit.
    #[error("the provider failed with status {0}")]
    Failed(u16),
    /// The credential of this server was refused.
    #[error("the provider refused the credential of this server with status {0}")]
    Credential(u16),
    /// The provider's limit was reached.
    #[error("the provider is at its rate limit for {retry_after} more seconds")]
    Limited {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// The provider has a complaint about the request, which the caller is to see.
    #[error("the provider refused the request with status {}", .0.status)]
    Refused(Box<Refusal>),
    /// The provider reported an error within an answer that began as a success.
    #[error("the provider reported an error within its answer")]
    Reported(Box<Refusal>),
    /// It failed too often lately, the last time so.
    #[error("the provider {0}; it has failed several times in a row and is left alone for a while")]
    LeftAlone(Trouble),
    /// It did not tell which models it has, so none of them could be called; why, where it is known.
    #[error("the models of the provider are not known")]
    Unlisted(#[source] Option<Arc<ProviderError>>),
    /// No upstream has the provider that the release names, or none is allowed.
    #[error("no permitted provider serves the model")]
    NoTarget,
}

impl ProviderError {
    /// What an answer with another status than success means.
    pub(crate) fn of_status(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        match status {
            401 | 402 | 403 | 407 => Self::Credential(status),
            429 => Self::Limited { retry_after: retry_after(headers, SystemTime::now()) },
            408 => Self::Failed(status),
            400..=499 => Self::refused(status, body),
            _ => Self::Failed(status),
        }
    }

    /// A refusal with what its body says.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        Self::Refused(Box::new(Refusal::by_status(status, body)))
    }

    /// An error that came with a status of success: in the place of an answer, or as an event of one.
    pub(crate) fn in_answer(data: &[u8]) -> Self {
        Self::reported(Refusal::in_answer(data))
    }

    /// A response that says of itself that it failed, with what it says of that.
    pub(crate) fn of_response(code: Option<&str>, message: Option<&str>) -> Self {
        Self::reported(Refusal::of_answer(code, message))
    }

    /// An error that is not told by a status. The request is to blame only where the code says so.
    fn reported(refusal: Refusal) -> Self {
        let code = refusal.code.as_deref();
        if code == Some("rate_limit_exceeded") {
            return Self::Limited { retry_after: 1 };
        }
        if code.is_some_and(V1ResponseError::blames_request) {
            return Self::Refused(Box::new(Refusal { status: 400, ..refusal }));
        }
        Self::Reported(Box::new(refusal))
    }

    /// Whether another target might do better.
    pub(crate) fn may_pass_elsewhere(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::NoTarget)
    }

    /// Whether it says that there is nothing at the address of an API, and not that something which the request names is
    /// missing: its model, or an item of its input.
    pub(crate) fn denies_api(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        match refusal.status {
            405 => true,
            404 => refusal.param.is_none() && refusal.code.as_deref() != Some("model_not_found"),
            _ => false,
        }
    }

    /// Whether the address or the key may be wrong. Who only has no list of models answers.
    pub(crate) fn speaks_of_settings(&self) -> bool {
        matches!(self, Self::Unreachable(..) | Self::Silent(_) | Self::Endless(_) | Self::Credential(_))
    }

    /// Whether no model was asked, and one may be some time later.
    pub(crate) fn is_unasked(&self) -> bool {
        matches!(self, Self::LeftAlone(_) | Self::Unlisted(_))
    }

    /// Whether the same target might do better in a moment.
    pub(crate) fn may_pass_soon(&self) -> bool {
        matches!(self, Self::Unreachable(..) | Self::BrokeOff(_) | Self::Failed(500 | 502 | 503))
    }

    /// What of it speaks against the target, so that it counts for its circuit. Who refuses, for whatever reason, is well.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        Some(match *self {
            Self::Unreachable(obstacle, _) => Trouble::Unreachable(obstacle),
            Self::BrokeOff(_) => Trouble::BrokeOff,
            Self::Silent(time) => Trouble::Silent(time),
            Self::Endless(time) => Trouble::Endless(time),
            Self::Malformed(problem) => Trouble::Malformed(problem),
            Self::Failed(status) => Trouble::Failed(status),
            Self::Reported(_) => Trouble::Reported,
            Self::Credential(_)
            | Self::Limited { .. }
            | Self::Refused(_)
            | Self::LeftAlone(_)
            | Self::Unlisted(_)
            | Self::NoTarget => return None,
        })
    }

    /// Whether it speaks against the target.
    pub(crate) fn is_fault(&self) -> bool {
        self.trouble().is_some()
    }
}

/// What went wrong with a provider, and with which, where it was one: the log names it.
#[derive(Debug)]
pub(crate) struct ProviderFailure {
    pub(crate) error: ProviderError,
    pub(crate) provider: Option<Arc<str>>,
}

impl From<ProviderError> for ProviderFailure {
    fn from(error: ProviderError) -> Self {
        Self { error, provider: None }
    }
}

impl fmt::Display for ProviderFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for ProviderFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// `Retry-After` in whole seconds, at least 1; 1 when there is none that can be read.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> u64 {
    let Some(value) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else { return 1 };
    let value = value.trim();
    let seconds = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Some(seconds.ceil()),
        Ok(_) => None,
        Err(_) => httpdate::parse_http_date(value)
            .ok()
            .and_then(|at| at.duration_since(now).ok())
            .map(|wait| wait.as_secs_f64().ceil()),
    };
    // A day is as good as never.
    seconds.map_or(1, |seconds| seconds.clamp(1.0, 86_400.0) as u64)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_means_what_the_contract_says() {
        let none = HeaderMap::new();
        let of = |status| ProviderError::of_status(status, &none, b"");
        for status in [400, 404, 409, 413, 415, 422] {
            assert!(matches!(of(status), ProviderError::Refused(refusal) if refusal.status == status));
        }
        for status in [401, 402, 403, 407] {
            assert!(matches!(of(status), ProviderError::Credential(_)), "{status}");
        }
        for status in [302, 408, 500, 502, 503, 504, 529] {
            assert!(matches!(of(status), ProviderError::Failed(_)), "{status}");
        }
        assert!(matches!(of(429), ProviderError::Limited { retry_after: 1 }));
    }

    /// All codes that OpenAI's clients know of a failed response, and some that they do not.
    #[test]
    fn a_failed_response_blames_the_request_only_by_its_code() {
        let of = |code| ProviderError::of_response(code, Some("m"));
        for code in [
            None,
            Some("server_error"),
            Some("vector_store_timeout"),
            Some("data_residency_mismatch"),
            Some("novel"),
            Some(""),
        ] {
            assert!(
                matches!(of(code), ProviderError::Reported(refusal) if refusal.status == 502),
                "{code:?}"
            );
            assert!(of(code).is_fault(), "{code:?}");
        }
        for code in [
            "invalid_prompt",
            "bio_policy",
            "misalignment_policy_violation",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_content_policy_violation",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
            "context_length_exceeded",
        ] {
            assert!(
                matches!(of(Some(code)), ProviderError::Refused(refusal) if refusal.status == 400),
                "{code}"
            );
            assert!(!of(Some(code)).is_fault(), "{code}");
        }
        assert!(matches!(of(Some("rate_limit_exceeded")), ProviderError::Limited { retry_after: 1 }));
    }

    #[test]
    fn an_error_in_an_answer_is_judged_by_its_code_and_keeps_its_members() {
        let of = |code: &str| {
            let error = format!(r#"{{"error":{{"message":"m","code":"{code}","param":"messages"}}}}"#);
            ProviderError::in_answer(error.as_bytes())
        };
        let ProviderError::Refused(refusal) = of("context_length_exceeded") else {
            panic!("it is the request")
        };
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("messages")));
        let ProviderError::Reported(refusal) = of("server_error") else { panic!("it is the provider") };
        assert_eq!((refusal.status, refusal.param.as_deref()), (502, Some("messages")));
        assert!(matches!(of("rate_limit_exceeded"), ProviderError::Limited { retry_after: 1 }));
    }

    #[test]
    fn only_what_speaks_of_no_part_of_the_request_denies_an_api() {
        for (status, body, denies) in [
            (405, "", true),
            (404, "404 page not found", true),
            (404, r#"{"detail":"Not Found"}"#, true),
            (
                404,
                r#"{"error":{"message":"Invalid URL (POST /v1/responses)","param":null,"code":null}}"#,
                true,
            ),
            (404, r#"{"error":{"message":"No such model.","param":null,"code":"model_not_found"}}"#, false),
            (404, r#"{"error":{"message":"No such model.","param":"model","code":null}}"#, false),
            (
                404,
                r#"{"error":{"message":"Item with id 'rs_1' not found.","param":"input","code":null}}"#,
                false,
            ),
            (400, r#"{"detail":"Not Found"}"#, false),
        ] {
            assert_eq!(
                ProviderError::refused(status, body.as_bytes()).denies_api(),
                denies,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_wait_is_whole_seconds_and_at_least_one() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            retry_after(&headers, now)
        };
        for (value, seconds) in [
            ("7", 7),
            ("0", 1),
            ("1.2", 2),
            ("-1", 1),
            ("NaN", 1),
            ("soon", 1),
            ("1e99", 86_400),
            ("Sun, 09 Sep 2001 01:47:10 GMT", 30),
            ("Sun, 09 Sep 2001 01:46:00 GMT", 1),
        ] {
            assert_eq!(of(value), seconds, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), 1);
    }
}
