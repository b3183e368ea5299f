//! What only the durable store can get wrong: files, restarts, other processes, and what is left of a purge.

mod keys;
mod plans;
mod usage;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use tempfile::TempDir;
use zumik_types::{
    ArtifactId, ArtifactType, CreateArtifactRequest, CreatePurgeJobRequest, CreateSnapshotRequest,
    PurgeJobStatus, SessionStatus,
};

use super::purge::Begun;
use super::*;
use crate::clock::FixedClock;
use crate::domain::{Scopes, key_hash};
use crate::store::conformance::{
    World, fresh, only_the_second_ends, only_the_second_is_claimed, two_answered, two_started,
};
use crate::store::{Idempotency, Kind, Limit, MAX_FILE_BYTES, NewFile, NewKey, Store, StoreError};

/// A durable store that a test can look into.
struct Opened {
    world: World,
    store: Arc<SqliteStore>,
    folder: Arc<TempDir>,
}

impl Opened {
    async fn new() -> Self {
        Self::at(Arc::new(tempfile::tempdir().unwrap()), clock(), lookups::WAITING).await
    }

    async fn at(folder: Arc<TempDir>, clock: Arc<FixedClock>, waiting_keys: usize) -> Self {
        let options = Options::new(folder.path()).clock(clock.clone()).waiting_keys(waiting_keys);
        let options = options.provider_caches(vec![ProviderCache::new("provider", Duration::from_secs(60))]);
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        let world = World::new(store.clone(), clock, None).await;
        Self { world, store, folder }
    }

    async fn reopened(self) -> Self {
        self.store.close().await;
        Self::at(self.folder, clock(), lookups::WAITING).await
    }
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()))
}

/// Every byte of every file below a folder.
pub(super) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

/// Whether any of the needles, 40 bytes each, lies in a file.
pub(super) fn holds_any(bytes: &[u8], needles: &HashSet<&[u8]>) -> bool {
    let begins: HashSet<&[u8]> = needles.iter().map(|needle| &needle[..8]).collect();
    bytes.windows(40).any(|window| begins.contains(&window[..8]) && needles.contains(window))
}

/// The sealed texts of an artifact, each with its wrapped key first.
pub(super) fn sealed(store: &SqliteStore, id: &ArtifactId) -> Vec<Vec<u8>> {
    use crate::store::durable::ids::PublicId as _;
    let texts = store.readers.now(|db| {
        db.all(
            "SELECT record FROM contents WHERE id IN
               (SELECT content FROM artifacts WHERE public_id = ?1
                UNION SELECT metadata FROM artifacts WHERE public_id = ?1)",
            [id.key()],
            |row| row.get::<_, Vec<u8>>(0),
        )
    });
    texts.unwrap().into_iter().map(|record| contents::sealed(&record).unwrap().to_vec()).collect()
}

#[tokio::test]
async fn no_file_holds_a_purged_text_or_its_key() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let serde_json::Value::Object(metadata) = json!({"title": "metadata-canary"}) else { unreachable!() };
    let (mut doomed, mut kept) = (Vec::new(), Vec::new());
    for at in 0..60 {
        let text = format!("content-canary-{at}-{}", "x".repeat(at * at * 7));
        let request = CreateArtifactRequest::new(ArtifactType::Document, text).metadata(metadata.clone());
        let key = Idempotency { path: "/v2/artifacts".to_owned(), key: at.to_string(), fingerprint: [0; 32] };
        let artifact = fresh(world.store.create_artifact(&world.ctx(), request, Some(key)).await).id;
        if at % 3 == 0 { kept.push(artifact) } else { doomed.push(artifact) }
    }
    // Rows between them come and go, so that the database moves what is left.
    world.store.create_purge_job(&world.ctx(), CreatePurgeJobRequest::new(&kept[..10]), None).await.unwrap();
    let texts: Vec<_> = doomed.iter().flat_map(|id| sealed(&opened.store, id)).collect();
    assert_eq!(texts.len(), 2 * doomed.len());
    // The wrapped key, and every part of the sealed text.
    let parts: HashSet<_> = texts.iter().flat_map(|text| text.chunks_exact(40)).collect();
    assert!(files(opened.folder.path()).iter().any(|(_, bytes)| holds_any(bytes, &parts)));

    for ids in doomed.chunks(7) {
        let request = CreatePurgeJobRequest::new(ids);
        let job = fresh(world.store.create_purge_job(&world.ctx(), request, None).await);
        assert_eq!(job.status, PurgeJobStatus::Completed);
    }
    for (path, bytes) in files(opened.folder.path()) {
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{path} holds a text");
        assert!(!holds_any(&bytes, &parts), "{path} holds a sealed text or its key");
    }
    for id in &kept[10..] {
        world.store.retrieve_artifact(&world.ctx(), id).await.unwrap();
    }
}

