//! Small endpoints for tests of the pipeline: real rows of the operation table with free JSON around them.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use zumik_client::Bytes;
use zumik_client::endpoint::{BuildError, DecodeError, Endpoint, RequestParts, json as decode_json};
use zumik_client::testing::Answer;
use zumik_client::types::{Operation, operations};

macro_rules! endpoints {
    ($($(#[$doc:meta])* $name:ident: $operation:ident $values:tt $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name;

        impl Endpoint for $name {
            const OPERATION: &'static Operation = &operations::$operation;
            type Output = Value;

            fn parts(&self) -> Result<RequestParts, BuildError> {
                let parts = RequestParts::new(Self::OPERATION, &$values)?;
                match $body {
                    Value::Null => Ok(parts),
                    body => parts.json(&body),
                }
            }

            fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
                decode_json(body)
            }
        }
    )*};
}

endpoints! {
    /// A GET.
    List: LIST_ARTIFACTS [] Value::Null;
    /// A DELETE.
    Delete: DELETE_ARTIFACT ["art_1"] Value::Null;
    /// A POST that must not happen twice.
    Create: CREATE_ARTIFACT [] json!({ "artifact_type": "policy", "content": "x" });
    /// A POST that changes nothing.
    Count: COUNT_TOKENS [] json!({ "input": "x" });
    /// A POST that may happen twice.
    Cancel: CANCEL_RESPONSE ["rsp_1"] Value::Null;
    /// A compare-and-swap.
    Append: APPEND_EVENT ["ses_1", "br_1"] json!({
        "expected_version": 17, "expected_head_event_id": "evt_17", "event": { "event_type": "note" },
    });
    /// A generation.
    Generate: CREATE_RESPONSE [] json!({ "model": "code.fast", "input": "x" });
    /// Without a key.
    Health: HEALTHZ [] Value::Null;
}

/// A success.
pub(crate) fn done() -> Answer {
    Answer::json(json!({ "done": true }))
}

/// 429 of throughput.
pub(crate) fn limited() -> Answer {
    Answer::error(429, "rate_limit_error", "rate_limit_exceeded")
}

/// 409 of a key that is still in flight.
pub(crate) fn in_flight() -> Answer {
    Answer::error(409, "idempotency_conflict", "").header("retry-after", "1")
}

/// Lets a subscriber see what this thread does.
///
/// While one subscriber is alone in a process, `tracing` asks the thread that comes by a span first whether anyone wants
/// it, for all threads: a test without a subscriber would answer for the one that has it. So there is always another one.
pub(crate) fn watch(subscriber: impl tracing::Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    tracing::subscriber::set_default(subscriber)
}
