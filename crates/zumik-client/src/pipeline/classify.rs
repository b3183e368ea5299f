//! What an attempt means for the next one. The table of the contract's "Client retries", as one pure function.

use http::StatusCode;
use zumik_types::{ErrorType, Idempotency};

use crate::error::Outcome;

/// What decides about repeating a call, apart from what happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) idempotency: Idempotency,
    /// The request carries an idempotency key.
    pub(crate) has_key: bool,
}

impl Facts {
    /// Whether the request may be sent again although it may already have had its effect.
    fn is_repeatable(self) -> bool {
        match self.idempotency {
            Idempotency::Safe | Idempotency::Replace | Idempotency::Delete => true,
            Idempotency::Key | Idempotency::Cas | Idempotency::Event => self.has_key,
        }
    }
}

/// What was seen of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// Nothing left the machine.
    NotSent,
    /// It was on its way, then the connection broke or the time was over.
    Lost,
    /// A success came whose body is not what it should be.
    Unusable,
    /// An answer came.
    Answer { status: StatusCode, error_type: Option<&'a ErrorType>, code: Option<&'a str> },
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A 404 to a DELETE of which an earlier attempt may have been carried out: a success.
    AlreadyDeleted,
    /// Repeating would help.
    Retry(Pace),
    /// Repeating would not help, or would not be safe.
    Stop,
}

/// What limits the repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Number of retries, budget, deadline.
    Backoff,
    /// The deadline only: the server is well and still busy with the first request of this key.
    InFlight,
}

/// Decides. `reached` says that an earlier attempt of the call may have had its effect.
pub(crate) fn classify(facts: &Facts, reached: bool, seen: &Seen<'_>) -> Verdict {
    let if_repeatable = || if facts.is_repeatable() { Verdict::Retry(Pace::Backoff) } else { Verdict::Stop };
    let (status, error_type, code) = match *seen {
        Seen::NotSent => return Verdict::Retry(Pace::Backoff),
        Seen::Lost => return if_repeatable(),
        Seen::Unusable => return Verdict::Stop,
        Seen::Answer { status, error_type, code } => (status.as_u16(), error_type, code),
    };
    match status {
        404 if facts.idempotency == Idempotency::Delete && reached => Verdict::AlreadyDeleted,
        409 if error_type == Some(&ErrorType::IdempotencyConflict) && code.is_none() => {
            Verdict::Retry(Pace::InFlight)
        }
        429 if is_quota(error_type, code) => Verdict::Stop,
        429 | 503 => Verdict::Retry(Pace::Backoff),
        504 if code == Some("deadline_exceeded") => Verdict::Stop,
        408 | 500 | 502 | 504 => if_repeatable(),
        _ => Verdict::Stop,
    }
}

/// Whether a 429 is about money and not about speed.
pub(crate) fn is_quota(error_type: Option<&ErrorType>, code: Option<&str>) -> bool {
    error_type == Some(&ErrorType::InsufficientQuota) || code == Some("quota_exceeded")
}

