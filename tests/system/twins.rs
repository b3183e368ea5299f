//! Sixty-four twins of every request that takes an idempotency key: one effect, and the same bytes for all.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tokio::task::JoinSet;
use zumik_client::types::{Method, Operation, operations};
use zumik_tests::http::{Answer, Http};
use zumik_tests::operations::{Request, World};
use zumik_tests::server::{self, TestServer};
use zumik_tests::within;

const TWINS: usize = 64;
const KEY: &str = "Agent-Idempotency-Key";

/// What one request of an operation makes, kind by kind.
fn effect(operation: &Operation) -> BTreeMap<String, i64> {
    let made: &[&str] = match operation.id {
        "createArtifact" => &["artifacts"],
        "createBundle" => &["bundles"],
        "createSession" => &["sessions", "branches"],
        "forkBranch" => &["branches"],
        // The merge finds one event to copy.
        "appendEvent" | "mergeBranch" => &["events"],
        "createSnapshot" => &["snapshots"],
        "createResponse" | "createV1Response" => &["responses"],
        "createConversation" => &["conversations"],
        "createDiagnostic" => &["diagnostics"],
        "createPurgeJob" => &["purge_jobs"],
        "createModelAlias" => &["alias_releases"],
        "createAgentHints" => &["agent_hints"],
        "uploadFile" => &["files"],
        // Its line is a generation, and it writes a file of results.
        "createBatch" => &["batches", "files", "usage_events"],
        "updateSession"
        | "cancelResponse"
        | "cancelV1Response"
        | "cancelBatch"
        | "countTokens"
        | "countV1InputTokens"
        | "compactV1Response"
        | "createChatCompletion"
        | "createEmbeddings" => &[],
        other => panic!("tests/system/twins.rs does not know what {other} makes"),
    };
    let usage = operation.generation.then_some("usage_events");
    made.iter().copied().chain(usage).map(|kind| (kind.to_owned(), 1)).collect()
}

/// How many objects there are of each kind: rows with an id of their own, also of what no operation lists.
async fn objects(server: &TestServer) -> BTreeMap<String, i64> {
    // Whoever asks for the usage finds all of it written.
    assert_eq!(server.http().get("/v2/usage").await.status, 200);
    let conn = Connection::open(server.data().join("zumik.db")).expect("the database opens");
    // The lines of a batch that has ended are cleared away at some time.
    let tables = "SELECT t.name FROM sqlite_master t, pragma_table_info(t.name) c \
                  WHERE t.type = 'table' AND c.name = 'public_id' AND t.name != 'batch_lines'";
    let mut tables = conn.prepare(tables).expect("a query");
    let tables = tables.query_map([], |row| row.get(0)).expect("the tables");
    let count = |table: String| {
        let rows = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        (table, rows.expect("a count"))
    };
    tables.map(|table| count(table.expect("a name"))).collect()
}

/// What there is more, or less, than before.
fn grown(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let grown = after.iter().map(|(kind, count)| (kind.clone(), count - before[kind]));
    grown.filter(|(_, more)| *more != 0).collect()
}

/// Sends until the key is no longer in flight.
async fn settled(http: &Http, request: &Request, key: &str) -> Answer {
    let sent = async {
        loop {
            let answer = http.send_with(request, |builder| builder.header(KEY, key)).await;
            if answer.status != 409 {
                return answer;
            }
            assert_eq!(answer.error()["type"], "idempotency_conflict");
            assert!(answer.headers.contains_key("retry-after"));
            tokio::task::yield_now().await;
        }
    };
    within(&format!("the answer under {key}"), sent).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_have_one_effect_and_get_the_same_bytes() {
    let server = server::durable().await;
    let http = server.http();
    for operation in operations::ALL.iter().filter(|operation| operation.method == Method::Post) {
        let expected = effect(operation);
        let request = World::create(&http).await.request(operation);
        let before = objects(&server).await;
        let key = format!("twins-of-{}", operation.id);
        let mut twins = JoinSet::new();
        for _ in 0..TWINS {
            let (http, request, key) = (http.clone(), request.clone(), key.clone());
            twins.spawn(async move { settled(&http, &request, &key).await });
        }
        let answers = twins.join_all().await;
        let first = &answers[0];
        assert_eq!(first.status, 200, "{}: {first:?}", operation.id);
        let mut ran = 0;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (first.status, &first.body), "{}", operation.id);
            assert_eq!(answer.headers["agent-trace-id"], first.headers["agent-trace-id"], "{}", operation.id);
            ran += usize::from(answer.headers["agent-idempotent-replay"] == "false");
        }
        assert_eq!(ran, 1, "{} ran more than once", operation.id);
        if operation.id == "createBatch" {
            let id = first.json()["id"].as_str().expect("an id").to_owned();
            http.ended_batch(&format!("/v1/batches/{id}")).await;
        }
        assert_eq!(grown(&before, &objects(&server).await), expected, "{}", operation.id);
    }
}
