//! One transaction, as the operations see it: a connection and what they need beside it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::{Mutex, RwLock};
use rusqlite::{CachedStatement, Connection, ErrorCode, Params, Row};
use zumik_types::ProjectId;

use super::disk::Disk;
use super::lookups::Lookups;
use crate::clock::Clock;
use crate::mint::Mint;
use crate::seal::{SealError, Vault};
use crate::store::durable::ids::PublicId;
use crate::store::{ProjectCtx, ProviderCache, Result, StoreError};

/// What operations need beside a connection; shared by the writer and all readers.
pub(super) struct Env {
    pub(super) vault: Vault,
    pub(super) mint: Arc<dyn Mint>,
    pub(super) clock: Arc<dyn Clock>,
    /// What receipts name beside this store.
    pub(super) caches: Arc<[ProviderCache]>,
    /// Rows of committed projects. Projects are never removed.
    pub(super) project_rows: RwLock<HashMap<ProjectId, i64>>,
    /// Idempotency keys that the index does not hold yet.
    pub(super) lookups: Mutex<Lookups>,
    /// The newest line of a batch that there was. Leases name lines, so the next one comes after it, also when it is gone.
    pub(super) newest_line: AtomicI64,
    /// Whether the disk takes what is written.
    pub(super) disk: Disk,
}

/// A connection within a transaction, and what operations need beside it.
#[derive(Clone, Copy)]
pub(super) struct Db<'a> {
    sql: Sql<'a>,
    pub(super) env: &'a Env,
}

impl<'a> Db<'a> {
    pub(super) const fn new(conn: &'a Connection, env: &'a Env) -> Self {
        Self { sql: Sql::new(conn), env }
    }
}

impl Db<'_> {
    /// A new id, and what the database keeps of it.
    pub(super) fn mint<T: PublicId>(&self, ctx: &ProjectCtx) -> (T, [u8; 16]) {
        let key = self.env.mint.ulid(ctx.now).to_bytes();
        (T::from_key(key), key)
    }

    /// The row of the context's project.
    pub(super) fn project(&self, ctx: &ProjectCtx) -> Result<i64> {
        if let Some(row) = self.env.project_rows.read().get(&ctx.project) {
            return Ok(*row);
        }
        let found = match ctx.project.key() {
            Some(key) => {
                self.one("SELECT id FROM projects WHERE public_id = ?1", [&key[..]], |row| row.get(0))?
            }
            None => None,
        };
        found.ok_or_else(|| StoreError::internal(format!("project '{}' does not exist", ctx.project)))
    }
}

impl<'a> Deref for Db<'a> {
    type Target = Sql<'a>;

    fn deref(&self) -> &Sql<'a> {
        &self.sql
    }
}

/// A connection within a transaction. Statements are prepared once.
#[derive(Clone, Copy)]
pub(super) struct Sql<'a> {
    pub(super) conn: &'a Connection,
}

impl<'a> Sql<'a> {
    pub(super) const fn new(conn: &'a Connection) -> Self {
        Self { conn }
    }

    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        match self.statement(sql)?.query_row(params, read) {
            Ok(value) => Ok(Some(value)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The one row of a query that always has one.
    pub(super) fn value<T: rusqlite::types::FromSql>(&self, sql: &str, params: impl Params) -> Result<T> {
        Ok(self.statement(sql)?.query_row(params, |row| row.get(0))?)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params, read)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    /// Hands over one row after the other, so that no more than one is in memory.
    pub(super) fn for_each(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            read(row)?;
        }
        Ok(())
    }

    /// Runs a statement that gives no rows; the number of rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.statement(sql)?.execute(params)?)
    }

    /// Inserts a row; its key.
    pub(super) fn insert(&self, sql: &str, params: impl Params) -> Result<i64> {
        Ok(self.statement(sql)?.insert(params)?)
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'a>> {
        Ok(self.conn.prepare_cached(sql)?)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Nothing but a report is ever interrupted.
            Some(ErrorCode::OperationInterrupted) => Self::TooLong,
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly,
            ) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

impl From<SealError> for StoreError {
    fn from(error: SealError) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}
