//! A stranger's client: the Python suite of `tests/conformance` against the real command.
//!
//! `cargo xtask test` prepares its interpreter. Without that, `cargo test` alone needs nothing but Rust: the suite is then
//! left out, says so, and in CI fails.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use zumik_tests::process::{ServeProcess, run, zumik};

/// The interpreter that `cargo xtask test` made below the target folder of this test.
fn interpreter() -> Option<PathBuf> {
    let relative = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let test = env::current_exe().expect("the path of the running test");
    let venvs = test.ancestors().map(|folder| folder.join("conformance-venv").join(relative));
    venvs.into_iter().find(|python| python.exists())
}

#[test]
fn the_documented_python_client_works_against_the_server() {
    let Some(python) = interpreter() else {
        let in_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "the Python conformance suite was not prepared: run `cargo xtask test`");
        // Written to the handle: what goes through the macros is hidden for tests that pass.
        let _ = writeln!(
            std::io::stderr(),
            "left out: the Python conformance suite; `cargo xtask test` prepares it"
        );
        return;
    };
    let data = tempfile::tempdir().expect("a temporary folder");
    let zumik = zumik();
    let server = ServeProcess::start(&zumik, data.path());
    let key = |options: &[&str]| {
        let create = ["keys", "create", "--json", "--data", data.path().to_str().expect("a path in UTF-8")];
        run(&zumik, create.iter().chain(options))["key"].as_str().expect("the new key").to_owned()
    };
    let output = Command::new(python)
        .args(["-m", "pytest", "--color=no", "-rs"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ZUMIK_BASE_URL", &server.url)
        .env("ZUMIK_API_KEY", &server.api_key)
        .env("ZUMIK_FOREIGN_API_KEY", key(&["--project", "stranger"]))
        .env("ZUMIK_READ_API_KEY", key(&["--scopes", "read"]))
        .output()
        .expect("pytest starts");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!report.contains("skipped"), "with all four settings nothing may be skipped: {report}");
}
