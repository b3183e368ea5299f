//! Connections to the database file: settings, the check that the file is ours, migrations.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

use crate::seal::SealError;
use crate::store::StoreError;
use crate::store::durable::folder::private_file;

/// `application_id` of our files: "Zumk".
const APPLICATION_ID: i32 = 0x5A75_6D6B;

/// Bytes of a page; contents.rs counts on it.
pub(super) const PAGE_SIZE: usize = 4096;

/// Memory for pages, in KiB.
const WRITER_CACHE: i64 = 16 * 1024;
const READER_CACHE: i64 = 1024;

/// How long a connection waits for a lock that another process holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The migrations in order; a file at version `n` has seen the first `n`. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_usage_batches.sql"),
    include_str!("migrations/0003_conversations.sql"),
    include_str!("migrations/0004_answer_index.sql"),
    include_str!("migrations/0005_cancelled_usage.sql"),
];

/// Version of the schema that this program writes.
pub(super) const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Why a data folder could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server uses it.
    #[error("another server is running on the data folder {}", .0.display())]
    InUse(PathBuf),
    /// The folder could not be made or read.
    #[error("the data folder {} could not be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// A file in it could not be made or opened.
    #[error("{} could not be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The database file was written by another program.
    #[error("{} is not a database of this server", .0.display())]
    Foreign(PathBuf),
    /// The database file was written by a newer version.
    #[error(
        "{} has schema version {found}, this server knows up to {known}: use a newer server", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The newest known.
        known: usize,
    },
    /// The database file was written by an older version, and is not to be migrated.
    #[error("{} has schema version {found}, this program works with version {known}", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version; 0 when nothing was written to it yet.
        found: usize,
        /// That of this program.
        known: usize,
    },
    /// The master key is missing, malformed or the wrong one.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The signing key in the folder is the published test key of RFC 8037.
    #[error("the receipt key of this data folder is the public test key of RFC 8037, which proves nothing")]
    TestKey,
    /// The database could not be opened.
    #[error("the database could not be opened")]
    Database(#[from] rusqlite::Error),
    /// The store could not begin its work.
    #[error("the store could not be started")]
    Store(#[from] StoreError),
}

/// Opens the database for writing; a new file gets the schema, an older one the migrations it lacks.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    make(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
    let mut conn = open(path)?;
    // Before anything of a file is changed that is not ours.
    version(&conn, path)?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    migrate(&mut conn, path)?;
    prepare_writer(&conn)?;
    Ok(conn)
}

/// Opens a database for writing beside a server that may be running on it: only one of this version, and as it is.
pub(super) fn open_current(path: &Path) -> Result<Connection, OpenError> {
    let conn = open_with(path, OpenFlags::empty())?;
    match version(&conn, path)? {
        SCHEMA_VERSION => {}
        found => return Err(OpenError::Older { path: path.to_owned(), found, known: SCHEMA_VERSION }),
    }
    prepare_writer(&conn)?;
    Ok(conn)
}

fn prepare_writer(conn: &Connection) -> rusqlite::Result<()> {
    // Checkpoints are the writer's own business: checkpoint.rs.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE)
}

/// Makes an empty file where there is none: SQLite would make it for everyone to read, and its log after it.
fn make(path: &Path) -> io::Result<()> {
    match private_file().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Opens a new file that counts only once it is whole: until then nothing of it is durable, nothing can be undone, and
/// rows may come before those they refer to.
pub(super) fn open_new(path: &Path) -> Result<Connection, OpenError> {
    let mut conn = Connection::open(path)?;
    conn.pragma_update(None, "page_size", PAGE_SIZE)?;
    conn.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "off")?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    migrate(&mut conn, path)?;
    Ok(conn)
}

/// Opens a connection that cannot write, to a database that a writer has opened.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = open(path)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE)?;
    Ok(conn)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    open_with(path, OpenFlags::SQLITE_OPEN_CREATE)
}

fn open_with(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(256);
    // Without this, SQLite plans a statement anew each time other values are bound: most of the cost of a short one.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "page_size", PAGE_SIZE)?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(conn)
}

/// Version of the schema of a file that is ours and not newer than this program; 0 for an empty file.
pub(super) fn version(conn: &Connection, path: &Path) -> Result<usize, OpenError> {
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = usize::try_from(pragma("user_version")?).unwrap_or(usize::MAX);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours = pragma("application_id")? == i64::from(APPLICATION_ID);
    let ours = ours && pragma("page_size")? == i64::try_from(PAGE_SIZE).unwrap_or(0);
    if !ours && (version != 0 || tables != 0) {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if version > MIGRATIONS.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: MIGRATIONS.len() });
    }
    Ok(version)
}

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&tx, path)?;
    for migration in &MIGRATIONS[version..] {
        tx.execute_batch(migration)?;
    }
    if version < MIGRATIONS.len() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", MIGRATIONS.len())?;
    }
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_file_gets_the_schema_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        drop(open_writer(&path).unwrap());
        drop(open_writer(&path).unwrap());
    }

    #[test]
    fn a_file_of_another_program_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE notes (text)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open_writer(&path), Err(OpenError::Foreign(_))));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        other.execute_batch("INSERT INTO notes VALUES ('still here')").unwrap();
    }

    #[test]
    fn a_newer_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        let conn = open_writer(&path).unwrap();
        conn.pragma_update(None, "user_version", MIGRATIONS.len() + 1).unwrap();
        assert!(matches!(open_writer(&path), Err(OpenError::Newer { .. })));
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zumik.db");
        std::fs::write(&path, "a text that is longer than the header of a database ".repeat(100)).unwrap();
        assert!(open_writer(&path).is_err());
    }
}
