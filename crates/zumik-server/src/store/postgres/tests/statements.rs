//! What an operation asks the database for: every statement is a round trip, and locks are taken in one order.

use std::time::Duration;

use zumik_types::{ArtifactId, JsonObject, Session};

use super::*;
use crate::store::conformance::{conversation, say};
use crate::store::{Continued, Lease};

/// Operations that name artifacts.
#[derive(Clone, Copy, Debug)]
enum Naming {
    Bundle,
    Manifest,
    Prompt,
}

const ALL: [Naming; 3] = [Naming::Bundle, Naming::Manifest, Naming::Prompt];

impl Naming {
    /// A lease where one is needed.
    async fn lease(self, world: &World, of: usize) -> Option<Lease> {
        let Self::Prompt = self else { return None };
        let k = key("/v2/responses", &of.to_string()).unwrap();
        match world.store.reserve(&world.ctx(), &k).await.unwrap() {
            Reserved::Held(lease) => Some(lease),
            Reserved::Replayed(_) => unreachable!(),
        }
    }

    async fn run(self, world: &World, session: &Session, lease: Option<Lease>, artifacts: &[ArtifactId]) {
        let ctx = world.ctx();
        match self {
            Self::Bundle => drop(world.bundle(&artifacts.iter().collect::<Vec<_>>()).await),
            Self::Manifest => {
                let (id, root) = (&session.id, &session.default_branch_id);
                let request = CreateSnapshotRequest::new().ordered_block_manifest(artifacts);
                fresh(world.store.create_snapshot(&ctx, id, root, request, None).await);
            }
            Self::Prompt => {
                let generation =
                    Generation { materialized: artifacts.to_vec(), ..generation(world, &ctx, None) };
                world.store.commit_generation(&ctx, generation, lease).await.unwrap();
            }
        }
    }
}

async fn documents(world: &World, count: usize) -> Vec<ArtifactId> {
    let mut documents = Vec::new();
    for _ in 0..count {
        documents.push(world.document("text").await);
    }
    documents
}

/// A server with one connection.
async fn narrow() -> Option<(Arc<PostgresStore>, World)> {
    let replicas = Replicas::start().await?;
    let store = Arc::new(PostgresStore::open((replicas.options)().connections(1)).await.unwrap());
    let world = World::new(store.clone(), replicas.one.clock.clone(), None).await;
    Some((store, world))
}

/// Statements that the one connection of a store has run.
async fn statements(store: &PostgresStore) -> u64 {
    let sql = "SELECT coalesce(sum(generic_plans + custom_plans), 0) AS ran FROM pg_prepared_statements";
    let answer = store.connection().await.unwrap().simple_query(sql).await.unwrap();
    answer
        .iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get("ran")?.parse().ok(),
            _ => None,
        })
        .unwrap()
}

#[tokio::test]
async fn many_artifacts_take_as_many_statements_as_one() {
    let Some((store, world)) = narrow().await else { return };
    let (session, artifacts) = (world.session().await, documents(&world, 20).await);
    for naming in ALL {
        let mut taken = Vec::new();
        for count in [1, 20] {
            let lease = naming.lease(&world, count).await;
            let before = statements(&store).await;
            naming.run(&world, &session, lease, &artifacts[..count]).await;
            taken.push(statements(&store).await - before);
        }
        assert!(taken[0] > 0 && taken[0] == taken[1], "{naming:?}: {taken:?}");
    }
}

#[tokio::test]
async fn a_conversation_takes_one_statement_and_a_chain_one_for_each_link() {
    const TURNS: u64 = 9;
    let Some((store, world)) = narrow().await else { return };
    let read = async |of: &Continued| {
        let before = statements(&store).await;
        let items = world.store.read_history(&world.ctx(), of.clone(), 1 << 20).await.unwrap();
        (statements(&store).await - before, items.len() as u64)
    };
    let of = Continued::Conversation(conversation(&world, JsonObject::default()).await.id);
    say(&world, "first", Some(&of), true).await;
    let (taken, _) = read(&of).await;
    let mut link = Continued::Response(say(&world, "first", None, true).await);
    let (taken_by_link, _) = read(&link).await;
    for _ in 0..TURNS {
        say(&world, "more", Some(&of), true).await;
        link = Continued::Response(say(&world, "more", Some(&link), true).await);
    }
    assert_eq!(read(&of).await, (taken, 2 * (TURNS + 1)));
    assert_eq!((taken_by_link, read(&link).await), (1, (1 + TURNS, 2 * (TURNS + 1))));
}

#[tokio::test]
async fn artifacts_are_held_in_the_order_of_their_rows_however_they_are_named() {
    let Some(Replicas { one, stores, .. }) = Replicas::start().await else { return };
    let session = one.session().await;
    for naming in ALL {
        let mut named = documents(&one, 2).await;
        named.reverse();
        let lease = naming.lease(&one, 0).await;
        let mut connection = stores[1].connection().await.unwrap();
        let older = connection.transaction().await.unwrap();
        let lock =
            "SELECT FROM artifacts WHERE id = (SELECT max(id) - $1 FROM artifacts) FOR UPDATE SKIP LOCKED";
        assert_eq!(older.execute(lock, &[&1_i64]).await.unwrap(), 1);
        let freed = async {
            let is_waited_for = "SELECT EXISTS
                (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)";
            while !older.query_one(is_waited_for, &[]).await.unwrap().get::<_, bool>(0) {
                tokio::task::yield_now().await;
            }
            let newer_is_free = older.execute(lock, &[&0_i64]).await.unwrap() == 1;
            older.rollback().await.unwrap();
            newer_is_free
        };
        let both = async { tokio::join!(naming.run(&one, &session, lease, &named), freed) };
        let ((), newer_is_free) =
            tokio::time::timeout(Duration::from_secs(9), both).await.expect("it waits for the older one");
        assert!(newer_is_free, "{naming:?} holds the newer one while it waits for the older one");
    }
}
