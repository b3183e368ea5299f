//! A database as the source or the target of a transfer. The tables of a transfer are those of this store.

use std::error::Error;
use std::pin::pin;

use bytes::BytesMut;
use deadpool_postgres::{Object, Pool};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::OpenError;
use super::address::Address;
use super::connect::{self, Use, serving};
use super::schema::{self, SCHEMA_VERSION};
use crate::store::transfer::rows::{Parcel, Row, Value};
use crate::store::transfer::tables::{Column, Kind, TABLES, Table};
use crate::store::transfer::{Beside, Result, Source, Take, Target, TransferError};

/// A database that nobody serves from meanwhile, within one transaction. Dropped, it is rolled back.
pub(in crate::store) struct Exchange {
    client: Object,
    _pool: Pool,
    runtime: Handle,
}

impl Exchange {
    /// Begins to read a database.
    pub(in crate::store) fn read_from(address: &Address, schema: &str, runtime: &Handle) -> Result<Self> {
        let this = Self::connect(address, schema, runtime)?;
        match this.version(address, schema)? {
            Some(_) => {}
            None => return Err(TransferError::NoData(address.to_string())),
        }
        this.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        Ok(this)
    }

    /// Begins to fill a database, which gets the schema if it lacks it and must be empty.
    pub(in crate::store) fn fill(address: &Address, schema: &str, runtime: &Handle) -> Result<Self> {
        let mut this = Self::connect(address, schema, runtime)?;
        if this.version(address, schema)?.is_none() {
            runtime.block_on(schema::migrate(&mut this.client, schema))?;
        }
        this.execute("BEGIN")?;
        let mut empty = this.proof()?.is_none();
        for table in TABLES {
            empty &= this
                .value::<i64>(&format!("SELECT count(*) FROM (SELECT FROM {} LIMIT 1) t", table.name))?
                == 0;
        }
        if empty { Ok(this) } else { Err(TransferError::NotEmpty(address.to_string())) }
    }

    /// Connects, and keeps servers out as long as the connection lives.
    fn connect(address: &Address, schema: &str, runtime: &Handle) -> Result<Self> {
        if !schema::is_name(schema) {
            return Err(OpenError::SchemaName(schema.to_owned()).into());
        }
        let pool = connect::pool(address, schema, 1, Use::Move)?;
        let client = runtime.block_on(pool.get()).map_err(OpenError::from)?;
        let this = Self { client, _pool: pool, runtime: runtime.clone() };
        this.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        // The database notices a moment later that a server was killed.
        let alone = format!("SET lock_timeout = '1s'; SELECT pg_advisory_lock({})", serving(schema));
        match runtime.block_on(this.client.batch_execute(&alone)) {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                return Err(TransferError::InUse(address.to_string()));
            }
            other => other?,
        }
        this.execute("SET lock_timeout = 0")?;
        Ok(this)
    }

    /// The version of a schema; nothing when there is none.
    fn version(&self, address: &Address, schema: &str) -> Result<Option<usize>> {
        let found = self.runtime.block_on(schema::version(&self.client, schema))?;
        match found {
            Some(found) if found != SCHEMA_VERSION => {
                Err(TransferError::Older { place: address.to_string(), found, known: SCHEMA_VERSION })
            }
            other => Ok(other),
        }
    }

    fn execute(&self, sql: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }

    fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> Result<T> {
        Ok(self.runtime.block_on(self.client.query_one(sql, &[]))?.try_get(0)?)
    }
}

impl Source for Exchange {
    fn proof(&mut self) -> Result<Option<Vec<u8>>> {
        let row = self.runtime.block_on(self.client.query_opt("SELECT master_proof FROM server", &[]))?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    fn count(&mut self, table: &Table) -> Result<u64> {
        let rows: i64 = self.value(&format!("SELECT count(*) FROM {}", table.name))?;
        Ok(rows.unsigned_abs())
    }

    fn read(&mut self, table: &Table, take: Take<'_>) -> Result<()> {
        let sql = select(table);
        let rows = self.runtime.block_on(self.client.query_raw::<_, &str, [&str; 0]>(&sql, []))?;
        let mut rows = pin!(rows.fuse());
        loop {
            let parcel = self.runtime.block_on(async {
                let mut parcel = Parcel::default();
                while let Some(row) = rows.try_next().await? {
                    if let Some(rows) = parcel.add(values(table, &row)?) {
                        return Ok(rows);
                    }
                }
                Ok::<_, TransferError>(parcel.take())
            })?;
            if parcel.is_empty() {
                return Ok(());
            }
            take(parcel)?;
        }
    }
}

impl Target for Exchange {
    fn set_proof(&mut self, proof: &[u8]) -> Result<()> {
        let sql = "INSERT INTO server (id, master_proof) VALUES (1, $1)";
        self.runtime.block_on(self.client.execute(sql, &[&proof]))?;
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        self.runtime.block_on(async {
            let sink = self.client.copy_in(&copy(table)).await?;
            let types: Vec<_> = table.stored().map(|column| sql_type(column.kind)).collect();
            let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
            for row in rows {
                let values =
                    table.columns.iter().zip(row).filter(|(column, _)| column.kind != Kind::Erasable);
                let values: Vec<&(dyn ToSql + Sync)> = values.map(|(_, value)| value as _).collect();
                writer.as_mut().write(&values).await?;
            }
            writer.finish().await?;
            Ok(())
        })
    }

