//! What a transfer refuses, and what is left of one that does not end.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;
use zumik_test_postgres::Postgres;
use zumik_types::{ArtifactType, CreateArtifactRequest};

use super::rows::Value;
use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{Scopes, key_hash};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{NewKey, ProjectCtx, Store};

const ARTIFACTS: usize = 3;

fn key() -> MasterKey {
    MasterKey::parse(&"7".repeat(64)).unwrap()
}

async fn sqlite(folder: &Path) -> SqliteStore {
    SqliteStore::open(sqlite::Options::new(folder).master_key(key())).await.unwrap()
}

async fn postgres(place: &Place) -> PostgresStore {
    let Place::Database { address, schema } = place else { unreachable!("a database") };
    let options = postgres::Options::new(Address::clone(address)).schema(schema).master_key(key());
    PostgresStore::open(options).await.unwrap()
}

/// A schema of its own in the database of the tests.
fn database() -> Option<Place> {
    let server = Postgres::shared()?;
    let address = Box::new(server.url("postgres").parse().unwrap());
    Some(Place::Database { address, schema: server.name("transfer") })
}

/// A project with some artifacts.
async fn fill(store: &impl Store) {
    let now = SystemClock.now();
    let project = store.ensure_project("own", now).await.unwrap();
    let (name, hash) = ("own".to_owned(), key_hash(b"own"));
    let key = NewKey { name, hash, scopes: Scopes::INFERENCE_ONLY, masked: "zk_live_…".to_owned() };
    let key = store.create_key(&project.id, key, now).await.unwrap();
    let trace = zumik_types::TraceId::with_suffix("fill");
    let ctx = ProjectCtx { project: project.id, key: key.id, scopes: key.scopes, trace, now };
    for _ in 0..ARTIFACTS {
        let request = CreateArtifactRequest::new(ArtifactType::Document, "a text");
        store.create_artifact(&ctx, request, None).await.unwrap();
    }
}

/// A data folder with something in it.
async fn filled() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    fill(&store).await;
    store.close().await;
    let place = Place::Folder(folder.path().to_owned());
    (folder, place)
}

async fn attempt(from: &Place, to: &Place) -> Result<Report> {
    let go_on = |_| ControlFlow::Continue(());
    transfer(from.clone(), to.clone(), RestoreKey::Given(key()), go_on).await
}

