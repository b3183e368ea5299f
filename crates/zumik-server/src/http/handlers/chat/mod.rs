//! Chat completions (contract `v1.md`, "Chat completions"): reading a request (`request`), a provider's answer as the
//! caller gets it (`rewrite`, `stream`), placeholders (`filler`), and the operation.

mod filler;
mod request;
mod rewrite;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::Instant;
use zumik_types::{ArtifactId, ChatCompletionId, Qos, QosClass, SessionId, TraceId};

use super::generations::{
    Kept, Prefix, headers, in_session_ref, keep_answer, privacy_mode, session_prefix, session_ref,
    with_prefix,
};
use super::hints::{self, Wishes};
use super::streams;
use crate::app::App;
use crate::chain::chain;
use crate::engine::{
    Api, Asked, Choices, Compiled, Delta, Held, ModelAnswer, ModelBody, ModelCall, Outcome, ProviderError,
    Reservation, Sent, Surface, Wanted,
};
use crate::http::call::Call;
use crate::http::input::object_of;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, ProjectCtx};
use request::Request;
use rewrite::Names;
use stream::ChatStream;

/// What an answer is known by.
#[derive(Debug)]
struct Identity {
    /// `chatcmpl-rsp_…`
    id: String,
    /// The model as the caller named it.
    model: String,
    /// When it was made, in Unix seconds; a provider's answer has the provider's.
    created: i64,
}

/// One chat completion to be made, whatever asked for it.
struct Chat<'a> {
    app: &'a Arc<App>,
    ctx: &'a ProjectCtx,
    started: Instant,
    body: &'a Map<String, Value>,
    /// The body as it was sent.
    bytes: &'a Bytes,
    request: &'a Request,
    session: Option<SessionId>,
    wishes: Wishes,
    /// Whether it is a line of a batch.
    is_line: bool,
}

/// A chat completion that is complete.
struct Completed {
    body: Bytes,
    headers: Vec<(Cow<'static, str>, String)>,
    materialized: Vec<ArtifactId>,
}

/// The answer to one line of a batch.
pub(crate) struct LineAnswer {
    /// HTTP status that a request of its own would have had.
    pub(crate) status: u16,
    /// Trace id of the line.
    pub(crate) trace: TraceId,
    /// The chat completion, or the error envelope.
    pub(crate) body: Bytes,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// Whether a model was asked, or none ever would be. Otherwise the same line may come to something later.
    pub(crate) asked: bool,
}

/// `POST /v1/chat/completions`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let started = Instant::now();
    let body = call.json()?;
    let request = Request::read(&body)?;
    let session = session_ref(call)?;
    privacy_mode(call)?;
    let wishes = hints::wanted(call, None).await?;
    let (app, ctx, bytes) = (Arc::clone(&call.app), call.ctx.clone(), call.body.clone());
    let chat = Chat {
        app: &app,
        ctx: &ctx,
        started,
        body: &body,
        bytes: &bytes,
        request: &request,
        session,
        wishes,
        is_line: false,
    };
    chat.check()?;
    let held = match Held::reserve(&app, &ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    if request.stream {
        return if app.engine.is_live() {
            chat.forward_stream(call, held).await
        } else {
            chat.fill_stream(call, held).await
        };
    }
    let Completed { body, headers, materialized } = chat.complete().await?;
    let answer = Answer { status: 200, trace: ctx.trace.clone(), headers, body };
    keep_answer(call, held, Kept { materialized, ..Kept::default() }, answer).await
}

/// Runs one line of a batch, as a request of its own without a key: `body` is what would be its body.
///
/// Its QoS class is `batch`. A failure is an answer, too.
pub(crate) async fn line(app: &Arc<App>, ctx: &ProjectCtx, body: Bytes) -> LineAnswer {
    let trace = app.mint_trace();
    let ctx = ProjectCtx { trace: trace.clone(), now: app.clock.now(), ..ctx.clone() };
    match complete_line(app, &ctx, &body).await {
        Ok(body) => LineAnswer { status: 200, trace, body, retry_after: None, asked: true },
        Err(error) => {
            if let Some(cause) = error.cause() {
                let (provider, cause) = (error.of_provider(), chain(cause));
                match error.is_unasked() {
                    // It is asked for every few seconds, and why it has to wait is in the log already.
                    true => {
                        tracing::debug!(%trace, provider, cause, "no model was asked for a line of a batch")
                    }
                    false => tracing::warn!(%trace, provider, cause, "a line of a batch got no answer"),
                }
            }
            LineAnswer {
                status: error.status().as_u16(),
                trace,
                body: error.envelope().into(),
                retry_after: error.retry_after(),
                asked: !error.is_unasked(),
            }
        }
    }
}

async fn complete_line(app: &Arc<App>, ctx: &ProjectCtx, bytes: &Bytes) -> Result<Bytes, ApiError> {
    let started = Instant::now();
    let body = object_of(bytes)?;
    let request = Request::read(&body)?;
    if request.stream {
        return Err(ApiError::invalid("stream", "'stream' must be false in a line of a batch."));
    }
    let qos = Qos { class: Some(QosClass::Batch), ..Qos::default() };
    let wishes = Wishes { qos, ..Wishes::default() };
    let chat = Chat {
        app,
        ctx,
        started,
        body: &body,
        bytes,
        request: &request,
        session: None,
        wishes,
        is_line: true,
    };
    chat.check()?;
    Ok(chat.complete().await?.body)
}

impl Chat<'_> {
    /// Refuses what no reachable backend can honor.
    fn check(&self) -> Result<(), ApiError> {
        if self.app.engine.is_live() {
            return Ok(());
        }
        filler::generation(self.body, self.request, None, Qos::default()).map(drop)
    }

