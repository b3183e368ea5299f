//! What an answer is read as when a member is missing that the documentation does not promise.
//!
//! The contract marks such members as inferred: this project's server always sends them, another service may not. A
//! missing one must not cost the caller the rest of the answer, so it reads as an empty value of its type.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::JsonObject;

/// The empty value of a type. It is crate-private: an empty id is nothing that a program should be able to make.
pub(crate) trait Absent {
    /// The value that a missing member is read as.
    fn absent() -> Self;
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
