//! What the tests of these functions begin with, and how they read what was written.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Draft;
use crate::domain::ResponseObject;
use crate::mint::CountingMint;

/// A response as it begins.
pub(super) fn response() -> ResponseObject {
    let members = json!({
        "object": "response", "created_at": 1_750_000_123, "status": "in_progress", "background": false, "error": null,
        "incomplete_details": null, "model": "code.fast", "output": [], "previous_response_id": null,
        "conversation": null, "store": true, "temperature": 1.0, "truncation": "disabled", "usage": null,
        "metadata": {},
    });
    ResponseObject::new("resp_1".parse().unwrap(), members.as_object().unwrap().clone())
}

/// A draft whose ids count up.
pub(super) fn draft() -> Draft {
    Draft::new(response(), Arc::new(CountingMint::default()), chrono::DateTime::UNIX_EPOCH)
}

/// The data of the events that were written, each checked to be named by its type.
pub(super) fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"));
    let frames = text.split("\n\n").filter(|frame| !frame.is_empty());
    frames
        .map(|frame| {
            let (name, data) = match frame.split_once('\n') {
                Some((name, data)) => (name.strip_prefix("event: "), data),
                None => (None, frame),
            };
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert!(name.is_none_or(|name| data["type"] == name), "{frame}");
            data
        })
        .collect()
}
