//! From a call to an answer: the body as the target gets it, the attempts, and what each came to.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;
use zumik_types::{DegradePolicy, TraceId};

use super::error::{ProviderError, ProviderFailure};
use super::refusal;
use super::retry::{Attempts, Next};
use super::stream::ModelStream;
use super::times::{self, Times};
use super::trouble::Obstacle;
use super::{Endpoint, Upstreams};
use crate::chain::chain;
use crate::engine::Failure;
use crate::engine::call::{Api, AsChat, ModelBody, Sent};
use crate::engine::members::{Members, Object, json};
use crate::engine::target::{Route, Target};

/// Most bytes of an answer that is kept in memory: embeddings of 2,048 texts fit.
pub(super) const LONGEST: usize = 128 * 1024 * 1024;

/// A call on its way.
pub(crate) struct Forward<'a> {
    pub(crate) sent: Sent,
    pub(crate) as_chat: Option<AsChat<'a>>,
    pub(crate) stream: bool,
    pub(crate) qos: &'a zumik_types::Qos,
    pub(crate) started: Instant,
    pub(crate) trace: &'a TraceId,
}

/// Who answered, and what.
pub(crate) struct Forwarded {
    pub(crate) target: Target,
    /// Whether it was not the first choice.
    pub(crate) fallback_used: bool,
    pub(crate) sent: Sent,
    pub(crate) body: ModelBody,
}

impl Upstreams {
    /// Sends a call to the first choice and, as far as the caller allows and nothing was delivered, to others.
    ///
    /// # Errors
    /// The failure of the last attempt, or the deadline; that the question cannot be put when nobody could be asked.
    pub(crate) async fn forward(&self, call: &Forward<'_>, route: &Route) -> Result<Forwarded, Failure> {
        let forbidden = call.qos.degrade_policy == Some(DegradePolicy::Forbid);
        let mut others = route.others.iter().take(if forbidden { 0 } else { usize::MAX });
        let (mut attempts, mut failed) = (Attempts::default(), None);
        let mut target = &route.first;
        let deadline = times::deadline(call.qos, call.started);
        loop {
            let failure = match self.attempt(call, target, deadline).await {
                Ok((sent, body)) => {
                    let fallback_used = !std::ptr::eq(target, &route.first);
                    return Ok(Forwarded { target: target.clone(), fallback_used, sent, body });
                }
                Err(failure @ Failure::Untranslatable { .. }) => match others.next() {
                    Some(other) => {
                        target = other;
                        continue;
                    }
                    None => return Err(failed.unwrap_or(failure)),
                },
                Err(failure) => failure,
            };
            let failure = failure.of(&target.provider);
            let Failure::Provider(ProviderFailure { error, .. }) = &failure else { return Err(failure) };
            tell(call.trace, target, error);
            match (attempts.after(error, others.len()), deadline) {
                (Next::GiveUp, _) => return Err(failure),
                (Next::Again(pause), Some((end, _))) if Instant::now() + pause >= end => return Err(failure),
                (Next::Again(pause), _) => tokio::time::sleep(pause).await,
                (Next::Other, _) => match others.next() {
                    Some(other) => target = other,
                    None => return Err(failure),
                },
            }
            failed = Some(failure);
        }
    }

    /// Puts the question to a target: in the API that is called or, where the target turns out not to have the
    /// Responses API, as a chat completion, now and from then on.
    async fn attempt(
        &self,
        call: &Forward<'_>,
        target: &Target,
        deadline: Option<(Instant, u64)>,
    ) -> Result<(Sent, ModelBody), Failure> {
        let endpoint = self.endpoint(&target.provider).ok_or(ProviderError::NoTarget)?;
        let times = Times::new(deadline, endpoint.idle, endpoint.total);
        let send = async |sent: Sent| {
            let body = self.send(call, &sent, target, endpoint, times).await?;
            Ok::<_, Failure>((sent, body))
        };
        let Some(as_chat) = call.as_chat else { return send(call.sent.clone()).await };
        let known = endpoint.dialect.speaks();
        if known != Some(false) {
            match send(call.sent.clone()).await {
                Ok(answered) => {
                    endpoint.dialect.learn(true);
                    return Ok(answered);
                }
                Err(Failure::Provider(failed)) if known.is_none() && failed.error.denies_api() => {}
                Err(failure) => return Err(failure),
            }
        }
        // What it refuses now is told: where it has no such API, what it said of that helps nobody.
        let answered = send(as_chat()?).await?;
        if known.is_none() {
            let provider = &*target.provider;
            tracing::info!(provider, "a provider has no Responses API and is asked for chat completions");
            endpoint.dialect.learn(false);
        }
        Ok(answered)
    }

