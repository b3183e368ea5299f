//! What anyone may ask: whether the server lives, whether it can work, and what its API is.

use bytes::Bytes;
use zumik_types::{Extra, Health, TraceId};

use super::{ApiError, Reply};
use crate::app::App;
use crate::store::Answer;

/// `openapi/zumik.yaml` as JSON; `build.rs` converts it.
const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// `GET /healthz`: the process lives and takes requests.
///
/// # Errors
/// 503 while the server drains.
pub(crate) async fn healthz(app: &App, trace: &TraceId) -> Result<Reply, ApiError> {
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    ok(trace)
}

/// `GET /readyz`: the store can read and write.
///
/// # Errors
/// 503 when it cannot, or while the server drains.
pub(crate) async fn readyz(app: &App, trace: &TraceId) -> Result<Reply, ApiError> {
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    app.store.check_ready().await?;
    ok(trace)
}

/// `GET /openapi.json`: the contract as OpenAPI 3.1.
///
/// # Errors
/// None.
pub(crate) async fn openapi(trace: &TraceId) -> Result<Reply, ApiError> {
    Ok(Reply::fresh(Answer {
        status: 200,
        trace: trace.clone(),
        headers: Vec::new(),
        body: Bytes::from_static(OPENAPI.as_bytes()),
    }))
}

fn ok(trace: &TraceId) -> Result<Reply, ApiError> {
    Reply::json(trace, &Health { status: "ok".to_owned(), extra: Extra::new() })
}
