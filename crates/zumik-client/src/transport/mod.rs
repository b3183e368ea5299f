//! How bytes get to a server and back. The client is written against [`Transport`]; reqwest is one, the fake of the
//! feature `testing` is another.

mod reqwest;
#[cfg(feature = "rustls")]
mod tls;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

pub use ::reqwest::{Error as ReqwestError, Url};

pub use self::reqwest::ReqwestTransport;
pub(crate) use self::reqwest::wrong_scheme;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends one request and gives its answer. One attempt: it neither retries nor follows redirects.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`. The future is done when status and headers are there; the body may follow.
    ///
    /// Dropping the future gives the attempt up.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>>;
}

/// A request, ready to be sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: Url,
    /// All headers. `Authorization` is marked as sensitive.
    pub headers: HeaderMap,
    /// The whole body; empty for a request without one.
    pub body: Bytes,
}

impl HttpRequest {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

impl fmt::Debug for HttpRequest {
    /// Method, path and the size of the body: no query, no header values, no body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.url.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// An answer: status and headers, and a body that may still be on its way.
#[non_exhaustive]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
}

impl HttpResponse {
    /// An answer with these parts.
    pub fn new(status: StatusCode, headers: HeaderMap, body: ResponseBody) -> Self {
        Self { status, headers, body }
    }
}

impl fmt::Debug for HttpResponse {
    /// Headers are shown by name only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body)
            .finish()
    }
}

/// How much of a body an error keeps.
const BEGINNING_BYTES: usize = 64 << 10;
/// How long such a body is waited for.
const BEGINNING_TIME: Duration = Duration::from_secs(5);

/// The body of an answer: there already, or in pieces as they come.
pub struct ResponseBody(Source);

enum Source {
    Whole(Bytes),
    Pieces(BoxStream<'static, Result<Bytes, TransportError>>),
}

impl ResponseBody {
    /// A body that comes in pieces.
    pub fn stream(pieces: impl Stream<Item = Result<Bytes, TransportError>> + Send + 'static) -> Self {
        Self(Source::Pieces(pieces.boxed()))
    }

    /// The pieces of the body as they come.
    pub(crate) fn into_pieces(self) -> BoxStream<'static, Result<Bytes, TransportError>> {
        match self.0 {
            Source::Whole(body) => stream::once(async { Ok(body) }).boxed(),
            Source::Pieces(pieces) => pieces,
        }
    }

    /// Waits for the end of the body, if it has no more than `limit` bytes.
    pub(crate) async fn collect(self, limit: usize) -> Result<Bytes, Uncollected> {
        let mut pieces = match self.0 {
            Source::Whole(body) if body.len() > limit => {
                return Err(Uncollected::TooLong(body.slice(..limit)));
            }
            Source::Whole(body) => return Ok(body),
            Source::Pieces(pieces) => pieces,
        };
        let mut read = Gathered::default();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(Uncollected::Broken)?;
            if read.len() + piece.len() > limit {
                return Err(Uncollected::TooLong(read.into_bytes()));
            }
            read.push(piece);
        }
        Ok(read.into_bytes())
    }

    /// What an error keeps of the body: its first 64 KiB, as far as they come within 5 seconds and before `limit`.
    pub(crate) async fn beginning(self, limit: Instant) -> Bytes {
        let mut pieces = match self.0 {
            Source::Whole(body) => return body.slice(..body.len().min(BEGINNING_BYTES)),
            Source::Pieces(pieces) => pieces,
        };
        let until = limit.min(Instant::now() + BEGINNING_TIME);
        let mut read = Gathered::default();
        while read.len() < BEGINNING_BYTES
            && let Ok(Some(Ok(mut piece))) = timeout_at(until, pieces.next()).await
        {
            piece.truncate(BEGINNING_BYTES - read.len());
            read.push(piece);
        }
        read.into_bytes()
    }
}

/// Why a body is not there whole.
pub(crate) enum Uncollected {
    /// It has more bytes than are taken; these are the first.
    TooLong(Bytes),
    /// It broke off.
    Broken(TransportError),
}

/// Pieces of a body, one after the other. A single one, the usual case, is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    whole: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len().max(self.whole.len())
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.whole.is_empty() {
            self.whole.extend_from_slice(&self.first);
        }
        self.whole.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        if self.whole.is_empty() { self.first } else { self.whole.freeze() }
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(body: T) -> Self {
        Self(Source::Whole(body.into()))
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Whole(body) => write!(f, "{} bytes", body.len()),
            Source::Pieces(_) => f.write_str("a stream"),
        }
    }
}

/// A request that got no answer, or an answer that broke off.
#[derive(Debug)]
pub struct TransportError {
    sent: bool,
    cause: Box<dyn StdError + Send + Sync>,
}

impl TransportError {
    /// Nothing was sent: no connection, or a connection that was closed before it was used.
    pub fn not_sent(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { sent: false, cause: cause.into() }
    }

    /// The request was on its way, wholly or in part, or nobody knows.
    pub fn interrupted(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { sent: true, cause: cause.into() }
    }

    /// Whether a byte of the request may have left the machine.
    pub fn may_have_been_sent(&self) -> bool {
        self.sent
    }

    /// What went wrong below, to be downcast: of reqwest's transport a [`ReqwestError`].
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.cause
    }
}

impl fmt::Display for TransportError {
    /// The cause and its causes, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut cause = self.cause.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for TransportError {}
