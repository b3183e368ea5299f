//! JSON objects written down in code.

/// A [`JsonObject`](crate::JsonObject) as JSON: for schemas, metadata and members that have no field.
///
/// ```
/// use zumik_types::{ChatTool, json_object};
///
/// let tool = ChatTool::function("run_tests").description("Runs the tests below a path.").parameters(json_object!({
///     "type": "object",
///     "properties": { "path": { "type": "string" } },
///     "required": ["path"],
/// }));
/// ```
#[macro_export]
macro_rules! json_object {
    ({ $($members:tt)* }) => {
        match $crate::__json!({ $($members)* }) {
            $crate::__Value::Object(object) => object,
            _ => $crate::JsonObject::new(),
        }
    };
}
