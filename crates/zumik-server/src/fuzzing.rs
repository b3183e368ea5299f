//! The readers of what anyone can send, for laws that no input may break. Not a part of this library's interface.

use std::ops::Range;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use zumik_types::AgentHints;

use crate::domain::{BatchInput, InputLine};
use crate::engine::upstream::sse::{Frame, Frames};
use crate::http::{Form, bearer as read_bearer, hints_of_header};

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Empty when it has none.
    pub name: String,
    /// The name of its file.
    pub file_name: Option<String>,
    /// What it holds.
    pub bytes: Bytes,
}

/// A request of a batch file: its `custom_id` and its body.
pub type BatchRequest = (String, String);

/// What a batch file says.
#[derive(Debug)]
pub struct BatchFile {
    /// Lines that are not blank.
    pub total: u64,
    /// Where each request is, and what it is.
    pub requests: Vec<(Range<usize>, Option<BatchRequest>)>,
    /// Code and line of what is wrong.
    pub faults: Vec<(&'static str, Option<u64>)>,
}

/// The parts of a form with this `Content-Type`; nothing when it is refused.
pub fn form(content_type: &[u8], body: Bytes) -> Option<Vec<Part>> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_bytes(content_type).ok()?)]);
    // The body is there as a whole: nothing is waited for.
    let form = futures_util::FutureExt::now_or_never(Form::read(&headers, body))?.ok()?;
    let part =
        |part: crate::http::Part| Part { name: part.name, file_name: part.file_name, bytes: part.bytes };
    Some(form.into_parts().map(part).collect())
}

/// A batch file whose lines ask for `endpoint`.
pub fn batch_file(content: &[u8], endpoint: &str) -> BatchFile {
    let BatchInput { total, lines, faults } = BatchInput::read(content, endpoint);
    let request = |range: Range<usize>| {
        let line = content.get(range.clone()).and_then(InputLine::read);
        (range, line.map(|line| (line.custom_id, line.body.to_owned())))
    };
    BatchFile {
        total,
        requests: lines.into_iter().map(request).collect(),
        faults: faults.into_iter().map(|fault| (fault.code, fault.line)).collect(),
    }
}

/// Name and data of the events of a provider's stream, which comes in pieces of `size` bytes.
pub fn provider_events(stream: &[u8], size: usize) -> Vec<(Bytes, Bytes)> {
    let mut frames = Frames::default();
    let mut events = Vec::new();
    for piece in stream.chunks(size) {
        if frames.push(piece).is_err() {
            return events;
        }
        while let Some(Frame { event, data }) = frames.next() {
            events.push((event.unwrap_or_default(), data));
        }
    }
    events
}

/// The key in a value of `Authorization`.
pub fn bearer(value: HeaderValue) -> Option<Vec<u8>> {
    read_bearer(&HeaderMap::from_iter([(AUTHORIZATION, value)])).map(<[u8]>::to_vec)
}

/// The hints in a value of `Agent-Hints`.
pub fn hints(value: &str) -> Option<AgentHints> {
    hints_of_header(value)
}
