//! Replicas that work on responses, as the others see them.

use std::time::Duration;

use zumik_types::{ResponseId, ResponseStatus};

use super::*;
use crate::store::conformance::native;

/// A response that a replica works on.
async fn begun(world: &World) -> ResponseId {
    let ctx = world.ctx();
    let mut response = native(&ctx, "text");
    response.status = ResponseStatus::InProgress;
    let stored = StoredResponse::Native(Box::new(response.clone()));
    world.store.commit_generation(&ctx, generation(world, &ctx, Some(stored)), None).await.unwrap();
    response.id
}

async fn status(world: &World, id: &ResponseId) -> ResponseStatus {
    world.store.retrieve_response(&world.ctx(), id).await.unwrap().status
}

#[tokio::test]
async fn responses_fail_when_the_replica_that_works_on_them_is_gone_and_not_before() {
    let Some(Replicas { one, two, .. }) = Replicas::start().await else { return };
    let response = begun(&one).await;
    assert_eq!(two.store.fail_open_responses().await.unwrap(), 0);
    two.store.sweep(two.ctx().now).await.unwrap();
    assert_eq!(status(&two, &response).await, ResponseStatus::InProgress);

    one.store.close().await;
    // The lock of a replica ends with its connection, which the server notices in its own time.
    let failed = async {
        loop {
            two.store.sweep(two.ctx().now).await.unwrap();
            if status(&two, &response).await == ResponseStatus::Failed {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), failed).await.unwrap();
}

#[tokio::test]
async fn a_replica_that_loses_the_connection_of_its_presence_takes_another() {
    let Some(Replicas { one, two, stores, .. }) = Replicas::start().await else { return };
    let response = begun(&one).await;
    let connection = stores[1].connection().await.unwrap();
    let presence = &stores[0].env.presence;
    let lock = presence.lock(presence.number());
    let holder = async || -> Option<i32> {
        let sql =
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
                   AND (classid::bigint << 32 | objid::bigint) = $1";
        connection.query_opt(sql, &[&lock]).await.unwrap().map(|row| row.get(0))
    };
    let lost = holder().await.expect("it is there");
    connection.execute("SELECT pg_terminate_backend($1, 5000)", &[&lost]).await.unwrap();
    let again = async {
        while holder().await.is_none() {
            assert!(one.store.ended_v1_responses(Vec::new()).await.unwrap().is_empty());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(9), again).await.expect("it says again that it is there");
    two.store.sweep(two.ctx().now).await.unwrap();
    assert_eq!(status(&two, &response).await, ResponseStatus::InProgress);
}
