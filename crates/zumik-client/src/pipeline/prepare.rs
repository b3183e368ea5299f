//! A call, ready to be sent any number of times: the same bytes under the same key each time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use reqwest::Url;
use serde_json::{Map, Value};
use tokio::time::Instant;
use zumik_types::{Idempotency, Operation, Scope};

use super::classify::Facts;
use super::delay;
use crate::base_url::BaseUrl;
use crate::client::Zumik;
use crate::endpoint::{Body, BuildError, RequestParts, encode_query};
use crate::error::{Error, ErrorKind, OperationName, Result};
use crate::multipart::MAX_BODY_BYTES;
use crate::options::{CallOptions, IDEMPOTENCY_KEY};
use crate::transport::HttpRequest;

/// The longest address that HTTP libraries take.
const MAX_URL_BYTES: usize = u16::MAX as usize - 1;

/// The limit of one attempt where the caller sets none, for operations that call no model.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("zumik-rust/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the pipeline must know of an operation.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: OperationName,
    /// The path template is one of the operation table's, and holds no id.
    pub(crate) known: bool,
    pub(crate) idempotency: Idempotency,
    pub(crate) accepts_key: bool,
    /// It calls a model, or may do so: an attempt has no limit unless the caller sets one.
    pub(crate) generation: bool,
    pub(crate) authorized: bool,
}

impl From<&'static Operation> for Target {
    fn from(operation: &'static Operation) -> Self {
        let method = match operation.method {
            zumik_types::Method::Get => Method::GET,
            zumik_types::Method::Post => Method::POST,
            zumik_types::Method::Put => Method::PUT,
            zumik_types::Method::Delete => Method::DELETE,
        };
        Self {
            name: OperationName { method, template: Cow::Borrowed(operation.path) },
            known: true,
            idempotency: operation.idempotency,
            accepts_key: operation.accepts_key,
            generation: operation.generation,
            authorized: operation.scope != Scope::None,
        }
    }
}

impl Target {
    /// An operation that the table does not know, taken from the cautious side: what may call a model has no limit of an
    /// attempt, which would end a generation and begin it again.
    pub(crate) fn unknown(method: Method, path: &str) -> Self {
        let idempotency = match method {
            Method::GET | Method::HEAD | Method::OPTIONS => Idempotency::Safe,
            Method::PUT => Idempotency::Replace,
            Method::DELETE => Idempotency::Delete,
            _ => Idempotency::Key,
        };
        Self {
            accepts_key: method == Method::POST,
            generation: method == Method::POST,
            name: OperationName { method, template: Cow::Owned(path.to_owned()) },
            known: false,
            idempotency,
            authorized: true,
        }
    }
}

/// A call with everything decided that does not depend on an answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) target: Target,
    pub(crate) request: HttpRequest,
    pub(crate) facts: Facts,
    /// Scheme, host and port of the server, for messages.
    pub(crate) server: Arc<str>,
    /// Until when the call has time, once it [began](Self::begin).
    pub(crate) deadline: Instant,
    /// How long the call was given, until the deadline.
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) first_event_timeout: Option<Duration>,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_retries: u32,
    pub(crate) reject_placeholder: bool,
    pub(crate) reject_openrouter_fallback: bool,
}

