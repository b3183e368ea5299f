//! One line of the results.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use zumik_types::operations::CREATE_CHAT_COMPLETION;
use zumik_types::{BatchResponse, BatchResult, ChatCompletion, TraceId};

use crate::endpoint::DecodeError;
use crate::error::{ApiError, Error, ErrorKind, Outcome, Result};
use crate::pipeline::{self, Target};
use crate::response::Meta;

/// The result of one request of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchLine {
    /// The name that the request was given.
    pub custom_id: String,
    /// The trace id of the request, if it ran.
    pub trace_id: Option<TraceId>,
    /// The answer, or why there is none: the same error as of a call, with status, code and predicates.
    ///
    /// A request that never ran, because its batch was cancelled or expired before, is a
    /// [`BatchLineNotRun`](ErrorKind::BatchLineNotRun) with the code `batch_cancelled` or `batch_expired`.
    pub result: Result<ChatCompletion>,
}

impl BatchLine {
    pub(super) fn read(line: &Bytes) -> Result<Self, DecodeError> {
        let BatchResult { custom_id, response, error, .. } = crate::endpoint::json(line)?;
        let trace_id = response.as_ref().map(|response| response.request_id.clone());
        let result = match (response, error) {
            (Some(response), _) => answer(response),
            (None, Some(error)) => Err(not_run(error.code, error.message)),
            (None, None) => {
                Err(not_run(String::new(), "the line has neither an answer nor an error".to_owned()))
            }
        };
        let as_a_call = |error: Error| error.with_operation(Target::from(&CREATE_CHAT_COMPLETION).name);
        Ok(Self { custom_id, trace_id, result: result.map_err(as_a_call) })
    }
}

fn answer(response: BatchResponse) -> Result<ChatCompletion> {
    let status = u16::try_from(response.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    if let Ok(trace_id) = HeaderValue::from_str(response.request_id.as_str()) {
        headers.insert("agent-trace-id", trace_id);
    }
    let meta = Meta::new(status, headers, 1, None);
    let body = Bytes::from(response.body.to_string());
    if status.is_success() {
        return crate::endpoint::json(&body).map_err(|error| pipeline::undecodable(meta, body, error));
    }
    Err(pipeline::refused(meta, body))
}

/// A line that the server never ran; with any other code nobody knows.
fn not_run(code: String, message: String) -> Error {
    let never = matches!(code.as_str(), "batch_cancelled" | "batch_expired");
    let (kind, outcome) = if never {
        (ErrorKind::BatchLineNotRun, Outcome::Rejected)
    } else {
        (ErrorKind::Server, Outcome::Ambiguous)
    };
    let code = Some(code).filter(|code| !code.is_empty());
    let api = ApiError { error_type: None, code, param: None };
    Error::new(kind, message).with_api(api).with_outcome(outcome).with_retryable(never)
}
