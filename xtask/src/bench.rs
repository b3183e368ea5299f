//! `cargo xtask bench`: the numbers of the whole system, measured in the release profile.
//!
//! The measurements are `tests/measure`, which knows our crates; this task only builds it together with the
//! `zumik` command (one build, so that both are of the same sources and features) and starts it.

use std::path::PathBuf;

use serde_json::Value;

use crate::process::{Result, cargo, command, read, run};

/// Builds and runs the benchmarks; `arguments` go to them.
pub(crate) fn bench(arguments: &[String]) -> Result {
    let packages = ["build", "--release", "--package", "zumik-cli", "--package", "zumik-tests"];
    let targets = ["--bin", "zumik", "--bench", "measure", "--message-format=json-render-diagnostics"];
    let messages = read(cargo().args(packages).args(targets))?;
    let messages: Vec<Value> =
        messages.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let zumik = executable(&messages, "bin", "zumik")?;
    let measure = executable(&messages, "bench", "measure")?;
    run(command(measure).arg("--zumik").arg(zumik).args(arguments))
}

/// The executable that cargo reports for a target.
pub(crate) fn executable(messages: &[Value], kind: &str, name: &str) -> Result<PathBuf> {
    let is_it = |message: &&Value| {
        let target = &message["target"];
        target["name"] == name && target["kind"][0] == kind && message["executable"].is_string()
    };
    let found = messages.iter().find(is_it).and_then(|message| message["executable"].as_str());
    found.map(PathBuf::from).ok_or_else(|| format!("cargo built no {kind} called {name}").into())
}
