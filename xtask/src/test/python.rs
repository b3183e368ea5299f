//! The Python environment of `tests/conformance`, in which Node is a package, and the source of `openai`, whose own tests
//! are run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Result, command, run, target_dir, workspace};

/// Where the tests look for it, below the target folder.
const VENV: &str = "conformance-venv";

/// Where the tests look for the unpacked source package of `openai`, below the target folder.
const SOURCE: &str = "conformance-openai";

/// The oldest Python that the pinned packages install on.
const OLDEST: (u32, u32) = (3, 10);

/// A virtual environment.
pub(super) struct Venv(PathBuf);

impl Venv {
    /// A program of it.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let folder: &OsStr = if cfg!(windows) { "Scripts" } else { "bin" }.as_ref();
        self.0.join(folder).join(name)
    }
}

/// Makes the environment, unless the one that is there has the pinned packages.
pub(super) fn prepare() -> Result<Venv> {
    let requirements = workspace().join("tests/conformance/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let venv = Venv(target_dir().join(VENV));
    // Written last: an environment without it was left half made.
    let installed = venv.0.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(venv);
    }
    let python = find()?;
    eprintln!("making the Python environment of the conformance tests in {}", venv.0.display());
    run(command(python).args(["-m", "venv", "--clear"]).arg(&venv.0))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(command(venv.program("python")).args(pip).arg(&requirements))?;
    fetch_source(&venv, &wanted)?;
    fs::write(installed, wanted)?;
    Ok(venv)
}

/// Fetches and unpacks the source package of the `openai` that is installed.
fn fetch_source(venv: &Venv, requirements: &str) -> Result {
    let openai = requirements.lines().find(|line| line.starts_with("openai=="));
    let openai = openai.ok_or("the requirements pin no openai")?;
    let folder = target_dir().join(SOURCE);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let python = venv.program("python");
    run(command(&python).args(pip).args(["--no-binary=:all:", openai, "--dest"]).arg(&folder))?;
    run(command(&python).args(["-m", "tarfile", "--extract"]).arg(only_file(&folder)?).arg(&folder))
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next().ok_or("pip downloaded nothing")??;
    Ok(entry.path())
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
