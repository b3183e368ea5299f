//! Tools, what is done with them, and the form of an answer.

use serde::de::DeserializeOwned;

use crate::{
    JsonObject, RawMember, V1FunctionCall, V1FunctionTool, V1JsonObjectFormat, V1JsonSchemaFormat,
    V1TextConfig, V1Tool, V1ToolChoice, V1ToolChoiceFunction, V1ToolChoiceMode,
};

impl V1Tool {
    /// A function that the model may call. Description and parameters are setters of what this gives.
    pub fn function(name: impl Into<String>) -> V1FunctionTool {
        V1FunctionTool::new(name)
    }

    /// A tool of the provider, such as `web_search`, with its settings. It is forwarded as it is.
    pub fn builtin(tool_type: impl Into<String>, settings: JsonObject) -> Self {
        Self::Unrecognized(RawMember::new("type", tool_type, settings))
    }
}

impl V1ToolChoice {
    /// The model calls no tool.
    pub fn none() -> Self {
        V1ToolChoiceMode::None.into()
    }

    /// The model decides. The default where there are tools.
    pub fn auto() -> Self {
        V1ToolChoiceMode::Auto.into()
    }

    /// The model calls at least one tool.
    pub fn required() -> Self {
        V1ToolChoiceMode::Required.into()
    }

    /// The model calls this function.
    pub fn function(name: impl Into<String>) -> Self {
        V1ToolChoiceFunction::new(name).into()
    }
}

impl V1TextConfig {
    /// Any JSON object. The input must ask for JSON too.
    pub fn json_object() -> Self {
        Self::new().format(V1JsonObjectFormat::new())
    }

    /// JSON that obeys a schema, strictly. Without strictness, use [`V1JsonSchemaFormat`].
    pub fn json_schema(name: impl Into<String>, schema: JsonObject) -> Self {
        Self::new().format(V1JsonSchemaFormat::new(name, schema).strict(true))
    }
}

impl V1FunctionCall {
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
    use serde_json::json;

    use super::*;
    use crate::{CreateV1ResponseRequest, json_object};

    #[test]
    fn a_tool_of_the_provider_stands_in_the_request_as_it_is() {
        let tool = V1Tool::builtin("web_search", json_object!({ "search_context_size": "low" }));
        let request = serde_json::to_value(CreateV1ResponseRequest::new("m", "x").tools([tool])).unwrap();
        assert_eq!(request["tools"], json!([{ "type": "web_search", "search_context_size": "low" }]));
    }

    #[test]
    fn tools_choice_and_form_stand_in_the_request_as_openai_has_them() {
        let schema = json_object!({ "type": "object" });
        let request = CreateV1ResponseRequest::new("m", "x")
            .tools([V1Tool::function("f").parameters(schema.clone())])
            .tool_choice(V1ToolChoice::function("f"))
            .text(V1TextConfig::json_schema("s", schema.clone()));
        let request = serde_json::to_value(request).unwrap();
        assert_eq!(request["tools"], json!([{ "type": "function", "name": "f", "parameters": schema }]));
        assert_eq!(request["tool_choice"], json!({ "type": "function", "name": "f" }));
        let format = json!({ "type": "json_schema", "name": "s", "schema": schema, "strict": true });
        assert_eq!(request["text"], json!({ "format": format }));
    }

    #[test]
    fn a_choice_may_be_a_word() {
        let choices = [V1ToolChoice::none(), V1ToolChoice::auto(), V1ToolChoice::required()];
        assert_eq!(serde_json::to_value(choices).unwrap(), json!(["none", "auto", "required"]));
        let any = serde_json::to_value(V1TextConfig::json_object()).unwrap();
        assert_eq!(any, json!({ "format": { "type": "json_object" } }));
    }
}
