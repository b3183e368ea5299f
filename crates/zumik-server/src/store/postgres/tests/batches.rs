//! Lines of batches that another server takes over in the middle of something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use zumik_types::{BatchStatus, CreateBatchRequest, TraceId};

use super::*;
use crate::store::{LineOutcome, NewFile};

const ENDPOINT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_line_that_is_taken_over_while_it_is_settled_is_not_settled() {
    let Some(Replicas { one, stores, .. }) = Replicas::start().await else { return };
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"Hi"}]}"#;
    let line = format!(r#"{{"custom_id":"a","method":"POST","url":"{ENDPOINT}","body":{body}}}"#);
    let (filename, purpose) = ("requests.jsonl".to_owned(), "batch".to_owned());
    let file = NewFile { filename, purpose, content: line.into(), expires_at: None };
    let file = fresh(one.store.upload_file(&one.ctx(), file, None).await).id;
    fresh(one.store.create_batch(&one.ctx(), CreateBatchRequest::new(&file, ENDPOINT), None).await);
    let now = one.ctx().now;
    one.store.advance_batches(now).await.unwrap();
    let line = one.store.claim_batch_lines(now, 1).await.unwrap().remove(0);

    let mut connection = stores[1].connection().await.unwrap();
    let taking = connection.transaction().await.unwrap();
    assert_eq!(taking.execute("UPDATE batch_lines SET epoch = epoch + 1", &[]).await.unwrap(), 1);
    let body = Bytes::from_static(b"{}");
    let answered = LineOutcome::Answered { status: 200, request_id: TraceId::with_suffix("1"), body };
    let settled = one.store.settle_batch_line(&line, answered, now);
    let taken = async {
        let is_waited_for = "SELECT EXISTS
            (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)";
        while !taking.query_one(is_waited_for, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
        taking.commit().await.unwrap();
    };
    let both = async { tokio::join!(settled, taken) };
    let (settled, ()) =
        tokio::time::timeout(Duration::from_secs(9), both).await.expect("it waits for the one that takes it");
    assert!(matches!(settled, Err(StoreError::LeaseLost)), "the line is another server's: {settled:?}");
}

#[tokio::test]
async fn a_batch_does_not_end_while_a_line_of_it_is_being_claimed() {
    let Some(Replicas { one, two, stores, .. }) = Replicas::start().await else { return };
    let [batch, _] = &two_started(&one).await;
    let now = one.ctx().now;
    let (claimed, advanced) = (&Semaphore::new(0), &AtomicBool::new(false));
    // The claim is committed once the end of the batch waits for it, or has come in spite of it.
    let claim = stores[0].write(|db| {
        Box::pin(async move {
            let claims = db.take_batch_lines(now, 2).await?;
            claimed.add_permits(1);
            let is_waited_for = "SELECT EXISTS
                (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)";
            while !advanced.load(Ordering::Relaxed) && !db.value::<bool>(is_waited_for, &[]).await? {
                tokio::task::yield_now().await;
            }
            db.read_claims(&claims).await
        })
    });
    let end = async {
        claimed.acquire().await.unwrap().forget();
        fresh(two.store.cancel_batch(&two.ctx(), batch, None).await);
        let ended = two.store.advance_batches(now).await.unwrap().ended;
        advanced.store(true, Ordering::Relaxed);
        ended
    };
    let both = async { tokio::join!(claim, end) };
    let (lines, ended) =
        tokio::time::timeout(Duration::from_secs(9), both).await.expect("neither waits for ever");
    let found = one.store.retrieve_batch(&one.ctx(), batch).await.unwrap();
    assert_eq!((ended, found.status), (0, BatchStatus::Cancelling), "a line of it runs");
    let lines = lines.unwrap();
    let line = lines.iter().find(|line| line.batch == *batch).unwrap();
    let outcome = LineOutcome::Failed { message: "no luck".to_owned() };
    assert!(
        one.store.settle_batch_line(line, outcome, now).await.unwrap(),
        "its result is kept, and it may end"
    );
}

#[tokio::test]
async fn a_batch_that_is_damaged_keeps_no_other_from_its_end() {
    let Some(Replicas { one, stores, .. }) = Replicas::start().await else { return };
    let batches = two_answered(&one).await;
    let connection = stores[1].connection().await.unwrap();
    let damage = "UPDATE batch_results SET sealed = '' WHERE id = (SELECT min(id) FROM batch_results)";
    assert_eq!(connection.execute(damage, &[]).await.unwrap(), 1);
    only_the_second_ends(&one, batches).await;
}

#[tokio::test]
async fn a_line_that_is_damaged_keeps_no_other_from_being_claimed() {
    let Some(Replicas { one, stores, .. }) = Replicas::start().await else { return };
    let batches = two_started(&one).await;
    let connection = stores[1].connection().await.unwrap();
    let damage = "UPDATE batch_inputs SET sealed = '' WHERE id = (SELECT min(id) FROM batch_inputs)";
    assert_eq!(connection.execute(damage, &[]).await.unwrap(), 1);
    only_the_second_is_claimed(&one, batches).await;
}
