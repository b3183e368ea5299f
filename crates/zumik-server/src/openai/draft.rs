//! A response that is being made piece by piece, and the events that tell of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use zumik_types::MessageId;

use super::events::Events;
use crate::domain::ResponseObject;
use crate::mint::Mint;

/// A response that is being made piece by piece. Each piece is written as the events of it, in the order of the
/// contract; whoever wants the response only throws the events away.
pub(crate) struct Draft {
    response: ResponseObject,
    events: Events,
    mint: Arc<dyn Mint>,
    now: DateTime<Utc>,
    items: Vec<Item>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The model said all it had to say.
    Completed,
    /// It was cut short; why, in OpenAI's words.
    Incomplete(&'static str),
}

/// An output item; its place is its `output_index`.
enum Item {
    Open(OpenItem),
    Done(Value),
}

struct OpenItem {
    id: String,
    body: Body,
}

enum Body {
    Message { parts: Vec<Value>, open: Option<Part> },
    Reasoning { text: String },
    Call { call_id: String, name: String, arguments: String },
}

/// The content part of a message that is being written.
struct Part {
    kind: PartKind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartKind {
    Text,
    Refusal,
}

impl PartKind {
    /// The name of the part's events, without their last word.
    const fn events(self) -> &'static str {
        match self {
            Self::Text => "response.output_text",
            Self::Refusal => "response.refusal",
        }
    }

    /// The member of the `done` event that holds the whole text.
    const fn member(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Refusal => "refusal",
        }
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Text => json!({ "type": "output_text", "text": text, "annotations": [] }),
            Self::Refusal => json!({ "type": "refusal", "refusal": text }),
        }
    }
}

impl Draft {
    /// A response that begins now. Its `status` becomes `in_progress`.
    pub(crate) fn new(mut response: ResponseObject, mint: Arc<dyn Mint>, now: DateTime<Utc>) -> Self {
        response.set("status", json!("in_progress"));
        Self { response, events: Events::default(), mint, now, items: Vec::new() }
    }

