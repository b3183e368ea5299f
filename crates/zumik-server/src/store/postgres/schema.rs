//! The schema of the database: made at the first start, migrated by the first replica of a newer version.

use sha2::{Digest as _, Sha256};

use super::OpenError;

/// The migrations in order; a schema at version `n` has seen the first `n`. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_usage_batches.sql"),
    include_str!("migrations/0003_conversations.sql"),
];

/// Brings the schema up to date. Of replicas that start at once, one does it and the others wait.
pub(super) async fn migrate(client: &mut deadpool_postgres::Object, schema: &str) -> Result<(), OpenError> {
    let transaction = client.transaction().await?;
    // It may take its time, and so may the one that is waited for.
    transaction.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&lock(schema, "migrations")]).await?;
    let found = transaction
        .query_one(
            "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.migrations') IS NOT NULL",
            &[&schema],
        )
        .await?;
    let version = match (found.try_get(0)?, found.try_get(1)?) {
        (_, true) => {
            let row = transaction.query_one("SELECT count(*) FROM migrations", &[]).await?;
            usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(usize::MAX)
        }
        (true, false) if !is_empty(&transaction, schema).await? => {
            return Err(OpenError::Foreign(schema.to_owned()));
        }
        _ => {
            let create = format!(
                "CREATE SCHEMA IF NOT EXISTS {schema};
                 CREATE TABLE migrations (version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
            );
            transaction.batch_execute(&create).await?;
            0
        }
    };
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer { found: version, known: MIGRATIONS.len() });
    }
    for (number, migration) in (1_i64..).zip(MIGRATIONS).skip(version) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO migrations (version) VALUES ($1)", &[&number]).await?;
        tracing::info!(version = number, "migrated the database");
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether nothing is in a schema that is not ours yet.
async fn is_empty(
    transaction: &deadpool_postgres::Transaction<'_>,
    schema: &str,
) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace($1))";
    transaction.query_one(sql, &[&schema]).await?.try_get(0)
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
    use super::*;

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
