//! `cargo xtask soak`: tests that run as long as one likes. They are in `tests/soak`.

use crate::driver::{self, Built};
use crate::process::{Result, command, run};

/// Builds and runs one of them; `arguments` go to it. `--release` asks for the release profile.
pub(crate) fn soak(what: &str, arguments: &[String]) -> Result {
    let (release, arguments): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| *argument == "--release");
    let Built { driver, zumik } = driver::build("soak", !release.is_empty())?;
    run(command(driver).arg(what).arg("--zumik").arg(zumik).args(arguments))
}