#[tokio::test]
async fn a_purge_that_a_crash_interrupted_is_completed_at_the_next_start() {
    let opened = Opened::new().await;
    let artifact = opened.world.document("text").await;
    let (ctx, request) = (opened.world.ctx(), CreatePurgeJobRequest::new([&artifact]));
    let key = Idempotency { path: "/v2/purge-jobs".to_owned(), key: "k".to_owned(), fingerprint: [0; 32] };
    let begin = {
        let (ctx, request, key) = (ctx.clone(), request.clone(), key.clone());
        move |db: &Db<'_>| db.begin_purge(&ctx, &request, Some(&key))
    };
    let Begun::Running(row) = opened.store.writer.write(begin).await.unwrap() else { unreachable!() };
    let job = opened.store.readers.now(|db| db.purge_job(row)).unwrap();
    assert_eq!(job.status, PurgeJobStatus::Running);
    let missing = opened.world.store.retrieve_purge_receipt(&ctx, &job.id).await;
    assert!(matches!(missing, Err(StoreError::NotFound { kind: Kind::PurgeReceipt, .. })), "{missing:?}");
    let repeated = opened.world.store.create_purge_job(&ctx, request.clone(), Some(key.clone())).await;
    assert!(matches!(repeated, Err(StoreError::InFlight)), "{repeated:?}");

    let opened = opened.reopened().await;
    let ctx = opened.world.ctx();
    let receipt = opened.world.store.retrieve_purge_receipt(&ctx, &job.id).await.unwrap();
    zumik_receipt::verify(&receipt, &opened.world.store.list_receipt_keys().await.unwrap()).unwrap();
    assert_eq!(receipt.processors.last().unwrap().processor, "provider");
    let repeated = opened.world.store.create_purge_job(&ctx, request, Some(key)).await.unwrap();
    assert!(repeated.is_replay());
    let answered: zumik_types::PurgeJob = serde_json::from_slice(&repeated.answer().body).unwrap();
    assert_eq!((answered.id, answered.status), (job.id, PurgeJobStatus::Completed));
}

#[tokio::test]
async fn no_receipt_is_given_while_a_reader_holds_on_to_the_log() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let artifact = world.document("text").await;
    let reader = connection::open_reader(&opened.folder.path().join("zumik.db")).unwrap();
    let holding = reader.unchecked_transaction().unwrap();
    holding.query_row("SELECT count(*) FROM artifacts", [], |_| Ok(())).unwrap();
    let request = CreatePurgeJobRequest::new([&artifact]);
    let job = fresh(world.store.create_purge_job(&world.ctx(), request, None).await);
    assert_eq!(job.status, PurgeJobStatus::Running);
    assert!(world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.is_err());
    drop(holding);
    world.store.sweep(world.ctx().now).await.unwrap();
    let job = world.store.retrieve_purge_job(&world.ctx(), &job.id).await.unwrap();
    assert_eq!(job.status, PurgeJobStatus::Completed);
    world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.unwrap();
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let artifact = world.document("text").await;
    let (session, _) = world.history(3).await;
    let event = world.append(&session.id, &session.default_branch_id, Some(&artifact)).await;
    let keys = world.store.list_receipt_keys().await.unwrap();
    let opened = opened.reopened().await;
    let world = &opened.world;
    let events = world.events(&session.id, &session.default_branch_id).await;
    assert_eq!((events.len(), events.last()), (4, Some(&event)));
    let state = crate::store::PromptState { session_id: Some(session.id), ..Default::default() };
    assert_eq!(world.store.read_prompt(&world.ctx(), state).await.unwrap().blocks[0].text, "text");
    assert_eq!(world.store.list_receipt_keys().await.unwrap(), keys);
}

#[tokio::test]
async fn a_second_server_on_the_folder_is_refused_until_the_first_is_closed() {
    let opened = Opened::new().await;
    let second = SqliteStore::open(Options::new(opened.folder.path())).await;
    assert!(matches!(second.err(), Some(OpenError::InUse(_))));
    opened.reopened().await;
}

