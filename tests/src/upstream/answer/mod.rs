//! What the model says: a pure function of what it was asked.
//!
//! It repeats the last message of the user. With tools it first calls the first of them, unless it may not; given the
//! result it answers in text. Tokens are words.

mod chat;
mod embeddings;
mod responses;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::Behaviour;

/// When everything was made.
pub(super) const CREATED: u64 = 1_750_000_000;

/// A whole answer, before anything goes wrong with it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Body,
}

/// A body at once, or event by event.
pub(super) enum Body {
    Plain(Bytes),
    Stream(Vec<Bytes>),
}

impl Answer {
    pub(super) fn media_type(&self) -> &'static str {
        match self.body {
            Body::Plain(_) => "application/json",
            Body::Stream(_) => "text/event-stream",
        }
    }
}

/// Answers what was asked at a path.
pub(super) fn answer(path: &str, asked: &Value, behaviour: &Behaviour) -> Answer {
    let turn = Turn::new(asked, behaviour);
    let stream = asked["stream"] == true;
    let body = match (path, stream) {
        ("/v1/chat/completions", true) => Body::Stream(chat::stream(&turn)),
        ("/v1/chat/completions", false) => plain(&chat::completion(&turn)),
        ("/v1/responses", true) => Body::Stream(responses::stream(&turn)),
        ("/v1/responses", false) => plain(&responses::response(&turn)),
        _ => plain(&embeddings::embeddings(&turn)),
    };
    Answer { status: StatusCode::OK, body }
}

fn plain(body: &Value) -> Body {
    Body::Plain(body.to_string().into())
}

/// One request with what the model makes of it.
struct Turn<'a> {
    asked: &'a Value,
    behaviour: &'a Behaviour,
    says: Says,
}

/// What the model says.
enum Says {
    /// Pieces of a text.
    Text(Vec<String>),
    /// A call of a tool, with its arguments in pieces.
    Call { name: String, arguments: [String; 2] },
}

impl<'a> Turn<'a> {
    fn new(asked: &'a Value, behaviour: &'a Behaviour) -> Self {
        let says = match tool(asked) {
            Some(name) => Says::Call { name, arguments: ["{\"path\":".to_owned(), "\"tests/\"}".to_owned()] },
            None => Says::Text(pieces(asked, behaviour)),
        };
        Self { asked, behaviour, says }
    }

    /// The model's own name for itself: not the one it was asked by, as providers do.
    fn model(&self) -> String {
        let asked = self.asked["model"].as_str().unwrap_or_default();
        format!("{}-2025-06-15", asked.split('?').next().unwrap_or_default())
    }

    /// Everything that was said to it counts, as words.
    fn input_tokens(&self) -> usize {
        let items = ["instructions", "input", "messages"].map(|member| words(&self.asked[member]));
        items.iter().sum()
    }

    fn output_tokens(&self) -> usize {
        match &self.says {
            Says::Text(pieces) => pieces.len(),
            Says::Call { arguments, .. } => arguments.len(),
        }
    }
}

/// The tool that is to be called: the first, when the last word is the user's and nothing forbids it.
fn tool(asked: &Value) -> Option<String> {
    let tool = asked["tools"].get(0)?;
    let last = ["messages", "input"].iter().find_map(|member| asked[*member].as_array()?.last());
    let answered = last.is_some_and(|last| last["role"] == "tool" || last["type"] == "function_call_output");
    if answered || asked["tool_choice"] == "none" {
        return None;
    }
    let name = tool["function"]["name"].as_str().or_else(|| tool["name"].as_str())?;
    Some(name.to_owned())
}

/// The text that it says, in pieces.
fn pieces(asked: &Value, behaviour: &Behaviour) -> Vec<String> {
    if behaviour.size.is_some() || behaviour.chunks.is_some() {
        let piece = "x".repeat(behaviour.size.unwrap_or(1));
        return vec![piece; behaviour.chunks.unwrap_or(1)];
    }
    let said = last_text(asked);
    let format =
        asked["response_format"]["type"].as_str().or_else(|| asked["text"]["format"]["type"].as_str());
    let text = match format {
        Some("json_object" | "json_schema") => json!({ "echo": said }).to_string(),
        _ => format!("You said: {said}"),
    };
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// The text of the last message or item.
fn last_text(asked: &Value) -> String {
    if let Some(input) = asked["input"].as_str() {
        return input.to_owned();
    }
    let last = ["messages", "input"].iter().find_map(|member| asked[*member].as_array()?.last());
    let content =
        last.map_or(
            &Value::Null,
            |last| if last["content"].is_null() { &last["output"] } else { &last["content"] },
        );
    match content {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        content => content.as_str().unwrap_or_default().to_owned(),
    }
}

/// The words of every text in a value.
fn words(value: &Value) -> usize {
    match value {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(items) => items.iter().map(words).sum(),
        Value::Object(members) => {
            ["content", "text", "output"].iter().filter_map(|name| members.get(*name)).map(words).sum()
        }
        _ => 0,
    }
}
