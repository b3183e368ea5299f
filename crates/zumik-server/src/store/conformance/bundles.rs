use zumik_types::{ArtifactId, BundleItem, CreateBundleRequest, CreateSessionRequest};

use super::world::{World, fresh, not_found, reference};

pub(super) async fn a_bundle_keeps_its_items_as_they_were_given(world: World) {
    let (a, b) = (world.document("a").await, world.document("b").await);
    let items =
        [BundleItem::new(&b, "tools"), BundleItem::new(&a, "system"), BundleItem::new(&b, "any role")];
    let request = CreateBundleRequest::new(items.clone());
    let bundle = fresh(world.store.create_bundle(&world.ctx(), request, None).await);
    assert_eq!(bundle.items, items);
    assert_eq!(bundle.bundle_type, "agent_prefix");
    assert_eq!(world.store.retrieve_bundle(&world.ctx(), &bundle.id).await.unwrap(), bundle);
}

pub(super) async fn a_bundle_of_a_missing_artifact_names_the_item(world: World) {
    let a = world.document("a").await;
    let missing = ArtifactId::with_suffix("01jy7n3q8v6kzr4w2m9bd5xpfh");
    let items = [BundleItem::new(&a, "system"), BundleItem::new(missing, "tools")];
    let refused = world.store.create_bundle(&world.ctx(), CreateBundleRequest::new(items), None).await;
    reference(refused, "items[1].artifact_id");
}

pub(super) async fn a_deleted_bundle_is_gone_but_sessions_still_list_it(world: World) {
    let a = world.document("a").await;
    let bundle = world.bundle(&[&a]).await;
    let request = CreateSessionRequest::new().base_bundle_ids([&bundle]);
    let session = fresh(world.store.create_session(&world.ctx(), request, None).await);
    world.store.delete_bundle(&world.ctx(), &bundle).await.unwrap();
    not_found(world.store.retrieve_bundle(&world.ctx(), &bundle).await);
    not_found(world.store.delete_bundle(&world.ctx(), &bundle).await);
    world.store.retrieve_artifact(&world.ctx(), &a).await.unwrap();
    let session = world.store.retrieve_session(&world.ctx(), &session.id).await.unwrap();
    assert_eq!(session.base_bundle_ids, [bundle]);
}
