//! The `openai` package for Python as its users have it.

use zumik_tests::upstream::Upstream;

use super::{Served, passed, program, pytest};

fn run(served: &Served, without: &str) {
    let Some(python) = program("python") else { return };
    let mut command = pytest(&python, "openai-python");
    command.args(["-m", &format!("not {without}")]);
    command.env("OPENAI_BASE_URL", served.v1()).env("OPENAI_API_KEY", &served.server.api_key);
    command.env("OPENAI_FOREIGN_API_KEY", served.key(&["--project", "stranger"]));
    command.env("OPENAI_READ_API_KEY", served.key(&["--scopes", "read"]));
    let report = passed(command);
    assert!(!report.contains("skipped"), "nothing may be skipped: {report}");
}

#[test]
fn openai_for_python_works_without_a_model() {
    run(&Served::alone(), "upstream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn openai_for_python_works_with_a_model() {
    let upstream = Upstream::start().await;
    run(&Served::over(&upstream), "placeholder");
}
