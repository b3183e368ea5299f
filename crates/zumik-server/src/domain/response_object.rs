//! The response object of `/v1` (contract `v1.md`, "The response object") as this server keeps and answers it.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use zumik_types::{ConversationId, V1ResponseId, V1ResponseStatus};

/// The names and values of headers.
type Headers = Vec<(Cow<'static, str>, String)>;

/// A response in OpenAI's shape, as JSON: what a provider says in members that this server has never heard of is
/// kept and answered like the rest, in its order.
#[derive(Clone, PartialEq)]
pub struct ResponseObject {
    id: V1ResponseId,
    members: Map<String, Value>,
    /// What ran it, and how that went: no member says so.
    execution: Headers,
}

impl ResponseObject {
    /// The object with these members under this id, which comes first.
    pub fn new(id: V1ResponseId, members: Map<String, Value>) -> Self {
        let mut all = Map::from_iter([("id".to_owned(), json!(id))]);
        all.extend(members.into_iter().filter(|(name, _)| name != "id"));
        Self { id, members: all, execution: Headers::new() }
    }

    /// The same response with other members.
    pub fn with_members(&self, members: Map<String, Value>) -> Self {
        Self { execution: self.execution.clone(), ..Self::new(self.id.clone(), members) }
    }

    /// A response as it was [kept](Self::to_record).
    ///
    /// # Errors
    /// It is none.
    pub fn from_record(record: &[u8]) -> serde_json::Result<Self> {
        if !record.starts_with(b"[") {
            return serde_json::from_slice(record);
        }
        let (response, execution): (Self, Headers) = serde_json::from_slice(record)?;
        Ok(Self { execution, ..response })
    }

    /// The response as it is kept: its JSON, in a list with its headers where it has some.
    ///
    /// # Errors
    /// None that its members can lead to.
    pub fn to_record(&self) -> serde_json::Result<Vec<u8>> {
        if self.execution.is_empty() {
            return serde_json::to_vec(self);
        }
        serde_json::to_vec(&(self, &self.execution))
    }

    /// The headers that tell what ran it, or will run it as long as it is queued.
    pub fn execution(&self) -> &[(Cow<'static, str>, String)] {
        &self.execution
    }

    /// Says with these headers what ran it.
    pub fn set_execution(&mut self, headers: Headers) {
        self.execution = headers;
    }

    /// `id`
    pub fn id(&self) -> &V1ResponseId {
        &self.id
    }

    /// `status`; `completed` when a provider gives none.
    pub fn status(&self) -> V1ResponseStatus {
        match self.members.get("status").and_then(Value::as_str) {
            Some(status) => V1ResponseStatus::from(status),
            None => V1ResponseStatus::Completed,
        }
    }

    /// Whether it is still queued or running.
    pub fn is_open(&self) -> bool {
        matches!(self.status(), V1ResponseStatus::Queued | V1ResponseStatus::InProgress)
    }

    /// Whether it came to an output that later requests can build on.
    pub fn is_complete(&self) -> bool {
        matches!(self.status(), V1ResponseStatus::Completed | V1ResponseStatus::Incomplete)
    }

    /// `output`
    pub fn output(&self) -> &[Value] {
        self.members.get("output").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// `previous_response_id`
    pub fn previous(&self) -> Option<V1ResponseId> {
        self.members.get("previous_response_id")?.as_str()?.parse().ok()
    }

    /// The id in `conversation`.
    pub fn conversation(&self) -> Option<ConversationId> {
        self.members.get("conversation")?.get("id")?.as_str()?.parse().ok()
    }

    /// All members, `id` first.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Gives a member another value; a new one comes last.
    pub fn set(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// Ends it at the client's wish.
    pub fn cancel(&mut self) {
        self.set("status", json!(V1ResponseStatus::Cancelled));
        self.set("output", json!([]));
        self.set("usage", Value::Null);
    }

    /// Ends it as failed.
    pub fn fail(&mut self, code: &str, message: &str) {
        self.set("status", json!(V1ResponseStatus::Failed));
        self.set("error", json!({ "code": code, "message": message }));
    }
}

impl Serialize for ResponseObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ResponseObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        let id = members.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| D::Error::custom("a response has no id of this server"))?;
        Ok(Self { id, members, execution: Headers::new() })
    }
}

impl fmt::Debug for ResponseObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseObject")
            .field("id", &self.id)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_as_they_are_and_in_their_order() {
        let text = r#"{"id":"resp_1","zeta":1.0,"status":"in_progress","alpha":{"b":1,"a":2},"output":[{"type":"new"}]}"#;
        let object: ResponseObject = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
        assert!(object.is_open() && object.output().len() == 1);
        assert!(serde_json::from_str::<ResponseObject>(r#"{"object":"response"}"#).is_err());
    }

    #[test]
    fn another_id_takes_the_place_of_the_providers() {
        let members = json!({ "object": "response", "id": "theirs", "output": [] });
        let object = ResponseObject::new("resp_1".parse().unwrap(), members.as_object().unwrap().clone());
        assert_eq!(
            serde_json::to_string(&object).unwrap(),
            r#"{"id":"resp_1","object":"response","output":[]}"#
        );
    }

    #[test]
    fn a_record_keeps_the_headers_and_one_without_them_is_read() {
        let text = r#"{"id":"resp_1","object":"response","output":[1.0]}"#;
        let mut object = ResponseObject::from_record(text.as_bytes()).unwrap();
        assert_eq!(object.to_record().unwrap(), text.as_bytes());
        object.set_execution(vec![("Agent-Execution-Mode".into(), "placeholder".to_owned())]);
        let again = ResponseObject::from_record(&object.to_record().unwrap()).unwrap();
        assert_eq!(again, object);
        assert_eq!(serde_json::to_string(&again).unwrap(), text, "no member says it");
        assert_eq!(object.with_members(Map::new()).execution(), object.execution());
    }

    #[test]
    fn debug_output_never_holds_text() {
        let members = json!({ "instructions": "canary", "output": ["canary"] });
        let object = ResponseObject::new("resp_1".parse().unwrap(), members.as_object().unwrap().clone());
        assert!(!format!("{object:?}").contains("canary"));
    }
}
