//! A fake server for the tests of your code: scripted answers and faults, recorded requests, virtual time.
//!
//! There is no socket and no waiting: with tokio's paused clock, retries and timeouts pass at once and are still
//! measured. Keys, jitter and the time of day are fixed, so that a test sees the same thing each time.
//!
//! ```
//! use std::time::Duration;
//! use zumik_client::testing::{Answer, FakeTransport};
//! use zumik_client::types::ArtifactId;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fake = FakeTransport::new();
//! fake.answer(Answer::error(429, "rate_limit_error", "rate_limit_exceeded").header("retry-after", "2"));
//! fake.answer(Answer::json(serde_json::json!({ "id": "art_1", "object": "artifact.deleted", "deleted": true })));
//!
//! let id: ArtifactId = "art_1".parse()?;
//! let deleted = fake.client().artifacts().delete(&id).await?;
//! assert!(deleted.deleted);
//!
//! let requests = fake.requests();
//! assert_eq!(requests.len(), 2);
//! assert_eq!(requests[1].at, Duration::from_secs(2));
//! # Ok(())
//! # }
//! ```

mod answer;
mod script;
mod seeded;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::time::Instant;

pub use self::answer::Answer;
pub use self::script::StreamPart;
use self::seeded::Seeded;
use crate::builder::Builder;
use crate::client::Zumik;
use crate::transport::{BoxFuture, HttpRequest, HttpResponse, Transport, TransportError};

/// A transport that answers from a script and remembers what it was asked.
///
/// A clone is another handle of the same fake. Answers are given in the order in which they were added. When none is
/// left, the [fallback](Self::fallback) answers; without one the answer is a 501 that says so.
#[derive(Clone)]
pub struct FakeTransport(Arc<State>);

struct State {
    start: Instant,
    /// Bodies of streams that somebody still holds.
    open: Arc<AtomicUsize>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    fallback: Option<Arc<Fallback>>,
    requests: Vec<RecordedRequest>,
}

type Fallback = dyn Fn(&RecordedRequest) -> Answer + Send + Sync;

impl FakeTransport {
    /// A fake without answers.
    pub fn new() -> Self {
        Self(Arc::new(State { start: Instant::now(), open: Arc::default(), script: Mutex::default() }))
    }

    /// Adds the next answer.
    pub fn answer(&self, answer: Answer) -> &Self {
        self.script().answers.push_back(answer);
        self
    }

    /// Sets what answers when the script is empty, for example a whole fake server.
    pub fn fallback(&self, fallback: impl Fn(&RecordedRequest) -> Answer + Send + Sync + 'static) -> &Self {
        self.script().fallback = Some(Arc::new(fallback));
        self
    }

    /// All requests so far, in their order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.script().requests.clone()
    }

    /// How many answers have not been asked for.
    pub fn answers_left(&self) -> usize {
        self.script().answers.len()
    }

    /// How many connections with a stream are open: neither read to their end nor dropped.
    pub fn open_streams(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// A client of this fake with a key of its own, at `http://localhost`.
    pub fn client(&self) -> Zumik {
        let client = self.builder().build();
        // The builder below has a key, a base URL and a transport: there is nothing left that can be wrong.
        client.unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// A client of this fake that can be set up further.
    pub fn builder(&self) -> Builder {
        Zumik::builder()
            .api_key("zk_test_0123456789abcdefghijklmnopqrstuv")
            .base_url("http://localhost")
            .transport(self.clone())
            .ambient(Seeded::new(self.0.start))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: RecordedRequest) -> Answer {
        let (answer, fallback) = {
            let mut script = self.script();
            script.requests.push(request.clone());
            (script.answers.pop_front(), script.fallback.clone())
        };
        answer.or_else(|| Some(fallback?(&request))).unwrap_or_else(|| {
            let message = format!("the fake transport has no answer for {} {}", request.method, request.path);
            Answer::error(501, "api_error", "not_configured").message(&message)
        })
    }
}

impl Default for FakeTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.script();
        f.debug_struct("FakeTransport")
            .field("answers", &script.answers.len())
            .field("requests", &script.requests.len())
            .finish()
    }
}

impl Transport for FakeTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        let answer = self.next(RecordedRequest::new(request, self.0.start.elapsed()));
        Box::pin(answer.give(self.0.open.clone()))
    }
}

/// A request that the fake was asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path, still escaped.
    pub path: String,
    /// The query, still escaped. Empty without one.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it came, since the fake was made.
    pub at: Duration,
}

impl fmt::Debug for RecordedRequest {
    /// Method, path, and the sizes of query and body; no header values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &format_args!("{} bytes", self.query.len()))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("at", &self.at)
            .finish()
    }
}

impl RecordedRequest {
    fn new(request: HttpRequest, at: Duration) -> Self {
        Self {
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            method: request.method,
            headers: request.headers,
            body: request.body,
            at,
        }
    }

    /// A header as text. `None` when it is missing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The idempotency key.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("agent-idempotency-key")
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
