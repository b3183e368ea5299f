//! One generation of text: from the state that a request names to the outcome.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;
use zumik_insight::ReuseTokens;
use zumik_types::{ArtifactId, BranchId, Qos, QosOutcome, ReuseEvidenceLevel, SessionId};

use super::chat::{Collected, Delta};
use super::layout::{Compiled, eligible};
use super::reuse::of_messages;
use super::upstream::times;
use super::{
    Api, Asked, Generated, Measured, Meter, ModelBody, ModelCall, ModelStream, Prompted, ProviderError,
    ProviderFailure, Route, Routing, Sent, Settled, Surface, Target, Wanted, count_tokens,
};
use crate::app::App;
use crate::blocking::BrokenOff;
use crate::domain::{Message, Place, PromptError, Role, compile};
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
    /// Where the caller lets it go.
    pub(crate) routing: Routing,
    /// Most tokens of a placeholder. No operation that asks a provider this way can set a limit.
    pub(crate) max_output_tokens: Option<u64>,
}

/// One message of the prompt.
pub(crate) struct Part {
    /// The message.
    pub(crate) message: Message,
    /// What it is in the layout of the prompt.
    pub(crate) place: Place,
}

/// A generation whose state was read and whose model is known: nothing of the request can be wrong any more.
pub(crate) struct Prepared {
    asked: Asked,
    request: Generation,
    messages: Arc<[Message]>,
    places: Arc<[Place]>,
    /// Where it goes.
    pub(crate) route: Route,
    /// Artifacts whose text is in the prompt.
    pub(crate) materialized: Vec<ArtifactId>,
}

/// What a generation came to.
pub(crate) struct Outcome {
    /// The answer.
    pub(crate) text: String,
    /// Whether it ends early, at `max_output_tokens`.
    pub(crate) truncated: bool,
    /// What ran it.
    pub(crate) target: Target,
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
    /// The model is served in this region alone, which the caller does not allow.
    #[error("the region '{0}' is not allowed")]
    Region(String),
    /// The call was aborted at its deadline of so many milliseconds.
    #[error("the call passed its deadline of {0} ms")]
    Deadline(u64),
    /// No provider answered.
    #[error(transparent)]
    Provider(ProviderFailure),
    /// No target may be asked but such that speak chat completions only, which cannot express this member.
    #[error("the member '{param}' cannot be expressed in a chat completion")]
    Untranslatable {
        /// Path of the member.
        param: String,
        /// What the caller is told.
        message: String,
    },
    /// The tokens could not be counted.
    #[error("counting tokens failed")]
    Count(#[from] BrokenOff),
    /// A fault of this server.
    #[error("the engine failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// That of this provider, unless another was named.
    pub(crate) fn of(mut self, provider: &Arc<str>) -> Self {
        if let Self::Provider(failure) = &mut self {
            failure.provider.get_or_insert_with(|| Arc::clone(provider));
        }
        self
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error.into())
    }
}

impl Generation {
    /// Reads and compiles the state, and resolves the model.
    ///
    /// `surface` is the operation that the request came in through, `object_id` the id of what it generates.
    pub(crate) async fn prepare(
        mut self,
        app: &App,
        ctx: &ProjectCtx,
        surface: Surface,
        object_id: &str,
    ) -> Result<Prepared, Failure> {
        let started = Instant::now();
        let past = app.reuse.past(&ctx.project).await;
        let prompt = app.store.read_prompt(ctx, std::mem::take(&mut self.state)).await?;
        let mut places = prompt.places();
        let materialized = prompt.artifacts();
        let mut messages = compile(prompt.blocks)?;
        for part in std::mem::take(&mut self.own) {
            messages.push(part.message);
            places.push(part.place);
        }
        let own = messages.last().map_or("", |message| &*message.text);
        let asked = Asked {
            ctx: ctx.clone(),
            surface,
            object_id: object_id.to_owned(),
            session_id: prompt.session_id,
            branch_id: prompt.branch_id,
            qos: self.qos.clone(),
            started,
            past,
            comes_again: false,
        };
        let wanted = Wanted { asked: &asked, model: &self.model, prompt: own, routing: &self.routing };
        let route = app.engine.resolve(&wanted).await?;
        let (messages, places) = (messages.into(), places.into());
        Ok(Prepared { asked, request: self, messages, places, route, materialized })
    }
}

impl Prepared {
    /// The session of the state.
    pub(crate) fn session_id(&self) -> Option<&SessionId> {
        self.asked.session_id.as_ref()
    }

    /// The branch of the state.
    pub(crate) fn branch_id(&self) -> Option<&BranchId> {
        self.asked.branch_id.as_ref()
    }

    /// Asks the model, within the deadline, and measures what it answered.
    pub(crate) async fn run(&self, app: &App) -> Result<Outcome, Failure> {
        let asked = self.asked.clone();
        if self.route.is_placeholder() { self.fill(app, asked).await } else { self.ask(app, asked).await }
    }

