//! From a request to its answer.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::play::{Play, PlayBody};
use super::{Behaviour, Fault, MODELS, Shared};

/// A connection that ends on purpose.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends on purpose")
    }
}

impl std::error::Error for Broken {}

type Reply = Response<http_body_util::Either<Full<Bytes>, PlayBody>>;

/// Answers a request.
///
/// # Errors
/// When the connection is to end without an answer.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let path = parts.uri.path();
    match (&parts.method, path) {
        (&Method::POST, "/v1/chat/completions" | "/v1/responses" | "/v1/embeddings") => {}
        (&Method::GET, "/v1/models") => return Ok(models()),
        _ => return Ok(control(&shared, &parts.method, path, parts.uri.query().unwrap_or_default())),
    }
    let mut ticket = shared.log.arrived(path, &parts.headers, &body);
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let behaviour = match shared.behaviour(asked["model"].as_str().unwrap_or_default()) {
        Ok(behaviour) => behaviour,
        Err(message) => {
            ticket.sent();
            return Ok(error(StatusCode::BAD_REQUEST, &message));
        }
    };
    // Even no delay at all would last until the timer's next tick.
    if !behaviour.delay.is_zero() {
        tokio::time::sleep(behaviour.delay).await;
    }
    match behaviour.fault {
        Some(Fault::Silence) => pending().await,
        Some(Fault::HangUp) => {
            ticket.sent();
            return Err(Broken);
        }
        _ => {}
    }
    let answer = match failure(&behaviour) {
        Some(failure) => failure,
        None => answer::answer(path, &asked, &behaviour),
    };
    let mut response = Response::builder().status(answer.status);
    if let Some(seconds) = behaviour.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response = response.header(CONTENT_TYPE, answer.media_type()).header("x-request-id", "req_upstream");
    response = match &answer.body {
        answer::Body::Plain(body) if keeps_length(behaviour.fault) => {
            response.header(CONTENT_LENGTH, body.len())
        }
        answer::Body::Plain(_) => response,
        answer::Body::Stream(_) => response.header(CACHE_CONTROL, "no-cache"),
    };
    let body = Play::new(answer, &behaviour, ticket).body();
    Ok(response.body(http_body_util::Either::Right(body)).expect("a head of valid parts"))
}

/// Whether the length of a plain body can be promised. A cut or a stall breaks the promise, which is what they are for.
fn keeps_length(fault: Option<Fault>) -> bool {
    !matches!(fault, Some(Fault::End(_) | Fault::Error(_) | Fault::TooLong(_) | Fault::Rubbish(_)))
}

/// The answer of a behaviour that has nothing to do with what was asked.
fn failure(behaviour: &Behaviour) -> Option<Answer> {
    let status = StatusCode::from_u16(behaviour.status.unwrap_or(200)).expect("a status of HTTP");
    let body = match &behaviour.body {
        Some(body) => Bytes::from(body.clone()),
        None if status.is_success() => return None,
        None => envelope(status, "The provider says so.").to_string().into(),
    };
    Some(Answer { status, body: answer::Body::Plain(body) })
}

/// OpenAI's error, as its own API words it.
fn envelope(status: StatusCode, message: &str) -> Value {
    let (kind, code) = match status.as_u16() {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        400..500 => ("invalid_request_error", Value::Null),
        _ => ("server_error", Value::Null),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

fn models() -> Reply {
    let model = |id| json!({ "id": id, "object": "model", "created": answer::CREATED, "owned_by": "test" });
    let data: Vec<Value> = MODELS.into_iter().map(model).collect();
    whole(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

/// What steers it: `POST /control/next?BEHAVIOUR`, `POST /control/always?BEHAVIOUR`, `GET` and `DELETE /control/requests`.
fn control(shared: &Shared, method: &Method, path: &str, query: &str) -> Reply {
    match (method.as_str(), path) {
        ("POST", "/control/next" | "/control/always") => match query.parse() {
            Ok(behaviour) if path.ends_with("next") => shared.script().next.push_back(behaviour),
            Ok(behaviour) => shared.script().always = behaviour,
            Err(message) => return error(StatusCode::BAD_REQUEST, &message),
        },
        ("GET", "/control/requests") => {}
        ("DELETE", "/control/requests") => shared.log.forget(),
        _ => return error(StatusCode::NOT_FOUND, "There is no such path."),
    }
    whole(StatusCode::OK, &shared.log.json())
}

fn error(status: StatusCode, message: &str) -> Reply {
    whole(status, &envelope(status, message))
}

fn whole(status: StatusCode, body: &Value) -> Reply {
    let body = http_body_util::Either::Left(Full::from(body.to_string()));
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(body).expect("a head of valid parts")
}
