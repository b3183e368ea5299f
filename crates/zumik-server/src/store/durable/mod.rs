//! What the durable stores have in common: how ids, times and answers are kept, what a text is sealed for, the shape of
//! the tree of events, how what a request continues is put together, how prompts are measured and opened, what the lines of batches are and how batches end, and where a
//! master key lies. There is no SQL here.

pub(in crate::store) mod answers;
pub(in crate::store) mod batch_end;
pub(in crate::store) mod batches;
pub(in crate::store) mod continued;
pub(in crate::store) mod folder;
pub(in crate::store) mod history;
pub(in crate::store) mod ids;
pub(in crate::store) mod prompts;
pub(in crate::store) mod responses;
pub(in crate::store) mod sessions;
pub(in crate::store) mod times;

/// A place, for sealing: what the text belongs to.
pub(in crate::store) fn place(kind: &str, key: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), b":", key].concat()
}
