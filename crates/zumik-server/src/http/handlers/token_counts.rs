//! Token counts (contract `v2.md`, "Token counts").

use std::sync::Arc;

use zumik_types::{Extra, ObjectType, TokenCount};

use crate::engine::count_tokens;
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};

/// `POST /v2/token-counts`
pub(crate) async fn count(call: &mut Call) -> Result<Reply, ApiError> {
    let input = Fields::of(&call.json()?).filled_text("input")?.to_owned();
    if let Some(replay) = call.replay().await? {
        return Ok(replay);
    }
    let tokens = count_tokens(Arc::from([input]), String::as_str).await?;
    let count =
        TokenCount { object: ObjectType::TokenCount, input_tokens: tokens.iter().sum(), extra: Extra::new() };
    call.reply_once(&count).await
}
