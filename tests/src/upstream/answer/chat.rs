//! Chat completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CREATED, Says, Turn};

const ID: &str = "chatcmpl-upstream";

/// The id of the call that it makes.
const CALL: &str = "call_upstream";

pub(super) fn completion(turn: &Turn<'_>) -> Value {
    let mut message = json!({ "role": "assistant", "content": null, "refusal": null });
    match &turn.says {
        Says::Text(pieces) => message["content"] = pieces.concat().into(),
        Says::Call { name, arguments } => message["tool_calls"] = json!([call(name, &arguments.concat())]),
    }
    let choice = |index: u64| json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish(turn) });
    let choices: Vec<Value> = (0..turn.asked["n"].as_u64().unwrap_or(1)).map(choice).collect();
    let mut completion = json!({
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": turn.model(),
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": "fp_upstream",
    });
    if !turn.behaviour.without_usage {
        completion["usage"] = usage(turn);
    }
    completion
}

pub(super) fn stream(turn: &Turn<'_>) -> Vec<Bytes> {
    let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
    match &turn.says {
        Says::Text(pieces) => deltas.extend(pieces.iter().map(|piece| json!({ "content": piece }))),
        Says::Call { name, arguments } => {
            let mut first = call(name, "");
            first["index"] = 0.into();
            deltas.push(json!({ "tool_calls": [first] }));
            let piece = |piece| json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] });
            deltas.extend(arguments.iter().map(piece));
        }
    }
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let mut choices: Vec<Value> = deltas.into_iter().map(|delta| choice(delta, Value::Null)).collect();
    choices.push(choice(json!({}), finish(turn).into()));
    let with_usage = turn.asked["stream_options"]["include_usage"] == true && !turn.behaviour.without_usage;
    let mut chunks: Vec<Value> =
        choices.into_iter().map(|choices| chunk(turn, choices, with_usage)).collect();
    if with_usage {
        let mut last = chunk(turn, json!([]), true);
        last["usage"] = usage(turn);
        chunks.push(last);
    }
    let mut frames: Vec<Bytes> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n").into()).collect();
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

fn chunk(turn: &Turn<'_>, choices: Value, with_usage: bool) -> Value {
    let mut chunk = json!({
        "id": ID,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": turn.model(),
        "choices": choices,
        "system_fingerprint": "fp_upstream",
    });
    if with_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn call(name: &str, arguments: &str) -> Value {
    json!({ "id": CALL, "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn finish(turn: &Turn<'_>) -> &'static str {
    match turn.says {
        Says::Text(_) => "stop",
        Says::Call { .. } => "tool_calls",
    }
}

fn usage(turn: &Turn<'_>) -> Value {
    let (prompt, completion) = (turn.input_tokens(), turn.output_tokens());
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": turn.behaviour.cached_tokens, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0 },
    })
}
