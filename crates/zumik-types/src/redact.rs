//! `Debug` of sensitive members: how much there is, never what it says.

use std::fmt;

use serde_json::Value;

use crate::JsonObject;

/// A value whose `Debug` prints its size only.
pub(crate) struct Redacted<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: Redact + ?Sized> fmt::Debug for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.redacted(f)
    }
}

/// What can stand in a sensitive member.
pub(crate) trait Redact {
    /// Writes how much there is.
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Redact for String {
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.len())
    }
}

impl Redact for JsonObject {
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} members>", self.len())
    }
}

impl Redact for Value {
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("<boolean>"),
            Self::Number(_) => f.write_str("<number>"),
            Self::String(text) => text.redacted(f),
            Self::Array(items) => items.redacted(f),
            Self::Object(members) => members.redacted(f),
        }
    }
}

impl<T> Redact for Vec<T> {
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} items>", self.len())
    }
}

impl<T: Redact> Redact for Option<T> {
    fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref().map(Redacted), f)
    }
}

#[cfg(test)]
mod tests {
    use crate::{ArtifactType, CountTokensRequest, CreateArtifactRequest};

    #[test]
    fn debug_tells_the_size_and_not_the_text() {
        let request = CreateArtifactRequest::new(ArtifactType::Policy, "Run the linter.");
        let printed = format!("{request:?}");
        assert!(printed.contains("content: <15 bytes>"), "{printed}");
        assert_eq!(
            format!("{:?}", CountTokensRequest::new("Naïve")),
            "CountTokensRequest { input: <6 bytes>, extra: {} }"
        );
    }
}
