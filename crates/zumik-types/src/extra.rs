//! Members that this version does not know.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::JsonObject;

/// The members of an object that this version has no field for. They are kept when read and written back.
///
/// It can be used as the [`JsonObject`] that it wraps. `Debug` prints the names only: an unknown member may hold a
/// prompt.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extra(JsonObject);

impl Extra {
    /// No further members.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for Extra {
    type Target = JsonObject;

    fn deref(&self) -> &JsonObject {
        &self.0
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut JsonObject {
        &mut self.0
    }
}

impl From<JsonObject> for Extra {
    fn from(members: JsonObject) -> Self {
        Self(members)
    }
}

impl From<Extra> for JsonObject {
    fn from(extra: Extra) -> Self {
        extra.0
    }
}

impl FromIterator<(String, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonObject::deserialize(deserializer).map(Self)
    }
}
