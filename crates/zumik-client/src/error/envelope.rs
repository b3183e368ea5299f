//! The error envelope of the API, read leniently.

use serde_json::{Map, Value};
use zumik_types::{ErrorType, EventId};

use super::{ApiError, BranchPosition};

/// The error envelope, as far as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) api: ApiError,
    pub(crate) message: Option<String>,
    pub(crate) branch: Option<BranchPosition>,
}

impl Envelope {
    /// Reads whatever is there: members may be missing, `null`, of another type, or the whole body no JSON.
    ///
    /// An event of the type `error` in a stream has its members outside; they are read too.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        match body.remove("error") {
            Some(Value::Object(members)) => Self::members(members),
            Some(Value::String(message)) => Self { message: Some(message), ..Self::default() },
            _ if body.get("type").is_some_and(|kind| kind == "error") => {
                body.remove("type");
                Self::members(body)
            }
            _ => Self::default(),
        }
    }

    fn members(mut members: Map<String, Value>) -> Self {
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let error_type = text("type");
        // Some answers repeat the type where there is no code.
        let code = text("code").filter(|code| Some(code) != error_type.as_ref());
        let (param, message) = (text("param"), text("message"));
        Self {
            api: ApiError { error_type: error_type.as_deref().map(ErrorType::from), code, param },
            message,
            branch: members
                .get("branch")
                .and_then(|branch| BranchPosition::read(branch, "version", "head_event_id")),
        }
    }
}

impl BranchPosition {
    /// Reads a position out of an object that names its parts as given.
    pub(crate) fn read(object: &Value, version: &str, head: &str) -> Option<Self> {
        let head = object.get(head).and_then(|head| serde_json::from_value::<EventId>(head.clone()).ok());
        Some(Self::new(object.get(version)?.as_u64()?, head))
    }
}
