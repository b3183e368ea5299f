//! The data folder: what lies in it, and the lock that keeps a second server out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::OpenError;
use crate::mint::Mint;
use crate::seal::{MasterKey, SealError};
use crate::store::durable::folder::{MASTER_KEY_FILE, make_folder, private_file};

/// The database in it.
pub(super) const DATABASE: &str = "zumik.db";

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
        make_folder(path).map_err(|error| OpenError::Folder(path.to_owned(), error))?;
        Ok(Self::at(path))
    }

    /// The folder at `path`, which is there.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The database.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// The master key given, else that of the folder.
    pub(super) fn master_key(&self, given: Option<MasterKey>) -> Result<MasterKey, OpenError> {
        let path = self.key_file();
        match given {
            Some(key) => Ok(key),
            None => Ok(MasterKey::load(&path)?.ok_or(SealError::NoKey(path))?),
        }
    }

    /// The same for a folder that nothing was sealed in yet: it gets a new key when there is none.
    pub(super) fn first_master_key(
        &self,
        given: Option<MasterKey>,
        mint: &dyn Mint,
    ) -> Result<MasterKey, OpenError> {
        match self.master_key(given) {
            Err(OpenError::Seal(SealError::NoKey(path))) => {
                let key = MasterKey::mint(mint);
                key.save(&path)?;
                Ok(key)
            }
            other => other,
        }
    }

    fn key_file(&self) -> PathBuf {
        self.0.join(MASTER_KEY_FILE)
    }

    /// Keeps other servers out.
    pub(super) fn lock(&self) -> Result<FolderLock, OpenError> {
        let path = self.0.join("server.lock");
        let failed = |error| OpenError::File(path.clone(), error);
        let mut options = private_file();
        options.create(true).truncate(false);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse(self.0.clone())),
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("server.lock");
        fs::create_dir(&lock).unwrap();
        let error = DataFolder::open(folder.path()).unwrap().lock().unwrap_err();
        assert_eq!(error.to_string(), format!("{} could not be used", lock.display()));
    }
}