#[cfg(unix)]
#[tokio::test]
async fn files_in_a_folder_that_everyone_can_read_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let opened = Opened::at(folder, clock(), lookups::WAITING).await;
    opened.world.document("text").await;
    let mut modes: Vec<_> = std::fs::read_dir(opened.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777))
        .collect();
    modes.sort();
    let names = ["master.key", "server.lock", "zumik.db", "zumik.db-shm", "zumik.db-wal"];
    assert_eq!(modes, names.map(|name| (name.into(), 0o600)));
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let opened = Opened::new().await;
    opened.store.close().await;
    let key = MasterKey::parse(&"ab".repeat(32)).unwrap();
    let refused = SqliteStore::open(Options::new(opened.folder.path()).master_key(key)).await;
    assert!(matches!(refused.err(), Some(OpenError::Seal(crate::seal::SealError::WrongKey))));
    // One that is given is not written to the folder.
    let folder = tempfile::tempdir().unwrap();
    let key = MasterKey::parse(&"ab".repeat(32)).unwrap();
    drop(SqliteStore::open(Options::new(folder.path()).master_key(key)).await.unwrap());
    assert!(!folder.path().join("master.key").exists());
    assert!(SqliteStore::open(Options::new(folder.path())).await.is_err());
}

#[tokio::test]
async fn keys_of_another_process_count_at_once() {
    let opened = Opened::new().await;
    let now = Utc::now();
    let mut registry = Registry::open(opened.folder.path()).unwrap();
    let project = registry.ensure_project("made elsewhere", now).unwrap();
    let key = NewKey {
        name: "cli".to_owned(),
        scopes: Scopes::INFERENCE_ONLY,
        hash: key_hash(b"secret"),
        masked: "…".to_owned(),
    };
    let record = registry.create_key(&project.id, &key, now).unwrap();
    let caller = opened.store.authenticate(&key.hash).await.unwrap().unwrap();
    assert_eq!((&caller.project, &caller.key), (&project.id, &record.id));
    let ctx = crate::store::ProjectCtx { project: caller.project, ..opened.world.ctx() };
    let request = CreateArtifactRequest::new(ArtifactType::Document, "text");
    fresh(opened.store.create_artifact(&ctx, request, None).await);
    registry.revoke_key(&record.id, now).unwrap();
    assert_eq!(opened.store.authenticate(&key.hash).await.unwrap(), None);
    assert_eq!(registry.list_keys(Some(&project.id)).unwrap().len(), 1);
    assert_eq!(registry.find_project("made elsewhere").unwrap(), Some(project));
}

#[tokio::test]
async fn a_retired_receipt_key_stays_listed_and_verifies() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let artifact = world.document("text").await;
        let request = CreatePurgeJobRequest::new([&artifact]);
        jobs.push(fresh(world.store.create_purge_job(&world.ctx(), request, None).await).id);
        opened.store.rotate_receipt_key().await.unwrap();
    }
    let opened = opened.reopened().await;
    let keys = opened.world.store.list_receipt_keys().await.unwrap();
    assert_eq!(keys.keys.len(), 3);
    let mut signers = Vec::new();
    for job in &jobs {
        let receipt = opened.world.store.retrieve_purge_receipt(&opened.world.ctx(), job).await.unwrap();
        zumik_receipt::verify(&receipt, &keys).unwrap();
        signers.push(receipt.signature.key_id);
    }
    assert_ne!(signers[0], signers[1]);
    let seeds: i64 = opened
        .store
        .readers
        .now(|db| db.value("SELECT count(*) FROM receipt_keys WHERE seed IS NOT NULL", []))
        .unwrap();
    assert_eq!(seeds, 1);
}

#[tokio::test]
async fn the_published_test_key_is_refused() {
    let opened = Opened::new().await;
    opened.store.close().await;
    let conn = connection::open_writer(&opened.folder.path().join("zumik.db")).unwrap();
    let master = MasterKey::load(&opened.folder.path().join("master.key")).unwrap().unwrap();
    // RFC 8037, appendix A.
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let id = [1; 16];
    let place = crate::store::durable::place("receipt key", &id);
    let sealed = Vault::new(&master).seal(&RandomMint::default(), &place, &seed).unwrap();
    conn.execute(
        "INSERT INTO receipt_keys (public_id, public_key, seed) VALUES (?1, '{}', ?2)",
        rusqlite::params![id, sealed],
    )
    .unwrap();
    drop(conn);
    let refused = SqliteStore::open(Options::new(opened.folder.path())).await;
    assert!(matches!(refused.err(), Some(OpenError::TestKey)));
}

