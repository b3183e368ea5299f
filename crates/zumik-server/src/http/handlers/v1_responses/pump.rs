//! Responses that a provider makes, event by event.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use zumik_types::V1ResponseId;

use super::super::generations::{Kept, RETENTION, headers};
use super::super::streams::{self, Piece};
use super::background::{finish, stored};
use super::provider::{Question, Spoken};
use crate::app::App;
use crate::blocking::BrokenOff;
use crate::chain::chain;
use crate::domain::ResponseObject;
use crate::engine::{Failure, Frame, Gathered, Held, Meter, ModelBody, ModelStream, ProviderError, Work};
use crate::http::call::Call;
use crate::http::{ApiError, OpenStream, Reply};
use crate::insist::PAUSE;
use crate::openai::{Adoption, ChatStream, Draft, Events, Told, write_error};
use crate::store::{Answer, Generation, ProjectCtx};

/// Answers with the events of a response. It is kept before the first of them is sent, so that its id means something to
/// whoever reads it there, and again when it ends.
pub(super) async fn stream(
    call: &Call,
    held: Held,
    question: &Question,
    mut response: ResponseObject,
    mut kept: Kept,
    store: bool,
) -> Result<Reply, ApiError> {
    let stream = call.app.limits.stream(&call.ctx.key)?;
    let (spoken, answer) = question.ask(&call.app, true).await?;
    let ModelBody::Stream(model) = answer.body else {
        return Err(Failure::from(ProviderError::Malformed("it is no stream")).into());
    };
    response.set("status", json!("in_progress"));
    response.set_execution(headers(&answer.target, &answer.meter.outcome()));
    let begun = store.then(|| begun(&call.ctx, &response, kept.input_items.take()));
    kept.begun = store;
    let id = response.id().clone();
    let headers = response.execution().to_vec();
    let mut first = Vec::new();
    let writer = Writer::begin(&call.app, spoken, response, &mut first);
    let open = Open { writer, meter: answer.meter, kept };
    let (app, ctx, provider) = (Arc::clone(&call.app), call.ctx.clone(), answer.target.provider);
    let (model, open) = (*model, Some(open));
    let mut pump = Pump { app, ctx, first, model, provider, open, _stream: stream, listed: None };
    if let Some(begun) = begun {
        pump = pump.begin(id, begun).await?;
    }
    let pieces = unfold(pump, async |mut pump| Some((pump.next().await?, pump)));
    Ok(streams::reply(call, held, headers, pieces))
}

/// A response as it is kept when it begins.
fn begun(ctx: &ProjectCtx, response: &ResponseObject, input_items: Option<Vec<Value>>) -> Generation {
    Generation {
        response: Some(stored(response)),
        begun: false,
        input_items,
        expires_at: ctx.now + RETENTION,
        materialized: Vec::new(),
        answer: Answer { status: 200, trace: ctx.trace.clone(), headers: Vec::new(), body: Bytes::new() },
    }
}

/// The last event of a stream whose end could not be kept, behind all others.
fn fault(mut events: Events, error: &ApiError) -> Bytes {
    let mut out = Vec::new();
    let code = error.machine_code().unwrap_or("server_error");
    write_error(&mut events, &mut out, code, error.message());
    out.into()
}

/// Makes the events of a response from those of a provider. Dropped before the end, it gives the response up: the call of
/// the provider ends, and the response is kept as cancelled.
struct Pump {
    app: Arc<App>,
    ctx: ProjectCtx,
    /// Events that come before the first of the provider.
    first: Vec<u8>,
    model: ModelStream,
    /// Who answers, for the log.
    provider: Arc<str>,
    /// Nothing once the response has ended.
    open: Option<Open>,
    /// Counts as one of the streams of the key.
    _stream: Option<OpenStream>,
    /// The work, by which another request can stop it.
    listed: Option<Work>,
}

/// What ends with the response.
struct Open {
    writer: Writer,
    meter: Meter,
    /// What is to be kept at the end. The response is not, unless it was when it began.
    kept: Kept,
}

/// Makes events of ours from those of one of a provider's APIs.
enum Writer {
    Responses(Adoption),
    Chat(ChatStream),
}

/// What is told when another request, or the loss of the client, ends a response.
const CANCELLED: (&str, &str) = ("response_cancelled", "The response was cancelled.");

