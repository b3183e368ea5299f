//! Input items that are kept, and what they make of a later request.

use serde_json::{Map, Value, json};
use zumik_types::{MessageId, V1ResponseId};

use super::items::{self, Turn};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::store::Continued;

/// Most bytes of earlier items, as JSON: four times a request body.
const MOST: usize = 8 * 1024 * 1024;

/// The items of an earlier response and of those before it.
///
/// # Errors
/// 400 when there is no such response, or its input items were not kept.
pub(super) async fn earlier(call: &Call, id: &V1ResponseId) -> Result<Vec<Value>, ApiError> {
    Ok(call.app.store.read_history(&call.ctx, Continued::Response(id.clone()), MOST).await?)
}

/// Kept items as turns of a prompt.
pub(super) fn turns(items: &[Value]) -> Result<Vec<Turn>, ApiError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let body = Map::from_iter([("input".to_owned(), Value::from(items))]);
    items::read(&Fields::of(&body))
}

/// `input` as items to keep: each with an id and a status, contents as parts.
pub(super) fn items(call: &Call, input: Value) -> Vec<Value> {
    let items = match input {
        Value::Array(items) => items,
        text => vec![json!({ "role": "user", "content": text })],
    };
    items.into_iter().map(|item| complete(call, item)).collect()
}

fn complete(call: &Call, item: Value) -> Value {
    let Value::Object(mut item) = item else { return item };
    item.retain(|_, value| !value.is_null());
    let kind = item.entry("type").or_insert_with(|| "message".into());
    if kind == "message" {
        item.entry("id").or_insert_with(|| {
            MessageId::with_suffix(&call.app.mint.suffix(call.ctx.now)).to_string().into()
        });
        item.entry("status").or_insert_with(|| "completed".into());
        let part = if item.get("role").is_some_and(|role| role == "assistant") {
            "output_text"
        } else {
            "input_text"
        };
        if let Some(content) = item.get_mut("content")
            && content.is_string()
        {
            *content = json!([{ "type": part, "text": content.take() }]);
        }
    }
    Value::Object(item)
}
