//! Items in OpenAI's shape as texts: what this server itself can make of them, to count or to answer them.

use serde_json::{Map, Value};
use zumik_types::V1Role;

use crate::domain::{Message, Place, Role};
use crate::engine::Part;
use crate::http::ApiError;
use crate::http::input::{Fields, Item};

/// The messages that items are, which are the `input` of a body.
///
/// # Errors
/// 400 for an item or content part that is no text: only a model could make sense of it.
pub(super) fn turns(items: &[Value]) -> Result<Vec<Part>, ApiError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let body = Map::from_iter([("input".to_owned(), Value::from(items))]);
    Ok(Fields::of(&body).items("input")?.map(turn)?.into_iter().flatten().collect())
}

/// The messages of earlier items, to which the member `param` of the request led.
///
/// # Errors
/// 400 of `param`, as for [`turns`].
pub(super) fn earlier(items: &[Value], param: &'static str) -> Result<Vec<Part>, ApiError> {
    turns(items).map_err(|_| {
        let message =
            format!("'{param}' leads to an item that is no text, and this server itself reads text only.");
        ApiError::invalid(param, message)
    })
}

/// The message that an item is. What a model thought is none: it is not put before a model again.
fn turn(item: Item<'_, '_>) -> Result<Option<Part>, ApiError> {
    let fields = item.object()?;
    let (place, role, text) = match fields.optional_text("type")?.unwrap_or("message") {
        "message" => {
            let (place, role) = match fields.one_of("role", V1Role::KNOWN)? {
                V1Role::User => (Place::User, Role::User),
                V1Role::Assistant => (Place::History, Role::Assistant),
                _ => (Place::Stable, Role::System),
            };
            (place, role, content(&fields)?)
        }
        "function_call" => {
            fields.text("call_id")?;
            let call = format!("{}({})", fields.filled_text("name")?, fields.text("arguments")?);
            (Place::History, Role::Assistant, call)
        }
        "function_call_output" => {
            fields.text("call_id")?;
            (Place::ToolResult, Role::System, fields.text("output")?.to_owned())
        }
        "reasoning" => return Ok(None),
        _ => {
            return Err(fields.invalid(
                "type",
                "must be 'message', 'function_call', 'function_call_output' or 'reasoning': this server itself reads text \
                 only",
            ));
        }
    };
    Ok(Some(Part { message: Message { role, text }, place }))
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
            .invalid("type", "must be 'input_text' or 'output_text': this server itself reads text only")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(input: Value) -> Result<Vec<Part>, ApiError> {
        turns(input.as_array().unwrap())
    }

    #[test]
    fn every_item_has_its_place_in_the_layout() {
        let parts = read(json!([
            { "role": "developer", "content": "Be terse." },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "a" }] },
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x" },
            { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c", "output": "1" },
            { "role": "assistant", "content": [{ "type": "output_text", "text": "b" }] },
            { "role": "user", "content": "c" },
        ]))
        .unwrap();
        let places: Vec<_> = parts.iter().map(|part| part.place).collect();
        assert_eq!(
            places,
            [Place::Stable, Place::User, Place::History, Place::ToolResult, Place::History, Place::User]
        );
        assert_eq!(parts[2].message.text, "f({})");
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_path() {
        let image = json!({ "type": "input_image", "image_url": "data:," });
        for (input, param) in [
            (json!(["Hi"]), "input[0]"),
            (json!([{ "role": "narrator", "content": "a" }]), "input[0].role"),
            (json!([{ "role": "user" }]), "input[0].content"),
            (json!([{ "role": "user", "content": [image] }]), "input[0].content[0].type"),
            (json!([{ "role": "user", "content": "a" }, { "type": "compaction" }]), "input[1].type"),
            (json!([{ "type": "function_call_output", "call_id": "c" }]), "input[0].output"),
        ] {
            assert_eq!(read(input.clone()).err().unwrap().param(), Some(param), "{input}");
            let refused = earlier(input.as_array().unwrap(), "conversation").err().unwrap();
            assert_eq!(refused.param(), Some("conversation"));
        }
    }
}
