//! A chat completion, whole or in chunks, as a response.

use serde_json::{Value, json};
use thiserror::Error;

use super::draft::{Draft, Ending};
use super::events::{Events, Told};
use super::fault::Fault;
use crate::domain::ResponseObject;
use crate::engine::Usage;

/// What a provider sent is no chat completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the provider's answer is no chat completion: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Most function calls of one answer.
const MOST_CALLS: usize = 1_024;

/// The response that a whole chat completion is.
///
/// # Errors
/// The answer has no choice with a message, or a call without a name.
pub(crate) fn whole(answer: &Value, draft: Draft) -> Result<ResponseObject, Malformed> {
    let choice =
        answer.get("choices").and_then(|choices| choices.get(0)).ok_or(Malformed("it has no choice"))?;
    let message = choice.get("message").ok_or(Malformed("its choice has no message"))?;
    let mut stream = ChatStream::new(draft);
    let mut events = Vec::new();
    stream.message(message, &mut events)?;
    stream.finish_reason(choice);
    stream.usage = answer.get("usage").map_or(Value::Null, usage);
    Ok(stream.end(&mut events))
}

/// A chat completion that comes in chunks.
pub(crate) struct ChatStream {
    draft: Draft,
    calls: Vec<Call>,
    ending: Option<Ending>,
    usage: Value,
    /// What went wrong.
    error: Option<Fault>,
    /// What the event that is being read tells.
    told: Told,
}

/// A function call: where the provider has it, and where the response does.
struct Call {
    index: u64,
    at: usize,
}

impl ChatStream {
    /// A stream that has just begun.
    pub(crate) fn new(draft: Draft) -> Self {
        let (calls, told) = (Vec::new(), Told::default());
        Self { draft, calls, ending: None, usage: Value::Null, error: None, told }
    }

    /// Writes the events that begin the stream.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        self.draft.begin(out);
    }

    /// Takes in the data of one event, and writes what it says.
    pub(crate) fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Told {
        let read = match serde_json::from_slice(data) {
            Ok(chunk) => self.chunk(&chunk, out),
            Err(_) => Err(Malformed("an event is not JSON")),
        };
        if let Err(Malformed(problem)) = read {
            self.error = Some(Fault::malformed(problem));
        }
        Told { is_last: self.error.is_some(), ..std::mem::take(&mut self.told) }
    }

    /// Whether the provider has said how its answer ends, and nothing of it is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.ending.is_some() && self.error.is_none()
    }

    /// What is wrong with what came, when that ends the response.
    pub(crate) fn malformed(&self) -> Option<&'static str> {
        self.error.as_ref()?.malformed
    }

    /// Ends the response: all of it has come, or what came told of a failure.
    pub(crate) fn end(self, out: &mut Vec<u8>) -> ResponseObject {
        match self.error {
            Some(Fault { code, message, .. }) => self.draft.fail(&code, &message, out),
            None => self.draft.finish(self.ending.unwrap_or(Ending::Completed), self.usage, out),
        }
    }

    /// Ends the response as failed: nothing more comes.
    pub(crate) fn break_off(self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        self.draft.fail(code, message, out)
    }

    /// Gives the response up, with what is complete.
    pub(crate) fn cancel(self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        self.draft.cancel(code, message, out)
    }

    /// The events, behind those that were written.
    pub(crate) fn events(&self) -> Events {
        self.draft.events()
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            self.error = Some(Fault::reported(error));
            return Ok(());
        }
        if let Some(reported) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            self.usage = usage(reported);
            self.told.usage = Usage::read(reported);
        }
        // The last chunk with the usage has no choice.
        let Some(choice) = chunk.get("choices").and_then(|choices| choices.get(0)) else { return Ok(()) };
        if let Some(delta) = choice.get("delta") {
            self.message(delta, out)?;
        }
        self.finish_reason(choice);
        Ok(())
    }

    /// A message, or more of one.
    fn message(&mut self, message: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let text = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Two names for one thing that OpenAI's chat completions do not have.
        if let Some(thought) = text("reasoning_content").or_else(|| text("reasoning")) {
            self.draft.reasoning(thought, out);
        }
        if let Some(said) = text("content") {
            self.told.text.push_str(said);
            self.draft.text(said, out);
        }
        if let Some(refusal) = text("refusal") {
            self.draft.refusal(refusal, out);
        }
        let calls = message.get("tool_calls").and_then(Value::as_array);
        for (place, call) in calls.into_iter().flatten().enumerate() {
            self.call(place as u64, call, out)?;
        }
        Ok(())
    }

    /// A function call, or more of its arguments. Without an `index` its place in the list says which call it is.
    fn call(&mut self, place: u64, call: &Value, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let index = call.get("index").and_then(Value::as_u64).unwrap_or(place);
        let function = &call["function"];
        let known = self.calls.iter().find(|call| call.index == index).map(|call| call.at);
        let at = match known {
            Some(at) => at,
            None if self.calls.len() == MOST_CALLS => return Err(Malformed("it has too many calls")),
            None => {
                let name = function["name"].as_str().filter(|name| !name.is_empty());
                let name = name.ok_or(Malformed("a call has no function name"))?;
                let id = call["id"].as_str().ok_or(Malformed("a call has no id"))?;
                let at = self.draft.call(id, name, out);
                self.calls.push(Call { index, at });
                at
            }
        };
        if let Some(delta) = function["arguments"].as_str().filter(|delta| !delta.is_empty()) {
            self.draft.arguments(at, delta, out);
        }
        Ok(())
    }

    fn finish_reason(&mut self, choice: &Value) {
        self.ending = match choice.get("finish_reason").and_then(Value::as_str) {
            None => self.ending,
            Some("length") => Some(Ending::Incomplete("max_output_tokens")),
            Some("content_filter") => Some(Ending::Incomplete("content_filter")),
            Some(_) => Some(Ending::Completed),
        };
    }
}

/// The usage of a chat completion in the words of a response; nothing when there is none.
fn usage(usage: &Value) -> Value {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let (Some(input), Some(output)) = (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64())
    else {
        return Value::Null;
    };
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": count(&usage["prompt_tokens_details"]["cached_tokens"]),
            "cache_write_tokens": count(&usage["prompt_tokens_details"]["cache_write_tokens"]),
        },
        "output_tokens": output,
        "output_tokens_details": {
            "reasoning_tokens": count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        },
        "total_tokens": usage["total_tokens"].as_u64().unwrap_or(input.saturating_add(output)),
    })
}

#[cfg(test)]
mod tests {
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
        let call = json!({ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } });
        for (message, expected) in [
            (json!({ "content": "Hi" }), json!([["message", "Hi"]])),
            (json!({ "content": "" }), json!([])),
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
                calls(
                    json!([{ "index": 1, "id": "call_2", "function": { "name": "g", "arguments": "{}" } }]),
                ),
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
        assert_eq!(
            json!(whole)["status"],
            "completed",
            "without the terminator, but with the reason of its end"
        );
    }
}
