//! Rules of the API that need neither HTTP nor a database: API keys and their scopes, and the prompt compiler.

mod keys;
mod prompt;
mod scopes;

pub use keys::{key_hash, masked_key, mint_key};
pub use prompt::{Block, Message, Prompt, PromptError, Role, Source, compile};
pub use scopes::Scopes;