    async fn send(
        &self,
        call: &Forward<'_>,
        sent: &Sent,
        target: &Target,
        endpoint: &Endpoint,
        times: Times,
    ) -> Result<ModelBody, Failure> {
        let body = body(call, sent, target, endpoint)?;
        let circuit: Arc<str> = format!("{}/{}", target.provider, target.model).into();
        let permit = self.breaker.admit(&circuit, Instant::now()).map_err(ProviderError::LeftAlone)?;
        let mut answered = self.ask(sent.api, call.stream, endpoint, body, times).await;
        match &mut answered {
            Ok(ModelBody::Stream(stream)) => stream.reports(permit),
            Ok(ModelBody::Whole(_)) => permit.succeed(),
            Err(Failure::Provider(ProviderFailure { error, .. })) => permit.end(error.trouble()),
            // The caller's deadline says nothing about the target.
            Err(_) => drop(permit),
        }
        answered
    }

    async fn ask(
        &self,
        api: Api,
        stream: bool,
        endpoint: &Endpoint,
        body: Bytes,
        times: Times,
    ) -> Result<ModelBody, Failure> {
        let request = endpoint.post(api, stream, body);
        let answer = times.within(self.http.request(request)).await?.map_err(unanswered)?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            let body = times.within(whole(body, refusal::LONGEST)).await?.unwrap_or_default();
            return Err(ProviderError::of_status(head.status.as_u16(), &head.headers, &body).into());
        }
        if stream {
            if !is_event_stream(&head.headers) {
                let body = times.within(whole(body, refusal::LONGEST)).await?.unwrap_or_default();
                return Err(no_stream(&body).into());
            }
            let stream = ModelStream::open(api, body, times).await?;
            return Ok(ModelBody::Stream(Box::new(stream)));
        }
        let body = collect(body, times).await?;
        let answer = Object::of(body).map_err(|_| ProviderError::Malformed("it is no JSON object"))?;
        check(api, &answer)?;
        Ok(ModelBody::Whole(answer))
    }
}

/// Tells the log which provider failed. What speaks against it, or against its settings here, is the operator's to know; a
/// target that keeps failing is left alone, so these lines are few.
fn tell(trace: &TraceId, target: &Target, error: &ProviderError) {
    let provider = &*target.provider;
    let cause = chain(error);
    if error.is_fault() || matches!(error, ProviderError::Credential(_)) {
        tracing::warn!(%trace, provider, cause, "an attempt failed");
    } else {
        tracing::debug!(%trace, provider, cause, "an attempt failed");
    }
}

/// The body as a target gets it: with its model, and for a stream of chat completions with its usage at the end.
fn body(call: &Forward<'_>, sent: &Sent, target: &Target, endpoint: &Endpoint) -> Result<Bytes, Failure> {
    let members = Members::of(&sent.body).map_err(|error| Failure::Internal(error.into()))?;
    let mut edit = members.edit().set("model", json(&target.model));
    if call.stream && sent.api == Api::ChatCompletions && endpoint.stream_usage {
        let options = members.value("stream_options").unwrap_or(b"{}");
        let options = Members::of(options).map_err(|error| Failure::Internal(error.into()))?;
        edit = edit.set("stream_options", options.edit().set("include_usage", &b"true"[..]).finish());
    }
    Ok(edit.finish().into())
}

/// Whether what came with a status of success is an answer of its API. Nothing of it has gone out: a failure can still be
/// answered as one, or another target be asked.
fn check(api: Api, answer: &Object) -> Result<(), ProviderError> {
    let members = answer.members();
    let (name, missing) = match api {
        Api::ChatCompletions => ("choices", "it has no choices"),
        Api::Responses => ("output", "it has no output"),
        Api::Embeddings => ("data", "it has no embeddings"),
    };
    match members.value(name) {
        Some([b'[', ..]) if api == Api::Responses => check_end(&members),
        Some([b'[', ..]) => Ok(()),
        _ if members.value("error").is_some() => Err(ProviderError::in_answer(answer.text())),
        _ => Err(ProviderError::Malformed(missing)),
    }
}

