//! Reports, which may be long, beside everything else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::*;

/// What a test waits for at most, where it would wait until the database gives up if the code were wrong.
const PATIENCE: Duration = Duration::from_secs(8);

/// A store with one connection.
async fn narrow(replicas: &Replicas) -> PostgresStore {
    PostgresStore::open((replicas.options)().connections(1)).await.unwrap()
}

#[tokio::test]
async fn reports_leave_connections_to_all_else() {
    let Some(replicas) = Replicas::start().await else { return };
    let (store, ctx) = (&replicas.stores[0], replicas.one.ctx());
    let started = Semaphore::new(0);
    let sleep = || {
        store.report(PATIENCE, |db| {
            started.add_permits(1);
            Box::pin(db.run("SELECT pg_sleep(60)", &[]))
        })
    };
    let reports = join_all((0..16).map(|_| sleep()));
    let other = async {
        started.acquire_many(2).await.unwrap().forget();
        store.list_artifacts(&ctx).await
    };
    tokio::select! {
        _ = reports => unreachable!("they sleep for as long as they may"),
        found = other => assert!(found.unwrap().is_empty()),
    }
}

#[tokio::test]
async fn a_report_ends_at_its_time_and_holds_no_connection_up() {
    let Some(replicas) = Replicas::start().await else { return };
    let store = narrow(&replicas).await;
    let most = Duration::from_millis(200);
    let report = store.report(most, |db| Box::pin(db.run("SELECT pg_sleep(60)", &[]))).await;
    assert!(matches!(report, Err(StoreError::TooLong)), "{report:?}");
    tokio::time::timeout(PATIENCE, store.check_ready()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_report_that_nobody_waits_for_holds_no_connection_up() {
    let Some(replicas) = Replicas::start().await else { return };
    let store = narrow(&replicas).await;
    let rows = AtomicU64::new(0);
    let report = store.report(PATIENCE, |db| {
        let count = |_: &_| {
            rows.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        Box::pin(db.for_each("SELECT generate_series(1, 1000000000)", &[], count))
    });
    let gone = async {
        while rows.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        report = report => unreachable!("it has more to read than it may: {report:?}"),
        () = gone => {}
    }
    tokio::time::timeout(PATIENCE, store.check_ready()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_report_that_nobody_waits_for_has_its_permit_for_as_long_as_the_database_is_at_it() {
    let Some(replicas) = Replicas::start().await else { return };
    let store = narrow(&replicas).await;
    let started = Semaphore::new(0);
    let sleep = || {
        store.report(PATIENCE, |db| {
            started.add_permits(1);
            Box::pin(db.run("SELECT pg_sleep(0.5)", &[]))
        })
    };
    tokio::select! {
        _ = sleep() => unreachable!("it sleeps for longer"),
        permit = started.acquire() => permit.unwrap().forget(),
    }
    assert_eq!(store.reports.available_permits(), 0);
    sleep().await.unwrap();
    assert_eq!(store.reports.available_permits(), 1);
}
