//! What the database reads: the rows of one project, or the few that wait for something, never those of everyone.

use super::super::{batches, files};
use super::*;

/// So many rows that belong to others.
const OTHERS: u64 = 20_000;

/// How a statement is run, whatever is bound to it.
async fn plan(connection: &Object, sql: &str) -> String {
    let params = (1..).take_while(|at| sql.contains(&format!("${at}"))).count();
    explain(connection, "COSTS OFF", sql, &vec!["NULL"; params].join(", ")).await
}

async fn explain(connection: &Object, options: &str, sql: &str, params: &str) -> String {
    let params = if params.is_empty() { String::new() } else { format!("({params})") };
    connection.batch_execute(&format!("PREPARE explained AS {sql}")).await.unwrap();
    let sql = format!("EXPLAIN ({options}) EXECUTE explained{params}");
    let lines: Vec<String> =
        connection.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    connection.batch_execute("DEALLOCATE explained").await.unwrap();
    lines.join("\n")
}

/// Inserts [`OTHERS`] rows of the other project, a number `n` each.
async fn insert_others(connection: &Object, table: &str, columns: &str, values: &str) {
    let sql = format!(
        "INSERT INTO {table} (public_id, project, created_at, {columns})
         SELECT int8send(n), (SELECT id FROM projects WHERE name = 'foreign'), n, {values}
         FROM generate_series(1, {OTHERS}) n;
         ANALYZE {table}"
    );
    connection.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_usage_report_reads_the_events_of_its_project_only() {
    let Some(Replicas { stores, .. }) = Replicas::start().await else { return };
    let connection = stores[0].connection().await.unwrap();
    let columns = "profile, qos_class, cache_tier, failed, input_tokens, output_tokens, eligible_tokens,
        candidate_tokens, realized_tokens, missed_tokens, charged_micros";
    insert_others(&connection, "usage_events", columns, "'', '', '', false, 1, 1, 1, 1, 1, 1, 1").await;
    let sums = format!("SELECT provider, ttft_ms {}", usage::SELECTION);
    for sql in [sums, usage::latest_sql()] {
        let plan = plan(&connection, &sql).await;
        assert!(plan.contains("usage_events_by_time") && !plan.contains("usage_events_by_age"), "{plan}");
    }
}

#[tokio::test]
async fn the_sweep_of_sessions_reads_those_that_are_deleted_only() {
    let Some(Replicas { stores, .. }) = Replicas::start().await else { return };
    let connection = stores[0].connection().await.unwrap();
    insert_others(&connection, "sessions", "root", "int8send(n)").await;
    let plan = plan(&connection, sweep::DELETED_SESSION).await;
    assert!(plan.contains("sessions_deleted"), "{plan}");
}

#[tokio::test]
async fn a_page_of_batches_or_files_is_read_past_those_of_no_other_project() {
    let Some(Replicas { stores, .. }) = Replicas::start().await else { return };
    let connection = stores[0].connection().await.unwrap();
    let columns = "api_key, status, endpoint, completion_window, input_file, total, expires_at, has_lines";
    let values = "(SELECT min(id) FROM api_keys), 4, '', '', '', 1, n, false";
    insert_others(&connection, "batches", columns, values).await;
    insert_others(&connection, "files", "filename, purpose, bytes, content", "'', '', 1, ''").await;
    for (sql, index) in [
        (batches::page_sql(), "batches_by_project"),
        (files::page_sql(&zumik_types::SortOrder::Asc), "files_by_project"),
        (files::page_sql(&zumik_types::SortOrder::Desc), "files_by_project"),
    ] {
        let plan = plan(&connection, &sql).await;
        assert!(plan.contains(index) && !plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test]
async fn what_two_branches_have_in_common_costs_the_depth_of_their_forks_and_not_its_square() {
    const DEPTH: u64 = 300;
    let Some(Replicas { stores, .. }) = Replicas::start().await else { return };
    let connection = stores[0].connection().await.unwrap();
    // Each branch has one event, behind that of the branch before. The last two were forked from the same one.
    let chain = format!(
        "INSERT INTO events (id, public_id, branch, sequence, parent, jump_sequence, event_type, created_at)
         SELECT n, int8send(n), n, least(n, {DEPTH}), nullif(least(n, {DEPTH}) - 1, 0), 0, '', 0
         FROM generate_series(1, {DEPTH} + 1) n"
    );
    connection.batch_execute(&chain).await.unwrap();
    let head = |row| Some(history::Node { row, sequence: DEPTH });
    let (one, other) = (head(DEPTH as i64), head(DEPTH as i64 + 1));
    let common = stores[0].read(|db| Box::pin(db.common_sequence(one, other))).await.unwrap();
    assert_eq!(common, DEPTH - 1);

    let params = format!("{DEPTH}, {DEPTH} + 1");
    let options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF";
    let plan = explain(&connection, options, history::COMMON_SEQUENCE, &params).await;
    let number = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let rows: u64 = plan
        .split("actual rows=")
        .skip(1)
        .map(|node| {
            let (_, loops) = node.split_once("loops=").unwrap();
            number(node).parse::<u64>().unwrap() * number(loops).parse::<u64>().unwrap()
        })
        .sum();
    assert!((DEPTH..40 * DEPTH).contains(&rows), "{rows} rows in\n{plan}");
}
