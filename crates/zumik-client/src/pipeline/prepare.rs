//! A call, ready to be sent any number of times: the same bytes under the same key each time.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Uri};
use serde_json::{Map, Value};
use tokio::time::Instant;
use zumik_types::{Idempotency, Operation, Scope};

use super::classify::Facts;
use super::delay;
use super::take::Take;
use crate::client::Zumik;
use crate::endpoint::{Body, BuildError, RequestParts, push_query};
use crate::error::{Error, ErrorKind, OperationName, Result};
use crate::multipart::MAX_BODY_BYTES;
use crate::options::{CallOptions, IDEMPOTENCY_KEY};
use crate::transport::HttpRequest;

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
    /// An operation that the table does not know, taken from the cautious side.
    pub(crate) fn unknown(method: Method, path: &str) -> Self {
        let idempotency = match method {
            Method::GET | Method::HEAD | Method::OPTIONS => Idempotency::Safe,
            Method::PUT => Idempotency::Replace,
            Method::DELETE => Idempotency::Delete,
            _ => Idempotency::Key,
        };
        Self {
            accepts_key: method == Method::POST,
            name: OperationName { method, template: Cow::Owned(path.to_owned()) },
            known: false,
            idempotency,
            generation: false,
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
    pub(crate) server: String,
    pub(crate) deadline: Instant,
    pub(crate) attempt_timeout: Duration,
    pub(crate) first_event_timeout: Option<Duration>,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_retries: u32,
    pub(crate) reject_placeholder: bool,
    pub(crate) reject_openrouter_fallback: bool,
}

impl Prepared {
    pub(crate) fn new(
        client: &Zumik,
        target: &Target,
        parts: Result<RequestParts, BuildError>,
        options: CallOptions,
    ) -> Result<Self> {
        let (shared, defaults) = (client.shared(), client.options());
        if let Some(error) = options.invalid.or_else(|| defaults.invalid.clone()) {
            return Err(error.into());
        }
        let parts = parts?;
        let url = url(shared.base_url.as_str(), &parts, &options.query);
        let mut request = HttpRequest::new(target.name.method.clone(), uri(url)?);

        let headers = &mut request.headers;
        headers.insert(USER_AGENT, AGENT);
        if target.authorized {
            headers.insert(AUTHORIZATION, shared.authorization.clone());
        }
        let (content_type, body) = encode(parts.body, options.body_fields)?;
        headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        if target.name.method == Method::POST && (target.accepts_key || options.idempotency_key.is_some()) {
            let key = options.idempotency_key.unwrap_or_else(|| shared.ambient.key());
            headers.insert(IDEMPOTENCY_KEY, value(IDEMPOTENCY_KEY.as_str(), &key)?);
        }
        for (name, text) in &parts.headers {
            let header: HeaderName =
                name.parse().map_err(|_| BuildError::Header { name: (*name).to_owned() })?;
            headers.insert(header, value(name, text)?);
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
            target: target.clone(),
            request,
            deadline: delay::after(Instant::now(), timeout),
            attempt_timeout: options.attempt_timeout.or(defaults.attempt_timeout).unwrap_or(unlimited),
            first_event_timeout: options.first_event_timeout.or(defaults.first_event_timeout),
            idle_timeout: options.idle_timeout.unwrap_or(defaults.idle_timeout),
            max_event_bytes: options.max_event_bytes.unwrap_or(defaults.max_event_bytes),
            max_retries: options.max_retries.unwrap_or(defaults.max_retries),
            reject_placeholder: options
                .reject_placeholder
                .or(defaults.reject_placeholder)
                .unwrap_or(!shared.base_url.is_loopback()),
            reject_openrouter_fallback: options
                .reject_openrouter_fallback
                .unwrap_or(defaults.reject_openrouter_fallback),
        })
    }
}

impl Prepared {
    /// The same call, asking for what `T` takes, unless the caller asks for something else.
    pub(crate) fn accepting<T: Take>(mut self) -> Self {
        if let Some(accept) = T::ACCEPT {
            self.request.headers.entry(ACCEPT).or_insert(HeaderValue::from_static(accept));
        }
        self
    }
}

fn url(base: &str, parts: &RequestParts, more: &[(String, String)]) -> String {
    let mut url = format!("{base}{}", parts.path);
    let own = parts.query.iter().map(|(name, value)| (*name, value.as_str()));
    push_query(&mut url, own.chain(more.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
    url
}

fn uri(url: String) -> Result<Uri> {
    Uri::try_from(url).map_err(|error| {
        Error::new(ErrorKind::Request, "the path or query is too long, or no part of a URL").with_cause(error)
    })
}

fn value(name: &str, text: &str) -> Result<HeaderValue, BuildError> {
    HeaderValue::try_from(text).map_err(|_| BuildError::Header { name: name.to_owned() })
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
            Ok((Some(value("content-type", &content_type)?), bytes))
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
