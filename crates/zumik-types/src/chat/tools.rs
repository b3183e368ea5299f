//! Tools, what is done with them, and the form of an answer.

use serde::de::DeserializeOwned;

use crate::{
    ChatCalledFunction, ChatFunction, ChatFunctionTool, ChatJsonObjectFormat, ChatJsonSchema,
    ChatJsonSchemaFormat, ChatResponseFormat, ChatTextFormat, ChatTool, ChatToolChoice,
    ChatToolChoiceFunction, ChatToolChoiceMode, ChatToolName, JsonObject,
};

impl ChatTool {
    /// A function that the model may call. Description and parameters are setters of what this gives.
    ///
    /// ```
    /// use zumik_types::{ChatTool, CreateChatCompletionRequest, json_object};
    ///
    /// let run_tests = ChatTool::function("run_tests")
    ///     .description("Runs the tests below a path.")
    ///     .parameters(json_object!({ "type": "object", "properties": { "path": { "type": "string" } } }));
    /// let request = CreateChatCompletionRequest::new("code.fast", ["Is main green?"]).tools([run_tests]);
    /// ```
    pub fn function(name: impl Into<String>) -> ChatFunction {
        ChatFunction::new(name)
    }
}

impl From<ChatFunction> for ChatTool {
    fn from(function: ChatFunction) -> Self {
        ChatFunctionTool::new(function).into()
    }
}

impl ChatToolChoice {
    /// The model calls no tool.
    pub fn none() -> Self {
        ChatToolChoiceMode::None.into()
    }

    /// The model decides. The default where there are tools.
    pub fn auto() -> Self {
        ChatToolChoiceMode::Auto.into()
    }

    /// The model calls at least one tool.
    pub fn required() -> Self {
        ChatToolChoiceMode::Required.into()
    }

    /// The model calls this function.
    pub fn function(name: impl Into<String>) -> Self {
        ChatToolChoiceFunction::new(ChatToolName::new(name)).into()
    }
}

impl ChatResponseFormat {
    /// Text, the default.
    pub fn text() -> Self {
        ChatTextFormat::new().into()
    }

    /// Any JSON object. A message must ask for JSON too.
    pub fn json_object() -> Self {
        ChatJsonObjectFormat::new().into()
    }

    /// JSON that obeys a schema, strictly. For a description, or without strictness, use [`ChatJsonSchema`].
    ///
    /// ```
    /// use zumik_types::{ChatResponseFormat, json_object};
    ///
    /// let format = ChatResponseFormat::json_schema("verdict", json_object!({
    ///     "type": "object",
    ///     "properties": { "green": { "type": "boolean" } },
    ///     "required": ["green"],
    ///     "additionalProperties": false,
    /// }));
    /// ```
    pub fn json_schema(name: impl Into<String>, schema: JsonObject) -> Self {
        ChatJsonSchema::new(name).schema(schema).strict(true).into()
    }
}

impl From<ChatJsonSchema> for ChatResponseFormat {
    fn from(schema: ChatJsonSchema) -> Self {
        ChatJsonSchemaFormat::new(schema).into()
    }
}

impl ChatCalledFunction {
    /// The arguments as a type of yours.
    ///
    /// # Errors
    ///
    /// When they are no JSON, or not of this type: a model wrote them.
    pub fn parse_arguments<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.arguments)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::json_object;

    fn wire(value: impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn a_function_is_a_tool() {
        let schema = json_object!({ "type": "object" });
        let tool: ChatTool = ChatTool::function("f").description("d").parameters(schema).strict(true).into();
        let function =
            json!({ "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true });
        assert_eq!(wire(tool), json!({ "type": "function", "function": function }));
    }

    #[test]
    fn a_choice_is_a_word_or_a_function() {
        assert_eq!(wire(ChatToolChoice::none()), json!("none"));
        assert_eq!(wire(ChatToolChoice::auto()), json!("auto"));
        assert_eq!(wire(ChatToolChoice::required()), json!("required"));
        assert_eq!(
            wire(ChatToolChoice::function("f")),
            json!({ "type": "function", "function": { "name": "f" } })
        );
    }

    #[test]
    fn a_schema_is_strict_unless_it_says_otherwise() {
        assert_eq!(wire(ChatResponseFormat::text()), json!({ "type": "text" }));
        assert_eq!(wire(ChatResponseFormat::json_object()), json!({ "type": "json_object" }));
        let schema = json_object!({ "type": "object" });
        assert_eq!(
            wire(ChatResponseFormat::json_schema("s", schema.clone())),
            json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": schema, "strict": true } })
        );
        let loose: ChatResponseFormat = ChatJsonSchema::new("s").schema(schema.clone()).into();
        assert_eq!(
            wire(loose),
            json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": schema } })
        );
    }

    #[test]
    fn arguments_are_read_as_a_type() {
        let call = ChatCalledFunction::new("f", r#"{"path":"tests/"}"#);
        assert_eq!(call.parse_arguments::<Value>().unwrap()["path"], "tests/");
        assert!(ChatCalledFunction::new("f", "{").parse_arguments::<Value>().is_err());
    }
}
