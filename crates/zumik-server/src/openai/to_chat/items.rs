//! Items as messages.

use serde_json::{Map, Value, json};

use super::{Input, Untranslatable};

/// The messages that instructions and items make.
pub(super) fn messages(instructions: Option<&Value>, input: Input<'_>) -> Result<Value, Untranslatable> {
    let mut messages = Messages::default();
    if let Some(text) = instructions.filter(|text| !text.is_null()) {
        if !text.is_string() {
            return Err(Untranslatable::new("instructions", "must be a string"));
        }
        messages.push(json!({ "role": "system", "content": text }));
    }
    for item in input.before {
        messages.item(item, input.before_param).map_err(|error| Untranslatable {
            param: input.before_param.to_owned(),
            problem: format!("leads to an item whose {error}"),
        })?;
    }
    for (at, item) in input.own.iter().enumerate() {
        messages.item(item, &format!("input[{at}]"))?;
    }
    Ok(Value::Array(messages.done))
}

/// Messages as they are made. A chat completion wants all calls of a turn in one message of the assistant.
#[derive(Default)]
struct Messages {
    done: Vec<Value>,
}

impl Messages {
    fn push(&mut self, message: Value) {
        self.done.push(message);
    }

    fn item(&mut self, item: &Value, path: &str) -> Result<(), Untranslatable> {
        let Some(members) = item.as_object() else {
            return Err(Untranslatable::new(path, "must be an object"));
        };
        match members.get("type").and_then(Value::as_str).unwrap_or("message") {
            "message" => {
                let message = message(members, path)?;
                self.push(message);
            }
            "function_call" => self.call(members, path)?,
            "function_call_output" => {
                let call_id = text(members, "call_id", path)?;
                let output = format!("{path}.output");
                let content = match members.get("output") {
                    Some(Value::String(text)) => json!(text),
                    Some(Value::Array(parts)) => json!(texts(parts, &output)?),
                    _ => {
                        return Err(Untranslatable::new(
                            output,
                            "must be a string or an array of text parts",
                        ));
                    }
                };
                self.push(json!({ "role": "tool", "tool_call_id": call_id, "content": content }));
            }
            // What a model thought is not sent back to it: chat completions have no place for it.
            "reasoning" => {}
            _ => {
                let problem = "must be 'message', 'function_call', 'function_call_output' or 'reasoning'";
                return Err(Untranslatable::new(format!("{path}.type"), problem));
            }
        }
        Ok(())
    }

    /// A call joins the message of the assistant that it follows.
    fn call(&mut self, members: &Map<String, Value>, path: &str) -> Result<(), Untranslatable> {
        let call = json!({
            "id": text(members, "call_id", path)?,
            "type": "function",
            "function": { "name": text(members, "name", path)?, "arguments": text(members, "arguments", path)? },
        });
        match self.done.last_mut() {
            Some(last) if last["role"] == "assistant" => {
                match last.get_mut("tool_calls").and_then(Value::as_array_mut) {
                    Some(calls) => calls.push(call),
                    None => last["tool_calls"] = json!([call]),
                }
            }
            _ => self.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] })),
        }
        Ok(())
    }
}

fn message(members: &Map<String, Value>, path: &str) -> Result<Value, Untranslatable> {
    let content = members.get("content");
    let role = match text(members, "role", path)? {
        "assistant" => return assistant(content, path),
        // Both words mean the same to OpenAI's models; other servers know one of them only.
        "system" | "developer" => "system",
        "user" => "user",
        _ => {
            let problem = "must be 'user', 'assistant', 'system' or 'developer'";
            return Err(Untranslatable::new(format!("{path}.role"), problem));
        }
    };
    let content = match content {
        Some(Value::String(text)) => json!(text),
        Some(Value::Array(parts)) if parts.iter().all(|part| part["type"] == "input_text") => {
            json!(texts(parts, &format!("{path}.content"))?)
        }
        Some(Value::Array(parts)) => {
            let parts = parts.iter().enumerate();
            parts
                .map(|(at, part)| self::part(part, &format!("{path}.content[{at}]")))
                .collect::<Result<_, _>>()?
        }
        _ => {
            return Err(Untranslatable::new(
                format!("{path}.content"),
                "must be a string or an array of parts",
            ));
        }
    };
    Ok(json!({ "role": role, "content": content }))
}

