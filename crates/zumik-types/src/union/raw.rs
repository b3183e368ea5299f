//! A member of a tagged union that this version does not know.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::JsonObject;

/// An object whose tag this version does not know: kept as it was read, written back as it was read.
///
/// `Debug` prints the tag and the number of members, because the members may hold a prompt or an answer.
#[derive(Clone, PartialEq)]
pub struct RawMember {
    tag: String,
    json: JsonObject,
}

impl RawMember {
    /// An object of a type that this version has no name for. `tag_name` is the member that carries the tag, for
    /// example `type`; it is put before the others.
    pub fn new(tag_name: &str, tag: impl Into<String>, mut members: JsonObject) -> Self {
        let tag = tag.into();
        members.shift_insert(0, tag_name.to_owned(), Value::String(tag.clone()));
        Self { tag, json: members }
    }

    /// The tag, for example `reasoning`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The whole object, with its tag.
    pub fn json(&self) -> &JsonObject {
        &self.json
    }

    /// The whole object, with its tag.
    pub fn into_json(self) -> JsonObject {
        self.json
    }
}

impl fmt::Debug for RawMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, <{} members>", self.tag, self.json.len())
    }
}

impl Serialize for RawMember {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}
