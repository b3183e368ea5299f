//! What generations of both surfaces have in common: the headers they are asked with and answered with, and keeping
//! what they made.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;
use zumik_types::{ArtifactId, BranchId, PrivacyMode, QosOutcome, Session, SessionId, SessionStatus};

use crate::app::App;
use crate::domain::{Message, Place, compile};
use crate::engine::members::Members;
use crate::engine::upstream::Refusal;
use crate::engine::{ChatMessage, Failure, Held, ProviderError, ProviderFailure, Target, Trouble};
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, Generation, ProjectCtx, PromptState, StoreError, StoredResponse};

/// How long a response is kept: `default_retention_days` without a retention profile.
pub(super) const RETENTION: TimeDelta = TimeDelta::days(30);

/// Most bytes of an answer that are kept under its key. A longer one is sent all the same and cannot be replayed: its key
/// is freed.
pub(super) const MOST_KEPT: usize = 16 * 1024 * 1024;

/// What a request may ask to be kept of it.
const MODES: [PrivacyMode; 3] =
    [PrivacyMode::Metadata, PrivacyMode::Tokenized, PrivacyMode::EncryptedFullFidelity];

/// What shall be kept of a request: `Agent-Trace-Mode`, else `metadata`.
pub(super) fn privacy_mode(call: &Call) -> Result<PrivacyMode, ApiError> {
    let Some(value) = call.raw_header("agent-trace-mode") else { return Ok(PrivacyMode::Metadata) };
    let text = String::from_utf8_lossy(value);
    let mode = PrivacyMode::from(&*text);
    if MODES.contains(&mode) {
        return Ok(mode);
    }
    let message = format!(
        "'Agent-Trace-Mode' must be 'metadata', 'tokenized' or 'encrypted_full_fidelity', not '{}'.",
        excerpt(&text)
    );
    Err(ApiError::invalid("Agent-Trace-Mode", message))
}

/// The header that puts the state of a session before the request's own part.
pub(super) const SESSION_REF: &str = "Agent-Session-Ref";

/// The session that `Agent-Session-Ref` names.
///
/// # Errors
/// 400 for what cannot be the id of a session.
pub(super) fn session_ref(call: &Call) -> Result<Option<SessionId>, ApiError> {
    let Some(value) = call.raw_header(SESSION_REF) else { return Ok(None) };
    let id = String::from_utf8_lossy(value);
    id.parse().map(Some).map_err(|_| {
        ApiError::invalid(SESSION_REF, format!("'{SESSION_REF}' names no session: '{}'.", excerpt(&id)))
    })
}

/// A failure of the state, which only `Agent-Session-Ref` can have led to.
pub(super) fn in_session_ref(failure: Failure) -> ApiError {
    match failure {
        Failure::State(StoreError::Reference { problem, .. }) => {
            ApiError::invalid(SESSION_REF, format!("'{SESSION_REF}': {problem}."))
        }
        Failure::Prompt(mut error) => {
            error.param = SESSION_REF;
            Failure::Prompt(error).into()
        }
        other => other.into(),
    }
}

/// The compiled prefix of a session.
pub(super) struct Prefix {
    pub(super) messages: Vec<Message>,
    /// What they are.
    pub(super) places: Vec<Place>,
    /// The branch that it is of.
    pub(super) branch_id: Option<BranchId>,
    /// Artifacts whose text is in it.
    pub(super) materialized: Vec<ArtifactId>,
}

/// What the session of `Agent-Session-Ref` puts before a request's own part.
///
/// # Errors
/// 400 when it names no session of the project or one whose state cannot be a prompt, 409 when it is not active.
pub(super) async fn session_prefix(
    app: &App,
    ctx: &ProjectCtx,
    session: &SessionId,
) -> Result<Prefix, ApiError> {
    let state = PromptState { session_id: Some(session.clone()), ..PromptState::default() };
    let prompt = app.store.read_prompt(ctx, state).await.map_err(|error| in_session_ref(error.into()))?;
    let (places, materialized) = (prompt.places(), prompt.artifacts());
    let messages = compile(prompt.blocks).map_err(|error| in_session_ref(error.into()))?;
    Ok(Prefix { messages, places, branch_id: prompt.branch_id, materialized })
}

