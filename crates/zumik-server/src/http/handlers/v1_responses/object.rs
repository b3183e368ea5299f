//! The response object as it begins: what it repeats of the request, and the defaults of the rest.

use serde_json::{Map, Value, json};
use zumik_types::V1ResponseId;

use super::request::Request;
use crate::domain::ResponseObject;
use crate::http::call::Call;
use crate::store::Continued;

/// Members that are repeated when they were sent, and that a response does not have otherwise.
const REPEATED: [&str; 5] = ["reasoning", "service_tier", "safety_identifier", "prompt_cache_key", "user"];

/// The response before it has run, in the order of the contract's table.
pub(super) fn queued(call: &Call, request: &Request) -> ResponseObject {
    let id = V1ResponseId::with_suffix(&call.app.mint.suffix(call.ctx.now));
    let sent = |name: &str| request.members.get(name).filter(|value| !value.is_null()).cloned();
    let or = |name: &str, default: Value| sent(name).unwrap_or(default);
    let (previous, conversation) = match &request.continues {
        Some(Continued::Response(id)) => (json!(id), Value::Null),
        Some(Continued::Conversation(id)) => (Value::Null, json!({ "id": id })),
        None => (Value::Null, Value::Null),
    };
    let members = json!({
        "object": "response",
        "created_at": call.ctx.now.timestamp(),
        "status": "queued",
        "background": request.background,
        "error": null,
        "incomplete_details": null,
        "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null),
        "model": request.model,
        "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": previous,
        "conversation": conversation,
        "store": request.store,
        "temperature": or("temperature", json!(1.0)),
        "text": text(sent("text")),
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", json!("disabled")),
        "usage": null,
        "metadata": or("metadata", json!({})),
    });
    let Value::Object(mut members) = members else { return ResponseObject::new(id, Map::new()) };
    members.extend(REPEATED.iter().filter_map(|name| Some(((*name).to_owned(), sent(name)?))));
    ResponseObject::new(id, members)
}

/// `text`, with the format that is meant when none was sent.
fn text(sent: Option<Value>) -> Value {
    let plain = json!({ "type": "text" });
    match sent {
        Some(Value::Object(mut text)) => {
            if text.get("format").is_none_or(Value::is_null) {
                text.insert("format".to_owned(), plain);
            }
            Value::Object(text)
        }
        _ => json!({ "format": plain }),
    }
}
