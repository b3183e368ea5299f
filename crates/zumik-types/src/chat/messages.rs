//! Messages, one function for each role: `ChatMessage::user("Why did CI fail?")`.

use crate::{
    ChatAssistantMessage, ChatAudioPart, ChatAudioReference, ChatCompletionMessage, ChatContent,
    ChatContentPart, ChatDeveloperMessage, ChatFile, ChatFilePart, ChatImagePart, ChatImageUrl,
    ChatInputAudio, ChatMessage, ChatSystemMessage, ChatTextPart, ChatToolMessage, ChatUserMessage,
};

impl ChatMessage {
    /// What the model is told to be and to do.
    pub fn system(content: impl Into<ChatContent>) -> Self {
        ChatSystemMessage::new(content).into()
    }

    /// What the model is told to be and to do, for models that call this role `developer`.
    pub fn developer(content: impl Into<ChatContent>) -> Self {
        ChatDeveloperMessage::new(content).into()
    }

    /// What the user says: a text, or an array of [parts](ChatContentPart).
    ///
    /// ```
    /// use zumik_types::{ChatContentPart, ChatMessage};
    ///
    /// let plain = ChatMessage::user("What is on this picture?");
    /// let with_picture = ChatMessage::user([
    ///     ChatContentPart::text("What is on this picture?"),
    ///     ChatContentPart::image_url("https://example.com/cat.png"),
    /// ]);
    /// ```
    pub fn user(content: impl Into<ChatContent>) -> Self {
        ChatUserMessage::new(content).into()
    }

    /// What the model said. One that called tools is a [`ChatAssistantMessage`], or simply the
    /// [message](ChatCompletionMessage) of its answer.
    pub fn assistant(content: impl Into<ChatContent>) -> Self {
        ChatAssistantMessage::new().content(content).into()
    }

    /// What a tool gave back. `call_id` is the id of the call that it answers.
    pub fn tool(call_id: impl Into<String>, content: impl Into<ChatContent>) -> Self {
        ChatToolMessage::new(call_id, content).into()
    }
}

/// A message of the user.
impl From<&str> for ChatMessage {
    fn from(text: &str) -> Self {
        Self::user(text)
    }
}

/// A message of the user.
impl From<String> for ChatMessage {
    fn from(text: String) -> Self {
        Self::user(text)
    }
}

impl From<&Self> for ChatMessage {
    fn from(message: &Self) -> Self {
        message.clone()
    }
}

/// The answer as a part of the history of the next question: its text, its refusal, its tool calls and a reference to
/// its audio.
impl From<ChatCompletionMessage> for ChatMessage {
    fn from(answer: ChatCompletionMessage) -> Self {
        let ChatCompletionMessage { content, refusal, tool_calls, audio, .. } = answer;
        let mut message = ChatAssistantMessage::new();
        message.content = content.map(ChatContent::Text);
        message.refusal = refusal;
        message.tool_calls = tool_calls;
        message.audio = audio.map(|audio| ChatAudioReference::new(audio.id));
        message.into()
    }
}

impl From<&ChatCompletionMessage> for ChatMessage {
    fn from(answer: &ChatCompletionMessage) -> Self {
        answer.clone().into()
    }
}

impl ChatContentPart {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        ChatTextPart::new(text).into()
    }

    /// A picture: an address, or a `data:` URL. An [image](ChatImageUrl) with a degree of detail is accepted too.
    pub fn image_url(url: impl Into<ChatImageUrl>) -> Self {
        ChatImagePart::new(url).into()
    }

    /// Audio: base64, and its format, for example `wav`.
    pub fn input_audio(data: impl Into<String>, format: impl Into<String>) -> Self {
        ChatAudioPart::new(ChatInputAudio::new(data, format)).into()
    }

    /// A file that the provider knows by its id.
    pub fn file_id(id: impl Into<String>) -> Self {
        ChatFilePart::new(ChatFile::new().file_id(id)).into()
    }

    /// A file in the request itself: its name and a `data:` URL.
    pub fn file(name: impl Into<String>, data: impl Into<String>) -> Self {
        ChatFilePart::new(ChatFile::new().filename(name).file_data(data)).into()
    }
}

impl From<&str> for ChatContentPart {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for ChatContentPart {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for ChatImageUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for ChatImageUrl {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::CreateChatCompletionRequest;

    fn wire(message: ChatMessage) -> Value {
        serde_json::to_value(message).unwrap()
    }

    #[test]
    fn there_is_a_function_for_every_role() {
        assert_eq!(wire(ChatMessage::system("s")), json!({ "role": "system", "content": "s" }));
        assert_eq!(wire(ChatMessage::developer("d")), json!({ "role": "developer", "content": "d" }));
        assert_eq!(wire(ChatMessage::user("u")), json!({ "role": "user", "content": "u" }));
        assert_eq!(wire(ChatMessage::assistant("a")), json!({ "role": "assistant", "content": "a" }));
        let tool = json!({ "role": "tool", "tool_call_id": "call_1", "content": "t" });
        assert_eq!(wire(ChatMessage::tool("call_1", "t")), tool);
    }

    #[test]
    fn a_message_may_have_parts() {
        let message = ChatMessage::user([
            ChatContentPart::text("look"),
            ChatContentPart::image_url("https://example.com/a.png"),
            ChatContentPart::image_url(ChatImageUrl::new("https://example.com/b.png").detail("low")),
            ChatContentPart::input_audio("AAAA", "wav"),
            ChatContentPart::file_id("file-1"),
            ChatContentPart::file("a.pdf", "data:application/pdf;base64,AAAA"),
        ]);
        let parts = json!([
            { "type": "text", "text": "look" },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
            { "type": "image_url", "image_url": { "url": "https://example.com/b.png", "detail": "low" } },
            { "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } },
            { "type": "file", "file": { "file_id": "file-1" } },
            { "type": "file", "file": { "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf" } },
        ]);
        assert_eq!(wire(message), json!({ "role": "user", "content": parts }));
    }

    #[test]
    fn a_request_takes_messages_texts_and_a_history() {
        let history = vec![ChatMessage::system("s"), ChatMessage::user("u")];
        let by_value = CreateChatCompletionRequest::new("m", history.clone());
        assert_eq!(CreateChatCompletionRequest::new("m", &history), by_value);
        let text = CreateChatCompletionRequest::new("m", ["u"]);
        assert_eq!(text, CreateChatCompletionRequest::new("m", [ChatMessage::user("u")]));
    }

    #[test]
    fn an_answer_becomes_a_message_of_the_history() {
        let answer = json!({
            "role": "assistant", "content": null, "refusal": null, "annotations": [], "reasoning_content": "hm",
            "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } }],
            "audio": { "id": "audio_1", "data": "AAAA", "transcript": "t", "expires_at": 1 },
        });
        let answer: ChatCompletionMessage = serde_json::from_value(answer).unwrap();
        let message = json!({
            "role": "assistant", "content": null, "audio": { "id": "audio_1" },
            "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } }],
        });
        assert_eq!(wire(answer.into()), message);
    }
}
