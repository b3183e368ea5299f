//! The programs of `tests/` that measure and wear out the built command. They know our crates; the tasks that start them
//! only build both, in one build, so that they are of the same sources and features.

use std::path::PathBuf;

use serde_json::Value;

use crate::process::{Result, cargo, read};

/// A program of `tests/`, and the `zumik` command.
pub(crate) struct Built {
    pub(crate) driver: PathBuf,
    pub(crate) zumik: PathBuf,
}

/// Builds the bench `name` of `zumik-tests` together with the command.
pub(crate) fn build(name: &str, release: bool) -> Result<Built> {
    let packages = ["build", "--package", "zumik-cli", "--package", "zumik-tests"];
    let targets = ["--bin", "zumik", "--bench", name, "--message-format=json-render-diagnostics"];
    let messages = read(cargo().args(packages).args(targets).args(release.then_some("--release")))?;
    let messages: Vec<Value> =
        messages.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let driver = executable(&messages, "bench", name)?;
    Ok(Built { driver, zumik: executable(&messages, "bin", "zumik")? })
}

/// The executable that cargo reports for a target.
fn executable(messages: &[Value], kind: &str, name: &str) -> Result<PathBuf> {
    let is_it = |message: &&Value| {
        let target = &message["target"];
        target["name"] == name && target["kind"][0] == kind && message["executable"].is_string()
    };
    let found = messages.iter().find(is_it).and_then(|message| message["executable"].as_str());
    found.map(PathBuf::from).ok_or_else(|| format!("cargo built no {kind} called {name}").into())
}
