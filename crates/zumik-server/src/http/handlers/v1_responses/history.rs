//! What comes before the input of a request, and what is kept of the input for later ones.

use serde_json::{Map, Value, json};

use super::request::Request;
use crate::domain::CompactionKey;
use crate::http::ApiError;
use crate::http::call::Call;
use crate::mint::Mint;
use crate::store::{Continued, MAX_PROMPT_BYTES};

/// The items of a request, as a model is to be given them.
pub(super) struct Items {
    /// Those of earlier responses.
    pub(super) before: Vec<Value>,
    /// The member of the request that led to those.
    pub(super) before_param: &'static str,
    /// Its own.
    pub(super) own: Vec<Value>,
    /// Whether some of its own are not as they were sent: a summary was opened.
    pub(super) opened: bool,
}

impl Items {
    /// Reads what comes before the input, and opens the summaries.
    ///
    /// # Errors
    /// 400 for what cannot be continued, and for a summary of another project or an altered one.
    pub(super) async fn of(
        call: &Call,
        input: Vec<Value>,
        continues: Option<Continued>,
    ) -> Result<Self, ApiError> {
        let before_param = continues.as_ref().map_or("input", Continued::param);
        let before = match continues {
            Some(of) => call.app.store.read_history(&call.ctx, of, MAX_PROMPT_BYTES).await?,
            None => Vec::new(),
        };
        let before = before.into_iter().filter_map(replayed).collect();
        let mut items = Self { before, before_param, own: input, opened: false };
        if items.before.iter().chain(&items.own).any(is_compaction) {
            let key = call.app.store.compaction_key(&call.ctx).await?;
            for item in &mut items.before {
                open(&key, item, items.before_param)?;
            }
            for item in &mut items.own {
                items.opened |= open(&key, item, "input")?;
            }
        }
        Ok(items)
    }
}

/// An item of an earlier response, as it is given to a provider that has not kept it: without the id under which it would
/// look for it, unless a later item may refer to that. A thought that came without its sealed form cannot be sent again.
pub(super) fn replayed(mut item: Value) -> Option<Value> {
    if is_unsealed(&item) {
        return None;
    }
    if let Some(members) = item.as_object_mut()
        && let None | Some("message" | "function_call" | "function_call_output" | "reasoning") =
            members.get("type").and_then(Value::as_str)
    {
        members.shift_remove("id");
    }
    Some(item)
}

/// Whether an item is a thought that only a provider which has kept it could know again.
pub(super) fn is_unsealed(item: &Value) -> bool {
    item["type"] == "reasoning" && !item["encrypted_content"].is_string()
}

fn is_compaction(item: &Value) -> bool {
    item["type"] == "compaction"
}

/// Puts a summary in the place of its sealed form, as the prompt compiler writes checkpoints.
fn open(key: &CompactionKey, item: &mut Value, param: &'static str) -> Result<bool, ApiError> {
    if !is_compaction(item) {
        return Ok(false);
    }
    let Some(summary) = item["encrypted_content"].as_str().and_then(|sealed| key.open(sealed)) else {
        let message = format!(
            "'{param}' holds a compaction item that was not sealed for this project, or that was altered."
        );
        return Err(ApiError::invalid(param, message));
    };
    *item = json!({ "type": "message", "role": "system", "content": format!("[checkpoint]\n{summary}") });
    Ok(true)
}

/// The input of a request as items to keep: each with an id and a status, contents as parts.
pub(super) fn kept(call: &Call, request: &Request) -> Option<Vec<Value>> {
    let complete = |item: &Value| complete(&*call.app.mint, call, item.clone());
    request.retains_input.then(|| request.input.iter().map(complete).collect())
}

/// An item with the members that a list of items shows.
pub(super) fn complete(mint: &dyn Mint, call: &Call, item: Value) -> Value {
    let Value::Object(sent) = item else { return item };
    let mut sent: Map<String, Value> = sent.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let kind = sent.shift_remove("type").unwrap_or_else(|| json!("message"));
    let prefix = match kind.as_str() {
        Some("message") => "msg_",
        Some("function_call") => "fc_",
        Some("function_call_output") => "fco_",
        Some("reasoning") => "rs_",
        Some("compaction") => "cmp_",
        _ => "item_",
    };
    let id = sent
        .shift_remove("id")
        .filter(|id| id.as_str().is_some_and(|id| !id.is_empty()))
        .unwrap_or_else(|| json!(format!("{prefix}{}", mint.suffix(call.ctx.now))));
    let mut item = Map::from_iter([("id".to_owned(), id), ("type".to_owned(), kind)]);
    if item["type"] == "message" {
        let status = sent.shift_remove("status").unwrap_or_else(|| json!("completed"));
        item.insert("status".to_owned(), status);
        let part = if sent.get("role").is_some_and(|role| role == "assistant") {
            "output_text"
        } else {
            "input_text"
        };
        if let Some(content) = sent.get_mut("content")
            && content.is_string()
        {
            *content = json!([{ "type": part, "text": content.take() }]);
        }
    }
    item.extend(sent);
    Value::Object(item)
}
