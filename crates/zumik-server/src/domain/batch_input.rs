//! The input of a batch: JSON lines, one request each (contract `v1.md`, "Input lines").

use std::collections::HashSet;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Faults that a batch lists at most.
const MOST_FAULTS: usize = 100;

/// Most characters of a `custom_id`.
const LONGEST_CUSTOM_ID: usize = 256;

/// What an input file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BatchInput {
    /// Lines that are not blank.
    pub(crate) total: u64,
    /// Where the requests are in the file; what they say only if there are no faults.
    pub(crate) lines: Vec<Range<usize>>,
    /// What is wrong, by line, at most [`MOST_FAULTS`].
    pub(crate) faults: Vec<InputFault>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputFault {
    /// For a program.
    pub(crate) code: &'static str,
    /// For a person; holds no more of the line than its `custom_id`.
    pub(crate) message: String,
    /// The line, from 1; nothing when it is the file as a whole.
    pub(crate) line: Option<u64>,
    /// The member at fault.
    pub(crate) param: Option<&'static str>,
}

/// One request of an input file.
pub(crate) struct InputLine<'a> {
    /// What the caller calls it.
    pub(crate) custom_id: String,
    /// The request body, as it was sent.
    pub(crate) body: &'a str,
}

#[derive(Deserialize)]
struct Members<'a> {
    custom_id: Option<Value>,
    method: Option<Value>,
    url: Option<Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
}

impl BatchInput {
    /// Reads a file whose lines ask for `endpoint`.
    pub(crate) fn read(content: &[u8], endpoint: &str) -> Self {
        let mut input = Self { total: 0, lines: Vec::new(), faults: Vec::new() };
        let mut seen = HashSet::new();
        let mut start = 0;
        for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            let range = start..start + line.len();
            start = range.end + 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            input.total += 1;
            let checked = check(line, endpoint).and_then(|custom_id| {
                if seen.contains(&custom_id) {
                    let message = format!("The custom_id '{custom_id}' is used on more than one line.");
                    return Err(fault("duplicate_custom_id", message, Some("custom_id")));
                }
                seen.insert(custom_id);
                Ok(())
            });
            match checked {
                Ok(()) => input.lines.push(range),
                Err(fault) if input.faults.len() < MOST_FAULTS => {
                    input.faults.push(InputFault { line: Some(number), ..fault });
                }
                Err(_) => {}
            }
        }
        if input.total == 0 {
            input.faults.push(fault("empty_file", "The file has no lines.".to_owned(), None));
        }
        input
    }
}

impl<'a> InputLine<'a> {
    /// Reads a line that [`BatchInput::read`] found to be right.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let members: Members<'_> = serde_json::from_slice(line).ok()?;
        let Some(Value::String(custom_id)) = members.custom_id else { return None };
        Some(Self { custom_id, body: members.body?.get() })
    }
}

/// The `custom_id` of a line.
fn check(line: &[u8], endpoint: &str) -> Result<String, InputFault> {
    // serde would take an array for an object, member by member.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(fault("invalid_json_line", "The line is not a JSON object.".to_owned(), None));
    }
    // Of members that it passes over, serde would not notice.
    let line = std::str::from_utf8(line).map_err(|error| {
        let message = format!("The line is not UTF-8 text (column {}).", error.valid_up_to() + 1);
        fault("invalid_json_line", message, None)
    })?;
    let members: Members<'_> = serde_json::from_str(line).map_err(|error| {
        let message = format!("The line is not a valid JSON object (column {}).", error.column());
        fault("invalid_json_line", message, None)
    })?;
    let custom_id = text(members.custom_id, "custom_id")?;
    if !(1..=LONGEST_CUSTOM_ID).contains(&custom_id.chars().count()) {
        let message = format!("'custom_id' must have 1 to {LONGEST_CUSTOM_ID} characters.");
        return Err(fault("missing_required_parameter", message, Some("custom_id")));
    }
    if text(members.method, "method")? != "POST" {
        return Err(fault("invalid_method", "'method' must be 'POST'.".to_owned(), Some("method")));
    }
    if text(members.url, "url")? != endpoint {
        let message = format!("'url' must be '{endpoint}', the endpoint of the batch.");
        return Err(fault("url_mismatch", message, Some("url")));
    }
    match members.body {
        None => return Err(missing("body", "is required")),
        Some(body) if !body.get().starts_with('{') => return Err(missing("body", "must be an object")),
        Some(body) => check_body(body)?,
    }
    Ok(custom_id)
}

/// Whether a body is a right request is found when the line runs; only what a batch cannot do is refused before.
fn check_body(body: &RawValue) -> Result<(), InputFault> {
    let Ok(members) = serde_json::from_str::<Body<'_>>(body.get()) else {
        let message = "'body' names the member 'stream' more than once.".to_owned();
        return Err(fault("invalid_json_line", message, Some("body")));
    };
    if members.stream.is_some_and(|stream| stream.get() == "true") {
        let message = "'body.stream' must not be true: a batch keeps whole answers.".to_owned();
        return Err(fault("stream_not_allowed", message, Some("body.stream")));
    }
    Ok(())
}

