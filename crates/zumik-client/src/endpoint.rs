//! What an operation of the API looks like to the client: the meeting point of generated endpoints and the pipeline.
//!
//! An endpoint is a plain value. It can be built, printed, compared and cloned without a client; a
//! [`Call`](crate::Call) is an endpoint together with the client that will send it. Generated code implements
//! [`Endpoint`] for every operation; you can implement it to read one in a way of your own. For a path that the operation
//! table does not have there is [`Zumik::request`](crate::Zumik::request).
//!
//! The headers `Agent-Idempotency-Key`, `Agent-Hints`, `Agent-Hints-Ref`, `Agent-Trace-Mode` and
//! `Agent-Session-Ref` are no part of an endpoint: they are options of the call.

use std::fmt::{self, Display};
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zumik_types::Operation;

use crate::content::Content;
use crate::json_path;
pub use crate::multipart::Multipart;

/// One operation of the API: where it goes, what it carries, what comes back.
///
/// ```
/// use zumik_client::Bytes;
/// use zumik_client::endpoint::{BuildError, DecodeError, Endpoint, RequestParts, json};
/// use zumik_client::types::{Operation, operations};
///
/// /// Reads the liveness probe as free JSON.
/// #[derive(Debug, Clone)]
/// struct Probe;
///
/// impl Endpoint for Probe {
///     const OPERATION: &'static Operation = &operations::HEALTHZ;
///     type Output = serde_json::Value;
///
///     fn parts(&self) -> Result<RequestParts, BuildError> {
///         RequestParts::new(Self::OPERATION, &[])
///     }
///
///     fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
///         json(body)
///     }
/// }
/// ```
pub trait Endpoint: Clone + Send + Sync {
    /// The row of the operation table. Retry rules, span names and the idempotency key are decided by it.
    const OPERATION: &'static Operation;

    /// What a successful answer decodes to.
    type Output: Send + 'static;

    /// The same request, asking for a whole answer: what [`Call::send`](crate::Call::send) sends. A body that was built
    /// before may ask for a stream.
    #[must_use]
    fn whole(self) -> Self {
        self
    }

    /// The request: path, query, headers of the endpoint's own, body.
    fn parts(&self) -> Result<RequestParts, BuildError>;

    /// Reads the body of a successful answer.
    fn decode(body: &Bytes) -> Result<Self::Output, DecodeError>;
}

/// A request without what the client adds: base URL, key, idempotency key, call options.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestParts {
    /// The path, every id in it percent-encoded.
    pub path: String,
    /// Query pairs in the order of the contract, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    /// Headers of this operation's own.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// A time as a query parameter has it.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Everything but the unreserved characters of RFC 3986: what is not safe in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl RequestParts {
    /// Fills the path template of an operation with `values`, in the order of the template, percent-encoded.
    ///
    /// # Errors
    ///
    /// [`BuildError::PathSegment`] for a value that cannot stand in a path even when it is encoded: the empty
    /// text, `.` and `..`. [`BuildError::PathArity`] when there are more or fewer values than placeholders.
    pub fn new(operation: &Operation, values: &[&str]) -> Result<Self, BuildError> {
        let template = operation.path;
        let mut path = String::with_capacity(template.len() + 32 * values.len());
        let mut rest = template;
        let mut values = values.iter();
        while let Some((before, after)) = rest.split_once('{') {
            let (_, after) = after.split_once('}').ok_or(BuildError::PathArity { template })?;
            let value = *values.next().ok_or(BuildError::PathArity { template })?;
            if matches!(value, "" | "." | "..") {
                return Err(BuildError::PathSegment { template, value: value.to_owned() });
            }
            path.push_str(before);
            path.extend(utf8_percent_encode(value, SEGMENT));
            rest = after;
        }
        if values.next().is_some() {
            return Err(BuildError::PathArity { template });
        }
        path.push_str(rest);
        Ok(Self { path, query: Vec::new(), headers: Vec::new(), body: Body::Empty })
    }

    /// A path that is already complete, for operations without a row in the table.
    pub(crate) fn raw(path: String, body: Body) -> Result<Self, BuildError> {
        if !path.starts_with('/') || !path.bytes().all(stands_in_a_path) || has_dot_segment(&path) {
            return Err(BuildError::Path(path));
        }
        Ok(Self { path, query: Vec::new(), headers: Vec::new(), body })
    }

    /// Adds a query parameter, if there is a value.
    #[must_use]
    pub fn query<T: Display>(mut self, name: &'static str, value: &Option<T>) -> Self {
        self.query.extend(value.as_ref().map(|value| (name, value.to_string())));
        self
    }

    /// Adds a header, if there is a value.
    #[must_use]
    pub fn header<T: Display>(mut self, name: &'static str, value: &Option<T>) -> Self {
        self.headers.extend(value.as_ref().map(|value| (name, value.to_string())));
        self
    }

    /// Sets a JSON body.
    ///
    /// # Errors
    ///
    /// [`BuildError::Json`] when `body` does not serialize.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Result<Self, BuildError> {
        self.body = Body::Json(Bytes::from(serde_json::to_vec(body)?));
        Ok(self)
    }

    /// Sets a `multipart/form-data` body.
    #[must_use]
    pub fn multipart(mut self, body: Multipart) -> Self {
        self.body = Body::Multipart(body);
        self
    }
}

