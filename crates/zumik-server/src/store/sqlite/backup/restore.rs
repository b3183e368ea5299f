//! Making a data folder from a backup.

use std::path::{Path, PathBuf};

use super::super::folder::DataFolder;
use super::draft::{Draft, LOCK};
use super::inspect::Inspected;
use super::manifest::Manifest;
use super::{BackupError, DATABASE, MASTER_KEY_FILE, OpenError, Result, Stage, Watch, copy, tell};
use crate::config;
use crate::seal::MasterKey;

/// The master key of a copy, which is that of what was copied.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreKey {
    /// The one that lies beside what is copied.
    FromSource,
    /// This one, which the server is given at every start: it is not written to the folder.
    Given(MasterKey),
    /// This one, written to the folder.
    Kept(MasterKey),
}

/// Makes the data folder `data`, which must be new or empty, from a backup. It is checked first and then there as a
/// whole, or not at all.
///
/// # Errors
/// The backup is damaged or no backup, the key is missing or the wrong one, `data` is not empty or a server runs on it,
/// or the watch wanted to end. Nothing is left of it.
pub fn restore(backup: &Path, data: &Path, key: &RestoreKey, watch: Watch<'_>) -> Result<Manifest> {
    let manifest = Manifest::read(backup)?;
    let own = MasterKey::load(&backup.join(MASTER_KEY_FILE))?;
    let right = match key {
        RestoreKey::FromSource => own.as_ref().ok_or(BackupError::KeyNeeded)?,
        RestoreKey::Given(key) | RestoreKey::Kept(key) => key,
    };

    let mut draft = Draft::open(data)?;
    let _lock = DataFolder::open(data)?.lock().map_err(|error| match error {
        OpenError::InUse(folder) => BackupError::InUse(folder),
        other => other.into(),
    })?;
    draft.adopt(LOCK);
    let partial = take(backup, &manifest, DATABASE, &mut draft, watch)?;
    tell(watch, Stage::Checking, 0, 0)?;
    inspect(&partial, &backup.join(DATABASE), &manifest, Some(right))?;
    if manifest.files.contains_key(config::FILE_NAME) {
        take(backup, &manifest, config::FILE_NAME, &mut draft, watch)?;
        draft.finish(config::FILE_NAME)?;
    }
    let written = match key {
        RestoreKey::Given(_) => None,
        RestoreKey::FromSource | RestoreKey::Kept(_) => Some(right),
    };
    if let Some(key) = written {
        draft.adopt(MASTER_KEY_FILE);
        key.save(&draft.path(MASTER_KEY_FILE))?;
    }
    draft.finish(DATABASE)?;
    draft.keep()?;
    Ok(manifest)
}

/// Checks a backup as [`restore`] does, and writes nothing. Without a key, and with none in the backup, everything but
/// the key is checked.
///
/// # Errors
/// The backup is damaged or no backup, the key is the wrong one, or the watch wanted to end.
pub fn check(backup: &Path, key: Option<&MasterKey>, watch: Watch<'_>) -> Result<Manifest> {
    let manifest = Manifest::read(backup)?;
    let own = MasterKey::load(&backup.join(MASTER_KEY_FILE))?;
    for name in manifest.files.keys().filter(|name| [DATABASE, config::FILE_NAME].contains(&name.as_str())) {
        let path = backup.join(name);
        compare(&path, &manifest, backup, name, &copy::digest(&path, None, watch)?)?;
    }
    tell(watch, Stage::Checking, 0, 0)?;
    let database = backup.join(DATABASE);
    inspect(&database, &database, &manifest, key.or(own.as_ref()))?;
    Ok(manifest)
}

/// Copies a file of a backup and compares what was read with its digest. Gives where it lies.
fn take(
    backup: &Path,
    manifest: &Manifest,
    name: &str,
    draft: &mut Draft,
    watch: Watch<'_>,
) -> Result<PathBuf> {
    let path = backup.join(name);
    let (partial, file) = draft.begin(name)?;
    let found = copy::digest(&path, Some((&partial, file)), watch)?;
    compare(&path, manifest, backup, name, &found)?;
    Ok(partial)
}

fn compare(
    path: &Path,
    manifest: &Manifest,
    backup: &Path,
    name: &str,
    found: &super::FileRecord,
) -> Result<()> {
    if manifest.file(backup, name)? == found {
        return Ok(());
    }
    let what = "its length or its SHA-256 is not that of the manifest".to_owned();
    Err(BackupError::Damaged { path: path.to_owned(), what })
}

/// Checks a database, which errors call `named`, against the manifest.
fn inspect(database: &Path, named: &Path, manifest: &Manifest, key: Option<&MasterKey>) -> Result<()> {
    let inspected = Inspected::open(database, named)?;
    if inspected.schema_version != manifest.schema_version || inspected.rows()? != manifest.rows {
        let what = "it does not hold what the manifest says".to_owned();
        return Err(BackupError::Damaged { path: named.to_owned(), what });
    }
    key.map_or(Ok(()), |key| inspected.check_key(key))
}
