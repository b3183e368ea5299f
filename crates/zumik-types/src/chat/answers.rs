//! Answers, whole and in chunks, by what they say.

use crate::{ChatChoice, ChatCompletion, ChatCompletionChunk, ChatFunctionCall, ChatToolCall};

impl ChatCompletion {
    /// The text of the first choice. `None` where the model only calls tools, or refuses.
    pub fn text(&self) -> Option<&str> {
        self.first()?.message.content.as_deref()
    }

    /// The tool calls of the first choice.
    pub fn tool_calls(&self) -> &[ChatToolCall] {
        self.first().and_then(|choice| choice.message.tool_calls.as_deref()).unwrap_or_default()
    }

    /// The function calls of the first choice: the tool calls of the usual kind.
    pub fn function_calls(&self) -> impl Iterator<Item = &ChatFunctionCall> {
        self.tool_calls().iter().filter_map(|call| match call {
            ChatToolCall::Function(call) => Some(call),
            _ => None,
        })
    }

    fn first(&self) -> Option<&ChatChoice> {
        self.choices.iter().min_by_key(|choice| choice.index)
    }
}

impl ChatCompletionChunk {
    /// The piece of text that this chunk adds to the first choice.
    pub fn text(&self) -> Option<&str> {
        let first = self.choices.iter().find(|choice| choice.index == 0)?;
        first.delta.content.as_deref().filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_by_its_first_choice() {
        let call =
            json!({ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let answer: ChatCompletion = serde_json::from_value(json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [
                { "index": 1, "message": { "role": "assistant", "content": "second" }, "finish_reason": "stop" },
                {
                    "index": 0, "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant", "content": "first",
                        "tool_calls": [call, { "id": "call_2", "type": "custom", "custom": { "name": "c", "input": "" } }],
                    },
                },
            ],
        }))
        .unwrap();
        assert_eq!(answer.text(), Some("first"));
        assert_eq!(answer.tool_calls().len(), 2);
        assert_eq!(answer.function_calls().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["call_1"]);
    }

    #[test]
    fn a_chunk_has_text_only_for_the_first_choice() {
        let chunk = |index: u64, delta: serde_json::Value| -> ChatCompletionChunk {
            let choice = json!({ "index": index, "delta": delta, "finish_reason": null });
            serde_json::from_value(json!({
                "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice],
            }))
            .unwrap()
        };
        assert_eq!(chunk(0, json!({ "content": "hi" })).text(), Some("hi"));
        assert_eq!(chunk(0, json!({ "role": "assistant", "content": "" })).text(), None);
        assert_eq!(chunk(1, json!({ "content": "hi" })).text(), None);
    }
}
