//! Appending: guards, conflicts, lost answers.

use super::*;

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
async fn a_clone_is_another_writer_and_does_not_finish_the_append_of_the_first() {
    let fake = FakeTransport::new();
    fake.answer(Answer::hang());
    let mut first = at(&fake, 3);
    tokio::time::timeout(Duration::from_secs(1), first.append(message(1))).await.unwrap_err();
    let mut second = first.clone();

    fake.answer(Answer::json(event(4, 1))).answer(conflict(4));
    assert_eq!(first.append(message(1)).await.unwrap().sequence, 4);
    assert!(second.append(message(1)).await.unwrap_err().is_branch_conflict());
    let keys: Vec<_> = fake.requests().iter().map(|r| r.idempotency_key().unwrap().to_owned()).collect();
    assert_eq!(keys, ["key-1", "key-1", "key-2"]);
}

#[tokio::test(start_paused = true)]
async fn behind_the_last_version_that_can_be_counted_there_is_no_event() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(conflict(u64::MAX));
    let mut cursor = at(&fake, u64::MAX);
    let error = cursor.append(message(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Rejected));
}
