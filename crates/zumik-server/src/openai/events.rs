//! The events of one response stream, written as server-sent events (contract `v1.md`, "Streaming").

use serde::Serialize;
use serde_json::Value;

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

impl Events {
    /// Goes on behind an event with this number.
    pub(crate) fn behind(last: u64) -> Self {
        Self { next: last.saturating_add(1) }
    }

    /// Writes one event. `members` must be an object.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, r#type: &str, members: &Value) {
        let data = Data { r#type, sequence_number: self.next, members };
        frame(out, r#type, &data);
        self.next += 1;
    }
}

/// Writes one event that has its number already.
pub(super) fn frame<T: Serialize>(out: &mut Vec<u8>, r#type: &str, data: &T) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(r#type.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Writing JSON into memory cannot fail, and JSON has no line breaks.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// Writes the event `error`, which ends a stream.
pub(crate) fn write_error(events: &mut Events, out: &mut Vec<u8>, code: &str, message: &str) {
    let members = serde_json::json!({ "code": code, "message": message, "param": null });
    events.write(out, "error", &members);
}
