//! Responses on a server without a model: a text that says so, whole or as events.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zumik_types::{V1Tool, V1ToolChoiceMode};

use super::super::generations::{Kept, headers, in_session_ref, keep, keep_answer};
use super::super::streams;
use super::background::{answer_early, stored};
use super::history::Items;
use super::items;
use super::request::Request;
use crate::app::App;
use crate::domain::{Message, Place, ResponseObject, Role};
use crate::engine::{Generation, Held, Outcome, Part, Prepared, Slot, Surface};
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::openai::{Draft, Ending};
use crate::store::{Answer, ProjectCtx, PromptState};

/// Checks the members that a model would have judged, in the order of the contract's table.
///
/// # Errors
/// 400 for what is malformed, and for what only a model could honor.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), ApiError> {
    let fields = Fields::of(members);
    fields.optional_number("temperature", 0.0..=2.0)?;
    fields.optional_number("top_p", 0.0..=1.0)?;
    fields.optional_count("max_output_tokens", 1..=u64::MAX)?;
    if let Some(items) = fields.optional_items("tools", usize::MAX)? {
        items.map(|item| {
            let tool = item.object()?;
            tool.filled_text("type")?;
            item.typed::<V1Tool>().map(drop)
        })?;
    }
    tool_choice(&fields)?;
    fields.optional_flag("parallel_tool_calls")?;
    text(&fields)?;
    fields.optional_object("reasoning")?;
    fields.optional_text("truncation")?;
    if let Some(include) = fields.optional_items("include", usize::MAX)? {
        include.map(|name| name.text())?;
    }
    fields.optional_text("service_tier")?;
    fields.optional_text("user")?;
    Ok(())
}

fn tool_choice(fields: &Fields<'_, '_>) -> Result<(), ApiError> {
    const HONORED: &[V1ToolChoiceMode] = &[V1ToolChoiceMode::None, V1ToolChoiceMode::Auto];
    if fields.value("tool_choice").is_some_and(|value| !value.is_string()) {
        return Err(
            fields.invalid("tool_choice", "must be 'none' or 'auto': no model is there to call a tool")
        );
    }
    fields.optional_one_of("tool_choice", HONORED).map(drop)
}

fn text(fields: &Fields<'_, '_>) -> Result<(), ApiError> {
    let Some(text) = fields.optional_object("text")? else { return Ok(()) };
    if let Some(format) = text.optional_object("format")?
        && format.text("type")? != "text"
    {
        let problem = "must be {\"type\":\"text\"}: no model is there to follow a schema";
        return Err(text.invalid("format", problem));
    }
    Ok(())
}

/// Answers a request that is right.
pub(super) async fn create(
    call: &Call,
    held: Held,
    slot: Option<Slot>,
    request: Request,
    items: Items,
    response: ResponseObject,
    input_items: Option<Vec<Value>>,
) -> Result<Reply, ApiError> {
    let prepared = prepare(call, &request, &items, &response).await?;
    let materialized = prepared.materialized.clone();
    let mut kept = Kept { input_items, materialized, ..Kept::default() };
    if let Some(slot) = slot {
        let (app, ctx, begun) = (Arc::clone(&call.app), call.ctx.clone(), response.clone());
        let target = prepared.route.first.clone();
        let work = async move {
            let outcome = prepared.run(&app).await?;
            Ok(told(&app, &ctx, begun, outcome, &mut Vec::new()))
        };
        return answer_early(call, held, slot, &target, response, kept, work).await;
    }
    let outcome = prepared.run(&call.app).await?;
    let mut events = Vec::new();
    let response = told(&call.app, &call.ctx, response, outcome, &mut events);
    kept.headers = response.execution().to_vec();
    if request.store {
        kept.response = Some(stored(&response));
    }
    if !request.stream {
        return keep(call, held, kept, &response).await;
    }
    // All of it is there at once: the stream needs no more than to be sent.
    kept.headers.extend(streams::event_stream());
    let answer =
        Answer { status: 200, trace: call.ctx.trace.clone(), headers: Vec::new(), body: events.into() };
    keep_answer(call, held, kept, answer).await
}

/// What is to be generated: the instructions, the tools, the items of earlier responses, then the input.
async fn prepare(
    call: &Call,
    request: &Request,
    items: &Items,
    response: &ResponseObject,
) -> Result<Prepared, ApiError> {
    let generation = Generation {
        model: request.model.clone(),
        state: PromptState { session_id: request.session_id.clone(), ..PromptState::default() },
        own: own(&request.members, items)?,
        qos: request.wishes.qos.clone(),
        routing: request.wishes.routing.clone(),
        max_output_tokens: request.members.get("max_output_tokens").and_then(Value::as_u64),
    };
    let prepared = generation
        .prepare(&call.app, &call.ctx, Surface::V1Responses, response.id().as_str())
        .await
        .map_err(in_session_ref)?;
    call.app.limits.generation(&call.ctx.key)?;
    Ok(prepared)
}

/// The request's own part of the prompt.
pub(super) fn own(members: &Map<String, Value>, items: &Items) -> Result<Vec<Part>, ApiError> {
    let earlier = items::earlier(&items.before, items.before_param)?;
    let turns = items::turns(&items.own)?;
    let system = |text| Part { message: Message { role: Role::System, text }, place: Place::Stable };
    let mut own = Vec::new();
    if let Some(text) = members.get("instructions").and_then(Value::as_str) {
        own.push(system(text.to_owned()));
    }
    if let Some(tools) =
        members.get("tools").filter(|tools| tools.as_array().is_some_and(|tools| !tools.is_empty()))
    {
        own.push(system(tools.to_string()));
    }
    own.extend(earlier.into_iter().chain(turns));
    Ok(own)
}

/// The response of a request that asks for no more than a text, and what is kept beside it.
pub(super) async fn write(
    call: &Call,
    request: &Request,
    items: &Items,
    response: ResponseObject,
) -> Result<(ResponseObject, Kept), ApiError> {
    let prepared = prepare(call, request, items, &response).await?;
    let outcome = prepared.run(&call.app).await?;
    let written = told(&call.app, &call.ctx, response, outcome, &mut Vec::new());
    let headers = written.execution().to_vec();
    let kept = Kept { materialized: prepared.materialized, headers, ..Kept::default() };
    Ok((written, kept))
}

/// The response with its answer and its headers, and the events that tell of it.
fn told(
    app: &App,
    ctx: &ProjectCtx,
    mut response: ResponseObject,
    outcome: Outcome,
    out: &mut Vec<u8>,
) -> ResponseObject {
    let usage = usage(&outcome);
    response.set_execution(headers(&outcome.target, &outcome.qos));
    let mut draft = Draft::new(response, Arc::clone(&app.mint), ctx.now);
    draft.begin(out);
    for word in outcome.text.split_inclusive(' ') {
        draft.text(word, out);
    }
    if draft.is_empty() {
        draft.text("", out);
    }
    let ending = if outcome.truncated { Ending::Incomplete("max_output_tokens") } else { Ending::Completed };
    draft.finish(ending, usage, out)
}

fn usage(outcome: &Outcome) -> Value {
    let (input, output) = (outcome.reuse.input(), outcome.output_tokens);
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": outcome.reuse.realized(), "cache_write_tokens": 0 },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input + output,
    })
}
