//! The branch cursor: compare-and-swap, conflicts, lost answers, history, snapshots.

use std::sync::atomic::{AtomicU32, Ordering};
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

#[tokio::test(start_paused = true)]
async fn a_cursor_at_the_head_reads_the_branch_once() {
    let fake = FakeTransport::new();
    fake.answer(Answer::json(branch(3)));
    let client = fake.client();
    let cursor = client.branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at_head().await.unwrap();
    assert_eq!((cursor.version(), cursor.head().unwrap().as_str()), (3, "evt_3"));
    assert_eq!(seen(&fake), [(format!("GET {BRANCH}"), Value::Null)]);
}

#[tokio::test(start_paused = true)]
async fn an_append_guards_version_and_head_and_moves_the_cursor_behind_its_event() {
    let fake = FakeTransport::new();
    fake.answer(Answer::json(event(1, 1))).answer(Answer::json(event(2, 2)));
    let mut cursor = at(&fake, 0);
    cursor.append(message(1)).await.unwrap();
    assert_eq!(cursor.position(), &position(1));
    let appended = cursor.append(message(2)).await.unwrap();
    assert_eq!((appended.id.as_str(), cursor.version()), ("evt_2", 2));
    let sent = |version: u64, head: Value, payload: &str| {
        let event = json!({ "event_type": "user_message", "payload_ref": payload });
        json!({ "expected_version": version, "expected_head_event_id": head, "event": event })
    };
    assert_eq!(
        seen(&fake),
        [
            (format!("POST {EVENTS}"), sent(0, Value::Null, "art_1")),
            (format!("POST {EVENTS}"), sent(1, "evt_1".into(), "art_2")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_without_a_head_guards_by_the_version_alone() {
    let fake = FakeTransport::new();
    fake.answer(Answer::json(event(8, 1)));
    let client = fake.client();
    let mut cursor = client.branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at(7, None);
    cursor.append(message(1)).await.unwrap();
    assert_eq!(seen(&fake)[0].1.get("expected_head_event_id"), None);
}

#[tokio::test(start_paused = true)]
async fn append_with_a_stale_version_reports_the_current_head_and_leaves_the_cursor() {
    let fake = FakeTransport::new();
    fake.answer(conflict(5));
    let mut cursor = at(&fake, 3);
    let error = cursor.append(message(1)).await.unwrap_err();
    let lost = error.branch_conflict().unwrap();
    assert_eq!((&lost.expected, lost.current.as_ref()), (&position(3), Some(&position(5))));
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Rejected));
    assert_eq!(cursor.position(), &position(3));
    assert_eq!(fake.requests().len(), 1, "nothing is resolved silently");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_does_not_say_where_the_branch_is_makes_the_cursor_ask() {
    let fake = FakeTransport::new();
    fake.answer(Answer::error(409, "invalid_request_error", "branch_version_conflict"));
    fake.answer(Answer::json(branch(6)));
    let error = at(&fake, 3).append(message(1)).await.unwrap_err();
    assert_eq!(error.branch_conflict().unwrap().current, Some(position(6)));
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_answer_was_lost_is_found_in_the_history() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(5)).answer(page([event(4, 1)], true));
    let mut cursor = at(&fake, 3);
    let found = cursor.append(message(1)).await.unwrap();
    assert_eq!(found.id.as_str(), "evt_4");
    assert_eq!(cursor.position(), &position(4), "behind its own event, not at the head of the others");
    let requests = fake.requests();
    assert_eq!(requests[0].idempotency_key(), requests[1].idempotency_key());
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(seen(&fake)[2].0, format!("GET {EVENTS}?after=evt_3&limit=1"));
}

#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_branch_is_looked_for_at_its_beginning() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(1)).answer(page([event(1, 1)], false));
    assert_eq!(at(&fake, 0).append(message(1)).await.unwrap().sequence, 1);
    assert_eq!(seen(&fake)[2].0, format!("GET {EVENTS}?limit=1"));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_without_a_head_looks_from_the_end_of_the_history() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(9));
    fake.answer(page([event(9, 9)], true)).answer(page([event(8, 1)], true));
    let client = fake.client();
    let mut cursor = client.branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at(7, None);
    assert_eq!(cursor.append(message(1)).await.unwrap().sequence, 8);
    assert_eq!(seen(&fake)[3].0, format!("GET {EVENTS}?after=evt_9&limit=500&order=desc"));
}

