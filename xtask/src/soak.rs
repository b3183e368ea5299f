//! `cargo xtask soak`: tests that run as long as one likes.
//!
//! The driver is `tests/soak`, which knows our crates; this task only builds it together with the `zumik` command and
//! starts it.

use crate::bench::executable;
use crate::process::{Result, cargo, command, read, run};

/// Builds and runs one of them; `arguments` go to it. `--release` asks for the release profile.
pub(crate) fn soak(what: &str, arguments: &[String]) -> Result {
    let (release, arguments): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| *argument == "--release");
    let packages = ["build", "--package", "zumik-cli", "--package", "zumik-tests"];
    let targets = ["--bin", "zumik", "--bench", "soak", "--message-format=json-render-diagnostics"];
    let messages = read(cargo().args(packages).args(targets).args(release))?;
    let messages = messages.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<_>, _>>()?;
    let zumik = executable(&messages, "bin", "zumik")?;
    let soak = executable(&messages, "bench", "soak")?;
    run(command(soak).arg(what).arg("--zumik").arg(zumik).args(arguments))
}
