use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};
use zumik_types::{Batch, BatchId, BatchStatus, CreateBatchRequest, FileId, JsonObject, TraceId};

use super::world::{World, fresh, key, not_found, reference};
use crate::clock::Clock as _;
use crate::store::{BatchPage, ClaimedLine, LineOutcome, NewFile, StoreError};

pub(super) const ENDPOINT: &str = "/v1/chat/completions";

/// The body of the line of this name.
fn body(name: &str) -> String {
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{name}"}}]}}"#)
}

/// An input file with a line for each name.
pub(super) fn input(names: &[&str]) -> NewFile {
    let line = |name: &&str| {
        let body = body(name);
        format!(r#"{{"custom_id":"{name}","method":"POST","url":"{ENDPOINT}","body":{body}}}"#)
    };
    let lines: Vec<_> = names.iter().map(line).collect();
    NewFile {
        filename: "requests.jsonl".to_owned(),
        purpose: "batch".to_owned(),
        content: lines.join("\n").into(),
        expires_at: None,
    }
}

pub(super) async fn upload(world: &World, file: NewFile) -> FileId {
    fresh(world.store.upload_file(&world.ctx(), file, None).await).id
}

/// A batch over a file.
pub(super) async fn create(world: &World, file: &FileId) -> Batch {
    let request = CreateBatchRequest::new(file, ENDPOINT);
    fresh(world.store.create_batch(&world.ctx(), request, None).await)
}

/// A batch whose lines may run.
pub(super) async fn start(world: &World, names: &[&str]) -> Batch {
    let file = upload(world, input(names)).await;
    let batch = create(world, &file).await;
    advance(world).await;
    read(world, &batch.id).await
}

pub(super) async fn advance(world: &World) -> u64 {
    world.store.advance_batches(world.clock.now()).await.unwrap().ended
}

pub(super) async fn read(world: &World, id: &BatchId) -> Batch {
    world.store.retrieve_batch(&world.ctx(), id).await.unwrap()
}

pub(super) async fn claim(world: &World, most: u32) -> Vec<ClaimedLine> {
    world.store.claim_batch_lines(world.clock.now(), most).await.unwrap()
}

pub(super) fn answered(status: u16) -> LineOutcome {
    let body = Bytes::from(format!("{{\n\"status\":{status}}}"));
    LineOutcome::Answered { status, request_id: TraceId::with_suffix("1"), body }
}

pub(super) async fn settle(world: &World, line: &ClaimedLine, outcome: LineOutcome) -> bool {
    world.store.settle_batch_line(line, outcome, world.clock.now()).await.unwrap()
}

/// The lines of a file.
pub(super) async fn lines(world: &World, file: Option<&FileId>) -> Vec<Value> {
    let Some(file) = file else { return Vec::new() };
    let content = world.store.retrieve_file_content(&world.ctx(), file).await.unwrap();
    assert_eq!(content.last(), Some(&b'\n'));
    let text = String::from_utf8(content.to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect()
}

pub(super) async fn a_batch_goes_from_its_lines_to_its_files(world: World) {
    let file = upload(&world, input(&["a", "b", "c", "d"])).await;
    let metadata = JsonObject::from_iter([("for".to_owned(), json!({"n": [1, null]}))]);
    let request = CreateBatchRequest::new(&file, ENDPOINT).metadata(metadata.clone());
    let batch = fresh(world.store.create_batch(&world.ctx(), request, None).await);
    assert_eq!((&batch.status, batch.request_counts.total), (&BatchStatus::Validating, 4));
    assert_eq!((&batch.input_file_id, batch.completion_window.as_str()), (&file, "24h"));
    assert_eq!(read(&world, &batch.id).await, batch);
    assert!(claim(&world, 9).await.is_empty());
    assert_eq!(world.store.advance_batches(world.clock.now()).await.unwrap().started, 1);
    assert_eq!(read(&world, &batch.id).await.status, BatchStatus::InProgress);
    // The file may go: the batch works on what it has read.
    world.store.delete_file(&world.ctx(), &file).await.unwrap();

    world.advance(TimeDelta::seconds(5));
    let claimed = claim(&world, 9).await;
    assert_eq!(claimed.len(), 4);
    for (line, name) in claimed.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(line.body, body(name));
        assert_eq!((&line.batch, line.attempt), (&batch.id, 1));
        assert_eq!((&line.project, &line.key), (&world.ctx().project, &world.ctx().key));
    }
    assert!(!settle(&world, &claimed[3], answered(200)).await);
    assert!(!settle(&world, &claimed[1], answered(402)).await);
    let counts = read(&world, &batch.id).await.request_counts;
    assert_eq!((counts.completed, counts.failed), (1, 1));
    assert_eq!(advance(&world).await, 0);
    let message = "no luck".to_owned();
    assert!(!settle(&world, &claimed[0], LineOutcome::Failed { message }).await);
    assert!(settle(&world, &claimed[2], answered(201)).await, "it was the last");
    assert_eq!(read(&world, &batch.id).await.status, BatchStatus::Finalizing);
    world.advance(TimeDelta::seconds(1));
    assert_eq!(advance(&world).await, 1);

    let ended = read(&world, &batch.id).await;
    let now = world.clock.now();
    assert_eq!((&ended.status, ended.completed_at), (&BatchStatus::Completed, Some(now)));
    assert_eq!(ended.in_progress_at, Some(now - TimeDelta::seconds(6)));
    assert_eq!(ended.finalizing_at, Some(now - TimeDelta::seconds(1)));
    assert_eq!(ended.metadata, metadata);
    assert_eq!((ended.request_counts.completed, ended.request_counts.failed), (2, 2));
    let output = lines(&world, ended.output_file_id.as_ref()).await;
    let errors = lines(&world, ended.error_file_id.as_ref()).await;
    assert_eq!((names(&output), names(&errors)), (vec!["c", "d"], vec!["a", "b"]));
    let response = json!({"status_code": 201, "request_id": "trc_1", "body": {"status": 201}});
    assert_eq!((&output[0]["response"], &output[0]["error"]), (&response, &Value::Null));
    assert_eq!(errors[0]["error"], json!({"code": "internal_error", "message": "no luck"}));
    assert_eq!(errors[1]["response"]["status_code"], 402);
    let file = world.store.retrieve_file(&world.ctx(), ended.output_file_id.as_ref().unwrap()).await.unwrap();
    assert_eq!((file.purpose.as_str(), file.expires_at), ("batch_output", Some(now + TimeDelta::days(1))));
    assert_eq!(advance(&world).await, 0);
    assert_eq!(world.store.next_batch_work(world.clock.now()).await.unwrap(), None);
    let lost = world.store.settle_batch_line(&claimed[0], answered(200), now).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
}

pub(super) async fn a_bad_input_fails_its_batch(world: World) {
    let file = upload(&world, input(&["a", "a", "b"])).await;
    let batch = create(&world, &file).await;
    assert_eq!((&batch.status, batch.request_counts.total), (&BatchStatus::Validating, 3));
    assert_eq!(batch.errors, None);
    assert_eq!(advance(&world).await, 1);
    let failed = read(&world, &batch.id).await;
    assert_eq!((&failed.status, failed.failed_at), (&BatchStatus::Failed, Some(world.clock.now())));
    let errors = failed.errors.unwrap().data;
    assert_eq!((errors.len(), errors[0].code.as_str(), errors[0].line), (1, "duplicate_custom_id", Some(2)));
    assert!(claim(&world, 9).await.is_empty());
    assert_eq!((failed.output_file_id, failed.error_file_id), (None, None));
}

pub(super) async fn a_batch_needs_an_input_file_of_its_project(world: World) {
    let other = upload(&world, NewFile { purpose: "other".to_owned(), ..input(&["a"]) }).await;
    let foreign = world.store.upload_file(&world.foreign(), input(&["a"]), None).await;
    let foreign = fresh(foreign).id;
    for file in [other, foreign, FileId::with_suffix("none")] {
        let request = CreateBatchRequest::new(&file, ENDPOINT);
        reference(world.store.create_batch(&world.ctx(), request, None).await, "input_file_id");
    }
    let batch = start(&world, &["a"]).await;
    not_found(world.store.retrieve_batch(&world.foreign(), &batch.id).await);
    not_found(world.store.cancel_batch(&world.foreign(), &batch.id, None).await);
}

pub(super) async fn a_repeated_create_is_replayed_also_without_the_file(world: World) {
    let file = upload(&world, input(&["a"])).await;
    let create = async || {
        let request = CreateBatchRequest::new(&file, ENDPOINT);
        world.store.create_batch(&world.ctx(), request, key("/v1/batches", "k", "body")).await.unwrap()
    };
    let first = create().await;
    world.store.delete_file(&world.ctx(), &file).await.unwrap();
    let again = create().await;
    assert!(again.is_replay());
    assert_eq!(again.answer(), first.answer());
    let all = BatchPage { after: None, limit: None };
    assert_eq!(world.store.list_batches(&world.ctx(), all).await.unwrap().data.len(), 1);
}

pub(super) async fn batches_are_listed_newest_first(world: World) {
    let file = upload(&world, input(&["a"])).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.insert(0, create(&world, &file).await.id);
    }
    let list = async |after: Option<&BatchId>, limit| {
        let page = BatchPage { after: after.cloned(), limit };
        let page = world.store.list_batches(&world.ctx(), page).await.unwrap();
        (page.data.into_iter().map(|batch| batch.id).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(list(None, None).await, (ids.clone(), false));
    assert_eq!(list(None, Some(3)).await, (ids[..3].to_vec(), true));
    assert_eq!(list(Some(&ids[1]), Some(2)).await, (ids[2..].to_vec(), false));
    let page = BatchPage { after: Some(BatchId::with_suffix("none")), limit: None };
    reference(world.store.list_batches(&world.ctx(), page).await, "after");
    let page = BatchPage { after: None, limit: None };
    assert_eq!(world.store.list_batches(&world.foreign(), page).await.unwrap().data, []);
}

pub(super) async fn a_cancelled_batch_keeps_what_ran(world: World) {
    let batch = start(&world, &["a", "b", "c", "d"]).await;
    let claimed = claim(&world, 2).await;
    settle(&world, &claimed[0], answered(200)).await;
    let cancelled = fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await);
    let now = world.clock.now();
    assert_eq!((&cancelled.status, cancelled.cancelling_at), (&BatchStatus::Cancelling, Some(now)));
    assert!(claim(&world, 9).await.is_empty());
    assert_eq!(advance(&world).await, 0, "a line still runs");
    let again = fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await);
    assert_eq!(again, cancelled);
    assert!(settle(&world, &claimed[1], answered(400)).await);
    assert_eq!(advance(&world).await, 1);
    let ended = read(&world, &batch.id).await;
    assert_eq!((&ended.status, ended.cancelled_at), (&BatchStatus::Cancelled, Some(now)));
    assert_eq!(names(&lines(&world, ended.output_file_id.as_ref()).await), ["a"]);
    let errors = lines(&world, ended.error_file_id.as_ref()).await;
    assert_eq!(names(&errors), ["b", "c", "d"]);
    assert_eq!(errors[2]["error"]["code"], "batch_cancelled");
    assert_eq!(fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await), ended);

    // One that no one has begun with yet.
    let file = upload(&world, input(&["a"])).await;
    let batch = create(&world, &file).await;
    fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await);
    assert_eq!(advance(&world).await, 1);
    let ended = read(&world, &batch.id).await;
    assert_eq!((ended.status, ended.in_progress_at), (BatchStatus::Cancelled, None));
    assert_eq!(names(&lines(&world, ended.error_file_id.as_ref()).await), ["a"]);
}

