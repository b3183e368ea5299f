//! A data folder of the first schema is brought up to date by the server of today, with everything in it.
//!
//! `upgrade/` is such a folder, made once and never changed: the schema that migration 0001 alone makes, with the rows of a
//! server that held one object of every kind of that schema, and what the server answered to each read.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use zumik_server::Server;
use zumik_server::seal::MasterKey;
use zumik_server::store::Store as _;
use zumik_server::store::sqlite::{OpenError, Options, Registry, SqliteStore};
use zumik_tests::http::Http;
use zumik_tests::operations::World;

const DATABASE: &[u8] = include_bytes!("upgrade/zumik.db");
const ANSWERS: &str = include_str!("upgrade/answers.json");
const KEY: &str = "zk_test_the_first_schema_0123456789";

fn master_key() -> MasterKey {
    MasterKey::parse(&"01".repeat(32)).expect("a key")
}

/// The folder, with its responses kept for ever: their days are over.
fn first_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("zumik.db"), DATABASE).expect("a file");
    let conn = open(folder.path());
    assert_eq!(version(&conn), 1);
    conn.execute("UPDATE responses SET expires_at = 4102444800", []).expect("an update");
    folder
}

fn open(folder: &Path) -> Connection {
    Connection::open(folder.join("zumik.db")).expect("the database opens")
}

fn version(conn: &Connection) -> i64 {
    conn.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version")
}

/// Every table and index, as it was made.
fn schema(conn: &Connection) -> Vec<(String, Option<String>)> {
    let mut statement =
        conn.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").expect("a statement");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// Whether an answer still says all that an earlier one said. Objects may have gained members.
fn keeps(found: &Value, said: &Value) -> bool {
    match (found, said) {
        (Value::Object(found), Value::Object(said)) => {
            said.iter().all(|(name, said)| found.get(name).is_some_and(|found| keeps(found, said)))
        }
        (Value::Array(found), Value::Array(said)) => {
            found.len() == said.len() && found.iter().zip(said).all(|(found, said)| keeps(found, said))
        }
        _ => found == said,
    }
}

#[tokio::test]
async fn a_folder_of_the_first_schema_is_read_and_written_by_this_server() {
    let folder = first_folder();
    let builder = Server::builder().data(folder.path()).master_key(master_key());
    let server = builder.start().await.expect("it starts");
    let http = Http::new(server.url(), KEY);
    let expected: serde_json::Map<String, Value> = serde_json::from_str(ANSWERS).expect("JSON");
    assert!(expected.len() > 20, "only {} reads", expected.len());
    for (path, expected) in &expected {
        let answer = http.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let text = || Value::from(String::from_utf8_lossy(&answer.body).into_owned());
        let found = if path.ends_with("/content") { text() } else { answer.json() };
        assert!(keeps(&found, expected), "{path}: {found} instead of {expected}");
    }
    // An object of every kind that there is today.
    World::create(&http).await;
    server.shutdown().await;

    let fresh = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(Options::new(fresh.path())).await.expect("a new folder");
    store.close().await;
    let (conn, fresh) = (open(folder.path()), open(fresh.path()));
    assert_eq!(version(&conn), version(&fresh));
    assert_eq!(schema(&conn), schema(&fresh));
    let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(sound, "ok");
}

#[test]
fn a_folder_of_the_first_schema_is_not_migrated_by_whoever_looks_at_its_keys() {
    let folder = first_folder();
    let Err(error) = Registry::open(folder.path()) else { panic!("it opens") };
    assert!(matches!(error, OpenError::Older { found: 1, .. }), "{error:?}");
    assert_eq!(version(&open(folder.path())), 1);
}

#[tokio::test]
async fn a_folder_of_a_newer_schema_is_refused_and_left_alone() {
    let folder = first_folder();
    open(folder.path()).pragma_update(None, "user_version", 1_000).expect("an update");
    let before = fs::read(folder.path().join("zumik.db")).expect("a file");
    let Err(error) = Server::builder().data(folder.path()).master_key(master_key()).start().await else {
        panic!("it starts");
    };
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert!(causes.iter().any(|cause| cause.contains("use a newer server")), "{causes:?}");
    assert_eq!(version(&open(folder.path())), 1_000);
    assert_eq!(before, fs::read(folder.path().join("zumik.db")).expect("a file"));
}