    /// Asks a provider. It is read as a stream, so that the time to the first token is the model's.
    async fn ask(&self, app: &App, asked: Asked) -> Result<Outcome, Failure> {
        let body = body(&self.request, &self.messages)?;
        let compiled = Compiled::behind(0, Arc::clone(&self.places));
        let sent = Sent { api: Api::ChatCompletions, body, compiled };
        let call = ModelCall { asked, route: self.route.clone(), sent, as_chat: None, stream: true };
        let mut answer = app.engine.call(call).await?;
        let ModelBody::Stream(mut stream) = answer.body else {
            return Err(ProviderError::Malformed("it is no stream").into());
        };
        let collected = match collect(&mut stream, &mut answer.meter).await {
            Ok(collected) => collected,
            Err(failure) => {
                answer.meter.fail(&failure);
                return Err(failure.of(&answer.target.provider));
            }
        };
        let Settled { reuse, evidence, output_tokens, qos } = answer.meter.complete_and_settle().await?;
        let (Collected { text, truncated, .. }, target) = (collected, answer.target);
        Ok(Outcome { text, truncated, target, output_tokens, reuse, evidence, qos })
    }

    /// Makes a placeholder.
    async fn fill(&self, app: &App, asked: Asked) -> Result<Outcome, Failure> {
        let Self { request, route, .. } = self;
        let prompted = Prompted {
            model: &request.model,
            messages: &self.messages,
            max_output_tokens: request.max_output_tokens,
        };
        let project = asked.ctx.project.clone();
        let mut meter = app.engine.meter(asked, route);
        let call = app.engine.local.generate(&prompted);
        let generated = match times::deadline(&request.qos, self.asked.started) {
            None => call.await,
            Some((end, deadline)) => {
                tokio::time::timeout_at(end, call).await.unwrap_or(Err(Failure::Deadline(deadline)))
            }
        };
        let generated = match generated {
            Ok(generated) => generated,
            Err(failure) => {
                meter.fail(&failure);
                return Err(failure);
            }
        };
        meter.answered(&route.first, false);
        let tokens = count_tokens(Arc::clone(&self.messages), |message| &message.text).await?;
        let output = count_tokens(Arc::from([generated.text.clone()]), String::as_str).await?;
        let blocks = of_messages(&self.messages);
        let past = self.asked.past.at(app.reuse.generation(&project).await);
        let common = app.reuse.observe(&past, &route.first.model, blocks, app.clock.now()).common;
        meter.measured(Measured {
            reuse: self.reuse(&tokens, common),
            evidence: ReuseEvidenceLevel::Unknown,
            output_tokens: output.iter().sum(),
            family: None,
        });
        let Settled { reuse, evidence, output_tokens, qos } = meter.complete_and_settle().await?;
        let (Generated { text, truncated }, target) = (generated, route.first.clone());
        Ok(Outcome { text, truncated, target, output_tokens, reuse, evidence, qos })
    }

    /// The reuse of a prompt whose first `common` messages an earlier one had too. No one reports what was read from a
    /// cache, so none was realized.
    fn reuse(&self, tokens: &[u64], common: usize) -> ReuseTokens {
        let input = tokens.iter().sum();
        let eligible =
            tokens.iter().zip(eligible(&self.places)).filter(|(_, eligible)| *eligible).map(|(n, _)| n).sum();
        let candidate = tokens.iter().take(common).sum();
        ReuseTokens::of_request(input, eligible, candidate, 0)
    }
}

/// Reads a chat completion to its end.
async fn collect(stream: &mut ModelStream, meter: &mut Meter) -> Result<Collected, Failure> {
    let mut collected = Collected::default();
    while let Some(frame) = stream.next().await? {
        let delta = Delta::read(&frame.data).inspect_err(|error| stream.fail(error))?;
        if let Some(usage) = delta.usage {
            meter.usage(usage);
        }
        meter.delivered(&delta.text);
        meter.delivered(&delta.rest);
        collected.take(delta);
        stream.may_end(collected.choices.have_ended());
    }
    Ok(collected)
}

/// The body of a chat completion over a compiled prompt.
fn body(request: &Generation, messages: &[Message]) -> Result<Bytes, Failure> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: Vec<ChatMessage<'a>>,
        stream: bool,
    }
    let body = Body {
        model: &request.model,
        messages: messages.iter().map(ChatMessage::from).collect(),
        stream: true,
    };
    serde_json::to_vec(&body).map(Bytes::from).map_err(|error| Failure::Internal(error.into()))
}

/// A compiled message in the shape of a chat.
#[derive(Serialize)]
pub(crate) struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
}

impl<'a> From<&'a Message> for ChatMessage<'a> {
    fn from(message: &'a Message) -> Self {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        Self { role, content: &message.text }
    }
}
