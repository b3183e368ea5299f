//! Responses and their events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CREATED, Says, Turn};

const ID: &str = "resp_upstream";
const MESSAGE: &str = "msg_upstream";
const CALL: &str = "fc_upstream";

pub(super) fn response(turn: &Turn<'_>) -> Value {
    let usage = if turn.behaviour.without_usage { Value::Null } else { usage(turn) };
    object(turn, "completed", json!([item(turn, "completed")]), usage)
}

pub(super) fn stream(turn: &Turn<'_>) -> Vec<Bytes> {
    let started = object(turn, "in_progress", json!([]), Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": started }),
        json!({ "type": "response.in_progress", "response": started }),
    ];
    let mut opened = item(turn, "in_progress");
    match &turn.says {
        Says::Text(_) => opened["content"] = json!([]),
        Says::Call { .. } => opened["arguments"] = "".into(),
    }
    events.push(json!({ "type": "response.output_item.added", "output_index": 0, "item": opened }));
    match &turn.says {
        Says::Text(pieces) => events.extend(text_events(pieces)),
        Says::Call { arguments, .. } => events.extend(call_events(arguments)),
    }
    let item = item(turn, "completed");
    events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    events.push(json!({ "type": "response.completed", "response": response(turn) }));
    let frame = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = number.into();
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n").into()
    };
    events.into_iter().enumerate().map(frame).collect()
}

fn text_events(pieces: &[String]) -> Vec<Value> {
    let text = pieces.concat();
    let place = |mut event: Value| {
        event["item_id"] = MESSAGE.into();
        event["output_index"] = 0.into();
        event["content_index"] = 0.into();
        event
    };
    let delta = |piece| json!({ "type": "response.output_text.delta", "delta": piece, "logprobs": [] });
    let added = json!({ "type": "response.content_part.added", "part": part("") });
    let done = [
        json!({ "type": "response.output_text.done", "text": text, "logprobs": [] }),
        json!({ "type": "response.content_part.done", "part": part(&text) }),
    ];
    [added].into_iter().chain(pieces.iter().map(delta)).chain(done).map(place).collect()
}

fn call_events(arguments: &[String]) -> Vec<Value> {
    let delta = |piece| {
        let kind = "response.function_call_arguments.delta";
        json!({ "type": kind, "item_id": CALL, "output_index": 0, "delta": piece })
    };
    let kind = "response.function_call_arguments.done";
    let done = json!({ "type": kind, "item_id": CALL, "output_index": 0, "arguments": arguments.concat() });
    arguments.iter().map(delta).chain([done]).collect()
}

/// The response object with its members as OpenAI sends them.
fn object(turn: &Turn<'_>, status: &str, output: Value, usage: Value) -> Value {
    let or = |member: &str, otherwise: Value| match &turn.asked[member] {
        Value::Null => otherwise,
        given => given.clone(),
    };
    json!({
        "id": ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": turn.asked["instructions"],
        "max_output_tokens": turn.asked["max_output_tokens"],
        "model": turn.model(),
        "output": output,
        "parallel_tool_calls": or("parallel_tool_calls", true.into()),
        "previous_response_id": null,
        "service_tier": "default",
        "store": or("store", true.into()),
        "temperature": or("temperature", 1.0.into()),
        "text": or("text", json!({ "format": { "type": "text" } })),
        "tool_choice": or("tool_choice", "auto".into()),
        "tools": or("tools", json!([])),
        "top_p": or("top_p", 1.0.into()),
        "truncation": or("truncation", "disabled".into()),
        "usage": usage,
        "metadata": or("metadata", json!({})),
    })
}

fn item(turn: &Turn<'_>, status: &str) -> Value {
    match &turn.says {
        Says::Text(pieces) => json!({
            "type": "message",
            "id": MESSAGE,
            "status": status,
            "role": "assistant",
            "content": [part(&pieces.concat())],
        }),
        Says::Call { name, arguments } => json!({
            "type": "function_call",
            "id": CALL,
            "call_id": "call_upstream",
            "status": status,
            "name": name,
            "arguments": arguments.concat(),
        }),
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn usage(turn: &Turn<'_>) -> Value {
    let (input, output) = (turn.input_tokens(), turn.output_tokens());
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": turn.behaviour.cached_tokens, "cache_write_tokens": 0 },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input + output,
    })
}
