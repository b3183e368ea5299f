//! What is wrong with the document, and where.

use std::fmt;

/// A place in the document that cannot become Rust code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpecError {
    /// JSON pointer of the place.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl SpecError {
    pub(crate) fn new(pointer: &str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), problem: problem.into(), hint: hint.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}: {}\n  hint: {}", self.pointer, self.problem, self.hint)
    }
}

impl std::error::Error for SpecError {}

/// What every step before the emitters gives.
pub(crate) type Result<T> = std::result::Result<T, SpecError>;
