//! Backups of a data folder: a copy of the database at one moment, checked, with a manifest that says what it holds.
//!
//! A folder is a backup once `backup.json` lies in it: that file is written last. In the same way a restored folder
//! is a data folder once `zumik.db` lies in it.

mod copy;
pub(super) mod draft;
pub(super) mod inspect;
mod manifest;
mod restore;
#[cfg(test)]
mod tests;
mod write;

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::OpenError;
// A backup has them by the same names.
use super::folder::DATABASE;
use crate::config;
use crate::seal::SealError;
use crate::store::durable::folder::MASTER_KEY_FILE;

pub use manifest::{FileRecord, MANIFEST, Manifest};
pub use restore::{RestoreKey, check, restore};
pub use write::{Contents, write};

/// What is being done, told while it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The database is being copied.
    Copying,
    /// A file is being compared with its digest.
    Reading,
    /// The copy is being checked; how far that is cannot be told.
    Checking,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do; 0 when that is not known.
    pub total: u64,
}

/// Is told the progress, and says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder to write to holds something.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A server uses the folder to write to.
    #[error("a server is running on {}", .0.display())]
    InUse(PathBuf),
    /// The folder holds no data of a server.
    #[error("{} is no data folder", .0.display())]
    NoData(PathBuf),
    /// The master key was to be part of the backup, and there is none at hand.
    #[error("the data folder {} holds no master key", .0.display())]
    NoMasterKey(PathBuf),
    /// The folder to restore from is no backup, or one that was interrupted.
    #[error("{} is no complete backup: it has no {MANIFEST}", .0.display())]
    NoBackup(PathBuf),
    /// The manifest cannot be read.
    #[error("{} is damaged", .0.display())]
    Manifest(PathBuf, #[source] serde_json::Error),
    /// The backup was made by a newer version.
    #[error("{} has format {found}, this version knows up to {known}: use a newer one", path.display())]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// A file is not what it must be.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The backup cannot be opened without a key that it does not hold.
    #[error("the backup holds no master key, and none was given")]
    KeyNeeded,
    /// The master key cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database is foreign or of a newer version.
    #[error(transparent)]
    Open(Box<OpenError>),
    /// A file could not be read or written.
    #[error("{} could not be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The database could not be read or written.
    #[error("the database could not be copied")]
    Database(#[from] rusqlite::Error),
    /// The watch said so.
    #[error("interrupted")]
    Interrupted,
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> Self {
        Self::Open(Box::new(error))
    }
}

/// The result of an operation on backups.
pub type Result<T, E = BackupError> = std::result::Result<T, E>;

/// The settings that lie in a data folder, if any do.
pub(super) fn settings(data: &Path) -> Result<Option<Vec<u8>>> {
    let path = data.join(config::FILE_NAME);
    match fs::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackupError::File(path, error)),
    }
}

/// Tells the watch, and ends when it wants to.
fn tell(watch: Watch<'_>, stage: Stage, done: u64, total: u64) -> Result<()> {
    match watch(Progress { stage, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(BackupError::Interrupted),
    }
}
