//! An answer: the value, and what came with it.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use zumik_types::{
    ExecutionMode, ExecutionProfile, ModelAliasReleaseId, ProviderCredentialId, QosAdmission, SubscriptionId,
    TraceId,
};

/// A decoded answer together with its [`Meta`] and its raw bytes. It derefs to the value.
#[derive(Clone)]
pub struct Response<T> {
    value: T,
    meta: Meta,
    body: Bytes,
}

impl<T> Response<T> {
    pub(crate) fn new(value: T, meta: Meta, body: Bytes) -> Self {
        Self { value, meta, body }
    }

    /// Status, trace id and every `Agent-*` header of the answer.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The body as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The value without the rest.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The value and what came with it.
    pub fn into_parts(self) -> (T, Meta, Bytes) {
        (self.value, self.meta, self.body)
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Response<T> {
    /// The raw body is shown by its size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("value", &self.value)
            .field("meta", &self.meta)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// What came with an answer: status, number of attempts, headers.
///
/// Every accessor is `None` when the server did not send the header, or sent a value that cannot be read.
#[derive(Clone)]
pub struct Meta {
    status: StatusCode,
    headers: HeaderMap,
    attempts: u32,
    retry_after: Option<Duration>,
    idempotency_key: Option<HeaderValue>,
}

impl Meta {
    pub(crate) fn new(
        status: StatusCode,
        headers: HeaderMap,
        attempts: u32,
        retry_after: Option<Duration>,
    ) -> Self {
        Self { status, headers, attempts, retry_after, idempotency_key: None }
    }

    /// The same, of a request that was sent under this key.
    pub(crate) fn under(mut self, key: Option<&HeaderValue>) -> Self {
        self.idempotency_key = key.cloned();
        self
    }

    /// The HTTP status. 404 on the success of a repeated DELETE: an earlier attempt, whose answer was lost, did it.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// How many times the request was sent to get this answer.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// All headers, for those without an accessor.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `Agent-Trace-Id`, or `x-request-id` where only that was sent: what to name in a support request.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.read("agent-trace-id").or_else(|| self.read("x-request-id"))
    }

    /// `x-request-id`: the same value as the trace id.
    pub fn request_id(&self) -> Option<&str> {
        self.text("x-request-id")
    }

    /// `Agent-Resolved-Provider`, for example `openai`.
    pub fn resolved_provider(&self) -> Option<&str> {
        self.text("agent-resolved-provider")
    }

    /// `Agent-Resolved-Model`, for example `gpt-4o@2025-01-01`.
    pub fn resolved_model(&self) -> Option<&str> {
        self.text("agent-resolved-model")
    }

    /// `Agent-Alias-Release`: the immutable release that an alias resolved to.
    pub fn alias_release(&self) -> Option<ModelAliasReleaseId> {
        self.read("agent-alias-release")
    }

    /// `Agent-Execution-Profile`: who paid the provider.
    pub fn execution_profile(&self) -> Option<ExecutionProfile> {
        self.read("agent-execution-profile")
    }

    /// `Agent-Execution-Mode`: whether a provider answered, the last-resort bridge, or no model at all.
    pub fn execution_mode(&self) -> Option<ExecutionMode> {
        self.read("agent-execution-mode")
    }

    /// `Agent-Region`: region of the provider endpoint, for example `us`.
    pub fn region(&self) -> Option<&str> {
        self.text("agent-region")
    }

    /// `Agent-QoS-Target-Met`; not sent when no target was set.
    pub fn qos_target_met(&self) -> Option<bool> {
        self.flag("agent-qos-target-met")
    }

    /// `Agent-QoS-Admission`: how the request was let in.
    pub fn qos_admission(&self) -> Option<QosAdmission> {
        self.read("agent-qos-admission")
    }

    /// `Agent-QoS-Degraded`.
    pub fn qos_degraded(&self) -> Option<bool> {
        self.flag("agent-qos-degraded")
    }

    /// `Agent-QoS-Reason`: a stable code, for example `target_ttft_missed`.
    pub fn qos_reason(&self) -> Option<&str> {
        self.text("agent-qos-reason")
    }

    /// `Agent-Byok-Credential-Id`: the provider credential that was used.
    pub fn byok_credential_id(&self) -> Option<ProviderCredentialId> {
        self.read("agent-byok-credential-id")
    }

    /// `Agent-Subscription-Id`: the subscription that was used.
    pub fn subscription_id(&self) -> Option<SubscriptionId> {
        self.read("agent-subscription-id")
    }

    /// `Agent-Subscription-Discount-Pct`: discount on cached input, in percent.
    pub fn subscription_discount_pct(&self) -> Option<u8> {
        self.text("agent-subscription-discount-pct")?.parse().ok()
    }

    /// `Agent-Idempotent-Replay`: `false` when the operation ran now, `true` when a stored answer came back.
    pub fn idempotent_replay(&self) -> Option<bool> {
        self.flag("agent-idempotent-replay")
    }

    /// The idempotency key under which the request was sent, the client's own one too. `None` for a request without.
    ///
    /// For 24 hours the same request under the same key gives the stored answer once more; see
    /// [`idempotency_key`](crate::Call::idempotency_key). Answers that are too large for a server to keep are made again.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_ref()?.to_str().ok()
    }

    pub(crate) fn key(&self) -> Option<&HeaderValue> {
        self.idempotency_key.as_ref()
    }

    /// How long the server asks to wait, of an answer that is no success: `retry-after-ms`, or `Retry-After` in seconds or
    /// as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// `Allow`: the methods that the path knows, on a 405.
    pub fn allow(&self) -> Option<&str> {
        self.text(header::ALLOW.as_str())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name)?.to_ascii_lowercase().parse().ok()
    }