/// Moves until the watch has been told so many times.
async fn interrupted(from: &Place, to: &Place, times: usize) -> Result<Report> {
    let mut told = 0;
    let watch = move |_| {
        told += 1;
        if told > times { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    transfer(from.clone(), to.clone(), RestoreKey::Given(key()), watch).await
}

#[tokio::test]
async fn a_transfer_that_is_interrupted_leaves_its_target_empty() {
    let (_folder, from) = filled().await;
    let root = tempfile::tempdir().unwrap();
    let mut targets = vec![Place::Folder(root.path().join("new"))];
    targets.extend(database());
    for to in targets {
        // In the middle of copying, and in the middle of comparing.
        for times in [0, 4, TABLES.len() + 10] {
            let ended = interrupted(&from, &to, times).await;
            assert!(matches!(ended, Err(TransferError::Interrupted)), "{ended:?}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(attempt(&from, &to).await.unwrap().rows("artifacts"), ARTIFACTS as u64);
        let again = attempt(&from, &to).await;
        assert!(matches!(again, Err(TransferError::NotEmpty(_))), "{again:?}");
        if let Place::Folder(path) = to {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// What becomes of rows on their way.
type Fault = fn(&Table, &mut Vec<Row>);

/// A target in which something else arrives than what was sent.
struct Careless {
    target: Box<dyn Target>,
    fault: Fault,
}

impl Source for Careless {
    fn proof(&mut self) -> Result<Option<Vec<u8>>> {
        self.target.proof()
    }

    fn count(&mut self, table: &Table) -> Result<u64> {
        self.target.count(table)
    }

    fn read(&mut self, table: &Table, take: Take<'_>) -> Result<()> {
        self.target.read(table, take)
    }
}

impl Target for Careless {
    fn set_proof(&mut self, proof: &[u8]) -> Result<()> {
        self.target.set_proof(proof)
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        let mut rows = rows.to_vec();
        if table.name == "artifacts" {
            (self.fault)(table, &mut rows);
        }
        self.target.write(table, &rows)
    }

    fn finish(self: Box<Self>, beside: Beside) -> Result<()> {
        self.target.finish(beside)
    }
}

/// Moves everything as a transfer does, into a target that may be careless.
fn moved(from: &Place, to: &Place, fault: Fault, runtime: &Handle) -> Result<Report> {
    let (mut source, _) = open_source(from, runtime)?;
    let mut target = Careless { target: open_target(to, runtime)?, fault };
    let proof = source.proof()?.expect("a store that holds something");
    target.set_proof(&proof)?;
    let tell: Tell<'_> = &mut |_, _, _| Ok(());
    let copied = copy(&mut *source, &mut target, tell)?;
    compare(&mut target, &copied, tell)
}

#[tokio::test]
async fn a_row_that_is_lost_or_changed_on_its_way_is_found() {
    let lost = |_: &Table, rows: &mut Vec<Row>| drop(rows.pop());
    let changed = |table: &Table, rows: &mut Vec<Row>| {
        rows[1][table.named("created_at").expect("a column")] = Value::Int(7);
    };
    let swapped = |table: &Table, rows: &mut Vec<Row>| {
        // Every text is there, but two belong to each other's artifact.
        let content = table.named("content").expect("a column");
        let first = rows[0][content].clone();
        rows[0][content] = std::mem::replace(&mut rows[1][content], first);
    };
    let faults: [(Fault, usize); 3] = [(lost, ARTIFACTS - 1), (changed, ARTIFACTS), (swapped, ARTIFACTS)];
    let (_folder, from) = filled().await;
    let root = tempfile::tempdir().unwrap();
    let mut targets = vec![Place::Folder(root.path().join("new"))];
    targets.extend(database());
    for to in targets {
        for (fault, left) in faults {
            let (runtime, from, to) = (Handle::current(), from.clone(), to.clone());
            let moving = tokio::task::spawn_blocking(move || moved(&from, &to, fault, &runtime));
            match moving.await.unwrap() {
                Err(TransferError::Differs { table: "artifacts", rows, found }) => {
                    assert_eq!((rows, found), (ARTIFACTS as u64, left as u64));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(attempt(&from, &to).await.unwrap().rows("artifacts"), ARTIFACTS as u64, "it was empty");
    }
}

#[tokio::test]
async fn what_a_server_uses_is_neither_source_nor_target() {
    let (folder, from) = filled().await;
    let other = tempfile::tempdir().unwrap();
    let to = Place::Folder(other.path().join("new"));
    let store = sqlite(folder.path()).await;
    let refused = attempt(&from, &to).await;
    assert!(matches!(refused, Err(TransferError::InUse(_))), "{refused:?}");
    store.close().await;
    let Some(database) = database() else { return };
    let store = postgres(&database).await;
    for (from, to) in [(&from, &database), (&database, &to)] {
        let refused = attempt(from, to).await;
        assert!(matches!(refused, Err(TransferError::InUse(_))), "{refused:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_server_cannot_begin_to_use_a_database_that_is_being_filled() {
    let (_folder, from) = filled().await;
    let Some(to) = database() else { return };
    let Place::Database { address, schema } = to.clone() else { unreachable!("a database") };
    let runtime = Handle::current();
    let watch = move |progress: Progress| {
        if progress.comparing {
            let options = postgres::Options::new(Address::clone(&address)).schema(&schema).master_key(key());
            let opened = runtime.block_on(PostgresStore::open(options));
            assert!(matches!(opened, Err(postgres::OpenError::Connect(_))), "it opened");
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let ended = transfer(from, to, RestoreKey::Given(key()), watch).await;
    assert!(matches!(ended, Err(TransferError::Interrupted)), "{ended:?}");
}

#[tokio::test]
async fn another_key_an_older_schema_and_no_data_at_all_are_refused() {
    let (folder, from) = filled().await;
    let root = tempfile::tempdir().unwrap();
    let to = Place::Folder(root.path().join("new"));
    let wrong = RestoreKey::Given(MasterKey::parse(&"8".repeat(64)).unwrap());
    let go_on = |_| ControlFlow::Continue(());
    let refused = transfer(from.clone(), to.clone(), wrong, go_on).await;
    assert!(matches!(refused, Err(TransferError::Seal(_))), "{refused:?}");
    let refused = transfer(from.clone(), to.clone(), RestoreKey::FromSource, go_on).await;
    assert!(matches!(refused, Err(TransferError::KeyNeeded)), "{refused:?}");
    let refused = attempt(&Place::Folder(root.path().join("nothing")), &to).await;
    assert!(matches!(refused, Err(TransferError::NoData(_))), "{refused:?}");
    let conn = Connection::open(folder.path().join("zumik.db")).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    drop(conn);
    let refused = attempt(&from, &to).await;
    assert!(matches!(refused, Err(TransferError::Older { found: 1, .. })), "{refused:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}
