//! The Zumik API as types: models, ids, open enums and the operation table.
#![deny(missing_docs)]

mod operation;

pub use operation::{Evidence, Idempotency, Method, Operation, Scope};
