//! The lines of output and error files (contract `v1.md`, "Output and error lines").

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{LineOutcome, MAX_FILE_BYTES, Result};

/// Bytes that the results of one batch may have together: a file never holds more than a project may.
pub(super) const MAX_RESULT_BYTES: u64 = MAX_FILE_BYTES;

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: &'a str,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// What a line came to for good.
pub(super) struct LineResult {
    /// Whether it was answered with a 2xx: then it goes to the output file, else to the error file.
    pub(super) completed: bool,
    /// The line of the file, with its end.
    pub(super) text: Vec<u8>,
}

/// Why a line was never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    Cancelled,
    Expired,
}

impl LineResult {
    /// The result of an outcome; nothing when the line is to be run again.
    pub(super) fn of(id: &str, custom_id: &str, outcome: &LineOutcome) -> Result<Option<Self>> {
        let result = match outcome {
            LineOutcome::Again(_) | LineOutcome::Rests(_) => return Ok(None),
            LineOutcome::Failed { message } => Self::failed(id, custom_id, message)?,
            LineOutcome::Answered { status, request_id, body } => {
                let body = one_line(body)?;
                let response =
                    Response { status_code: *status, request_id: request_id.as_str(), body: &body };
                let line = Line { id, custom_id, response: Some(response), error: None };
                Self { completed: (200..300).contains(status), text: line.text()? }
            }
        };
        Ok(Some(result))
    }

    /// What to keep instead where the result finds no room behind the `stored` bytes of its batch.
    pub(super) fn instead(&self, stored: u64, id: &str, custom_id: &str) -> Result<Option<Self>> {
        if stored.saturating_add(self.text.len() as u64) <= MAX_RESULT_BYTES {
            return Ok(None);
        }
        let message = format!("The results of the batch would be larger than {MAX_RESULT_BYTES} bytes.");
        Self::failed(id, custom_id, &message).map(Some)
    }

    fn failed(id: &str, custom_id: &str, message: &str) -> Result<Self> {
        let error = Error { code: "internal_error", message };
        let line = Line { id, custom_id, response: None, error: Some(error) };
        Ok(Self { completed: false, text: line.text()? })
    }
}

impl Unanswered {
    /// The line of the error file.
    pub(super) fn text(self, id: &str, custom_id: &str) -> Result<Vec<u8>> {
        let (code, message) = match self {
            Self::Cancelled => ("batch_cancelled", "The batch was cancelled before this line ran."),
            Self::Expired => ("batch_expired", "The batch expired before this line ran."),
        };
        Line { id, custom_id, response: None, error: Some(Error { code, message }) }.text()
    }
}

impl Line<'_> {
    fn text(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// A body without line breaks. In JSON they stand between values only, never inside of one.
fn one_line(body: &[u8]) -> Result<Box<RawValue>> {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let body = match body.iter().any(breaks) {
        true => Cow::Owned(body.iter().copied().filter(|byte| !breaks(byte)).collect::<Vec<_>>()),
        false => Cow::Borrowed(body),
    };
    match serde_json::from_slice(&body) {
        Ok(value) => Ok(value),
        Err(_) => Ok(to_raw_value(&String::from_utf8_lossy(&body))?),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};
    use zumik_types::TraceId;

    use super::*;

    fn answered(status: u16, body: &'static str) -> LineResult {
        let request_id = TraceId::with_suffix("1");
        let outcome = LineOutcome::Answered { status, request_id, body: Bytes::from_static(body.as_bytes()) };
        LineResult::of("batch_req_1", "a", &outcome).unwrap().unwrap()
    }

    fn parsed(text: &[u8]) -> Value {
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_result_is_one_line_with_the_body_as_it_was_but_for_its_breaks() {
        let result = answered(200, "{\r\n \"b\": 1.0,\n \"a\": \"\\n\"\n}\n");
        assert!(result.completed);
        assert!(result.text.ends_with(b"\"body\":{ \"b\": 1.0, \"a\": \"\\n\"}},\"error\":null}\n"));
        let line = parsed(&result.text);
        assert_eq!((&line["id"], &line["custom_id"]), (&json!("batch_req_1"), &json!("a")));
        assert_eq!(line["response"]["request_id"], "trc_1");
    }

    #[test]
    fn what_is_no_json_is_kept_as_a_text() {
        assert_eq!(parsed(&answered(200, "no\njson").text)["response"]["body"], "nojson");
    }

    #[test]
    fn only_a_2xx_goes_to_the_output_file() {
        for (status, completed) in [(200, true), (299, true), (199, false), (302, false), (402, false)] {
            assert_eq!(answered(status, "{}").completed, completed, "{status}");
        }
    }

    #[test]
    fn a_line_without_an_answer_says_why() {
        let line = parsed(&Unanswered::Cancelled.text("batch_req_1", "a\n").unwrap());
        assert_eq!((&line["response"], &line["error"]["code"]), (&Value::Null, &json!("batch_cancelled")));
    }

    #[test]
    fn an_answer_that_finds_no_room_is_an_error() {
        let length = answered(200, "{}").text.len() as u64;
        let result = answered(200, "{}");
        assert!(result.instead(MAX_RESULT_BYTES - length, "batch_req_1", "a").unwrap().is_none());
        let full = result.instead(MAX_RESULT_BYTES - length + 1, "batch_req_1", "a").unwrap().unwrap();
        assert!(!full.completed);
        assert_eq!(parsed(&full.text)["error"]["code"], "internal_error");
    }
}
