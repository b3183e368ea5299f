//! Moving everything from one durable store to another: from a data folder to a PostgreSQL database, or back.
//!
//! Rows are read at one moment of the source, handed over in the form of `tables`, read again from the target and
//! compared; then the target counts, as a whole. Before, it holds nothing: a folder is no data folder until its
//! database gets its name, a database is filled in one transaction. What is sealed stays sealed: both have the same
//! master key.

mod error;
pub(in crate::store) mod rows;
pub(in crate::store) mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;
use tokio::runtime::Handle;

pub use error::TransferError;

use rows::{Row, Tally};
use tables::{TABLES, Table};

use crate::blocking::blocking;
use crate::seal::{MasterKey, Vault};
use crate::store::postgres::{self, Address};
use crate::store::sqlite;
use crate::store::sqlite::backup::RestoreKey;

/// The result of a transfer.
pub type Result<T, E = TransferError> = std::result::Result<T, E>;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A data folder.
    Folder(PathBuf),
    /// A PostgreSQL database, and the schema in it.
    Database {
        /// The database.
        address: Box<Address>,
        /// The schema: `zumik`, unless several stores are in one database.
        schema: String,
    },
}

impl Place {
    /// The schema `zumik` of a database, where servers look.
    pub fn database(address: Address) -> Self {
        Self::Database { address: Box::new(address), schema: postgres::SCHEMA.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Database { address, .. } => address.fmt(f),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table in question.
    pub table: &'static str,
    /// Whether the copy is being read again and compared.
    pub comparing: bool,
    /// Rows done.
    pub done: u64,
    /// Rows to do.
    pub total: u64,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Rows and digest of each table, the same on both sides.
    pub tables: Vec<Moved>,
}

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// Its name.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// A digest over all of them, in hexadecimal digits.
    pub sha256: String,
}

impl Report {
    /// Rows of a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.iter().find(|moved| moved.table == table).map_or(0, |moved| moved.rows)
    }
}

/// What is handed over, batch by batch.
pub(in crate::store) type Take<'a> = &'a mut dyn FnMut(Vec<Row>) -> Result<()>;

/// What lies in a folder beside the data.
#[derive(Default)]
pub(in crate::store) struct Beside {
    /// The master key.
    pub(in crate::store) key: Option<MasterKey>,
    /// The settings, `zumik.toml`.
    pub(in crate::store) settings: Option<Vec<u8>>,
}

/// A store that is read at one moment. Its methods block.
pub(in crate::store) trait Source {
    /// What the master key is recognized by; nothing in a store that holds nothing.
    fn proof(&mut self) -> Result<Option<Vec<u8>>>;

    /// Rows of a table.
    fn count(&mut self, table: &Table) -> Result<u64>;

    /// Hands all rows of a table over.
    fn read(&mut self, table: &Table, take: Take<'_>) -> Result<()>;
}

/// An empty store that is filled. Dropped before [`finish`](Self::finish), it is empty again.
pub(in crate::store) trait Target: Source {
    fn set_proof(&mut self, proof: &[u8]) -> Result<()>;

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()>;

    /// Makes it count. A folder gets what is to lie beside the data.
    fn finish(self: Box<Self>, beside: Beside) -> Result<()>;
}

/// Moves everything from one store to another, which must be empty. No server may be running on either of them; the
/// source stays as it is. Between folders the settings go along; a database has none. `watch` is told the progress, and says
/// whether to go on.
///
/// # Errors
/// The source is in use, of another schema version, or waits for the receipt of a purge; the target is in use or not
/// empty; the master key is missing or the wrong one; one of them cannot be read or written; what the target holds is
/// not what was read; or `watch` wanted to end. The target is then as it was.
pub async fn transfer(
    from: Place,
    to: Place,
    key: RestoreKey,
    watch: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
) -> Result<Report> {
    let runtime = Handle::current();
    blocking(move || run(&from, &to, key, &runtime, watch)).await.map_err(TransferError::broke_off)?
}

fn run(
    from: &Place,
    to: &Place,
    key: RestoreKey,
    runtime: &Handle,
    mut watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Report> {
    let (mut source, beside) = open_source(from, runtime)?;
    let proof = source.proof()?.ok_or_else(|| TransferError::NoData(from.to_string()))?;
    let (right, kept) = match key {
        RestoreKey::FromSource => (beside.key.ok_or(TransferError::KeyNeeded)?, true),
        RestoreKey::Given(key) => (key, false),
        RestoreKey::Kept(key) => (key, true),
    };
    Vault::new(&right).check(&proof)?;

    let mut target = open_target(to, runtime)?;
    target.set_proof(&proof)?;
    let mut total = 0;
    for table in TABLES {
        total += source.count(table)?;
    }
    let mut tell = |table: &Table, comparing, done| match watch(Progress {
        table: table.name,
        comparing,
        done,
        total,
    }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TransferError::Interrupted),
    };
    let copied = copy(&mut *source, &mut *target, &mut tell)?;
    let report = compare(&mut *target, &copied, &mut tell)?;
    target.finish(Beside { key: kept.then_some(right), settings: beside.settings })?;
    Ok(report)
}

type Tell<'a> = &'a mut dyn FnMut(&Table, bool, u64) -> Result<()>;

/// Copies table after table; gives what was read of each.
fn copy(source: &mut dyn Source, target: &mut dyn Target, tell: Tell<'_>) -> Result<Vec<Tally>> {
    let mut done = 0;
    let mut tallies = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let mut tally = Tally::default();
        tell(table, false, done)?;
        source.read(table, &mut |rows| {
            rows.iter().for_each(|row| tally.add(table, row));
            target.write(table, &rows)?;
            done += rows.len() as u64;
            tell(table, false, done)
        })?;
        tallies.push(tally);
    }
    Ok(tallies)
}

/// Reads the target and compares it with what was read of the source.
fn compare(target: &mut dyn Target, copied: &[Tally], tell: Tell<'_>) -> Result<Report> {
    let mut done = 0;
    let mut tables = Vec::with_capacity(TABLES.len());
    for (table, copied) in TABLES.iter().zip(copied) {
        let mut found = Tally::default();
        tell(table, true, done)?;
        target.read(table, &mut |rows| {
            rows.iter().for_each(|row| found.add(table, row));
            done += rows.len() as u64;
            tell(table, true, done)
        })?;
        if found != *copied {
            return Err(TransferError::Differs { table: table.name, rows: copied.rows, found: found.rows });
        }
        tables.push(Moved { table: table.name, rows: found.rows, sha256: found.hex() });
    }
    Ok(Report { tables })
}

/// Opens a source, with what lies beside it.
fn open_source(from: &Place, runtime: &Handle) -> Result<(Box<dyn Source>, Beside)> {
    Ok(match from {
        Place::Folder(path) => {
            let (reading, beside) = sqlite::transfer::Reading::open(path)?;
            (Box::new(reading), beside)
        }
        Place::Database { address, schema } => {
            let reading = postgres::transfer::Exchange::read_from(address, schema, runtime)?;
            (Box::new(reading), Beside::default())
        }
    })
}

/// Opens a target, which must be empty.
fn open_target(to: &Place, runtime: &Handle) -> Result<Box<dyn Target>> {
    Ok(match to {
        Place::Folder(path) => Box::new(sqlite::transfer::Filling::open(path)?),
        Place::Database { address, schema } => {
            Box::new(postgres::transfer::Exchange::fill(address, schema, runtime)?)
        }
    })
}