    /// Writes the events that begin a stream.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        self.tell(out, "response.created");
        self.tell(out, "response.in_progress");
    }

    /// More of the answer's text.
    pub(crate) fn text(&mut self, delta: &str, out: &mut Vec<u8>) {
        self.say(PartKind::Text, delta, out);
    }

    /// More of a refusal to answer.
    pub(crate) fn refusal(&mut self, delta: &str, out: &mut Vec<u8>) {
        self.say(PartKind::Refusal, delta, out);
    }

    /// More of what the model thinks before it answers.
    pub(crate) fn reasoning(&mut self, delta: &str, out: &mut Vec<u8>) {
        let at = match self.items.last() {
            Some(Item::Open(OpenItem { body: Body::Reasoning { .. }, .. })) => self.items.len() - 1,
            _ => {
                self.close_texts(out);
                self.open("rs_", Body::Reasoning { text: String::new() }, out)
            }
        };
        let Some(Item::Open(OpenItem { id, body: Body::Reasoning { text } })) = self.items.get_mut(at) else {
            return;
        };
        text.push_str(delta);
        let members = json!({ "item_id": id, "output_index": at, "content_index": 0, "delta": delta });
        self.events.write(out, "response.reasoning_text.delta", &members);
    }

    /// Begins a function call; gives its place, by which its arguments are added.
    pub(crate) fn call(&mut self, call_id: &str, name: &str, out: &mut Vec<u8>) -> usize {
        self.close_texts(out);
        let (call_id, name) = (call_id.to_owned(), name.to_owned());
        self.open("fc_", Body::Call { call_id, name, arguments: String::new() }, out)
    }

    /// More of a call's arguments.
    pub(crate) fn arguments(&mut self, at: usize, delta: &str, out: &mut Vec<u8>) {
        let Some(Item::Open(OpenItem { id, body: Body::Call { arguments, .. } })) = self.items.get_mut(at)
        else {
            return;
        };
        arguments.push_str(delta);
        let members = json!({ "item_id": id, "output_index": at, "delta": delta });
        self.events.write(out, "response.function_call_arguments.delta", &members);
    }

    /// The events, behind those that were written.
    pub(super) fn events(&self) -> Events {
        self.events
    }

    /// Whether anything was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Ends the response, and the stream with it.
    pub(crate) fn finish(mut self, ending: Ending, usage: Value, out: &mut Vec<u8>) -> ResponseObject {
        let last = self.items.len().saturating_sub(1);
        for at in 0..self.items.len() {
            let cut = ending != Ending::Completed && at == last;
            self.close(at, if cut { "incomplete" } else { "completed" }, out);
        }
        let (status, event) = match ending {
            Ending::Completed => ("completed", "response.completed"),
            Ending::Incomplete(reason) => {
                self.response.set("incomplete_details", json!({ "reason": reason }));
                ("incomplete", "response.incomplete")
            }
        };
        self.response.set("status", json!(status));
        self.response.set("output", self.output());
        self.response.set("usage", usage);
        self.tell(out, event);
        self.response
    }

    /// Ends the response as failed, with what was complete until then.
    pub(crate) fn fail(mut self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        self.response.fail(code, message);
        self.response.set("output", self.output());
        self.tell(out, "response.failed");
        self.response
    }

    /// The response as it is when it is given up now, with what was complete until then. `code` and `message` are told
    /// in an event `error` to whoever still listens.
    pub(crate) fn cancel(mut self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        super::write_error(&mut self.events, out, code, message);
        self.response.cancel();
        self.response.set("output", self.output());
        self.response
    }

    fn tell(&mut self, out: &mut Vec<u8>, event: &str) {
        self.events.write(out, event, &json!({ "response": self.response }));
    }

    /// The items that are complete.
    fn output(&self) -> Value {
        let done = self.items.iter().filter_map(|item| match item {
            Item::Done(item) => Some(item.clone()),
            Item::Open(_) => None,
        });
        done.collect()
    }

    fn say(&mut self, kind: PartKind, delta: &str, out: &mut Vec<u8>) {
        let at = match self.items.last() {
            Some(Item::Open(OpenItem { body: Body::Message { .. }, .. })) => self.items.len() - 1,
            _ => {
                self.close_texts(out);
                self.open("msg_", Body::Message { parts: Vec::new(), open: None }, out)
            }
        };
        let Some(Item::Open(OpenItem { id, body: Body::Message { parts, open } })) = self.items.get_mut(at)
        else {
            return;
        };
        if open.as_ref().is_some_and(|part| part.kind != kind) {
            close_part(&mut self.events, id, at, parts, open, out);
        }
        let place = json!({ "item_id": id, "output_index": at, "content_index": parts.len() });
        let part = open.get_or_insert_with(|| {
            let members = with(&place, "part", kind.part(""));
            self.events.write(out, "response.content_part.added", &members);
            Part { kind, text: String::new() }
        });
        part.text.push_str(delta);
        let event = format!("{}.delta", kind.events());
        self.events.write(out, &event, &with(&place, "delta", json!(delta)));
    }

    fn open(&mut self, prefix: &str, body: Body, out: &mut Vec<u8>) -> usize {
        let suffix = self.mint.suffix(self.now);
        let id = match prefix {
            "msg_" => MessageId::with_suffix(&suffix).to_string(),
            prefix => format!("{prefix}{suffix}"),
        };
        let at = self.items.len();
        let item = OpenItem { id, body };
        let members = json!({ "output_index": at, "item": item.object("in_progress") });
        self.events.write(out, "response.output_item.added", &members);
        self.items.push(Item::Open(item));
        at
    }

    /// Closes what must be over before another item begins. Calls stay open: their arguments may come in turns.
    fn close_texts(&mut self, out: &mut Vec<u8>) {
        if let Some(Item::Open(OpenItem { body: Body::Message { .. } | Body::Reasoning { .. }, .. })) =
            self.items.last()
        {
            self.close(self.items.len() - 1, "completed", out);
        }
    }

    fn close(&mut self, at: usize, status: &str, out: &mut Vec<u8>) {
        let Some(Item::Open(item)) = self.items.get_mut(at) else { return };
        let id = &item.id;
        match &mut item.body {
            Body::Message { parts, open } => close_part(&mut self.events, id, at, parts, open, out),
            Body::Reasoning { text } => {
                let members = json!({ "item_id": id, "output_index": at, "content_index": 0, "text": text });
                self.events.write(out, "response.reasoning_text.done", &members);
            }
            Body::Call { arguments, name, .. } => {
                let members =
                    json!({ "item_id": id, "output_index": at, "name": name, "arguments": arguments });
                self.events.write(out, "response.function_call_arguments.done", &members);
            }
        }
        let done = item.object(status);
        self.events.write(out, "response.output_item.done", &json!({ "output_index": at, "item": done }));
        self.items[at] = Item::Done(done);
    }
}

fn close_part(
    events: &mut Events,
    id: &str,
    at: usize,
    parts: &mut Vec<Value>,
    open: &mut Option<Part>,
    out: &mut Vec<u8>,
) {
    let Some(Part { kind, text }) = open.take() else { return };
    let place = json!({ "item_id": id, "output_index": at, "content_index": parts.len() });
    let part = kind.part(&text);
    events.write(out, &format!("{}.done", kind.events()), &with(&place, kind.member(), json!(text)));
    events.write(out, "response.content_part.done", &with(&place, "part", part.clone()));
    parts.push(part);
}

fn with(place: &Value, name: &str, value: Value) -> Value {
    let mut members = place.clone();
    members[name] = value;
    members
}

impl OpenItem {
    fn object(&self, status: &str) -> Value {
        let id = &self.id;
        match &self.body {
            Body::Message { parts, .. } => {
                json!({ "type": "message", "id": id, "status": status, "role": "assistant", "content": parts })
            }
            Body::Reasoning { text } => {
                let content = match text.as_str() {
                    "" => json!([]),
                    text => json!([{ "type": "reasoning_text", "text": text }]),
                };
                json!({ "type": "reasoning", "id": id, "summary": [], "content": content, "status": status })
            }
            Body::Call { call_id, name, arguments } => json!({
                "type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": arguments,
                "status": status,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
