//! What an answer is read as when a member is missing that the documentation does not promise, or that real services
//! leave out.
//!
//! The contract marks the former as inferred: this project's server always sends them, another service may not. A
//! missing one must not cost the caller the rest of the answer, so it reads as an empty value of its type.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::JsonObject;

/// The empty value of a type. It is crate-private: an empty id is nothing that a program should be able to make.
pub(crate) trait Absent {
    /// The value that a missing member is read as.
    fn absent() -> Self;

    /// Reads `null` as a member that is missing: some services write one for the other.
    fn or_absent<'de, D>(deserializer: D) -> Result<Self, D::Error>
    where
        Self: Sized + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Option::deserialize(deserializer)?.unwrap_or_else(Self::absent))
    }
}

/// Reads a member that may be missing.
pub(crate) fn or_absent<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Absent + Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::or_absent(deserializer)
}

macro_rules! absent_is_default {
    ($($type:ty),+) => {
        $(impl Absent for $type {
            fn absent() -> Self {
                Self::default()
            }
        })+
    };
}

absent_is_default!(String, bool, u64, i64, f64, Value, JsonObject);

/// The Unix epoch.
impl Absent for DateTime<Utc> {
    fn absent() -> Self {
        Self::UNIX_EPOCH
    }
}

impl<T> Absent for Vec<T> {
    fn absent() -> Self {
        Self::new()
    }
}

impl<T> Absent for Option<T> {
    fn absent() -> Self {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Diagnostic, Event, EventType, ObjectType, UpdateSessionRequest};

    #[test]
    fn an_answer_is_read_without_its_inferred_members() {
        let event: Event = serde_json::from_value(json!({"id": "evt_1", "sequence": 3})).unwrap();
        assert_eq!((event.object, event.sequence), (ObjectType::Event, 3));
        assert_eq!(event.event_type, EventType::Unrecognized(String::new()));
        assert_eq!(event.session_id.as_str(), "");
        assert_eq!(event.created_at.timestamp(), 0);
    }

    #[test]
    fn a_null_reads_as_a_missing_member() {
        let event: Event =
            serde_json::from_value(json!({"id": "evt_1", "sequence": 3, "event_type": null})).unwrap();
        assert_eq!(event.event_type, EventType::Unrecognized(String::new()));
    }

    #[test]
    fn a_missing_object_reads_as_one_with_empty_members() {
        let report = json!({"digest": "sha256:00", "workload_reuse_score": 85});
        let diagnostic = json!({"id": "dgn_1", "project_id": "prj_1", "created_at": "2026-06-15T16:14:02Z", "report": report});
        let diagnostic: Diagnostic = serde_json::from_value(diagnostic).unwrap();
        assert_eq!(diagnostic.report.signature.value, "");
        assert_eq!(diagnostic.report.waterfall.input_tokens, 0);
    }

    #[test]
    fn a_documented_member_is_required() {
        let error = serde_json::from_value::<Event>(json!({"sequence": 3})).unwrap_err();
        assert_eq!(error.to_string(), "missing field `id`");
    }

    #[test]
    fn a_request_is_read_strictly() {
        let error = serde_json::from_value::<UpdateSessionRequest>(json!({})).unwrap_err();
        assert_eq!(error.to_string(), "missing field `status`");
    }
}
