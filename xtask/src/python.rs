//! Python environments below the target folder.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use crate::process::{Result, command, run, target_dir};

/// The oldest Python that the pinned packages install on.
const OLDEST: (u32, u32) = (3, 10);

/// A virtual environment.
pub(crate) struct Venv(PathBuf);

impl Venv {
    /// Makes the environment `name` with these packages, then does what belongs to it; nothing when that was done before.
    pub(crate) fn prepare(
        name: &str,
        requirements: &str,
        then: impl FnOnce(&Self) -> Result,
    ) -> Result<Self> {
        let venv = Self(target_dir().join(name));
        // Written last: an environment without it was left half made.
        let installed = venv.0.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|text| text == requirements) {
            return Ok(venv);
        }
        let python = find()?;
        eprintln!("making the Python environment {}", venv.0.display());
        run(command(python).args(["-m", "venv", "--clear"]).arg(&venv.0))?;
        let wanted = venv.0.join("requirements.txt");
        fs::write(&wanted, requirements)?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(command(venv.program("python")).args(pip).arg(&wanted))?;
        then(&venv)?;
        fs::write(installed, requirements)?;
        Ok(venv)
    }

    /// A program of it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let folder: &OsStr = if cfg!(windows) { "Scripts" } else { "bin" }.as_ref();
        self.0.join(folder).join(name)
    }
}

/// The first of the usual names that is a Python new enough.
fn find() -> Result<&'static str> {
    let (major, minor) = OLDEST;
    let check = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    let suits =
        |name: &&str| command(name).args(["-c", &check]).status().is_ok_and(|status| status.success());
    ["python3", "python"]
        .into_iter()
        .find(suits)
        .ok_or_else(|| format!("Python {major}.{minor} or newer was not found").into())
}
