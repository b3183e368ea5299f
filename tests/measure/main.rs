//! The numbers of the whole system, each beside a baseline of the same run. Started by `cargo xtask bench`.
//!
//! `--zumik PATH` names the command to measure, `--quick` takes fewer rounds, `--write` puts the page into
//! `docs/benchmarks.md`.

mod append;
mod call;
mod chat;
mod history;
mod idle;
mod loader;
mod local;
mod memory;
mod report;
mod sse;
mod streams;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Report;
use zumik_tests::process::ServeProcess;
use zumik_tests::upstream::Upstream;

/// What a measurement may fail with.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How this run measures.
struct Plan {
    /// The `zumik` command.
    zumik: PathBuf,
    /// Whether to take fewer rounds: to see that everything works, not to quote.
    quick: bool,
    /// Whether to write the page.
    write: bool,
}

impl Plan {
    fn from_arguments() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let (mut zumik, mut quick, mut write) = (None, false, false);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--zumik" => zumik = arguments.next().map(PathBuf::from),
                "--quick" => quick = true,
                "--write" => write = true,
                // What cargo gives to every benchmark.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        let zumik = zumik.ok_or("--zumik PATH is missing; run this through `cargo xtask bench`")?;
        Ok(Self { zumik, quick, write })
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
    idle::measure(&plan, &mut report)?;
    call::measure(&plan, &mut report)?;
    sse::measure(&plan, &mut report)?;
    chat::measure(&plan, &mut report)?;
    streams::measure(&plan, &mut report)?;
    append::measure(&plan, &mut report)?;
    history::measure(&plan, &mut report)?;
    let page = report.page();
    println!("\n{page}");
    if plan.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        fs::write(&path, page)?;
    }
    Ok(())
}
