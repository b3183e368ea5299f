use zumik_types::{
    AppendEventRequest, BundleId, CreateSessionRequest, CreateSnapshotRequest, EventType, ForkBranchRequest,
    MergeBranchRequest, MergeStrategy, NewEvent, SessionStatus, UpdateSessionRequest,
};

use super::world::{World, fresh, not_active, not_found, reference};

pub(super) async fn a_session_begins_with_an_empty_root_branch(world: World) {
    let a = world.document("a").await;
    let bundles = [world.bundle(&[&a]).await, world.bundle(&[&a]).await];
    let request = CreateSessionRequest::new().base_bundle_ids(&bundles);
    let session = fresh(world.store.create_session(&world.ctx(), request, None).await);
    assert_eq!((&session.status, &session.base_bundle_ids[..]), (&SessionStatus::Active, &bundles[..]));
    assert_eq!(world.store.retrieve_session(&world.ctx(), &session.id).await.unwrap(), session);
    let root = world.branch(&session.id, &session.default_branch_id).await;
    assert_eq!((root.version, &root.head_event_id, &root.parent_branch_id), (0, &None, &None));
    assert_eq!(world.store.list_branches(&world.ctx(), &session.id).await.unwrap(), [root]);
}

pub(super) async fn a_session_of_a_missing_bundle_names_it(world: World) {
    let a = world.document("a").await;
    let bundle = world.bundle(&[&a]).await;
    let missing = BundleId::with_suffix("01jy7n3q8v6kzr4w2m9bd5xpfh");
    let request = CreateSessionRequest::new().base_bundle_ids([bundle, missing]);
    reference(world.store.create_session(&world.ctx(), request, None).await, "base_bundle_ids[1]");
}

pub(super) async fn a_session_is_archived_and_made_active_again(world: World) {
    let session = world.session().await;
    for status in [SessionStatus::Archived, SessionStatus::Archived, SessionStatus::Active] {
        let request = UpdateSessionRequest::new(&status);
        let updated = fresh(world.store.update_session(&world.ctx(), &session.id, request, None).await);
        assert_eq!(updated.status, status);
        assert_eq!(world.store.retrieve_session(&world.ctx(), &session.id).await.unwrap(), updated);
    }
    world.append(&session.id, &session.default_branch_id, None).await;
}

pub(super) async fn an_archived_session_takes_no_writes(world: World) {
    let (session, _) = world.history(2).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = world.fork(id, root).await.id;
    world.append(id, &fork, None).await;
    let archive = UpdateSessionRequest::new(SessionStatus::Archived);
    fresh(world.store.update_session(&world.ctx(), id, archive, None).await);
    let ctx = world.ctx();
    let append = AppendEventRequest::new(2, NewEvent::new(EventType::Note));
    not_active(world.store.append_event(&ctx, id, root, append, None).await);
    not_active(world.store.fork_branch(&ctx, id, ForkBranchRequest::new(root), None).await);
    let merge = MergeBranchRequest::new(&fork, MergeStrategy::Rebase, 2);
    not_active(world.store.merge_branch(&ctx, id, root, merge, None).await);
    not_active(world.store.create_snapshot(&ctx, id, root, CreateSnapshotRequest::new(), None).await);
    assert_eq!(world.events(id, root).await.len(), 2);
}

pub(super) async fn a_deleted_session_takes_everything_with_it(world: World) {
    let (session, events) = world.history(3).await;
    let (kept, _) = world.history(2).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = world.fork(id, root).await.id;
    let snapshot = CreateSnapshotRequest::new();
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, snapshot, None).await);
    world.store.delete_session(&world.ctx(), id).await.unwrap();
    for swept in [false, true] {
        not_found(world.store.retrieve_session(&world.ctx(), id).await);
        not_found(world.store.delete_session(&world.ctx(), id).await);
        not_found(world.store.list_branches(&world.ctx(), id).await);
        not_found(world.store.retrieve_branch(&world.ctx(), id, &fork).await);
        not_found(world.store.retrieve_snapshot(&world.ctx(), id, root, &snapshot.id).await);
        let append = AppendEventRequest::new(3, NewEvent::new(EventType::Note));
        not_found(world.store.append_event(&world.ctx(), id, root, append, None).await);
        let manifest = CreateSnapshotRequest::new().ordered_block_manifest([&events[0].id]);
        let named = world
            .store
            .create_snapshot(&world.ctx(), &kept.id, &kept.default_branch_id, manifest, None)
            .await;
        reference(named, "ordered_block_manifest[0]");
        if !swept {
            world.store.sweep(world.ctx().now).await.unwrap();
        }
    }
    assert_eq!(world.events(&kept.id, &kept.default_branch_id).await.len(), 2);
}
