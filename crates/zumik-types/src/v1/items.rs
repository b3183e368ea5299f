//! Input items, one function for each role: `V1InputItem::user("Why did CI fail?")`.

use serde::Serialize;
use serde_json::Value;

use crate::{
    JsonObject, RawMember, V1AssistantText, V1FunctionCallOutput, V1InputContent, V1InputImage, V1InputItem,
    V1InputMessage, V1InputPart, V1InputText, V1OutputContent, V1OutputItem, V1OutputMessage, V1Role,
    V1ToolOutput,
};

impl V1InputItem {
    /// What the user says: a text, or an array of [parts](V1InputPart).
    pub fn user(content: impl Into<V1InputContent>) -> Self {
        V1InputMessage::new(V1Role::User, content).into()
    }

    /// What the model is told to be and to do.
    pub fn system(content: impl Into<V1InputContent>) -> Self {
        V1InputMessage::new(V1Role::System, content).into()
    }

    /// What the model is told to be and to do, for models that call this role `developer`.
    pub fn developer(content: impl Into<V1InputContent>) -> Self {
        V1InputMessage::new(V1Role::Developer, content).into()
    }

    /// What the model said. The [items](V1OutputItem) of an answer become input items by themselves.
    pub fn assistant(content: impl Into<V1InputContent>) -> Self {
        V1InputMessage::new(V1Role::Assistant, content).into()
    }

    /// What a function gave back. `call_id` is the id of the call that it answers.
    pub fn function_call_output(call_id: impl Into<String>, output: impl Into<V1ToolOutput>) -> Self {
        V1FunctionCallOutput::new(call_id, output).into()
    }
}

/// A message of the user.
impl From<&str> for V1InputItem {
    fn from(text: &str) -> Self {
        Self::user(text)
    }
}

/// A message of the user.
impl From<String> for V1InputItem {
    fn from(text: String) -> Self {
        Self::user(text)
    }
}

impl From<&Self> for V1InputItem {
    fn from(item: &Self) -> Self {
        item.clone()
    }
}

impl V1InputPart {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        V1InputText::new(text).into()
    }

    /// A picture: an address, or a `data:` URL.
    pub fn image_url(url: impl Into<String>) -> Self {
        V1InputImage::new().image_url(url).into()
    }
}

impl From<&str> for V1InputPart {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for V1InputPart {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// An item of an answer as a part of the history of the next question. Nothing of it is lost.
impl From<V1OutputItem> for V1InputItem {
    fn from(item: V1OutputItem) -> Self {
        match item {
            V1OutputItem::Message(message) => Self::Message(said(message)),
            V1OutputItem::FunctionCall(call) => Self::FunctionCall(call),
            V1OutputItem::CustomToolCall(call) => Self::CustomToolCall(call),
            V1OutputItem::Reasoning(item) => Self::Reasoning(item),
            V1OutputItem::Compaction(item) => Self::Compaction(item),
            V1OutputItem::Unrecognized(raw) => Self::Unrecognized(raw),
        }
    }
}

impl From<&V1OutputItem> for V1InputItem {
    fn from(item: &V1OutputItem) -> Self {
        item.clone().into()
    }
}

fn said(message: V1OutputMessage) -> V1InputMessage {
    let V1OutputMessage { id, status, role, content, extra } = message;
    let content = V1InputContent::Parts(content.into_iter().map(part).collect());
    let kind = Some("message".to_owned());
    // A member that the answer lacked reads as empty, which nobody would take back.
    let id = Some(id).filter(|id| !id.as_str().is_empty());
    let status = Some(status).filter(|status| !status.as_str().is_empty());
    V1InputMessage { kind, role, content, id, status, extra }
}

fn part(content: V1OutputContent) -> V1InputPart {
    match content {
        V1OutputContent::OutputText(text) => {
            let mut extra = text.extra;
            extra.insert("annotations".to_owned(), text.annotations.into_iter().map(Value::Object).collect());
            V1InputPart::OutputText(V1AssistantText { text: text.text, extra })
        }
        V1OutputContent::Refusal(refusal) => V1InputPart::Refusal(refusal),
        V1OutputContent::ReasoningText(text) => V1InputPart::Unrecognized(raw("reasoning_text", &text)),
        V1OutputContent::Unrecognized(raw) => V1InputPart::Unrecognized(raw),
    }
}

fn raw(tag: &str, object: &impl Serialize) -> RawMember {
    let members = match serde_json::to_value(object) {
        Ok(Value::Object(members)) => members,
        // An object of texts, lists and members that were read from JSON always serializes.
        _ => JsonObject::new(),
    };
    RawMember::new("type", tag, members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{CreateV1ResponseRequest, V1Response};

    fn wire(value: impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn there_is_a_function_for_every_role() {
        for (item, role) in [
            (V1InputItem::user("x"), "user"),
            (V1InputItem::system("x"), "system"),
            (V1InputItem::developer("x"), "developer"),
            (V1InputItem::assistant("x"), "assistant"),
        ] {
            let item = wire(item);
            assert_eq!((&item["role"], &item["content"]), (&json!(role), &json!("x")));
        }
        assert_eq!(
            wire(V1InputItem::function_call_output("call_1", "12 passed")),
            json!({ "type": "function_call_output", "call_id": "call_1", "output": "12 passed" })
        );
    }

    #[test]
    fn an_item_may_have_parts() {
        let parts = ["look".into(), V1InputPart::image_url("https://example.com/a.png")];
        assert_eq!(
            wire(V1InputItem::user(parts))["content"],
            json!([
                { "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": "https://example.com/a.png" },
            ])
        );
    }

    #[test]
    fn a_text_is_a_message_of_the_user() {
        let request = CreateV1ResponseRequest::new("m", ["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            request,
            CreateV1ResponseRequest::new("m", [V1InputItem::user("a"), V1InputItem::user("b")])
        );
    }

    #[test]
    fn the_items_of_an_answer_become_input_without_a_loss() {
        let text = json!({
            "type": "output_text", "text": "Hi.", "annotations": [{ "type": "url_citation" }], "logprobs": [],
        });
        let content = json!([text, { "type": "refusal", "refusal": "no" }, { "type": "new", "x": 1 }]);
        let output = json!([
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "AAAA" },
            { "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content },
            {
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}",
                "status": "completed",
            },
            { "type": "web_search_call", "id": "ws_1" },
        ]);
        let items: Vec<V1OutputItem> = serde_json::from_value(output.clone()).unwrap();
        let request = CreateV1ResponseRequest::new("m", items);
        assert_eq!(wire(request)["input"], output);
    }

    #[test]
    fn an_answer_is_read_by_its_text_and_its_calls() {
        let said = |id: &str, text: &str| {
            let content =
                json!([{ "type": "output_text", "text": text }, { "type": "refusal", "refusal": "r" }]);
            json!({ "type": "message", "id": id, "status": "completed", "role": "assistant", "content": content })
        };
        let call = json!({ "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "[1]" });
        let response: V1Response = serde_json::from_value(json!({
            "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "tool_choice": "auto",
            "output": [said("msg_1", "a"), call, said("msg_2", "b")],
        }))
        .unwrap();
        assert_eq!(response.output_text(), "ab");
        let calls: Vec<_> = response.function_calls().collect();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].parse_arguments::<Vec<u8>>().unwrap(), [1]);
    }
}
