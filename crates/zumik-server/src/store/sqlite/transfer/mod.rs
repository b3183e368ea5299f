//! A data folder as the source or the target of a transfer.

mod layout;

use std::path::Path;

use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::backup;
use super::backup::draft::{Draft, LOCK};
use super::backup::inspect::Inspected;
use super::connection::{self, SCHEMA_VERSION};
use super::folder::{DATABASE, DataFolder, FolderLock};
use super::{contents, master_proof};
use crate::config;
use crate::seal::MasterKey;
use crate::store::durable::folder::MASTER_KEY_FILE;
use crate::store::transfer::rows::{Parcel, Row, Value};
use crate::store::transfer::tables::{Column, Kind, Table};
use crate::store::transfer::{Beside, Result, Source, Take, Target, TransferError};

/// A data folder within one transaction, with no server on it. `draft` is what is made of it.
pub(in crate::store) struct Folder<D> {
    conn: Connection,
    draft: D,
    _lock: FolderLock,
}

/// A folder that is read.
pub(in crate::store) type Reading = Folder<()>;

/// A folder that is filled. It is a data folder once it is finished.
pub(in crate::store) type Filling = Folder<Draft>;

impl Reading {
    /// Locks a folder and begins to read; also gives what lies in it beside the database.
    pub(in crate::store) fn open(path: &Path) -> Result<(Self, Beside)> {
        let place = || path.display().to_string();
        let database = path.join(DATABASE);
        if !database.is_file() {
            return Err(TransferError::NoData(place()));
        }
        let lock = DataFolder::open(path)?.lock()?;
        let conn = connection::open_reader(&database)?;
        conn.execute_batch("BEGIN")?;
        match connection::version(&conn, &database)? {
            SCHEMA_VERSION => {}
            found => return Err(TransferError::Older { place: place(), found, known: SCHEMA_VERSION }),
        }
        if conn.prepare("SELECT 1 FROM purge_jobs WHERE running = 1")?.exists([])? {
            return Err(TransferError::PurgeRunning(place()));
        }
        let beside =
            Beside { key: MasterKey::load(&path.join(MASTER_KEY_FILE))?, settings: backup::settings(path)? };
        Ok((Self { conn, draft: (), _lock: lock }, beside))
    }
}

impl Filling {
    /// Begins in a folder that is new or empty.
    pub(in crate::store) fn open(path: &Path) -> Result<Self> {
        let mut draft = Draft::open(path)?;
        let lock = DataFolder::open(path)?.lock()?;
        draft.adopt(LOCK);
        let (partial, _) = draft.begin(DATABASE)?;
        let conn = connection::open_new(&partial)?;
        // The tables that refer to answers do so by other columns in other stores.
        conn.execute_batch("BEGIN; CREATE INDEX answers_by_lookup ON answers (lookup)")?;
        Ok(Self { conn, draft, _lock: lock })
    }
}

impl<D> Source for Folder<D> {
    fn proof(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(master_proof(&self.conn)?)
    }

    fn count(&mut self, table: &Table) -> Result<u64> {
        Ok(self.conn.query_row(&layout::count(table), [], |row| row.get(0))?)
    }

    fn read(&mut self, table: &Table, take: Take<'_>) -> Result<()> {
        let mut statement = self.conn.prepare(&layout::select(table))?;
        let mut rows = statement.query([])?;
        let mut parcel = Parcel::default();
        while let Some(row) = rows.next()? {
            if let Some(rows) = parcel.add(values(table, row)?) {
                take(rows)?;
            }
        }
        let rest = parcel.take();
        if rest.is_empty() { Ok(()) } else { take(rest) }
    }
}

