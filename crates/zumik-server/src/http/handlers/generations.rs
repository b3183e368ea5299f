//! What generations of both surfaces have in common: the headers they are asked with and answered with, and keeping
//! what they made.

use std::borrow::Cow;

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;
use zumik_types::{ArtifactId, PrivacyMode, QosOutcome};

use crate::engine::{EngineError, Failure, Held, Target};
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, Generation, StoredResponse};

/// How long a response is kept: `default_retention_days` without a retention profile.
pub(super) const RETENTION: TimeDelta = TimeDelta::days(30);

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

/// The headers that tell what ran a generation and how the call went.
pub(super) fn headers(target: &Target, qos: &QosOutcome) -> Vec<(Cow<'static, str>, String)> {
    let mut headers = vec![
        ("Agent-Resolved-Provider".into(), target.provider.to_owned()),
        ("Agent-Resolved-Model".into(), target.model.to_owned()),
        ("Agent-Alias-Release".into(), target.release.to_string()),
        ("Agent-Execution-Profile".into(), target.profile.to_string()),
        ("Agent-Execution-Mode".into(), target.mode.to_string()),
        ("Agent-Region".into(), target.region.to_owned()),
        ("Agent-QoS-Admission".into(), qos.admission.to_string()),
        ("Agent-QoS-Degraded".into(), qos.degraded.to_string()),
    ];
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
    let mut answer = Answer::json(&call.ctx.trace, value)?;
    answer.headers = kept.headers;
    if kept.response.is_some() || held.lease().is_some() {
        let generation = Generation {
            response: kept.response,
            input_items: kept.input_items,
            expires_at: call.ctx.now + RETENTION,
            materialized: kept.materialized,
            answer: answer.clone(),
        };
        call.app.store.commit_generation(&call.ctx, generation, held.lease().cloned()).await?;
    }
    held.settle();
    Ok(Reply::fresh(answer))
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
            Failure::Deadline(deadline) => Self::deadline_exceeded(deadline),
            Failure::Engine(EngineError::Internal(cause)) => Self::internal(cause),
            Failure::Count(error) => Self::internal(error),
        }
    }
}
