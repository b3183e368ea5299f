//! What the durable stores have in common: how ids, times and answers are kept, what a text is sealed for and what is
//! sealed ahead, the shape of the tree of events, how prompts are measured and opened, how what a request continues is put
//! together, what the lines of batches are and how batches end, and where a master key lies. There is no SQL here.

pub(in crate::store) mod answers;
pub(in crate::store) mod artifacts;
pub(in crate::store) mod batch_end;
pub(in crate::store) mod batches;
pub(in crate::store) mod continued;
pub(in crate::store) mod conversations;
pub(in crate::store) mod files;
pub(in crate::store) mod folder;
pub(in crate::store) mod history;
pub(in crate::store) mod ids;
pub(in crate::store) mod prompts;
pub(in crate::store) mod responses;
pub(in crate::store) mod sessions;
pub(in crate::store) mod times;

use crate::mint::Mint;
use crate::store::Result;

/// What mints ids and seals texts for a store.
pub(in crate::store) trait Seal {
    fn mint(&self) -> &dyn Mint;

    /// Seals a text for a place, in the form that the store keeps.
    fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>>;
}

/// A place, for sealing: what the text belongs to.
pub(in crate::store) fn place(kind: &str, key: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), b":", key].concat()
}