/// What an answer means that is none of the streams that were asked for.
fn no_stream(body: &[u8]) -> ProviderError {
    match Members::of(body) {
        Ok(members) if members.value("error").is_some() => ProviderError::in_answer(body),
        _ => ProviderError::Malformed("a stream was asked for, and it is none"),
    }
}

/// Whether a whole response has come to its end.
fn check_end(response: &Members<'_>) -> Result<(), ProviderError> {
    #[derive(Default, Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        code: Option<Cow<'a, str>>,
        #[serde(borrow)]
        message: Option<Cow<'a, str>>,
    }
    match response.read::<Cow<'_, str>>("status").as_deref() {
        Some("failed" | "cancelled") => {
            let Error { code, message } = response.read("error").unwrap_or_default();
            Err(ProviderError::of_response(code.as_deref(), message.as_deref()))
        }
        Some("queued" | "in_progress") => Err(ProviderError::Malformed("the response has not ended")),
        _ => Ok(()),
    }
}

/// A body that is no stream, piece by piece, so that one that is slow and one that is silent are told apart.
async fn collect(mut body: Incoming, times: Times) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(piece) = times.within(body.frame()).await? {
        let piece = piece.map_err(|error| ProviderError::BrokeOff(Some(error.into())))?;
        let Ok(piece) = piece.into_data() else { continue };
        if first.len() + whole.len() + piece.len() > LONGEST {
            return Err(ProviderError::Malformed("it is too long").into());
        }
        if first.is_empty() && whole.is_empty() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

/// What an error answer says, if it can be read.
async fn whole(body: Incoming, most: usize) -> Option<Bytes> {
    Limited::new(body, most).collect().await.ok().map(|body| body.to_bytes())
}

fn unanswered(error: hyper_util::client::legacy::Error) -> ProviderError {
    let hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if error.is_connect() {
        ProviderError::Unreachable(Obstacle::of(&error), error.into())
    } else if hyper.is_some_and(hyper::Error::is_parse) {
        ProviderError::Malformed(
            "it is no HTTP; if the provider takes TLS alone, its URL begins with https://",
        )
    } else {
        ProviderError::BrokeOff(Some(error.into()))
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The answer to a request of its own, whole, within the endpoint's limits.
pub(super) async fn simple(
    answer: Result<Response<Incoming>, hyper_util::client::legacy::Error>,
    times: Times,
) -> Result<Bytes, Failure> {
    let (head, body) = answer.map_err(unanswered)?.into_parts();
    if !head.status.is_success() {
        let body = times.within(whole(body, refusal::LONGEST)).await?.unwrap_or_default();
        return Err(ProviderError::of_status(head.status.as_u16(), &head.headers, &body).into());
    }
    collect(body, times).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_array_of_its_api_and_an_error_in_its_place_is_told() {
        for (api, name) in
            [(Api::ChatCompletions, "choices"), (Api::Responses, "output"), (Api::Embeddings, "data")]
        {
            let of = |body: &str| check(api, &Object::of(Bytes::copy_from_slice(body.as_bytes())).unwrap());
            assert!(of(&format!(r#"{{"{name}":[]}}"#)).is_ok(), "{name}");
            assert!(of(&format!(r#"{{"error":null,"{name}":[{{}}]}}"#)).is_ok(), "{name}");
            for body in ["{}".to_owned(), format!(r#"{{"{name}":null}}"#), format!(r#"{{"{name}":{{}}}}"#)] {
                assert!(matches!(of(&body), Err(ProviderError::Malformed(_))), "{body}");
            }
            for error in [r#"{"error":{"message":"m"}}"#, r#"{"error":"m"}"#] {
                let told = of(error);
                assert!(
                    matches!(&told, Err(ProviderError::Reported(told)) if told.message == "m"),
                    "{told:?}"
                );
            }
        }
    }
}
