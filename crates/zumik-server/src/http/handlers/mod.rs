//! One handler an operation, a file a group: read what was sent, call one operation of the store or the engine,
//! answer its value.

pub(crate) mod agent_hints;
pub(crate) mod artifacts;
pub(crate) mod batches;
pub(crate) mod branches;
pub(crate) mod bundles;
pub(crate) mod chat;
pub(crate) mod conversations;
pub(crate) mod diagnostics;
pub(crate) mod embeddings;
pub(crate) mod events;
pub(crate) mod files;
mod generations;
mod hints;
pub(crate) mod merges;
pub(crate) mod model_aliases;
pub(crate) mod models;
pub(crate) mod purge;
pub(crate) mod responses;
pub(crate) mod sessions;
pub(crate) mod snapshots;
mod streams;
pub(crate) mod token_counts;
pub(crate) mod usage;
pub(crate) mod v1_responses;

#[cfg(feature = "fuzzing")]
pub(crate) use hints::from_header as hints_of_header;
