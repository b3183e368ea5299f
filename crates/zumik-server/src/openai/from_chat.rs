//! A chat completion, whole or in chunks, as a response.

use serde::Deserialize as _;
use serde_json::{Value, json};
use thiserror::Error;

use super::draft::{Draft, Ending};
use super::events::{Events, Told};
use super::fault::Fault;
use crate::domain::ResponseObject;
use crate::engine::{Content, Usage};

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

/// A function call: where the provider has it and under which id, and where the response does.
struct Call {
    index: u64,
    id: String,
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
        let content = message.get("content").unwrap_or(&Value::Null);
        let Content(said) = Content::deserialize(content).map_err(|_| Malformed("its content is no text"))?;
        if !said.is_empty() {
            self.told.text.push_str(&said);
            self.draft.text(&said, out);
        }
        if let Some(refusal) = text("refusal") {
            self.told.text.push_str(refusal);
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
        let name = function["name"].as_str().unwrap_or_default();
        let at = match self.known(index, call["id"].as_str().unwrap_or_default(), name) {
            Some(at) => at,
            None if self.calls.len() == MOST_CALLS => return Err(Malformed("it has too many calls")),
            None if name.is_empty() => return Err(Malformed("a call has no function name")),
            None => {
                let id = call["id"].as_str().ok_or(Malformed("a call has no id"))?;
                let at = self.draft.call(id, name, out);
                self.told.text.push_str(name);
                self.calls.push(Call { index, id: id.to_owned(), at });
                at
            }
        };
        if let Some(delta) = function["arguments"].as_str().filter(|delta| !delta.is_empty()) {
            self.told.text.push_str(delta);
            self.draft.arguments(at, delta, out);
        }
        Ok(())
    }

    /// Where the call is that a fragment goes on with: the one at its index. A name under another id begins a new one: some
    /// providers send every call whole and number none.
    fn known(&self, index: u64, id: &str, name: &str) -> Option<usize> {
        let mut there = self.calls.iter().rev().filter(|call| call.index == index);
        let latest = there.clone().next()?;
        match there.find(|call| id.is_empty() || call.id == id) {
            Some(same) => Some(same.at),
            None => name.is_empty().then_some(latest.at),
        }
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
mod tests;
