//! Inference: which model a name means (`models`), what a prompt measures (`tokens`, `reuse`, `qos`), the engines
//! that answer it (`placeholder`), and one generation from state to outcome (`generation`).

mod background;
mod generation;
mod lease;
mod models;
mod placeholder;
pub(crate) mod qos;
mod reuse;
mod tokens;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

pub(crate) use background::Background;
pub(crate) use generation::{Failure, Generation, Outcome, Part, Prepared};
pub(crate) use lease::{Held, Reservation};
pub(crate) use models::{Models, Target};
pub(crate) use placeholder::Placeholder;
pub(crate) use reuse::ReuseWindow;
pub(crate) use tokens::count as count_tokens;

use crate::domain::Message;

/// What answers prompts.
///
/// Dropping the future of [`generate`](Self::generate) cancels the call: that is how a deadline, a cancel and a client
/// that went away end it.
#[async_trait]
pub(crate) trait Engine: Send + Sync + 'static {
    /// Answers a prompt with a text.
    async fn generate(&self, request: &Prompted<'_>) -> Result<Generated, EngineError>;
}

/// A prompt for an engine.
pub(crate) struct Prompted<'a> {
    /// The model as the caller named it.
    pub(crate) model: &'a str,
    /// The messages, in order.
    pub(crate) messages: &'a [Message],
    /// Most tokens of the answer.
    pub(crate) max_output_tokens: Option<u64>,
}

/// What an engine answered.
pub(crate) struct Generated {
    /// The text.
    pub(crate) text: String,
    /// Whether it ends early, at the most tokens asked for.
    pub(crate) truncated: bool,
    /// Time from the call to the first token.
    pub(crate) ttft: Duration,
}

/// Why an engine gave no answer.
#[derive(Debug, Error)]
pub(crate) enum EngineError {
    /// A fault of this server.
    #[error("the engine failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
