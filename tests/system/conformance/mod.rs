//! Strangers' clients, in Python and Node, against the real command.
//!
//! `cargo xtask test` installs what they need. Without that, `cargo test` alone needs nothing but Rust: a suite is then
//! left out, says so, and in CI fails.

mod documented;
mod openai_node;
mod openai_own;
mod openai_python;
mod schemathesis;

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use zumik_tests::process::{ServeProcess, run, zumik};
use zumik_tests::upstream::Upstream;

/// A program or folder that `cargo xtask test` installed, by its path below the target folder of this test. `None`, said
/// on standard error, when it is not there.
///
/// # Panics
/// When it is not there in CI.
fn installed(relative: &str) -> Option<PathBuf> {
    let test = env::current_exe().expect("the path of the running test");
    let found = test.ancestors().map(|folder| folder.join(relative)).find(|path| path.exists());
    if found.is_none() {
        let in_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "{relative} was not installed: run `cargo xtask test`");
        // Written to the handle: what goes through the macros is hidden for tests that pass.
        let _ =
            writeln!(std::io::stderr(), "left out for want of {relative}; `cargo xtask test` installs it");
    }
    found
}

/// A program of the Python environment, which holds Node as well.
fn program(name: &str) -> Option<PathBuf> {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    installed(&format!("conformance-venv/{folder}/{name}{}", env::consts::EXE_SUFFIX))
}

/// A folder of `tests/conformance`.
fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(name)
}

/// `zumik serve` as a process, on a folder that goes with it.
struct Served {
    server: ServeProcess,
    data: TempDir,
}

impl Served {
    /// Without a model.
    fn alone() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        Self { server: ServeProcess::start(&zumik(), data.path()), data }
    }

    /// With the tests' provider behind it: its models, one with a slash in its name, one that the suite of `openai` asks
    /// for, and aliases to them.
    fn over(upstream: &Upstream) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        fs::write(data.path().join("zumik.toml"), settings(upstream)).expect("a file in a temporary folder");
        Self { server: ServeProcess::start(&zumik(), data.path()), data }
    }

    /// The base URL in OpenAI's convention.
    fn v1(&self) -> String {
        format!("{}/v1", self.server.url)
    }

    /// A new key, with options of `zumik keys create`.
    fn key(&self, options: &[&str]) -> String {
        let data = self.data.path().to_str().expect("a path in UTF-8");
        let create = ["keys", "create", "--json", "--data", data];
        run(&zumik(), create.iter().chain(options))["key"].as_str().expect("the new key").to_owned()
    }
}

fn settings(upstream: &Upstream) -> String {
    let url = upstream.url();
    let chat = r#"targets = [{ upstream = "test", model = "gpt-test" }]"#;
    let embedding = r#"targets = [{ upstream = "test", model = "embedding-test" }]"#;
    format!(
        "[upstreams.test]\nurl = \"{url}\"\nmodels = [\"gpt-test\", \"embedding-test\", \"vendor/gpt-test\", \"gpt-6-astra\"]\n\
         [aliases.\"code.fast\"]\n{chat}\n[aliases.\"code.balanced\"]\n{chat}\n[aliases.\"auto.cheapest\"]\n{embedding}\n"
    )
}

/// pytest in a suite.
fn pytest(python: &Path, folder: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "--color=no", "-rs"]).current_dir(suite(folder));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a suite to its end and gives its report.
///
/// # Panics
/// With the report, when something in it failed.
fn passed(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the suite starts");
    let report = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{report}\n{}", String::from_utf8_lossy(&stderr));
    report
}