/// The error of an append at version 3 that was lost, then refused, when `found` is in its place.
async fn lost_with(found: Value, wanted: NewEvent) -> Error {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(4)).answer(page([found], false));
    let mut cursor = at(&fake, 3);
    let error = cursor.append(wanted).await.unwrap_err();
    assert_eq!(cursor.position(), &position(3));
    error
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_writer_is_never_taken_for_ones_own() {
    let error = lost_with(event(4, 2), message(1)).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Rejected));

    let mut merged = event(4, 1);
    merged["merged_from"] = json!({ "branch_id": "br_2", "event_id": "evt_77" });
    assert_eq!(lost_with(merged, message(1)).await.outcome(), Outcome::Rejected);

    let mut other_parent = event(4, 1);
    other_parent["parent_event_id"] = "evt_x".into();
    assert_eq!(lost_with(other_parent, message(1)).await.outcome(), Outcome::Rejected);

    let mut terse = event(4, 1);
    terse
        .as_object_mut()
        .unwrap()
        .retain(|member, _| ["id", "object", "sequence"].contains(&member.as_str()));
    assert_eq!(
        lost_with(terse, message(1)).await.outcome(),
        Outcome::Ambiguous,
        "the server says too little"
    );

    let mut bare = event(4, 1);
    bare["event_type"] = "checkpoint".into();
    bare["payload_ref"] = Value::Null;
    let error = lost_with(bare, NewEvent::new(EventType::Checkpoint)).await;
    assert_eq!(error.outcome(), Outcome::Ambiguous, "nothing tells two bare checkpoints apart");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_whose_history_cannot_be_read_stays_ambiguous() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(4)).answer(Answer::error(
        403,
        "invalid_request_error",
        "insufficient_scope",
    ));
    let error = at(&fake, 3).append(message(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Ambiguous));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_ended_ambiguous_goes_on_under_its_key_when_it_is_called_again() {
    let fake = FakeTransport::new();
    for _ in 0..3 {
        fake.answer(Answer::reset());
    }
    let mut cursor = at(&fake, 3);
    let error = cursor.append(message(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Interrupted, Outcome::Ambiguous));

    fake.answer(conflict(4)).answer(page([event(4, 1)], false));
    assert_eq!(cursor.append(message(1)).await.unwrap().sequence, 4);
    let requests = fake.requests();
    assert!(requests[..4].iter().all(|request| request.idempotency_key() == Some("key-1")));

    fake.answer(Answer::json(event(5, 2)));
    cursor.append(message(2)).await.unwrap();
    assert_eq!(fake.requests()[5].idempotency_key(), Some("key-2"));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_was_dropped_on_its_way_goes_on_under_its_key() {
    let fake = FakeTransport::new();
    fake.answer(Answer::hang());
    let mut cursor = at(&fake, 3);
    tokio::time::timeout(Duration::from_secs(1), cursor.append(message(1))).await.unwrap_err();

    fake.answer(Answer::json(event(4, 1))).answer(Answer::json(event(5, 1)));
    assert_eq!(cursor.append(message(1)).await.unwrap().sequence, 4);
    assert_eq!(cursor.append(message(1)).await.unwrap().sequence, 5);
    let keys: Vec<_> = fake.requests().iter().map(|r| r.idempotency_key().unwrap().to_owned()).collect();
    assert_eq!(keys, ["key-1", "key-1", "key-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_refusal_does_not_settle_what_an_earlier_append_may_have_done() {
    let fake = FakeTransport::new();
    for _ in 0..3 {
        fake.answer(Answer::reset());
    }
    let mut cursor = at(&fake, 3);
    cursor.append(message(1)).await.unwrap_err();
    fake.answer(Answer::error(403, "invalid_request_error", "insufficient_scope"));
    assert_eq!(cursor.append(message(1)).await.unwrap_err().outcome(), Outcome::Ambiguous);
    fake.answer(Answer::json(event(4, 1)));
    cursor.append(message(1)).await.unwrap();
    assert!(fake.requests().iter().all(|request| request.idempotency_key() == Some("key-1")));
}

#[tokio::test(start_paused = true)]
async fn another_event_after_an_ambiguous_append_is_another_request() {
    let fake = FakeTransport::new();
    for _ in 0..3 {
        fake.answer(Answer::reset());
    }
    let mut cursor = at(&fake, 3);
    cursor.append(message(1)).await.unwrap_err();
    fake.answer(conflict(4));
    let error = cursor.append(message(2)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Rejected));
    assert_eq!(fake.requests()[3].idempotency_key(), Some("key-2"));
}

#[tokio::test(start_paused = true)]
async fn append_with_asks_again_at_the_present_state_and_under_a_new_key() {
    let fake = FakeTransport::new();
    fake.answer(conflict(5)).answer(conflict(6)).answer(Answer::json(event(7, 1)));
    let mut cursor = at(&fake, 3);
    let asked = std::sync::Mutex::new(Vec::new());
    let appended = cursor
        .append_with(|state| {
            asked.lock().unwrap().push((state.round, state.cursor.version(), state.conflict.is_some()));
            async { Decision::Append(message(1)) }
        })
        .await
        .unwrap();
    assert!(matches!(appended, Appended::Event(event) if event.sequence == 7));
    assert_eq!(asked.into_inner().unwrap(), [(1, 3, false), (2, 5, true), (3, 6, true)]);
    assert_eq!(cursor.version(), 7);
    let keys: Vec<_> = fake.requests().iter().map(|r| r.idempotency_key().unwrap().to_owned()).collect();
    assert_eq!(keys, ["key-1", "key-2", "key-3"]);
    assert!(fake.requests()[1].at > fake.requests()[0].at, "there is a pause between two rounds");
}

#[tokio::test(start_paused = true)]
async fn append_with_gives_up_after_its_rounds_with_the_last_conflict() {
    let fake = FakeTransport::new();
    let version = AtomicU32::new(4);
    fake.fallback(move |_| conflict(version.fetch_add(1, Ordering::Relaxed).into()));
    let error = at(&fake, 3).append_with(|_| async { Decision::Append(message(1)) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BranchConflict);
    assert_eq!(error.branch_conflict().unwrap().current, Some(position(11)));
    assert_eq!(fake.requests().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn append_with_forks_where_the_caller_saw_the_branch() {
    let fake = FakeTransport::new();
    let mut fork = branch(5);
    fork["id"] = "br_2".into();
    fake.answer(conflict(5)).answer(Answer::json(fork));
    let mut cursor = at(&fake, 3);
    let decide = |state: zumik_client::BranchState| async move {
        if state.conflict.is_some() { Decision::Fork } else { Decision::Append(message(1)) }
    };
    let Appended::Forked(fork) = cursor.append_with(decide).await.unwrap() else { panic!("no fork") };
    assert_eq!((fork.branch_id().as_str(), fork.position()), ("br_2", &position(5)));
    let expected = json!({ "fork_from_branch_id": "br_1", "fork_from_event_id": "evt_5" });
    assert_eq!(seen(&fake)[1], ("POST /v2/sessions/ses_1/branches".to_owned(), expected));
}

#[tokio::test(start_paused = true)]
async fn append_with_aborts_without_a_request_and_passes_other_errors_on() {
    let fake = FakeTransport::new();
    assert!(matches!(at(&fake, 3).append_with(|_| async { Decision::Abort }).await, Ok(Appended::Aborted)));
    assert_eq!(fake.requests().len(), 0);
    fake.answer(Answer::error(409, "invalid_request_error", "session_not_active"));
    let error = at(&fake, 3).append_with(|_| async { Decision::Append(message(1)) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_fork_begins_where_the_cursor_is() {
    let fake = FakeTransport::new();
    let mut fork = branch(3);
    fork["id"] = "br_2".into();
    fake.answer(Answer::json(fork));
    let fork = at(&fake, 3).fork_as("other path").await.unwrap();
    assert_eq!((fork.branch_id().as_str(), fork.version()), ("br_2", 3));
    let body = json!({ "fork_from_branch_id": "br_1", "fork_from_event_id": "evt_3", "label": "other path" });
    assert_eq!(seen(&fake)[0].1, body);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_read_page_by_page_and_only_as_far_as_it_is_wanted() {
    let fake = FakeTransport::new();
    fake.answer(page([event(1, 1), event(2, 2)], true)).answer(page([event(3, 3)], false));
    let cursor = at(&fake, 3);
    let mut history = cursor.history();
    assert_eq!(history.try_next().await.unwrap().unwrap().sequence, 1);
    assert_eq!(history.try_next().await.unwrap().unwrap().sequence, 2);
    assert_eq!(fake.requests().len(), 1);
    let rest: Vec<_> = history.map_ok(|event| event.sequence).try_collect().await.unwrap();
    assert_eq!(rest, [3]);
    let lines: Vec<_> = seen(&fake).into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            format!("GET {EVENTS}?limit=500&order=asc"),
            format!("GET {EVENTS}?after=evt_2&limit=500&order=asc")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_history_ends_when_pages_do_not_move_on() {
    let fake = FakeTransport::new();
    fake.fallback(|_| page([event(1, 1)], true));
    let events: Vec<_> = at(&fake, 1).history().try_collect().await.unwrap();
    assert_eq!(events.len(), 1, "a page that repeats itself is left out");
    let fake = FakeTransport::new();
    fake.fallback(|_| page([], true));
    assert_eq!(at(&fake, 1).history().try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_history_ends_with_its_first_error() {
    let fake = FakeTransport::new();
    fake.answer(page([event(1, 1)], true)).answer(Answer::error(404, "invalid_request_error", ""));
    let mut history = at(&fake, 1).history_after(id::<EventId>("evt_0"));
    assert!(history.try_next().await.unwrap().is_some());
    assert_eq!(history.try_next().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(history.try_next().await.unwrap().is_none());
}

fn session() -> Answer {
    Answer::json(json!({
        "id": "ses_1", "object": "session", "default_branch_id": "br_1", "base_bundle_ids": ["bnd_1", "bnd_2"],
        "status": "active", "created_at": "2026-06-15T16:04:10Z", "updated_at": "2026-06-15T16:04:10Z",
        "project_id": "prj_1",
    }))
}

fn bundle(id: &str, artifacts: &[&str]) -> Answer {
    let items: Vec<_> = artifacts.iter().map(|id| json!({ "artifact_id": id, "role": "system" })).collect();
    Answer::json(json!({
        "id": id, "object": "bundle", "bundle_type": "agent_prefix", "items": items,
        "created_at": "2026-06-15T16:04:10Z", "project_id": "prj_1", "created_by_project": "prj_1",
    }))
}

fn snapshot(version: u64) -> Answer {
    Answer::json(json!({
        "id": "snp_1", "object": "snapshot", "session_id": "ses_1", "branch_id": "br_1", "branch_version": version,
        "prompt_compiler_revision": "pc_1", "ordered_block_manifest": [], "created_at": "2026-06-15T16:10:44Z",
    }))
}

fn base() -> FakeTransport {
    let fake = FakeTransport::new();
    fake.answer(session()).answer(bundle("bnd_1", &["art_a", "art_b"])).answer(bundle("bnd_2", &["art_c"]));
    fake
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_pins_the_base_artifacts_and_then_the_events() {
    let fake = base();
    fake.answer(page([event(1, 1), event(2, 2)], false)).answer(snapshot(2));
    assert_eq!(at(&fake, 1).snapshot().await.unwrap().branch_version, 2);
    let manifest = json!(["art_a", "art_b", "art_c", "evt_1", "evt_2"]);
    assert_eq!(seen(&fake)[4].1["ordered_block_manifest"], manifest);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_somebody_appended_under_is_taken_again_with_the_rest() {
    let fake = base();
    fake.answer(page([event(1, 1)], false)).answer(snapshot(2));
    fake.answer(page([event(2, 2)], false)).answer(snapshot(2));
    at(&fake, 1).snapshot().await.unwrap();
    let requests = seen(&fake);
    assert_eq!(requests[5].0, format!("GET {EVENTS}?after=evt_1&limit=500&order=asc"));
    assert_eq!(requests[6].1["ordered_block_manifest"], json!(["art_a", "art_b", "art_c", "evt_1", "evt_2"]));
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_never_stands_still_is_reported() {
    let fake = base();
    for version in 1..=4 {
        fake.answer(page([event(version, 1)], false)).answer(snapshot(version + 1));
    }
    fake.answer(Answer::json(branch(5)));
    let error = at(&fake, 1).snapshot().await.unwrap_err();
    let lost = error.branch_conflict().unwrap();
    assert_eq!((&lost.expected, lost.current.as_ref()), (&position(4), Some(&position(5))));
}

fn merge(strategy: &str, target: Value) -> Answer {
    Answer::json(json!({
        "object": "branch_merge", "strategy": strategy, "target_branch": target, "source_branch_id": "br_2",
        "appended": [],
    }))
}

#[tokio::test(start_paused = true)]
async fn merges_guard_the_target_and_move_the_cursor() {
    let fake = FakeTransport::new();
    fake.answer(merge("checkpoint", branch(4)))
        .answer(merge("compact", branch(5)))
        .answer(merge("rebase", branch(9)));
    let mut cursor = at(&fake, 3);
    let source: BranchId = id("br_2");
    cursor.merge_checkpoint(&source, id::<ArtifactId>("art_1")).await.unwrap();
    assert_eq!(cursor.position(), &position(4));
    cursor.merge_compact(&source, id::<ArtifactId>("art_2")).await.unwrap();
    cursor.merge_rebase(&source).await.unwrap();
    assert_eq!(cursor.position(), &position(9));
    let guarded = |strategy: &str, version: u64, payload: Option<&str>| {
        let mut body = json!({
            "source_branch_id": "br_2", "strategy": strategy, "expected_version": version,
            "expected_head_event_id": format!("evt_{version}"),
        });
        if let Some(payload) = payload {
            body["payload_ref"] = payload.into();
        }
        (format!("POST {BRANCH}/merges"), body)
    };
    let expected = [
        guarded("checkpoint", 3, Some("art_1")),
        guarded("compact", 4, Some("art_2")),
        guarded("rebase", 5, None),
    ];
    assert_eq!(seen(&fake), expected);
}

#[tokio::test(start_paused = true)]
async fn a_merge_into_a_third_branch_leaves_the_cursor() {
    let fake = FakeTransport::new();
    let mut third = branch(8);
    third["id"] = "br_3".into();
    fake.answer(merge("fork", third));
    let mut cursor = at(&fake, 3);
    let merge = cursor.merge_fork(id::<BranchId>("br_2")).await.unwrap();
    assert_eq!(cursor.position(), &position(3));
    let third = BranchCursor::of(&fake.client(), &merge.target_branch);
    assert_eq!((third.branch_id().as_str(), third.version()), ("br_3", 8));
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_lost_says_so_like_an_append() {
    let fake = FakeTransport::new();
    fake.answer(conflict(5));
    let error = at(&fake, 3).merge_rebase(id::<BranchId>("br_2")).await.unwrap_err();
    let lost = error.branch_conflict().unwrap();
    assert_eq!((&lost.expected, lost.current.as_ref()), (&position(3), Some(&position(5))));
}

#[test]
fn a_cursor_is_an_owned_value_whose_futures_can_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    fn owned<T: Clone + Send + Sync + 'static>() {}
    owned::<BranchCursor>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    let fake = FakeTransport::new();
    let mut cursor = at(&fake, 0);
    moves(cursor.append(message(1)));
    moves(cursor.append_with(|_| async { Decision::Abort }));
    moves(cursor.snapshot());
    moves(cursor.fork());
    moves(cursor.merge_rebase(id::<BranchId>("br_2")));
    moves(cursor.history());
}
