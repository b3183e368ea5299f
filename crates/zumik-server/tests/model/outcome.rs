//! What a request came to, as JSON: equal when two stores gave the same.

use serde::Serialize;
use serde_json::{Value, json};
use zumik_server::domain::Prompt;
use zumik_server::store::{Answer, ClaimedLine, Page, Result, StoreError, Written};

/// The answer of a read.
pub(crate) fn read<T: Serialize>(result: Result<T>) -> Value {
    match result {
        Ok(value) => json!({ "value": value }),
        Err(error) => refusal(&error),
    }
}

/// The answer of a write, with all that would go out.
pub(crate) fn written<T: Serialize>(result: Result<Written<T>>) -> Value {
    match result {
        Ok(written) => {
            let (replay, answer) = (written.is_replay(), kept(written.answer()));
            json!({ "replay": replay, "answer": answer, "value": written.fresh() })
        }
        Err(error) => refusal(&error),
    }
}

/// A page of a list.
pub(crate) fn page<T: Serialize>(result: Result<Page<T>>) -> Value {
    read(result.map(|page| json!({ "data": page.data, "has_more": page.has_more })))
}

/// A prompt with its texts.
pub(crate) fn prompt(result: Result<Prompt>) -> Value {
    read(result.map(|prompt| {
        let blocks = prompt.blocks.iter().map(|block| {
            let source = format!("{:?}", block.source);
            json!([source, block.artifact_id, block.artifact_type, block.text, block.param])
        });
        json!([prompt.session_id, prompt.branch_id, Value::from_iter(blocks)])
    }))
}

/// A claimed line, but for what names it in its store.
pub(crate) fn line(line: &ClaimedLine) -> Value {
    let body = String::from_utf8_lossy(&line.body);
    json!([line.batch, line.project, line.key, line.scopes.names().collect::<Vec<_>>(), line.attempt, body])
}

/// A kept answer.
pub(crate) fn kept(answer: &Answer) -> Value {
    let body = String::from_utf8_lossy(&answer.body);
    json!([answer.status, answer.trace, answer.headers, body])
}

/// Why a request was refused: the kind and the text, which clients read.
pub(crate) fn refusal(error: &StoreError) -> Value {
    let kind = match error {
        StoreError::NotFound { .. } => json!("not found"),
        StoreError::Reference { param, .. } => json!({ "reference": param }),
        StoreError::Conflict { guard, branch } => json!({ "conflict": guard.param(), "branch": branch }),
        StoreError::SessionNotActive { status } => json!({ "not active": status }),
        StoreError::Limit { .. } => json!("limit"),
        StoreError::KeyReused => json!("key reused"),
        StoreError::InFlight => json!("in flight"),
        StoreError::LeaseLost => json!("lease lost"),
        fault => json!({ "fault": format!("{fault:?}") }),
    };
    json!({ "refused": kind, "message": error.to_string() })
}
