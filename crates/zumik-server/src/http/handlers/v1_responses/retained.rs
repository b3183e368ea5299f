//! Input items that are kept, and what they make of a later request.

use serde_json::{Map, Value, json};
use zumik_types::{MessageId, V1ResponseId};

use super::items::{self, Turn};
use super::request::PREVIOUS;
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::input::Fields;
use crate::store::StoreError;

/// The items of an earlier response: those it was given, then those it gave.
///
/// # Errors
/// 400 when there is no such response, or its input items were not kept.
pub(super) async fn earlier(call: &Call, id: &V1ResponseId) -> Result<Vec<Value>, ApiError> {
    let store = &call.app.store;
    let missing = |error: StoreError| match error {
        StoreError::NotFound { .. } => {
            let message = format!("No response with id '{}' exists in this project.", excerpt(id.as_str()));
            ApiError::invalid(PREVIOUS, message)
        }
        other => other.into(),
    };
    let Some(mut items) = store.retrieve_input_items(&call.ctx, id).await.map_err(missing)? else {
        let message = format!(
            "'{PREVIOUS}' cannot be honored: the input items of '{id}' were not kept. They are when a request has \
             'Agent-Trace-Mode: encrypted_full_fidelity'."
        );
        return Err(ApiError::invalid(PREVIOUS, message));
    };
    let response = store.retrieve_v1_response(&call.ctx, id).await.map_err(missing)?;
    for item in &response.output {
        items.push(serde_json::to_value(item).map_err(ApiError::internal)?);
    }
    Ok(items)
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
