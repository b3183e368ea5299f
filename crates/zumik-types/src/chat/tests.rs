//! Folding chunks, against the whole answer.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;
use serde_json::{Value, json};

use crate::{ChatAccumulator, ChatCompletion, ChatCompletionChunk, ChatToolCall};

/// A chunk with these members over the usual ones.
fn chunk(members: Value) -> ChatCompletionChunk {
    let mut chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "code.fast", "choices": [],
    });
    chunk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(chunk).unwrap()
}

fn delta(index: u64, delta: Value) -> ChatCompletionChunk {
    chunk(json!({ "choices": [{ "index": index, "delta": delta, "finish_reason": null }] }))
}

fn finished(index: u64, reason: &str) -> ChatCompletionChunk {
    chunk(json!({ "choices": [{ "index": index, "delta": {}, "finish_reason": reason }] }))
}

fn fold(chunks: &[ChatCompletionChunk]) -> Value {
    let mut whole = ChatAccumulator::new();
    whole.extend(chunks);
    let whole: ChatCompletion = whole.finish().unwrap();
    serde_json::to_value(whole).unwrap()
}

#[test]
fn text_is_joined_and_usage_taken_from_the_last_chunk() {
    let usage = json!({ "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 });
    let whole = fold(&[
        delta(0, json!({ "role": "assistant", "content": "" })),
        delta(0, json!({ "content": "Hello " })),
        delta(0, json!({ "content": "there." })),
        finished(0, "stop"),
        chunk(json!({ "usage": usage, "system_fingerprint": "fp_1" })),
    ]);
    assert_eq!(
        whole,
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "code.fast",
            "choices": [{
                "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": "Hello there." },
            }],
            "usage": usage, "system_fingerprint": "fp_1",
        })
    );
}

#[test]
fn choices_are_kept_apart_and_stand_in_their_order() {
    let whole = fold(&[
        delta(2, json!({ "content": "c" })),
        delta(0, json!({ "content": "a" })),
        delta(1, json!({ "refusal": "no" })),
        delta(0, json!({ "content": "A" })),
        delta(1, json!({ "refusal": "pe" })),
        finished(1, "content_filter"),
        finished(0, "length"),
    ]);
    let choice = |index: usize| &whole["choices"][index];
    assert_eq!(choice(0)["message"]["content"], "aA");
    assert_eq!(choice(0)["finish_reason"], "length");
    assert_eq!(choice(1)["message"], json!({ "role": "assistant", "content": null, "refusal": "nope" }));
    assert_eq!(choice(1)["finish_reason"], "content_filter");
    assert_eq!((&choice(2)["index"], &choice(2)["message"]["content"]), (&json!(2), &json!("c")));
    assert_eq!(choice(2)["finish_reason"], Value::Null);
}

#[test]
fn tool_calls_are_joined_for_each_index() {
    let call = |call: Value| delta(0, json!({ "tool_calls": [call] }));
    let whole = fold(&[
        delta(0, json!({ "role": "assistant", "content": "" })),
        call(
            json!({ "index": 0, "id": "call_a", "type": "function", "function": { "name": "f", "arguments": "" } }),
        ),
        call(json!({ "index": 0, "function": { "arguments": "{\"a\":" } })),
        call(
            json!({ "index": 1, "id": "call_b", "type": "custom", "custom": { "name": "c", "input": "x" } }),
        ),
        call(json!({ "index": 0, "function": { "name": "f", "arguments": "1}" } })),
        call(json!({ "index": 1, "custom": { "input": "y" } })),
        call(json!({ "index": 2, "id": "call_c", "type": "new", "payload": "p" })),
        call(json!({ "index": 2, "id": "call_c", "payload": "q" })),
        finished(0, "tool_calls"),
    ]);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null, "an answer that only calls tools has no text");
    assert_eq!(
        message["tool_calls"],
        json!([
            { "id": "call_a", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } },
            { "id": "call_b", "type": "custom", "custom": { "name": "c", "input": "xy" } },
            { "id": "call_c", "type": "new", "payload": "pq" },
        ])
    );
}

#[test]
fn calls_that_come_whole_under_one_index_stay_apart() {
    let call = |id: &str| json!({ "index": 0, "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let whole = fold(&[delta(0, json!({ "tool_calls": [call("call_a"), call("call_b")] }))]);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 2);
}

#[test]
fn a_fragment_continues_the_latest_call_of_its_index_whatever_came_between() {
    let call = |index: u64, id: &str, arguments: &str| {
        let function = json!({ "name": "f", "arguments": arguments });
        delta(0, json!({ "tool_calls": [{ "index": index, "id": id, "function": function }] }))
    };
    let whole = fold(&[
        call(7, "a", "1"),
        call(3, "b", "2"),
        call(7, "c", "3"),
        call(3, "", "4"),
        call(7, "", "5"),
        call(7, "a", "6"),
        call(3, "b", "7"),
    ]);
    let calls = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    let calls: Vec<_> = calls.iter().map(|call| (&call["id"], &call["function"]["arguments"])).collect();
    assert_eq!(
        calls,
        [
            (&json!("a"), &json!("1")),
            (&json!("b"), &json!("247")),
            (&json!("c"), &json!("35")),
            (&json!("a"), &json!("6")),
        ]
    );
}

/// Folds one chunk, or fails when that takes longer than any work that grows with its size alone.
fn fold_soon(chunk: ChatCompletionChunk) -> ChatCompletion {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let mut whole = ChatAccumulator::new();
        whole.push(&chunk);
        let _ = done.send(whole.finish().unwrap());
    });
    wait.recv_timeout(Duration::from_secs(20)).expect("it takes too long")
}

