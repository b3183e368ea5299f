//! A request member for which "not sent" and `null` mean different things.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member that may be left out, sent as `null`, or sent with a value.
///
/// ```
/// use zumik_types::{AppendEventRequest, Event, ArtifactId, Patch};
///
/// let payload: ArtifactId = "art_01jy7n8x30a1b2c3d4e5f6g7hj".parse()?;
/// let append = AppendEventRequest::new(0, Event::user_message(payload));
/// assert_eq!(append.expected_head_event_id, Patch::Absent); // the head is not checked
///
/// let append = append.expected_head_event_id(Patch::Null); // the branch must be empty
/// # Ok::<(), zumik_types::InvalidId>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Patch<T> {
    /// The member is not sent.
    #[default]
    Absent,
    /// The member is sent as `null`.
    Null,
    /// The member is sent with this value.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the member is not sent.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, if there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// `None` when the member is not sent, `Some(None)` when it is `null`.
    pub const fn as_sent(&self) -> Option<Option<&T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl<T> From<T> for Patch<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T: Clone> From<&T> for Patch<T> {
    fn from(value: &T) -> Self {
        Self::Value(value.clone())
    }
}

/// `None` is sent as `null`.
impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

/// `None` is sent as `null`.
impl<T: Clone> From<Option<&T>> for Patch<T> {
    fn from(value: Option<&T>) -> Self {
        value.cloned().into()
    }
}

/// An absent member is skipped by the object that holds it; on its own it is written as `null`.
impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{AppendEventRequest, ArtifactId, Event, EventId, Patch};

    fn append() -> AppendEventRequest {
        let payload: ArtifactId = "art_1".parse().unwrap();
        AppendEventRequest::new(3, Event::note(payload))
    }

    #[test]
    fn absent_null_and_a_value_are_three_bodies() {
        let id: EventId = "evt_1".parse().unwrap();
        let cases = [
            (append(), None),
            (append().expected_head_event_id(Patch::Null), Some(json!(null))),
            (append().expected_head_event_id(None::<EventId>), Some(json!(null))),
            (append().expected_head_event_id(&id), Some(json!("evt_1"))),
            (append().expected_head_event_id(Some(&id)), Some(json!("evt_1"))),
        ];
        for (request, expected) in cases {
            let body = serde_json::to_value(&request).unwrap();
            assert_eq!(body.get("expected_head_event_id"), expected.as_ref());
            assert_eq!(serde_json::from_value::<AppendEventRequest>(body).unwrap(), request);
        }
    }

    #[test]
    fn what_was_sent_can_be_told_apart() {
        assert_eq!(Patch::<u8>::Absent.as_sent(), None);
        assert_eq!(Patch::<u8>::Null.as_sent(), Some(None));
        assert_eq!(Patch::Value(7).as_sent(), Some(Some(&7)));
    }
}
