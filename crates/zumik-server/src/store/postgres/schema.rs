//! The schema of the database: made at the first start, migrated by the first replica of a newer version.

use sha2::{Digest as _, Sha256};

use super::OpenError;

/// The migrations in order; a schema at version `n` has seen the first `n`. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_usage_batches.sql"),
    include_str!("migrations/0003_conversations.sql"),
    include_str!("migrations/0004_batches_in_order.sql"),
    include_str!("migrations/0005_cancelled_usage.sql"),
];

/// Version of the schema that this program writes.
pub(super) const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Brings the schema up to date. Of replicas that start at once, one does it and the others wait.
pub(super) async fn migrate(client: &mut deadpool_postgres::Object, schema: &str) -> Result<(), OpenError> {
    let transaction = client.transaction().await?;
    // It may take its time, and so may the one that is waited for.
    transaction.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&lock(schema, "migrations")]).await?;
    let found = version(&transaction, schema).await?;
    if found.is_none() {
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE migrations (version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        );
        transaction.batch_execute(&create).await?;
    }
    let version = found.unwrap_or(0);
    for (number, migration) in (1_i64..).zip(MIGRATIONS).skip(version) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO migrations (version) VALUES ($1)", &[&number]).await?;
        tracing::info!(version = number, "migrated the database");
    }
    transaction.commit().await?;
    Ok(())
}

/// Version of a schema that is ours and not newer than this program; nothing when it is missing or empty.
pub(super) async fn version(
    client: &impl deadpool_postgres::GenericClient,
    schema: &str,
) -> Result<Option<usize>, OpenError> {
    let found = client
        .query_one(
            "SELECT to_regclass($1 || '.migrations') IS NOT NULL,
               EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace($1))",
            &[&schema],
        )
        .await?;
    match (found.try_get(0)?, found.try_get(1)?) {
        (true, _) => {
            let row = client.query_one("SELECT count(*) FROM migrations", &[]).await?;
            let found = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(usize::MAX);
            match found > SCHEMA_VERSION {
                true => Err(OpenError::Newer { found, known: SCHEMA_VERSION }),
                false => Ok(Some(found)),
            }
        }
        (false, true) => Err(OpenError::Foreign(schema.to_owned())),
        (false, false) => Ok(None),
    }
}

/// Refuses a schema that is not there, or not of this version.
pub(super) async fn expect_current(
    client: &impl deadpool_postgres::GenericClient,
    schema: &str,
) -> Result<(), OpenError> {
    match version(client, schema).await? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(OpenError::Older { found, known: SCHEMA_VERSION }),
        None => Err(OpenError::NoData),
    }
}

/// The number of an advisory lock: such locks are shared by all that use the database.
pub(super) fn lock(schema: &str, subject: &str) -> i64 {
    let digest = Sha256::digest(format!("zumik:{schema}:{subject}"));
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(number)
}

