//! `cargo xtask bench`: the numbers of the whole system, measured in the release profile by `tests/measure`.

use crate::driver::{self, Built};
use crate::process::{Result, command, run};

/// Builds and runs the benchmarks; `arguments` go to them.
pub(crate) fn bench(arguments: &[String]) -> Result {
    let Built { driver, zumik } = driver::build("measure", true)?;
    run(command(driver).arg("--zumik").arg(zumik).args(arguments))
}
