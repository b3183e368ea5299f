//! Rules that every store applies alike: guards, times, and how a response ends.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde_json::Value;
use zumik_types::{
    AgentHints, AgentHintsId, ArtifactId, BranchState, ErrorType, EventId, Extra, ModelAliasRelease,
    ModelAliasReleaseId, ModelAliasStatus, NativeResponse, NativeResponseError, ObjectType, Patch, ProjectId,
    QosCompletion, ResponseStatus, RetentionClass, SessionStatus, StoredAgentHints, UsageEvent, UsageReport,
    V1ResponseId,
};

use super::{
    Continued, Guard, Kind, Limit, MAX_FILE_BYTES, MAX_FILES, NewAliasRelease, Result, StoreError,
    StoredResponse,
};
use crate::domain::{ResponseObject, Summary};

/// How long the content of an `ephemeral` artifact is kept.
const EPHEMERAL: TimeDelta = TimeDelta::hours(24);

/// The compiler revision of a snapshot whose request names none.
pub(super) const DEFAULT_COMPILER: &str = "pc_1";

/// The type of a bundle whose request names none.
pub(super) const DEFAULT_BUNDLE_TYPE: &str = "agent_prefix";

/// The media type of an artifact whose request names none.
pub(super) const DEFAULT_MEDIA_TYPE: &str = "text/plain";

/// A time as the API sends it.
pub(super) fn whole_seconds(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(0)
}

/// When an artifact's content goes by itself.
pub(super) fn artifact_expiry(class: &RetentionClass, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (*class == RetentionClass::Ephemeral).then(|| now + EPHEMERAL)
}

/// The group of usage events that have no value of what they are grouped by.
pub(super) const UNKNOWN_GROUP: &str = "unknown";

/// A release as it begins; `before` is the policy revision of the one that it retires.
pub(super) fn new_release(
    id: ModelAliasReleaseId,
    new: NewAliasRelease,
    before: Option<String>,
) -> ModelAliasRelease {
    ModelAliasRelease {
        id,
        object: ObjectType::ModelAliasRelease,
        alias: new.alias,
        status: ModelAliasStatus::Active,
        policy_revision: new.policy_revision.or(before).unwrap_or(new.first_policy_revision),
        capability_manifest_revision: new.capability_manifest_revision,
        targets: new.targets,
        extra: Extra::new(),
    }
}

/// Hints as they are stored.
pub(super) fn stored_hints(
    id: AgentHintsId,
    project_id: ProjectId,
    now: DateTime<Utc>,
    hints: AgentHints,
) -> StoredAgentHints {
    let AgentHints { version, session, state, reuse, qos, routing, safety, extra: _ } = hints;
    StoredAgentHints {
        id,
        object: ObjectType::AgentHints,
        project_id,
        created_at: whole_seconds(now),
        version,
        session,
        state,
        reuse,
        qos,
        routing,
        safety,
        extra: Extra::new(),
    }
}

/// The answer to a question for usage.
pub(super) fn usage_report(latest: Vec<UsageEvent>, summary: Summary) -> UsageReport {
    let (summary, groups) = summary.finish();
    UsageReport {
        object: ObjectType::List,
        data: latest,
        has_more: false,
        summary,
        groups,
        extra: Extra::new(),
    }
}

/// The artifact that a payload reference or a manifest entry names, when it has the form of one.
pub(super) fn named_artifact(text: &str) -> Option<ArtifactId> {
    text.strip_prefix(ArtifactId::PREFIXES[0]).map(ArtifactId::with_suffix)
}

/// The event that a manifest entry names, when it has the form of one.
pub(super) fn named_event(text: &str) -> Option<EventId> {
    text.strip_prefix(EventId::PREFIXES[0]).map(EventId::with_suffix)
}

/// Compares the guards of a write with the branch as it is, the version first.
pub(super) fn check_guards(
    branch: &BranchState,
    expected_version: u64,
    expected_head: &Patch<EventId>,
) -> Result<()> {
    let guard = if expected_version != branch.version {
        Guard::Version(expected_version)
    } else if expected_head.as_sent().is_some_and(|head| head != branch.head_event_id.as_ref()) {
        Guard::Head
    } else {
        return Ok(());
    };
    Err(StoreError::Conflict { guard, branch: Box::new(branch.clone()) })
}

/// Refuses a file of `new` bytes beside so many files with so many bytes.
pub(super) fn check_file_limits(files: u64, bytes: u64, new: u64) -> Result<()> {
    let limit = if files >= MAX_FILES {
        Limit::Files(MAX_FILES)
    } else if bytes.saturating_add(new) > MAX_FILE_BYTES {
        Limit::FileBytes(MAX_FILE_BYTES)
    } else {
        return Ok(());
    };
    Err(StoreError::Limit { limit })
}

/// Refuses what only an active session takes.
pub(super) fn check_active(status: &SessionStatus) -> Result<()> {
    match status {
        SessionStatus::Active => Ok(()),
        other => Err(StoreError::SessionNotActive { status: other.clone() }),
    }
}