impl Target for Filling {
    fn set_proof(&mut self, proof: &[u8]) -> Result<()> {
        self.conn.execute("INSERT INTO server (id, master_proof) VALUES (1, ?1)", [proof])?;
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        let mut insert = self.conn.prepare_cached(&layout::insert(table))?;
        let erasable = table.position(Kind::Erasable);
        for row in rows {
            let erased = erasable.is_some_and(|at| row[at] == Value::Flag(true));
            for (column, value) in table.columns.iter().zip(row) {
                match (column.kind, value) {
                    (Kind::Content, Value::Bytes(sealed)) => {
                        bind(&mut insert, column, &Value::Int(self.store(sealed)?))?;
                    }
                    (Kind::Erasable, _) => {}
                    (Kind::Bytes, Value::Bytes(sealed)) if erased && column.name == "sealed" => {
                        bind(&mut insert, column, &Value::Null)?;
                        let content = Value::Int(self.store(sealed)?);
                        let to = &table.columns[erasable.unwrap_or(0)];
                        bind(&mut insert, to, &content)?;
                    }
                    _ => bind(&mut insert, column, value)?,
                }
            }
            insert.raw_execute()?;
            insert.clear_bindings();
        }
        Ok(())
    }

    fn finish(self: Box<Self>, beside: Beside) -> Result<()> {
        let Self { conn, mut draft, _lock } = *self;
        // As lookups.rs keeps it: every row is in the index, none waits.
        conn.execute_batch(
            "INSERT INTO answer_index (day, lookup, answer)
               SELECT expires_at / 86400000, lookup, id FROM answers ORDER BY 1, 2;
             UPDATE server SET answers_indexed = (SELECT coalesce(max(id), 0) FROM answers);
             DROP INDEX answers_by_lookup;
             COMMIT",
        )?;
        // One file that says all: the copy has no log of its own, and reading it must not begin one.
        conn.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
        conn.close().map_err(|(_, error)| error)?;
        Inspected::open(&draft.partial(DATABASE), &draft.path(DATABASE))?;
        if let Some(text) = beside.settings {
            draft.write(config::FILE_NAME, &text)?;
        }
        if let Some(key) = beside.key {
            draft.adopt(MASTER_KEY_FILE);
            key.save(&draft.path(MASTER_KEY_FILE))?;
        }
        draft.finish(DATABASE)?;
        draft.keep()?;
        Ok(())
    }
}

impl Filling {
    /// Stores a sealed text; gives its row.
    fn store(&self, sealed: &[u8]) -> Result<i64> {
        let mut insert = self.conn.prepare_cached("INSERT INTO contents (record) VALUES (?1)")?;
        Ok(insert.insert([contents::record(sealed)])?)
    }
}

fn values(table: &Table, row: &rusqlite::Row<'_>) -> Result<Row> {
    let erased = match table.position(Kind::Erasable) {
        Some(at) => row.get(at)?,
        None => false,
    };
    let columns = table.columns.iter().enumerate();
    let values = columns.map(|(at, column)| {
        let in_contents = column.kind == Kind::Content || (erased && column.name == "sealed");
        value(column.kind, in_contents, row.get_ref(at)?)
            .ok_or(TransferError::Value { table: table.name, column: column.name })
    });
    values.collect()
}

/// A value of a kind; nothing when it is of another.
fn value(kind: Kind, in_contents: bool, found: ValueRef<'_>) -> Option<Value> {
    if found.data_type() == Type::Null {
        return Some(Value::Null);
    }
    Some(match kind {
        Kind::Int => Value::Int(found.as_i64().ok()?),
        Kind::Flag | Kind::Erasable => Value::Flag(found.as_i64().ok()? != 0),
        Kind::Text | Kind::Words => Value::Text(found.as_str().ok()?.to_owned()),
        Kind::Bytes | Kind::Content => {
            let bytes = found.as_blob().ok()?;
            Value::Bytes(if in_contents { contents::sealed(bytes)? } else { bytes }.to_vec())
        }
    })
}

/// Binds a value to the placeholders of its column, if there are any.
fn bind(insert: &mut CachedStatement<'_>, column: &Column, value: &Value) -> Result<()> {
    if let Some(at) = insert.parameter_index(&format!(":{}", column.name))? {
        insert.raw_bind_parameter(at, value)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(value) => (*value).into(),
            Self::Flag(value) => i64::from(*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => bytes.as_slice().into(),
        })
    }
}
