//! Forks and merges, and what kind of value a cursor is.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn a_fork_without_a_head_begins_at_the_event_of_its_version() {
    let fake = FakeTransport::new();
    let mut fork = branch(7);
    fork["id"] = "br_2".into();
    fake.answer(page([event(9, 9), event(8, 8)], true)).answer(page([event(7, 7), event(6, 6)], true));
    fake.answer(Answer::json(fork));
    let client = fake.client();
    let cursor = client.branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at(7, None);
    assert_eq!(cursor.fork().await.unwrap().position(), &position(7));
    assert_eq!(seen(&fake)[0].0, format!("GET {EVENTS}?limit=500&order=desc"));
    assert_eq!(seen(&fake)[2].1["fork_from_event_id"], "evt_7");
}

#[tokio::test(start_paused = true)]
async fn a_fork_from_a_version_that_the_branch_does_not_have_is_an_error() {
    let fake = FakeTransport::new();
    fake.answer(page([event(5, 5)], false));
    let client = fake.client();
    let cursor = client.branch(id::<SessionId>("ses_1"), id::<BranchId>("br_1")).at(7, None);
    let error = cursor.fork().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Request, Outcome::NotSent));
    assert_eq!(error.message(), "the branch br_1 has no version 7 to fork from");
    assert_eq!(fake.requests().len(), 1, "nothing was forked");
}
