//! What a request continues, as the durable stores read it: response by response, the newest first.

use serde_json::Value;
use zumik_types::V1ResponseId;

use crate::domain::ResponseObject;
use crate::store::rules::{broken_chain, nothing_to_continue, still_open, turn};
use crate::store::{Continued, Result};

/// A response, and the items that it was given, if they were kept.
pub(in crate::store) struct Kept {
    pub(in crate::store) response: ResponseObject,
    pub(in crate::store) given: Option<Vec<Value>>,
}

/// The items of responses as they are collected, newest first.
pub(in crate::store) struct Turns<'a> {
    of: &'a Continued,
    found: Vec<Vec<Value>>,
    left: usize,
}

impl<'a> Turns<'a> {
    /// None yet. They may have so many bytes as JSON.
    pub(in crate::store) fn new(of: &'a Continued, most: usize) -> Self {
        Self { of, found: Vec::new(), left: most }
    }

    /// Takes the response `id` of a chain, if there is one. Gives the one that it continues.
    pub(in crate::store) fn take_link(
        &mut self,
        id: &V1ResponseId,
        kept: Option<Kept>,
    ) -> Result<Option<V1ResponseId>> {
        let kept = kept.ok_or_else(|| match self.found.is_empty() {
            true => nothing_to_continue(self.of),
            false => broken_chain(self.of, id),
        })?;
        if kept.response.is_open() {
            return Err(still_open(self.of, id));
        }
        let next = kept.response.previous();
        self.take(kept)?;
        Ok(next)
    }

    /// Takes a response of a conversation. One that came to no output is left out.
    pub(in crate::store) fn take_member(&mut self, kept: Kept) -> Result<()> {
        if kept.response.is_complete() { self.take(kept) } else { Ok(()) }
    }

    fn take(&mut self, kept: Kept) -> Result<()> {
        self.found.push(turn(self.of, &kept.response, kept.given, &mut self.left)?);
        Ok(())
    }

    /// The items of all, the oldest first.
    pub(in crate::store) fn items(self) -> Vec<Value> {
        self.found.into_iter().rev().flatten().collect()
    }
}