/// Whether this is a name that needs no quotes.
pub(super) fn is_name(schema: &str) -> bool {
    let mut bytes = schema.bytes();
    (1..=63).contains(&schema.len())
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !schema.starts_with("pg_")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zumik_test_postgres::Postgres;

    use super::super::{Options, PostgresStore};
    use super::*;
    use crate::clock::FixedClock;
    use crate::seal::MasterKey;
    use crate::store::conformance::{World, usage_event};
    use crate::store::{Store as _, UsageQuery};

    /// What later migrations added goes again.
    const BACK_TO_THE_FIRST: &str = "
        DROP TABLE compaction_keys;
        ALTER TABLE responses DROP COLUMN conversation;
        DROP TABLE conversations;
        DROP TABLE usage_events, usage_records, alias_releases, agent_hints;
        DROP TABLE batch_results, batch_lines, batch_inputs, batches;
        DELETE FROM migrations WHERE version > 1";

    /// Tables, columns, types, and indexes of a schema.
    async fn shape(client: &deadpool_postgres::Object, schema: &str) -> Vec<String> {
        let sql = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
              FROM information_schema.columns WHERE table_schema = $1
            UNION ALL SELECT replace(indexdef, $1, '') FROM pg_indexes WHERE schemaname = $1 ORDER BY 1";
        client.query(sql, &[&schema]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test]
    async fn a_schema_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
        let Some(server) = Postgres::shared() else { return };
        let (address, schema, first) = (server.url("postgres"), server.name("upgrade"), server.name("first"));
        let clock = Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()));
        let options = || {
            let key = MasterKey::parse(&"7".repeat(64)).unwrap();
            Options::new(address.parse().unwrap()).schema(&schema).master_key(key).clock(clock.clone())
        };
        let store = Arc::new(PostgresStore::open(options()).await.unwrap());
        let world = World::new(store.clone(), clock.clone(), None).await;
        let document = world.document("a text").await;
        let session = world.session().await;
        world.append(&session.id, &session.default_branch_id, Some(&document)).await;
        let events = world.events(&session.id, &session.default_branch_id).await;
        let client = store.pool.get().await.unwrap();
        let newest = shape(&client, &schema).await;

        client.batch_execute(BACK_TO_THE_FIRST).await.unwrap();
        let looked = PostgresStore::open(options().existing()).await.map(drop);
        assert!(matches!(looked, Err(OpenError::Older { found: 1, .. })), "{looked:?}");
        assert_eq!(version(&client, &schema).await.unwrap(), Some(1), "nothing is migrated by looking");
        let alone = format!(
            "CREATE SCHEMA {first}; SET search_path = {first};
             CREATE TABLE migrations (version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()); {}",
            MIGRATIONS[0]
        );
        client.batch_execute(&alone).await.unwrap();
        assert_eq!(
            shape(&client, &schema).await,
            shape(&client, &first).await,
            "it is not the first version"
        );
        drop(client);
        store.close().await;

        let store = Arc::new(PostgresStore::open(options()).await.unwrap());
        let world = World::new(store.clone(), clock.clone(), None).await;
        let client = store.pool.get().await.unwrap();
        assert_eq!(shape(&client, &schema).await, newest);
        assert_eq!(world.store.retrieve_artifact(&world.ctx(), &document).await.unwrap().id, document);
        assert_eq!(world.events(&session.id, &session.default_branch_id).await, events);

        client
            .execute("INSERT INTO migrations (version) VALUES ($1)", &[&(MIGRATIONS.len() as i64 + 1)])
            .await
            .unwrap();
        drop(client);
        store.close().await;
        let refused = PostgresStore::open(options()).await.map(drop);
        assert!(matches!(refused, Err(OpenError::Newer { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn cancelled_generations_that_an_older_server_counted_as_failed_are_none() {
        let Some(server) = Postgres::shared() else { return };
        let (address, schema) = (server.url("postgres"), server.name("cancelled"));
        let clock = Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()));
        let options = || {
            let key = MasterKey::parse(&"7".repeat(64)).unwrap();
            Options::new(address.parse().unwrap()).schema(&schema).master_key(key).clock(clock.clone())
        };
        let store = Arc::new(PostgresStore::open(options()).await.unwrap());
        let world = World::new(store.clone(), clock.clone(), None).await;
        let events = (1..25).map(|n| usage_event(&world.ctx(), n)).collect();
        world.store.record_usage(events).await.unwrap();
        let all = UsageQuery::between(world.ctx().now, world.ctx().now);
        let report = world.store.usage(&world.ctx(), all.clone()).await.unwrap();
        let client = store.pool.get().await.unwrap();
        client
            .batch_execute(
                "UPDATE usage_events e SET failed = true FROM usage_records r
                   WHERE r.id = e.id AND r.record::json ->> 'status' <> 'completed';
                 DELETE FROM migrations WHERE version > 4",
            )
            .await
            .unwrap();
        drop(client);
        let counted = world.store.usage(&world.ctx(), all.clone()).await.unwrap().summary.failed_requests;
        assert_eq!(counted, report.summary.failed_requests + 2);
        store.close().await;

        let store = Arc::new(PostgresStore::open(options()).await.unwrap());
        let world = World::new(store, clock, None).await;
        assert_eq!(world.store.usage(&world.ctx(), all).await.unwrap(), report);
    }

    #[test]
    fn only_plain_names_are_taken_for_schemas() {
        for name in ["zumik", "_z9", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "9a", "A", "a-b", "a b", "a;b", "\"a\"", "pg_x", "é", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
