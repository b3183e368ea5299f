//! `multipart/form-data`: the form of an upload, and the file that goes into it.

use std::fmt::{self, Display};

use bytes::Bytes;

/// A file to upload: a name and its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FilePart {
    name: String,
    content: Bytes,
}

impl FilePart {
    /// A file from bytes in memory.
    pub fn bytes(name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self { name: name.into(), content: content.into() }
    }

    /// The name under which the file is stored.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for FilePart {
    /// The name and the size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilePart({:?}, {} bytes)", self.name, self.content.len())
    }
}

/// A form of text fields and files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multipart {
    texts: Vec<(&'static str, String)>,
    files: Vec<(&'static str, FilePart)>,
}

impl Multipart {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field, if there is a value.
    #[must_use]
    pub fn text<T: Display>(mut self, name: &'static str, value: &Option<T>) -> Self {
        self.texts.extend(value.as_ref().map(|value| (name, value.to_string())));
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &'static str, file: &FilePart) -> Self {
        self.files.push((name, file.clone()));
        self
    }
}
