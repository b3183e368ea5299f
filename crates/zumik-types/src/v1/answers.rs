//! Answers by what they say.

use crate::{V1FunctionCall, V1OutputContent, V1OutputItem, V1Response};

impl V1Response {
    /// All text of the answer.
    pub fn output_text(&self) -> String {
        let content = self.output.iter().filter_map(|item| match item {
            V1OutputItem::Message(message) => Some(&message.content),
            _ => None,
        });
        let texts = content.flatten().filter_map(|content| match content {
            V1OutputContent::OutputText(text) => Some(text.text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The function calls of the answer.
    pub fn function_calls(&self) -> impl Iterator<Item = &V1FunctionCall> {
        self.output.iter().filter_map(|item| match item {
            V1OutputItem::FunctionCall(call) => Some(call),
            _ => None,
        })
    }
}