    fn finish(self: Box<Self>, _beside: Beside) -> Result<()> {
        for table in TABLES.iter().filter(|table| table.named("id").is_some()) {
            let name = table.name;
            // Of tables that number their rows themselves there is no sequence.
            self.execute(&format!(
                "SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name} HAVING max(id) > 0"
            ))?;
        }
        self.execute("SELECT setval('event_rows', max(id)) FROM events HAVING max(id) > 0")?;
        self.execute("COMMIT")
    }
}

/// The statement that reads a table. Which replica worked on a response does not matter: it is gone.
fn select(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| match (table.name, column.name) {
        ("responses", "worker") => "CASE WHEN t.worker IS NOT NULL THEN 0::bigint END".to_owned(),
        ("answers", "erasable") => {
            "EXISTS (SELECT FROM answer_artifacts a WHERE a.lookup = t.lookup)".to_owned()
        }
        (_, name) => format!("t.{name}"),
    });
    let order = table.columns[0].name;
    format!("SELECT {} FROM {} t ORDER BY t.{order}", columns.collect::<Vec<_>>().join(", "), table.name)
}

fn copy(table: &Table) -> String {
    let columns: Vec<_> = table.stored().map(|column| column.name).collect();
    format!("COPY {} ({}) FROM STDIN BINARY", table.name, columns.join(", "))
}

fn sql_type(kind: Kind) -> Type {
    match kind {
        Kind::Int => Type::INT8,
        Kind::Flag | Kind::Erasable => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Words | Kind::Bytes | Kind::Content => Type::BYTEA,
    }
}

fn values(table: &Table, row: &tokio_postgres::Row) -> Result<Row> {
    let columns = table.columns.iter().enumerate();
    let values = columns.map(|(at, column)| {
        value(column, row, at)?.ok_or(TransferError::Value { table: table.name, column: column.name })
    });
    values.collect()
}

/// A value of a column; nothing when it is a text in another encoding than UTF-8.
fn value(column: &Column, row: &tokio_postgres::Row, at: usize) -> Result<Option<Value>> {
    let value = match column.kind {
        Kind::Int => row.try_get::<_, Option<i64>>(at)?.map(Value::Int),
        Kind::Flag | Kind::Erasable => row.try_get::<_, Option<bool>>(at)?.map(Value::Flag),
        Kind::Text => row.try_get::<_, Option<String>>(at)?.map(Value::Text),
        Kind::Bytes | Kind::Content => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Value::Bytes),
        Kind::Words => match row.try_get::<_, Option<Vec<u8>>>(at)?.map(String::from_utf8) {
            None => None,
            Some(Ok(text)) => Some(Value::Text(text)),
            Some(Err(_)) => return Ok(None),
        },
    };
    Ok(Some(value.unwrap_or(Value::Null)))
}

impl std::fmt::Debug for Value {
    /// Only the kind: a value may be a text of customers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int(…)",
            Self::Flag(_) => "Flag(…)",
            Self::Text(_) => "Text(…)",
            Self::Bytes(_) => "Bytes(…)",
        })
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Flag(value) => value.to_sql(kind, out),
            Self::Text(text) => text.as_bytes().to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA].contains(kind)
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use zumik_test_postgres::Postgres;

    use super::super::{Options, PostgresStore};
    use super::*;
    use crate::seal::MasterKey;

    #[tokio::test]
    async fn every_column_of_the_schema_is_moved() {
        let Some(server) = Postgres::shared() else { return };
        let address: Address = server.url("postgres").parse().unwrap();
        let schema = server.name("transfer");
        let key = MasterKey::parse(&"7".repeat(64)).unwrap();
        let store = PostgresStore::open(Options::new(address).schema(&schema).master_key(key)).await.unwrap();
        let sql =
            "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
            WHERE table_schema = $1 AND table_name NOT IN ('server', 'migrations') ORDER BY 1, 2";
        let rows = store.pool.get().await.unwrap().query(sql, &[&schema]).await.unwrap();
        let found: Vec<[String; 3]> = rows.iter().map(|row| [row.get(0), row.get(1), row.get(2)]).collect();
        let mut moved: Vec<[String; 3]> = Vec::new();
        for table in TABLES {
            for column in table.stored() {
                let kind = match sql_type(column.kind) {
                    Type::INT8 => "bigint",
                    Type::BOOL => "boolean",
                    Type::TEXT => "text",
                    _ => "bytea",
                };
                moved.push([table.name, column.name, kind].map(str::to_owned));
            }
        }
        moved.sort();
        assert_eq!(moved, found);
    }
}
