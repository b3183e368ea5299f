//! `zumik migrate`: everything from one store to another, compared.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use zumik_server::store::transfer::{Place, Progress, Report, TransferError, transfer};

use crate::args::MigrateArgs;
use crate::backup;
use crate::data;
use crate::failure::{self, Failure};
use crate::logging::{self, Log};
use crate::signals::Signals;
use crate::term::{self, GOOD, Screen, styled};

pub(crate) async fn run(args: MigrateArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let from = place(&args.from, "--from")?;
    let to = place(&args.to, "--to")?;
    let key = backup::restore_key(args.master_key_file.as_deref())?;
    let (source_folder, beside) = (folder(&from), folder(&to));
    let (source, target) = (shown(&from), shown(&to));
    match (&from, &to) {
        (Place::Folder(from), Place::Folder(to)) => data::are_apart(from, to)?,
        _ if from == to => {
            return Err(Failure::usage(format_args!("--from and --to are the same: {source}")));
        }
        _ => {}
    }

    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let bar = term::progress(args.json, "{prefix:<9}", "{pos}/{len} rows  {msg}");
    let watch = {
        let bar = bar.clone();
        move |progress| {
            show(&bar, progress);
            if asked.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let signals = Signals::listen()?;
    let moved = signals.until_done(transfer(from, to, key, watch), &stop).await;
    bar.finish_and_clear();
    let report = moved?.map_err(|error| {
        refusal(&error)
            .unwrap_or_else(|| Failure::because(format_args!("cannot move {source} to {target}"), &error))
    })?;
    if args.json {
        return term::print_json(&report);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  {source} to {target}", styled(GOOD, "moved and compared")))?;
    describe(&mut screen, &report)?;
    screen.item("master key", master_key(beside.as_deref()))?;
    screen.item("start with", start(source_folder.as_deref(), beside.as_deref(), &target))?;
    match (source_folder, beside) {
        // The folder goes on to hold settings and key.
        (Some(_), None) => screen.line(
            "The source is as it was. What is purged from now on is still in its zumik.db: delete that in time.",
        ),
        _ => screen
            .line("The source is as it was. What is purged from now on is still in it: delete it in time."),
    }
}

fn folder(place: &Place) -> Option<PathBuf> {
    match place {
        Place::Folder(folder) => Some(folder.clone()),
        _ => None,
    }
}

/// The command that serves what was moved as it was served before: with the settings, and the master key, of a folder. The
/// URL of a database stands there without its password.
fn start(source: Option<&Path>, target: Option<&Path>, shown: &str) -> String {
    let data = target.or(source).map_or_else(String::new, |folder| {
        format!(" --data {}", term::argument(&term::printable(&folder.display().to_string())))
    });
    let store = match target {
        Some(_) => String::new(),
        None => format!("ZUMIK_STORE={} ", term::argument(shown)),
    };
    format!("{store}zumik serve{data}")
}

/// A data folder or a database, as an option names it. A URL may hold a password, so no error shows it.
fn place(text: &str, option: &str) -> Result<Place, Failure> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let address = text.parse().map_err(|error| Failure::usage(format_args!("{option}: {error}")))?;
        return Ok(Place::database(address));
    }
    let folder = text.strip_prefix("sqlite:").unwrap_or(text);
    if folder.is_empty() || folder.contains("://") {
        return Err(Failure::usage(format_args!(
            "{option} takes a data folder, or a URL that begins with postgres://"
        )));
    }
    backup::absolute(Path::new(folder)).map(Place::Folder)
}

fn shown(place: &Place) -> String {
    term::printable(&place.to_string())
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_prefix(if progress.comparing { "comparing" } else { "copying" });
    bar.set_message(progress.table);
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

fn describe(screen: &mut Screen, report: &Report) -> Result<(), Failure> {
    backup::holds(screen, |table| report.rows(table))?;
    let all = report.tables.iter().map(|moved| moved.rows).sum();
    screen.item(
        "compared",
        format_args!(
            "{} in {} tables, the same on both sides",
            term::plural(all, "row"),
            report.tables.len()
        ),
    )
}

/// Where servers find the master key from now on.
fn master_key(folder: Option<&Path>) -> &'static str {
    match folder {
        Some(folder) if folder.join("master.key").is_file() => "in the folder",
        Some(_) => "not in the folder: start servers with the same ZUMIK_MASTER_KEY",
        None => "the same as before: servers find it as master.key in their --data, or in ZUMIK_MASTER_KEY",
    }
}

/// Why nothing was moved, and the way out, where there is one.
fn refusal(error: &TransferError) -> Option<Failure> {
    let way_out = match error {
        TransferError::Interrupted => return Some(Failure::Interrupted),
        TransferError::NoData(_) => "name the folder or the database of a server with --from",
        TransferError::InUse(_) => "stop it first: what it writes meanwhile would be missing",
        TransferError::NotEmpty(_) => {
            "nothing is overwritten; name a folder that is new or empty, or a database without the schema zumik"
        }
        TransferError::Older { .. } | TransferError::PurgeRunning(_) => {
            "start `zumik serve` of this version on it once, stop it, and try again"
        }
        TransferError::KeyNeeded | TransferError::Seal(_) => {
            "give the right one with --master-key-file FILE or in ZUMIK_MASTER_KEY"
        }
        TransferError::Differs { .. } => "nothing was kept of it; please report this",
        _ => return None,
    };
    Some(Failure::failed(format_args!("{}; {way_out}", failure::chain(error))))
}
