//! Counting what a request would put before a model.

use std::sync::Arc;

use serde_json::json;

use super::super::generations::{session_prefix, session_ref};
use super::history::Items;
use super::placeholder::own;
use super::request::{continued, input};
use crate::engine::count_tokens;
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};

/// `POST /v1/responses/input_tokens`
pub(crate) async fn input_tokens(call: &mut Call) -> Result<Reply, ApiError> {
    let members = call.json()?;
    let fields = Fields::of(&members);
    fields.optional_text("model")?;
    let items = input(&fields)?;
    fields.optional_text("instructions")?;
    fields.optional_items("tools", usize::MAX)?;
    let continues = continued(&fields)?;
    let text = fields.optional_object("text")?;
    let format = text.and_then(|text| text.value("format").filter(|format| format["type"] != "text"));
    let session = session_ref(call)?;
    if let Some(replay) = call.replay().await? {
        return Ok(replay);
    }
    let items = Items::of(call, items, continues).await?;
    let mut texts = Vec::new();
    if let Some(session) = &session {
        let prefix = session_prefix(&call.app, &call.ctx, session).await?;
        texts.extend(prefix.messages.into_iter().map(|message| message.text));
    }
    texts.extend(own(&members, &items)?.into_iter().map(|part| part.message.text));
    texts.extend(format.map(ToString::to_string));
    let tokens = count_tokens(Arc::from(texts), String::as_str).await?;
    let count = json!({ "object": "response.input_tokens", "input_tokens": tokens.iter().sum::<u64>() });
    call.reply_once(&count).await
}
