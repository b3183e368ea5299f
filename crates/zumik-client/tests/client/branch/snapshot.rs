//! Pinning a branch.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn a_branch_with_more_events_than_a_request_can_carry_is_not_read_to_its_end() {
    let fake = base();
    let read = std::sync::Arc::new(AtomicUsize::new(0));
    let pages = read.clone();
    // As many bytes of ids in a page as make 2 MiB in eight pages and a little.
    fake.fallback(move |_| {
        let first = 1 + 500 * pages.fetch_add(1, Ordering::Relaxed) as u64;
        let long = |number: u64| {
            let mut event = event(number, 1);
            event["id"] = format!("evt_{number:0>512}").into();
            event
        };
        page((first..first + 500).map(long), true)
    });
    let error = at(&fake, 1).snapshot().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotSent));
    assert_eq!(read.load(Ordering::Relaxed), 9);
}
