//! The Python environment of `tests/conformance`, in which Node is a package, and the source of `openai`, whose own tests
//! are run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Result, command, run, target_dir, workspace};
use crate::python::Venv;

/// Where the tests look for it, below the target folder.
const VENV: &str = "conformance-venv";

/// Where the tests look for the unpacked source package of `openai`, below the target folder.
const SOURCE: &str = "conformance-openai";

/// Makes the environment, unless the one that is there has the pinned packages.
pub(super) fn prepare() -> Result<Venv> {
    let requirements = fs::read_to_string(workspace().join("tests/conformance/requirements.txt"))?;
    Venv::prepare(VENV, &requirements, |venv| fetch_source(venv, &requirements))
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