pub(super) async fn a_batch_that_ended_is_not_cancelled(world: World) {
    let batch = start(&world, &["a"]).await;
    settle(&world, &claim(&world, 1).await[0], answered(200)).await;
    let finalizing = read(&world, &batch.id).await;
    assert_eq!(fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await), finalizing);
    advance(&world).await;
    let refused = world.store.cancel_batch(&world.ctx(), &batch.id, None).await;
    assert!(matches!(refused, Err(StoreError::BatchEnded { status: BatchStatus::Completed })), "{refused:?}");
}

pub(super) async fn an_expired_batch_keeps_what_ran(world: World) {
    let batch = start(&world, &["a", "b", "c"]).await;
    settle(&world, &claim(&world, 1).await[0], answered(200)).await;
    world.advance(TimeDelta::hours(24) - TimeDelta::seconds(30));
    let running = claim(&world, 1).await;
    assert_eq!(advance(&world).await, 0);
    world.advance(TimeDelta::seconds(30));
    assert!(claim(&world, 9).await.is_empty());
    assert_eq!(advance(&world).await, 0, "a line still runs");
    assert!(settle(&world, &running[0], answered(200)).await);
    assert_eq!(advance(&world).await, 1);
    let ended = read(&world, &batch.id).await;
    assert_eq!((&ended.status, ended.expired_at), (&BatchStatus::Expired, Some(world.clock.now())));
    assert_eq!(names(&lines(&world, ended.output_file_id.as_ref()).await), ["a", "b"]);
    let errors = lines(&world, ended.error_file_id.as_ref()).await;
    assert_eq!((names(&errors), &errors[0]["error"]["code"]), (vec!["c"], &json!("batch_expired")));
}

