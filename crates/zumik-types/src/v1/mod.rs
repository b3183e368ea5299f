//! `/v1/responses`, so that it reads well: items by their role, answers by their text.
//!
//! The types are generated; here are the short ways to make and to read them.

mod accumulate;
mod answers;
mod items;
mod tools;

pub use accumulate::V1ResponseAccumulator;
