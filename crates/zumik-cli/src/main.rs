//! The `zumik` command: an embedded Zumik server, its keys, a tour of the API, and
//! tools that look at prompts and traces.

mod args;
mod backup;
mod batch;
mod chat;
mod client;
mod data;
mod diagnose;
mod failure;
mod input;
mod keys;
mod lint;
mod logging;
mod migrate;
mod models;
mod quickstart;
mod receipt_keys;
mod registry;
mod reuse;
mod serve;
mod signals;
mod term;

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::logging::Log;

fn main() -> ExitCode {
    match run(args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::because("cannot start the runtime", &e))?;
    let log = Log { level: cli.log.log_level, format: cli.log.log_format };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args, log).await,
            Command::Keys(args) => keys::run(args.command, log).await,
            Command::Chat(args) => chat::run(args, log).await,
            Command::Batch(args) => batch::run(args.command, log).await,
            Command::Models(args) => models::run(args, log).await,
            Command::ReceiptKeys(args) => receipt_keys::run(args.command, log),
            Command::Backup(args) => backup::back_up(args, log).await,
            Command::Restore(args) => backup::restore(args, log).await,
            Command::Migrate(args) => migrate::run(args, log).await,
            Command::Diagnose(args) => diagnose::run(args, log).await,
            Command::Lint(args) => lint::run(&args, log),
            Command::Quickstart(args) => quickstart::run(args, log).await,
        }
    });
    // Whoever asked twice to stop does not wait for what still runs.
    runtime.shutdown_background();
    ended
}
