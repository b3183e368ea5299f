//! The client that the documentation describes, in Python.

use zumik_tests::upstream::Upstream;

use super::{Served, passed, program, pytest};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_receipt_that_names_a_provider_verifies_in_python() {
    let Some(python) = program("python") else { return };
    let upstream = Upstream::start().await;
    let served = Served::over(&upstream);
    let mut command = pytest(&python, "documented");
    command.args(["-m", "upstream"]);
    command.env("ZUMIK_BASE_URL", &served.server.url).env("ZUMIK_API_KEY", &served.server.api_key);
    let report = passed(command);
    assert!(report.contains("1 passed") && !report.contains("skipped"), "{report}");
}

#[test]
fn the_documented_python_client_works_against_the_server() {
    let Some(python) = program("python") else { return };
    let served = Served::alone();
    let mut command = pytest(&python, "documented");
    command.args(["-m", "not upstream"]);
    command.env("ZUMIK_BASE_URL", &served.server.url).env("ZUMIK_API_KEY", &served.server.api_key);
    command.env("ZUMIK_FOREIGN_API_KEY", served.key(&["--project", "stranger"]));
    command.env("ZUMIK_READ_API_KEY", served.key(&["--scopes", "read"]));
    let report = passed(command);
    assert!(!report.contains("skipped"), "with all four settings nothing may be skipped: {report}");
}
