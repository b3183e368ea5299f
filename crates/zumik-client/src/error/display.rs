//! The text of an error: one line, without request bodies and keys.

use std::fmt::{self, Write as _};

use http::StatusCode;

use super::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = &inner.operation {
            write!(f, "{operation}: ")?;
        }
        // That an answer came is no news where the error is about what it says, and not about a call.
        let told = |status: &StatusCode| inner.operation.is_some() || !status.is_success();
        if let Some(status) = self.status().filter(told) {
            write!(f, "{}", status.as_u16())?;
            let named = self.code().or(self.error_type().map(|kind| kind.as_str()));
            let reason = named.or(status.canonical_reason().filter(|_| !status.is_success()));
            if let Some(reason) = reason {
                write!(f, " ")?;
                one_line(f, reason)?;
            }
            f.write_str(": ")?;
        }
        one_line(f, &inner.message)?;
        if inner.operation.is_none() {
            return Ok(());
        }
        f.write_str(" (")?;
        match self.trace_id() {
            Some(trace_id) => one_line(f, &format!("trace {trace_id}, "))?,
            None if self.status().is_none() => write!(f, "{}, ", inner.outcome)?,
            None => {}
        }
        match inner.attempts {
            1 => f.write_str("1 attempt")?,
            attempts => write!(f, "{attempts} attempts")?,
        }
        if let Some(job) = self.purge_job_id() {
            one_line(f, &format!(", purge job {job}"))?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("message", &format_args!("{self}"))
            .field("body", &format_args!("{} bytes", self.0.body.len()))
            .finish()
    }
}

/// Writes text that came from outside, with every control character as a blank.
fn one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
}

/// How much of a body that is no JSON stands in a message.
const EXCERPT_CHARS: usize = 160;

/// The beginning of a body that is not what it should be, with its white space collapsed. Of JSON only the size: it may
/// repeat a prompt, or be an answer.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let begin = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    if let [b'{' | b'[' | b'"', ..] = begin {
        return format!("JSON of {} bytes", body.len());
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * EXCERPT_CHARS)]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