pub(super) async fn batches_that_cannot_end_yet_keep_no_other_from_its_end(world: World) {
    let file = upload(&world, input(&["a"])).await;
    let mut running = Vec::new();
    for _ in 0..65 {
        running.push(create(&world, &file).await.id);
    }
    advance(&world).await;
    assert_eq!(claim(&world, 65).await.len(), 65);
    for batch in &running {
        fresh(world.store.cancel_batch(&world.ctx(), batch, None).await);
    }
    let last = create(&world, &file).await.id;
    advance(&world).await;
    assert!(settle(&world, &claim(&world, 1).await[0], answered(200)).await);
    assert_eq!(advance(&world).await, 1);
    assert_eq!(read(&world, &last).await.status, BatchStatus::Completed);
}

/// Two batches whose lines may run.
pub(in crate::store) async fn two_started(world: &World) -> [BatchId; 2] {
    [start(world, &["a"]).await.id, start(world, &["b"]).await.id]
}

/// The first one cannot run, for its input is damaged.
pub(in crate::store) async fn only_the_second_is_claimed(world: &World, [_, second]: [BatchId; 2]) {
    let claimed = claim(world, 2).await;
    assert_eq!(claimed.iter().map(|line| &line.batch).collect::<Vec<_>>(), [&second]);
    assert!(settle(world, &claimed[0], answered(200)).await, "it is held");
}

/// Two batches that have all their answers.
pub(in crate::store) async fn two_answered(world: &World) -> [BatchId; 2] {
    let batches = two_started(world).await;
    for line in claim(world, 2).await {
        settle(world, &line, answered(200)).await;
    }
    batches
}

/// The first one cannot end, for its answers are damaged.
pub(in crate::store) async fn only_the_second_ends(world: &World, [first, second]: [BatchId; 2]) {
    let advanced = world.store.advance_batches(world.clock.now()).await;
    assert!(matches!(advanced, Err(StoreError::Internal(_))), "{advanced:?}");
    assert_eq!(read(world, &first).await.status, BatchStatus::Finalizing);
    assert_eq!(read(world, &second).await.status, BatchStatus::Completed);
}
