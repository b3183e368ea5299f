use super::super::fixtures::{draft, events};
use super::*;

fn of(message: Value, finish_reason: &str) -> Result<ResponseObject, Malformed> {
    whole(&json!({ "choices": [{ "message": message, "finish_reason": finish_reason }] }), draft())
}

fn chunks(chunks: &[Value], done: bool) -> (ResponseObject, Vec<Value>) {
    let mut stream = ChatStream::new(draft());
    let mut out = Vec::new();
    stream.begin(&mut out);
    for chunk in chunks {
        if stream.event(chunk.to_string().as_bytes(), &mut out).is_last {
            break;
        }
    }
    let response = if done || stream.error.is_some() || stream.is_whole() {
        stream.end(&mut out)
    } else {
        stream.break_off("provider_error", "the provider broke its answer off", &mut out)
    };
    (response, events(&out))
}

fn delta(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn last(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

#[test]
fn every_part_of_a_message_becomes_its_item() {
    let call =
        json!({ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } });
    for (message, expected) in [
        (json!({ "content": "Hi" }), json!([["message", "Hi"]])),
        (json!({ "content": "" }), json!([])),
        (
            json!({ "content": [{ "type": "thinking", "thinking": [] }, { "type": "text", "text": "Hi" }] }),
            json!([["message", "Hi"]]),
        ),
        (json!({ "content": null, "refusal": "No." }), json!([["message", "No."]])),
        (
            json!({ "content": "Hi", "reasoning_content": "hm" }),
            json!([["reasoning", "hm"], ["message", "Hi"]]),
        ),
        (json!({ "content": "Hi", "reasoning": "hm" }), json!([["reasoning", "hm"], ["message", "Hi"]])),
        (json!({ "content": null, "tool_calls": [call] }), json!([["function_call", "{\"a\":1}"]])),
        (
            json!({ "content": "Hi", "tool_calls": [call, call] }),
            json!([["message", "Hi"], ["function_call", "{\"a\":1}"], ["function_call", "{\"a\":1}"]]),
        ),
    ] {
        let response = of(message.clone(), "stop").unwrap();
        let shown = response.output().iter().map(|item| {
            let part = &item["content"][0];
            let text = [&part["text"], &part["refusal"], &item["arguments"]]
                .into_iter()
                .find(|text| !text.is_null());
            json!([item["type"], text])
        });
        assert_eq!(shown.collect::<Value>(), expected, "{message}");
        assert_eq!(json!(response)["status"], "completed");
    }
}

#[test]
fn the_reason_of_the_end_becomes_the_status() {
    for (reason, status, why) in [
        ("stop", "completed", Value::Null),
        ("tool_calls", "completed", Value::Null),
        ("novel", "completed", Value::Null),
        ("length", "incomplete", json!({ "reason": "max_output_tokens" })),
        ("content_filter", "incomplete", json!({ "reason": "content_filter" })),
    ] {
        let response = json!(of(json!({ "content": "Hi" }), reason).unwrap());
        assert_eq!(
            (&response["status"], &response["incomplete_details"]),
            (&json!(status), &why),
            "{reason}"
        );
        let item = if status == "incomplete" { "incomplete" } else { "completed" };
        assert_eq!(response["output"][0]["status"], item);
    }
}

#[test]
fn usage_is_told_in_the_words_of_responses_or_not_at_all() {
    let reported = json!({
        "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
        "prompt_tokens_details": { "cached_tokens": 6, "cache_write_tokens": 2 },
        "completion_tokens_details": { "reasoning_tokens": 3 },
    });
    assert_eq!(
        usage(&reported),
        json!({
            "input_tokens": 9, "input_tokens_details": { "cached_tokens": 6, "cache_write_tokens": 2 },
            "output_tokens": 4, "output_tokens_details": { "reasoning_tokens": 3 }, "total_tokens": 13,
        })
    );
    let short = usage(&json!({ "prompt_tokens": 9, "completion_tokens": 4 }));
    assert_eq!(
        (&short["total_tokens"], &short["input_tokens_details"]),
        (&json!(13), &json!({ "cached_tokens": 0, "cache_write_tokens": 0 }))
    );
    let boundless = usage(&json!({ "prompt_tokens": u64::MAX, "completion_tokens": 1 }));
    assert_eq!(boundless["total_tokens"], u64::MAX);
    assert_eq!(usage(&json!({ "prompt_tokens": "9" })), Value::Null);
}

#[test]
fn what_is_no_chat_completion_is_malformed() {
    for answer in [
        json!({}),
        json!([]),
        json!({ "choices": [] }),
        json!({ "choices": [{}] }),
        json!({ "choices": [{ "message": { "content": 7 } }] }),
        json!({ "choices": [{ "message": { "content": { "text": "Hi" } } }] }),
        json!({ "choices": [{ "message": { "content": [{ "type": "text" }] } }] }),
        json!({ "choices": [{ "message": { "tool_calls": [{ "id": "a" }] } }] }),
        json!({ "choices": [{ "message": { "tool_calls": [{ "function": { "name": "f" } }] } }] }),
    ] {
        assert!(whole(&answer, draft()).is_err(), "{answer}");
    }
}

#[test]
fn chunks_come_to_the_same_as_the_whole() {
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    let calls = |pieces: Value| delta(json!({ "tool_calls": pieces }));
    let (streamed, told) = chunks(
        &[
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "reasoning_content": "h" })),
            delta(json!({ "reasoning_content": "m" })),
            delta(json!({ "content": "Let me " })),
            delta(json!({ "content": "look." })),
            calls(json!([{ "index": 0, "id": "call_1", "function": { "name": "f", "arguments": "" } }])),
            calls(json!([{ "index": 0, "function": { "arguments": "{\"a\"" } }])),
            calls(json!([{ "index": 1, "id": "call_2", "function": { "name": "g", "arguments": "{}" } }])),
            calls(json!([{ "index": 0, "function": { "arguments": ":1}" } }])),
            last("tool_calls"),
            json!({ "choices": [], "usage": usage }),
        ],
        true,
    );
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let answer = json!({
        "choices": [{
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant", "content": "Let me look.", "reasoning_content": "hm",
                "tool_calls": [call("call_1", "f", "{\"a\":1}"), call("call_2", "g", "{}")],
            },
        }],
        "usage": usage,
    });
    assert_eq!(json!(streamed), json!(whole(&answer, draft()).unwrap()));
    assert_eq!(told.last().unwrap()["type"], "response.completed");
}

