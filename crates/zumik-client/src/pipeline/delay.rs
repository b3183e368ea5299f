//! How long to wait before the next attempt.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use tokio::time::Instant;

/// The first back-off, doubled with each further attempt.
const BASE: Duration = Duration::from_millis(500);
/// The longest back-off.
const CAP: Duration = Duration::from_secs(8);
/// A longer wait than this is not slept but returned to the caller.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// As good as never, and still far from overflowing an [`Instant`].
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// The larger of what the server asks for and an exponential back-off with full jitter.
///
/// `repeats` counts the attempts before the failed one; `jitter` is from 0 to 1. `None` when the server asks for more
/// than [`LONGEST`].
pub(crate) fn delay(repeats: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let asked = retry_after.unwrap_or_default();
    let ceiling = BASE.saturating_mul(2_u32.saturating_pow(repeats)).min(CAP);
    (asked <= LONGEST).then(|| asked.max(ceiling.mul_f64(jitter.clamp(0.0, 1.0))))
}

/// The moment `duration` after `start`, for durations of any length.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    start + duration.min(FAR)
}

/// What the server asks for: `retry-after-ms`, else `Retry-After` in seconds, whole or with a fraction, or as an HTTP
/// date. `None` when neither can be read.
///
/// A date is compared with the answer's own `Date`, so that a wrong clock on this machine does not matter; `now` is
/// used where there is none.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| duration(text, 1000.0));
    millis.or_else(|| {
        let text = text(header::RETRY_AFTER.as_str())?;
        duration(text, 1.0).or_else(|| {
            let until = httpdate::parse_http_date(text).ok()?;
            let now = headers
                .get(header::DATE)
                .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
                .unwrap_or(now);
            Some(until.duration_since(now).unwrap_or_default())
        })
    })
}

/// Reads a number of units of which `per_second` make a second. Less than nothing is nothing.
fn duration(text: &str, per_second: f64) -> Option<Duration> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    let value = text.parse::<f64>().ok().filter(|_| number)?;
    Some(Duration::try_from_secs_f64(value.max(0.0) / per_second).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'static str, &'static str)];

    fn read(headers: Headers<'_>) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        retry_after(&headers.collect(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let table: &[(Headers<'_>, Option<u64>)] = &[
            (&[("retry-after", "2")], Some(2_000)),
            (&[("retry-after", " 2 ")], Some(2_000)),
            (&[("retry-after", "0.25")], Some(250)),
            (&[("retry-after", "-3")], Some(0)),
            (&[("retry-after-ms", "150")], Some(150)),
            (&[("retry-after-ms", "1.5")], Some(1)),
            (&[("retry-after-ms", "40"), ("retry-after", "1")], Some(40)),
            (&[("retry-after-ms", "soon"), ("retry-after", "1")], Some(1_000)),
            (&[("retry-after", "Sun, 09 Sep 2001 01:46:45 GMT")], Some(5_000)),
            (&[("retry-after", "Sun, 09 Sep 2001 01:46:35 GMT")], Some(0)),
            (
                &[
                    ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
                    ("date", "Fri, 31 Dec 1999 23:59:50 GMT"),
                ],
                Some(9_000),
            ),
            (&[("retry-after", "tomorrow")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "")], None),
            (&[], None),
        ];
        for (headers, expected) in table {
            assert_eq!(read(headers).map(|d| d.as_millis() as u64), *expected, "{headers:?}");
        }
        assert_eq!(read(&[("retry-after", "99999999999999999999999")]), Some(Duration::MAX));
    }

    #[test]
    fn the_back_off_doubles_up_to_its_cap_and_jitter_takes_any_part_of_it() {
        let at = |repeats, jitter| delay(repeats, None, jitter).unwrap().as_millis();
        assert_eq!([0, 1, 2, 3, 4, 5, 99].map(|n| at(n, 1.0)), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!([0.0, 0.25, 0.5].map(|jitter| at(1, jitter)), [0, 250, 500]);
    }

    #[test]
    fn the_server_s_delay_is_a_lower_bound() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(delay(0, seconds(3), 1.0), seconds(3));
        assert_eq!(delay(4, seconds(3), 1.0), seconds(8));
        assert_eq!(delay(0, seconds(60), 1.0), seconds(60));
    }

    #[test]
    fn more_than_a_minute_is_not_slept() {
        assert_eq!(delay(0, Some(LONGEST + Duration::from_millis(1)), 0.0), None);
        assert_eq!(delay(0, Some(Duration::MAX), 0.0), None);
    }
}