/// The session of `Agent-Session-Ref`, for a generation that reads nothing of its state.
///
/// # Errors
/// 400 when it names no session of the project, 409 when it is not active.
pub(super) async fn attached(call: &Call, id: &SessionId) -> Result<Session, ApiError> {
    match call.app.store.retrieve_session(&call.ctx, id).await {
        Ok(session) if session.status == SessionStatus::Active => Ok(session),
        Ok(Session { status, .. }) => Err(StoreError::SessionNotActive { status }.into()),
        Err(StoreError::NotFound { .. }) => {
            let problem = format!("nothing with id '{}' exists in this project", excerpt(id.as_str()));
            Err(in_session_ref(StoreError::reference(SESSION_REF, problem).into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// A body with these messages before the first of its array `member`. Everything else stays as it is.
///
/// # Errors
/// The body has no such array.
pub(super) fn with_prefix(body: &Bytes, member: &str, prefix: &[Message]) -> Result<Bytes, ApiError> {
    if prefix.is_empty() {
        return Ok(body.clone());
    }
    let members = Members::of(body).map_err(ApiError::internal)?;
    let array = members.get(member).and_then(|array| array.strip_prefix(b"["));
    let Some(rest) = array else { return Err(ApiError::internal("a body has no array of messages")) };
    let prefix: Vec<ChatMessage<'_>> = prefix.iter().map(ChatMessage::from).collect();
    let mut array = serde_json::to_vec(&prefix).map_err(ApiError::internal)?;
    array.pop();
    if rest.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b']') {
        array.push(b',');
    }
    array.extend_from_slice(rest);
    Ok(members.edit().set(member, array).finish().into())
}

/// The headers that tell what ran a generation and how the call went.
pub(super) fn headers(target: &Target, qos: &QosOutcome) -> Vec<(Cow<'static, str>, String)> {
    let mut headers = vec![
        ("Agent-Resolved-Provider".into(), target.provider.to_string()),
        ("Agent-Resolved-Model".into(), target.resolved_model()),
        ("Agent-Execution-Profile".into(), target.profile.to_string()),
        ("Agent-Execution-Mode".into(), target.mode.to_string()),
        ("Agent-Region".into(), target.region.to_string()),
        ("Agent-QoS-Admission".into(), qos.admission.to_string()),
        ("Agent-QoS-Degraded".into(), qos.degraded.to_string()),
    ];
    if let Some(release) = &target.release {
        headers.push(("Agent-Alias-Release".into(), release.to_string()));
    }
    if let Some(met) = qos.target_met {
        headers.push(("Agent-QoS-Target-Met".into(), met.to_string()));
    }
    if let Some(reason) = &qos.reason_code {
        headers.push(("Agent-QoS-Reason".into(), reason.clone()));
    }
    headers
}

/// What is kept beside the answer itself.
#[derive(Default)]
pub(super) struct Kept {
    /// The response, if it can be retrieved later.
    pub(super) response: Option<StoredResponse>,
    /// Whether that response was kept when it began: then this is its end.
    pub(super) begun: bool,
    /// Input items to be kept with it.
    pub(super) input_items: Option<Vec<Value>>,
    /// Artifacts whose text was in the prompt.
    pub(super) materialized: Vec<ArtifactId>,
    /// Headers of the answer.
    pub(super) headers: Vec<(Cow<'static, str>, String)>,
}

/// Keeps what a call made, and its answer under the idempotency key that is held, and answers.
pub(super) async fn keep<T: Serialize>(
    call: &Call,
    held: Held,
    kept: Kept,
    value: &T,
) -> Result<Reply, ApiError> {
    let answer = Answer::json(&call.ctx.trace, value)?;
    keep_answer(call, held, kept, answer).await
}

/// Keeps what a call made, and this answer under the idempotency key that is held, and answers.
pub(super) async fn keep_answer(
    call: &Call,
    held: Held,
    mut kept: Kept,
    mut answer: Answer,
) -> Result<Reply, ApiError> {
    answer.headers.append(&mut kept.headers);
    commit(&call.app, &call.ctx, held, kept, &answer).await?;
    Ok(Reply::fresh(answer))
}

/// Keeps what a call made, and its answer under the idempotency key that is held: in one transaction, if there is
/// anything to keep.
pub(super) async fn commit(
    app: &App,
    ctx: &ProjectCtx,
    held: Held,
    kept: Kept,
    answer: &Answer,
) -> Result<(), ApiError> {
    let lease = held.lease().filter(|_| answer.body.len() <= MOST_KEPT).cloned();
    let settled = lease.is_some();
    if held.lease().is_some() && !settled {
        tracing::warn!(trace = %ctx.trace, "an answer is too long to be kept under its key");
    }
    if kept.response.is_some() || settled {
        let generation = Generation {
            response: kept.response,
            begun: kept.begun,
            input_items: kept.input_items,
            expires_at: ctx.now + RETENTION,
            materialized: kept.materialized,
            answer: answer.clone(),
        };
        app.store.commit_generation(ctx, generation, lease).await?;
    }
    if settled {
        held.settle();
    }
    Ok(())
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::State(error) => error.into(),
            Failure::Prompt(error) => {
                let message = format!(
                    "'{}' leads to the artifact '{}', a binary_attachment, which no prompt can hold.",
                    error.param, error.artifact_id
                );
                Self::invalid(error.param, message)
            }
            Failure::UnknownModel(model) => Self::model_not_found(&model),
            Failure::Region(region) => Self::region_not_allowed(&region),
            Failure::Deadline(deadline) => Self::deadline_exceeded(deadline),
            Failure::Provider(ProviderFailure { error, provider }) => Self::from(error).of(provider),
            Failure::Untranslatable { param, message } => Self::invalid(param, message),
            Failure::Internal(cause) => Self::internal(cause),
            Failure::Count(error) => Self::internal(error),
        }
    }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        let unasked = error.is_unasked();
        let message = match error {
            ProviderError::Refused(refusal) => {
                let Refusal { status, message, code, param } = *refusal;
                return Self::refused_by_provider(status, message, code, param);
            }
            ProviderError::Reported(refusal) => {
                let Refusal { status, message, code, param } = *refusal;
                let code = code.unwrap_or_else(|| "provider_error".to_owned());
                return Self::refused_by_provider(status, message, Some(code), param);
            }
            ProviderError::Limited { retry_after } => {
                return Self::rate_limited("the provider of this model", retry_after);
            }
            ref other => sentence(other),
        };
        let error = Self::provider(message).caused_by(error.into());
        if unasked { error.unasked() } else { error }
    }
}

/// What a caller is told of a failure that is not told in the provider's words.
fn sentence(error: &ProviderError) -> Cow<'static, str> {
    let of = |trouble: Trouble| format!("The provider of this model {trouble}.");
    match error {
        ProviderError::Credential(status) => {
            format!("The provider of this model refused the credential of this server with status {status}.")
                .into()
        }
        ProviderError::LeftAlone(trouble) => {
            format!("{} It has failed several times in a row and is left alone for a while.", of(*trouble))
                .into()
        }
        ProviderError::Limited { .. } => "The provider of this model is at its rate limit.".into(),
        // A provider without such a list refuses the question for it.
        ProviderError::Unlisted(None) | ProviderError::Refused(_) => {
            "The provider does not tell which models it has.".into()
        }
        ProviderError::Unlisted(Some(cause)) => sentence(cause),
        ProviderError::NoTarget => "No permitted provider serves this model.".into(),
        fault => {
            fault.trouble().map_or("The provider of this model failed.".into(), |trouble| of(trouble).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;
    use crate::engine::Reservation;
    use crate::fixtures;
    use crate::store::{Idempotency, Reserved};

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_not_kept_and_frees_its_key() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        for (key, length) in [("kept", MOST_KEPT), ("not kept", MOST_KEPT + 1)] {
            let key = Idempotency { path: "/".to_owned(), key: key.to_owned(), fingerprint: [0; 32] };
            let reserved = Held::reserve(&app, &ctx, Some(key.clone())).await;
            let Ok(Reservation::Held(held)) = reserved else { panic!("the key is free") };
            let answer = Answer {
                status: 200,
                trace: ctx.trace.clone(),
                headers: Vec::new(),
                body: Bytes::from(vec![b'x'; length]),
            };
            commit(&app, &ctx, held, Kept::default(), &answer).await.unwrap();
            // A shutdown waits until it is free.
            app.running.end().await;
            match app.store.reserve(&ctx, &key).await.unwrap() {
                Reserved::Replayed(answer) => {
                    assert_eq!((key.key.as_str(), answer.body.len()), ("kept", length))
                }
                Reserved::Held(_) => assert_eq!(key.key, "not kept"),
            }
        }
    }

    #[test]
    fn only_a_failure_that_asked_no_model_and_may_pass_is_said_to_be_one() {
        for (error, is_unasked) in [
            (ProviderError::LeftAlone(Trouble::BrokeOff), true),
            (ProviderError::Unlisted(None), true),
            (ProviderError::NoTarget, false),
            (ProviderError::Limited { retry_after: 7 }, false),
            (ProviderError::Failed(503), false),
            (ProviderError::refused(400, b""), false),
        ] {
            let what = format!("{error:?}");
            assert_eq!(ApiError::from(error).is_unasked(), is_unasked, "{what}");
        }
        assert_eq!(ApiError::from(ProviderError::Limited { retry_after: 7 }).retry_after(), Some(7));
    }

    #[test]
    fn a_prefix_stands_before_the_messages_and_nothing_else_changes() {
        let prefix = [
            Message { role: Role::System, text: "say \"a\"".to_owned() },
            Message { role: Role::User, text: "b".to_owned() },
        ];
        let body = Bytes::from_static(br#"{"x":1.0, "messages" : [ {"role":"user"} ] ,"model":"m"}"#);
        let whole = with_prefix(&body, "messages", &prefix).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&whole),
            r#"{"x":1.0, "messages" : [{"role":"system","content":"say \"a\""},{"role":"user","content":"b"}, {"role":"user"} ] ,"model":"m"}"#
        );
        let empty =
            with_prefix(&Bytes::from_static(br#"{"messages":[ ]}"#), "messages", &prefix[1..]).unwrap();
        assert_eq!(&empty[..], br#"{"messages":[{"role":"user","content":"b"} ]}"#);
        assert_eq!(with_prefix(&body, "messages", &[]).unwrap(), body);
    }
}
