//! Which answers are not taken for final.

use std::time::Duration;

use serde::Deserialize;

/// Attempts that a line has, those that ended with the process included.
pub(super) const ATTEMPTS: u32 = 5;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: Option<String>,
}

/// How long to wait before a line that got this answer is run again; nothing when the answer stands.
///
/// `attempt` is the one that it got it in, from 1; `chance`, from 0 to 1, spreads lines that failed together.
pub(super) fn pause(status: u16, body: &[u8], attempt: u32, chance: f64) -> Option<Duration> {
    let passing = match status {
        // A budget that is used up does not come back by waiting.
        429 => !is_out_of_quota(body),
        500.. => true,
        _ => false,
    };
    (passing && attempt < ATTEMPTS)
        .then(|| FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16)).mul_f64(0.75 + chance / 2.0))
}

fn is_out_of_quota(body: &[u8]) -> bool {
    serde_json::from_slice::<Envelope>(body)
        .is_ok_and(|envelope| envelope.error.code.as_deref() == Some("quota_exceeded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_forever() {
        for status in [429, 500, 502, 503, 504] {
            assert!(pause(status, b"{}", 1, 0.5).is_some(), "{status}");
            assert_eq!(pause(status, b"{}", ATTEMPTS, 0.5), None, "{status}");
        }
        for status in [200, 400, 402, 404, 422] {
            assert_eq!(pause(status, b"{}", 1, 0.5), None, "{status}");
        }
        assert_eq!(pause(429, br#"{"error":{"code":"quota_exceeded","message":""}}"#, 1, 0.5), None);
    }

    #[test]
    fn each_pause_is_twice_the_one_before() {
        let pauses: Vec<_> = (1..ATTEMPTS).filter_map(|attempt| pause(503, b"", attempt, 0.5)).collect();
        assert_eq!(pauses, [2, 4, 8, 16].map(Duration::from_secs));
        assert!(pause(503, b"", 1, 0.0).unwrap() < pause(503, b"", 1, 1.0).unwrap());
    }
}
