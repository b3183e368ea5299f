//! Why nothing was moved.

use thiserror::Error;

use crate::seal::SealError;
use crate::store::sqlite::backup::BackupError;
use crate::store::{postgres, sqlite};

/// Why nothing was moved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The source holds no data of a server.
    #[error("{0} holds no data of a server")]
    NoData(String),
    /// A server, or another command, uses the source or the target.
    #[error("{0} is in use by a server")]
    InUse(String),
    /// The target holds something.
    #[error("{0} is not empty")]
    NotEmpty(String),
    /// One of them was written by an older version.
    #[error("{place} has schema version {found}, this program moves version {known}")]
    Older {
        /// Where it is.
        place: String,
        /// Its version.
        found: usize,
        /// That of this program.
        known: usize,
    },
    /// Contents of the source were purged, and the receipt is not signed yet.
    #[error("a purge in {0} waits for its receipt")]
    PurgeRunning(String),
    /// The source does not hold the master key, and none was given.
    #[error("the master key does not lie beside the data, and none was given")]
    KeyNeeded,
    /// The target does not hold what was read of the source.
    #[error("the copy of the table {table} is not the same: {rows} rows were read, {found} were found")]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows of the source.
        rows: u64,
        /// Rows of the target.
        found: u64,
    },
    /// A value is not of its column.
    #[error("a value in {table}.{column} cannot be read")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The master key cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The target folder cannot be filled.
    #[error(transparent)]
    Folder(Box<BackupError>),
    /// The data folder is foreign, damaged, or of a newer version.
    #[error(transparent)]
    Sqlite(Box<sqlite::OpenError>),
    /// The database cannot be reached, is foreign, or of a newer version.
    #[error(transparent)]
    Postgres(Box<postgres::OpenError>),
    /// The work broke off.
    #[error("the work broke off")]
    BrokeOff(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The watch said so.
    #[error("interrupted")]
    Interrupted,
}

impl TransferError {
    pub(super) fn broke_off(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::BrokeOff(error.into())
    }
}

impl From<BackupError> for TransferError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::NotEmpty(folder) => Self::NotEmpty(folder.display().to_string()),
            BackupError::InUse(folder) => Self::InUse(folder.display().to_string()),
            other => Self::Folder(Box::new(other)),
        }
    }
}

impl From<sqlite::OpenError> for TransferError {
    fn from(error: sqlite::OpenError) -> Self {
        match error {
            sqlite::OpenError::InUse(folder) => Self::InUse(folder.display().to_string()),
            other => Self::Sqlite(Box::new(other)),
        }
    }
}

impl From<rusqlite::Error> for TransferError {
    fn from(error: rusqlite::Error) -> Self {
        sqlite::OpenError::from(error).into()
    }
}

impl From<postgres::OpenError> for TransferError {
    fn from(error: postgres::OpenError) -> Self {
        Self::Postgres(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for TransferError {
    fn from(error: tokio_postgres::Error) -> Self {
        postgres::OpenError::from(error).into()
    }
}
