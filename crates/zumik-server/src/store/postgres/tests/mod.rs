//! What only the store of several servers can get wrong: replicas, migrations, the master key, lost connections.

mod batches;
mod commits;
mod groups;
mod plans;
mod presence;
mod reports;
mod silence;
mod statements;
mod tls;

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::task::JoinSet;
use zumik_test_postgres::Postgres;
use zumik_types::{
    AppendEventRequest, ArtifactType, CreateArtifactRequest, CreateSessionRequest, CreateSnapshotRequest,
    EventType, ForkBranchRequest, MergeBranchRequest, MergeStrategy, NewEvent, SessionStatus,
    UpdateSessionRequest,
};

use super::*;
use crate::clock::FixedClock;
use crate::domain::{Scopes, key_hash};
use crate::store::conformance::{
    World, fresh, only_the_second_ends, only_the_second_is_claimed, two_answered, two_started,
};
use crate::store::{
    Answer, Generation, Idempotency, LEASE, NewKey, ProjectCtx, Reserved, Store, StoredResponse, Written,
};

/// Two servers on one database.
struct Replicas {
    one: World,
    two: World,
    options: Box<dyn Fn() -> Options + Send + Sync>,
    stores: [Arc<PostgresStore>; 2],
}

impl Replicas {
    /// Nothing where PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let server = Postgres::shared()?;
        let clock = Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()));
        let (address, schema) = (server.url("postgres"), server.name("replicas"));
        let shared = clock.clone();
        let options = move || {
            Options::new(address.parse().unwrap())
                .schema(&schema)
                .connections(8)
                .master_key(MasterKey::parse(&"7".repeat(64)).unwrap())
                .clock(shared.clone())
        };
        // At once: one of them makes the schema.
        let (one, two) = tokio::join!(PostgresStore::open(options()), PostgresStore::open(options()));
        let stores = [Arc::new(one.unwrap()), Arc::new(two.unwrap())];
        let one = World::new(stores[0].clone(), clock.clone(), None).await;
        let two = World::new(stores[1].clone(), clock, None).await;
        Some(Self { one, two, options: Box::new(options), stores })
    }

    fn of(&self, at: usize) -> &World {
        if at.is_multiple_of(2) { &self.one } else { &self.two }
    }
}

fn key(path: &str, key: &str) -> Option<Idempotency> {
    Some(Idempotency { path: path.to_owned(), key: key.to_owned(), fingerprint: key_hash(b"body") })
}

fn append(version: u64) -> AppendEventRequest {
    AppendEventRequest::new(version, NewEvent::new(EventType::Note))
}

fn generation(world: &World, ctx: &ProjectCtx, response: Option<StoredResponse>) -> Generation {
    Generation {
        answer: Answer::json(&ctx.trace, &"answer").unwrap(),
        response,
        begun: false,
        input_items: None,
        expires_at: world.ctx().now + TimeDelta::days(30),
        materialized: Vec::new(),
    }
}

#[tokio::test]
async fn of_writers_on_two_replicas_one_wins_each_version() {
    let Some(replicas) = Replicas::start().await else { return };
    let session = replicas.one.session().await;
    let (id, root) = (session.id.clone(), session.default_branch_id.clone());
    let mut writers = JoinSet::new();
    for at in 0..16 {
        let (world, id, root) = (replicas.of(at).clone(), id.clone(), root.clone());
        writers.spawn(async move {
            let mut won = Vec::new();
            let mut version = 0;
            for step in 0..20 {
                let key = key("/e", &format!("{at}-{step}"));
                let written = world.store.append_event(&world.ctx(), &id, &root, append(version), key).await;
                version = match written {
                    Ok(written) => {
                        let event = written.fresh().unwrap();
                        won.push((event.sequence, event.id.to_string()));
                        event.sequence
                    }
                    Err(StoreError::Conflict { branch, .. }) => branch.version,
                    Err(other) => panic!("{other:?}"),
                };
            }
            won
        });
    }
    let mut acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    acknowledged.sort();
    let log: Vec<_> = replicas.two.events(&id, &root).await;
    let kept: Vec<_> = log.iter().map(|event| (event.sequence, event.id.to_string())).collect();
    assert_eq!(acknowledged, kept);
    assert!(kept.len() >= 20, "{}", kept.len());
    assert!(log.windows(2).all(|pair| pair[1].parent_event_id.as_ref() == Some(&pair[0].id)));
}

