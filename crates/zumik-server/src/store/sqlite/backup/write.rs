//! Making a backup, also beside a server that runs.

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::super::connection::{self, PAGE_SIZE};
use super::draft::Draft;
use super::inspect::{self, Inspected};
use super::manifest::{MANIFEST, Manifest};
use super::{BackupError, DATABASE, MASTER_KEY_FILE, Result, Stage, Watch, copy, settings, tell};
use crate::config;
use crate::seal::MasterKey;

/// Pages copied between two looks at the watch: 4 MiB.
const STEP: i32 = 1024;

/// What goes into a backup beside the database and the settings.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// The key that seals the folder, when it is not the one in the folder.
    pub master_key: Option<MasterKey>,
    /// Whether the key goes into the backup. Without it, a backup alone opens no content.
    pub with_master_key: bool,
}

/// Writes a backup of the data folder `data` into `target`, which must be new or empty. A server may be running on the
/// data folder: the backup shows one moment of it, with all that was acknowledged before.
///
/// What is written is checked: the digest of every file, the integrity of the database, the rows of every table against
/// those of the original, and the master key when there is one.
///
/// # Errors
/// `target` is not empty, `data` cannot be read, the copy is not sound, or the watch wanted to end. Nothing is left of it.
pub fn write(
    data: &Path,
    target: &Path,
    contents: &Contents,
    now: DateTime<Utc>,
    watch: Watch<'_>,
) -> Result<Manifest> {
    let database = data.join(DATABASE);
    if !database.is_file() {
        return Err(BackupError::NoData(data.to_owned()));
    }
    let found = MasterKey::load(&data.join(MASTER_KEY_FILE))?;
    let key = contents.master_key.as_ref().or(found.as_ref());
    if contents.with_master_key && key.is_none() {
        return Err(BackupError::NoMasterKey(data.to_owned()));
    }

    let mut draft = Draft::open(target)?;
    let mut manifest = copy_database(&database, &mut draft, now, watch)?;
    tell(watch, Stage::Checking, 0, 0)?;
    let copied = Inspected::open(&draft.path(DATABASE), &draft.path(DATABASE))?;
    if copied.rows()? != manifest.rows {
        let what = "it has other rows than the original".to_owned();
        return Err(BackupError::Damaged { path: draft.path(DATABASE), what });
    }
    if let Some(key) = key {
        copied.check_key(key)?;
    }

    if let Some(text) = settings(data)? {
        draft.write(config::FILE_NAME, &text)?;
    }
    for name in [DATABASE, config::FILE_NAME] {
        let path = draft.path(name);
        if path.is_file() {
            manifest.files.insert(name.to_owned(), copy::digest(&path, None, watch)?);
        }
    }
    if let Some(key) = key.filter(|_| contents.with_master_key) {
        draft.adopt(MASTER_KEY_FILE);
        key.save(&draft.path(MASTER_KEY_FILE))?;
        manifest.master_key = true;
    }
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| BackupError::Manifest(draft.path(MANIFEST), error))?;
    draft.write(MANIFEST, &text)?;
    draft.keep()?;
    Ok(manifest)
}

/// Copies the pages of one moment. The log of the database cannot be emptied meanwhile, so a purge that comes in gets its
/// receipt when the copy is done: no receipt is signed while an older moment is still being copied.
fn copy_database(
    database: &Path,
    draft: &mut Draft,
    now: DateTime<Utc>,
    watch: Watch<'_>,
) -> Result<Manifest> {
    let source = connection::open_reader(database)?;
    let moment = source.unchecked_transaction()?;
    let schema_version = connection::version(&source, database)?;
    let manifest = Manifest::new(now, schema_version, inspect::rows(&source)?);

    let (partial, _) = draft.begin(DATABASE)?;
    let mut target = Connection::open(&partial)?;
    // Durable in the end, or not there at all.
    target.pragma_update(None, "synchronous", "off")?;
    target.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        let step = backup.step(STEP)?;
        let progress = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * PAGE_SIZE as u64;
        tell(
            watch,
            Stage::Copying,
            bytes(progress.pagecount - progress.remaining),
            bytes(progress.pagecount),
        )?;
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(BackupError::File(partial, io::ErrorKind::ResourceBusy.into())),
        }
    }
    drop(backup);
    moment.finish()?;
    // One file that says all: the copy has no log of its own, and reading it must not begin one.
    target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    draft.finish(DATABASE)?;
    Ok(manifest)
}
