use chrono::TimeDelta;
use zumik_types::{
    ArtifactId, ArtifactType, BundleItem, CreateArtifactRequest, CreateBundleRequest, RetentionClass,
};

use super::world::{World, fresh, not_found, reference};

pub(super) async fn an_artifact_is_shown_without_its_content(world: World) {
    let serde_json::Value::Object(metadata) = serde_json::json!({"source": {"name": "a", "n": [1, null]}})
    else {
        unreachable!()
    };
    let request = CreateArtifactRequest::new(ArtifactType::Policy, "canary")
        .content_media_type("application/json")
        .retention_class(RetentionClass::Extended)
        .metadata(metadata.clone());
    let written = world.store.create_artifact(&world.ctx(), request, None).await.unwrap();
    let body = String::from_utf8(written.answer().body.to_vec()).unwrap();
    assert!(!body.contains("canary"), "{body}");
    let artifact = written.fresh().unwrap();
    assert_eq!(artifact.artifact_type, ArtifactType::Policy);
    assert_eq!(artifact.project_id, world.ctx().project);
    assert_eq!(artifact.content_media_type, "application/json");
    assert_eq!(artifact.retention_class, RetentionClass::Extended);
    assert_eq!(artifact.metadata, metadata);
    assert_eq!(world.store.retrieve_artifact(&world.ctx(), &artifact.id).await.unwrap(), artifact);

    let plain = world.document("text").await;
    let plain = world.store.retrieve_artifact(&world.ctx(), &plain).await.unwrap();
    assert_eq!((plain.content_media_type.as_str(), plain.metadata.len()), ("text/plain", 0));
    assert_eq!(plain.retention_class, RetentionClass::Standard);
    for id in ["none", "01jy7n3q8v6kzr4w2m9bd5xpfh", "../x"] {
        not_found(world.store.retrieve_artifact(&world.ctx(), &ArtifactId::with_suffix(id)).await);
    }
}

pub(super) async fn artifacts_are_listed_oldest_first(world: World) {
    assert_eq!(world.store.list_artifacts(&world.ctx()).await.unwrap(), []);
    let mut ids = Vec::new();
    for text in ["same", "same", "other"] {
        ids.push(world.document(text).await);
    }
    world.store.delete_artifact(&world.ctx(), &ids.remove(1)).await.unwrap();
    let listed = world.store.list_artifacts(&world.ctx()).await.unwrap();
    assert_eq!(listed.iter().map(|artifact| artifact.id.clone()).collect::<Vec<_>>(), ids);
}

pub(super) async fn a_deleted_artifact_is_gone_and_cannot_be_referenced(world: World) {
    let id = world.document("text").await;
    let bundle = world.bundle(&[&id]).await;
    world.store.delete_artifact(&world.ctx(), &id).await.unwrap();
    not_found(world.store.retrieve_artifact(&world.ctx(), &id).await);
    not_found(world.store.delete_artifact(&world.ctx(), &id).await);
    let request = CreateBundleRequest::new([BundleItem::new(&id, "context")]);
    reference(world.store.create_bundle(&world.ctx(), request, None).await, "items[0].artifact_id");
    let bundle = world.store.retrieve_bundle(&world.ctx(), &bundle).await.unwrap();
    assert_eq!(bundle.items[0].artifact_id, id);
}

pub(super) async fn an_ephemeral_artifact_goes_after_a_day(world: World) {
    let request =
        CreateArtifactRequest::new(ArtifactType::Document, "text").retention_class(RetentionClass::Ephemeral);
    let artifact = fresh(world.store.create_artifact(&world.ctx(), request, None).await);
    let other = world.document("text").await;
    world.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().artifacts, 0);
    world.store.retrieve_artifact(&world.ctx(), &artifact.id).await.unwrap();
    world.advance(TimeDelta::seconds(1));
    not_found(world.store.retrieve_artifact(&world.ctx(), &artifact.id).await);
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().artifacts, 1);
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().artifacts, 0);
    not_found(world.store.retrieve_artifact(&world.ctx(), &artifact.id).await);
    world.store.retrieve_artifact(&world.ctx(), &other).await.unwrap();
}