#[tokio::test]
async fn twins_on_two_replicas_have_one_effect_and_equal_answers() {
    let Some(replicas) = Replicas::start().await else { return };
    let session = replicas.one.session().await;
    let (id, root) = (session.id.clone(), session.default_branch_id.clone());
    for round in 0..8 {
        let mut twins = JoinSet::new();
        for at in 0..8 {
            let (world, id, root) = (replicas.of(at).clone(), id.clone(), root.clone());
            twins.spawn(async move {
                let key = || key("/twins", &format!("{round}"));
                if round % 2 == 0 {
                    let request = append(round / 2);
                    let written = world.store.append_event(&world.ctx(), &id, &root, request, key()).await;
                    let written = written.unwrap();
                    (written.is_replay(), written.answer().clone())
                } else {
                    let request = CreateSessionRequest::new();
                    let written = world.store.create_session(&world.ctx(), request, key()).await.unwrap();
                    (written.is_replay(), written.answer().clone())
                }
            });
        }
        let answers = twins.join_all().await;
        assert_eq!(answers.iter().filter(|(replay, _)| !replay).count(), 1);
        assert!(answers.iter().all(|(_, answer)| *answer == answers[0].1));
    }
    assert_eq!(replicas.one.branch(&id, &root).await.version, 4);
}

#[tokio::test]
async fn a_paused_replica_that_wakes_up_commits_nothing() {
    let Some(Replicas { one, two, .. }) = Replicas::start().await else { return };
    let k = key("/v2/responses", "k").unwrap();
    let Reserved::Held(stale) = one.store.reserve(&one.ctx(), &k).await.unwrap() else { unreachable!() };
    assert!(matches!(two.store.reserve(&two.ctx(), &k).await, Err(StoreError::InFlight)));
    one.advance(LEASE);
    let Reserved::Held(lease) = two.store.reserve(&two.ctx(), &k).await.unwrap() else { unreachable!() };

    let ctx = one.ctx();
    let late = one.store.commit_generation(&ctx, generation(&one, &ctx, None), Some(stale.clone())).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert!(matches!(one.store.renew(&stale, one.ctx().now).await, Err(StoreError::LeaseLost)));
    one.store.release(stale).await.unwrap();

    let ctx = two.ctx();
    let kept = generation(&two, &ctx, None);
    two.store.commit_generation(&ctx, kept.clone(), Some(lease)).await.unwrap();
    assert_eq!(one.store.recall(&one.ctx(), &k).await.unwrap(), Some(kept.answer));
}

