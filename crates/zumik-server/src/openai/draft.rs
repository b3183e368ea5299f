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
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{draft, events};
    use super::*;

    #[test]
    fn one_text_answer_has_the_documented_events() {
        let mut draft = draft();
        let mut out = Vec::new();
        draft.begin(&mut out);
        draft.text("The patch looks correct; ", &mut out);
        draft.text("add a test for the empty case.", &mut out);
        let response = draft.finish(Ending::Completed, Value::Null, &mut out);
        let events = events(&out);
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        let id = &events[2]["item"]["id"];
        assert!(id.as_str().unwrap().starts_with("msg_"));
        let text = "The patch looks correct; add a test for the empty case.";
        let part = json!({ "type": "output_text", "text": text, "annotations": [] });
        let item = |status, content| json!({ "type": "message", "id": id, "status": status, "role": "assistant", "content": content });
        assert_eq!(events[2]["item"], item("in_progress", json!([])));
        assert_eq!(
            events[4],
            json!({
                "type": "response.output_text.delta", "sequence_number": 4, "item_id": id, "output_index": 0,
                "content_index": 0, "delta": "The patch looks correct; ",
            })
        );
        assert_eq!((&events[6]["text"], &events[7]["part"]), (&json!(text), &part));
        assert_eq!(events[8]["item"], item("completed", json!([part])));
        assert_eq!(events[9]["response"], json!(response));
        assert_eq!(response.output(), [item("completed", json!([part]))]);
        assert!(String::from_utf8_lossy(&out).starts_with(
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
        ));
    }

    #[test]
    fn a_response_that_fails_or_is_given_up_keeps_what_was_complete() {
        for cancels in [false, true] {
            let mut draft = draft();
            let mut out = Vec::new();
            draft.reasoning("hm", &mut out);
            draft.text("half a", &mut out);
            let response = if cancels {
                draft.cancel("cancelled", "The response was cancelled.", &mut out)
            } else {
                draft.fail("server_error", "the provider went away", &mut out)
            };
            assert_eq!(response.output().len(), 1);
            assert_eq!(response.output()[0]["type"], "reasoning");
            let last = events(&out).pop().unwrap();
            assert_eq!(last["type"], if cancels { "error" } else { "response.failed" });
        }
    }

    #[derive(Debug, Clone)]
    enum Piece {
        Text(String),
        Refusal(String),
        Reasoning(String),
        Call,
        Arguments(usize, String),
    }

    fn piece() -> impl Strategy<Value = Piece> {
        prop_oneof![
            4 => ".{0,8}".prop_map(Piece::Text),
            1 => ".{0,8}".prop_map(Piece::Refusal),
            2 => ".{0,8}".prop_map(Piece::Reasoning),
            1 => Just(Piece::Call),
            3 => (0..4_usize, ".{0,8}").prop_map(|(at, text)| Piece::Arguments(at, text)),
        ]
    }

    proptest! {
        /// Whatever the pieces are: numbers rise by one, every item that is added is done, the deltas of a part make its
        /// text, and the last event holds the items as they were done.
        #[test]
        fn events_tell_the_same_as_the_response(pieces in prop::collection::vec(piece(), 0..24), cut: bool) {
            let mut draft = draft();
            let mut out = Vec::new();
            draft.begin(&mut out);
            let mut calls = Vec::new();
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => draft.text(text, &mut out),
                    Piece::Refusal(text) => draft.refusal(text, &mut out),
                    Piece::Reasoning(text) => draft.reasoning(text, &mut out),
                    Piece::Call => calls.push(draft.call("call_1", "f", &mut out)),
                    Piece::Arguments(at, text) => {
                        if let Some(at) = calls.get(*at) {
                            draft.arguments(*at, text, &mut out);
                        }
                    }
                }
            }
            let ending = if cut { Ending::Incomplete("max_output_tokens") } else { Ending::Completed };
            let response = draft.finish(ending, Value::Null, &mut out);
            let events = events(&out);

            let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
            prop_assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
            let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).cloned().collect::<Vec<_>>();
            let mut done = of("response.output_item.done");
            prop_assert_eq!(of("response.output_item.added").len(), done.len());
            done.sort_by_key(|event| event["output_index"].as_u64());
            let done: Vec<_> = done.into_iter().map(|event| event["item"].clone()).collect();
            prop_assert_eq!(&done[..], response.output());
            prop_assert_eq!(&events.last().unwrap()["response"], &json!(response));

            for (kind, member) in [
                ("response.output_text", "text"),
                ("response.refusal", "refusal"),
                ("response.reasoning_text", "text"),
                ("response.function_call_arguments", "arguments"),
            ] {
                for end in of(&format!("{kind}.done")) {
                    let same = |event: &&Value| {
                        ["item_id", "output_index", "content_index"].iter().all(|name| event[name] == end[name])
                    };
                    let deltas = of(&format!("{kind}.delta"));
                    let whole: String =
                        deltas.iter().filter(same).map(|event| event["delta"].as_str().unwrap()).collect();
                    prop_assert_eq!(&end[member], &json!(whole));
                }
            }
            let said = |wanted: fn(&Piece) -> Option<&String>| pieces.iter().filter_map(wanted).cloned().collect::<String>();
            let texts: String = response
                .output()
                .iter()
                .filter_map(|item| item["content"].as_array())
                .flatten()
                .filter(|part| part["type"] == "output_text")
                .map(|part| part["text"].as_str().unwrap())
                .collect();
            prop_assert_eq!(texts, said(|piece| match piece { Piece::Text(text) => Some(text), _ => None }));
        }
    }
}