impl Seen<'_> {
    /// What the attempt may have done on the server.
    pub(crate) fn outcome(&self) -> Outcome {
        let (status, error_type, code) = match *self {
            Self::NotSent => return Outcome::NotSent,
            Self::Lost | Self::Unusable => return Outcome::Ambiguous,
            Self::Answer { status, error_type, code } => (status.as_u16(), error_type, code),
        };
        match status {
            200..=299 | 408 => Outcome::Ambiguous,
            // The first request with this key is still running.
            409 if error_type == Some(&ErrorType::IdempotencyConflict) => Outcome::Ambiguous,
            501 | 503 => Outcome::Rejected,
            504 if code == Some("deadline_exceeded") => Outcome::Rejected,
            500.. => Outcome::Ambiguous,
            _ => Outcome::Rejected,
        }
    }

    /// A short name for logs and spans.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::NotSent => "connect",
            Self::Lost => "interrupted",
            Self::Unusable => "unusable",
            Self::Answer { status, code, .. } => code.unwrap_or(status.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Idempotency::{Cas, Delete, Event, Key, Replace, Safe};
    use Pace::{Backoff, InFlight};
    use Verdict::{AlreadyDeleted, Retry, Stop};

    const ALL: [Idempotency; 6] = [Safe, Key, Replace, Cas, Delete, Event];

    fn answer(
        status: u16,
        error_type: Option<&'static ErrorType>,
        code: Option<&'static str>,
    ) -> Seen<'static> {
        Seen::Answer { status: StatusCode::from_u16(status).unwrap(), error_type, code }
    }

    fn verdict(idempotency: Idempotency, has_key: bool, seen: Seen<'_>) -> Verdict {
        classify(&Facts { idempotency, has_key }, false, &seen)
    }

    /// The verdicts without and with a key, for all six kinds of operation.
    fn verdicts(seen: Seen<'_>) -> [(Idempotency, Verdict, Verdict); 6] {
        ALL.map(|kind| (kind, verdict(kind, false, seen), verdict(kind, true, seen)))
    }

    fn same_for_all(verdict: Verdict) -> [(Idempotency, Verdict, Verdict); 6] {
        ALL.map(|kind| (kind, verdict, verdict))
    }

    #[test]
    fn what_was_not_sent_is_repeated_whatever_it_is() {
        assert_eq!(verdicts(Seen::NotSent), same_for_all(Retry(Backoff)));
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_where_that_is_harmless_or_under_a_key() {
        let again = Retry(Backoff);
        let expected = [
            (Safe, again, again),
            (Key, Stop, again),
            (Replace, again, again),
            (Cas, Stop, again),
            (Delete, again, again),
            (Event, Stop, again),
        ];
        assert_eq!(verdicts(Seen::Lost), expected);
        for status in [408, 500, 502, 504] {
            assert_eq!(verdicts(answer(status, None, None)), expected, "{status}");
        }
        assert_eq!(verdicts(answer(502, Some(&ErrorType::ApiError), Some("provider_error"))), expected);
    }

    #[test]
    fn what_the_server_did_not_begin_is_repeated_whatever_it_is() {
        assert_eq!(
            verdicts(answer(503, Some(&ErrorType::ApiError), Some("overloaded"))),
            same_for_all(Retry(Backoff))
        );
        let limited = answer(429, Some(&ErrorType::RateLimitError), Some("rate_limit_exceeded"));
        assert_eq!(verdicts(limited), same_for_all(Retry(Backoff)));
        assert_eq!(verdicts(answer(429, None, None)), same_for_all(Retry(Backoff)), "a 429 of a proxy");
    }

    #[test]
    fn a_key_in_flight_is_asked_for_again_at_its_own_pace() {
        let in_flight = answer(409, Some(&ErrorType::IdempotencyConflict), None);
        assert_eq!(verdict(Key, true, in_flight), Retry(InFlight));
    }

    #[test]
    fn what_repeating_cannot_change_is_never_repeated() {
        let never = [
            answer(304, None, None),
            answer(307, None, None),
            answer(400, Some(&ErrorType::InvalidRequestError), None),
            answer(401, Some(&ErrorType::InvalidRequestError), Some("invalid_api_key")),
            answer(402, Some(&ErrorType::InvalidRequestError), Some("credits_required")),
            answer(403, Some(&ErrorType::InvalidRequestError), Some("insufficient_scope")),
            answer(404, Some(&ErrorType::InvalidRequestError), None),
            answer(409, Some(&ErrorType::InvalidRequestError), Some("branch_version_conflict")),
            answer(409, Some(&ErrorType::InvalidRequestError), Some("session_not_active")),
            answer(409, Some(&ErrorType::InvalidRequestError), None),
            answer(413, Some(&ErrorType::InvalidRequestError), Some("request_too_large")),
            answer(422, Some(&ErrorType::IdempotencyConflict), Some("idempotency_key_reused")),
            answer(429, Some(&ErrorType::InsufficientQuota), Some("quota_exceeded")),
            answer(429, Some(&ErrorType::InsufficientQuota), None),
            answer(429, None, Some("quota_exceeded")),
            answer(501, Some(&ErrorType::ApiError), Some("not_configured")),
            answer(504, Some(&ErrorType::ApiError), Some("deadline_exceeded")),
        ];
        for seen in never {
            assert_eq!(verdicts(seen), same_for_all(Stop), "{seen:?}");
        }
    }

    #[test]
    fn a_missing_object_counts_as_deleted_only_when_an_earlier_delete_may_have_arrived() {
        let missing = answer(404, Some(&ErrorType::InvalidRequestError), None);
        let facts = |idempotency| Facts { idempotency, has_key: false };
        assert_eq!(classify(&facts(Delete), true, &missing), AlreadyDeleted);
        assert_eq!(classify(&facts(Delete), false, &missing), Stop);
        assert_eq!(classify(&facts(Safe), true, &missing), Stop);
    }

    #[test]
    fn the_outcome_says_whether_anything_may_have_happened() {
        use Outcome::{Ambiguous, NotSent, Rejected};
        let table = [
            (Seen::NotSent, NotSent),
            (Seen::Lost, Ambiguous),
            (answer(200, None, None), Ambiguous),
            (answer(302, None, None), Rejected),
            (answer(400, None, None), Rejected),
            (answer(404, None, None), Rejected),
            (answer(408, None, None), Ambiguous),
            (answer(409, Some(&ErrorType::InvalidRequestError), Some("branch_version_conflict")), Rejected),
            (answer(409, Some(&ErrorType::IdempotencyConflict), None), Ambiguous),
            (answer(429, None, None), Rejected),
            (answer(500, None, None), Ambiguous),
            (answer(501, None, None), Rejected),
            (answer(502, None, None), Ambiguous),
            (answer(503, None, None), Rejected),
            (answer(504, None, None), Ambiguous),
            (answer(504, None, Some("deadline_exceeded")), Rejected),
        ];
        for (seen, outcome) in table {
            assert_eq!(seen.outcome(), outcome, "{seen:?}");
        }
    }
}
