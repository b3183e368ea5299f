use serde_json::{Value, json};

use super::super::fixtures::draft;
use super::super::from_chat::whole;
use super::*;

fn translate(body: Value, own: Value) -> Result<Value, Untranslatable> {
    let own = own.as_array().unwrap();
    let input = Input { before: &[], before_param: "previous_response_id", own };
    to_chat(body.as_object().unwrap(), input).map(Value::Object)
}

fn hi() -> Value {
    json!([{ "role": "user", "content": "Hi" }])
}

#[test]
fn members_get_the_names_and_forms_of_a_chat_completion() {
    let function =
        json!({ "name": "f", "description": "d", "parameters": { "b": 1, "a": 2 }, "strict": true });
    let mut tool = function.clone();
    tool["type"] = json!("function");
    let schema = json!({ "name": "s", "schema": { "z": 1, "a": 2 }, "strict": true });
    let mut format = schema.clone();
    format["type"] = json!("json_schema");
    for (member, value, expected) in [
        ("max_output_tokens", json!(9), json!({ "max_tokens": 9 })),
        ("temperature", json!(0.5), json!({ "temperature": 0.5 })),
        ("user", json!("u"), json!({ "user": "u" })),
        ("novel", json!({ "x": 1 }), json!({ "novel": { "x": 1 } })),
        ("stream", json!(false), json!({ "stream": false })),
        ("stream", json!(true), json!({ "stream": true })),
        ("stream_options", json!({ "include_obfuscation": false }), json!({})),
        ("tools", json!([tool]), json!({ "tools": [{ "type": "function", "function": function }] })),
        ("tools", json!([]), json!({})),
        ("parallel_tool_calls", json!(true), json!({})),
        ("tool_choice", json!("auto"), json!({})),
        ("tool_choice", json!("required"), json!({ "tool_choice": "required" })),
        (
            "tool_choice",
            json!({ "type": "function", "name": "f" }),
            json!({ "tool_choice": { "type": "function", "function": { "name": "f" } } }),
        ),
        (
            "tool_choice",
            json!({ "type": "allowed_tools", "mode": "required", "tools": [{ "type": "function", "name": "f" }] }),
            json!({ "tool_choice": { "type": "allowed_tools", "allowed_tools": {
                "mode": "required", "tools": [{ "type": "function", "function": { "name": "f" } }],
            } } }),
        ),
        ("text", json!({ "format": { "type": "text" } }), json!({})),
        ("text", json!({ "verbosity": "low" }), json!({ "verbosity": "low" })),
        (
            "text",
            json!({ "format": { "type": "json_object" } }),
            json!({ "response_format": { "type": "json_object" } }),
        ),
        (
            "text",
            json!({ "format": format }),
            json!({ "response_format": { "type": "json_schema", "json_schema": schema } }),
        ),
        ("reasoning", json!({ "effort": "low", "summary": "auto" }), json!({ "reasoning_effort": "low" })),
        ("truncation", json!("disabled"), json!({})),
        ("include", json!(["reasoning.encrypted_content"]), json!({})),
        ("top_logprobs", json!(0), json!({})),
        ("temperature", Value::Null, json!({})),
    ] {
        let chat = translate(json!({ "model": "m", member: value }), hi()).unwrap();
        let mut whole = json!({ "model": "m", "messages": hi() });
        whole.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        assert_eq!(chat, whole, "{member}: {value}");
    }
    let chat =
        translate(json!({ "tools": [tool], "tool_choice": "auto", "parallel_tool_calls": false }), hi())
            .unwrap();
    assert_eq!((&chat["tool_choice"], &chat["parallel_tool_calls"]), (&json!("auto"), &json!(false)));
    let parameters = &chat["tools"][0]["function"]["parameters"];
    assert_eq!(parameters.to_string(), r#"{"b":1,"a":2}"#, "models read a schema in its order");
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_path() {
    for (member, value, param) in [
        ("truncation", json!("auto"), "truncation"),
        ("prompt", json!({ "id": "pmpt_1" }), "prompt"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("include", json!(["reasoning.encrypted_content", "message.output_text.logprobs"]), "include[1]"),
        ("tools", json!([{ "type": "function", "name": "f" }, { "type": "web_search" }]), "tools[1].type"),
        ("tools", json!({}), "tools"),
        ("tool_choice", json!({ "type": "file_search" }), "tool_choice.type"),
        ("tool_choice", json!({ "type": "function" }), "tool_choice.name"),
        ("text", json!({ "format": { "type": "grammar" } }), "text.format.type"),
        ("text", json!({ "tone": "dry" }), "text.tone"),
        ("text", json!("short"), "text"),
        ("reasoning", json!({ "summary": "detailed" }), "reasoning.summary"),
        ("reasoning", json!(3), "reasoning"),
        ("instructions", json!(["a"]), "instructions"),
        ("messages", json!([{ "role": "user", "content": "B" }]), "messages"),
        ("response_format", json!({ "type": "json_object" }), "response_format"),
        ("max_tokens", json!(1), "max_tokens"),
        ("max_completion_tokens", json!(1), "max_completion_tokens"),
        ("reasoning_effort", json!("high"), "reasoning_effort"),
        ("verbosity", json!("low"), "verbosity"),
        ("n", json!(2), "n"),
        ("logprobs", json!(true), "logprobs"),
        ("audio", json!({ "voice": "alloy" }), "audio"),
        ("modalities", json!(["audio"]), "modalities"),
        ("functions", json!([{ "name": "f" }]), "functions"),
        ("function_call", json!({ "name": "f" }), "function_call"),
    ] {
        let refused = translate(json!({ member: value }), hi()).unwrap_err();
        assert_eq!(refused.param, param, "{member}: {value}");
    }
    let image =
        |part: Value| json!([{ "role": "user", "content": [{ "type": "input_text", "text": "a" }, part] }]);
    for (own, param) in [
        (json!(["Hi"]), "input[0]"),
        (json!([{ "role": "narrator", "content": "a" }]), "input[0].role"),
        (json!([{ "content": "a" }]), "input[0].role"),
        (json!([{ "role": "user" }]), "input[0].content"),
        (
            json!([{ "role": "assistant", "content": [{ "type": "input_image" }] }]),
            "input[0].content[0].type",
        ),
        (image(json!({ "type": "input_image", "file_id": "file-1" })), "input[0].content[1].image_url"),
        (image(json!({ "type": "input_file", "file_url": "https://x" })), "input[0].content[1].file_url"),
        (image(json!({ "type": "input_video" })), "input[0].content[1].type"),
        (json!([{ "type": "web_search_call" }]), "input[0].type"),
        (json!([{ "type": "item_reference", "id": "msg_1" }]), "input[0].type"),
        (json!([{ "type": "function_call", "call_id": "c", "name": "f" }]), "input[0].arguments"),
        (
            json!([{ "type": "function_call_output", "call_id": "c", "output": [{ "type": "input_image" }] }]),
            "input[0].output[0]",
        ),
    ] {
        assert_eq!(translate(json!({}), own.clone()).unwrap_err().param, param, "{own}");
    }
    let input =
        Input { before: &[json!({ "type": "web_search_call" })], before_param: "conversation", own: &[] };
    let refused = to_chat(&Map::new(), input).unwrap_err();
    assert_eq!(refused.param, "conversation");
}

#[test]
fn items_become_messages_in_their_order() {
    let text = |kind: &str, text: &str| json!({ "type": kind, "text": text });
    let call = |id: &str| json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{}" });
    let called =
        |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let own = json!([
        { "role": "developer", "content": "Be terse." },
        { "type": "message", "role": "user", "content": [text("input_text", "a"), text("input_text", "b")] },
        { "role": "user", "content": [
            text("input_text", "Look:"),
            { "type": "input_image", "image_url": "data:,", "detail": "low", "file_id": null },
            { "type": "input_file", "filename": "f.pdf", "file_data": "data:," },
            { "type": "input_audio", "input_audio": { "data": "", "format": "wav" } },
        ] },
        { "type": "reasoning", "id": "rs_1", "summary": [] },
        { "role": "assistant", "content": [text("output_text", "c"), text("output_text", "d")] },
        call("1"),
        call("2"),
        { "type": "function_call_output", "call_id": "1", "output": "one" },
        { "type": "function_call_output", "call_id": "2", "output": [text("input_text", "two")] },
        call("3"),
        { "role": "assistant", "content": [{ "type": "refusal", "refusal": "No." }] },
    ]);
    let input = Input {
        before: &[json!({ "role": "system", "content": "state" })],
        before_param: "Agent-Session-Ref",
        own: own.as_array().unwrap(),
    };
    let body = json!({ "instructions": "Review." });
    let chat = to_chat(body.as_object().unwrap(), input).unwrap();
    let expected = json!([
        { "role": "system", "content": "Review." },
        { "role": "system", "content": "state" },
        { "role": "system", "content": "Be terse." },
        { "role": "user", "content": "ab" },
        { "role": "user", "content": [
            { "type": "text", "text": "Look:" },
            { "type": "image_url", "image_url": { "url": "data:,", "detail": "low" } },
            { "type": "file", "file": { "filename": "f.pdf", "file_data": "data:," } },
            { "type": "input_audio", "input_audio": { "data": "", "format": "wav" } },
        ] },
        { "role": "assistant", "content": "cd", "tool_calls": [called("1"), called("2")] },
        { "role": "tool", "tool_call_id": "1", "content": "one" },
        { "role": "tool", "tool_call_id": "2", "content": "two" },
        { "role": "assistant", "content": null, "tool_calls": [called("3")] },
        { "role": "assistant", "content": null, "refusal": "No." },
    ]);
    assert_eq!(chat["messages"], expected);
}

/// What a model said, sent back as it was answered, is what it said.
#[test]
fn an_answer_goes_there_and_back() {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } });
    for message in [
        json!({ "role": "assistant", "content": "Hi" }),
        json!({ "role": "assistant", "content": null, "refusal": "No." }),
        json!({ "role": "assistant", "content": "Let me look.", "tool_calls": [call("1")] }),
        json!({ "role": "assistant", "content": null, "tool_calls": [call("1"), call("2")] }),
    ] {
        let answer = json!({ "choices": [{ "message": message, "finish_reason": "stop" }] });
        let response = whole(&answer, draft()).unwrap();
        let chat = translate(json!({}), json!(response.output())).unwrap();
        assert_eq!(chat["messages"], json!([message]));
    }
}
