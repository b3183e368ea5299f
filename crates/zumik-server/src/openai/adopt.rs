//! A response that a provider made itself: it gets this server's id and the members that this server answers for. All
//! else, and every event that does not hold the whole response, stays as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::events::{Events, Told, write_json, write_value};
use super::fault::Fault;
use crate::domain::ResponseObject;
use crate::engine::Usage;

/// The members that this server answers for, whatever a provider says.
const OWN: [&str; 8] = [
    "object",
    "created_at",
    "background",
    "model",
    "previous_response_id",
    "conversation",
    "store",
    "metadata",
];

/// A whole response of a provider as ours. `ours` is the response as it began; what the provider leaves out is taken from
/// there.
pub(crate) fn adopt(ours: &ResponseObject, theirs: Map<String, Value>) -> ResponseObject {
    let ended = theirs.contains_key("status");
    let mut response = mix(ours, theirs);
    if !ended {
        response.set("status", json!("completed"));
    }
    response
}

fn mix(ours: &ResponseObject, theirs: Map<String, Value>) -> ResponseObject {
    let mut members = theirs;
    for (name, value) in ours.members() {
        if OWN.contains(&name.as_str()) || !members.contains_key(name) {
            members.insert(name.clone(), value.clone());
        }
    }
    ours.with_members(members)
}

/// A stream of a provider's own events.
pub(crate) struct Adoption {
    ours: ResponseObject,
    /// Items that are complete, by their place.
    done: Vec<(u64, Value)>,
    /// The number of the last event.
    last: Option<u64>,
    /// The response, once its last event has come.
    ended: Option<ResponseObject>,
    /// Why there is no last event, if there is none.
    fault: Fault,
    /// What the event that is being read tells.
    told: Told,
}

/// What is read of an event.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    sequence_number: Option<u64>,
    output_index: Option<u64>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
}

/// Events by which more comes of what a model writes to whoever asked it.
const WRITTEN: [&str; 4] = [
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
];

/// What is read of an item that begins.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

/// What is read of an event without a type: the envelope of an error.
#[derive(Deserialize)]
struct Untyped {
    error: Option<Value>,
}

impl Adoption {
    /// A stream that has just begun, of a response that shall be like `ours`.
    pub(crate) fn new(ours: ResponseObject) -> Self {
        let fault = Fault::malformed("the response has not ended");
        Self { ours, done: Vec::new(), last: None, ended: None, fault, told: Told::default() }
    }

    /// Takes in the data of one event, and writes it with our response in it.
    pub(crate) fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Told {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(data) else {
            // It may have been a part of the answer: what comes behind it would not be the whole of it.
            self.fault = match serde_json::from_slice(data) {
                Ok(Untyped { error: Some(error) }) => Fault::reported(&error),
                _ => Fault::malformed("an event is none of a response"),
            };
            return Told { is_last: true, ..Told::default() };
        };
        self.last = head.sequence_number.or(self.last);
        match &*head.r#type {
            "response.created" | "response.queued" | "response.in_progress" => {
                self.rewrite(&head.r#type, data, out);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.ended = Some(self.rewrite(&head.r#type, data, out));
            }
            kind => {
                self.note(kind, &head);
                write_json(out, Some(kind), data);
                if kind == "error" {
                    self.ended = Some(self.failed(data));
                }
            }
        }
        Told { is_last: self.ended.is_some(), ..std::mem::take(&mut self.told) }
    }