fn text(value: Option<Value>, name: &'static str) -> Result<String, InputFault> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(missing(name, "must be a string")),
        None => Err(missing(name, "is required")),
    }
}

fn missing(name: &'static str, problem: &str) -> InputFault {
    fault("missing_required_parameter", format!("'{name}' {problem}."), Some(name))
}

fn fault(code: &'static str, message: String, param: Option<&'static str>) -> InputFault {
    InputFault { code, message, line: None, param }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "/v1/chat/completions";

    fn line(custom_id: &str) -> String {
        format!(
            r#"{{"custom_id":"{custom_id}","method":"POST","url":"{ENDPOINT}","body":{{"model":"auto"}}}}"#
        )
    }

    fn codes(content: &str) -> Vec<(&'static str, Option<u64>)> {
        let input = BatchInput::read(content.as_bytes(), ENDPOINT);
        input.faults.into_iter().map(|fault| (fault.code, fault.line)).collect()
    }

    #[test]
    fn lines_are_found_between_blank_ones_whatever_ends_them() {
        let content = format!("\n{}\r\n   \n{}", line("a"), line("é"));
        let input = BatchInput::read(content.as_bytes(), ENDPOINT);
        assert_eq!((input.total, input.faults.len()), (2, 0));
        let read: Vec<_> = input.lines.iter().cloned().map(|range| &content.as_bytes()[range]).collect();
        let read: Vec<_> = read.into_iter().map(|line| InputLine::read(line).unwrap()).collect();
        assert_eq!((read[0].custom_id.as_str(), read[0].body), ("a", r#"{"model":"auto"}"#));
        assert_eq!(read[1].custom_id, "é");
    }

    #[test]
    fn each_broken_rule_has_its_code_and_line() {
        let with = |from: &str, to: &str| line("x").replace(from, to);
        let long = "x".repeat(257);
        for (broken, code) in [
            ("{".to_owned(), "invalid_json_line"),
            (format!(r#"["a","POST","{ENDPOINT}",{{}}]"#), "invalid_json_line"),
            (with(r#""method""#, r#""custom_id":"y","method""#), "invalid_json_line"),
            (with(r#""x""#, "7"), "missing_required_parameter"),
            (with(r#""x""#, r#""""#), "missing_required_parameter"),
            (with(r#""x""#, &format!("\"{long}\"")), "missing_required_parameter"),
            (with(r#""custom_id":"x","#, ""), "missing_required_parameter"),
            (with(r#""method":"POST","#, ""), "missing_required_parameter"),
            (with("POST", "GET"), "invalid_method"),
            (with("chat/", ""), "url_mismatch"),
            (with(r#"{"model":"auto"}"#, "[]"), "missing_required_parameter"),
            (with(r#""model":"auto""#, r#""stream":true"#), "stream_not_allowed"),
            (with(r#""model":"auto""#, r#""stream":false,"stream":true"#), "invalid_json_line"),
            (line("first"), "duplicate_custom_id"),
        ] {
            let content = format!("{}\n\n{broken}\n", line("first"));
            assert_eq!(codes(&content), [(code, Some(3))], "{broken}");
        }
        assert_eq!(codes(&with(r#""model":"auto""#, r#""stream":false"#)), []);
    }

    #[test]
    fn a_file_without_lines_is_empty() {
        assert_eq!(codes(""), [("empty_file", None)]);
        assert_eq!(codes(" \n\r\n\t"), [("empty_file", None)]);
    }

    #[test]
    fn at_most_a_hundred_faults_are_listed_and_all_lines_counted() {
        let content = "no\n".repeat(5_000);
        let input = BatchInput::read(content.as_bytes(), ENDPOINT);
        assert_eq!((input.total, input.faults.len(), input.lines.len()), (5_000, MOST_FAULTS, 0));
    }

    #[test]
    fn hostile_lines_are_faults_and_no_panic() {
        let deep = format!("{}{}", r#"{"custom_id":"#.repeat(50_000), "}".repeat(50_000));
        let deep_body =
            line("x").replace(r#""auto""#, &format!("{}{}", "[".repeat(9_000), "]".repeat(9_000)));
        let aside = [&line("x").as_bytes()[..1], b"\"more\":\"\xff\",", &line("x").as_bytes()[1..]].concat();
        for content in
            [&b"\xff\xfe"[..], b"\xef\xbb\xbf{}", b"{\"custom_id\":\"\xff\"}", &aside, deep.as_bytes()]
        {
            assert_eq!(BatchInput::read(content, ENDPOINT).faults[0].code, "invalid_json_line");
        }
        // How deep a body may be is said when it runs.
        assert_eq!(codes(&deep_body), []);
    }
}
