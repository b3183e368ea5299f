//! `zumik backup` and `zumik restore`: copies of a data folder, checked.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{SecondsFormat, Utc};
use indicatif::ProgressBar;
use zumik_server::seal::MasterKey;
use zumik_server::store::sqlite::backup::{
    self, BackupError, Contents, Manifest, Progress, RestoreKey, Stage, Watch,
};

use crate::args::{BackupArgs, RestoreArgs};
use crate::data;
use crate::failure::{self, Failure};
use crate::logging::{self, Log};
use crate::signals::Signals;
use crate::term::{self, GOOD, Screen, WARN, styled};

pub(crate) async fn back_up(args: BackupArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let data = data::folder(&args.data)?;
    data::is_all(&data, "back it up with PostgreSQL's own tools, such as pg_dump")?;
    let target = absolute(&args.folder)?;
    data::are_apart(&data, &target)?;
    let mut contents = Contents::default();
    contents.master_key = data::master_key()?;
    contents.with_master_key = args.with_master_key;
    let work = {
        let (data, target) = (data.clone(), target.clone());
        move |watch: Watch<'_>| backup::write(&data, &target, &contents, Utc::now(), watch)
    };
    let manifest = watched(work, args.json).await?.map_err(|error| refusal(&error, Way::Out))?;
    if args.json {
        return term::print_json(&manifest);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  {}", styled(GOOD, "backed up and checked"), shown(&target)))?;
    describe(&mut screen, &manifest)
}

pub(crate) async fn restore(args: RestoreArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let source = absolute(&args.folder)?;
    let key = restore_key(args.master_key_file.as_deref())?;
    if args.check {
        return check(source, key, args.json).await;
    }
    let data = data::folder(&args.data)?;
    data::are_apart(&source, &data)?;
    let work = {
        let data = data.clone();
        move |watch: Watch<'_>| backup::restore(&source, &data, &key, watch)
    };
    let manifest = watched(work, args.json).await?.map_err(|error| refusal(&error, Way::In))?;
    if args.json {
        return term::print_json(&manifest);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  {}", styled(GOOD, "restored and checked"), shown(&data)))?;
    describe(&mut screen, &manifest)?;
    let moment = styled(WARN, moment(&manifest)).to_string();
    screen.line(format_args!(
        "What was purged after {moment} is back, and API keys revoked since are valid: repeat those purges and revoke \
         those keys before anyone uses it."
    ))
}

async fn check(source: PathBuf, key: RestoreKey, json: bool) -> Result<(), Failure> {
    let key = match key {
        RestoreKey::Given(key) | RestoreKey::Kept(key) => Some(key),
        _ => None,
    };
    let key_known = key.is_some();
    let path = source.clone();
    let work = move |watch: Watch<'_>| backup::check(&path, key.as_ref(), watch);
    let manifest = watched(work, json).await?.map_err(|error| refusal(&error, Way::In))?;
    if json {
        return term::print_json(&manifest);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  {}", styled(GOOD, "sound"), shown(&source)))?;
    describe(&mut screen, &manifest)?;
    match key_known || manifest.master_key {
        true => Ok(()),
        false => {
            screen.line("The master key was not checked: the backup does not hold it, and none was given.")
        }
    }
}

/// The key named on the command line, else that of the environment, else the one beside what is copied.
pub(crate) fn restore_key(file: Option<&Path>) -> Result<RestoreKey, Failure> {
    if let Some(path) = file {
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::failed(format_args!("--master-key-file {}: {why}", shown(path)))
        };
        return match MasterKey::load(path) {
            Ok(Some(key)) => Ok(RestoreKey::Kept(key)),
            Ok(None) => Err(unusable(&"there is no such file")),
            Err(error) => Err(unusable(&failure::chain(&error))),
        };
    }
    Ok(data::master_key()?.map_or(RestoreKey::FromSource, RestoreKey::Given))
}

/// Runs it on a thread of its own, with a bar on the terminal, until it is done or Ctrl-C ends it. What was begun is
/// removed then; asked once more, the command ends at once.
async fn watched<T: Send + 'static>(
    work: impl FnOnce(Watch<'_>) -> Result<T, BackupError> + Send + 'static,
    silent: bool,
) -> Result<Result<T, BackupError>, Failure> {
    let signals = Signals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let running = tokio::task::spawn_blocking(move || {
        let bar = term::progress(silent, "{msg:<9}", "{bytes}/{total_bytes}");
        let done = work(&mut |progress| {
            show(&bar, progress);
            if asked.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.finish_and_clear();
        done
    });
    let done = signals.until_done(running, &stop).await?;
    done.map_err(|error| Failure::because("the work broke off", &error))
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(match progress.stage {
        Stage::Copying => "copying",
        Stage::Reading => "reading",
        Stage::Checking => "checking",
    });
    // While it is checked the bar stands full: nothing says how far that is.
    if progress.total > 0 {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
}

fn describe(screen: &mut Screen, manifest: &Manifest) -> Result<(), Failure> {
    screen.item("moment", moment(manifest))?;
    screen.item("size", term::bytes(manifest.files.values().map(|file| file.bytes).sum()))?;
    holds(screen, |table| manifest.rows.get(table).copied().unwrap_or(0))?;
    screen.item(
        "master key",
        match manifest.master_key {
            true => styled(WARN, "in the backup: whoever has it reads every content").to_string(),
            false => "not in the backup: keep it apart, nothing opens without it".to_owned(),
        },
    )
}

/// How much there is of what users know by name.
pub(crate) fn holds(screen: &mut Screen, rows: impl Fn(&str) -> u64) -> Result<(), Failure> {
    let rows = |table: &str, noun: &str| term::plural(rows(table), noun);
    screen.item(
        "holds",
        format_args!(
            "{}, {}, {}, {}",
            rows("projects", "project"),
            rows("sessions", "session"),
            rows("events", "event"),
            rows("artifacts", "artifact"),
        ),
    )
}

fn moment(manifest: &Manifest) -> String {
    manifest.created_at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(crate) fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(folder).map_err(|error| Failure::because("cannot tell where the folder is", &error))
}

fn shown(path: &Path) -> String {
    term::printable(&path.display().to_string())
}

/// What is made of what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A backup of a folder.
    Out,
    /// A folder of a backup.
    In,
}

/// Why there is no backup or nothing was restored, and the way out.
fn refusal(error: &BackupError, way: Way) -> Failure {
    let way_out = match error {
        BackupError::Interrupted => return Failure::Interrupted,
        BackupError::NotEmpty(_) => "nothing is overwritten; name a folder that is new or empty",
        BackupError::InUse(_) => "stop it, or name another folder with --data DIR",
        BackupError::NoData(_) => "name one with --data DIR",
        BackupError::NoMasterKey(_) => "set ZUMIK_MASTER_KEY to its key, or leave out --with-master-key",
        BackupError::KeyNeeded => {
            "give it with --master-key-file FILE, or in ZUMIK_MASTER_KEY as the server has it"
        }
        BackupError::Seal(_) if way == Way::Out => {
            "nothing was backed up; set ZUMIK_MASTER_KEY to the right key, or unset it where the folder holds one"
        }
        BackupError::Seal(_) => "give the right one with --master-key-file FILE or in ZUMIK_MASTER_KEY",
        BackupError::NoBackup(_) => "name a folder that zumik backup wrote",
        BackupError::Damaged { .. } | BackupError::Manifest(..) => "use another backup",
        _ => return Failure::failed(failure::chain(error)),
    };
    Failure::failed(format_args!("{}; {way_out}", failure::chain(error)))
}
