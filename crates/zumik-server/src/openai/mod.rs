//! OpenAI's two shapes of a generation, and the way from one to the other. Everything here is a function of its
//! arguments.
//!
//! A request for a response becomes one for a chat completion (`to_chat`), and what comes back, whole or in chunks
//! (`from_chat`), becomes a response (`draft`) and its events (`events`). A response that a provider gives itself only
//! changes its owner (`adopt`). What goes wrong on the way is told in one form (`fault`).

mod adopt;
mod draft;
mod events;
mod fault;
#[cfg(test)]
mod fixtures;
mod from_chat;
mod to_chat;

pub(crate) use adopt::{Adoption, adopt};
pub(crate) use draft::{Draft, Ending};
pub(crate) use events::{Events, Told, write_error, write_json};
pub(crate) use from_chat::{ChatStream, whole};
pub(crate) use to_chat::{Input, Untranslatable, to_chat};
