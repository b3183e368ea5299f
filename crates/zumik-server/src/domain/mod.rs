//! Rules of the API that need neither HTTP nor a database: API keys and their scopes, the prompt compiler, the
//! response object of `/v1`, sealed summaries, the input of batches, and sums over usage.

mod batch_input;
mod compaction;
mod keys;
mod prompt;
mod response_object;
mod scopes;
mod usage;

pub(crate) use batch_input::{BatchInput, InputFault, InputLine};
pub use compaction::CompactionKey;
pub use keys::{InvalidName, LONGEST_NAME, check_name, key_hash, masked_key, mint_key};
pub use prompt::{Block, Message, Place, Prompt, PromptError, Role, Source, compile};
pub use response_object::ResponseObject;
pub use scopes::Scopes;
pub(crate) use usage::{Measure, Summary, Times};
