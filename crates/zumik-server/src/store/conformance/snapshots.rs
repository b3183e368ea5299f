use zumik_types::CreateSnapshotRequest;

use super::world::{World, fresh, not_found, reference};

pub(super) async fn a_snapshot_pins_the_version_and_the_manifest(world: World) {
    let (session, events) = world.history(2).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let artifact = world.document("text").await;
    let manifest = ["blk_policy", artifact.as_str(), events[0].id.as_str(), "any text", "blk_policy"];
    let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest);
    let first = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await);
    assert_eq!((first.branch_version, first.prompt_compiler_revision.as_str()), (2, "pc_1"));
    assert_eq!(first.ordered_block_manifest, manifest);

    world.append(id, root, None).await;
    let request = CreateSnapshotRequest::new().prompt_compiler_revision("pc_x");
    let second = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await);
    assert_eq!((second.branch_version, second.prompt_compiler_revision.as_str()), (3, "pc_x"));
    let listed = world.store.list_snapshots(&world.ctx(), id, root).await.unwrap();
    assert_eq!(listed, [first.clone(), second]);
    assert_eq!(world.store.retrieve_snapshot(&world.ctx(), id, root, &first.id).await.unwrap(), first);

    let fork = world.fork(id, root).await.id;
    assert_eq!(world.store.list_snapshots(&world.ctx(), id, &fork).await.unwrap(), []);
    not_found(world.store.retrieve_snapshot(&world.ctx(), id, &fork, &first.id).await);
}

pub(super) async fn a_manifest_names_only_what_exists(world: World) {
    let (session, _) = world.history(1).await;
    let (other, events) = world.history(1).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    for missing in ["art_none", "evt_none", "art_", "evt_01jy7naa12b3c4d5e6f7g8h9jk"] {
        let request = CreateSnapshotRequest::new().ordered_block_manifest(["blk_a", missing]);
        let refused = world.store.create_snapshot(&world.ctx(), id, root, request, None).await;
        reference(refused, "ordered_block_manifest[1]");
    }
    // Any event of the project will do.
    let request = CreateSnapshotRequest::new().ordered_block_manifest([&events[0].id]);
    fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await);
    world.store.delete_session(&world.ctx(), &other.id).await.unwrap();
    let request = CreateSnapshotRequest::new().ordered_block_manifest([&events[0].id]);
    let refused = world.store.create_snapshot(&world.ctx(), id, root, request, None).await;
    reference(refused, "ordered_block_manifest[0]");
}