#[test]
fn as_many_calls_as_a_server_likes_cost_no_more_each() {
    let mut chunk = delta(0, json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "" } }] }));
    let calls = chunk.choices[0].delta.tool_calls.as_mut().unwrap();
    let call = calls.pop().unwrap();
    for index in 0..300_000 {
        calls.push(call.clone());
        calls[index].index = index as u64;
    }
    assert_eq!(fold_soon(chunk).choices[0].message.tool_calls.as_ref().unwrap().len(), 300_000);
}

#[test]
fn as_many_choices_as_a_server_likes_cost_no_more_each() {
    let mut chunk = delta(0, json!({}));
    let choice = chunk.choices.pop().unwrap();
    for index in (0..300_000).rev() {
        chunk.choices.push(choice.clone());
        chunk.choices.last_mut().unwrap().index = index;
    }
    let whole = fold_soon(chunk);
    assert!(whole.choices.iter().zip(0..).all(|(choice, index)| choice.index == index));
    assert_eq!(whole.choices.len(), 300_000);
}

#[test]
fn logprobs_are_one_row() {
    let with = |token: &str| {
        let logprobs =
            json!({ "content": [{ "token": token, "logprob": -0.5, "bytes": [1], "top_logprobs": [] }] });
        let choice =
            json!({ "index": 0, "delta": { "content": token }, "finish_reason": null, "logprobs": logprobs });
        chunk(json!({ "choices": [choice] }))
    };
    let whole = fold(&[with("a"), with("b"), finished(0, "stop")]);
    let tokens: Vec<_> = whole["choices"][0]["logprobs"]["content"].as_array().unwrap().iter().collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[1]["token"], "b");
}

#[test]
fn unknown_members_are_joined_in_a_delta_and_replaced_outside_of_it() {
    let piece = |thought: &str, provider: &str| {
        let delta = json!({
            "reasoning_content": thought,
            "function_call": { "name": if thought == "hm" { "f" } else { "" }, "arguments": thought },
            "parts": [{ "type": "x" }], "index": 4, "note": null,
        });
        let choice =
            json!({ "index": 0, "delta": delta, "finish_reason": null, "native_finish_reason": provider });
        chunk(json!({ "choices": [choice], "provider": provider }))
    };
    let whole = fold(&[piece("hm", "one"), piece("m.", "two")]);
    let choice = &whole["choices"][0];
    assert_eq!(whole["provider"], "two");
    assert_eq!(choice["native_finish_reason"], "two");
    assert_eq!(choice["message"]["reasoning_content"], "hmm.");
    assert_eq!(choice["message"]["function_call"], json!({ "name": "f", "arguments": "hmm." }));
    assert_eq!(choice["message"]["parts"], json!([{ "type": "x" }, { "type": "x" }]));
    assert_eq!(choice["message"]["index"], 4);
}

#[test]
fn annotations_and_audio_are_members_of_the_message() {
    let audio = |audio: Value| delta(0, json!({ "audio": audio }));
    let annotation = json!({ "type": "url_citation", "url_citation": { "url": "https://example.com" } });
    let mut whole = ChatAccumulator::new();
    whole.extend(&[
        audio(json!({ "id": "audio_1", "transcript": "Good " })),
        audio(json!({ "data": "AAAA", "transcript": "day." })),
        audio(json!({ "expires_at": 9 })),
        delta(0, json!({ "annotations": [annotation] })),
        delta(0, json!({ "annotations": null })),
    ]);
    let whole = whole.finish().unwrap();
    let message = &whole.choices[0].message;
    let heard = message.audio.as_ref().unwrap();
    assert_eq!((heard.id.as_str(), heard.transcript.as_str()), ("audio_1", "Good day."));
    assert_eq!(message.annotations.as_ref().unwrap().len(), 1);
    assert!(message.extra.is_empty(), "{:?}", message.extra);
    let again: ChatCompletion = serde_json::from_value(serde_json::to_value(&whole).unwrap()).unwrap();
    assert_eq!(again, whole);
}

#[test]
fn what_a_model_wrote_is_not_printed() {
    let mut whole = ChatAccumulator::new();
    let call = json!({ "index": 0, "id": "call_a", "function": { "name": "f", "arguments": "hush" } });
    whole.push(&delta(0, json!({ "content": "hush", "reasoning_content": "hush", "tool_calls": [call] })));
    let printed = format!("{whole:?}");
    assert!(printed.contains("call_a") && !printed.contains("hush"), "{printed}");
}

