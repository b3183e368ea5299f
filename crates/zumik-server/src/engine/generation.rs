//! One generation: from the state that a request names to the outcome, for both surfaces.

use std::sync::Arc;

use thiserror::Error;
use tokio::time::Instant;
use zumik_insight::ReuseTokens;
use zumik_types::{ArtifactId, BranchId, EventType, Qos, QosOutcome, ReuseEvidenceLevel, SessionId};

use super::reuse::Past;
use super::{EngineError, Prompted, Target, count_tokens, qos};
use crate::app::App;
use crate::domain::{Block, Message, PromptError, Source, compile};
use crate::http::Inference;
use crate::store::{ProjectCtx, PromptState, StoreError};

/// What a request asks for.
pub(crate) struct Generation {
    /// The model as the caller named it.
    pub(crate) model: String,
    /// The state that comes first.
    pub(crate) state: PromptState,
    /// The request's own part, which comes after it.
    pub(crate) own: Vec<Part>,
    /// What the caller wants of the call.
    pub(crate) qos: Qos,
    /// Most tokens of the answer.
    pub(crate) max_output_tokens: Option<u64>,
}

/// One message of the prompt.
pub(crate) struct Part {
    /// The message.
    pub(crate) message: Message,
    /// Whether it could be cached at all: it belongs to blocks 1 to 7 of the prompt layout, not to the latest turn.
    pub(crate) eligible: bool,
}

/// A generation whose state was read and whose model is known: nothing of the request can be wrong any more.
pub(crate) struct Prepared {
    past: Past,
    started: Instant,
    request: Generation,
    messages: Arc<[Message]>,
    eligible: Vec<bool>,
    /// What runs it.
    pub(crate) target: Target,
    /// The session of the state.
    pub(crate) session_id: Option<SessionId>,
    /// The branch of the state.
    pub(crate) branch_id: Option<BranchId>,
    /// Artifacts whose text is in the prompt.
    pub(crate) materialized: Vec<ArtifactId>,
}

/// What a generation came to.
pub(crate) struct Outcome {
    /// The answer.
    pub(crate) text: String,
    /// Whether it ends early, at `max_output_tokens`.
    pub(crate) truncated: bool,
    /// Tokens of the answer.
    pub(crate) output_tokens: u64,
    /// Tokens of the prompt, and of their reuse.
    pub(crate) reuse: ReuseTokens,
    /// Where the realized number comes from.
    pub(crate) evidence: ReuseEvidenceLevel,
    /// How the call went.
    pub(crate) qos: QosOutcome,
}

/// Why a generation has no outcome.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The state cannot be compiled.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// No one knows the model.
    #[error("the model '{0}' does not exist")]
    UnknownModel(String),
    /// The call was aborted at its deadline of so many milliseconds.
    #[error("the call passed its deadline of {0} ms")]
    Deadline(u64),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The tokens could not be counted.
    #[error("counting tokens failed")]
    Count(#[from] tokio::task::JoinError),
}

impl Generation {
    /// Reads and compiles the state, and resolves the model.
    pub(crate) async fn prepare(mut self, app: &App, ctx: &ProjectCtx) -> Result<Prepared, Failure> {
        let started = Instant::now();
        let past = app.reuse.past(&ctx.project);
        let prompt = app.store.read_prompt(ctx, std::mem::take(&mut self.state)).await?;
        let mut eligible = eligible(&prompt.blocks);
        let materialized = prompt.blocks.iter().map(|block| block.artifact_id.clone()).collect();
        let mut messages = compile(prompt.blocks)?;
        for part in std::mem::take(&mut self.own) {
            messages.push(part.message);
            eligible.push(part.eligible);
        }
        let Some(target) = app.models.resolve(&self.model) else {
            return Err(Failure::UnknownModel(self.model));
        };
        Ok(Prepared {
            past,
            started,
            request: self,
            messages: messages.into(),
            eligible,
            target,
            session_id: prompt.session_id,
            branch_id: prompt.branch_id,
            materialized,
        })
    }
}

impl Prepared {
    /// Asks the engine, within the deadline, and measures what it answered.
    pub(crate) async fn run(&self, app: &App) -> Result<Outcome, Failure> {
        let Self { request, target, .. } = self;
        let prompted = Prompted {
            model: &request.model,
            messages: &self.messages,
            max_output_tokens: request.max_output_tokens,
        };
        let before_call = self.started.elapsed();
        let call = app.engine.generate(&prompted);
        let generated = match request.qos.deadline_ms {
            None => call.await?,
            Some(deadline) => {
                let end = self.started + std::time::Duration::from_millis(deadline.min(FAR));
                tokio::time::timeout_at(end, call).await.map_err(|_| Failure::Deadline(deadline))??
            }
        };
        let latency = self.started.elapsed();

        app.metrics.inference(&Inference {
            provider: target.provider.to_owned(),
            profile: target.profile.to_string(),
            region: target.region.to_owned(),
        });
        let tokens = count_tokens(Arc::clone(&self.messages), |message| &message.text).await?;
        let output = count_tokens(Arc::from([generated.text.clone()]), String::as_str).await?;
        let common = app.reuse.observe(&self.past, target.model, &self.messages, app.clock.now());
        Ok(Outcome {
            reuse: self.reuse(&tokens, common),
            evidence: ReuseEvidenceLevel::Unknown,
            output_tokens: output.iter().sum(),
            truncated: generated.truncated,
            qos: qos::completed(&request.qos, before_call + generated.ttft, latency),
            text: generated.text,
        })
    }

    /// The reuse of a prompt whose first `common` messages an earlier one had too. No one reports what was read from a
    /// cache, so none was realized.
    fn reuse(&self, tokens: &[u64], common: usize) -> ReuseTokens {
        let input = tokens.iter().sum();
        let eligible =
            tokens.iter().zip(&self.eligible).filter(|(_, eligible)| **eligible).map(|(n, _)| n).sum();
        let candidate = tokens.iter().take(common).sum();
        ReuseTokens::of_request(input, eligible, candidate, 0)
    }
}

/// A deadline beyond this, in milliseconds (a year), is none; it would overflow the timer.
const FAR: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Which blocks of a state could be cached: all but retrieved ones and the latest tool result.
fn eligible(blocks: &[Block]) -> Vec<bool> {
    let is = |block: &Block, event: &EventType| block.source == Source::Event(event.clone());
    let latest_tool_result = blocks.iter().rposition(|block| is(block, &EventType::ToolResult));
    blocks
        .iter()
        .enumerate()
        .map(|(index, block)| !is(block, &EventType::RetrievalResult) && Some(index) != latest_tool_result)
        .collect()
}
