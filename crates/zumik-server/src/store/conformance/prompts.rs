use zumik_types::{
    AppendEventRequest, ArtifactId, BranchId, BundleId, CreateSessionRequest, CreateSnapshotRequest,
    EventType, NewEvent, Session, SessionId, SessionStatus, SnapshotId, UpdateSessionRequest,
};

use super::world::{World, fresh, not_active, reference};
use crate::domain::{Prompt, Source};
use crate::store::{MAX_PROMPT_BYTES, PromptState};

fn texts(prompt: &Prompt) -> Vec<&str> {
    prompt.blocks.iter().map(|block| block.text.as_str()).collect()
}

fn of_session(id: &SessionId) -> PromptState {
    PromptState { session_id: Some(id.clone()), ..PromptState::default() }
}

fn of_branch(id: &BranchId) -> PromptState {
    PromptState { branch_id: Some(id.clone()), ..PromptState::default() }
}

async fn based_session(world: &World, bundles: &[&BundleId]) -> Session {
    let request = CreateSessionRequest::new().base_bundle_ids(bundles.iter().copied());
    fresh(world.store.create_session(&world.ctx(), request, None).await)
}

pub(super) async fn a_prompt_is_bundles_then_history(world: World) {
    let (a, b, c) = (world.document("a").await, world.document("b").await, world.document("c").await);
    let (first, base) = (world.bundle(&[&b, &a]).await, world.bundle(&[&c]).await);
    let session = based_session(&world, &[&base, &first]).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let hi = world.document("hi").await;
    world.append(id, root, Some(&hi)).await;
    world.append(id, root, None).await;
    let fork = world.fork(id, root).await.id;
    let answer = world.document("answer ü").await;
    world.append(id, &fork, Some(&answer)).await;
    let note = NewEvent::new(EventType::Note).payload_ref("not an artifact");
    fresh(world.store.append_event(&world.ctx(), id, &fork, AppendEventRequest::new(3, note), None).await);

    let state = PromptState { bundle_id: Some(first.clone()), ..of_branch(&fork) };
    let prompt = world.store.read_prompt(&world.ctx(), state).await.unwrap();
    assert_eq!(texts(&prompt), ["b", "a", "c", "b", "a", "hi", "answer ü"]);
    assert_eq!((prompt.session_id.as_ref(), prompt.branch_id.as_ref()), (Some(id), Some(&fork)));
    assert_eq!(prompt.blocks[0].source, Source::Bundle("context".to_owned()));
    assert_eq!(prompt.blocks[5].source, Source::Event(EventType::UserMessage));
    let params: Vec<_> = prompt.blocks.iter().map(|block| block.param).collect();
    let (bundle, session, branch) = ("bundle_id", "session_id", "branch_id");
    assert_eq!(params, [bundle, bundle, session, session, session, branch, branch]);

    let prompt = world.store.read_prompt(&world.ctx(), of_session(id)).await.unwrap();
    assert_eq!(texts(&prompt), ["c", "b", "a", "hi"]);
    assert_eq!(prompt.branch_id.as_ref(), Some(root));
    let prompt = world.store.read_prompt(&world.ctx(), PromptState::default()).await.unwrap();
    assert_eq!((texts(&prompt).len(), prompt.session_id), (0, None));
}

pub(super) async fn a_snapshot_prompt_is_exactly_its_manifest(world: World) {
    let (a, b) = (world.document("a").await, world.document("b").await);
    let base = world.bundle(&[&a]).await;
    let session = based_session(&world, &[&base]).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let event = world.append(id, root, Some(&b)).await.id;
    let manifest = [event.as_str(), "blk_x", a.as_str()];
    let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest);
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await).id;
    world.append(id, root, Some(&a)).await;

    let state = PromptState { snapshot_id: Some(snapshot), ..PromptState::default() };
    let given = PromptState { branch_id: Some(root.clone()), ..state.clone() };
    for state in [state, given] {
        let prompt = world.store.read_prompt(&world.ctx(), state).await.unwrap();
        assert_eq!(texts(&prompt), ["b", "a"]);
        assert_eq!(prompt.blocks[0].source, Source::Event(EventType::UserMessage));
        assert_eq!(prompt.blocks[1].source, Source::Manifest);
        assert_eq!((prompt.session_id.as_ref(), prompt.branch_id.as_ref()), (Some(id), Some(root)));
    }
}

