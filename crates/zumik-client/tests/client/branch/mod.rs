//! The branch cursor: compare-and-swap, conflicts, lost answers, history, snapshots.

mod append;
mod contention;
mod history;
mod merge;
mod snapshot;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use zumik_client::testing::{Answer, FakeTransport};
use zumik_client::types::{ArtifactId, BranchId, Event, EventId, EventType, NewEvent, SessionId};
use zumik_client::{Appended, BranchCursor, BranchPosition, Decision, Error, ErrorKind, Outcome};

const EVENTS: &str = "/v2/sessions/ses_1/branches/br_1/events";
const BRANCH: &str = "/v2/sessions/ses_1/branches/br_1";

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The event at `sequence`, with the payload `art_{payload}`.
fn event(sequence: u64, payload: u64) -> Value {
    json!({
        "id": format!("evt_{sequence}"),
        "object": "event",
        "session_id": "ses_1",
        "branch_id": "br_1",
        "parent_event_id": (sequence > 1).then(|| format!("evt_{}", sequence - 1)),
        "sequence": sequence,
        "event_type": "user_message",
        "payload_ref": format!("art_{payload}"),
        "created_at": "2026-06-15T16:09:20Z",
    })
}

fn branch(version: u64) -> Value {
    json!({
        "id": "br_1",
        "object": "session_branch",
        "session_id": "ses_1",
        "parent_branch_id": null,
        "forked_from_event_id": null,
        "head_event_id": (version > 0).then(|| format!("evt_{version}")),
        "version": version,
        "label": null,
    })
}

fn page(events: impl IntoIterator<Item = Value>, has_more: bool) -> Answer {
    Answer::json(
        json!({ "object": "list", "data": events.into_iter().collect::<Vec<_>>(), "has_more": has_more }),
    )
}

fn message(payload: u64) -> NewEvent {
    Event::user_message(id::<ArtifactId>(&format!("art_{payload}")))
}

fn conflict(version: u64) -> Answer {
    Answer::branch_conflict("br_1", version, &format!("evt_{version}"))
}

fn at(fake: &FakeTransport, version: u64) -> BranchCursor {
    let head = (version > 0).then(|| id::<EventId>(&format!("evt_{version}")));
    fake.client().branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at(version, head)
}

fn position(version: u64) -> BranchPosition {
    BranchPosition::new(version, Some(id(&format!("evt_{version}"))))
}

/// Method, path with query, and body of every request.
fn seen(fake: &FakeTransport) -> Vec<(String, Value)> {
    let requests = fake.requests();
    let line = |request: &zumik_client::testing::RecordedRequest| {
        let separator = if request.query.is_empty() { "" } else { "?" };
        format!("{} {}{separator}{}", request.method, request.path, request.query)
    };
    requests.iter().map(|request| (line(request), request.json())).collect()
}
