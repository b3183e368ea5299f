//! The results of a batch, in files that are there whole or not at all.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zumik_client::Zumik;
use zumik_client::types::{Batch, BatchId, BatchStatus, FileId};

use crate::args::ResultArgs;
use crate::failure::Failure;
use crate::term::{self, BAD, GOOD, WARN, styled};

/// Where results go.
pub(super) struct Files {
    out: Place,
    errors: Place,
}

enum Place {
    Stdout,
    File(PathBuf),
    /// A pipe or a device, which is written to as it is: nothing can take its place.
    Stream(PathBuf),
}

/// The file for the answers that was named, else one beside the input.
pub(super) fn beside(input: &Path, named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(out) => Ok(out),
        None if input == Path::new("-") => {
            Err(Failure::usage("requests from standard input need --out FILE for their results"))
        }
        None => Ok(input.with_extension("output.jsonl")),
    }
}

impl Files {
    /// The files that were named, else files with the name of the batch.
    pub(super) fn of(id: &BatchId, args: &ResultArgs) -> Result<Self, Failure> {
        let name: String = id
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .collect();
        let usual = PathBuf::from(format!("{name}.output.jsonl"));
        Self::new(None, args.out.as_deref().unwrap_or(&usual), args)
    }

    /// The answers in this file, and the rest where the options say. Neither takes the place of the input.
    pub(super) fn new(input: Option<&Path>, out: &Path, args: &ResultArgs) -> Result<Self, Failure> {
        let out = Place::of(out);
        let errors = match (&args.errors, &out) {
            (Some(errors), _) => Place::of(errors),
            (None, Place::Stdout) => Place::Stdout,
            (None, Place::File(out)) => Place::of(&errors_beside(out)),
            (None, Place::Stream(out)) => Place::Stream(out.clone()),
        };
        let files = Self { out, errors };
        for place in [&files.out, &files.errors] {
            place.check(input, args.force)?;
        }
        match (&files.out, &files.errors) {
            (Place::File(out), Place::File(errors)) if whereabouts(out) == whereabouts(errors) => {
                Err(Failure::usage("--out and --errors are the same file"))
            }
            _ => Ok(files),
        }
    }
}

/// Where a file is, or would be, by whatever way it is named. What replaces it takes the place of a link, so the file's
/// own name is not followed.
fn whereabouts(path: &Path) -> PathBuf {
    let folder = folder(path);
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}

/// `answers.output.jsonl` has its errors in `answers.errors.jsonl`, and so has `answers.jsonl`.
fn errors_beside(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".jsonl").unwrap_or(&name);
    let stem = stem.strip_suffix(".output").unwrap_or(stem);
    out.with_file_name(format!("{stem}.errors.jsonl"))
}

/// Whether this is there and no file: a pipe, a device, or whatever else a name in `/dev` stands for.
fn is_stream(path: &Path) -> bool {
    let Ok(found) = path.metadata() else { return false };
    let in_dev = whereabouts(path).parent() == Some(Path::new("/dev"));
    !found.is_dir() && (in_dev || !found.is_file())
}

impl Place {
    fn of(path: &Path) -> Self {
        if path == Path::new("-") {
            Self::Stdout
        } else if is_stream(path) {
            Self::Stream(path.to_owned())
        } else {
            Self::File(path.to_owned())
        }
    }

    /// Refuses a file that cannot be written, before anything is paid for.
    fn check(&self, input: Option<&Path>, force: bool) -> Result<(), Failure> {
        let Self::File(path) = self else { return Ok(()) };
        let shown = term::printable(&path.display().to_string());
        if input.is_some_and(|input| is_same_file(input, path)) {
            return Err(Failure::usage(format_args!(
                "{shown} holds the requests; name another file with --out and --errors"
            )));
        }
        if path.is_dir() {
            return Err(Failure::failed(format_args!("{shown} is a folder; name a file")));
        }
        if path.exists() && !force {
            return Err(Failure::failed(format_args!(
                "{shown} exists; name another with --out and --errors, or replace it with --force"
            )));
        }
        match folder(path).is_dir() {
            true => Ok(()),
            false => Err(Failure::failed(format_args!("there is no folder for {shown}"))),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) | Self::Stream(path) => path.display().to_string(),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::output)
            }
            Self::File(path) => replace(path, bytes).map_err(|error| unwritable(path, &error)),
            Self::Stream(path) => {
                let stream = OpenOptions::new().append(true).open(path);
                stream
                    .and_then(|mut stream| stream.write_all(bytes))
                    .map_err(|error| unwritable(path, &error))
            }
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::because(format_args!("cannot write {}", path.display()), error)
}

/// Whether two names lead to one file that is there, by whatever links.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Writes beside the file and renames, so that nobody sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".zumik-batch-");
    // As any file that a program makes: the user's mask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a batch came to; what `--json` prints.
#[derive(Serialize)]
pub(super) struct Written {
    object: &'static str,
    batch_id: BatchId,
    status: BatchStatus,
    answered: u64,
    failed: u64,
    /// Where the answers are, if there are any.
    output: Option<String>,
    /// Where the others are, if there are any.
    errors: Option<String>,
}

/// Downloads the files of a batch that has ended, and writes them as the server has them.
pub(super) async fn write(zk: &Zumik, batch: Batch, files: &Files) -> Result<Written, Failure> {
    if batch.status == BatchStatus::Failed {
        // The client says it best: it names what was found in the input.
        return Err(match zk.v1().batches().results(&batch.id).await {
            Err(error) => Failure::call(error),
            Ok(_) => Failure::failed(format_args!("the server refused the batch {}", batch.id)),
        });
    }
    let output = fetch(zk, batch.output_file_id.as_ref(), &files.out).await?;
    let errors = fetch(zk, batch.error_file_id.as_ref(), &files.errors).await?;
    Ok(Written {
        object: "batch_results",
        answered: batch.request_counts.completed,
        failed: super::unanswered(&batch),
        batch_id: batch.id,
        status: batch.status,
        output,
        errors,
    })
}

async fn fetch(zk: &Zumik, file: Option<&FileId>, place: &Place) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let content = zk.v1().files().content(file).await.map_err(Failure::call)?;
    place.write(&content)?;
    Ok(Some(place.name()))
}

impl Written {
    /// Whether every request was answered.
    pub(super) fn is_whole(&self) -> bool {
        self.status == BatchStatus::Completed && self.failed == 0
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let style = if self.is_whole() { GOOD } else { WARN };
        let place = |place: &Option<String>| {
            place.as_ref().map_or_else(String::new, |place| format!(": {}", term::printable(place)))
        };
        let status = styled(style, term::printable(self.status.as_str())).to_string();
        let mut lines = vec![format!(
            "{status}  {} answered{}",
            term::plural(self.answered, "request"),
            place(&self.output)
        )];
        if self.failed > 0 {
            let failed = styled(BAD, format_args!("{} not answered", term::count(self.failed))).to_string();
            lines.push(format!("{failed}{}", place(&self.errors)));
        }
        lines
    }
}
