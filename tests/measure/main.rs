//! The numbers of the whole system, each beside a baseline of the same run. Started by `cargo xtask bench`.
//!
//! `--zumik PATH` names the command to measure, `--litellm PATH` a proxy to compare it with, `--quick` takes fewer rounds,
//! `--only NAME` takes one group of rows (again for another one), `--write` puts the page into `docs/benchmarks.md`.

mod append;
mod call;
mod chat;
mod cpu;
mod history;
mod idle;
mod loader;
mod local;
mod memory;
mod proxy;
mod report;
mod sse;
mod streams;
mod writers;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Report;
use zumik_tests::process::ServeProcess;
use zumik_tests::upstream::Upstream;

/// What a measurement may fail with.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A group of rows.
type Measurement = fn(&Plan, &mut Report) -> Result;

/// All groups by name, in the order of the page.
const MEASUREMENTS: [(&str, Measurement); 9] = [
    ("idle", idle::measure),
    ("call", call::measure),
    ("sse", sse::measure),
    ("chat", chat::measure),
    ("proxy", proxy::measure),
    ("streams", streams::measure),
    ("append", append::sqlite),
    ("postgres", append::postgres),
    ("history", history::measure),
];

/// How this run measures.
struct Plan {
    /// The `zumik` command.
    zumik: PathBuf,
    /// LiteLLM, where it is installed.
    litellm: Option<PathBuf>,
    /// The groups of rows to take; empty for all.
    only: Vec<String>,
    /// Whether to take fewer rounds: to see that everything works, not to quote.
    quick: bool,
    /// Whether to write the page.
    write: bool,
}

impl Plan {
    fn from_arguments() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let (mut zumik, mut litellm, mut only, mut quick, mut write) = (None, None, Vec::new(), false, false);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--zumik" => zumik = arguments.next().map(PathBuf::from),
                "--litellm" => litellm = arguments.next().map(PathBuf::from),
                "--only" => only.push(arguments.next().ok_or("--only needs a name")?),
                "--quick" => quick = true,
                "--write" => write = true,
                // What cargo gives to every benchmark.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        let zumik = zumik.ok_or("--zumik PATH is missing; run this through `cargo xtask bench`")?;
        if let Some(unknown) = only.iter().find(|only| MEASUREMENTS.iter().all(|(name, _)| name != only)) {
            let names = MEASUREMENTS.map(|(name, _)| name).join(", ");
            return Err(format!("there is no group {unknown}; there are {names}").into());
        }
        if write && !only.is_empty() {
            return Err("--write needs all rows, --only leaves some out".into());
        }
        Ok(Self { zumik, litellm, only, quick, write })
    }

    fn takes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// One of two numbers: the thorough one, or the quick one.
    fn pick<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    /// A server over a provider, on a fresh folder that must outlive it.
    fn serve_over(&self, upstream: &Upstream) -> Result<(ServeProcess, tempfile::TempDir)> {
        let folder = self.folder()?;
        let settings = format!("[upstreams.test]\nurl = \"{}\"\nmodels = [\"gpt-test\"]\n", upstream.url());
        fs::write(folder.path().join("zumik.toml"), settings)?;
        Ok((ServeProcess::start(&self.zumik, folder.path()), folder))
    }

    /// A fresh folder on the disk that holds the command; a folder in memory would make every commit free.
    fn folder(&self) -> Result<tempfile::TempDir> {
        let beside = self.zumik.parent().ok_or("the command has no folder")?;
        Ok(tempfile::tempdir_in(beside)?)
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result {
    let plan = Plan::from_arguments()?;
    let mut report = Report::default();
    for (_, measurement) in MEASUREMENTS.iter().filter(|(name, _)| plan.takes(name)) {
        measurement(&plan, &mut report)?;
    }
    let page = report.page();
    println!("\n{page}");
    if plan.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        fs::write(&path, page)?;
    }
    Ok(())
}