    /// What is wrong with what came, when that ends the response.
    pub(crate) fn malformed(&self) -> Option<&'static str> {
        if self.ended.is_some() { None } else { self.fault.malformed }
    }

    /// The response: all of it has come.
    pub(crate) fn end(mut self, out: &mut Vec<u8>) -> ResponseObject {
        match self.ended.take() {
            Some(response) => response,
            None => {
                let Fault { code, message, .. } = self.fault.clone();
                self.break_off(&code, &message, out)
            }
        }
    }

    /// Ends the response as failed: nothing more comes.
    pub(crate) fn break_off(self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        let mut response = self.partial();
        response.fail(code, message);
        let mut events = self.events();
        events.write(out, "response.failed", &json!({ "response": response }));
        response
    }

    /// The response as it is when it is given up now.
    pub(crate) fn cancel(self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        super::write_error(&mut self.events(), out, code, message);
        let output = self.output();
        let mut response = self.ours;
        response.cancel();
        response.set("output", output);
        response
    }

    /// Remembers what is needed of an event that is passed on.
    fn note(&mut self, kind: &str, head: &Head<'_>) {
        match (kind, head.output_index, head.item, head.delta) {
            ("response.output_item.done", Some(at), Some(item), _) => {
                if let Ok(item) = serde_json::from_str(item.get()) {
                    self.done.push((at, item));
                }
            }
            ("response.output_item.added", _, Some(item), _) => {
                if let Ok(Called { name: Some(name) }) = serde_json::from_str(item.get()) {
                    self.told.text.push_str(&name);
                }
            }
            (written, _, _, Some(delta)) if WRITTEN.contains(&written) => {
                if let Ok(delta) = serde_json::from_str::<Cow<'_, str>>(delta.get()) {
                    self.told.text.push_str(&delta);
                }
            }
            _ => {}
        }
    }

    /// The events, behind those that came.
    pub(crate) fn events(&self) -> Events {
        self.last.map_or_else(Events::default, Events::behind)
    }

    /// Writes an event with our response in the place of theirs; gives it.
    fn rewrite(&mut self, kind: &str, data: &[u8], out: &mut Vec<u8>) -> ResponseObject {
        let mut event: Map<String, Value> = serde_json::from_slice(data).unwrap_or_default();
        let theirs = match event.get_mut("response").map(Value::take) {
            Some(Value::Object(theirs)) => theirs,
            _ => Map::new(),
        };
        self.told.usage = theirs.get("usage").and_then(Usage::read);
        let mut response = mix(&self.ours, theirs);
        if let Some(status @ ("completed" | "incomplete" | "failed")) = kind.strip_prefix("response.") {
            response.set("status", json!(status));
        }
        event.insert("response".to_owned(), json!(response));
        write_value(out, kind, &event);
        response
    }

    fn failed(&self, data: &[u8]) -> ResponseObject {
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        // Some providers put what they say into an envelope.
        let error = event.get("error").filter(|error| error.is_object()).unwrap_or(&event);
        let Fault { code, message, .. } = Fault::reported(error);
        let mut response = self.partial();
        response.fail(&code, &message);
        response
    }

    fn partial(&self) -> ResponseObject {
        let mut response = self.ours.clone();
        response.set("output", self.output());
        response
    }

    fn output(&self) -> Value {
        let mut done = self.done.clone();
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{events, response};
    use super::*;

    fn theirs(status: &str) -> Value {
        json!({
            "id": "theirs", "object": "response", "created_at": 1, "status": status, "model": "gpt-4o@provider",
            "output": [{ "type": "new_item", "id": "x" }], "store": false, "metadata": { "theirs": 1 },
            "previous_response_id": null, "temperature": 0.5, "novel": { "b": 1, "a": 2 },
        })
    }

    fn ours() -> ResponseObject {
        let mut ours = response();
        ours.set("previous_response_id", json!("resp_before"));
        ours.set("metadata", json!({ "run": "nightly" }));
        ours
    }

    #[test]
    fn a_response_keeps_what_the_provider_says_and_gets_what_is_ours() {
        let adopted = json!(adopt(&ours(), theirs("completed").as_object().unwrap().clone()));
        for (member, value) in [
            ("id", json!("resp_1")),
            ("model", json!("code.fast")),
            ("created_at", json!(1_750_000_123)),
            ("store", json!(true)),
            ("metadata", json!({ "run": "nightly" })),
            ("previous_response_id", json!("resp_before")),
            ("temperature", json!(0.5)),
            ("truncation", json!("disabled")),
            ("output", json!([{ "type": "new_item", "id": "x" }])),
        ] {
            assert_eq!(adopted[member], value, "{member}");
        }
        assert_eq!(adopted["novel"].to_string(), r#"{"b":1,"a":2}"#, "in its order");
        let silent = adopt(&ours(), Map::new());
        assert_eq!((json!(silent)["status"].clone(), silent.is_open()), (json!("completed"), false));
    }

    #[test]
    fn events_pass_as_they_came_and_lifecycle_events_hold_our_response() {
        let mut adoption = Adoption::new(ours());
        let mut out = Vec::new();
        let delta =
            r#"{"type":"response.output_text.delta",  "sequence_number":7,"delta":"a\nb","obfuscation":"x"}"#;
        let created =
            json!({ "type": "response.created", "sequence_number": 6, "response": theirs("in_progress") });
        assert_eq!(adoption.event(created.to_string().as_bytes(), &mut out), Told::default());
        let told = Told { text: "a\nb".to_owned(), ..Told::default() };
        assert_eq!(adoption.event(delta.as_bytes(), &mut out), told);
        let mut whole = theirs("completed");
        whole["usage"] =
            json!({ "input_tokens": 9, "input_tokens_details": { "cached_tokens": 8 }, "output_tokens": 2 });
        let completed = json!({ "type": "response.completed", "sequence_number": 8, "response": whole });
        let usage = Some(Usage { input: 9, output: 2, cached: Some(8) });
        let told = Told { usage, is_last: true, ..Told::default() };
        assert_eq!(adoption.event(completed.to_string().as_bytes(), &mut out), told);
        let response = adoption.end(&mut out);
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(text.contains(&format!("event: response.output_text.delta\ndata: {delta}\n\n")), "{text}");
        let events = events(&out);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["response"]["id"], "resp_1");
        assert_eq!(events[2]["response"], json!(response));
        assert_eq!((&events[2]["sequence_number"], response.is_complete()), (&json!(8), true));
    }

    #[test]
    fn all_that_a_model_wrote_is_told() {
        let mut adoption = Adoption::new(ours());
        let mut told = String::new();
        for event in [
            json!({ "type": "response.output_item.added", "item": { "type": "message", "content": [] } }),
            json!({ "type": "response.output_text.delta", "delta": "a" }),
            json!({ "type": "response.refusal.delta", "delta": "b" }),
            json!({ "type": "response.output_item.added", "item": { "type": "function_call", "name": "f" } }),
            json!({ "type": "response.function_call_arguments.delta", "delta": "{}" }),
            json!({ "type": "response.reasoning_text.delta", "delta": "hm" }),
        ] {
            told += &adoption.event(event.to_string().as_bytes(), &mut Vec::new()).text;
        }
        assert_eq!(told, "abf{}");
    }

    #[test]
    fn an_event_that_cannot_be_read_ends_the_response_as_failed() {
        let reported = r#"{"error":{"message":"The model broke down.","code":null}}"#;
        let invalid =
            "The provider of this model gave an answer that is not valid: an event is none of a response.";
        for (data, message) in [
            ("data", invalid),
            ("[]", invalid),
            (r#"{"delta":"x"}"#, invalid),
            (reported, "The model broke down."),
        ] {
            let mut adoption = Adoption::new(ours());
            let mut out = Vec::new();
            assert!(adoption.event(data.as_bytes(), &mut out).is_last, "{data}");
            assert_eq!(adoption.malformed().is_some(), message == invalid, "{data}");
            let response = adoption.end(&mut out);
            let last = events(&out).pop().unwrap();
            assert_eq!((&last["type"], response.is_complete()), (&json!("response.failed"), false), "{data}");
            let error = json!({ "code": "provider_error", "message": message });
            assert_eq!(last["response"]["error"], error, "{data}");
        }
    }

    #[test]
    fn a_stream_that_is_given_up_keeps_what_was_complete() {
        let item = |at: u64| json!({ "type": "message", "id": at });
        let done = |at: u64, sequence: u64| {
            json!({
                "type": "response.output_item.done", "sequence_number": sequence, "output_index": at,
                "item": item(at),
            })
            .to_string()
        };
        for (given_up, status) in [(true, "cancelled"), (false, "failed")] {
            let mut adoption = Adoption::new(ours());
            let mut out = Vec::new();
            adoption.event(done(1, 4).as_bytes(), &mut out);
            adoption.event(done(0, 5).as_bytes(), &mut out);
            let response = if given_up {
                adoption.cancel("cancelled", "The response was cancelled.", &mut out)
            } else {
                adoption.break_off("provider_error", "the provider went away", &mut out)
            };
            assert_eq!(json!(response)["status"], status);
            assert_eq!(json!(response)["output"], json!([item(0), item(1)]));
            let last = events(&out).pop().unwrap();
            assert_eq!(last["sequence_number"], 6);
        }
    }

    #[test]
    fn an_error_event_of_the_provider_ends_the_response_as_failed() {
        for (error, code) in [
            (r#""code":"rate_limit_exceeded","message":"Slow down.","param":null"#, "rate_limit_exceeded"),
            (r#""error":{"code":"rate_limit_exceeded","message":"Slow down."}"#, "rate_limit_exceeded"),
            (r#""error":{"code":529,"message":"Slow down."}"#, "529"),
        ] {
            let mut adoption = Adoption::new(ours());
            let mut out = Vec::new();
            assert!(adoption.event(format!(r#"{{"type":"error",{error}}}"#).as_bytes(), &mut out).is_last);
            let response = adoption.end(&mut out);
            assert_eq!(json!(response)["error"], json!({ "code": code, "message": "Slow down." }), "{error}");
            assert!(events(&out)[0].to_string().contains("Slow down."), "{error}");
        }
    }

    #[test]
    fn a_type_cannot_forge_events() {
        let mut out = Vec::new();
        Adoption::new(ours()).event(br#"{"type":"a\n\ndata: {\"type\":\"forged\"}\n\n"}"#, &mut out);
        assert_eq!(events(&out).len(), 1);
    }
}