#[tokio::test]
async fn a_key_that_one_replica_revokes_stops_on_the_others_within_a_second() {
    let Some(Replicas { one, two, .. }) = Replicas::start().await else { return };
    let hash = key_hash(b"secret");
    let masked = "zk_live_…".to_owned();
    let new = NewKey { name: "k".to_owned(), scopes: Scopes::INFERENCE_ONLY, hash, masked };
    assert_eq!(two.store.authenticate(&hash).await.unwrap(), None);
    let record = one.store.create_key(&one.ctx().project, new, one.ctx().now).await.unwrap();
    // A new key counts at once.
    assert!(two.store.authenticate(&hash).await.unwrap().is_some());
    let revoked = std::time::Instant::now();
    one.store.revoke_key(&record.id, one.ctx().now).await.unwrap();
    assert_eq!(one.store.authenticate(&hash).await.unwrap(), None);
    while two.store.authenticate(&hash).await.unwrap().is_some() {
        assert!(revoked.elapsed() < std::time::Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_is_written_to_a_session_once_another_replica_has_archived_it() {
    let Some(replicas) = Replicas::start().await else { return };
    for _ in 0..10 {
        let session = replicas.one.session().await;
        let (id, root) = (session.id.clone(), session.default_branch_id.clone());
        let writer = {
            let (world, id, root) = (replicas.one.clone(), id.clone(), root.clone());
            tokio::spawn(async move {
                for version in 0..1000 {
                    match world.store.append_event(&world.ctx(), &id, &root, append(version), None).await {
                        Ok(_) => {}
                        Err(StoreError::SessionNotActive { .. }) => return,
                        Err(other) => panic!("{other:?}"),
                    }
                }
            })
        };
        let request = UpdateSessionRequest::new(SessionStatus::Archived);
        fresh(replicas.two.store.update_session(&replicas.two.ctx(), &id, request, None).await);
        let version = replicas.two.branch(&id, &root).await.version;
        writer.await.unwrap();
        assert_eq!(replicas.two.branch(&id, &root).await.version, version);
    }
}

#[tokio::test]
async fn no_session_that_refers_to_a_purged_artifact_stays_active() {
    let Some(replicas) = Replicas::start().await else { return };
    for _ in 0..10 {
        let request = CreateArtifactRequest::new(ArtifactType::Document, "text");
        let artifact = fresh(replicas.one.store.create_artifact(&replicas.one.ctx(), request, None).await).id;
        let mut writers = JoinSet::new();
        for at in 0..6 {
            let (world, artifact) = (replicas.of(at).clone(), artifact.clone());
            writers.spawn(async move {
                let session = world.session().await;
                let (id, root) = (session.id.clone(), session.default_branch_id.clone());
                let mut event = NewEvent::new(EventType::Note);
                event.payload_ref = Some(artifact.to_string());
                let request = AppendEventRequest::new(0, event);
                let appended = world.store.append_event(&world.ctx(), &id, &root, request, None).await;
                (id, appended.is_ok())
            });
        }
        let request = zumik_types::CreatePurgeJobRequest::new([&artifact]);
        fresh(replicas.two.store.create_purge_job(&replicas.two.ctx(), request, None).await);
        for (id, referred) in writers.join_all().await {
            let session = replicas.one.store.retrieve_session(&replicas.one.ctx(), &id).await.unwrap();
            let expected = if referred { SessionStatus::Tombstoned } else { SessionStatus::Active };
            assert_eq!(session.status, expected);
        }
    }
}

#[tokio::test]
async fn a_long_history_is_walked_from_both_replicas() {
    let Some(Replicas { one, two, .. }) = Replicas::start().await else { return };
    let (session, events) = one.history(300).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let at = &events[99];
    let request = ForkBranchRequest::new(root).fork_from_event_id(&at.id);
    let fork = fresh(two.store.fork_branch(&two.ctx(), id, request, None).await).id;
    for _ in 0..50 {
        two.append(id, &fork, None).await;
    }
    let request = MergeBranchRequest::new(&fork, MergeStrategy::Rebase, 300);
    let merged = fresh(one.store.merge_branch(&one.ctx(), id, root, request, None).await);
    assert_eq!((merged.appended.len(), merged.target_branch.version), (50, 350));
    two.append(id, root, None).await;
    let log = one.events(id, root).await;
    let unique: HashSet<_> = log.iter().map(|event| event.id.to_string()).collect();
    assert_eq!((log.len(), unique.len()), (351, 351));
    assert!(log.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
}

#[tokio::test]
async fn texts_keep_every_character() {
    let Some(Replicas { one, .. }) = Replicas::start().await else { return };
    let session = one.session().await;
    let mut event = NewEvent::new(EventType::from("a\0type".to_owned()));
    event.payload_ref = Some("with\0nul and \u{10ffff}".to_owned());
    let request = AppendEventRequest::new(0, event);
    let store = &one.store;
    let written =
        store.append_event(&one.ctx(), &session.id, &session.default_branch_id, request, None).await;
    let event = fresh(written);
    assert_eq!(one.events(&session.id, &session.default_branch_id).await, [event]);
}

#[tokio::test]
async fn a_database_is_opened_with_its_own_master_key_only() {
    let Some(replicas) = Replicas::start().await else { return };
    let open = |options: Options| PostgresStore::open(options);
    let other = (replicas.options)().master_key(MasterKey::parse(&"8".repeat(64)).unwrap());
    assert!(matches!(open(other).await.err(), Some(OpenError::Seal(SealError::WrongKey))));
    let mut none = (replicas.options)();
    none.master_key = None;
    assert!(matches!(open(none).await.err(), Some(OpenError::NoMasterKey)));
    let folder = tempfile::tempdir().unwrap();
    let mut missing = (replicas.options)().folder(folder.path());
    missing.master_key = None;
    assert!(matches!(open(missing).await.err(), Some(OpenError::NoMasterKey)));
    MasterKey::parse(&"7".repeat(64)).unwrap().save(&folder.path().join(MASTER_KEY_FILE)).unwrap();
    let mut copied = (replicas.options)().folder(folder.path());
    copied.master_key = None;
    open(copied).await.unwrap().check_ready().await.unwrap();
}

#[tokio::test]
async fn a_foreign_or_newer_schema_is_refused() {
    let Some(replicas) = Replicas::start().await else { return };
    let options = || (replicas.options)();
    let connection = replicas.stores[0].connection().await.unwrap();
    connection.batch_execute("INSERT INTO migrations (version) VALUES (1000)").await.unwrap();
    assert!(matches!(PostgresStore::open(options()).await.err(), Some(OpenError::Newer { .. })));
    let schema = options().schema;
    let foreign = format!("CREATE SCHEMA {schema}_foreign; CREATE TABLE {schema}_foreign.t (a int)");
    connection.batch_execute(&foreign).await.unwrap();
    let opened = PostgresStore::open(options().schema(format!("{schema}_foreign"))).await;
    assert!(matches!(opened.err(), Some(OpenError::Foreign(_))));
    let opened = PostgresStore::open(options().schema("x; DROP")).await;
    assert!(matches!(opened.err(), Some(OpenError::SchemaName(_))));
}

#[tokio::test]
async fn snapshots_are_swept_in_steps() {
    let Some(Replicas { one, stores, .. }) = Replicas::start().await else { return };
    let session = one.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let (a, b) = (one.document("a").await, one.document("b").await);
    for _ in 0..=sweep::STEP {
        let request = CreateSnapshotRequest::new().ordered_block_manifest([&a, &b]);
        fresh(one.store.create_snapshot(&one.ctx(), id, root, request, None).await);
    }
    one.store.delete_session(&one.ctx(), id).await.unwrap();
    let connection = stores[1].connection().await.unwrap();
    let rows = async |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_one(&sql, &[]).await.unwrap().get(0)
    };
    let mut before = rows("snapshots").await + rows("snapshot_artifacts").await;
    assert_eq!(before, 3 * (sweep::STEP as i64 + 1));
    loop {
        let (more, gone) = stores[0].write(|db| Box::pin(db.sweep_session())).await.unwrap();
        let now = rows("snapshots").await + rows("snapshot_artifacts").await;
        assert!(before - now <= 2 * sweep::STEP as i64, "{} rows in one step", before - now);
        before = now;
        if gone || !more {
            break;
        }
    }
    assert_eq!((before, rows("sessions").await), (0, 0));
}

#[tokio::test]
async fn lost_connections_are_replaced() {
    let Some(replicas) = Replicas::start().await else { return };
    let (one, two) = (&replicas.one, &replicas.two);
    let session = one.session().await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid <> pg_backend_pid() AND application_name = $1";
    let mut options = (replicas.options)();
    options.address =
        format!("{}?application_name=doomed", Postgres::shared().unwrap().url("postgres")).parse().unwrap();
    let doomed = PostgresStore::open(options).await.unwrap();
    doomed.check_ready().await.unwrap();
    replicas.stores[1].connection().await.unwrap().execute(sql, &[&"doomed"]).await.unwrap();
    // At most the connections that were open give errors; then all is well again.
    let mut failures = 0;
    while let Err(error) = doomed.check_ready().await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        failures += 1;
        assert!(failures <= 8);
    }
    let ctx = two.ctx();
    let appended = doomed.append_event(&ctx, &session.id, &session.default_branch_id, append(0), None).await;
    assert!(matches!(appended, Ok(Written::Fresh { .. })));
    doomed.close().await;
    assert!(matches!(doomed.check_ready().await, Err(StoreError::Unavailable(_))));
}
