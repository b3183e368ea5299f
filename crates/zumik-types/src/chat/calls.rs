//! Tool calls that come in fragments.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use super::join::join;
use crate::redact::Redacted;
use crate::{
    ChatCalledCustom, ChatCalledFunction, ChatCustomCall, ChatFunctionCall, ChatToolCall, ChatToolCallDelta,
    ChatToolCallType, Extra, JsonObject, RawMember,
};

/// The tool calls of one choice so far, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// Where the latest call of each index stands, the last call of all aside: an answer with one call needs no map.
    earlier: HashMap<u64, usize>,
}

#[derive(Clone)]
struct Call {
    index: u64,
    id: String,
    kind: Option<ChatToolCallType>,
    function: Option<Parts>,
    custom: Option<Parts>,
    extra: Extra,
}

/// What is called and with what: name and arguments of a function, or name and input of a custom tool.
#[derive(Clone, Default)]
struct Parts {
    name: Option<String>,
    input: Option<String>,
    extra: Extra,
}

impl Calls {
    /// Adds a fragment to the call at its index. One with another id begins a new call: some providers send every call
    /// whole and number none.
    pub(super) fn push(&mut self, delta: &ChatToolCallDelta) {
        let id = delta.id.as_deref().unwrap_or_default();
        match self.latest(delta.index) {
            Some(call) if id.is_empty() || id == call.id => call.push(delta),
            _ => {
                let mut call = Call::new(delta.index, id.to_owned());
                call.push(delta);
                self.begin(call);
            }
        }
    }

    /// The call of an index that began last. Found without a search: how many calls there are is up to a server.
    fn latest(&mut self, index: u64) -> Option<&mut Call> {
        let last = self.calls.len().checked_sub(1)?;
        let at = if self.calls[last].index == index { last } else { *self.earlier.get(&index)? };
        self.calls.get_mut(at)
    }

    fn begin(&mut self, call: Call) {
        if let Some(last) = self.calls.last() {
            self.earlier.insert(last.index, self.calls.len() - 1);
        }
        self.calls.push(call);
    }

    /// The calls as a completion has them; `None` when there are none.
    pub(super) fn finish(self) -> Option<Vec<ChatToolCall>> {
        (!self.calls.is_empty()).then(|| self.calls.into_iter().map(Call::finish).collect())
    }
}

impl fmt::Debug for Call {
    /// The input, which a model wrote, by its size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.function.as_ref().or(self.custom.as_ref());
        f.debug_struct("Call")
            .field("index", &self.index)
            .field("id", &self.id)
            .field("name", &parts.and_then(|parts| parts.name.as_ref()))
            .field("input", &parts.and_then(|parts| parts.input.as_ref()).map(Redacted))
            .finish_non_exhaustive()
    }
}

impl Call {
    fn new(index: u64, id: String) -> Self {
        Self { index, id, kind: None, function: None, custom: None, extra: Extra::new() }
    }

    fn push(&mut self, delta: &ChatToolCallDelta) {
        // An empty type says nothing about the call that an earlier fragment began.
        if let Some(kind) = delta.kind.as_ref().filter(|kind| !kind.as_str().is_empty()) {
            self.kind = Some(kind.clone());
        }
        if let Some(function) = &delta.function {
            let parts = self.function.get_or_insert_default();
            parts.push(function.name.as_deref(), function.arguments.as_deref(), &function.extra);
        }
        if let Some(custom) = &delta.custom {
            let parts = self.custom.get_or_insert_default();
            parts.push(custom.name.as_deref(), custom.input.as_deref(), &custom.extra);
        }
        join(&mut self.extra, &delta.extra);
    }

    fn finish(self) -> ChatToolCall {
        let Self { id, kind, function, custom, extra, .. } = self;
        match kind {
            Some(ChatToolCallType::Unrecognized(kind)) => unrecognized(id, kind, function, custom, extra),
            Some(ChatToolCallType::Custom) => custom_call(id, custom.or(function), extra),
            None if custom.is_some() => custom_call(id, custom, extra),
            Some(ChatToolCallType::Function) | None => function_call(id, function.or(custom), extra),
        }
    }
}

impl Parts {
    fn push(&mut self, name: Option<&str>, input: Option<&str>, extra: &Extra) {
        // Some providers repeat the whole name with every fragment.
        if let Some(name) = name.filter(|name| self.name.as_deref() != Some(name)) {
            self.name.get_or_insert_default().push_str(name);
        }
        if let Some(input) = input {
            self.input.get_or_insert_default().push_str(input);
        }
        join(&mut self.extra, extra);
    }

    /// The object that the fragments make.
    fn into_json(self, input_name: &str) -> Value {
        let Self { name, input, extra } = self;
        let known = [("name", name), (input_name, input)];
        let known = known.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
        Value::Object(known.chain(JsonObject::from(extra)).collect())
    }
}

fn function_call(id: String, parts: Option<Parts>, extra: Extra) -> ChatToolCall {
    let Parts { name, input, extra: inner } = parts.unwrap_or_default();
    let (name, arguments) = (name.unwrap_or_default(), input.unwrap_or_default());
    let function = ChatCalledFunction { name, arguments, extra: inner };
    ChatToolCall::Function(ChatFunctionCall { id, function, extra })
}

fn custom_call(id: String, parts: Option<Parts>, extra: Extra) -> ChatToolCall {
    let Parts { name, input, extra: inner } = parts.unwrap_or_default();
    let (name, input) = (name.unwrap_or_default(), input.unwrap_or_default());
    let custom = ChatCalledCustom { name, input, extra: inner };
    ChatToolCall::Custom(ChatCustomCall { id, custom, extra })
}

/// A call of a kind that this version does not know, with everything that the fragments had.
fn unrecognized(
    id: String,
    kind: String,
    function: Option<Parts>,
    custom: Option<Parts>,
    extra: Extra,
) -> ChatToolCall {
    let mut members = JsonObject::new();
    if !id.is_empty() {
        members.insert("id".to_owned(), id.into());
    }
    if let Some(function) = function {
        members.insert("function".to_owned(), function.into_json("arguments"));
    }
    if let Some(custom) = custom {
        members.insert("custom".to_owned(), custom.into_json("input"));
    }
    members.extend(JsonObject::from(extra));
    ChatToolCall::Unrecognized(RawMember::new("type", kind, members))
}