impl Pump {
    /// Keeps the response as it begins, and lists the work on it.
    async fn begin(mut self, id: V1ResponseId, begun: Generation) -> Result<Self, ApiError> {
        let app = Arc::clone(&self.app);
        // A client that goes away now must not leave the response as it begins: this is dropped with what the task gives,
        // and writes its end.
        let kept = app.running.see_through(async move {
            self.app.store.commit_generation(&self.ctx, begun, None).await.map_err(ApiError::from)?;
            self.listed = Some(self.app.background.begin(id));
            Ok(self)
        });
        kept.await
    }

    async fn next(&mut self) -> Option<Piece> {
        if !self.first.is_empty() {
            return Some(Piece::Part(std::mem::take(&mut self.first).into()));
        }
        let mut out = Vec::new();
        loop {
            let read = self.gather(out.len()).await;
            let open = self.open.as_mut()?;
            match read {
                Some(Ok(Gathered::Event(frame))) => {
                    if open.take(&frame, &mut out) {
                        return Some(self.end(out).await);
                    }
                    self.model.may_end(open.writer.is_whole());
                }
                Some(Ok(Gathered::Enough)) => return Some(Piece::Part(out.into())),
                Some(Ok(Gathered::End)) => return Some(self.end(out).await),
                Some(Err(failure)) => return Some(self.break_off(failure, out).await),
                None => return Some(self.stopped(out)),
            }
        }
    }

    /// What comes next from the provider, as [`ModelStream::gather`] gives it; nothing once another request has stopped the
    /// work.
    async fn gather(&mut self, gathered: usize) -> Option<Result<Gathered, Failure>> {
        match &self.listed {
            Some(listed) => listed.run(self.model.gather(gathered)).await,
            None => Some(self.model.gather(gathered).await),
        }
    }

    /// All of it has come.
    async fn end(&mut self, mut out: Vec<u8>) -> Piece {
        let Some(Open { writer, meter, kept }) = self.open.take() else { return Piece::Broken(out.into()) };
        let (malformed, events) = (writer.malformed(), writer.events());
        let response = writer.end(&mut out);
        if response.is_complete() {
            meter.complete();
        } else {
            let error = malformed.map_or_else(|| reported(&response), ProviderError::Malformed);
            if error.is_fault() {
                let (provider, cause) = (&*self.provider, chain(&error));
                tracing::warn!(trace = %self.ctx.trace, provider, cause, "the stream of a provider ended as failed");
            }
            self.model.fail(&error);
            meter.fail(&error.into());
        }
        self.close(response, kept, out, events).await
    }

    /// Nothing more comes. An answer that is whole lacks nothing that its client would miss.
    async fn break_off(&mut self, failure: Failure, mut out: Vec<u8>) -> Piece {
        if self.open.as_ref().is_some_and(|open| open.writer.is_whole()) {
            return self.end(out).await;
        }
        let Some(Open { writer, meter, kept }) = self.open.take() else { return Piece::Broken(out.into()) };
        meter.fail(&failure);
        let error = ApiError::from(failure);
        if let Some(cause) = error.cause() {
            let (provider, cause) = (&*self.provider, chain(cause));
            tracing::warn!(trace = %self.ctx.trace, provider, cause, "the stream of a provider broke off");
        }
        let code = error.machine_code().unwrap_or("server_error");
        let events = writer.events();
        let response = writer.break_off(code, error.message(), &mut out);
        self.close(response, kept, out, events).await
    }

    /// Another request has cancelled the response, and written so.
    fn stopped(&mut self, mut out: Vec<u8>) -> Piece {
        if let Some(open) = self.open.take() {
            open.writer.cancel(&mut out);
        }
        Piece::Broken(out.into())
    }

    /// The last piece. What ended well is kept together with the recorded stream; `events` go on where that cannot be.
    async fn close(
        &mut self,
        response: ResponseObject,
        mut kept: Kept,
        out: Vec<u8>,
        events: Events,
    ) -> Piece {
        if response.is_complete() {
            kept.response = kept.begun.then(|| stored(&response));
            return Piece::Last(out.into(), kept, Arc::new(move |error| fault(events, error)));
        }
        if kept.begun {
            // A client that goes away now must not leave the response as it began. One that stays need not wait for a store
            // that cannot be written.
            let (app, ctx) = (Arc::clone(&self.app), self.ctx.clone());
            let finished = self.app.running.see_through(async move {
                finish(&app, &ctx, response).await;
                Ok::<_, BrokenOff>(())
            });
            if let Ok(Err(error)) = tokio::time::timeout(PAUSE, finished).await {
                tracing::error!(trace = %self.ctx.trace, %error, "the end of a response could not be written");
            }
        }
        Piece::Broken(out.into())
    }
}

