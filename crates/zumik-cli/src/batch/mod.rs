//! `zumik batch`: many requests as one batch, and its results in files.

mod requests;
mod results;

use std::pin::pin;

use indicatif::ProgressBar;
use zumik_client::types::{Batch, BatchId, BatchStatus};
use zumik_client::{FilePart, Zumik};

use self::results::Files;
use crate::args::{BatchCommand, BatchIdArgs, ResultArgs, ResumeBatchArgs, RunBatchArgs};
use crate::client::{client, server_option};
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::signals::Signals;
use crate::term::{self, FAINT, Screen, styled};

pub(crate) async fn run(command: BatchCommand, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    match command {
        BatchCommand::Run(args) => begin(args).await,
        BatchCommand::Resume(args) => resume(args).await,
        BatchCommand::Status(args) => status(args).await,
        BatchCommand::Cancel(args) => cancel(args).await,
    }
}

async fn begin(mut args: RunBatchArgs) -> Result<(), Failure> {
    let zk = client(&args.results.client)?;
    let out = results::beside(&args.file, args.results.out.take())?;
    let files = Files::new(Some(&args.file), &out, &args.results)?;
    // Named from here on, so that whoever resumes the batch gets the same files.
    args.results.out = Some(out);
    let requests = requests::read(&args.file, &args.model)?;
    let mut signals = Signals::listen()?;
    let part = FilePart::bytes("batch.jsonl", requests.jsonl).content_type("application/jsonl");
    let file = tokio::select! {
        biased;
        () = signals.stop() => return Err(Failure::Interrupted),
        file = async { zk.v1().files().upload(part).purpose("batch").await } => file.map_err(Failure::call)?,
    };
    let create = async { zk.v1().batches().create(&file.id, requests.endpoint).await };
    let (batch, interrupted) = created(create, &mut signals).await?;
    tell_way_back(&batch.id, &args.results);
    if interrupted {
        tell_way_on(&batch.id, &args.results);
        return Err(Failure::Interrupted);
    }
    finish(&zk, batch.id, &files, &args.results, signals).await
}

/// The batch, and whether the command was asked to stop meanwhile. The server may have made it by then, and runs it and
/// charges for it: only a second request to stop leaves without its id.
async fn created(
    create: impl Future<Output = Result<Batch, zumik_client::Error>>,
    signals: &mut Signals,
) -> Result<(Batch, bool), Failure> {
    let mut create = pin!(create);
    let mut interrupted = false;
    loop {
        tokio::select! {
            biased;
            () = signals.stop() => {
                if interrupted {
                    return Err(Failure::Interrupted);
                }
                interrupted = true;
                term::print_error("the batch may run already: waiting for its id; interrupt again to leave without it");
            }
            batch = &mut create => return batch.map(|batch| (batch, interrupted)).map_err(Failure::call),
        }
    }
}

/// Told as soon as there is an id, so that whatever happens next, the batch can be found again.
fn tell_way_back(id: &BatchId, args: &ResultArgs) {
    let mut way = format!("zumik batch resume {id}{}", server_option(&args.client));
    for (option, file) in [("--out", &args.out), ("--errors", &args.errors)] {
        if let Some(file) = file {
            way += &format!(" {option} {}", term::argument(&file.display().to_string()));
        }
    }
    if args.force {
        way += " --force";
    }
    let way = term::printable(&way);
    term::print_error(format_args!("{id}  {}", styled(FAINT, format_args!("if this is interrupted: {way}"))));
}

/// Told when the command ends before the batch.
fn tell_way_on(id: &BatchId, args: &ResultArgs) {
    let server = term::printable(&server_option(&args.client));
    term::print_error(format_args!("{id} goes on; zumik batch cancel {id}{server} stops it"));
}

async fn resume(args: ResumeBatchArgs) -> Result<(), Failure> {
    let zk = client(&args.results.client)?;
    let id = id(&args.id)?;
    let files = Files::of(&id, &args.results)?;
    finish(&zk, id, &files, &args.results, Signals::listen()?).await
}

/// Waits for the end of a batch, writes its results and sums them up.
async fn finish(
    zk: &Zumik,
    id: BatchId,
    files: &Files,
    args: &ResultArgs,
    mut signals: Signals,
) -> Result<(), Failure> {
    let bar = term::progress(args.json, "{msg:<11}", "{pos}/{len}  {elapsed}");
    let ended = tokio::select! {
        biased;
        () = signals.stop() => None,
        batch = zk.v1().batches().wait(&id).on_progress(|batch| advance(&bar, batch)) => Some(batch),
    };
    bar.finish_and_clear();
    let Some(batch) = ended else {
        tell_way_on(&id, args);
        return Err(Failure::Interrupted);
    };
    let batch = batch.map_err(Failure::call)?;
    let written = tokio::select! {
        biased;
        () = signals.stop() => return Err(Failure::Interrupted),
        written = results::write(zk, batch, files) => written?,
    };
    match args.json {
        true => term::print_json(&written)?,
        // Standard output may be the results.
        false => written.lines().iter().for_each(term::print_error),
    }
    if written.is_whole() { Ok(()) } else { Err(Failure::Findings) }
}

async fn status(args: BatchIdArgs) -> Result<(), Failure> {
    let batch = client(&args.client)?.v1().batches().retrieve(id(&args.id)?).await.map_err(Failure::call)?;
    show(&batch, args.json)
}

async fn cancel(args: BatchIdArgs) -> Result<(), Failure> {
    let batch = client(&args.client)?.v1().batches().cancel(id(&args.id)?).await.map_err(Failure::call)?;
    show(&batch, args.json)
}

fn show(batch: &Batch, json: bool) -> Result<(), Failure> {
    if json {
        return term::print_json(batch);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  {}", batch.id, term::printable(batch.status.as_str())))?;
    screen.item("requests", requests_text(batch))?;
    match &batch.errors {
        Some(errors) => errors.data.iter().try_for_each(|error| {
            let line = error.line.map_or_else(String::new, |line| format!("line {line}: "));
            screen.item("error", term::printable(&format!("{line}{}", error.message)))
        }),
        None => Ok(()),
    }
}

/// How many requests there are, and what came of them so far.
fn requests_text(batch: &Batch) -> String {
    let counts = &batch.request_counts;
    let (total, answered) = (term::count(counts.total), term::count(counts.completed));
    if batch.has_ended() {
        format!("{total}: {answered} answered, {} not answered", term::count(unanswered(batch)))
    } else {
        let failed = term::count(counts.failed);
        let open = term::count(unanswered(batch).saturating_sub(counts.failed));
        format!("{total}: {answered} answered, {failed} not answered, {open} to go")
    }
}

/// Requests of a batch that has ended without an answer to them: refused, failed, or never run, which `failed` does not
/// count.
fn unanswered(batch: &Batch) -> u64 {
    batch.request_counts.total.saturating_sub(batch.request_counts.completed)
}

fn id(text: &str) -> Result<BatchId, Failure> {
    text.parse().map_err(|error| Failure::usage(format_args!("{error}")))
}

/// How far a batch is.
fn advance(bar: &ProgressBar, batch: &Batch) {
    let counts = &batch.request_counts;
    bar.set_length(counts.total);
    bar.set_position(counts.completed.saturating_add(counts.failed));
    bar.set_message(match &batch.status {
        BatchStatus::Validating => "checking".to_owned(),
        BatchStatus::InProgress => "running".to_owned(),
        BatchStatus::Finalizing => "finishing".to_owned(),
        other => term::printable(other.as_str()),
    });
}
