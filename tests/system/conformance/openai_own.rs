//! The suite that the `openai` package for Python keeps for itself, from its source package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use zumik_tests::upstream::Upstream;

use super::{Served, installed, passed, program, suite};

/// The part of it that is about groups of operations that the contract has.
const IN_SCOPE: [&str; 8] = [
    "chat/test_completions.py",
    "responses",
    "test_batches.py",
    "test_conversations.py",
    "test_embeddings.py",
    "test_files.py",
    "test_models.py",
    "test_responses.py",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_suite_of_openai_for_python_passes() {
    let (Some(python), Some(source)) = (program("python"), installed("conformance-openai")) else { return };
    let package = unpacked(&source);
    let upstream = Upstream::start().await;
    let served = Served::over(&upstream);
    let ours = suite("openai-own");
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "--color=no", "--rootdir", "."]).arg("-c").arg(ours.join("pytest.ini"));
    command.args(IN_SCOPE.map(|part| format!("tests/api_resources/{part}"))).current_dir(package);
    command.env("PYTHONPATH", ours).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("TEST_API_BASE_URL", served.v1()).env("OPENAI_API_KEY", &served.server.api_key);
    passed(command);
}

/// The one folder in a folder.
fn unpacked(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("the folder is there").flatten();
    entries.map(|entry| entry.path()).find(|path| path.is_dir()).expect("the package was unpacked")
}
