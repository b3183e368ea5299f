//! The packages of `tests/conformance/openai-node`, installed by the Node of the Python environment.

use std::fs;

use crate::process::{Result, command, run, target_dir, workspace};
use crate::python::Venv;

/// Where the tests look for them, below the target folder.
const FOLDER: &str = "conformance-node";

/// Installs the locked packages, unless those that are there are the locked ones.
pub(super) fn prepare(venv: &Venv) -> Result {
    let suite = workspace().join("tests/conformance/openai-node");
    let folder = target_dir().join(FOLDER);
    let wanted = fs::read_to_string(suite.join("package-lock.json"))?;
    // Written last: a folder without it was left half made.
    let installed = folder.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    if installed.is_file() {
        fs::remove_file(&installed)?;
    }
    eprintln!("installing the Node packages of the conformance tests in {}", folder.display());
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(suite.join(file), folder.join(file))?;
    }
    let ci = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(command(venv.program("npm")).args(ci).current_dir(&folder))?;
    fs::write(installed, wanted)?;
    Ok(())
}