impl fmt::Debug for RequestParts {
    /// Names and sizes; no value of a query, a header or a body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |pairs: &[(&'static str, String)]| pairs.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        f.debug_struct("RequestParts")
            .field("path", &self.path)
            .field("query", &names(&self.query))
            .field("headers", &names(&self.headers))
            .field("body", &self.body)
            .finish()
    }
}

/// Whether RFC 3986 lets a byte stand in a path as it is, the slash and the percent sign included. Another one would be
/// changed on the way, and a backslash even read as a slash.
fn stands_in_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

/// Whether a server would climb out of the path.
fn has_dot_segment(path: &str) -> bool {
    path.split('/')
        .any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// The body of a request. It is complete before anything is sent, so that every attempt carries the same bytes.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Body {
    /// No body at all.
    #[default]
    Empty,
    /// `application/json`
    Json(Bytes),
    /// `multipart/form-data`
    Multipart(Multipart),
}

impl fmt::Debug for Body {
    /// The kind and the size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(bytes) => write!(f, "Json({} bytes)", bytes.len()),
            Self::Multipart(form) => f.debug_tuple("Multipart").field(form).finish(),
        }
    }
}

/// A request that cannot be made. Nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The body does not serialize.
    #[error("the request body does not serialize to JSON")]
    Json(#[source] Arc<serde_json::Error>),
    /// A value that cannot be a segment of a path: a server would read another path out of it.
    #[error("{value:?} cannot stand in the path {template}")]
    PathSegment {
        /// The path template.
        template: &'static str,
        /// The refused value.
        value: String,
    },
    /// As many values as placeholders are needed.
    #[error("the path {template} has another number of placeholders than values were given")]
    PathArity {
        /// The path template.
        template: &'static str,
    },
    /// A path that the client cannot send as it is.
    #[error(
        "the path {0:?} must begin with a slash and have no query, no fragment, no `.` or `..` segment, and no \
         character that is to be percent-encoded"
    )]
    Path(String),
    /// A header name or value with characters that HTTP does not allow.
    #[error("the header {name:?} has characters that HTTP does not allow in its name or value")]
    Header {
        /// The name as it was given. The value is not kept: it may be a secret.
        name: String,
    },
    /// Another rule of the request.
    #[error("{0}")]
    Invalid(String),
}

impl From<serde_json::Error> for BuildError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(Arc::new(error))
    }
}

/// The body of a successful answer is not what the contract says.
///
/// It says where and what was expected, without the text that was found: that may be a prompt or an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("at `{path}`: {problem}")]
pub struct DecodeError {
    path: String,
    problem: String,
}

impl DecodeError {
    #[cold]
    fn new(body: &[u8], error: &serde_json::Error) -> Self {
        Self { path: json_path::of(body, error), problem: without_literals(&error.to_string()) }
    }

    #[cold]
    fn not_utf8(body: &[u8], error: Utf8Error) -> Self {
        let read = error.valid_up_to();
        Self { path: json_path::at(&body[..read]), problem: format!("invalid UTF-8 at byte {read}") }
    }

    /// A body that is not what it should be, for an endpoint that does not read it as [`json`].
    ///
    /// Name no text that was found: it may be a prompt or an answer.
    pub fn custom(problem: impl Into<String>) -> Self {
        Self { path: ".".to_owned(), problem: problem.into() }
    }

    /// Where in the body reading stopped, for example `data[3].created_at`; `.` for the whole body.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Cuts out what stands between double quotes: serde_json names a wrong value by its text.
fn without_literals(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message.chars();
    while let Some(c) = rest.next() {
        text.push(c);
        if c != '"' {
            continue;
        }
        text.push('…');
        while let Some(hidden) = rest.next() {
            match hidden {
                '\\' => drop(rest.next()),
                '"' => break,
                _ => {}
            }
        }
        text.push('"');
    }
    text
}

/// Reads a JSON body; an empty one is read as `null`.
///
/// # Errors
///
/// [`DecodeError`] with the place where the body differs from `T`.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    // Checked once as a whole, not again for each text in it.
    let text = str::from_utf8(body).map_err(|error| DecodeError::not_utf8(body, error))?;
    let text = if text.is_empty() { "null" } else { text };
    serde_json::from_str(text).map_err(|error| DecodeError::new(body, &error))
}

/// Takes a body as it is, without a copy, for operations that answer a file.
///
/// # Errors
///
/// None; the signature is the one of [`json`].
pub fn content(body: &Bytes) -> Result<Content, DecodeError> {
    Ok(body.clone().into())
}

/// Encodes query pairs, if there are any.
pub(crate) fn encode_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, SEGMENT));
        query.push('=');
        query.extend(utf8_percent_encode(value, SEGMENT));
    }
    (!query.is_empty()).then_some(query)
}
