//! What a file holds.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// The bytes of a file as they are stored. It derefs to [`Bytes`].
///
/// Its `Debug` prints how many there are: a file is full of prompts and answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Bytes);

impl Deref for Content {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Content> for Bytes {
    fn from(content: Content) -> Self {
        content.0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.len())
    }
}
