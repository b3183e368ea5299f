//! A folder that is being filled: it goes again unless it is kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{BackupError, Result};
use crate::store::durable::folder::{make_folder, private_file};

/// What a folder may hold and still count as empty: the root of a volume has the first, a server that ended the second.
const IGNORED: [&str; 2] = ["lost+found", LOCK];

/// The lock of a data folder.
pub(in super::super) const LOCK: &str = "server.lock";

/// Files get this ending until they are complete.
const PARTIAL: &str = "partial";

/// A folder with the files that were made in it. Dropped without [`keep`](Self::keep), they are removed.
pub(in crate::store) struct Draft {
    folder: PathBuf,
    /// Whether the folder itself was made.
    made: bool,
    files: Vec<PathBuf>,
}

impl Draft {
    /// An empty folder, made when it is missing, for its owner only.
    pub(in super::super) fn open(folder: &Path) -> Result<Self> {
        let failed = |error| BackupError::File(folder.to_owned(), error);
        let made = match fs::read_dir(folder) {
            Ok(mut entries) => {
                let holds = entries.any(|entry| {
                    entry.map_or(true, |entry| IGNORED.iter().all(|name| entry.file_name() != *name))
                });
                if is_locked(folder) {
                    return Err(BackupError::InUse(folder.to_owned()));
                }
                if holds {
                    return Err(BackupError::NotEmpty(folder.to_owned()));
                }
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(folder).map_err(failed)?;
                true
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { folder: folder.to_owned(), made, files: Vec::new() })
    }

    /// Where a file of this name grows, made for its owner only, until [`finish`](Self::finish).
    pub(in super::super) fn begin(&mut self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.partial(name);
        let mut options = private_file();
        options.read(true).create_new(true);
        let file = options.open(&path).map_err(|error| BackupError::File(path.clone(), error))?;
        self.files.push(path.clone());
        Ok((path, file))
    }

    /// Gives a file that is complete its name, durably.
    pub(in super::super) fn finish(&mut self, name: &str) -> Result<()> {
        let (path, partial) = (self.path(name), self.partial(name));
        File::open(&partial)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, &path))
            .and_then(|()| sync_folder(&self.folder))
            .map_err(|error| BackupError::File(path.clone(), error))?;
        self.files.push(path);
        Ok(())
    }

    /// Writes a whole file, durably.
    pub(in super::super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, mut file) = self.begin(name)?;
        file.write_all(bytes).map_err(|error| BackupError::File(path, error))?;
        self.finish(name)
    }

    /// Notes a file that another made in the folder.
    pub(in super::super) fn adopt(&mut self, name: &str) {
        self.files.push(self.folder.join(name));
    }

    /// Where a file lies that is not complete yet.
    pub(in super::super) fn partial(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{PARTIAL}"))
    }

    /// Where a file lies that is complete.
    pub(in super::super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Keeps all of it.
    pub(in super::super) fn keep(mut self) -> Result<()> {
        #[cfg(unix)]
        self.hand_over()?;
        if self.made
            && let Some(parent) = self.folder.parent().filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_folder(parent).map_err(|error| BackupError::File(parent.to_owned(), error))?;
        }
        self.made = false;
        self.files.clear();
        Ok(())
    }
}

#[cfg(unix)]
impl Draft {
    /// Gives what root made in the folder of another user to that one, whose server is to open it.
    fn hand_over(&self) -> Result<()> {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let failed = |path: &Path| {
            let path = path.to_owned();
            |error| BackupError::File(path, error)
        };
        let owner = fs::metadata(&self.folder).map_err(failed(&self.folder))?;
        if owner.uid() == 0 {
            return Ok(());
        }
        for file in self.files.iter().filter(|file| file.exists()) {
            if fs::metadata(file).map_err(failed(file))?.uid() == 0 {
                chown(file, Some(owner.uid()), Some(owner.gid())).map_err(failed(file))?;
            }
        }
        Ok(())
    }
}

impl Drop for Draft {
    /// Removes what can be removed: what is left has no manifest or no database, and counts as nothing.
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        if self.made {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Whether a server holds the lock of a folder.
fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