impl Prepared {
    /// Decides everything. `accept` is asked for unless the caller asks for something else.
    pub(crate) fn new(
        client: &Zumik,
        target: Target,
        parts: Result<RequestParts, BuildError>,
        options: CallOptions,
        accept: Option<&'static str>,
    ) -> Result<Self> {
        let (shared, defaults) = (client.shared(), client.options());
        if let Some(error) = options.invalid.or_else(|| defaults.invalid.clone()) {
            return Err(error.into());
        }
        let parts = parts?;
        let url = address(&shared.base_url, &parts, &options.query)?;
        let mut request = HttpRequest::new(target.name.method.clone(), url);

        let headers = &mut request.headers;
        headers.insert(USER_AGENT, AGENT);
        headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
        if target.authorized {
            headers.insert(AUTHORIZATION, shared.authorization.clone());
        }
        if let Body::Multipart(form) = &parts.body
            && form.content_bytes() > MAX_BODY_BYTES
        {
            return Err(too_large(form.content_bytes()));
        }
        let (content_type, body) = encode(parts.body, options.body_fields)?;
        headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        if target.name.method == Method::POST && (target.accepts_key || options.idempotency_key.is_some()) {
            let key = options.idempotency_key.unwrap_or_else(|| shared.ambient.key());
            headers.insert(IDEMPOTENCY_KEY, value(IDEMPOTENCY_KEY.as_str(), key)?);
        }
        for (name, text) in &parts.headers {
            let header: HeaderName =
                name.parse().map_err(|_| BuildError::Header { name: (*name).to_owned() })?;
            headers.insert(header, value(name, text.as_str())?);
        }
        headers.extend(defaults.headers.clone());
        for (name, value) in options.headers {
            headers.insert(name, value);
        }

        if body.len() > MAX_BODY_BYTES {
            return Err(too_large(body.len()));
        }
        request.body = body;

        let unlimited = if target.generation { Duration::MAX } else { ATTEMPT_TIMEOUT };
        let timeout = options.timeout.unwrap_or(defaults.timeout);
        Ok(Self {
            facts: Facts {
                idempotency: target.idempotency,
                has_key: request.headers.contains_key(IDEMPOTENCY_KEY),
            },
            server: shared.base_url.origin(),
            request,
            deadline: delay::after(Instant::now(), timeout),
            timeout,
            attempt_timeout: options.attempt_timeout.or(defaults.attempt_timeout).unwrap_or(unlimited),
            first_event_timeout: options.first_event_timeout.or(defaults.first_event_timeout),
            idle_timeout: options.idle_timeout.unwrap_or(defaults.idle_timeout),
            max_event_bytes: options.max_event_bytes.unwrap_or(defaults.max_event_bytes),
            max_body_bytes: options.max_body_bytes.unwrap_or(defaults.max_body_bytes),
            max_retries: options.max_retries.unwrap_or(defaults.max_retries),
            reject_placeholder: options
                .reject_placeholder
                .or(defaults.reject_placeholder)
                .unwrap_or(!shared.base_url.is_loopback()),
            reject_openrouter_fallback: options
                .reject_openrouter_fallback
                .unwrap_or(defaults.reject_openrouter_fallback),
            target,
        })
    }

    /// Starts the clock: the call is sent now, which may be later than it was made.
    pub(crate) fn begin(&mut self) {
        self.deadline = delay::after(Instant::now(), self.timeout);
    }
}

fn address(base: &BaseUrl, parts: &RequestParts, more: &[(String, String)]) -> Result<Url> {
    let own = parts.query.iter().map(|(name, value)| (*name, value.as_str()));
    let query = encode_query(own.chain(more.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
    let url = base.join(&parts.path, query.as_deref());
    match url.as_str().len() {
        ..=MAX_URL_BYTES => Ok(url),
        bytes => Err(Error::new(
            ErrorKind::Request,
            format!("path and query make an address of {bytes} bytes; at most {MAX_URL_BYTES} can be sent"),
        )),
    }
}

fn value(name: &str, text: impl TryInto<HeaderValue>) -> Result<HeaderValue, BuildError> {
    text.try_into().map_err(|_| BuildError::Header { name: name.to_owned() })
}

/// The content type and the bytes of a body, with the fields that the caller adds.
fn encode(body: Body, fields: Vec<(String, Value)>) -> Result<(Option<HeaderValue>, Bytes), BuildError> {
    match body {
        Body::Empty if fields.is_empty() => Ok((None, Bytes::new())),
        Body::Empty => Ok((Some(JSON), json(Map::new(), fields)?)),
        Body::Json(bytes) if fields.is_empty() => Ok((Some(JSON), bytes)),
        Body::Json(bytes) => {
            let object = serde_json::from_slice(&bytes).map_err(|_| {
                BuildError::Invalid("the body is no JSON object, so no field can be set in it".to_owned())
            })?;
            Ok((Some(JSON), json(object, fields)?))
        }
        Body::Multipart(form) if fields.is_empty() => {
            let (content_type, bytes) = form.encode();
            Ok((Some(value("content-type", content_type)?), bytes))
        }
        Body::Multipart(_) => Err(BuildError::Invalid("a multipart body takes no JSON field".to_owned())),
    }
}

fn json(mut object: Map<String, Value>, fields: Vec<(String, Value)>) -> Result<Bytes, BuildError> {
    object.extend(fields);
    Ok(Bytes::from(serde_json::to_vec(&object)?))
}

pub(crate) fn too_large(bytes: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the request body has {bytes} bytes; at most {MAX_BODY_BYTES} (2 MiB) are allowed"),
    )
}
