//! Turning a long context into fewer items: the last message of the user, and a sealed summary of all of it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zumik_types::{CompactionId, V1ResponseId, V1ResponseStatus};

use super::super::generations::{Kept, keep, privacy_mode, session_ref};
use super::super::hints;
use super::history::{Items, complete};
use super::live::{ask, text_of};
use super::provider::{Asking, Question};
use super::request::{Request, continued, input};
use super::{object, placeholder};
use crate::domain::ResponseObject;
use crate::engine::{Held, ProviderError, Reservation};
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Continued;

/// What the model is told to do.
const TASK: &str = "You compact the context of an agent that works on. Write a summary that replaces everything said so \
     far: the task and its constraints, the decisions and their reasons, facts, names, paths, numbers and results of \
     tools that are still needed, what is done and what is open. Be complete and terse. Answer with the summary only.";

/// The last message of its prompt.
const REQUEST: &str = "Write the summary now.";

/// `POST /v1/responses/compact`
pub(crate) async fn compact(call: &mut Call) -> Result<Reply, ApiError> {
    let (mut request, guide) = read(call).await?;
    let held = match Held::reserve(&call.app, &call.ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    let items = Items::of(call, std::mem::take(&mut request.input), request.continues.take()).await?;
    let mut newest_first = items.before.iter().chain(&items.own).rev();
    let last = newest_first
        .find(|item| item["role"] == "user")
        .map(|item| complete(&*call.app.mint, call, item.clone()));
    let (written, kept) = summarize(call, request, guide, items).await?;
    let answer = answer(call, last, &written).await?;
    keep(call, held, kept, &answer).await
}

/// The request, and the caller's own wishes for the summary.
async fn read(call: &Call) -> Result<(Request, Option<String>), ApiError> {
    let members = call.json()?;
    let fields = Fields::of(&members);
    let model = fields.model()?.to_owned();
    let continues = continued(&fields)?;
    let input = match (&continues, fields.value("input")) {
        (Some(Continued::Response(_)), None) => Vec::new(),
        _ => input(&fields)?,
    };
    let guide = fields.optional_text("instructions")?.map(str::to_owned);
    privacy_mode(call)?;
    let request = Request {
        input,
        model,
        stream: false,
        store: false,
        background: false,
        continues,
        retains_input: false,
        session_id: session_ref(call)?,
        wishes: hints::wanted(call, None).await?,
        members: Map::new(),
    };
    Ok((request, guide))
}

/// Has the summary written.
async fn summarize(
    call: &Call,
    mut request: Request,
    guide: Option<String>,
    mut items: Items,
) -> Result<(ResponseObject, Kept), ApiError> {
    let task = guide.map_or_else(|| TASK.to_owned(), |guide| format!("{TASK}\n\n{guide}"));
    items.own.push(json!({ "role": "user", "content": REQUEST }));
    request.members = Map::from_iter([
        ("model".to_owned(), json!(request.model)),
        ("instructions".to_owned(), json!(task)),
        ("input".to_owned(), Value::from(items.own.as_slice())),
    ]);
    let response = object::queued(call, &request);
    if !call.app.engine.is_live() {
        return placeholder::write(call, &request, &items, response).await;
    }
    let Request { members, model, session_id, wishes, .. } = request;
    let body = serde_json::to_vec(&members).map_err(ApiError::internal)?.into();
    let asking = Asking { id: response.id(), model: &model, session_id, wishes, body, members, items };
    let question = Question::prepare(call, asking).await?;
    let written = ask(&call.app, &question, response).await?;
    let headers = written.execution().to_vec();
    let kept = Kept { materialized: question.materialized, headers, ..Kept::default() };
    Ok((written, kept))
}

async fn answer(call: &Call, last: Option<Value>, written: &ResponseObject) -> Result<Value, ApiError> {
    let summary = text_of(written);
    // Half a summary would lose the other half of the context for good.
    if summary.is_empty() || written.status() != V1ResponseStatus::Completed {
        return Err(ProviderError::Malformed("it is no whole summary").into());
    }
    let mint = Arc::clone(&call.app.mint);
    let key = call.app.store.compaction_key(&call.ctx).await?;
    let sealed =
        key.seal(&*mint, &summary).ok_or_else(|| ApiError::internal("a summary cannot be sealed"))?;
    let mut output = Vec::from_iter(last);
    output.push(json!({
        "id": CompactionId::with_suffix(&mint.suffix(call.ctx.now)),
        "type": "compaction",
        "encrypted_content": sealed,
    }));
    Ok(json!({
        "id": V1ResponseId::with_suffix(&mint.suffix(call.ctx.now)),
        "object": "response.compaction",
        "created_at": call.ctx.now.timestamp(),
        "output": output,
        "usage": written.members().get("usage"),
    }))
}
