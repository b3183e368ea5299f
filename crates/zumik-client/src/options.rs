//! What can be set: for all calls of a client, and for one call.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use zumik_types::AgentHints;

use crate::endpoint::BuildError;
use crate::sse::DEFAULT_MAX_EVENT_BYTES;

/// The default of [`Options::max_body_bytes`]: the most that the files of a project may have together,
/// outputs of batches aside.
const DEFAULT_MAX_BODY_BYTES: usize = 256 << 20;

/// Header that carries the idempotency key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("agent-idempotency-key");

/// What holds for every call of a client, unless the call says otherwise.
///
/// It is set on the [builder](crate::Zumik::builder), or for a variant of a client with [`with`](crate::Zumik::with).
#[derive(Clone)]
pub struct Options {
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) first_event_timeout: Option<Duration>,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_retries: u32,
    pub(crate) headers: HeaderMap,
    pub(crate) reject_placeholder: Option<bool>,
    pub(crate) reject_openrouter_fallback: bool,
    pub(crate) invalid: Option<BuildError>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            attempt_timeout: None,
            first_event_timeout: None,
            idle_timeout: Duration::from_secs(300),
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
            max_retries: 2,
            headers: HeaderMap::new(),
            reject_placeholder: None,
            reject_openrouter_fallback: false,
            invalid: None,
        }
    }
}

impl Options {
    /// The deadline of a call, over all attempts and the waits between them. Default: 10 minutes.
    ///
    /// For a stream it ends with the first event: a stream may go on for as long as events
    /// [come](Self::idle_timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The limit of one attempt, from opening the connection to the last byte of the answer.
    ///
    /// Default: 60 seconds, and for operations that call a model, or may ([`Zumik::request`](crate::Zumik::request) with
    /// a POST), only what is left of the [`timeout`](Self::timeout).
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// The limit of one attempt to open a stream, up to its first event.
    ///
    /// Default: the [`attempt_timeout`](Self::attempt_timeout), and without one only what is left of the
    /// [`timeout`](Self::timeout): some servers answer a stream's first byte when the whole answer is there.
    #[must_use]
    pub fn first_event_timeout(mut self, timeout: Duration) -> Self {
        self.first_event_timeout = Some(timeout);
        self
    }

    /// How long a stream or a download may be silent after it has begun, before it is given up. Default: 5 minutes,
    /// because a model may think between two events.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How large one event of a stream, or one line of a batch's results, may be. Default: 16 MiB.
    #[must_use]
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// How large an answer may be that is taken whole, in memory, the events of a stream that is
    /// [collected](crate::EventStream::collect) and the [results](crate::BatchResults::collect) of a batch included.
    /// Default: 256 MiB. A longer one is a [`Decode`](crate::ErrorKind::Decode) error, and its rest is not read.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// How many more attempts follow a first one that failed. Default: 2. With 0 nothing is ever repeated.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Adds a header to every request, or replaces one that the client would send itself.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match header(name, value) {
            Ok((name, value)) => {
                self.headers.insert(name, value);
            }
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// Whether an answer with `Agent-Execution-Mode: placeholder`, which no model made, is an
    /// [error](crate::ErrorKind::Placeholder). Such an answer has status 200 and a perfect body.
    ///
    /// The header is on the answer of a generation, and on a response of `/v1` that is retrieved later. The lines of a
    /// batch have no headers, so nothing tells there, nor on a native response that is retrieved: ask one of the same
    /// model for a generation first.
    ///
    /// Default: yes, unless the base URL is on this machine (`localhost`, `127.0.0.0/8`, `::1`), where a server for
    /// development answers.
    #[must_use]
    pub fn reject_placeholder(mut self, reject: bool) -> Self {
        self.reject_placeholder = Some(reject);
        self
    }

    /// Whether an answer with `Agent-Execution-Mode: openrouter_fallback`, made by the last-resort bridge, is an
    /// [error](crate::ErrorKind::OpenrouterFallback). Default: no, because a real model answered.
    #[must_use]
    pub fn reject_openrouter_fallback(mut self, reject: bool) -> Self {
        self.reject_openrouter_fallback = reject;
        self
    }
}

impl fmt::Debug for Options {
    /// Headers are shown by name only: their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("first_event_timeout", &self.first_event_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_event_bytes", &self.max_event_bytes)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_retries", &self.max_retries)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("reject_placeholder", &self.reject_placeholder)
            .field("reject_openrouter_fallback", &self.reject_openrouter_fallback)
            .finish()
    }
}

/// What holds for one call.
#[derive(Clone, Default)]
pub(crate) struct CallOptions {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) first_event_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_event_bytes: Option<usize>,
    pub(crate) max_body_bytes: Option<usize>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) reject_placeholder: Option<bool>,
    pub(crate) reject_openrouter_fallback: Option<bool>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body_fields: Vec<(String, Value)>,
    pub(crate) invalid: Option<BuildError>,
}

impl CallOptions {
    pub(crate) fn set_idempotency_key(&mut self, key: String) {
        let visible = key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !visible || key.is_empty() || key.len() > 255 {
            self.refuse(BuildError::Invalid(
                "an idempotency key is 1 to 255 visible ASCII characters; the given one is not".to_owned(),
            ));
        }
        self.idempotency_key = Some(key);
    }

    pub(crate) fn add_header(&mut self, name: &str, value: &str) {
        match header(name, value) {
            Ok(header) => self.headers.push(header),
            Err(error) => self.refuse(error),
        }
    }