pub(super) async fn unknown_and_contradictory_state_names_its_field(world: World) {
    let (session, other) = (world.session().await, world.session().await);
    let (id, root) = (&session.id, &session.default_branch_id);
    let a = world.document("a").await;
    let bundle = world.bundle(&[&a]).await;
    let request = CreateSnapshotRequest::new();
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await).id;
    let of_snapshot = PromptState { snapshot_id: Some(snapshot), ..PromptState::default() };
    for (state, param) in [
        (of_session(&SessionId::with_suffix("none")), "session_id"),
        (of_branch(&BranchId::with_suffix("none")), "branch_id"),
        (PromptState { session_id: Some(other.id.clone()), ..of_branch(root) }, "branch_id"),
        (PromptState { bundle_id: Some(BundleId::with_suffix("none")), ..of_session(id) }, "bundle_id"),
        (PromptState { snapshot_id: Some(SnapshotId::with_suffix("none")), ..of_session(id) }, "snapshot_id"),
        (PromptState { session_id: Some(other.id.clone()), ..of_snapshot.clone() }, "session_id"),
        (PromptState { branch_id: Some(other.default_branch_id), ..of_snapshot.clone() }, "branch_id"),
        (PromptState { bundle_id: Some(bundle), ..of_snapshot }, "bundle_id"),
    ] {
        reference(world.store.read_prompt(&world.ctx(), state).await, param);
    }
}

pub(super) async fn deleted_content_names_the_field_that_led_to_it(world: World) {
    let (a, b) = (world.document("a").await, world.document("b").await);
    let base = world.bundle(&[&a]).await;
    let session = based_session(&world, &[&base]).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    world.append(id, root, Some(&b)).await;
    let request = CreateSnapshotRequest::new().ordered_block_manifest([&b]);
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await).id;
    let read = async |state| world.store.read_prompt(&world.ctx(), state).await;

    world.store.delete_artifact(&world.ctx(), &b).await.unwrap();
    reference(read(of_session(id)).await, "session_id");
    reference(read(of_branch(root)).await, "branch_id");
    let state = PromptState { snapshot_id: Some(snapshot), ..PromptState::default() };
    reference(read(state).await, "snapshot_id");
    world.store.delete_artifact(&world.ctx(), &a).await.unwrap();
    let state = PromptState { bundle_id: Some(base.clone()), ..PromptState::default() };
    reference(read(state).await, "bundle_id");
    reference(read(of_branch(root)).await, "session_id");
    world.store.delete_bundle(&world.ctx(), &base).await.unwrap();
    reference(read(of_session(id)).await, "session_id");
}

pub(super) async fn a_generation_needs_an_active_session(world: World) {
    let session = world.session().await;
    let archive = UpdateSessionRequest::new(SessionStatus::Archived);
    fresh(world.store.update_session(&world.ctx(), &session.id, archive, None).await);
    not_active(world.store.read_prompt(&world.ctx(), of_session(&session.id)).await);
    not_active(world.store.read_prompt(&world.ctx(), of_branch(&session.default_branch_id)).await);
}

pub(super) async fn a_prompt_that_is_too_long_names_the_field_that_led_to_it(world: World) {
    const BLOCK: usize = 64;
    const TEXT: usize = 1 << 20;
    let text = "x".repeat(TEXT);
    let long = world.document(&text).await;
    // Seven times the same one, and what is left.
    let left = MAX_PROMPT_BYTES - 7 * (TEXT + BLOCK) - BLOCK;
    let (fits, exceeds) = (world.document(&text[..left]).await, world.document(&text[..=left]).await);
    let (seven, empty) = ([&long; 7], world.document("").await);
    let bundle = async |last: &[&ArtifactId]| world.bundle(&[&seven, last].concat()).await;
    let read = async |state| world.store.read_prompt(&world.ctx(), state).await;
    let of_bundle = |id: &BundleId| PromptState { bundle_id: Some(id.clone()), ..PromptState::default() };

    let full = bundle(&[&fits]).await;
    let prompt = read(of_bundle(&full)).await.unwrap();
    assert_eq!(prompt.blocks.iter().map(|block| block.text.len()).sum::<usize>(), 7 * TEXT + left);
    assert!(prompt.blocks.iter().all(|block| text.starts_with(&block.text)));
    assert_eq!(prompt.artifacts().len(), 2);
    reference(read(of_bundle(&bundle(&[&exceeds]).await)).await, "bundle_id");
    reference(read(of_bundle(&bundle(&[&fits, &empty]).await)).await, "bundle_id");

    let session = based_session(&world, &[&full]).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    assert_eq!(read(of_session(id)).await.unwrap().blocks.len(), 8);
    let state = PromptState { bundle_id: Some(full.clone()), ..of_session(id) };
    reference(read(state).await, "session_id");
    let first = world.append(id, root, Some(&empty)).await.id;
    reference(read(of_session(id)).await, "session_id");
    reference(read(of_branch(root)).await, "branch_id");

    for (last, is_refused) in [(&fits, false), (&exceeds, true)] {
        let mut manifest = vec![long.as_str(); 7];
        manifest.push(last.as_str());
        let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest.clone());
        let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await).id;
        let state = PromptState { snapshot_id: Some(snapshot), ..PromptState::default() };
        if is_refused {
            reference(read(state).await, "snapshot_id");
        } else {
            assert_eq!(read(state).await.unwrap().blocks.len(), 8);
            manifest.push(first.as_str());
            let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest);
            let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await).id;
            let state = PromptState { snapshot_id: Some(snapshot), ..PromptState::default() };
            reference(read(state).await, "snapshot_id");
        }
    }
}