/// An `after` that names nothing in its list.
pub(super) fn missing_after(kind: Kind, id: impl std::fmt::Display) -> StoreError {
    StoreError::reference("after", format!("no {kind} with id '{id}' exists in this project"))
}

/// A body field that names an artifact that is not there.
pub(super) fn missing_artifact(param: impl Into<String>, id: &ArtifactId) -> StoreError {
    StoreError::reference(param, format!("no artifact with id '{id}' exists in this project"))
}

/// What a request continues, but there is no such thing.
pub(super) fn nothing_to_continue(of: &Continued) -> StoreError {
    let problem = match of {
        Continued::Response(id) => format!("no response with id '{id}' exists in this project"),
        Continued::Conversation(id) => format!("no conversation with id '{id}' exists in this project"),
    };
    StoreError::reference(of.param(), problem)
}

/// A response before the one that a request continues is gone.
pub(super) fn broken_chain(of: &Continued, missing: &V1ResponseId) -> StoreError {
    let problem = format!("it continues '{missing}', which has been deleted or has expired");
    StoreError::reference(of.param(), problem)
}

/// The response that a request continues is still queued or running.
pub(super) fn still_open(of: &Continued, id: &V1ResponseId) -> StoreError {
    StoreError::reference(of.param(), format!("the response '{id}' has not ended yet"))
}

/// The items that a response was given were not kept.
pub(super) fn not_retained(of: &Continued, id: &V1ResponseId) -> StoreError {
    let problem = format!(
        "the input items of '{id}' were not kept; they are when a request has 'Agent-Trace-Mode: \
         encrypted_full_fidelity'"
    );
    StoreError::reference(of.param(), problem)
}

/// The items of one response, oldest first: given, then made. Takes their size off what is `left`.
pub(super) fn turn(
    of: &Continued,
    response: &ResponseObject,
    given: Option<Vec<Value>>,
    left: &mut usize,
) -> Result<Vec<Value>> {
    let mut items = given.ok_or_else(|| not_retained(of, response.id()))?;
    items.extend_from_slice(response.output());
    let bytes = serde_json::to_vec(&items).map_err(StoreError::internal)?.len();
    *left = left.checked_sub(bytes).ok_or_else(|| {
        let problem = "its items are too long to be placed before an input; compact them and send the result";
        StoreError::reference(of.param(), problem)
    })?;
    Ok(items)
}

impl StoredResponse {
    /// The native response that it is.
    pub(super) fn native(self) -> Result<NativeResponse> {
        match self {
            Self::Native(response) => Ok(*response),
            Self::V1(_) => Err(StoreError::internal("a response is of the other surface")),
        }
    }

    /// The `/v1` response that it is.
    pub(super) fn v1(self) -> Result<ResponseObject> {
        match self {
            Self::V1(response) => Ok(*response),
            Self::Native(_) => Err(StoreError::internal("a response is of the other surface")),
        }
    }

    /// Whether it is still queued or running.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Native(response) => {
                matches!(response.status, ResponseStatus::Queued | ResponseStatus::InProgress)
            }
            Self::V1(response) => response.is_open(),
        }
    }

    /// Ends it at the client's wish. One that has ended stays as it is; whether it was open.
    pub(super) fn cancel(&mut self) -> bool {
        let open = self.is_open();
        match self {
            _ if !open => {}
            Self::Native(response) => {
                response.status = ResponseStatus::Cancelled;
                response.output_text = None;
                response.qos_outcome.completion = Some(QosCompletion::Cancelled);
                response.qos_outcome.reason_code = Some("cancelled_by_client".to_owned());
            }
            Self::V1(response) => response.cancel(),
        }
        open
    }

    /// Ends it as failed, because the server that worked on it stopped.
    pub(super) fn abandon(&mut self) {
        const MESSAGE: &str = "the server stopped before the response was complete";
        match self {
            Self::Native(response) => {
                response.status = ResponseStatus::Failed;
                response.qos_outcome.completion = Some(QosCompletion::Failed);
                response.error = Some(NativeResponseError {
                    error_type: ErrorType::ApiError,
                    code: Some("internal_error".to_owned()),
                    message: MESSAGE.to_owned(),
                    extra: Extra::new(),
                });
            }
            Self::V1(response) => response.fail("server_error", MESSAGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_and_the_last_byte_fit() {
        let limit = |files, bytes, new| match check_file_limits(files, bytes, new) {
            Ok(()) => None,
            Err(StoreError::Limit { limit }) => Some(limit),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(limit(MAX_FILES - 1, 0, 1), None);
        assert_eq!(limit(MAX_FILES, 0, 1), Some(Limit::Files(MAX_FILES)));
        assert_eq!(limit(0, MAX_FILE_BYTES - 2, 2), None);
        assert_eq!(limit(0, MAX_FILE_BYTES - 2, 3), Some(Limit::FileBytes(MAX_FILE_BYTES)));
        assert_eq!(limit(0, 1, u64::MAX), Some(Limit::FileBytes(MAX_FILE_BYTES)));
    }
}