#[test]
fn the_chunks_of_a_service_that_leaves_members_out_are_read() {
    let chunks: Vec<ChatCompletionChunk> = [
        json!({ "id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [] }),
        json!({
            "id": "chatcmpl-1", "created": 7, "model": "gpt-test",
            "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "Hello" } }],
        }),
        json!({ "id": null, "model": null, "choices": [{ "content_filter_results": {}, "delta": null }] }),
        json!({ "choices": null, "usage": null }),
        json!({ "usage": { "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 } }),
    ]
    .into_iter()
    .map(|chunk| serde_json::from_value(chunk).unwrap())
    .collect();
    let whole = fold(&chunks);
    assert_eq!((&whole["id"], &whole["model"]), (&json!("chatcmpl-1"), &json!("gpt-test")));
    assert_eq!((&whole["created"], &whole["usage"]["total_tokens"]), (&json!(7), &json!(7)));
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello");
    let whole = json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hi" }, "finish_reason": "stop" }] });
    assert_eq!(serde_json::from_value::<ChatCompletion>(whole).unwrap().text(), Some("Hi"));
}

#[test]
fn nothing_is_no_completion() {
    assert!(ChatAccumulator::new().finish().is_none());
}

#[test]
fn the_text_can_be_read_before_the_end() {
    let mut whole = ChatAccumulator::new();
    assert_eq!(whole.text(), "");
    whole.push(&delta(0, json!({ "content": "a" })));
    whole.push(&delta(0, json!({ "content": "b" })));
    assert_eq!(whole.text(), "ab");
}

#[test]
fn a_call_of_an_unknown_kind_keeps_its_function() {
    let call = json!({
        "id": "c", "type": "builtin_function", "function": { "name": "$web_search", "arguments": "{}" },
    });
    let mut fragment = call.clone();
    fragment["index"] = 0.into();
    let whole = fold(&[delta(0, json!({ "tool_calls": [fragment] }))]);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"], json!([call]));
}

#[test]
fn a_later_fragment_with_an_empty_type_leaves_the_kind_of_the_call() {
    let begun =
        json!({ "index": 0, "id": "c", "type": "function", "function": { "name": "f", "arguments": "{" } });
    let rest = json!({ "index": 0, "id": "", "type": "", "function": { "arguments": "}" } });
    let whole =
        fold(&[delta(0, json!({ "tool_calls": [begun] })), delta(0, json!({ "tool_calls": [rest] }))]);
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    assert_eq!(whole["choices"][0]["message"]["tool_calls"], json!([call]));
}

/// A call as an answer in one piece has it: its id and kind, what it calls with what, and members of its own.
fn call(kind: &str, parts: &[(&str, &str, &str, &str)], more: &[(String, Value)]) -> Value {
    let mut call = json!({ "id": "call_1", "type": kind });
    let members = call.as_object_mut().unwrap();
    members.extend(more.iter().cloned());
    for (member, name, input, text) in parts {
        let parts = json!({ "name": name, *input: text, "y_own": "part" });
        members.insert((*member).to_owned(), parts);
    }
    call
}

proptest! {
    /// Folding the fragments of a call is decoding the call, of whatever kind and wherever its text is cut.
    #[test]
    fn folding_a_call_is_decoding_it_whole(
        kind in sample::select(vec!["function", "custom", "builtin_function", "mcp"]),
        name in "[a-z$_]{1,8}",
        text in "\\PC{0,24}",
        cut in any::<sample::Index>(),
        both: bool,
        more in vec(("x_[a-z]{1,6}", crate::arbitrary::json()), 0..3),
    ) {
        let function = ("function", name.as_str(), "arguments", text.as_str());
        let custom = ("custom", name.as_str(), "input", text.as_str());
        let parts = match kind {
            "function" => vec![function],
            "custom" => vec![custom],
            _ if both => vec![function, custom],
            _ => vec![function],
        };
        let whole = call(kind, &parts, &more);
        let cuts: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let (begin, end) = text.split_at(cuts[cut.index(cuts.len())]);
        let mut first = call(kind, &parts.iter().map(|part| (part.0, part.1, part.2, begin)).collect::<Vec<_>>(), &more);
        first["index"] = 0.into();
        let mut second = json!({ "index": 0 });
        for (member, _, input, _) in &parts {
            second[member] = json!({ *input: end });
        }
        let folded = fold(&[
            delta(0, json!({ "tool_calls": [first] })),
            delta(0, json!({ "tool_calls": [second] })),
        ]);
        let decoded: ChatToolCall = serde_json::from_value(whole).unwrap();
        prop_assert_eq!(&folded["choices"][0]["message"]["tool_calls"][0], &serde_json::to_value(decoded).unwrap());
    }
}
