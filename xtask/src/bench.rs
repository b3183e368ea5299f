//! `cargo xtask bench`: the numbers of the whole system, measured in the release profile by `tests/measure`.

use std::fs;
use std::path::PathBuf;

use crate::driver::{self, Built};
use crate::process::{Result, command, run, workspace};
use crate::python::Venv;

/// Builds and runs the benchmarks; `arguments` go to them.
pub(crate) fn bench(arguments: &[String]) -> Result {
    let Built { driver, zumik } = driver::build("measure", true)?;
    let mut measure = command(driver);
    measure.arg("--zumik").arg(zumik);
    if wants(arguments, "proxy") {
        match litellm() {
            Ok(litellm) => drop(measure.arg("--litellm").arg(litellm)),
            Err(reason) => eprintln!("litellm is left out: {reason}"),
        }
    }
    run(measure.args(arguments))
}

/// Whether a group of rows will be measured.
fn wants(arguments: &[String], group: &str) -> bool {
    let mut only = arguments.windows(2).filter(|pair| pair[0] == "--only").peekable();
    only.peek().is_none() || only.any(|pair| pair[1] == group)
}

/// The proxy that ours is compared with, installed.
fn litellm() -> Result<PathBuf> {
    let requirements = fs::read_to_string(workspace().join("tests/measure/requirements.txt"))?;
    Ok(Venv::prepare("bench-venv", &requirements, |_| Ok(()))?.program("litellm"))
}
