//! What the provider was asked, and how each answer ended.

use std::time::Instant;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::within;

/// Requests that are remembered; then the older half is forgotten.
const LIMIT: usize = 10_000;

/// A request that arrived whole.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its number, from 0.
    pub id: u64,
    /// Its path, such as `/v1/chat/completions`.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, byte by byte.
    pub body: Bytes,
    /// Whether its answer has begun: the head is on its way.
    pub begun: bool,
    /// How its answer ended, and when; `None` while it has not.
    pub ended: Option<(Ended, Instant)>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With all that was to be sent, which may be less than was asked for.
    Sent,
    /// The peer went away before that.
    Cancelled,
}

impl Recorded {
    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the peer went away before the end.
    pub fn cancelled(&self) -> bool {
        matches!(self.ended, Some((Ended::Cancelled, _)))
    }
}

/// The record of a provider.
#[derive(Debug)]
pub(super) struct Log {
    entries: watch::Sender<Entries>,
    records: bool,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    requests: Vec<Recorded>,
}

impl Log {
    pub(super) fn new(records: bool) -> Self {
        Self { entries: watch::Sender::default(), records }
    }

    /// Remembers a request; its answer has ended when the ticket says so or is dropped.
    pub(super) fn arrived(&self, path: &str, headers: &HeaderMap, body: &Bytes) -> Ticket {
        if !self.records {
            return Ticket(None);
        }
        let mut id = 0;
        self.entries.send_modify(|entries| {
            if entries.requests.len() == LIMIT {
                entries.requests.drain(..LIMIT / 2);
            }
            id = entries.next;
            entries.next += 1;
            entries.requests.push(Recorded {
                id,
                path: path.to_owned(),
                headers: headers.clone(),
                body: body.clone(),
                begun: false,
                ended: None,
            });
        });
        Ticket(Some((self.entries.clone(), id)))
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.entries.borrow().requests.clone()
    }

    pub(super) fn forget(&self) {
        self.entries.send_modify(|entries| entries.requests.clear());
    }

    pub(super) async fn until(&self, mut condition: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        let mut receiver = self.entries.subscribe();
        let met = receiver.wait_for(|entries| condition(&entries.requests));
        let entries = within("the requests that the test waits for", met).await;
        entries.expect("the sender is here").requests.clone()
    }

    /// The record as JSON, for those who ask over HTTP.
    pub(super) fn json(&self) -> Value {
        let entries = self.entries.borrow();
        let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
        };
        let request = |request: &Recorded| {
            json!({
                "id": request.id,
                "path": request.path,
                "headers": request.headers.iter().map(header).collect::<serde_json::Map<_, _>>(),
                "body": String::from_utf8_lossy(&request.body),
                "ended": request.ended.map(|(ended, _)| if ended == Ended::Sent { "sent" } else { "cancelled" }),
            })
        };
        entries.requests.iter().map(request).collect()
    }
}

/// The answer to one request. Dropped before [`Ticket::sent`], it was cancelled.
#[derive(Debug)]
pub(super) struct Ticket(Option<(watch::Sender<Entries>, u64)>);

impl Ticket {
    /// The head is on its way.
    pub(super) fn begun(&self) {
        self.note(|request| request.begun = true);
    }

    /// All that was to be sent is on its way.
    pub(super) fn sent(&mut self) {
        self.end(Ended::Sent);
    }

    fn end(&mut self, how: Ended) {
        let now = Instant::now();
        self.note(|request| request.ended = Some((how, now)));
        self.0 = None;
    }

    fn note(&self, what: impl FnOnce(&mut Recorded)) {
        let Some((entries, id)) = &self.0 else { return };
        entries.send_modify(|entries| {
            if let Some(request) = entries.requests.iter_mut().rev().find(|request| request.id == *id) {
                what(request);
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Ended::Cancelled);
    }
}