    pub(crate) fn add_body_field(&mut self, name: String, value: &impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => self.body_fields.push((name, value)),
            Err(error) => self.refuse(error.into()),
        }
    }

    pub(crate) fn add_hints(&mut self, hints: &AgentHints) {
        match hints.to_header_value() {
            Ok(value) => self.add_header("agent-hints", &value),
            Err(error) => self.refuse(BuildError::Invalid(error.to_string())),
        }
    }

    /// Remembers the first thing that is wrong; sending reports it.
    pub(crate) fn refuse(&mut self, error: BuildError) {
        self.invalid.get_or_insert(error);
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("CallOptions")
            .field("idempotency_key", &self.idempotency_key)
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("first_event_timeout", &self.first_event_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_event_bytes", &self.max_event_bytes)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_retries", &self.max_retries)
            .field("reject_placeholder", &self.reject_placeholder)
            .field("reject_openrouter_fallback", &self.reject_openrouter_fallback)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("query", &names(&self.query))
            .field("body_fields", &self.body_fields.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), BuildError> {
    let refused = || BuildError::Header { name: name.to_owned() };
    let name: HeaderName = name.parse().map_err(|_| refused())?;
    let mut value: HeaderValue = value.parse().map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The options of one call, as methods of everything that has a field `options: CallOptions`.
macro_rules! call_options {
    () => {
        /// Sets the idempotency key instead of a fresh one per logical call: 1 to 255 visible ASCII characters.
        ///
        /// A repeat with the same key within 24 hours gives the stored answer back and runs nothing. Only a POST has
        /// one; elsewhere it is not sent.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            self.options.set_idempotency_key(key.into());
            self
        }

        /// Sets the deadline of this call, over all attempts and the waits between them.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.timeout = Some(timeout);
            self
        }

        /// Sets the limit of one attempt.
        pub fn attempt_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.attempt_timeout = Some(timeout);
            self
        }

        /// Sets the limit of one attempt to open a stream; see
        /// [`Options::first_event_timeout`](crate::Options::first_event_timeout).
        pub fn first_event_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.first_event_timeout = Some(timeout);
            self
        }

        /// Sets how long a stream may be silent; see [`Options::idle_timeout`](crate::Options::idle_timeout).
        pub fn idle_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.idle_timeout = Some(timeout);
            self
        }

        /// Sets how large an event of a stream may be, in bytes; see
        /// [`Options::max_event_bytes`](crate::Options::max_event_bytes).
        pub fn max_event_bytes(mut self, bytes: usize) -> Self {
            self.options.max_event_bytes = Some(bytes);
            self
        }

        /// Sets how large an answer may be that is taken whole, in bytes; see
        /// [`Options::max_body_bytes`](crate::Options::max_body_bytes).
        pub fn max_body_bytes(mut self, bytes: usize) -> Self {
            self.options.max_body_bytes = Some(bytes);
            self
        }

        /// Sets how many more attempts may follow a failed one.
        pub fn max_retries(mut self, retries: u32) -> Self {
            self.options.max_retries = Some(retries);
            self
        }

        /// Sets whether an answer that no model made is an error; see
        /// [`Options::reject_placeholder`](crate::Options::reject_placeholder).
        pub fn reject_placeholder(mut self, reject: bool) -> Self {
            self.options.reject_placeholder = Some(reject);
            self
        }

        /// Sets whether an answer of the last-resort bridge is an error; see
        /// [`Options::reject_openrouter_fallback`](crate::Options::reject_openrouter_fallback).
        pub fn reject_openrouter_fallback(mut self, reject: bool) -> Self {
            self.options.reject_openrouter_fallback = Some(reject);
            self
        }

        /// Adds a header, or replaces one that the client would send itself.
        pub fn header(mut self, name: &str, value: &str) -> Self {
            self.options.add_header(name, value);
            self
        }

        /// Adds a query parameter that the endpoint does not know.
        pub fn query(mut self, name: impl Into<String>, value: impl std::fmt::Display) -> Self {
            self.options.query.push((name.into(), value.to_string()));
            self
        }

        /// Sets a top-level member of the JSON body that the endpoint does not know, or replaces one that it does.
        pub fn body_field(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
            self.options.add_body_field(name.into(), &value);
            self
        }

        /// Sends agent hints with this generation, inline in `Agent-Hints`. What a server would ignore is refused: more
        /// than 8 KiB when encoded, a number out of its range, a value or id that it does not know.
        pub fn hints(mut self, hints: &zumik_types::AgentHints) -> Self {
            self.options.add_hints(hints);
            self
        }

        /// Names stored agent hints for this generation in `Agent-Hints-Ref`. They win over inline ones.
        pub fn hints_ref(self, id: impl Into<zumik_types::AgentHintsId>) -> Self {
            self.header("agent-hints-ref", id.into().as_str())
        }

        /// Sets how much of this generation a trace may keep, in `Agent-Trace-Mode`.
        pub fn trace_mode(self, mode: impl Into<zumik_types::PrivacyMode>) -> Self {
            self.header("agent-trace-mode", mode.into().as_str())
        }

        /// Attaches a `/v1` generation to a session in `Agent-Session-Ref`: the session's compiled prefix stands
        /// before the input. Nothing is appended to its branch.
        pub fn session_ref(self, session: impl Into<zumik_types::SessionId>) -> Self {
            self.header("agent-session-ref", session.into().as_str())
        }
    };
}

pub(crate) use call_options;