/// A message of the assistant: its texts, and what it refused.
fn assistant(content: Option<&Value>, path: &str) -> Result<Value, Untranslatable> {
    let parts = match content {
        Some(Value::String(text)) => return Ok(json!({ "role": "assistant", "content": text })),
        Some(Value::Array(parts)) => parts,
        _ => {
            return Err(Untranslatable::new(
                format!("{path}.content"),
                "must be a string or an array of parts",
            ));
        }
    };
    let mut message = json!({ "role": "assistant", "content": null });
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}.content[{at}]");
        let (member, text) = match part["type"].as_str() {
            Some("output_text" | "input_text" | "text") => ("content", &part["text"]),
            Some("refusal") => ("refusal", &part["refusal"]),
            _ => {
                return Err(Untranslatable::new(
                    format!("{path}.type"),
                    "must be 'output_text' or 'refusal'",
                ));
            }
        };
        let text = text.as_str().ok_or_else(|| Untranslatable::new(&path, "must have a text"))?;
        let before = message[member].as_str().unwrap_or_default();
        message[member] = json!(format!("{before}{text}"));
    }
    Ok(message)
}

/// Text parts, one after the other.
fn texts(parts: &[Value], path: &str) -> Result<String, Untranslatable> {
    let mut all = String::new();
    for (at, part) in parts.iter().enumerate() {
        match (part["type"].as_str(), part["text"].as_str()) {
            (Some("input_text" | "output_text" | "text"), Some(text)) => all.push_str(text),
            _ => return Err(Untranslatable::new(format!("{path}[{at}]"), "must be a text part")),
        }
    }
    Ok(all)
}

fn part(part: &Value, path: &str) -> Result<Value, Untranslatable> {
    let refused = |member: &str, problem: &str| Err(Untranslatable::new(format!("{path}{member}"), problem));
    match part["type"].as_str() {
        Some("input_text" | "text") => match part["text"].as_str() {
            Some(text) => Ok(json!({ "type": "text", "text": text })),
            None => refused(".text", "must be a string"),
        },
        Some("input_image") => match part["image_url"].as_str() {
            Some(url) => {
                let mut image = json!({ "url": url });
                if let Some(detail) = part.get("detail").filter(|detail| !detail.is_null()) {
                    image["detail"] = detail.clone();
                }
                Ok(json!({ "type": "image_url", "image_url": image }))
            }
            None => refused(".image_url", "must be a URL"),
        },
        Some("input_audio") => Ok(json!({ "type": "input_audio", "input_audio": part["input_audio"] })),
        Some("input_file") if part.get("file_url").is_some_and(|url| !url.is_null()) => {
            refused(".file_url", "cannot be honored")
        }
        Some("input_file") => {
            let members = ["file_id", "filename", "file_data"];
            let given =
                members.iter().filter_map(|name| Some(((*name).to_owned(), part.get(*name)?.clone())));
            let file: Map<_, _> = given.filter(|(_, value)| !value.is_null()).collect();
            Ok(json!({ "type": "file", "file": file }))
        }
        _ => refused(".type", "must be 'input_text', 'input_image', 'input_audio' or 'input_file'"),
    }
}

fn text<'v>(members: &'v Map<String, Value>, name: &str, path: &str) -> Result<&'v str, Untranslatable> {
    let value = members.get(name).and_then(Value::as_str);
    value.ok_or_else(|| Untranslatable::new(format!("{path}.{name}"), "must be a string"))
}
