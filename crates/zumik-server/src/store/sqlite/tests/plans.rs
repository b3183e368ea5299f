//! What SQLite reads: the few rows that wait for something, never all.

use super::*;

/// How a statement is run, whatever is bound to it.
async fn plan(opened: &Opened, sql: &str) -> String {
    let params = (1..).take_while(|at| sql.contains(&format!("?{at}"))).map(|_| None::<i64>);
    let params = rusqlite::params_from_iter(params.collect::<Vec<_>>());
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let steps = opened.store.readers.now(|db| db.all(&sql, params, |row| row.get::<_, String>("detail")));
    steps.unwrap().join("\n")
}

#[tokio::test]
async fn the_sweep_of_sessions_reads_those_that_are_deleted_only() {
    let plan = plan(&Opened::new().await, sweep::DELETED_SESSION).await;
    assert!(plan.contains("sessions_deleted"), "{plan}");
}

#[tokio::test]
async fn the_look_for_batches_that_may_end_reads_those_that_are_open_only() {
    let plan = plan(&Opened::new().await, &batch_end::may_end_sql()).await;
    assert!(plan.contains("SEARCH batches USING INDEX batches_by_status"), "{plan}");
}
