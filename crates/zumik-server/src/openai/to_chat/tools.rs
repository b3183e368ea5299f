//! Tools and the choice among them.

use serde_json::{Value, json};

use super::Untranslatable;

/// `tools`, each with its members in an object of their own.
pub(super) fn tools(tools: &Value) -> Result<Value, Untranslatable> {
    let tools = tools.as_array().ok_or_else(|| Untranslatable::new("tools", "must be an array"))?;
    let translated = tools.iter().enumerate().map(|(at, tool)| match function(tool) {
        Some(function) => Ok(function),
        None => Err(Untranslatable::new(format!("tools[{at}].type"), "must be 'function'")),
    });
    translated.collect()
}

/// `tool_choice`
pub(super) fn choice(choice: &Value) -> Result<Value, Untranslatable> {
    const PROBLEM: &str = "must be 'none', 'auto', 'required', a function or allowed functions";
    let refused = |param: &str| Untranslatable::new(param, PROBLEM);
    if choice.is_string() {
        return Ok(choice.clone());
    }
    match choice.get("type").and_then(Value::as_str) {
        Some("function") => {
            let name = choice.get("name").ok_or_else(|| refused("tool_choice.name"))?;
            Ok(json!({ "type": "function", "function": { "name": name } }))
        }
        Some("allowed_tools") => {
            let tools = choice.get("tools").and_then(Value::as_array);
            let tools: Option<Vec<_>> =
                tools.map(|tools| tools.iter().map(function).collect()).unwrap_or_default();
            let tools = tools.ok_or_else(|| refused("tool_choice.tools"))?;
            let mode = choice.get("mode").cloned().unwrap_or_else(|| json!("auto"));
            Ok(json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } }))
        }
        _ => Err(refused("tool_choice.type")),
    }
}

/// A function: flat in a response, nested in a chat completion.
fn function(tool: &Value) -> Option<Value> {
    let mut members = tool.as_object()?.clone();
    if members.shift_remove("type")? != "function" {
        return None;
    }
    Some(json!({ "type": "function", "function": members }))
}
