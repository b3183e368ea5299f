//! A request for a response as one for a chat completion: the members that have another name or form there. What chat
//! completions cannot express is refused by its name, as is what a chat completion alone has and this translation or its
//! way back would trip over; a member that nobody here knows is passed on as it is.

mod items;
mod tools;

use serde_json::{Map, Value, json};
use thiserror::Error;

/// A member of the request that has no counterpart in a chat completion.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{param}' {problem}")]
pub(crate) struct Untranslatable {
    /// Path of the member.
    pub(crate) param: String,
    /// What is wrong with it, as in `must be …`.
    pub(crate) problem: String,
}

impl Untranslatable {
    fn new(param: impl Into<String>, problem: &str) -> Self {
        let problem = format!("{problem}: the provider of this model speaks chat completions only");
        Self { param: param.into(), problem }
    }
}

/// What `include` may ask for: parts of tools and of hidden reasoning that no chat completion has, so that none of them
/// can be missing.
const INCLUDABLE: [&str; 7] = [
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "message.input_image.image_url",
];

/// Members of a chat completion that a response has not: those that the translation writes itself, and those that ask for
/// an answer that no response can hold.
const OF_CHAT: [&str; 12] = [
    "messages",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "verbosity",
    "n",
    "logprobs",
    "audio",
    "modalities",
    "functions",
    "function_call",
];

/// The items of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// Those that come before its own: of a session and of earlier responses.
    pub(crate) before: &'a [Value],
    /// The member of the request that led to them.
    pub(crate) before_param: &'static str,
    /// Its own.
    pub(crate) own: &'a [Value],
}

/// The body of the chat completion. `body` are the members of the request but `input` and those that the server handles
/// itself (`previous_response_id`, `conversation`, `store`, `background`, `metadata`).
///
/// # Errors
/// The first member, in the order of the request, that cannot be expressed.
pub(crate) fn to_chat(
    body: &Map<String, Value>,
    input: Input<'_>,
) -> Result<Map<String, Value>, Untranslatable> {
    let mut chat = Map::new();
    let has_tools = match body.get("tools") {
        None | Some(Value::Null) => false,
        Some(tools) => tools.as_array().is_none_or(|tools| !tools.is_empty()),
    };
    chat.insert("model".to_owned(), body.get("model").cloned().unwrap_or_default());
    chat.insert("messages".to_owned(), items::messages(body.get("instructions"), input)?);
    for (name, value) in body {
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            "model" | "instructions" => {}
            // It limits the calls of tools that the provider runs by itself, and those are refused below.
            "max_tool_calls" => {}
            "tools" | "parallel_tool_calls" if !has_tools => {}
            "tool_choice" if !has_tools && (value == "auto" || value == "none") => {}
            // Padding of the events against observers, which ours do not have.
            "stream_options" => {}
            "max_output_tokens" => {
                chat.insert("max_tokens".to_owned(), value.clone());
            }
            "tools" => {
                chat.insert("tools".to_owned(), tools::tools(value)?);
            }
            "tool_choice" => {
                chat.insert("tool_choice".to_owned(), tools::choice(value)?);
            }
            "text" => text(value, &mut chat)?,
            "reasoning" => reasoning(value, &mut chat)?,
            "truncation" if value == "disabled" => {}
            "truncation" => return Err(Untranslatable::new(name, "must be 'disabled'")),
            "include" => include(value)?,
            "top_logprobs" if value == 0 => {}
            "prompt" | "top_logprobs" | "context_management" => {
                return Err(Untranslatable::new(name, "cannot be honored"));
            }
            of_chat if OF_CHAT.contains(&of_chat) => {
                return Err(Untranslatable::new(name, "is a member of chat completions, not of responses"));
            }
            _ => {
                chat.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(chat)
}

/// `text`: the format of the answer, and how long-winded it is.
fn text(text: &Value, chat: &mut Map<String, Value>) -> Result<(), Untranslatable> {
    let members = text.as_object().ok_or_else(|| Untranslatable::new("text", "must be an object"))?;
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "format" => {
                if let Some(format) = format(value)? {
                    chat.insert("response_format".to_owned(), format);
                }
            }
            "verbosity" => {
                chat.insert("verbosity".to_owned(), value.clone());
            }
            other => return Err(Untranslatable::new(format!("text.{other}"), "cannot be honored")),
        }
    }
    Ok(())
}

fn format(format: &Value) -> Result<Option<Value>, Untranslatable> {
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({ "type": "json_object" }))),
        Some("json_schema") => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.shift_remove("type");
            Ok(Some(json!({ "type": "json_schema", "json_schema": schema })))
        }
        _ => Err(Untranslatable::new("text.format.type", "must be 'text', 'json_object' or 'json_schema'")),
    }
}

/// `reasoning`: its effort. A summary is asked for when there is one (`auto`), or refused.
fn reasoning(reasoning: &Value, chat: &mut Map<String, Value>) -> Result<(), Untranslatable> {
    let members =
        reasoning.as_object().ok_or_else(|| Untranslatable::new("reasoning", "must be an object"))?;
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "effort" => {
                chat.insert("reasoning_effort".to_owned(), value.clone());
            }
            "summary" | "generate_summary" if value == "auto" => {}
            other => return Err(Untranslatable::new(format!("reasoning.{other}"), "cannot be honored")),
        }
    }
    Ok(())
}

fn include(include: &Value) -> Result<(), Untranslatable> {
    let names = include.as_array().ok_or_else(|| Untranslatable::new("include", "must be an array"))?;
    match names.iter().position(|name| !name.as_str().is_some_and(|name| INCLUDABLE.contains(&name))) {
        None => Ok(()),
        Some(at) => Err(Untranslatable::new(format!("include[{at}]"), "cannot be honored")),
    }
}

#[cfg(test)]
mod tests;
