//! The body of `POST /v1/chat/completions`, checked as far as the contract's table says. All else is for the provider.

use serde_json::{Map, Value};

use crate::http::ApiError;
use crate::http::error::excerpt;
use crate::http::input::{Fields, Item};

/// Roles that a message may have.
const ROLES: [&str; 6] = ["system", "user", "assistant", "developer", "tool", "function"];

/// What this server must know of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) stream: bool,
    /// Whether the caller wants the usage at the end of a stream.
    pub(super) include_usage: bool,
    /// Most tokens of the answer, by either of its names.
    pub(super) max_tokens: Option<u64>,
}

impl Request {
    /// Checks a body, in the order of the contract's table.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = Fields::of(body);
        let model = fields.model()?.to_owned();
        fields.filled_items("messages", usize::MAX)?.map(|item| message(&item))?;
        fields.optional_number("temperature", 0.0..=2.0)?;
        let max_tokens = fields.optional_count("max_tokens", 1..=u64::MAX)?;
        let stream = fields.optional_flag("stream")?.unwrap_or(false);
        let mut include_usage = false;
        if let Some(options) = fields.optional_object("stream_options")? {
            if !stream {
                return Err(fields.invalid("stream_options", "must not stand without 'stream': true"));
            }
            include_usage = options.optional_flag("include_usage")?.unwrap_or(false);
        }
        let max_completion_tokens = fields.optional_count("max_completion_tokens", 1..=u64::MAX)?;
        Ok(Self { model, stream, include_usage, max_tokens: max_completion_tokens.or(max_tokens) })
    }
}

fn message(item: &Item<'_, '_>) -> Result<(), ApiError> {
    let fields = item.object()?;
    let role = fields.text("role")?;
    if !ROLES.contains(&role) {
        let problem = format_args!(
            "must be 'system', 'user', 'assistant', 'developer', 'tool' or 'function', not '{}'",
            excerpt(role)
        );
        return Err(fields.invalid("role", problem));
    }
    match fields.value("content") {
        Some(Value::String(_)) => {}
        Some(Value::Array(_)) => {
            fields.items("content")?.map(|part| part.object()?.filled_text("type").map(drop))?;
        }
        Some(_) => return Err(fields.invalid("content", "must be a string or an array")),
        // What calls or refuses has nothing to say beside it.
        None if role == "assistant"
            && ["tool_calls", "function_call", "refusal", "audio"]
                .iter()
                .any(|name| fields.value(name).is_some()) => {}
        None => return Err(fields.invalid("content", "must be a string or an array")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Request, ApiError> {
        Request::read(body.as_object().unwrap())
    }

    #[test]
    fn what_people_send_is_taken() {
        let body = json!({
            "model": "accounts/fireworks/models/llama-v4-maverick",
            "messages": [
                { "role": "developer", "content": "Be terse." },
                { "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:," } }] },
                { "role": "assistant", "content": null, "tool_calls": [{ "id": "c" }] },
                { "role": "assistant", "refusal": "no" },
                { "role": "tool", "tool_call_id": "c", "content": "" },
                { "role": "function", "name": "f", "content": "1" },
            ],
            "temperature": 2, "max_tokens": null, "max_completion_tokens": 7, "stream": true,
            "stream_options": { "include_usage": true, "x": 1 }, "seed": 7, "tools": [{}], "new_member": [1],
        });
        let expected = Request {
            model: "accounts/fireworks/models/llama-v4-maverick".to_owned(),
            stream: true,
            include_usage: true,
            max_tokens: Some(7),
        };
        assert_eq!(read(body).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_table_is_refused_by_its_path() {
        let with = |member: &str, value: Value| {
            let mut body = json!({ "model": "auto", "messages": [{ "role": "user", "content": "Hi" }] });
            body[member] = value;
            body
        };
        let message = |message: Value| with("messages", json!([message]));
        for (body, param) in [
            (json!({}), "model"),
            (with("model", json!("")), "model"),
            (with("model", json!(7)), "model"),
            (json!({ "model": "auto" }), "messages"),
            (with("messages", json!([])), "messages"),
            (with("messages", json!("Hi")), "messages"),
            (message(json!("Hi")), "messages[0]"),
            (message(json!({ "content": "Hi" })), "messages[0].role"),
            (message(json!({ "role": "narrator", "content": "Hi" })), "messages[0].role"),
            (message(json!({ "role": "user" })), "messages[0].content"),
            (message(json!({ "role": "user", "content": 7 })), "messages[0].content"),
            (message(json!({ "role": "user", "content": null, "tool_calls": [] })), "messages[0].content"),
            (message(json!({ "role": "assistant", "content": null })), "messages[0].content"),
            (message(json!({ "role": "user", "content": [{}] })), "messages[0].content[0].type"),
            (with("temperature", json!(2.1)), "temperature"),
            (with("max_tokens", json!(0)), "max_tokens"),
            (with("stream", json!("yes")), "stream"),
            (with("stream_options", json!({})), "stream_options"),
            (with("max_completion_tokens", json!(-1)), "max_completion_tokens"),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().param(), Some(param), "{body}");
        }
    }
}