/// What a response that failed says of it.
fn reported(response: &ResponseObject) -> ProviderError {
    let error = response.members().get("error");
    let text = |name: &str| error?.get(name)?.as_str();
    ProviderError::of_response(text("code"), text("message"))
}

impl Drop for Pump {
    fn drop(&mut self) {
        let Some(Open { writer, kept: Kept { begun: true, .. }, .. }) = self.open.take() else { return };
        let response = writer.cancel(&mut Vec::new());
        let (app, ctx) = (Arc::clone(&self.app), self.ctx.clone());
        // Where it cannot begin any more, the process ends, and the next one finds the response open.
        self.app.running.begin(async move { finish(&app, &ctx, response).await });
    }
}

impl Open {
    /// Takes in an event, and writes what it makes. Whether it was the last one.
    fn take(&mut self, frame: &Frame, out: &mut Vec<u8>) -> bool {
        let Told { text, usage, is_last } = self.writer.event(&frame.data, out);
        self.meter.delivered(&text);
        if let Some(usage) = usage {
            self.meter.usage(usage);
        }
        is_last
    }
}

impl Writer {
    /// Begins the events; a provider's own begin with its first.
    fn begin(app: &App, spoken: Spoken, response: ResponseObject, out: &mut Vec<u8>) -> Self {
        match spoken {
            Spoken::Responses => Self::Responses(Adoption::new(response)),
            Spoken::Chat => {
                let mut stream =
                    ChatStream::new(Draft::new(response, Arc::clone(&app.mint), app.clock.now()));
                stream.begin(out);
                Self::Chat(stream)
            }
        }
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Told {
        match self {
            Self::Responses(writer) => writer.event(data, out),
            Self::Chat(writer) => writer.event(data, out),
        }
    }

    /// Whether all of the answer is there, although the stream goes on.
    fn is_whole(&self) -> bool {
        match self {
            // The stream ends with the event that says so.
            Self::Responses(_) => false,
            Self::Chat(writer) => writer.is_whole(),
        }
    }

    /// The events, behind those that were written.
    fn events(&self) -> Events {
        match self {
            Self::Responses(writer) => writer.events(),
            Self::Chat(writer) => writer.events(),
        }
    }

    /// What is wrong with what came, when that ends the response.
    fn malformed(&self) -> Option<&'static str> {
        match self {
            Self::Responses(writer) => writer.malformed(),
            Self::Chat(writer) => writer.malformed(),
        }
    }

    fn end(self, out: &mut Vec<u8>) -> ResponseObject {
        match self {
            Self::Responses(writer) => writer.end(out),
            Self::Chat(writer) => writer.end(out),
        }
    }

    fn break_off(self, code: &str, message: &str, out: &mut Vec<u8>) -> ResponseObject {
        match self {
            Self::Responses(writer) => writer.break_off(code, message, out),
            Self::Chat(writer) => writer.break_off(code, message, out),
        }
    }

    fn cancel(self, out: &mut Vec<u8>) -> ResponseObject {
        let (code, message) = CANCELLED;
        match self {
            Self::Responses(writer) => writer.cancel(code, message, out),
            Self::Chat(writer) => writer.cancel(code, message, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::mint::CountingMint;

    /// The numbers of the events in what was written.
    fn numbers(out: &[u8]) -> Vec<u64> {
        let text = std::str::from_utf8(out).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str::<Value>(data).unwrap()["sequence_number"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn a_stream_that_could_not_be_kept_is_told_so_behind_all_its_events() {
        let response = || fixtures::response(&V1ResponseId::with_suffix("1"), "in_progress");
        let draft = Draft::new(response(), Arc::new(CountingMint::default()), chrono::DateTime::UNIX_EPOCH);
        let chat = br#"{"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#;
        let last = br#"{"type":"response.completed","sequence_number":7,"response":{}}"#;
        for (mut writer, event) in [
            (Writer::Chat(ChatStream::new(draft)), &chat[..]),
            (Writer::Responses(Adoption::new(response())), &last[..]),
        ] {
            let mut out = Vec::new();
            writer.event(event, &mut out);
            let told = fault(writer.events(), &ApiError::draining());
            assert_eq!(numbers(&told), [numbers(&out).pop().unwrap() + 1]);
        }
    }
}
