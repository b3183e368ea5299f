//! `cargo xtask test`: prepares what the tests need, then runs `cargo test --workspace`.
//!
//! Everything but Rust is optional outside CI: a suite whose tools are missing is left out, and said so. With `CI=true`
//! a suite that is left out is an error, so that a green run means that all of them ran.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Result, cargo, command, in_ci, run, target_dir, workspace};

/// Where the conformance test looks for its interpreter, below the target folder.
const VENV: &str = "conformance-venv";

/// The oldest Python that the pinned packages install on.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// Runs every suite; `arguments` go to `cargo test --workspace`.
pub(crate) fn test(arguments: &[String]) -> Result {
    if let Err(reason) = prepare_python() {
        let message = format!("conformance tests are left out: {reason}");
        if in_ci() {
            return Err(message.into());
        }
        eprintln!("{message}");
    }
    run(cargo().args(["test", "--workspace"]).args(arguments))
}

/// Makes the virtual environment of `tests/conformance`, unless the one that is there has the pinned packages.
fn prepare_python() -> Result {
    let requirements = workspace().join("tests/conformance/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let venv = target_dir().join(VENV);
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    let python = find_python()?;
    eprintln!("making the Python environment of the conformance tests in {}", venv.display());
    run(command(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(command(interpreter(&venv)).args(pip).arg(&requirements))?;
    fs::write(installed, wanted)?;
    Ok(())
}

/// The first of the usual names that is a Python new enough.
fn find_python() -> Result<&'static str> {
    let (major, minor) = OLDEST_PYTHON;
    let check = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    let suits =
        |name: &&str| command(name).args(["-c", &check]).status().is_ok_and(|status| status.success());
    ["python3", "python"]
        .into_iter()
        .find(suits)
        .ok_or_else(|| format!("Python {major}.{minor} or newer was not found").into())
}

/// The interpreter of a virtual environment.
fn interpreter(venv: &Path) -> PathBuf {
    let relative: &OsStr = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" }.as_ref();
    venv.join(relative)
}
