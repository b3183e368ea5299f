//! Tool calls that come in fragments.

use std::fmt;

use serde_json::Value;

use super::join::join;
use crate::redact::Redacted;
use crate::{
    ChatCalledCustom, ChatCalledFunction, ChatCustomCall, ChatFunctionCall, ChatToolCall, ChatToolCallDelta,
    ChatToolCallType, Extra, RawMember,
};

/// The tool calls of one choice so far, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Clone)]
struct Call {
    index: u64,
    id: String,
    kind: Option<ChatToolCallType>,
    /// Name and arguments of a function, or name and input of a custom tool.
    name: String,
    input: String,
    custom: bool,
    inner: Extra,
    extra: Extra,
}

impl Calls {
    /// Adds a fragment to the call at its index. One with another id begins a new call: some providers send every call
    /// whole and number none.
    pub(super) fn push(&mut self, delta: &ChatToolCallDelta) {
        let id = delta.id.as_deref().unwrap_or_default();
        match self.0.iter_mut().rev().find(|call| call.index == delta.index) {
            Some(call) if id.is_empty() || id == call.id => call.push(delta),
            _ => {
                let mut call = Call::new(delta.index, id.to_owned());
                call.push(delta);
                self.0.push(call);
            }
        }
    }

    /// The calls as a completion has them; `None` when there are none.
    pub(super) fn finish(self) -> Option<Vec<ChatToolCall>> {
        (!self.0.is_empty()).then(|| self.0.into_iter().map(Call::finish).collect())
    }
}

impl fmt::Debug for Call {
    /// The input, which a model wrote, by its size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("index", &self.index)
            .field("id", &self.id)
            .field("name", &self.name)
            .field("input", &Redacted(&self.input))
            .finish_non_exhaustive()
    }
}

impl Call {
    fn new(index: u64, id: String) -> Self {
        let (name, input) = (String::new(), String::new());
        Self { index, id, kind: None, name, input, custom: false, inner: Extra::new(), extra: Extra::new() }
    }

    fn push(&mut self, delta: &ChatToolCallDelta) {
        if delta.kind.is_some() {
            self.kind.clone_from(&delta.kind);
        }
        if let Some(function) = &delta.function {
            self.push_parts(function.name.as_deref(), function.arguments.as_deref(), &function.extra);
        }
        if let Some(custom) = &delta.custom {
            self.custom = true;
            self.push_parts(custom.name.as_deref(), custom.input.as_deref(), &custom.extra);
        }
        join(&mut self.extra, &delta.extra);
    }

    fn push_parts(&mut self, name: Option<&str>, input: Option<&str>, inner: &Extra) {
        // Some providers repeat the whole name with every fragment.
        if let Some(name) = name.filter(|name| *name != self.name) {
            self.name.push_str(name);
        }
        self.input.push_str(input.unwrap_or_default());
        join(&mut self.inner, inner);
    }

    fn finish(self) -> ChatToolCall {
        let Self { id, kind, name, input, custom, inner, mut extra, .. } = self;
        match kind {
            Some(ChatToolCallType::Unrecognized(kind)) => {
                extra.insert("id".to_owned(), Value::String(id));
                ChatToolCall::Unrecognized(RawMember::new("type", kind, extra.into()))
            }
            Some(ChatToolCallType::Custom) => Self::finish_custom(id, name, input, inner, extra),
            None if custom => Self::finish_custom(id, name, input, inner, extra),
            Some(ChatToolCallType::Function) | None => ChatToolCall::Function(ChatFunctionCall {
                id,
                function: ChatCalledFunction { name, arguments: input, extra: inner },
                extra,
            }),
        }
    }

    fn finish_custom(id: String, name: String, input: String, inner: Extra, extra: Extra) -> ChatToolCall {
        let custom = ChatCalledCustom { name, input, extra: inner };
        ChatToolCall::Custom(ChatCustomCall { id, custom, extra })
    }
}
