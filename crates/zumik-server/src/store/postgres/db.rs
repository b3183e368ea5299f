//! One transaction, as the operations see it: a connection and what they need beside it.
//!
//! Writes run at READ COMMITTED, so each statement sees what others have committed before it. What a write depends on
//! it therefore locks first, always in this order: artifacts, bundles, sessions, branches,
//! answers, the project, batches. Rows of one table are locked in the order of their keys.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use futures_util::TryStreamExt as _;
use parking_lot::{Mutex, RwLock};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use zumik_types::ProjectId;

use super::heads::Heads;
use super::presence::Presence;
use crate::clock::Clock;
use crate::mint::Mint;
use crate::seal::Vault;
use crate::store::durable::Seal;
use crate::store::durable::ids::PublicId;
use crate::store::{ProjectCtx, ProviderCache, Result, StoreError};

/// A value for a placeholder of a statement.
pub(super) type Param<'p> = &'p (dyn ToSql + Sync);

/// What operations need beside a connection.
pub(super) struct Env {
    pub(super) vault: Vault,
    pub(super) mint: Arc<dyn Mint>,
    pub(super) clock: Arc<dyn Clock>,
    /// What receipts name beside this store.
    pub(super) caches: Arc<[ProviderCache]>,
    pub(super) presence: Presence,
    pub(super) heads: Heads,
    /// Rows of committed projects. Projects are never removed.
    pub(super) project_rows: RwLock<HashMap<ProjectId, i64>>,
}

/// A transaction, and what operations need beside it.
pub(super) struct Db<'t, 'r> {
    pub(super) sql: &'t Transaction<'t>,
    pub(super) env: &'r Env,
    /// Artifacts of which the answer to come holds something: their purge drops it.
    pub(super) materialized: Mutex<Vec<i64>>,
}

impl<'t, 'r> Db<'t, 'r> {
    pub(super) fn new(sql: &'t Transaction<'t>, env: &'r Env) -> Self {
        Self { sql, env, materialized: Mutex::default() }
    }
}

impl Db<'_, '_> {
    /// The first row, if there is one.
    pub(super) async fn one<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        read: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let statement = self.sql.prepare_cached(sql).await?;
        let rows = self.sql.query(&statement, params).await?;
        rows.first().map(read).transpose()
    }

    /// The one value of a query that always has one.
    pub(super) async fn value<T: FromSqlOwned>(&self, sql: &str, params: &[Param<'_>]) -> Result<T> {
        let statement = self.sql.prepare_cached(sql).await?;
        Ok(self.sql.query_one(&statement, params).await?.try_get(0)?)
    }

    /// All rows.
    pub(super) async fn all<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let statement = self.sql.prepare_cached(sql).await?;
        self.sql.query(&statement, params).await?.iter().map(read).collect()
    }

    /// Hands over one row after the other, so that no more than a few are in memory.
    pub(super) async fn for_each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut read: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let statement = self.sql.prepare_cached(sql).await?;
        let mut rows = pin!(self.sql.query_raw(&statement, params.iter().copied()).await?);
        while let Some(row) = rows.try_next().await? {
            read(&row)?;
        }
        Ok(())
    }

    /// Runs a statement that gives no rows; the number of rows it changed.
    pub(super) async fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let statement = self.sql.prepare_cached(sql).await?;
        Ok(self.sql.execute(&statement, params).await?)
    }

    /// A new id, and what the database keeps of it.
    pub(super) fn mint<T: PublicId>(&self, ctx: &ProjectCtx) -> (T, [u8; 16]) {
        self.env.mint(ctx)
    }

    /// The row of the context's project.
    pub(super) async fn project(&self, ctx: &ProjectCtx) -> Result<i64> {
        if let Some(row) = self.env.project_row(&ctx.project) {
            return Ok(row);
        }
        let row = self
            .one("SELECT id FROM projects WHERE public_id = $1", &[&key(&ctx.project)], |row| {
                Ok(row.try_get(0)?)
            })
            .await?
            .ok_or_else(|| StoreError::internal(format!("project '{}' does not exist", ctx.project)))?;
        self.env.project_rows.write().insert(ctx.project.clone(), row);
        Ok(row)
    }
}

impl Seal for Env {
    fn mint(&self) -> &dyn Mint {
        &*self.mint
    }

    fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        Ok(self.vault.seal(&*self.mint, place, text)?)
    }
}

impl Env {
    /// A new id, and what the database keeps of it.
    pub(super) fn mint<T: PublicId>(&self, ctx: &ProjectCtx) -> (T, [u8; 16]) {
        let key = self.mint.ulid(ctx.now).to_bytes();
        (T::from_key(key), key)
    }

    /// The row of a project that has been met before.
    pub(super) fn project_row(&self, id: &ProjectId) -> Option<i64> {
        self.project_rows.read().get(id).copied()
    }
}

/// What the database keeps of an id; nothing, which no row has, for an id that this server never gave.
pub(super) fn key<T: PublicId>(id: &T) -> Option<Vec<u8>> {
    id.key().map(|key| key.to_vec())
}

/// The id in a column.
pub(super) fn id<T: PublicId>(row: &Row, at: usize) -> Result<T> {
    Ok(T::from_key(bytes(row.try_get(at)?)?))
}

/// The id in a column that may be empty.
pub(super) fn optional_id<T: PublicId>(row: &Row, at: usize) -> Result<Option<T>> {
    row.try_get::<_, Option<&[u8]>>(at)?.map(|key| Ok(T::from_key(bytes(key)?))).transpose()
}

/// Bytes whose number is known.
pub(super) fn bytes<const N: usize>(column: &[u8]) -> Result<[u8; N]> {
    column.try_into().map_err(StoreError::internal)
}

/// The text in a `bytea` column.
pub(super) fn text(row: &Row, at: usize) -> Result<String> {
    utf8(row.try_get(at)?)
}

/// The text in a `bytea` column that may be empty.
pub(super) fn optional_text(row: &Row, at: usize) -> Result<Option<String>> {
    row.try_get::<_, Option<&[u8]>>(at)?.map(utf8).transpose()
}

fn utf8(bytes: &[u8]) -> Result<String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(StoreError::internal)
}

/// A count as the database keeps it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The count in a column.
pub(super) fn count(row: &Row, at: usize) -> Result<u64> {
    u64::try_from(row.try_get::<_, i64>(at)?).map_err(StoreError::internal)
}
