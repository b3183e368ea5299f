//! `backup.json`: what a backup holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{BackupError, Result};
use crate::store::rules::whole_seconds;

/// Name of the manifest.
pub const MANIFEST: &str = "backup.json";

/// The form of backups that this version writes.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Always `zumik_backup`.
    pub object: String,
    /// The form of the backup.
    pub format: u32,
    /// The moment that the backup shows, in whole seconds, rounded down as in receipts: a receipt with an earlier
    /// `completed_at` is of a purge whose contents are not in the backup.
    pub created_at: DateTime<Utc>,
    /// Version of the program that wrote it.
    pub version: String,
    /// Version of the database's schema.
    pub schema_version: usize,
    /// Whether the master key is in the backup.
    pub master_key: bool,
    /// The files, without the master key.
    pub files: BTreeMap<String, FileRecord>,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileRecord {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl FileRecord {
    pub(super) fn new(bytes: u64, sha256: String) -> Self {
        Self { bytes, sha256 }
    }
}

impl Manifest {
    pub(super) fn new(created_at: DateTime<Utc>, schema_version: usize, rows: BTreeMap<String, u64>) -> Self {
        Self {
            object: "zumik_backup".to_owned(),
            format: FORMAT,
            created_at: whole_seconds(created_at),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version,
            master_key: false,
            files: BTreeMap::new(),
            rows,
        }
    }

    /// The manifest of the backup in a folder.
    ///
    /// # Errors
    /// There is none, it is damaged, or of a newer format.
    pub fn read(backup: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = backup.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NoBackup(backup.to_owned()));
            }
            Err(error) => return Err(BackupError::File(path, error)),
        };
        let damaged = |error| BackupError::Manifest(path.clone(), error);
        // A newer format may lack what this one has.
        let Format { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > FORMAT {
            return Err(BackupError::Newer { path, found: format, known: FORMAT });
        }
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// The record of a file that every backup has.
    pub(super) fn file(&self, backup: &Path, name: &str) -> Result<&FileRecord> {
        self.files.get(name).ok_or_else(|| BackupError::Damaged {
            path: backup.join(MANIFEST),
            what: format!("it does not name {name}"),
        })
    }
}
