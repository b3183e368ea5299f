//! Text that changes from call to call, and so destroys reuse when it stands in a stable block.

use std::fmt;

/// A piece of volatile text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Volatile<'t> {
    what: &'static str,
    text: &'t str,
}

impl fmt::Display for Volatile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.text)
    }
}

/// The first volatile piece of a text: an ISO 8601 date or time, a UUID, a run of 10 or more digits, or words that
/// announce such a value.
pub(crate) fn find(text: &str) -> Option<Volatile<'_>> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|start| {
        let (before, rest) = bytes.split_at(start);
        let (what, length) = words(rest).or_else(|| value(before.last(), rest))?;
        Some(Volatile { what, text: text.get(start..start + length)? })
    })
}

const WORDS: [&str; 7] =
    ["request_id", "request id", "trace_id", "session_id", "session id", "current date", "current time"];

fn words(rest: &[u8]) -> Option<(&'static str, usize)> {
    let words = WORDS.iter().find(|words| begins(rest, words, u8::eq_ignore_ascii_case))?;
    Some(("words", words.len()))
}

const TIMESTAMP: &str = "timestamp";
const DATE: &str = "date";
const TIME: &str = "time";
const UUID: &str = "uuid";
const NUMBER: &str = "number";

/// The forms of values: `9` stands for a digit, `x` for a hex digit, anything else for itself. The first that fits
/// counts. A time without seconds is none: it is as likely an opening hour, which is stable.
const FORMS: [(&str, &str); 7] = [
    (TIMESTAMP, "9999-99-99T99:99"),
    (TIMESTAMP, "9999-99-99 99:99"),
    (TIMESTAMP, "99999999T9999"),
    (DATE, "9999-99-99"),
    (TIME, "99:99:99"),
    (UUID, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
    (NUMBER, "9999999999"),
];

fn value(before: Option<&u8>, rest: &[u8]) -> Option<(&'static str, usize)> {
    FORMS.into_iter().find_map(|(what, form)| {
        // Inside a longer run of the same characters it is something else.
        let continues = if what == UUID { u8::is_ascii_hexdigit } else { u8::is_ascii_digit };
        if before.is_some_and(continues) || !begins(rest, form, fits) || !is_plausible(form, rest) {
            return None;
        }
        let length = form.len() + tail(what, &rest[form.len()..]);
        let is_whole = !rest.get(length).is_some_and(continues);
        is_whole.then_some((what, length))
    })
}

fn begins(text: &[u8], form: &str, fits: impl Fn(&u8, &u8) -> bool) -> bool {
    text.len() >= form.len() && text.iter().zip(form.as_bytes()).all(|(byte, place)| fits(byte, place))
}

fn fits(byte: &u8, place: &u8) -> bool {
    match place {
        b'9' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        other => byte == other,
    }
}

/// Whether the digits can be a date or a time: `2026-31-12` and `99:00:00` cannot.
fn is_plausible(form: &str, text: &[u8]) -> bool {
    let number =
        |at: usize| text[at..at + 2].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    if form.starts_with("9999-99-99") {
        (1..=12).contains(&number(5)) && (1..=31).contains(&number(8))
    } else if form.starts_with("99:") {
        number(0) < 24 && number(3) < 60
    } else {
        true
    }
}

/// How much of what follows a form belongs to the value: the rest of a time with its offset, the rest of a number.
fn tail(what: &str, rest: &[u8]) -> usize {
    match what {
        NUMBER => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        TIMESTAMP | TIME => {
            let end =
                rest.iter().take_while(|byte| byte.is_ascii_digit() || b":.,+-Z".contains(byte)).count();
            let last = rest[..end].iter().rposition(|byte| byte.is_ascii_digit() || *byte == b'Z');
            last.map_or(0, |last| last + 1)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn found(text: &str) -> String {
        find(text).map_or_else(|| "nothing".to_owned(), |volatile| volatile.to_string())
    }

    #[test]
    fn values_are_found_whole_with_what_they_are() {
        for (text, expected) in [
            ("Today is 2026-06-15.", "date 2026-06-15"),
            ("Now: 2026-06-15T16:04:10Z.", "timestamp 2026-06-15T16:04:10Z"),
            ("Now: 2026-06-15T16:04:10.250+02:00, or so", "timestamp 2026-06-15T16:04:10.250+02:00"),
            ("Now: 2026-06-15 16:04", "timestamp 2026-06-15 16:04"),
            ("Now: 20260615T160410Z", "timestamp 20260615T160410Z"),
            ("at 16:04:10", "time 16:04:10"),
            ("at 16:04:10 2026-06-15", "time 16:04:10"),
            ("run 550E8400-e29b-41d4-a716-446655440000!", "uuid 550E8400-e29b-41d4-a716-446655440000"),
            ("ticket_1234567890", "number 1234567890"),
            ("x12345678901234y", "number 12345678901234"),
            ("Überschrift 2026-06-15 €", "date 2026-06-15"),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn words_that_announce_a_value_are_found_in_any_case() {
        for words in WORDS {
            assert_eq!(
                found(&format!("The {}: x", words.to_uppercase())),
                format!("words {}", words.to_uppercase())
            );
        }
    }

    #[test]
    fn a_text_full_of_times_that_are_none_is_read_once() {
        let text = "112:34:56".repeat(100_000);
        let (done, wait) = mpsc::channel();
        thread::spawn(move || done.send(found(&text)));
        assert_eq!(wait.recv_timeout(Duration::from_secs(10)).as_deref(), Ok("nothing"));
    }

    #[test]
    fn the_first_in_the_text_is_reported() {
        assert_eq!(found("session_id 2026-06-15"), "words session_id");
        assert_eq!(found("2026-06-15 session_id"), "date 2026-06-15");
    }

    #[test]
    fn stable_text_is_left_alone() {
        for text in [
            "",
            "You are a code reviewer. Answer in at most 3 bullets.",
            "We answer between 09:00 and 17:30.",
            "Versions 1.2.3 and 2026-31-12, parts 12026-06-15 and 2026-06-155, ratio 99:00:00",
            "nine digits: 123456789",
            "550e8400-e29b-41d4-a716-4466fabc000",
            "a550e8400-e29b-41d4-a716-4466fabc0000",
            "a request is identified; the session is not; currently dated",
            "١٢٣٤٥٦٧٨٩٠",
        ] {
            assert_eq!(found(text), "nothing", "{text}");
        }
    }
}