#[test]
fn calls_under_one_index_are_told_apart_by_their_ids() {
    let piece = |id: &str, name: &str, arguments: &str| {
        delta(
            json!({ "tool_calls": [{ "index": 0, "id": id, "function": { "name": name, "arguments": arguments } }] }),
        )
    };
    let (response, _) = chunks(
        &[
            piece("call_1", "f", "{\"a\""),
            piece("", "", ":1"),
            piece("call_1", "f", "}"),
            piece("call_2", "g", "{"),
            piece("call_3", "", "}"),
            piece("call_1", "", " "),
            last("tool_calls"),
        ],
        true,
    );
    let calls: Value = response
        .output()
        .iter()
        .map(|call| json!([call["call_id"], call["name"], call["arguments"]]))
        .collect();
    assert_eq!(calls, json!([["call_1", "f", "{\"a\":1} "], ["call_2", "g", "{}"]]));
    // Whole, each with the same number.
    let call = |id: &str| json!({ "index": 0, "id": id, "function": { "name": "f", "arguments": "{}" } });
    let response = of(json!({ "tool_calls": [call("call_1"), call("call_2")] }), "tool_calls").unwrap();
    assert_eq!(response.output().len(), 2);
    assert_eq!(response.output()[1]["call_id"], "call_2");
}

#[test]
fn all_that_a_model_wrote_is_told() {
    let mut stream = ChatStream::new(draft());
    let piece = json!({
        "content": "a", "refusal": "b",
        "tool_calls": [{ "index": 0, "id": "call_1", "function": { "name": "f", "arguments": "{}" } }],
    });
    assert_eq!(stream.event(delta(piece).to_string().as_bytes(), &mut Vec::new()).text, "abf{}");
}

#[test]
fn a_stream_that_breaks_off_is_a_failed_response() {
    let hi = || delta(json!({ "content": "Hi" }));
    let error = json!({ "error": { "message": "Out of memory.", "code": "oom" } });
    for (events, done, code) in [
        (vec![hi()], false, "provider_error"),
        (vec![], false, "provider_error"),
        (vec![hi(), error], false, "oom"),
        (vec![hi(), delta(json!({ "tool_calls": [{}] }))], true, "provider_error"),
    ] {
        let (response, told) = chunks(&events, done);
        assert_eq!(json!(response)["status"], "failed");
        let last = told.last().unwrap();
        assert_eq!(
            (&last["type"], &last["response"]["error"]["code"]),
            (&json!("response.failed"), &json!(code))
        );
    }
    let (whole, _) = chunks(&[hi(), last("stop")], false);
    assert_eq!(json!(whole)["status"], "completed", "without the terminator, but with the reason of its end");
}
