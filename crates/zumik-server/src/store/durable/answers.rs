//! A kept answer as bytes, before it is sealed.

use serde::{Deserialize, Serialize};
use zumik_types::TraceId;

use crate::store::{Answer, Result, StoreError};

/// What is kept of an answer beside its body.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    trace: TraceId,
    headers: Vec<(String, String)>,
}

/// A line of JSON, then the body.
pub(in crate::store) fn encode(answer: &Answer) -> Result<Vec<u8>> {
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let mut bytes =
        serde_json::to_vec(&Head { status: answer.status, trace: answer.trace.clone(), headers })?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&answer.body);
    Ok(bytes)
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Answer> {
    let damaged = || StoreError::internal("a stored answer is damaged");
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let head: Head = serde_json::from_slice(&bytes[..end])?;
    let headers = head.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let body = bytes[end + 1..].to_vec().into();
    Ok(Answer { status: head.status, trace: head.trace, headers, body })
}
