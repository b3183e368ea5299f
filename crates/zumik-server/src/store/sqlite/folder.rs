//! The data folder: what lies in it, and the lock that keeps a second server out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::OpenError;
use crate::mint::Mint;
use crate::seal::MasterKey;

/// A folder that holds everything one server keeps.
#[derive(Debug, Clone)]
pub(super) struct DataFolder(PathBuf);

/// Held by the one server of a folder, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl DataFolder {
    /// The folder at `path`, made when it is missing, for its owner only.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|error| OpenError::Folder(path.to_owned(), error))?;
        Ok(Self(path.to_owned()))
    }

    /// The database.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join("zumik.db")
    }

    /// The master key given, else that of the folder; a folder without one gets a new one.
    pub(super) fn master_key(
        &self,
        given: Option<MasterKey>,
        mint: &dyn Mint,
    ) -> Result<MasterKey, OpenError> {
        if let Some(key) = given {
            return Ok(key);
        }
        let path = self.0.join("master.key");
        if let Some(key) = MasterKey::load(&path)? {
            return Ok(key);
        }
        let key = MasterKey::mint(mint);
        key.save(&path)?;
        Ok(key)
    }

    /// Keeps other servers out.
    pub(super) fn lock(&self) -> Result<FolderLock, OpenError> {
        let failed = |error| OpenError::Folder(self.0.clone(), error);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(self.0.join("server.lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse(self.0.clone())),
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
