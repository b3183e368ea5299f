//! Chat completions, so that they read well: messages by their role, tools by their name, answers by their text.
//!
//! The types are generated; here are the short ways to make and to read them, and [`ChatAccumulator`], which makes a
//! whole completion of the chunks of a stream.

mod accumulate;
mod answers;
mod calls;
mod join;
mod messages;
#[cfg(test)]
mod tests;
mod tools;

pub use accumulate::ChatAccumulator;
