use bytes::Bytes;
use chrono::TimeDelta;
use zumik_types::{File, FileId, SortOrder};

use super::world::{World, fresh, not_found, reference};
use crate::store::{FilePage, Limit, MAX_FILES, NewFile, StoreError};

fn file(purpose: &str, content: impl Into<Bytes>) -> NewFile {
    NewFile {
        filename: "requests.jsonl".to_owned(),
        purpose: purpose.to_owned(),
        content: content.into(),
        expires_at: None,
    }
}

fn all() -> FilePage {
    FilePage { purpose: None, after: None, limit: None, order: SortOrder::Asc }
}

async fn upload(world: &World, new: NewFile) -> File {
    fresh(world.store.upload_file(&world.ctx(), new, None).await)
}

pub(super) async fn a_file_is_stored_and_read_back(world: World) {
    let content = Bytes::from((0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    let stored = upload(&world, file("batch", content.clone())).await;
    assert_eq!((stored.bytes, stored.purpose.as_str()), (100_000, "batch"));
    assert_eq!((stored.filename.as_str(), stored.expires_at), ("requests.jsonl", None));
    assert_eq!(stored.id.as_str().len(), "file-".len() + 24);
    assert_eq!(world.store.retrieve_file(&world.ctx(), &stored.id).await.unwrap(), stored);
    assert_eq!(world.store.retrieve_file_content(&world.ctx(), &stored.id).await.unwrap(), content);
    world.store.delete_file(&world.ctx(), &stored.id).await.unwrap();
    for id in [&stored.id, &FileId::with_suffix("none")] {
        not_found(world.store.retrieve_file(&world.ctx(), id).await);
        not_found(world.store.retrieve_file_content(&world.ctx(), id).await);
        not_found(world.store.delete_file(&world.ctx(), id).await);
    }
}

pub(super) async fn the_number_of_files_is_limited_under_concurrency(world: World) {
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..MAX_FILES + 40 {
        let world = world.clone();
        uploads
            .spawn(async move { world.store.upload_file(&world.ctx(), file("batch", "text"), None).await });
    }
    let results = uploads.join_all().await;
    let stored = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert_eq!(stored, MAX_FILES);
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StoreError::Limit { limit: Limit::Files(MAX_FILES) }), "{refused:?}");
    }
    let listed = world.store.list_files(&world.ctx(), all()).await.unwrap().data;
    assert_eq!(listed.len() as u64, MAX_FILES);
    // Another project has its own limit, and a deleted file makes room.
    fresh(world.store.upload_file(&world.foreign(), file("batch", "text"), None).await);
    world.store.delete_file(&world.ctx(), &listed[0].id).await.unwrap();
    upload(&world, file("batch", "text")).await;
}

pub(super) async fn an_expired_file_is_gone_and_makes_room(world: World) {
    let expires_at = Some(world.ctx().now + TimeDelta::days(1));
    let mut expiring = Vec::new();
    for _ in 0..MAX_FILES {
        expiring.push(upload(&world, NewFile { expires_at, ..file("batch_output", "text") }).await);
    }
    assert_eq!(expiring[0].expires_at, expires_at);
    assert!(world.store.upload_file(&world.ctx(), file("batch", "text"), None).await.is_err());
    world.advance(TimeDelta::days(1));
    not_found(world.store.retrieve_file(&world.ctx(), &expiring[0].id).await);
    not_found(world.store.retrieve_file_content(&world.ctx(), &expiring[0].id).await);
    assert_eq!(world.store.list_files(&world.ctx(), all()).await.unwrap().data, []);
    upload(&world, file("batch", "text")).await;
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().files, MAX_FILES);
    assert_eq!(world.store.list_files(&world.ctx(), all()).await.unwrap().data.len(), 1);
}

pub(super) async fn files_are_listed_by_page_and_purpose(world: World) {
    let mut ids = Vec::new();
    for purpose in ["batch", "other", "batch", "batch", "other"] {
        ids.push(upload(&world, file(purpose, "text")).await.id);
    }
    let list = async |page| {
        let page = world.store.list_files(&world.ctx(), page).await.unwrap();
        (page.data.into_iter().map(|file| file.id).collect::<Vec<_>>(), page.has_more)
    };
    let desc = FilePage { order: SortOrder::Desc, ..all() };
    assert_eq!(list(all()).await, (ids.clone(), false));
    assert_eq!(list(desc.clone()).await, (ids.iter().rev().cloned().collect(), false));
    let after = |at: usize, page: FilePage| FilePage { after: Some(ids[at].clone()), limit: Some(2), ..page };
    assert_eq!(list(after(0, all())).await, (ids[1..3].to_vec(), true));
    assert_eq!(list(after(2, all())).await, (ids[3..].to_vec(), false));
    assert_eq!(list(after(1, desc)).await, (vec![ids[0].clone()], false));
    let batch = FilePage { purpose: Some("batch".to_owned()), ..all() };
    let expected = vec![ids[2].clone(), ids[3].clone()];
    assert_eq!(list(after(1, batch)).await, (expected, false));
    let page = FilePage { after: Some(FileId::with_suffix("none")), ..all() };
    reference(world.store.list_files(&world.ctx(), page).await, "after");
}
