//! `append_with`: the caller decides each round.

use super::*;

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
async fn append_with_stops_at_a_conflict_that_may_be_its_own_event() {
    let unreadable = Answer::error(403, "invalid_request_error", "insufficient_scope");
    let without_payload = || {
        let mut bare = event(4, 1);
        bare["payload_ref"] = Value::Null;
        page([bare], false)
    };
    for (history, event) in [(unreadable, message(1)), (without_payload(), NewEvent::new("user_message"))] {
        let fake = FakeTransport::new();
        fake.answer(Answer::reset()).answer(conflict(4)).answer(history);
        fake.answer(Answer::json(super::event(5, 1)));
        let mut cursor = at(&fake, 3);
        let asked = AtomicU32::new(0);
        let decide = |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            let event = event.clone();
            async { Decision::Append(event) }
        };
        let error = cursor.append_with(decide).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::BranchConflict, Outcome::Ambiguous));
        assert_eq!(asked.into_inner(), 1, "asked again, the closure would append it twice");
        assert_eq!(cursor.position(), &position(3));
        assert_eq!(fake.requests().len(), 3);
    }
}
