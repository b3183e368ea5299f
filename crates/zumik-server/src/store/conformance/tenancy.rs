use zumik_types::{
    AppendEventRequest, BundleItem, CreateBundleRequest, CreatePurgeJobRequest, CreateSessionRequest,
    CreateSnapshotRequest, EventType, ForkBranchRequest, MergeBranchRequest, MergeStrategy, NewEvent,
    SessionStatus, SortOrder, UpdateSessionRequest,
};

use super::world::{World, fresh, not_found, reference};
use crate::store::{EventPage, FilePage, NewFile, PromptState};

pub(super) async fn objects_of_another_project_are_as_missing_ones(world: World) {
    let artifact = world.document("text").await;
    let bundle = world.bundle(&[&artifact]).await;
    let (session, events) = world.history(1).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let snapshot = CreateSnapshotRequest::new();
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, snapshot, None).await).id;
    let file = NewFile {
        filename: "f".to_owned(),
        purpose: "batch".to_owned(),
        content: "text".into(),
        expires_at: None,
    };
    let file = fresh(world.store.upload_file(&world.ctx(), file, None).await).id;
    let doomed = world.document("doomed").await;
    let purge = CreatePurgeJobRequest::new([&doomed]);
    let job = fresh(world.store.create_purge_job(&world.ctx(), purge, None).await).id;

    let (store, ctx) = (&world.store, world.foreign());
    let page = EventPage { after: None, limit: 10, order: SortOrder::Asc };
    let append = AppendEventRequest::new(1, NewEvent::new(EventType::Note));
    let merge = MergeBranchRequest::new(root, MergeStrategy::Rebase, 1);
    let update = UpdateSessionRequest::new(SessionStatus::Archived);
    not_found(store.retrieve_artifact(&ctx, &artifact).await);
    not_found(store.delete_artifact(&ctx, &artifact).await);
    not_found(store.retrieve_bundle(&ctx, &bundle).await);
    not_found(store.delete_bundle(&ctx, &bundle).await);
    not_found(store.retrieve_session(&ctx, id).await);
    not_found(store.update_session(&ctx, id, update, None).await);
    not_found(store.delete_session(&ctx, id).await);
    not_found(store.fork_branch(&ctx, id, ForkBranchRequest::new(root), None).await);
    not_found(store.list_branches(&ctx, id).await);
    not_found(store.retrieve_branch(&ctx, id, root).await);
    not_found(store.append_event(&ctx, id, root, append.clone(), None).await);
    not_found(store.list_events(&ctx, id, root, page).await);
    not_found(store.merge_branch(&ctx, id, root, merge, None).await);
    not_found(store.create_snapshot(&ctx, id, root, CreateSnapshotRequest::new(), None).await);
    not_found(store.list_snapshots(&ctx, id, root).await);
    not_found(store.retrieve_snapshot(&ctx, id, root, &snapshot).await);
    not_found(store.retrieve_file(&ctx, &file).await);
    not_found(store.retrieve_file_content(&ctx, &file).await);
    not_found(store.delete_file(&ctx, &file).await);
    not_found(store.retrieve_purge_job(&ctx, &job).await);
    not_found(store.retrieve_purge_receipt(&ctx, &job).await);
    assert_eq!(store.list_artifacts(&ctx).await.unwrap(), []);
    let files = FilePage { purpose: None, after: None, limit: None, order: SortOrder::Asc };
    assert_eq!(store.list_files(&ctx, files.clone()).await.unwrap().data, []);

    // In a body they are as unknown as in a path.
    let mine = fresh(store.create_session(&ctx, CreateSessionRequest::new(), None).await);
    let (mine, branch) = (&mine.id, &mine.default_branch_id);
    let items = CreateBundleRequest::new([BundleItem::new(&artifact, "system")]);
    reference(store.create_bundle(&ctx, items, None).await, "items[0].artifact_id");
    let based = CreateSessionRequest::new().base_bundle_ids([&bundle]);
    reference(store.create_session(&ctx, based, None).await, "base_bundle_ids[0]");
    let fork = ForkBranchRequest::new(root);
    reference(store.fork_branch(&ctx, mine, fork, None).await, "fork_from_branch_id");
    let fork = ForkBranchRequest::new(branch).fork_from_event_id(&events[0].id);
    reference(store.fork_branch(&ctx, mine, fork, None).await, "fork_from_event_id");
    let event = NewEvent::new(EventType::Note).payload_ref(&artifact);
    let append = AppendEventRequest::new(0, event);
    reference(store.append_event(&ctx, mine, branch, append, None).await, "event.payload_ref");
    let merge = MergeBranchRequest::new(root, MergeStrategy::Rebase, 0);
    reference(store.merge_branch(&ctx, mine, branch, merge, None).await, "source_branch_id");
    for entry in [artifact.as_str(), events[0].id.as_str()] {
        let request = CreateSnapshotRequest::new().ordered_block_manifest([entry]);
        let refused = store.create_snapshot(&ctx, mine, branch, request, None).await;
        reference(refused, "ordered_block_manifest[0]");
    }
    let request = CreatePurgeJobRequest::new([&artifact]);
    reference(store.create_purge_job(&ctx, request, None).await, "artifact_ids[0]");
    reference(store.list_files(&ctx, FilePage { after: Some(file), ..files }).await, "after");
    let none = PromptState::default;
    for (state, param) in [
        (PromptState { session_id: Some(id.clone()), ..none() }, "session_id"),
        (PromptState { branch_id: Some(root.clone()), ..none() }, "branch_id"),
        (PromptState { bundle_id: Some(bundle.clone()), ..none() }, "bundle_id"),
        (PromptState { snapshot_id: Some(snapshot), ..none() }, "snapshot_id"),
    ] {
        reference(store.read_prompt(&ctx, state).await, param);
    }

    // Nothing of it was touched.
    world.store.retrieve_artifact(&world.ctx(), &artifact).await.unwrap();
    assert_eq!(world.events(id, root).await, events);
    assert_eq!(world.store.retrieve_session(&world.ctx(), id).await.unwrap(), session);
}
