//! Server-sent events as they are written, and those of one response stream (contract `v1.md`, "Streaming").

use serde::Serialize;
use serde_json::Value;

use crate::engine::Usage;

/// Numbers the events of one stream and writes them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Events {
    next: u64,
}

/// The data of an event, in the order of the contract's samples.
#[derive(Serialize)]
struct Data<'a> {
    r#type: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    members: &'a Value,
}

/// What an event of a provider told of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Text that it adds to the answer.
    pub(crate) text: String,
    /// What the generation took, if it says so.
    pub(crate) usage: Option<Usage>,
    /// Whether it was the last one.
    pub(crate) is_last: bool,
}

impl Events {
    /// Goes on behind an event with this number.
    pub(crate) fn behind(last: u64) -> Self {
        Self { next: last.saturating_add(1) }
    }

    /// Writes one event. `members` must be an object.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, r#type: &str, members: &Value) {
        let data = Data { r#type, sequence_number: self.next, members };
        write_value(out, r#type, &data);
        self.next += 1;
    }
}

/// Writes one event with a value as its data.
pub(super) fn write_value<T: Serialize>(out: &mut Vec<u8>, name: &str, data: &T) {
    write_name(out, name);
    out.extend_from_slice(b"data: ");
    // Writing JSON into memory cannot fail, and what is written here has no line breaks.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// Writes one event whose data is JSON already. That may stand on several lines, with white space only in between.
pub(crate) fn write_json(out: &mut Vec<u8>, name: Option<&str>, data: &[u8]) {
    out.reserve(data.len() + 8);
    if let Some(name) = name {
        write_name(out, name);
    }
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Names an event, unless a line break would end the line before its time: the name is in the data anyway.
fn write_name(out: &mut Vec<u8>, name: &str) {
    if !name.contains(['\n', '\r']) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
}

/// Writes the event `error`, which ends a stream.
pub(crate) fn write_error(events: &mut Events, out: &mut Vec<u8>, code: &str, message: &str) {
    let members = serde_json::json!({ "code": code, "message": message, "param": null });
    events.write(out, "error", &members);
}
