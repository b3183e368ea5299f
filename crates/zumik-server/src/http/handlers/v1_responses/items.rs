//! `input` of a `/v1` response: a text, or items in OpenAI's shape.

use serde_json::Value;
use zumik_types::V1Role;

use crate::domain::{Message, Role};
use crate::engine::Part;
use crate::http::ApiError;
use crate::http::input::{Fields, Item};

/// The turns that `input` is.
///
/// # Errors
/// 400 for an empty input, and for an item or content part that is no text: no model is there to make sense of it.
pub(super) fn read(fields: &Fields<'_, '_>) -> Result<Vec<Turn>, ApiError> {
    match fields.value("input") {
        None => Err(fields.invalid("input", "is required")),
        Some(Value::String(_)) => {
            let text = fields.filled_text("input")?.to_owned();
            Ok(vec![Turn { block: Block::User, message: Message { role: Role::User, text } }])
        }
        Some(Value::Array(_)) => fields.filled_items("input", usize::MAX)?.map(turn),
        Some(_) => Err(fields.invalid("input", "must be a string or an array")),
    }
}

/// One item, as a message.
pub(super) struct Turn {
    block: Block,
    message: Message,
}

/// What an item is in the layout of a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Block {
    User,
    ToolResult,
    Other,
}

/// The prompt that turns make. All but the latest user message and the latest tool result could be cached.
pub(super) fn parts(turns: Vec<Turn>) -> Vec<Part> {
    let last = |block| turns.iter().rposition(|turn| turn.block == block);
    let latest = [last(Block::User), last(Block::ToolResult)];
    turns
        .into_iter()
        .enumerate()
        .map(|(index, turn)| Part { message: turn.message, eligible: !latest.contains(&Some(index)) })
        .collect()
}

fn turn(item: Item<'_, '_>) -> Result<Turn, ApiError> {
    let fields = item.object()?;
    let (block, role, text) = match fields.optional_text("type")?.unwrap_or("message") {
        "message" => {
            let (block, role) = match fields.one_of("role", V1Role::KNOWN)? {
                V1Role::User => (Block::User, Role::User),
                V1Role::Assistant => (Block::Other, Role::Assistant),
                _ => (Block::Other, Role::System),
            };
            (block, role, content(&fields)?)
        }
        "function_call" => {
            fields.text("call_id")?;
            let call = format!("{}({})", fields.filled_text("name")?, fields.text("arguments")?);
            (Block::Other, Role::Assistant, call)
        }
        "function_call_output" => {
            fields.text("call_id")?;
            (Block::ToolResult, Role::System, fields.text("output")?.to_owned())
        }
        _ => {
            return Err(fields.invalid(
                "type",
                "must be 'message', 'function_call' or 'function_call_output': without a model, only text is taken",
            ));
        }
    };
    Ok(Turn { block, message: Message { role, text } })
}

/// The content of a message: a text, or text parts joined by line breaks.
fn content(fields: &Fields<'_, '_>) -> Result<String, ApiError> {
    match fields.value("content") {
        Some(Value::Array(_)) => Ok(fields.items("content")?.map(part)?.join("\n")),
        _ => Ok(fields.text("content")?.to_owned()),
    }
}

fn part(item: Item<'_, '_>) -> Result<String, ApiError> {
    let fields = item.object()?;
    match fields.text("type")? {
        "input_text" | "output_text" | "text" => Ok(fields.text("text")?.to_owned()),
        _ => Err(fields
            .invalid("type", "must be 'input_text' or 'output_text': without a model, only text is taken")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_input(input: Value) -> Result<Vec<Part>, ApiError> {
        let body = json!({ "input": input });
        read(&Fields::of(body.as_object().unwrap())).map(parts)
    }

    #[test]
    fn a_text_is_one_user_message_of_the_latest_turn() {
        let parts = read_input(json!("Hi")).unwrap();
        assert_eq!(parts.len(), 1);
        assert!(
            parts[0].message == Message { role: Role::User, text: "Hi".to_owned() } && !parts[0].eligible
        );
    }

    #[test]
    fn only_the_latest_turn_cannot_be_cached() {
        let parts = read_input(json!([
            { "role": "developer", "content": "Be terse." },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "a" }] },
            { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c", "output": "1" },
            { "role": "assistant", "content": [{ "type": "output_text", "text": "b" }] },
            { "role": "user", "content": "c" },
        ]))
        .unwrap();
        let eligible: Vec<_> = parts.iter().map(|part| part.eligible).collect();
        assert_eq!(eligible, [true, true, true, false, true, false]);
        assert_eq!(parts[2].message.text, "f({})");
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_path() {
        let image = json!({ "type": "input_image", "image_url": "data:," });
        for (input, param) in [
            (json!(""), "input"),
            (json!([]), "input"),
            (json!(7), "input"),
            (json!(null), "input"),
            (json!(["Hi"]), "input[0]"),
            (json!([{ "role": "narrator", "content": "a" }]), "input[0].role"),
            (json!([{ "role": "user" }]), "input[0].content"),
            (json!([{ "role": "user", "content": [image] }]), "input[0].content[0].type"),
            (json!([{ "role": "user", "content": "a" }, { "type": "compaction" }]), "input[1].type"),
            (json!([{ "type": "function_call_output", "call_id": "c" }]), "input[0].output"),
        ] {
            assert_eq!(read_input(input.clone()).err().unwrap().param(), Some(param), "{input}");
        }
    }
}
