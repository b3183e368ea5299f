//! Looking into the database of a backup: is it sound, is it ours, what does it hold.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::{connection, master_proof};
use super::{BackupError, Result};
use crate::seal::{MasterKey, SealError, Vault};

/// A database that nobody writes to.
pub(in super::super) struct Inspected {
    conn: Connection,
    /// Version of its schema.
    pub(super) schema_version: usize,
}

impl Inspected {
    /// Opens a copy, without changing it or leaving anything beside it. Errors call it `named`.
    ///
    /// # Errors
    /// It is no database, damaged, not ours, or newer than this program.
    pub(in super::super) fn open(path: &Path, named: &Path) -> Result<Self> {
        let damaged = |what: String| BackupError::Damaged { path: named.to_owned(), what };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        let schema_version = match connection::version(&conn, named) {
            Err(super::OpenError::Database(error)) => return Err(damaged(error.to_string())),
            other => other?,
        };
        let verdict: String = conn
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|error| damaged(error.to_string()))?;
        if verdict != "ok" {
            return Err(damaged(verdict));
        }
        if conn.prepare("PRAGMA foreign_key_check")?.exists([])? {
            return Err(damaged("a row refers to one that is missing".to_owned()));
        }
        Ok(Self { conn, schema_version })
    }

    /// Rows of each table.
    pub(in super::super) fn rows(&self) -> Result<BTreeMap<String, u64>> {
        Ok(rows(&self.conn)?)
    }

    /// Refuses another master key than the one that sealed it.
    pub(in super::super) fn check_key(&self, key: &MasterKey) -> Result<()> {
        match master_proof(&self.conn)? {
            Some(proof) => Ok(Vault::new(key).check(&proof)?),
            None => Err(SealError::WrongKey.into()),
        }
    }
}

/// Rows of each table of a database.
pub(in super::super) fn rows(conn: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut tables =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")?;
    let names = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let count = |name: String| {
        let quoted = name.replace('"', "\"\"");
        let rows = conn.query_row(&format!("SELECT count(*) FROM \"{quoted}\""), [], |row| row.get(0))?;
        Ok((name, rows))
    };
    names.into_iter().map(count).collect()
}
