//! Chat completions of a server without a model (contract `v1.md`, "Placeholder mode").

use bytes::Bytes;
use serde_json::{Map, Value, json};
use zumik_types::{Qos, SessionId};

use super::Identity;
use super::request::Request;
use crate::domain::{Message, Place, Role};
use crate::engine::{Generation, Outcome, Part, Routing};
use crate::http::ApiError;
use crate::http::input::{Fields, Item};
use crate::store::PromptState;

/// What is to be generated for a body that has been checked.
///
/// # Errors
/// 400 for what a placeholder cannot honor.
pub(super) fn generation(
    body: &Map<String, Value>,
    request: &Request,
    session_id: Option<SessionId>,
    qos: Qos,
) -> Result<Generation, ApiError> {
    let fields = Fields::of(body);
    let own = fields.items("messages")?.map(|item| part(&item))?;
    refuse(&fields)?;
    Ok(Generation {
        model: request.model.clone(),
        state: PromptState { session_id, ..PromptState::default() },
        own,
        qos,
        routing: Routing::default(),
        max_output_tokens: request.max_tokens,
    })
}

/// Refuses what only a model can do.
fn refuse(fields: &Fields<'_, '_>) -> Result<(), ApiError> {
    match fields.value("tool_choice") {
        None => {}
        Some(Value::String(choice)) if choice == "auto" || choice == "none" => {}
        Some(_) => {
            let problem = "must be 'none' or 'auto': no model is there to call a tool";
            return Err(fields.invalid("tool_choice", problem));
        }
    }
    if let Some(format) = fields.optional_object("response_format")?
        && format.text("type")? != "text"
    {
        let problem = "must be {\"type\":\"text\"}: no model is there to follow a schema";
        return Err(fields.invalid("response_format", problem));
    }
    if fields.optional_count("n", 1..=u64::MAX)?.is_some_and(|choices| choices > 1) {
        return Err(fields.invalid("n", "must be 1: no model is there to answer in different ways"));
    }
    if fields.optional_flag("logprobs")? == Some(true) {
        return Err(fields.invalid("logprobs", "must be false: no model is there to weigh its words"));
    }
    if let Some(modalities) = fields.optional_items("modalities", usize::MAX)? {
        let texts = modalities.map(|item| Ok(item.text()? == "text"))?;
        if texts.contains(&false) {
            return Err(fields.invalid("modalities", "must be [\"text\"]: no model is there to speak"));
        }
    }
    Ok(())
}

/// A message, and what it is.
fn part(item: &Item<'_, '_>) -> Result<Part, ApiError> {
    let fields = item.object()?;
    let role = fields.text("role")?;
    let text = match fields.value("content") {
        Some(Value::Array(_)) => fields.items("content")?.map(|part| text(&part))?.join("\n"),
        Some(_) => fields.text("content")?.to_owned(),
        // Calls are part of the prompt as they stand.
        None => fields.value("tool_calls").map(Value::to_string).unwrap_or_default(),
    };
    let (role, place) = match role {
        "user" => (Role::User, Place::User),
        "assistant" => (Role::Assistant, Place::History),
        "tool" | "function" => (Role::System, Place::ToolResult),
        _ => (Role::System, Place::Stable),
    };
    Ok(Part { message: Message { role, text }, place })
}

fn text(part: &Item<'_, '_>) -> Result<String, ApiError> {
    let fields = part.object()?;
    match fields.text("type")? {
        "text" => Ok(fields.text("text")?.to_owned()),
        "refusal" => Ok(fields.text("refusal")?.to_owned()),
        _ => Err(fields.invalid("type", "must be 'text': without a model, only text is taken")),
    }
}

/// The answer, whole.
pub(super) fn whole(identity: &Identity, outcome: &Outcome) -> Value {
    json!({
        "id": identity.id,
        "object": "chat.completion",
        "created": identity.created,
        "model": identity.model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": outcome.text },
            "finish_reason": finish_reason(outcome),
        }],
        "usage": usage(outcome),
    })
}

/// The answer as the events of a stream, in the documented order, the terminator left out.
pub(super) fn events(identity: &Identity, outcome: &Outcome, include_usage: bool) -> Vec<Bytes> {
    let event = |choices: Value| {
        json!({
            "id": identity.id,
            "object": "chat.completion.chunk",
            "created": identity.created,
            "model": identity.model,
            "choices": choices,
        })
    };
    let choice = |delta: Value, finish_reason: Value| {
        event(json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]))
    };
    let mut events = vec![choice(json!({ "role": "assistant" }), Value::Null)];
    let words = outcome.text.split_inclusive(' ');
    events.extend(words.map(|word| choice(json!({ "content": word }), Value::Null)));
    events.push(choice(json!({}), finish_reason(outcome).into()));
    if include_usage {
        let mut last = event(json!([]));
        last["usage"] = usage(outcome);
        events.push(last);
    }
    events.iter().map(|event| super::stream::event(event.to_string().as_bytes())).collect()
}

fn finish_reason(outcome: &Outcome) -> &'static str {
    if outcome.truncated { "length" } else { "stop" }
}

fn usage(outcome: &Outcome) -> Value {
    let (input, output) = (outcome.reuse.input(), outcome.output_tokens);
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": outcome.reuse.realized() },
    })
}
