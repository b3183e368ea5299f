use rusqlite::Connection;

use super::Opened;
use crate::store::conformance::usage_event;
use crate::store::{Store as _, UsageQuery, UsageStore as _};

#[tokio::test]
async fn cancelled_generations_that_an_older_server_counted_as_failed_are_none() {
    let opened = Opened::new().await;
    let ctx = opened.world.ctx();
    let events = (1..25).map(|n| usage_event(&ctx, n)).collect();
    opened.store.record_usage(events).await.unwrap();
    let all = UsageQuery::between(ctx.now, ctx.now);
    let report = opened.store.usage(&ctx, all.clone()).await.unwrap();
    opened.store.close().await;
    let conn = Connection::open(opened.folder.path().join("zumik.db")).unwrap();
    let sql = "UPDATE usage_events SET failed = 1
               WHERE id IN (SELECT id FROM usage_records WHERE record ->> 'status' <> 'completed')";
    assert_eq!(conn.execute(sql, []).unwrap() as u64, report.summary.failed_requests + 2);
    conn.pragma_update(None, "user_version", 4).unwrap();
    drop(conn);
    let opened = opened.reopened().await;
    assert_eq!(opened.store.usage(&ctx, all).await.unwrap(), report);
}