    /// Reads an id or an open enum as leniently as from a body.
    fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        T::deserialize(BorrowedStrDeserializer::<serde::de::value::Error>::new(self.text(name)?)).ok()
    }
}

impl fmt::Debug for Meta {
    /// Headers are shown by name only: a proxy may set a cookie.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("trace_id", &self.trace_id())
            .field("attempts", &self.attempts)
            .field("retry_after", &self.retry_after)
            .field("idempotency_key", &self.idempotency_key())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(headers: &[(&'static str, &'static str)]) -> Meta {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Meta::new(StatusCode::OK, headers.collect(), 1, None)
    }

    #[test]
    fn every_header_of_the_contract_has_a_typed_accessor() {
        let meta = meta(&[
            ("agent-trace-id", "trc_1"),
            ("x-request-id", "trc_1"),
            ("agent-resolved-provider", "openai"),
            ("agent-resolved-model", "gpt-4o@2025-01-01"),
            ("agent-alias-release", "alr_2026_06_09_003"),
            ("agent-execution-profile", "byok"),
            ("agent-execution-mode", "live"),
            ("agent-region", "us"),
            ("agent-qos-target-met", "true"),
            ("agent-qos-admission", "queued"),
            ("agent-qos-degraded", "false"),
            ("agent-qos-reason", "target_ttft_missed"),
            ("agent-byok-credential-id", "pcr_1"),
            ("agent-subscription-id", "sub_1"),
            ("agent-subscription-discount-pct", "90"),
            ("agent-idempotent-replay", "true"),
            ("allow", "GET, POST"),
        ]);
        assert_eq!(meta.trace_id().unwrap().as_str(), "trc_1");
        assert_eq!(meta.request_id(), Some("trc_1"));
        assert_eq!(meta.resolved_provider(), Some("openai"));
        assert_eq!(meta.resolved_model(), Some("gpt-4o@2025-01-01"));
        assert_eq!(meta.alias_release().unwrap().as_str(), "alr_2026_06_09_003");
        assert_eq!(meta.execution_profile(), Some(ExecutionProfile::Byok));
        assert_eq!(meta.execution_mode(), Some(ExecutionMode::Live));
        assert_eq!(meta.region(), Some("us"));
        assert_eq!(meta.qos_target_met(), Some(true));
        assert_eq!(meta.qos_admission(), Some(QosAdmission::Queued));
        assert_eq!(meta.qos_degraded(), Some(false));
        assert_eq!(meta.qos_reason(), Some("target_ttft_missed"));
        assert_eq!(meta.byok_credential_id().unwrap().as_str(), "pcr_1");
        assert_eq!(meta.subscription_id().unwrap().as_str(), "sub_1");
        assert_eq!(meta.subscription_discount_pct(), Some(90));
        assert_eq!(meta.idempotent_replay(), Some(true));
        assert_eq!(meta.allow(), Some("GET, POST"));
    }

    #[test]
    fn a_value_that_nobody_knows_yet_is_kept_as_text() {
        let meta = meta(&[("agent-execution-mode", "quantum"), ("agent-trace-id", "other-shape-1")]);
        assert_eq!(meta.execution_mode().unwrap().as_str(), "quantum");
        assert_eq!(meta.trace_id().unwrap().as_str(), "other-shape-1");
    }

    #[test]
    fn a_header_that_is_missing_empty_or_unreadable_is_none() {
        let meta = meta(&[("agent-region", " "), ("agent-qos-degraded", "perhaps")]);
        assert_eq!(meta.region(), None);
        assert_eq!(meta.qos_degraded(), None);
        assert_eq!(meta.execution_mode(), None);
        assert_eq!(meta.subscription_discount_pct(), None);
    }

    #[test]
    fn the_request_id_stands_in_for_a_missing_trace_id() {
        assert_eq!(meta(&[("x-request-id", "trc_2")]).trace_id().unwrap().as_str(), "trc_2");
    }
}