#[tokio::test]
async fn snapshots_are_swept_in_steps() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let session = world.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let (a, b) = (world.document("a").await, world.document("b").await);
    for _ in 0..sweep::STEP {
        let request = CreateSnapshotRequest::new().ordered_block_manifest([&a, &b]);
        fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await);
    }
    let long = CreateSnapshotRequest::new().ordered_block_manifest(["x".repeat(2 << 20)]);
    fresh(world.store.create_snapshot(&world.ctx(), id, root, long, None).await);
    world.store.delete_session(&world.ctx(), id).await.unwrap();
    let mut steps = 0;
    loop {
        let step = |db: &Db<'_>| {
            let before = db.conn.total_changes();
            Ok((db.sweep_session()?, db.conn.total_changes() - before))
        };
        let ((more, gone), changes) = opened.store.writer.write(step).await.unwrap();
        assert!(changes <= sweep::STEP + 2, "{changes} changes in one step");
        steps += 1;
        if gone || !more {
            break;
        }
    }
    assert!(steps > 3, "{steps} steps");
    let count = |table: &str| -> i64 {
        opened.store.readers.now(|db| db.value(&format!("SELECT count(*) FROM {table}"), [])).unwrap()
    };
    assert_eq!((count("sessions"), count("snapshots"), count("snapshot_artifacts")), (0, 0, 0));
}

#[tokio::test]
async fn a_swept_session_leaves_no_rows() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let (session, _) = world.history(5).await;
    let fork = world.fork(&session.id, &session.default_branch_id).await.id;
    for _ in 0..sweep::STEP + 10 {
        world.append(&session.id, &fork, None).await;
    }
    world.fork(&session.id, &fork).await;
    let (kept, _) = world.history(2).await;
    world.store.delete_session(&world.ctx(), &session.id).await.unwrap();
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().sessions, 1);
    let count = |table: &str| -> i64 {
        opened.store.readers.now(|db| db.value(&format!("SELECT count(*) FROM {table}"), [])).unwrap()
    };
    assert_eq!((count("sessions"), count("branches"), count("events")), (1, 1, 2));
    assert_eq!(
        world.store.retrieve_session(&world.ctx(), &kept.id).await.unwrap().status,
        SessionStatus::Active
    );
}

#[tokio::test]
async fn the_log_stays_small_under_writes() {
    let opened = Opened::new().await;
    let record = Arc::new(vec![0; 200_000]);
    for _ in 0..300 {
        let record = Arc::clone(&record);
        opened.store.writer.write(move |db| db.insert_content(&record)).await.unwrap();
    }
    let log = std::fs::metadata(opened.folder.path().join("zumik.db-wal")).unwrap().len();
    assert!(log < 40 * 1024 * 1024, "the log holds {log} bytes");
}

#[tokio::test]
async fn the_bytes_of_files_are_limited() {
    let opened = Opened::new().await;
    let world = &opened.world;
    let upload = async |content: &'static str| {
        let (filename, purpose) = ("f".to_owned(), "batch".to_owned());
        let file = NewFile { filename, purpose, content: content.into(), expires_at: None };
        world.store.upload_file(&world.ctx(), file, None).await
    };
    fresh(upload("text").await);
    let nearly = MAX_FILE_BYTES - 2;
    opened.store.writer.write(move |db| db.run("UPDATE files SET bytes = ?1", [nearly])).await.unwrap();
    let refused = upload("abc").await;
    assert!(matches!(refused, Err(StoreError::Limit { limit: Limit::FileBytes(_) })), "{refused:?}");
    fresh(upload("ab").await);
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let opened = Opened::new().await;
    opened.store.close().await;
    let ctx = opened.world.ctx();
    let request = CreateArtifactRequest::new(ArtifactType::Document, "text");
    let written = opened.store.create_artifact(&ctx, request, None).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    let read = opened.store.list_artifacts(&ctx).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
}

#[tokio::test]
async fn a_batch_that_is_damaged_keeps_no_other_from_its_end() {
    let Opened { world, store, .. } = Opened::new().await;
    let batches = two_answered(&world).await;
    let damage = "UPDATE batch_results SET sealed = x'' WHERE id = (SELECT min(id) FROM batch_results)";
    store.writer.write(move |db| db.run(damage, [])).await.unwrap();
    only_the_second_ends(&world, batches).await;
}

#[tokio::test]
async fn a_line_that_is_damaged_keeps_no_other_from_being_claimed() {
    let Opened { world, store, .. } = Opened::new().await;
    let batches = two_started(&world).await;
    let damage = "UPDATE batch_inputs SET sealed = x'' WHERE id = (SELECT min(id) FROM batch_inputs)";
    store.writer.write(move |db| db.run(damage, [])).await.unwrap();
    only_the_second_is_claimed(&world, batches).await;
}