    /// Makes it, whole.
    async fn complete(self) -> Result<Completed, ApiError> {
        if !self.app.engine.is_live() {
            return self.fill().await.map(|(completed, ..)| completed);
        }
        let (identity, materialized, answer) = self.ask().await?;
        let ModelAnswer { target, body: ModelBody::Whole(answer), mut meter, .. } = answer else {
            return Err(ProviderError::Malformed("it is a stream").into());
        };
        let members = answer.members();
        let (body, usage) = Names::of(&identity).whole(&members);
        match usage {
            Some(usage) => meter.usage(usage),
            None => {
                let Delta { text, rest, .. } = Delta::of(&members);
                meter.delivered(&text);
                meter.delivered(&rest);
            }
        }
        let qos = meter.complete();
        Ok(Completed { body, headers: headers(&target, &qos), materialized })
    }

    /// Makes it as a stream, out of the provider's.
    async fn forward_stream(self, call: &Call, held: Held) -> Result<Reply, ApiError> {
        let open = self.app.limits.stream(&self.ctx.key)?;
        let (include_usage, trace) = (self.request.include_usage, self.ctx.trace.clone());
        let (identity, materialized, answer) = self.ask().await?;
        let ModelAnswer { target, body: ModelBody::Stream(stream), meter, .. } = answer else {
            return Err(ProviderError::Malformed("it is no stream").into());
        };
        let headers = headers(&target, &meter.outcome());
        let names = Names::of(&identity);
        let (stream, provider) = (stream.passed_on(), target.provider);
        let chat = ChatStream {
            stream,
            meter,
            names,
            include_usage,
            choices: Choices::default(),
            _open: open,
            trace,
            provider,
            materialized,
        };
        Ok(streams::reply(call, held, headers, chat.pieces()))
    }

    /// Asks a provider.
    async fn ask(self) -> Result<(Identity, Vec<ArtifactId>, ModelAnswer), ApiError> {
        let Self {
            app, ctx, started, request, session, wishes: Wishes { qos, routing }, bytes, is_line, ..
        } = self;
        let past = app.reuse.past(&ctx.project).await;
        let prefix = match &session {
            Some(session) => Some(session_prefix(app, ctx, session).await?),
            None => None,
        };
        let api = Api::ChatCompletions;
        let (sent, branch_id, materialized) = match prefix {
            Some(Prefix { messages, places, branch_id, materialized }) => {
                let body = with_prefix(bytes, "messages", &messages)?;
                (Sent { api, body, compiled: Compiled::behind(0, places) }, branch_id, materialized)
            }
            None => (Sent { api, body: bytes.clone(), compiled: Compiled::default() }, None, Vec::new()),
        };
        let prompt = std::str::from_utf8(bytes).unwrap_or_default();
        let identity = identity(app, ctx, request);
        let asked = Asked {
            ctx: ctx.clone(),
            surface: Surface::V1ChatCompletions,
            object_id: identity.id.clone(),
            session_id: session,
            branch_id,
            qos,
            started,
            past,
            comes_again: is_line,
        };
        let wanted = Wanted { asked: &asked, model: &request.model, prompt, routing: &routing };
        let route = app.engine.resolve(&wanted).await?;
        app.limits.generation(&ctx.key)?;
        let call = ModelCall { asked, route, sent, as_chat: None, stream: request.stream };
        Ok((identity, materialized, app.engine.call(call).await?))
    }

    /// Makes a placeholder.
    async fn fill(self) -> Result<(Completed, Identity, Outcome), ApiError> {
        let generation = filler::generation(self.body, self.request, self.session, self.wishes.qos)?;
        let identity = identity(self.app, self.ctx, self.request);
        let prepared = generation
            .prepare(self.app, self.ctx, Surface::V1ChatCompletions, &identity.id)
            .await
            .map_err(in_session_ref)?;
        self.app.limits.generation(&self.ctx.key)?;
        let outcome = prepared.run(self.app).await?;
        let body = filler::whole(&identity, &outcome).to_string().into();
        let headers = headers(&outcome.target, &outcome.qos);
        Ok((Completed { body, headers, materialized: prepared.materialized }, identity, outcome))
    }

    /// Makes a placeholder as a stream.
    async fn fill_stream(self, call: &Call, held: Held) -> Result<Reply, ApiError> {
        let include_usage = self.request.include_usage;
        let (completed, identity, outcome) = self.fill().await?;
        let events = filler::events(&identity, &outcome, include_usage);
        let pieces = stream::known(events, completed.materialized);
        Ok(streams::reply(call, held, completed.headers, pieces))
    }
}

fn identity(app: &App, ctx: &ProjectCtx, request: &Request) -> Identity {
    let id = ChatCompletionId::with_suffix(&format!("rsp_{}", app.mint.suffix(ctx.now)));
    Identity { id: id.to_string(), model: request.model.clone(), created: ctx.now.timestamp() }
}
