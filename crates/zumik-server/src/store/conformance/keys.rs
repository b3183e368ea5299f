use super::world::{World, new_key};
use crate::domain::key_hash;
use crate::store::StoreError;

pub(super) async fn a_key_is_known_until_it_is_revoked(world: World) {
    let now = world.ctx().now;
    let project = world.ctx().project;
    let record = world.store.create_key(&project, new_key("secret"), now).await.unwrap();
    let caller = world.store.authenticate(&key_hash(b"secret")).await.unwrap().unwrap();
    assert_eq!((caller.project, caller.key, caller.scopes), (project, record.id.clone(), record.scopes));

    let revoked = world.store.revoke_key(&record.id, now).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(now));
    assert_eq!(world.store.authenticate(&key_hash(b"secret")).await.unwrap(), None);
    assert_eq!(world.store.revoke_key(&record.id, now + chrono::TimeDelta::hours(1)).await.unwrap(), revoked);
    let listed = world.store.list_keys(Some(&world.ctx().project)).await.unwrap();
    assert_eq!(listed.last(), Some(&revoked));
    assert_eq!(listed.len(), 2);
    assert_eq!(world.store.list_keys(None).await.unwrap().len(), 3);
}

pub(super) async fn a_key_that_is_registered_again_stays_as_it_is(world: World) {
    let ctx = world.ctx();
    let first = world.store.create_key(&ctx.project, new_key("secret"), ctx.now).await.unwrap();
    let again = world.store.create_key(&ctx.project, new_key("secret"), ctx.now).await.unwrap();
    assert_eq!(first, again);
}

pub(super) async fn a_revoked_key_that_is_registered_again_stays_revoked(world: World) {
    let ctx = world.ctx();
    let key = world.store.create_key(&ctx.project, new_key("secret"), ctx.now).await.unwrap();
    let revoked = world.store.revoke_key(&key.id, ctx.now).await.unwrap();
    let again = world.store.create_key(&ctx.project, new_key("secret"), ctx.now).await.unwrap();
    assert_eq!(again, revoked);
    assert_eq!(world.store.authenticate(&key_hash(b"secret")).await.unwrap(), None);
}

pub(super) async fn a_key_of_another_project_is_refused(world: World) {
    let (ctx, foreign) = (world.ctx(), world.foreign());
    world.store.create_key(&foreign.project, new_key("secret"), ctx.now).await.unwrap();
    let taken = world.store.create_key(&ctx.project, new_key("secret"), ctx.now).await;
    assert!(matches!(taken, Err(StoreError::Reference { .. })), "{taken:?}");
    let caller = world.store.authenticate(&key_hash(b"secret")).await.unwrap().unwrap();
    assert_eq!(caller.project, foreign.project);
}

pub(super) async fn projects_are_made_once_by_name(world: World) {
    let now = world.ctx().now;
    assert_eq!(world.store.find_project("new").await.unwrap(), None);
    let project = world.store.ensure_project("new", now).await.unwrap();
    assert_eq!(world.store.ensure_project("new", now).await.unwrap(), project);
    assert_eq!(world.store.find_project("new").await.unwrap(), Some(project));
}
