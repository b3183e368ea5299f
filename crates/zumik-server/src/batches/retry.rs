//! Which answers are not taken for final.

use std::time::Duration;

use serde::Deserialize;

use crate::http::handlers::chat::LineAnswer;
use crate::store::SOON;

/// Attempts that a line has, those that ended with the process included.
pub(super) const ATTEMPTS: u32 = 5;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The pause after an attempt that asked no model. It costs next to nothing and does not count, so it may be repeated for as
/// long as the batch runs.
const REST: Duration = Duration::from_secs(15);

/// The longest of these pauses, whatever is asked for: another provider may have come to serve the model meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(SOON.num_seconds().unsigned_abs());

/// What follows an answer. A pause is at least as long as the answer asks for, that of a rest up to a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the answer of the line.
    Stands,
    /// Another attempt, after this.
    Again(Duration),
    /// The same attempt, after this: no model was asked.
    Rests(Duration),
}

#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: Option<String>,
}

/// What follows this answer to a line.
///
/// `attempt` is the one that it got it in, from 1; `chance`, from 0 to 1, spreads lines that failed together.
pub(super) fn verdict(answer: &LineAnswer, attempt: u32, chance: f64) -> Verdict {
    let passes = match answer.status {
        // A budget that is used up does not come back by waiting.
        429 => !is_out_of_quota(&answer.body),
        500.. => true,
        _ => false,
    };
    let least = Duration::from_secs(answer.retry_after.unwrap_or_default());
    let spread = |pause: Duration| pause.mul_f64(0.75 + chance / 2.0).max(least);
    match (passes, answer.asked) {
        (true, false) => Verdict::Rests(spread(REST).min(LONGEST_REST)),
        (true, true) if attempt < ATTEMPTS => {
            Verdict::Again(spread(FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16))))
        }
        _ => Verdict::Stands,
    }
}

fn is_out_of_quota(body: &[u8]) -> bool {
    serde_json::from_slice::<Envelope>(body)
        .is_ok_and(|envelope| envelope.error.code.as_deref() == Some("quota_exceeded"))
}

#[cfg(test)]
mod tests {
    use zumik_types::TraceId;

    use super::*;

    fn answer(status: u16, body: &'static str) -> LineAnswer {
        let trace = TraceId::with_suffix("1");
        LineAnswer { status, trace, body: body.into(), retry_after: None, asked: true }
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_forever() {
        for status in [429, 500, 502, 503, 504] {
            assert_ne!(verdict(&answer(status, "{}"), 1, 0.5), Verdict::Stands, "{status}");
            assert_eq!(verdict(&answer(status, "{}"), ATTEMPTS, 0.5), Verdict::Stands, "{status}");
            let unasked = LineAnswer { asked: false, ..answer(status, "{}") };
            assert_eq!(verdict(&unasked, ATTEMPTS, 0.5), Verdict::Rests(REST), "{status}");
        }
        for status in [200, 400, 402, 404, 422] {
            for asked in [false, true] {
                let answer = LineAnswer { asked, ..answer(status, "{}") };
                assert_eq!(verdict(&answer, 1, 0.5), Verdict::Stands, "{status}");
            }
        }
        let quota = answer(429, r#"{"error":{"code":"quota_exceeded","message":""}}"#);
        assert_eq!(verdict(&quota, 1, 0.5), Verdict::Stands);
    }

    #[test]
    fn each_pause_is_twice_the_one_before_and_none_is_shorter_than_the_answer_asks_for() {
        let failed = answer(503, "");
        let pauses = [1, 2, 3, 4].map(|attempt| verdict(&failed, attempt, 0.5));
        assert_eq!(pauses, [2, 4, 8, 16].map(|seconds| Verdict::Again(Duration::from_secs(seconds))));
        assert_eq!(verdict(&failed, 1, 0.0), Verdict::Again(Duration::from_millis(1_500)));
        assert_eq!(verdict(&failed, 1, 1.0), Verdict::Again(Duration::from_millis(2_500)));
        let busy = LineAnswer { retry_after: Some(9), ..answer(429, "") };
        let pauses = [1, 2, 3, 4].map(|attempt| verdict(&busy, attempt, 0.5));
        assert_eq!(pauses, [9, 9, 9, 16].map(|seconds| Verdict::Again(Duration::from_secs(seconds))));
        for (asked_for, pause) in [(30, 30), (60, 60), (3_600, 60)] {
            let unasked = LineAnswer { retry_after: Some(asked_for), asked: false, ..answer(429, "") };
            assert_eq!(verdict(&unasked, 1, 0.5), Verdict::Rests(Duration::from_secs(pause)));
        }
    }
}
